//! The search for data in which much repeats: all places of a hash in the window, the nearest first, and a look at
//! what begins a byte later.

use super::block::{Block, Costs};
use super::weigh::{MAX_LENGTH, Match, NOWHERE, WINDOW, common, hash, hash_bits, word};

/// Three bytes seldom cost less as a repetition.
const MIN_LENGTH: usize = 4;
const HASH_BITS: u32 = 15;
/// A repetition this long is taken without a look at what begins a byte later.
const GOOD_LENGTH: usize = 32;
/// Positions without a repetition after which steps become longer by one, and the longest step.
const PATIENCE: usize = 256;
const MAX_STEP: usize = 4;

/// The places of earlier bytes by hash.
#[derive(Debug)]
pub(super) struct Thorough {
    heads: Vec<u32>,
    hash_bits: u32,
    /// The place before each with the same hash, by the lower bits of its position: a power of two.
    previous: Vec<u32>,
    /// Candidates that are looked at.
    depth: usize,
}

impl Thorough {
    /// Looks at `depth` candidates; for so many bytes.
    pub(super) fn new(depth: usize, length: usize) -> Self {
        let hash_bits = hash_bits(length, HASH_BITS);
        let previous = vec![NOWHERE; length.next_power_of_two().min(WINDOW)];
        Self { heads: vec![NOWHERE; 1 << hash_bits], hash_bits, previous, depth }
    }

    /// Finds the repetitions of a block that begins at `start`; gives its end.
    pub(super) fn block(&mut self, bytes: &[u8], start: usize, costs: &Costs, block: &mut Block) -> usize {
        // Where eight bytes can be read.
        let last = bytes.len().saturating_sub(8);
        let (mut position, mut first_literal, mut misses) = (start, start, 0);
        while position < last && block.has_room(position - first_literal) {
            let found = self.find(bytes, position, MIN_LENGTH - 1);
            if found.length < MIN_LENGTH {
                misses += 1;
                position += (1 + misses / PATIENCE).min(MAX_STEP);
                continue;
            }
            let (at, found) = self.better_later(bytes, position, found);
            let (at, found) = found.backwards(bytes, first_literal, at);
            if !found.is_worth(bytes, at, costs, 0) {
                misses += 1;
                position += 1;
                continue;
            }
            misses = 0;
            block.push(&bytes[first_literal..at], found.length, found.distance);
            first_literal = at + found.length;
            // The insides of a long repetition are found by those of what it repeats.
            let from = if found.length > 64 { first_literal - 8 } else { position + 1 };
            for inner in from.max(position + 1)..first_literal.min(last) {
                self.insert(bytes, inner);
            }
            position = first_literal;
        }
        let end = if position < last { position } else { bytes.len() };
        block.end(&bytes[first_literal..end]);
        end
    }

    /// Looks whether a longer repetition begins a byte later.
    fn better_later(&mut self, bytes: &[u8], position: usize, found: Match) -> (usize, Match) {
        if found.length >= GOOD_LENGTH || position + 9 >= bytes.len() {
            return (position, found);
        }
        let most = MAX_LENGTH.min(bytes.len() - position - 1);
        let candidate = self.heads[hash(word(bytes, position + 1), MIN_LENGTH, self.hash_bits)];
        let later = self.longest(bytes, position + 1, candidate, most, found.length);
        if later.length > found.length { (position + 1, later) } else { (position, found) }
    }

    /// The longest repetition that begins here and is longer than `length`; the place itself is remembered.
    fn find(&mut self, bytes: &[u8], position: usize, length: usize) -> Match {
        let candidate = self.insert(bytes, position);
        self.longest(bytes, position, candidate, MAX_LENGTH.min(bytes.len() - position), length)
    }

    fn longest(&self, bytes: &[u8], position: usize, mut candidate: u32, most: usize, length: usize) -> Match {
        let mut best = Match { length, distance: 0 };
        let here = word(bytes, position) as u32;
        for _ in 0..self.depth {
            let at = candidate as usize;
            let distance = position.wrapping_sub(at);
            if distance.wrapping_sub(1) >= WINDOW || best.length >= most {
                break;
            }
            // The four bytes that would make it longer are compared first.
            let tail = best.length - 3;
            let could_be = word_32(bytes, at + tail) == word_32(bytes, position + tail);
            if could_be && word(bytes, at) as u32 == here {
                let length = common(bytes, at, position, most);
                if length > best.length {
                    best = Match { length, distance };
                }
            }
            candidate = self.previous[at & (self.previous.len() - 1)];
        }
        if best.distance == 0 { Match::default() } else { best }
    }

    /// Remembers a place; gives the one before.
    fn insert(&mut self, bytes: &[u8], position: usize) -> u32 {
        let head = &mut self.heads[hash(word(bytes, position), MIN_LENGTH, self.hash_bits)];
        let before = std::mem::replace(head, position as u32);
        let mask = self.previous.len() - 1;
        self.previous[position & mask] = before;
        before
    }
}

fn word_32(bytes: &[u8], position: usize) -> u32 {
    u32::from_le_bytes(*bytes[position..position + 4].first_chunk().expect("four bytes"))
}
