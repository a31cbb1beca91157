//! Blocks to what is written of them: a list of tokens, counted so that the codes can be made to fit.

use super::forward::{Block, ORDER};
use super::quantiser::Plane;

/// Codes are told by their table and symbol: four tables of 256.
pub(super) const N_CODES: usize = 1024;
/// Most tokens of a sequential block are 65: a code for each coefficient, or less, and the end.
const SLOTS: usize = 128;

/// End of block, and 16 zeros.
pub(super) const END: u32 = 0x00;
pub(super) const ZEROS: u32 = 0xF0;

/// A code, or bits alone: its index in the upper 16 bits, and in the lower what follows the code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Token(u32);

impl Token {
    const fn new(index: u32, bits: u32) -> Self {
        Self(index << 16 | bits)
    }

    /// Table · 256 + symbol, or `N_CODES` + number of bits.
    #[inline]
    pub(super) const fn index(self) -> usize {
        (self.0 >> 16) as usize
    }

    #[inline]
    pub(super) const fn bits(self) -> u32 {
        self.0 & 0xFFFF
    }
}

/// The first index of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tables {
    pub(super) dc: u32,
    pub(super) ac: u32,
}

pub(super) const LUMA: Tables = Tables { dc: 0, ac: 256 };
pub(super) const CHROMA: Tables = Tables { dc: 512, ac: 768 };

pub(super) const fn tables(plane: Plane) -> Tables {
    match plane {
        Plane::Luma => LUMA,
        Plane::Chroma => CHROMA,
    }
}

/// Tokens, and how often each code is among them.
#[derive(Debug)]
pub(super) struct Tokens {
    slots: Vec<Token>,
    length: usize,
    pub(super) counts: Box<[u32; N_CODES]>,
}

impl Tokens {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), length: 0, counts: Box::new([0; N_CODES]) }
    }

    pub(super) fn as_slice(&self) -> &[Token] {
        &self.slots[..self.length]
    }

    pub(super) const fn len(&self) -> usize {
        self.length
    }

    /// Forgets the tokens, but not the counts.
    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    /// Forgets everything.
    pub(super) fn restart(&mut self) {
        self.clear();
        self.counts.fill(0);
    }

    /// Counts every code of a sequential scan once more, so that all of them get one.
    pub(super) fn count_all(&mut self) {
        for Tables { dc, ac } in [LUMA, CHROMA] {
            // A difference of means has up to 11 bits, another coefficient up to 10.
            let sizes = (1..=10).flat_map(|size| (0..16).map(move |run| ac | run << 4 | size));
            for index in (dc..dc + 12).chain([ac | END, ac | ZEROS]).chain(sizes) {
                self.counts[index as usize % N_CODES] += 1;
            }
        }
    }

    /// Adds a code, and the bits that follow it.
    pub(super) fn add(&mut self, index: u32, bits: u32) {
        let mut writer = self.writer();
        writer.symbol(index, bits);
        self.length += writer.length;
    }

    /// Adds a code for the number of bits of the value, and these.
    pub(super) fn add_value(&mut self, index: u32, value: i32) {
        let mut writer = self.writer();
        writer.value(index, value);
        self.length += writer.length;
    }

    /// Adds bits without a code: the lowest `n_bits`, up to 64, the highest of them first.
    pub(super) fn add_bits(&mut self, bits: u64, n_bits: u32) {
        let mut rest = n_bits;
        while rest > 0 {
            let length = rest.min(16);
            rest -= length;
            let piece = (bits >> rest) as u32 & ((1 << length) - 1);
            let writer = self.writer();
            writer.slots[0] = Token::new(N_CODES as u32 + length, piece);
            self.length += 1;
        }
    }

    /// Adds a block; `mean` is the last of its component.
    #[inline]
    pub(super) fn add_block(&mut self, tables: Tables, block: &Block, mean: &mut i16) {
        let mut writer = self.writer();
        writer.value(tables.dc, i32::from(block.coefficients[0]) - i32::from(*mean));
        *mean = block.coefficients[0];
        let mut mask = block.mask;
        let mut next = 1;
        while mask != 0 {
            let bit = mask.trailing_zeros();
            let mut run = bit - next;
            while run >= 16 {
                writer.symbol(tables.ac | ZEROS, 0);
                run -= 16;
            }
            let place = usize::from(ORDER[bit as usize & 63]) & 63;
            writer.value(tables.ac | run << 4, i32::from(block.coefficients[place]));
            next = bit + 1;
            mask &= mask - 1;
        }
        if next < 64 {
            writer.symbol(tables.ac | END, 0);
        }
        self.length += writer.length;
    }

    /// Adds a block beyond the picture's edge: as the last one, without detail.
    pub(super) fn add_blank(&mut self, tables: Tables) {
        let mut writer = self.writer();
        writer.symbol(tables.dc, 0);
        writer.symbol(tables.ac | END, 0);
        self.length += writer.length;
    }

    #[inline]
    fn writer(&mut self) -> Writer<'_> {
        if self.slots.len() < self.length + SLOTS {
            self.slots.resize(self.length + self.length / 2 + 16_384, Token::default());
        }
        let slots = self.slots[self.length..].first_chunk_mut().expect("there are as many slots");
        Writer { slots, length: 0, counts: &mut self.counts }
    }
}

/// The tokens of one block.
struct Writer<'a> {
    slots: &'a mut [Token; SLOTS],
    length: usize,
    counts: &'a mut [u32; N_CODES],
}

impl Writer<'_> {
    #[inline]
    fn symbol(&mut self, index: u32, bits: u32) {
        self.counts[index as usize % N_CODES] += 1;
        self.slots[self.length % SLOTS] = Token::new(index, bits);
        self.length += 1;
    }

    /// A code whose lowest four bits are the number of bits that the value needs, then these bits (T.81 §F.1.2.1).
    #[inline]
    fn value(&mut self, index: u32, value: i32) {
        let size = 32 - value.unsigned_abs().leading_zeros();
        let bits = (value + (value >> 31)).cast_unsigned() & ((1 << size) - 1);
        self.symbol(index | size, bits);
    }
}
