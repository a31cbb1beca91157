//! JPEG out: baseline, optimised Huffman tables, 4:2:0 below quality 90 as libjpeg's users expect.

use jpeg_encoder::{ColorType, Encoder};

use crate::plan::JpegQuality;
use crate::raster::{Layout, Pixmap};

/// Optimised tables need all coefficients in memory, 3 to 6 bytes a pixel; larger answers do without.
const MAX_OPTIMISED_PIXELS: u64 = 16_000_000;

/// Encodes gray as one component, RGB as YCbCr; no metadata but the JFIF header.
/// # Panics
/// If the picture has alpha, is CMYK, or has a side above 65,535: no JPEG source and no plan gives such.
pub(in crate::pipeline::codec) fn encode(image: &Pixmap, quality: JpegQuality) -> Vec<u8> {
    let color = match image.layout() {
        Layout::Gray => ColorType::Luma,
        Layout::Rgb => ColorType::Rgb,
        layout => unreachable!("a JPEG source became {layout:?}"),
    };
    let side = |side: u32| u16::try_from(side).expect("sides are limited to 65,535");
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality.get());
    encoder.set_optimized_huffman_tables(image.size().pixels() <= MAX_OPTIMISED_PIXELS);
    encoder
        .encode(image.bytes(), side(image.size().width), side(image.size().height), color)
        .expect("writing to memory does not fail, and the sizes agree");
    bytes
}
