//! The reference.

use super::{ALPHA, FIRST_EXPONENT, MAX_LIGHT, POLYNOMIALS, SCALE, SLOPE, STRAIGHT};
use crate::pipeline::color::curve::{BLACK, RANGE, loaded};
use crate::pipeline::resize::Column;

/// See `super::to_srgb`.
pub(super) fn to_srgb<const CHANNELS: usize>(columns: &[Column], bytes: &mut [u8]) {
    let has_alpha = CHANNELS.is_multiple_of(2);
    for (row, bytes) in bytes.chunks_exact_mut(columns.len()).enumerate() {
        let pixels = bytes.as_chunks_mut::<CHANNELS>().0;
        for (pixel, columns) in pixels.iter_mut().zip(columns.as_chunks::<CHANNELS>().0) {
            let alpha = over_black(columns[CHANNELS - 1][row]);
            let factor = if has_alpha { factor(alpha) } else { SCALE };
            for (byte, column) in pixel.iter_mut().zip(columns) {
                *byte = code((over_black(column[row]) * factor).min(MAX_LIGHT));
            }
            if has_alpha {
                pixel[CHANNELS - 1] = (alpha.min(f32::from(RANGE)) * ALPHA + 0.5) as u8;
            }
        }
    }
}

/// The 8-bit sRGB code of a working sample, nearest in code value; clipped outside of black and white.
pub(in crate::pipeline::color) fn code_of(sample: i16) -> u8 {
    code((over_black(sample) * SCALE).min(MAX_LIGHT))
}

/// Light from 0 on, also above white: where alpha overshoots its colours do, and are right once divided by it.
fn over_black(sample: i16) -> f32 {
    f32::from(loaded(sample).saturating_sub(BLACK))
}

/// What undoes the multiplication by alpha.
fn factor(alpha: f32) -> f32 {
    if alpha == 0.0 { 0.0 } else { f32::from(RANGE) / alpha * SCALE }
}

/// The code of scaled light.
fn code(light: f32) -> u8 {
    if light < STRAIGHT {
        return (light * SLOPE + 0.5) as u8;
    }
    let octave = ((light.to_bits() >> 23) as i32 - FIRST_EXPONENT).max(0) as usize;
    let [constant, linear, square, cube] = POLYNOMIALS.map(|coefficients| coefficients[octave]);
    (((cube * light + square) * light + linear) * light + constant) as u8
}
