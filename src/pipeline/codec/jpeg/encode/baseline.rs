//! Baseline: one scan, each block whole.

use super::bits::{BitWriter, CodeBook};
use super::frame::{Band, Frame};
use super::tokens::{self, Tables, Tokens};
use super::{markers, set_codes};
use crate::simd::Level;

/// Writes tables and scan. The codes fit all of the picture, or as many of its tokens as it has pixels: that bounds the
/// memory, and only what is nearly noise has more.
pub(super) fn write(level: Level, frame: &Frame<'_>, bytes: &mut Vec<u8>) {
    let mut tokens = Tokens::new();
    let mut band = frame.band();
    let mut means = [0; 3];
    let mut scan: Option<(CodeBook, BitWriter<'_>)> = None;
    let mut bytes = Some(bytes);
    for unit_row in 0..frame.units.1 {
        frame.fill(level, unit_row, &mut band);
        for unit in 0..frame.units.0 {
            add_unit(frame, &band, (unit, unit_row), &mut means, &mut tokens);
            if tokens.len() > frame.n_pixels() {
                if let Some(bytes) = bytes.take() {
                    tokens.count_all();
                    scan = Some(begin(frame, &tokens, bytes));
                }
                if let Some((book, writer)) = &mut scan {
                    writer.write(book, tokens.as_slice());
                    tokens.clear();
                }
            }
        }
    }
    if let Some(bytes) = bytes {
        scan = Some(begin(frame, &tokens, bytes));
    }
    if let Some((book, mut writer)) = scan {
        writer.write(&book, tokens.as_slice());
        writer.finish();
    }
}

/// Writes the tables that the counts ask for, and the head of the scan.
fn begin<'a>(frame: &Frame<'_>, tokens: &Tokens, bytes: &'a mut Vec<u8>) -> (CodeBook, BitWriter<'a>) {
    let tables = frame.tables().iter().flat_map(|&(number, Tables { dc, ac })| [(number, dc), (0x10 | number, ac)]);
    let components: Vec<_> =
        (1..).zip(&frame.components).map(|(id, component)| (id, component.table() * 0x11)).collect();
    let mut book = CodeBook::new();
    markers::huffman(bytes, &set_codes(&mut book, tokens, tables));
    markers::scan(bytes, &components, (0, 63), (0, 0));
    (book, BitWriter::new(bytes))
}

/// Adds the tokens of a unit, in the order of T.81 §A.2.3. What lies beyond the picture is as cheap as it can be.
fn add_unit(frame: &Frame<'_>, band: &Band, unit: (usize, usize), means: &mut [i16; 3], tokens: &mut Tokens) {
    for ((component, rows), mean) in frame.components.iter().zip(&band.blocks).zip(means) {
        let tables = tokens::tables(component.plane);
        for (y, blocks) in rows.iter().enumerate() {
            let is_row = unit.1 * component.side + y < component.size.1;
            for x in unit.0 * component.side..(unit.0 + 1) * component.side {
                match blocks.get(x) {
                    Some(block) if is_row => tokens.add_block(tables, block, mean),
                    _ => tokens.add_blank(tables),
                }
            }
        }
    }
}
