//! Progressive: scans of some coefficients and some of their bits each (ITU-T T.81 annex G), as libjpeg orders them by
//! default. Each scan has codes of its own.

use super::bits::{BitWriter, CodeBook};
use super::forward::{Block, ORDER};
use super::frame::{Component, Frame};
use super::tokens::{self, Tokens, ZEROS};
use super::{markers, set_codes};
use crate::simd::Level;

/// Longest run of blocks that end early: its length is told in 12 bits, so that no token has more than 28.
const MAX_RUN: u32 = (1 << 13) - 1;
/// Most blocks whose bits wait for the end of such a run.
const MAX_WAITING: usize = 64;

/// A block, and a bit for each coefficient that is left when its value loses no bit, one, or two.
struct Kept {
    block: Block,
    left: [u64; 3],
}

impl Kept {
    fn new(block: &Block) -> Self {
        let (mut left, mut mask) = ([block.mask, 0, 0], block.mask);
        while mask != 0 {
            let bit = mask.trailing_zeros();
            let size = block.coefficients[usize::from(ORDER[bit as usize])].unsigned_abs();
            left[1] |= u64::from(size > 1) << bit;
            left[2] |= u64::from(size > 3) << bit;
            mask &= mask - 1;
        }
        Self { block: *block, left }
    }
}

/// One scan: of a component, or of all of them; coefficients from first to last in zigzag order; of their bits the
/// lowest that earlier scans have brought, 0 for none, and the lowest that this one brings.
struct Scan {
    component: Option<usize>,
    range: (u8, u8),
    bits: (u8, u8),
}

const fn of_all(bits: (u8, u8)) -> Scan {
    Scan { component: None, range: (0, 0), bits }
}

const fn of(component: usize, first: u8, last: u8, bits: (u8, u8)) -> Scan {
    Scan { component: Some(component), range: (first, last), bits }
}

const GRAY: [Scan; 6] = [
    of_all((0, 1)),
    of(0, 1, 5, (0, 2)),
    of(0, 6, 63, (0, 2)),
    of(0, 1, 63, (2, 1)),
    of_all((1, 0)),
    of(0, 1, 63, (1, 0)),
];
const COLOUR: [Scan; 10] = [
    of_all((0, 1)),
    of(0, 1, 5, (0, 2)),
    of(2, 1, 63, (0, 1)),
    of(1, 1, 63, (0, 1)),
    of(0, 6, 63, (0, 2)),
    of(0, 1, 63, (2, 1)),
    of_all((1, 0)),
    of(2, 1, 63, (1, 0)),
    of(1, 1, 63, (1, 0)),
    of(0, 1, 63, (1, 0)),
];

/// Writes tables and scans.
pub(super) fn write(level: Level, frame: &Frame<'_>, bytes: &mut Vec<u8>) {
    let planes = planes(level, frame);
    let scans: &[Scan] = if frame.components.len() == 1 { &GRAY } else { &COLOUR };
    let mut tokens = Tokens::new();
    for scan in scans {
        tokens.restart();
        match scan.component {
            None => add_means(frame, &planes, scan.bits, &mut tokens),
            Some(index) => {
                let table = tokens::tables(frame.components[index].plane).ac;
                add_details(&planes[index], table, scan, &mut tokens);
            }
        }
        write_scan(frame, scan, &tokens, bytes);
    }
}

fn write_scan(frame: &Frame<'_>, scan: &Scan, tokens: &Tokens, bytes: &mut Vec<u8>) {
    let mut book = CodeBook::new();
    let (components, codes) = match scan.component {
        None => {
            let components = (1..).zip(&frame.components).map(|(id, component)| (id, component.table() << 4)).collect();
            // The later bits of means have no codes.
            let tables = if scan.bits.0 > 0 { &[] } else { frame.tables() };
            let tables = tables.iter().map(|&(number, tables)| (number, tables.dc));
            (components, set_codes(&mut book, tokens, tables))
        }
        Some(index) => {
            let component = &frame.components[index];
            let table = (0x10 | component.table(), tokens::tables(component.plane).ac);
            (vec![(index as u8 + 1, component.table())], set_codes(&mut book, tokens, std::iter::once(table)))
        }
    };
    if !codes.is_empty() {
        markers::huffman(bytes, &codes);
    }
    markers::scan(bytes, &components, scan.range, scan.bits);
    let mut writer = BitWriter::new(bytes);
    writer.write(&book, tokens.as_slice());
    writer.finish();
}

/// The blocks of every component, row by row.
fn planes(level: Level, frame: &Frame<'_>) -> Vec<Vec<Kept>> {
    let room = |component: &Component| Vec::with_capacity(component.size.0 * component.size.1);
    let mut planes: Vec<Vec<Kept>> = frame.components.iter().map(room).collect();
    let mut band = frame.band();
    for unit_row in 0..frame.units.1 {
        frame.fill(level, unit_row, &mut band);
        for ((plane, component), rows) in planes.iter_mut().zip(&frame.components).zip(&band.blocks) {
            let n_rows = component.size.1 - unit_row * component.side;
            rows.iter().take(n_rows).for_each(|row| plane.extend(row.iter().map(Kept::new)));
        }
    }
    planes
}

/// The means of all blocks, in units; beyond the picture's edges as the last.
fn add_means(frame: &Frame<'_>, planes: &[Vec<Kept>], (had, lowest): (u8, u8), tokens: &mut Tokens) {
    let (mut means, mut last) = ([0i16; 3], [0i16; 3]);
    for unit in 0..frame.units.0 * frame.units.1 {
        let (unit_x, unit_y) = (unit % frame.units.0, unit / frame.units.0);
        for (index, (component, plane)) in frame.components.iter().zip(planes).enumerate() {
            let side = component.side;
            for block in 0..side * side {
                let (x, y) = (unit_x * side + block % side, unit_y * side + block / side);
                if x < component.size.0 && y < component.size.1 {
                    means[index] = plane[y * component.size.0 + x].block.coefficients[0] >> lowest;
                }
                if had > 0 {
                    tokens.add_bits(u64::from(means[index] & 1 == 1), 1);
                } else {
                    let difference = i32::from(means[index]) - i32::from(last[index]);
                    tokens.add_value(tokens::tables(component.plane).dc, difference);
                    last[index] = means[index];
                }
            }
        }
    }
}

/// The other coefficients of a component.
fn add_details(blocks: &[Kept], table: u32, scan: &Scan, tokens: &mut Tokens) {
    let lowest = usize::from(scan.bits.1);
    let range = (!0 << scan.range.0) & (!0 >> (63 - scan.range.1));
    let range = Range { mask: range, first: u32::from(scan.range.0), end: u32::from(scan.range.1) + 1 };
    let mut details = Details { tokens, table, range, lowest, n_ended: 0, waiting: Vec::new() };
    for block in blocks {
        if scan.bits.0 > 0 {
            details.refine(block);
        } else {
            details.begin(block);
        }
    }
    details.end_run();
}

/// Places in zigzag order: a bit for each, the first, and the one after the last.
struct Range {
    mask: u64,
    first: u32,
    end: u32,
}

/// Bits that follow one another, the last of them lowest.
#[derive(Clone, Copy, Default)]
struct Bits {
    bits: u64,
    length: u32,
}

/// A scan on its way.
struct Details<'a> {
    tokens: &'a mut Tokens,
    table: u32,
    range: Range,
    /// How many bits of a value come later.
    lowest: usize,
    /// Blocks that have ended and are not told yet, and the bits of their coefficients.
    n_ended: u32,
    waiting: Vec<Bits>,
}

impl Details<'_> {
    /// The value at a place in zigzag order, without the bits that come later.
    fn value(&self, block: &Kept, bit: u32) -> i32 {
        let value = i32::from(block.block.coefficients[usize::from(ORDER[bit as usize % 64])]);
        value.signum() * (value.abs() >> self.lowest)
    }

    /// The first scan of these coefficients (T.81 §G.1.2.2).
    fn begin(&mut self, block: &Kept) {
        let mut next = self.range.first;
        let mut mask = block.left[self.lowest] & self.range.mask;
        while mask != 0 {
            let bit = mask.trailing_zeros();
            mask &= mask - 1;
            self.end_run();
            let run = self.zeros(bit - next);
            self.tokens.add_value(self.table | run << 4, self.value(block, bit));
            next = bit + 1;
        }
        if next < self.range.end {
            self.end_block(Bits::default());
        }
    }

    /// One bit more of coefficients that have been there, and those that are new now (T.81 §G.1.2.3).
    fn refine(&mut self, block: &Kept) {
        let mut mask = block.left[self.lowest] & self.range.mask;
        let mut new = mask & !block.left[self.lowest + 1];
        let (mut zeros, mut next) = (0, self.range.first);
        let mut corrections = Bits::default();
        while mask != 0 {
            let bit = mask.trailing_zeros();
            mask &= mask - 1;
            zeros += bit - next;
            next = bit + 1;
            // Where nothing new follows, the end of the block tells of these zeros.
            while zeros > 15 && new != 0 {
                self.end_run();
                zeros -= 16;
                self.tokens.add(self.table | ZEROS, 0);
                self.add_corrections(&mut corrections);
            }
            let value = self.value(block, bit);
            if value.abs() > 1 {
                corrections.bits = corrections.bits << 1 | u64::from(value & 1 == 1);
                corrections.length += 1;
            } else {
                new &= new - 1;
                self.end_run();
                self.tokens.add(self.table | zeros << 4 | 1, u32::from(value > 0));
                self.add_corrections(&mut corrections);
                zeros = 0;
            }
        }
        zeros += self.range.end - next;
        if zeros > 0 || corrections.length > 0 {
            self.end_block(corrections);
        }
    }

    fn add_corrections(&mut self, corrections: &mut Bits) {
        let Bits { bits, length } = std::mem::take(corrections);
        self.tokens.add_bits(bits, length);
    }

    /// Tells of 16 zeros as often as there are; what is left.
    fn zeros(&mut self, mut run: u32) -> u32 {
        while run > 15 {
            self.tokens.add(self.table | ZEROS, 0);
            run -= 16;
        }
        run
    }

    fn end_block(&mut self, corrections: Bits) {
        self.n_ended += 1;
        if corrections.length > 0 {
            self.waiting.push(corrections);
        }
        if self.n_ended == MAX_RUN || self.waiting.len() > MAX_WAITING {
            self.end_run();
        }
    }

    /// Tells of the blocks that have ended, if there are any: the bits of their number without the highest.
    fn end_run(&mut self) {
        if self.n_ended > 0 {
            let n_bits = self.n_ended.ilog2();
            self.tokens.add(self.table | n_bits << 4, self.n_ended & !(1 << n_bits));
            for &Bits { bits, length } in &self.waiting {
                self.tokens.add_bits(bits, length);
            }
            self.waiting.clear();
            self.n_ended = 0;
        }
    }
}
