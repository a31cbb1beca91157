//! The search for data in which hardly anything repeats: one candidate for each hash of six bytes, and longer steps where
//! nothing is found. Filtered photographs are compressed by their code alone; this finds the sky and the border.

use super::block::{Block, Costs};
use super::weigh::{MAX_LENGTH, Match, NOWHERE, WINDOW, common, hash, hash_bits, word};

const MIN_LENGTH: usize = 6;
const HASH_BITS: u32 = 14;
/// Positions without a repetition after which steps become longer by one, and the longest step.
const PATIENCE: usize = 32;
const MAX_STEP: usize = 12;
/// Bits that a repetition has to save: each makes the codes of all others longer.
const MARGIN: u32 = 6;

/// The last place of each hash.
#[derive(Debug)]
pub(super) struct Quick {
    heads: Vec<u32>,
    hash_bits: u32,
}

impl Quick {
    /// For so many bytes: a small picture would wait for a large table to be cleared.
    pub(super) fn new(length: usize) -> Self {
        let hash_bits = hash_bits(length, HASH_BITS);
        Self { heads: vec![NOWHERE; 1 << hash_bits], hash_bits }
    }

    /// Finds the repetitions of a block that begins at `start`; gives its end.
    pub(super) fn block(&mut self, bytes: &[u8], start: usize, costs: &Costs, block: &mut Block) -> usize {
        let last = bytes.len().saturating_sub(8);
        let (mut position, mut first_literal, mut misses) = (start, start, 0);
        while position < last && block.has_room(position - first_literal) {
            let here = word(bytes, position);
            let head = &mut self.heads[hash(here, MIN_LENGTH, self.hash_bits)];
            let candidate = std::mem::replace(head, position as u32) as usize;
            let distance = position.wrapping_sub(candidate);
            if distance <= WINDOW && (word(bytes, candidate) ^ here) << (64 - 8 * MIN_LENGTH) == 0 {
                let length = common(bytes, candidate, position, MAX_LENGTH.min(bytes.len() - position));
                let (at, found) = Match { length, distance }.backwards(bytes, first_literal, position);
                if found.is_worth(bytes, at, costs, MARGIN) {
                    block.push(&bytes[first_literal..at], found.length, distance);
                    position = at + found.length;
                    first_literal = position;
                    misses = 0;
                    continue;
                }
            }
            misses += 1;
            position += (1 + misses / PATIENCE).min(MAX_STEP);
        }
        let end = if position < last { position } else { bytes.len() };
        block.end(&bytes[first_literal..end]);
        end
    }
}
