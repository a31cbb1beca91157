//! The kernels that make pixels of planes: JFIF's conversion of colours, the two kinds of four inks, and planes that are
//! only brought together.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod scalar;
#[cfg(test)]
mod tests;

use crate::simd::Level;

/// Y'CbCr to RGB: JFIF 1.02 page 3 in 16-bit fixed point, R = Y + 1.402 Cr, G = Y - 0.34414 Cb - 0.71414 Cr,
/// B = Y + 1.772 Cb. What is added to Y is rounded to nearest, halves up; the same as libjpeg's.
/// # Panics
/// If the planes differ in length, or there are not three bytes for each of their samples.
pub fn to_rgb(level: Level, y: &[u8], cb: &[u8], cr: &[u8], rgb: &mut [u8]) {
    assert_eq!((cb.len(), cr.len(), rgb.len()), (y.len(), y.len(), 3 * y.len()));
    match level {
        Level::Scalar => scalar::to_rgb(y, cb, cr, rgb),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(cpu) => avx2::to_rgb(cpu, y, cb, cr, rgb),
    }
}

/// YCCK, as Adobe's marker says, to inks with 0 for none. Such files store 255 for no ink, of which the first three are
/// turned round before they become Y'CbCr: the RGB of that are the inks.
/// # Panics
/// If the planes differ in length, or there are not four bytes for each of their samples.
pub fn to_cmyk(y: &[u8], cb: &[u8], cr: &[u8], k: &[u8], cmyk: &mut [u8]) {
    assert_eq!((cb.len(), cr.len(), k.len(), cmyk.len()), (y.len(), y.len(), y.len(), 4 * y.len()));
    scalar::to_cmyk(y, cb, cr, k, cmyk);
}

/// Brings planes together as they are: RGB, or inks of files without Adobe's marker, which have 0 for none.
/// # Panics
/// If there are not as many bytes as the planes have samples.
pub fn interleave<const N: usize>(planes: [&[u8]; N], pixels: &mut [u8]) {
    scalar::interleave::<N, 0>(planes, pixels);
}

/// Brings planes together with 255 for 0: inks of files with Adobe's marker, which have 255 for none.
/// # Panics
/// If there are not as many bytes as the planes have samples.
pub fn interleave_inverted<const N: usize>(planes: [&[u8]; N], pixels: &mut [u8]) {
    scalar::interleave::<N, 255>(planes, pixels);
}
