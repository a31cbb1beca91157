//! PNG out: 8 bits a channel in the layout of the picture.

use png::{BitDepth, ColorType, Compression, Encoder};

use crate::raster::{Layout, Pixmap};

/// Encodes without metadata; readers take sRGB then.
/// # Panics
/// If the picture is CMYK, which no PNG source is.
pub(in crate::pipeline::codec) fn encode(image: &Pixmap) -> Vec<u8> {
    let color = match image.layout() {
        Layout::Gray => ColorType::Grayscale,
        Layout::GrayAlpha => ColorType::GrayscaleAlpha,
        Layout::Rgb => ColorType::Rgb,
        Layout::Rgba => ColorType::Rgba,
        Layout::Cmyk => unreachable!("converted to RGB while resizing"),
    };
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, image.size().width, image.size().height);
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Balanced);
    let mut writer = encoder.write_header().expect("the size is not zero, and writing to memory does not fail");
    writer.write_image_data(image.bytes()).expect("the pixels are as many as the header says");
    writer.finish().expect("writing to memory does not fail");
    bytes
}
