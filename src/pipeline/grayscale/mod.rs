//! The grayscale filter: luma of gamma-coded sRGB with the weights of Rec. 601 (0.299, 0.587, 0.114).
//! Transparent parts count as black and the result is opaque, as the Go server answered.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod scalar;
#[cfg(test)]
mod tests;

use crate::raster::{Layout, Pixmap};
use crate::simd::Level;

/// The picture as one channel of gray.
/// # Panics
/// If the picture holds CMYK, which the pipeline has converted by now.
pub(super) fn run(level: Level, image: Pixmap) -> Pixmap {
    if image.layout() == Layout::Gray {
        return image;
    }
    let mut luma = vec![0; image.size().pixels() as usize];
    match image.layout() {
        Layout::GrayAlpha => scalar::luma_of_gray_alpha(image.bytes().as_chunks().0, &mut luma),
        Layout::Rgb => luma_of_rgb(level, image.bytes().as_chunks().0, &mut luma),
        Layout::Rgba => luma_of_rgba(level, image.bytes().as_chunks().0, &mut luma),
        Layout::Gray | Layout::Cmyk => unreachable!("gray is an answer already, and CMYK was converted while resizing"),
    }
    Pixmap::new(image.size(), Layout::Gray, luma)
}

/// Writes the luma of every pixel.
/// # Panics
/// If the slices differ in length.
fn luma_of_rgb(level: Level, pixels: &[[u8; 3]], luma: &mut [u8]) {
    assert_eq!(pixels.len(), luma.len());
    match level {
        Level::Scalar => scalar::luma_of_rgb(pixels, luma),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(cpu) => avx2::luma_of_rgb(cpu, pixels, luma),
    }
}

/// Writes the luma of every pixel, on black.
/// # Panics
/// If the slices differ in length.
fn luma_of_rgba(level: Level, pixels: &[[u8; 4]], luma: &mut [u8]) {
    assert_eq!(pixels.len(), luma.len());
    match level {
        Level::Scalar => scalar::luma_of_rgba(pixels, luma),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(cpu) => avx2::luma_of_rgba(cpu, pixels, luma),
    }
}

/// 0.299, 0.587 and 0.114 times 65536; they add up to 65536, so that white stays white.
const RED: u32 = 19_595;
const GREEN: u32 = 38_470;
const BLUE: u32 = 7_471;
