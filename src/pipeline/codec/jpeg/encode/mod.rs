//! JPEG out: optimised Huffman tables, 4:2:0 below quality 90 as libjpeg's users expect; baseline or progressive.
//!
//! A picture goes through in rows of units: pixels → planes (`color`) → quantised coefficients (`forward`) → tokens,
//! which are counted. When all are there the codes are made from the counts, and the tokens written (`bits`).

mod baseline;
mod bits;
mod color;
pub(in crate::pipeline) mod forward;
mod frame;
mod huffman;
mod markers;
mod progressive;
pub(in crate::pipeline) mod quantiser;
#[cfg(test)]
mod tests;
mod tokens;

use bits::CodeBook;
use frame::Frame;
use huffman::Codes;
use markers::ComponentHead;
use tokens::Tokens;

use crate::plan::Encode;
use crate::raster::Pixmap;
use crate::simd::Level;

/// Progressive pictures keep all their coefficients, 4 to 8 bytes a pixel; larger ones are baseline.
const MAX_PROGRESSIVE_PIXELS: usize = 16_000_000;

/// Encodes gray as one component, RGB as YCbCr; no metadata but the JFIF header.
/// # Panics
/// If the picture has alpha, is CMYK, or has a side above 65,535: no JPEG source and no plan gives such.
pub(in crate::pipeline::codec) fn encode(level: Level, image: &Pixmap, encode: Encode) -> Vec<u8> {
    let frame = Frame::new(image, encode.quality);
    let side = |side: u32| u16::try_from(side).expect("sides are limited to 65,535");
    let mut bytes = Vec::new();
    markers::start(&mut bytes);
    markers::quantisation(&mut bytes, &frame.steps);
    let is_progressive = encode.progressive && frame.n_pixels() <= MAX_PROGRESSIVE_PIXELS;
    markers::frame(&mut bytes, is_progressive, side(image.size().width), side(image.size().height), &heads(&frame));
    if is_progressive {
        progressive::write(level, &frame, &mut bytes);
    } else {
        baseline::write(level, &frame, &mut bytes);
    }
    markers::end(&mut bytes);
    bytes
}

fn heads(frame: &Frame<'_>) -> Vec<ComponentHead> {
    let head = |(id, component): (u8, &frame::Component)| ComponentHead {
        id,
        sampling: (component.side << 4 | component.side) as u8,
        table: component.table(),
    };
    // One component has no units of several blocks (T.81 §A.2.2); 1 is what every reader takes.
    (1..).zip(&frame.components).map(head).collect()
}

/// Makes the codes of tables, each a number for the file and the first index, and puts them into the book.
fn set_codes(book: &mut CodeBook, tokens: &Tokens, tables: impl Iterator<Item = (u8, u32)>) -> Vec<(u8, Codes)> {
    let made = tables.map(|(number, index)| {
        let counts = tokens.counts[index as usize..].first_chunk().expect("tables have 256 symbols");
        let codes = Codes::new(counts);
        book.set(index, &codes);
        (number, codes)
    });
    made.collect()
}
