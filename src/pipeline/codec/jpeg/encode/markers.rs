//! Marker segments (ITU-T T.81 §B.2).

use super::huffman::Codes;
use super::quantiser::Steps;

/// One component, as the frame header tells of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ComponentHead {
    pub(super) id: u8,
    /// Horizontal factor · 16 + vertical factor.
    pub(super) sampling: u8,
    /// Number of its quantisation table.
    pub(super) table: u8,
}

/// Start of image and the JFIF header (JFIF 1.02): no unit, square pixels, no thumbnail.
pub(super) fn start(bytes: &mut Vec<u8>) {
    bytes.extend([0xFF, 0xD8]);
    segment(bytes, 0xE0, b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0");
}

/// Quantisation tables, numbered from 0.
pub(super) fn quantisation(bytes: &mut Vec<u8>, tables: &[Steps]) {
    let mut content = Vec::new();
    for (number, steps) in (0..).zip(tables) {
        content.push(number);
        content.extend(steps);
    }
    segment(bytes, 0xDB, &content);
}

/// The frame header: baseline (SOF0) or progressive (SOF2), 8 bits a sample.
pub(super) fn frame(bytes: &mut Vec<u8>, is_progressive: bool, width: u16, height: u16, components: &[ComponentHead]) {
    let mut content = vec![8];
    content.extend(height.to_be_bytes());
    content.extend(width.to_be_bytes());
    content.push(components.len() as u8);
    content.extend(components.iter().flat_map(|component| [component.id, component.sampling, component.table]));
    segment(bytes, if is_progressive { 0xC2 } else { 0xC0 }, &content);
}

/// Huffman tables with their class and number: 0x00 for the means' first, 0x10 for the other coefficients' first.
pub(super) fn huffman(bytes: &mut Vec<u8>, tables: &[(u8, Codes)]) {
    let mut content = Vec::new();
    for (number, codes) in tables {
        content.push(*number);
        content.extend(codes.counts);
        content.extend(&codes.symbols);
    }
    segment(bytes, 0xC4, &content);
}

/// The scan header. Of each component its id and the numbers of its Huffman tables; of the coefficients the first and
/// last in zigzag order; of their bits those that earlier scans have brought, and the lowest that this one brings.
pub(super) fn scan(bytes: &mut Vec<u8>, components: &[(u8, u8)], range: (u8, u8), bits: (u8, u8)) {
    let mut content = vec![components.len() as u8];
    content.extend(components.iter().flat_map(|&(id, tables)| [id, tables]));
    content.extend([range.0, range.1, bits.0 << 4 | bits.1]);
    segment(bytes, 0xDA, &content);
}

/// End of image.
pub(super) fn end(bytes: &mut Vec<u8>) {
    bytes.extend([0xFF, 0xD9]);
}

fn segment(bytes: &mut Vec<u8>, marker: u8, content: &[u8]) {
    bytes.extend([0xFF, marker]);
    bytes.extend((content.len() as u16 + 2).to_be_bytes());
    bytes.extend(content);
}
