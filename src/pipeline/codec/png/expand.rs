//! Unfiltered rows to samples of 8 bits: palettes become colours, transparent colours become alpha, few bits are spread
//! over 0 to 255, 16 bits are rounded.

use png::{BitDepth, ColorType, Info};

use crate::raster::Layout;

/// What has to be done with the rows of a picture.
#[derive(Debug)]
pub(super) enum Expansion {
    /// They are samples already.
    Nothing,
    /// Gray of 1, 2, 4 or 8 bits; one value may be transparent.
    Gray { bits: u8, clear: Option<u8> },
    /// RGB of 8 bits, of which one colour is transparent.
    ClearRgb([u8; 3]),
    /// Indices of 1, 2, 4 or 8 bits.
    Palette { bits: u8, colors: Box<[[u8; 4]; 256]>, has_alpha: bool },
    /// 16 bits a sample.
    Sixteen,
    /// 16 bits a sample; one colour, as it is stored, is transparent.
    ClearSixteen(Vec<u8>),
}

impl Expansion {
    /// What a header asks for, and the layout that it gives; `None` if the palette is missing.
    pub(super) fn new(info: &Info) -> Option<(Self, Layout)> {
        let clear = info.trns.as_deref();
        let bits = info.bit_depth as u8;
        let is_deep = info.bit_depth == BitDepth::Sixteen;
        let deep = if is_deep { Self::Sixteen } else { Self::Nothing };
        // Transparent colours of less than 16 bits are kept by the library as one byte a channel.
        let whole = match (info.color_type, clear) {
            (ColorType::GrayscaleAlpha, _) => (deep, Layout::GrayAlpha),
            (ColorType::Rgba, _) => (deep, Layout::Rgba),
            (ColorType::Rgb, None) => (deep, Layout::Rgb),
            (ColorType::Grayscale, None) if bits >= 8 => (deep, Layout::Gray),
            (ColorType::Grayscale, None) => (Self::Gray { bits, clear: None }, Layout::Gray),
            (ColorType::Grayscale, Some(clear)) if is_deep => {
                (Self::ClearSixteen(clear.get(..2)?.to_vec()), Layout::GrayAlpha)
            }
            (ColorType::Grayscale, Some(clear)) => {
                (Self::Gray { bits, clear: clear.first().copied() }, Layout::GrayAlpha)
            }
            (ColorType::Rgb, Some(clear)) if is_deep => (Self::ClearSixteen(clear.get(..6)?.to_vec()), Layout::Rgba),
            (ColorType::Rgb, Some(clear)) => (Self::ClearRgb(*clear.first_chunk()?), Layout::Rgba),
            (ColorType::Indexed, _) => {
                let colors = palette(info.palette.as_deref()?, clear.unwrap_or_default());
                let layout = if clear.is_some() { Layout::Rgba } else { Layout::Rgb };
                (Self::Palette { bits, colors, has_alpha: clear.is_some() }, layout)
            }
        };
        Some(whole)
    }

    /// Writes the samples of a row of `width` pixels.
    pub(super) fn row(&self, row: &[u8], width: usize, samples: &mut [u8]) {
        match self {
            Self::Nothing => samples.copy_from_slice(row),
            Self::Gray { bits, clear: None } => {
                let spread = 255 / ones(*bits);
                unpacked(row, *bits).zip(samples).for_each(|(value, sample)| *sample = value * spread);
            }
            Self::Gray { bits, clear: Some(clear) } => {
                let spread = 255 / ones(*bits);
                for (value, pixel) in unpacked(row, *bits).zip(samples.as_chunks_mut().0) {
                    *pixel = [value * spread, if value == *clear { 0 } else { 255 }];
                }
            }
            Self::ClearRgb(clear) => {
                for (color, pixel) in row.as_chunks().0.iter().zip(samples.as_chunks_mut().0) {
                    let [r, g, b] = *color;
                    *pixel = [r, g, b, if color == clear { 0 } else { 255 }];
                }
            }
            Self::Palette { bits, colors, has_alpha: true } => {
                for (index, pixel) in unpacked(row, *bits).zip(samples.as_chunks_mut().0) {
                    *pixel = colors[usize::from(index)];
                }
            }
            Self::Palette { bits, colors, has_alpha: false } => {
                for (index, pixel) in unpacked(row, *bits).zip(samples.as_chunks_mut().0) {
                    let [r, g, b, _] = colors[usize::from(index)];
                    *pixel = [r, g, b];
                }
            }
            Self::Sixteen => {
                row.as_chunks().0.iter().zip(samples).for_each(|(&deep, sample)| *sample = to_8_bits(deep));
            }
            Self::ClearSixteen(clear) => {
                let n_bytes = row.len() / width;
                let pixels = samples.chunks_exact_mut(n_bytes / 2 + 1);
                for (color, pixel) in row.chunks_exact(n_bytes).zip(pixels) {
                    color.as_chunks().0.iter().zip(&mut *pixel).for_each(|(&deep, sample)| *sample = to_8_bits(deep));
                    pixel[n_bytes / 2] = if color == clear { 0 } else { 255 };
                }
            }
        }
    }
}

/// 16 bits to 8, rounded to nearest: `value · 255 / 65535` (PNG specification §13.12).
pub(super) fn to_8_bits(sample: [u8; 2]) -> u8 {
    ((u32::from(u16::from_be_bytes(sample)) * 255 + 32_895) >> 16) as u8
}

/// Indices that the palette lacks are black, as libpng has them.
fn palette(rgb: &[u8], alpha: &[u8]) -> Box<[[u8; 4]; 256]> {
    let mut colors = Box::new([[0, 0, 0, 255]; 256]);
    for (color, &[r, g, b]) in colors.iter_mut().zip(rgb.as_chunks().0) {
        *color = [r, g, b, 255];
    }
    for (color, &alpha) in colors.iter_mut().zip(alpha) {
        color[3] = alpha;
    }
    colors
}

/// As many ones.
const fn ones(bits: u8) -> u8 {
    0xFF >> (8 - bits)
}

/// Values of some bits, the first in the highest; more than the row has pixels, if its last byte is not full.
fn unpacked(row: &[u8], bits: u8) -> impl Iterator<Item = u8> {
    let per_byte = 8 / bits;
    row.iter().flat_map(move |&byte| (0..per_byte).map(move |index| (byte >> (8 - bits * (index + 1))) & ones(bits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bits_are_rounded() {
        for value in 0..=u16::MAX {
            let exact = (f64::from(value) * 255.0 / 65_535.0).round() as u8;
            assert_eq!(to_8_bits(value.to_be_bytes()), exact, "{value}");
        }
    }
}
