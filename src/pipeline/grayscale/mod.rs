//! The grayscale filter: luma of gamma-coded sRGB with the weights of Rec. 601 (0.299, 0.587, 0.114).
//! Transparent parts count as black and the result is opaque, as the Go server answered.

mod scalar;

use crate::raster::{Layout, Pixmap};

/// The picture as one channel of gray.
/// # Panics
/// If the picture holds CMYK, which the pipeline has converted by now.
pub(super) fn run(image: Pixmap) -> Pixmap {
    let bytes = match image.layout() {
        Layout::Gray => return image,
        Layout::GrayAlpha => scalar::luma_of_gray_alpha(image.bytes().as_chunks().0),
        Layout::Rgb => scalar::luma_of_rgb(image.bytes().as_chunks().0),
        Layout::Rgba => scalar::luma_of_rgba(image.bytes().as_chunks().0),
        Layout::Cmyk => unreachable!("converted to RGB while resizing"),
    };
    Pixmap::new(image.size(), Layout::Gray, bytes)
}
