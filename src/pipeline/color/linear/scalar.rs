//! The reference: look-ups in tables, which also serve tone curves other than that of sRGB.

use super::{BEND, FIRST_CURVED, LIGHT, MAX_VARIANCE, Pieces, RowPair, STRAIGHT};
use crate::pipeline::color::curve::{BLACK, RANGE, WHITE, stored};
use crate::pipeline::resize::Strip;

/// A tone curve: what the 256 codes of a channel mean.
#[derive(Clone, Copy, Debug)]
pub(in crate::pipeline::color) struct Curve {
    /// Working samples.
    pub(in crate::pipeline::color) light: [i16; 256],
    /// Half of the second derivative; see `super::BEND` for the unit.
    pub(in crate::pipeline::color) bend: [i16; 256],
}

/// The curve of sRGB, as the kernels compute it.
pub(in crate::pipeline::color) static SRGB: Curve = {
    let mut curve = Curve { light: [0; 256], bend: [0; 256] };
    let mut code = 0;
    while code < 256 {
        curve.light[code] = stored(BLACK + LIGHT.at(code as u8));
        curve.bend[code] = if code < FIRST_CURVED as usize { 0 } else { BEND.at(code as u8) as i16 };
        code += 1;
    }
    curve
};

impl Pieces {
    const fn at(&self, code: u8) -> u16 {
        let (piece, low) = ((code >> 4) as usize, (code & 15) as u32);
        let curved = low.saturating_sub(STRAIGHT[piece] as u32);
        let slope = self.slope[piece] as u32 + ((self.bend[piece] as u32 * curved) >> 4);
        self.start[piece] + ((slope * low) >> 4) as u16
    }
}

/// See `super::from_srgb`.
pub(super) fn from_srgb<const CHANNELS: usize>(rows: RowPair<CHANNELS>, strips: &mut [Strip]) {
    from_curves([&SRGB; 3], rows, strips);
}

/// `super::from_srgb` for a tone curve per channel; those of the first 1 or 3 are used.
pub(in crate::pipeline::color) fn from_curves<const CHANNELS: usize>(
    curves: [&Curve; 3],
    rows: RowPair<CHANNELS>,
    strips: &mut [Strip],
) {
    let n_colors = if CHANNELS.is_multiple_of(2) { CHANNELS - 1 } else { CHANNELS };
    let n_strips = rows.pixels[0].len().div_ceil(16);
    if n_strips == 0 {
        return;
    }
    for (channel, plane) in strips.chunks_exact_mut(n_strips).enumerate() {
        let is_alpha = channel == n_colors;
        let curve = curves[channel.min(n_colors - 1)];
        for (row, pixels) in rows.pixels.into_iter().enumerate() {
            let variances = rows.variances.map(|variances| variances[row]);
            let mut first = 0;
            if n_colors == CHANNELS {
                opaque(curve, pixels, variances, channel, row, plane);
                first = pixels.len() / 16 * 16;
            }
            let samples = plane.as_flattened_mut().as_flattened_mut()[row..].iter_mut().step_by(2);
            for (x, sample) in samples.enumerate().skip(first) {
                let pixel = pixels.get(x).copied().unwrap_or([0; CHANNELS]);
                if is_alpha {
                    *sample = stored(BLACK + scaled(RANGE, pixel[channel]));
                    continue;
                }
                let code = usize::from(pixel[channel]);
                let variance = variances.and_then(|variances| variances.get(x)).map_or(0, |&variance| variance);
                let light = brightened(curve.light[code], curve.bend[code], variance);
                *sample = if n_colors < CHANNELS { premultiplied(light, pixel[CHANNELS - 1]) } else { light };
            }
        }
    }
}

/// Whole strips of a channel without alpha, in loops without a question.
fn opaque<const CHANNELS: usize>(
    curve: &Curve,
    pixels: &[[u8; CHANNELS]],
    variances: Option<&[u16]>,
    channel: usize,
    row: usize,
    strips: &mut [Strip],
) {
    let strips = strips.iter_mut().zip(pixels.as_chunks::<16>().0);
    match variances {
        None => {
            for (strip, pixels) in strips {
                for (pair, pixel) in strip.as_flattened_mut().as_chunks_mut::<2>().0.iter_mut().zip(pixels) {
                    pair[row] = curve.light[usize::from(pixel[channel])];
                }
            }
        }
        Some(variances) => {
            for ((strip, pixels), variances) in strips.zip(variances.as_chunks::<16>().0) {
                let pairs = strip.as_flattened_mut().as_chunks_mut::<2>().0;
                for ((pair, pixel), &variance) in pairs.iter_mut().zip(pixels).zip(variances) {
                    let code = usize::from(pixel[channel]);
                    pair[row] = brightened(curve.light[code], curve.bend[code], variance);
                }
            }
        }
    }
}

fn brightened(light: i16, bend: i16, variance: u16) -> i16 {
    let more = (i32::from(bend) * i32::from(variance.min(MAX_VARIANCE)) * 2 + (1 << 14)) >> 15;
    (i32::from(light) + more).min(i32::from(WHITE)) as i16
}

fn premultiplied(light: i16, alpha: u8) -> i16 {
    let over_black = light.wrapping_sub(stored(BLACK)).cast_unsigned();
    stored(BLACK + scaled(over_black, alpha))
}

/// `x · alpha / 255`, rounded: exact for an alpha of 255.
fn scaled(x: u16, alpha: u8) -> u16 {
    if alpha == 255 { x } else { ((u32::from(x) * u32::from(alpha) * 257 + (1 << 15)) >> 16) as u16 }
}
