//! What both searches share: eight bytes at once, and whether a repetition is worth its bits.

use super::block::{Costs, distance_symbol};

/// How far a repetition may lie back, and its greatest length.
pub(super) const WINDOW: usize = 1 << 15;
pub(super) const MAX_LENGTH: usize = 258;
/// No position is the first.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Equal bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Match {
    pub(super) length: usize,
    pub(super) distance: usize,
}

impl Match {
    /// Whether it takes fewer bits than its bytes as literals would, by at least `margin`.
    pub(super) fn is_worth(self, bytes: &[u8], position: usize, costs: &Costs, margin: u32) -> bool {
        let distance = distance_symbol(self.distance);
        let cost = u32::from(costs.lengths[self.length]) + u32::from(costs.distances[distance]);
        // What is longer is worth it in any case.
        let literals = &bytes[position..position + self.length.min(32)];
        let saved: u32 = literals.iter().map(|&byte| u32::from(costs.literals[usize::from(byte)])).sum();
        cost + margin < saved || self.length > 64
    }

    /// Begins earlier, as long as the bytes before are equal, too.
    pub(super) fn backwards(mut self, bytes: &[u8], first: usize, mut at: usize) -> (usize, Self) {
        while at > first
            && self.length < MAX_LENGTH
            && at > self.distance
            && bytes[at - 1] == bytes[at - 1 - self.distance]
        {
            at -= 1;
            self.length += 1;
        }
        (at, self)
    }
}

/// Eight bytes, the first in the lowest.
#[inline]
pub(super) fn word(bytes: &[u8], position: usize) -> u64 {
    u64::from_le_bytes(*bytes[position..position + 8].first_chunk().expect("eight bytes"))
}

/// Of the next `count` bytes, at most 8.
#[inline]
pub(super) const fn hash(word: u64, count: usize, bits: u32) -> usize {
    ((word << (64 - 8 * count)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - bits)) as usize
}

/// Bits of a hash for so many bytes: a place for each, up to a limit.
pub(super) const fn hash_bits(length: usize, most: u32) -> u32 {
    let bits = (length | 255).ilog2() + 1;
    if bits < most { bits } else { most }
}

/// How many bytes are equal from two places on, at most `most`.
#[inline]
pub(super) fn common(bytes: &[u8], at: usize, position: usize, most: usize) -> usize {
    let mut length = 0;
    while length + 8 <= most {
        let difference = word(bytes, at + length) ^ word(bytes, position + length);
        if difference != 0 {
            return length + difference.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    while length < most && bytes[at + length] == bytes[position + length] {
        length += 1;
    }
    length
}
