//! The grayscale filter: luma of gamma-coded sRGB with the weights of Rec. 601 (0.299, 0.587, 0.114).

mod scalar;

use crate::raster::{Layout, Pixmap};

/// The picture with luma only; alpha stays.
/// # Panics
/// If the picture holds CMYK, which the pipeline has converted by now.
pub(super) fn run(image: &Pixmap) -> Pixmap {
    let (layout, bytes) = match image.layout() {
        Layout::Gray | Layout::GrayAlpha => return image.clone(),
        Layout::Rgb => (Layout::Gray, scalar::luma_of_rgb(image.bytes().as_chunks().0)),
        Layout::Rgba => (Layout::GrayAlpha, scalar::luma_of_rgba(image.bytes().as_chunks().0)),
        Layout::Cmyk => unreachable!("converted to RGB while resizing"),
    };
    Pixmap::new(image.size(), layout, bytes)
}
