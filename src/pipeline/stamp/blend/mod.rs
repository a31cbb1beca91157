//! The kernel that lays ink over a row of a picture: Porter and Duff's "over", 8 bits a channel, one function per
//! layout. Ink is premultiplied RGBA, at most its alpha in each channel; a brighter one saturates.
//!
//! Opaque pictures: `ink + round(picture · (255 − a) / 255)`, exactly rounded.
//!
//! Pictures of straight alpha, with `a` the alpha of the ink and `b` that of the picture: let
//! `A = 255·a + b·(255 − a)`; the new alpha is `round(A / 255)` and a channel is
//! `round((65025 · ink + picture · b · (255 − a)) / A)`. That numerator is below 2²⁴, so it is exact in an `f32`, and
//! the quotient is never nearer to a half than 1 / 130050, which is more than an `f32` below 256 loses: one division
//! rounds exactly. Where `A` is 0 the pixel stays.
//!
//! Both leave a picture under transparent ink exactly as it was, and turn it into the ink where that is opaque.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod scalar;
#[cfg(test)]
mod tests;

use crate::simd::Level;

/// Lays gray ink (`r = g = b`, of which the red is used) over opaque gray.
/// # Panics
/// If the slices differ in length.
pub fn over_gray(level: Level, ink: &[[u8; 4]], picture: &mut [u8]) {
    assert_eq!(ink.len(), picture.len());
    match level {
        Level::Scalar => scalar::over_gray(ink, picture),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(cpu) => avx2::over_gray(cpu, ink, picture),
    }
}

/// Lays gray ink (`r = g = b`, of which the red is used) over gray with straight alpha.
/// # Panics
/// If the slices differ in length.
pub fn over_gray_alpha(level: Level, ink: &[[u8; 4]], picture: &mut [[u8; 2]]) {
    assert_eq!(ink.len(), picture.len());
    match level {
        Level::Scalar => scalar::over_gray_alpha(ink, picture),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(cpu) => avx2::over_gray_alpha(cpu, ink, picture),
    }
}

/// Lays ink over opaque RGB.
/// # Panics
/// If the slices differ in length.
pub fn over_rgb(level: Level, ink: &[[u8; 4]], picture: &mut [[u8; 3]]) {
    assert_eq!(ink.len(), picture.len());
    match level {
        Level::Scalar => scalar::over_rgb(ink, picture),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(cpu) => avx2::over_rgb(cpu, ink, picture),
    }
}

/// Lays ink over RGB with straight alpha.
/// # Panics
/// If the slices differ in length.
pub fn over_rgba(level: Level, ink: &[[u8; 4]], picture: &mut [[u8; 4]]) {
    assert_eq!(ink.len(), picture.len());
    match level {
        Level::Scalar => scalar::over_rgba(ink, picture),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(cpu) => avx2::over_rgba(cpu, ink, picture),
    }
}
