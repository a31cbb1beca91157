//! The kernel that turns columns of working samples (see `resize::kernel`) into rows of sRGB bytes, with straight alpha.
//!
//! The power curve is a cubic polynomial for each of eight octaves of light (the lowest is a third longer), in `f32` with
//! a fixed order of operations: 0.022 codes from the exact curve at most, so a rounded code is 0.522 from it.

#[cfg(target_arch = "x86_64")]
mod avx2;
pub(super) mod scalar;
#[cfg(test)]
mod tests;

use super::curve::RANGE;
use crate::pipeline::resize::{Column, ROWS};
use crate::simd::Level;

/// Writes as many rows as `bytes` has, at most 8; the bytes of a row are the columns. With 2 or 4 channels the last is
/// alpha, which the others are multiplied by.
/// # Panics
/// If the columns are not whole pixels, or the bytes not whole rows.
pub(in crate::pipeline) fn to_srgb<const CHANNELS: usize>(level: Level, columns: &[Column], bytes: &mut [u8]) {
    assert!(columns.len().is_multiple_of(CHANNELS) && bytes.len().is_multiple_of(columns.len()));
    assert!(bytes.len() <= columns.len() * ROWS);
    match level {
        Level::Scalar => scalar::to_srgb::<CHANNELS>(columns, bytes),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(cpu) => avx2::to_srgb::<CHANNELS>(cpu, columns, bytes),
    }
}

/// Light is scaled so that the octaves begin at powers of two: white is a little below 2¹⁶.
const SCALE: f32 = 1.399_98;
/// White.
const MAX_LIGHT: f32 = RANGE as f32 * SCALE;
/// Below is the straight part of the curve: 0.0031308 of white.
const STRAIGHT: f32 = 205.175_3;
/// Codes for light there: 255 · 12.92 of white.
const SLOPE: f32 = 255.0 * 12.92 / MAX_LIGHT;
/// Biased exponent of the last `f32` of the first octave.
const FIRST_EXPONENT: i32 = 127 + 8;
/// Coefficients of the constant (with the half that rounding adds), of light, its square and its cube, by octave.
#[rustfmt::skip]
const POLYNOMIALS: [[f32; 8]; 4] = [
    [-1.741_477_3, 2.902_542, 8.403_138, 15.745_552, 25.546_5, 38.629_196, 56.092_5, 79.403_21],
    [0.075_952_91, 0.047_917_094, 0.031_980_824, 0.021_344_637, 0.014_245_837, 0.009_507_955, 0.006_345_798_7, 0.004_235_313],
    [-8.130_006_6e-5, -2.355_475_4e-5, -7.860_456e-6, -2.623_112_6e-6, -8.753_588e-7, -2.921_159_7e-7, -9.748_201e-8, -3.253_071_8e-8],
    [4.674_163_6e-8, 6.299_877_5e-9, 1.051_165_9e-9, 1.753_922_8e-10, 2.926_507_6e-11, 4.883_023_7e-12, 8.147_568e-13, 1.359_462_3e-13],
];
/// Codes of alpha for working samples.
const ALPHA: f32 = 255.0 / RANGE as f32;
