//! Look-up tables of the fast decoder: what the next bits of a scan mean, one or more symbols at once.
//!
//! Within a block, the position is that of the last coefficient in zigzag order, -1 before the first. An entry adds to
//! it, so that a position of 63 or more ends the block, and one with bit 6 set cannot be: the end of a block adds
//! `END`, which takes legal positions (0 to 62) to 129..=191, behind anything that coefficients reach (at most 94).

use super::huffman::Table;

/// Bits that a look-up of AC and DC codes resolves. 11 bits are 16 KiB a table: two of them are the first-level cache, and
/// with 9 bits for DC codes decoding takes 2 % longer than with 8.
pub(super) const AC_BITS: u32 = 11;
pub(super) const DC_BITS: u32 = 8;

/// What the end of a block adds to the position.
pub(super) const END: u32 = 129;
/// Added to any position within a block, sets bit 6 of it: an entry that is looked at apart.
pub(super) const APART: u32 = 65;
/// The longest entry: four of them, and the bits of the next look-up, are in a word of 64 bits.
pub(super) const MAX_LENGTH: u32 = 13;
/// The most that symbols before the last of an entry may add.
pub(super) const MAX_ADVANCE: u32 = 32;
/// The most symbols of an entry without values.
pub(super) const MAX_SYMBOLS: usize = 5;

/// What the next bits mean.
///
/// | bits   | one or two symbols         | one whose value does not fit | none            |
/// |--------|----------------------------|------------------------------|-----------------|
/// | 0..8   | bits of all                | bits of the code             | 0               |
/// | 8..16  | what the first adds        | what it adds                 |                 |
/// | 16..32 | value of the first         | 1 - 2^size                   |                 |
/// | 32..48 | value of the last          | 63 - size                    |                 |
/// | 48..56 | bits of the first code, if values are dropped | |              |
/// | 56..64 | what all add               | `APART`                      | `APART`         |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Entry(pub(super) u64);

impl Entry {
    pub(super) const NONE: Self = Self((APART as u64) << 56);

    fn one(length: u32, advance: u32, value: i32) -> Self {
        let value = u64::from(value as u16);
        Self(u64::from(length) | u64::from(advance) << 8 | value << 16 | value << 32 | u64::from(advance) << 56)
    }

    /// One whose value is dropped.
    fn dropped(code_length: u32, size: u32, advance: u32) -> Self {
        Self(Self::one(code_length + size, advance, 0).0 | u64::from(code_length) << 48)
    }

    const fn code_length(self) -> u32 {
        (self.0 >> 48 & 0xFF) as u32
    }

    fn unfinished(length: u32, advance: u32, size: u32) -> Self {
        let offset = u64::from((1i32 - (1 << size)) as u16);
        let shift = u64::from(63 - size);
        Self(u64::from(length) | u64::from(advance) << 8 | offset << 16 | shift << 32 | Self::NONE.0)
    }

    /// This symbol and what follows it.
    fn and(self, last: Self) -> Self {
        let advance = self.total_advance() + last.total_advance();
        let length = u64::from(self.length() + last.length());
        Self(length | self.0 & 0xFFFF_FF00 | last.0 & 0xFFFF << 32 | u64::from(advance) << 56)
    }

    pub(super) const fn length(self) -> u32 {
        (self.0 & 0xFF) as u32
    }

    pub(super) const fn total_advance(self) -> u32 {
        (self.0 >> 56) as u32
    }

    /// Whether it is one symbol whose value does not fit.
    pub(super) const fn is_unfinished(self) -> bool {
        self.total_advance() == APART && self.length() > 0
    }

    const fn is_apart(self) -> bool {
        self.total_advance() == APART
    }

    const fn is_end(self) -> bool {
        self.total_advance() >= END
    }
}

/// What a symbol of AC coefficients adds to the position.
pub(super) const fn advance(symbol: u8) -> u32 {
    match symbol {
        0xF0 => 16,
        _ if symbol & 15 == 0 => END,
        _ => (symbol >> 4) as u32 + 1,
    }
}

/// Which values an AC table yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    Wanted,
    Dropped,
}

/// Entries by the next `DC_BITS` bits.
pub(super) fn dc(table: &Table) -> Vec<Entry> {
    singles(table, DC_BITS, |symbol| (symbol <= 16).then_some((u32::from(symbol), 1)), Values::Wanted)
}

/// Entries by the next `AC_BITS` bits.
pub(super) fn ac(table: &Table, values: Values) -> Vec<Entry> {
    let ones = singles(table, AC_BITS, |symbol| Some((u32::from(symbol & 15), advance(symbol))), values);
    let n_symbols = if values == Values::Wanted { 2 } else { MAX_SYMBOLS };
    let several = |bits: usize| {
        let mut entry = ones[bits];
        for _ in 1..n_symbols {
            if entry.is_apart() || entry.is_end() || entry.total_advance() > MAX_ADVANCE {
                break;
            }
            let next = ones[bits << entry.length() & (ones.len() - 1)];
            // Of a value that is dropped nothing needs to be seen.
            let seen = if values == Values::Wanted { next.length() } else { next.code_length() };
            let is_known = entry.length() + seen <= AC_BITS && entry.length() + next.length() <= MAX_LENGTH;
            if next.is_apart() || !is_known {
                break;
            }
            let total = entry.total_advance() + next.total_advance();
            if !next.is_end() && total > MAX_ADVANCE {
                break;
            }
            entry = entry.and(next);
        }
        entry
    };
    (0..ones.len()).map(several).collect()
}

/// Entries of one symbol each; `meaning` gives the bits of its value and what it adds.
fn singles(table: &Table, bits: u32, meaning: impl Fn(u8) -> Option<(u32, u32)>, values: Values) -> Vec<Entry> {
    let mut entries = vec![Entry::NONE; 1 << bits];
    for (symbol, length, range) in table.beginnings(bits) {
        let Some((size, advance)) = meaning(symbol) else { continue };
        let free = bits - length;
        let entries = &mut entries[range];
        if values == Values::Dropped && length + size <= MAX_LENGTH {
            entries.fill(Entry::dropped(length, size, advance));
        } else if values == Values::Dropped || size > free {
            entries.fill(Entry::unfinished(length, advance, size));
        } else {
            for (entries, value) in entries.chunks_exact_mut(1 << (free - size)).zip(0..) {
                let value = super::walk::extended(value, size);
                entries.fill(Entry::one(length + size, advance, value));
            }
        }
    }
    entries
}
