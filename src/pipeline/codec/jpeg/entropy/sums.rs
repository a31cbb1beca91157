//! Blocks of which a picture at a small scale needs no more than one to four coefficients: these and an estimate of what is
//! dropped, in one sum of 64 bits. An entry of the tables adds its value, weighted by the position that it leads to.
//!
//! Coefficients that are kept are in lanes of the sum, exact. Squares of those that are dropped are added up below them: there
//! an entry has several values, of most of which only the first bits are seen. What is not seen counts as the middle of what
//! it can be, and a value that is further from the end of its entry as less, by how quantisers grow on the way. To store
//! all values takes 40 % more time, and tells the variance exactly: over photographs the estimates are right within 3 %
//! on the whole, and the pictures made with them within 0.1 in SSIMULACRA2.

#![expect(unsafe_code, reason = "the loop reads and writes where its tables point, without checks of each access")]
#![expect(clippy::multiple_unsafe_ops_per_block, reason = "a step is one argument about pointers")]

use std::hint::select_unpredictable as select;

use super::head::Head;
use super::huffman::Table;
use super::kind::{Kind, Starts};
use super::program::{Slot, Tables};
use super::reduce::{self, MAX_VARIANCE, Part};
use super::sequential::{Blocks, Component, Kept};
use super::structure::NATURAL;
use super::tables::{APART, END, MAX_ADVANCE, MAX_SYMBOLS, advance};
use crate::simd::Level;

/// Blocks as one sum each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sums;

/// Squares are multiples of 1/4: of one entry at most 65535 of these, and of a value that no entry has at most `MAX_PUT`².
/// Squares of quantisers are below 2^18, so that the sum of 63 stays below the mean at bit 48.
const FRACTION_BITS: u32 = 2;
const MAX_SQUARE: u32 = u16::MAX as u32;
const MAX_PUT: u32 = 4095;
const MAX_WEIGHT: u64 = (1 << 18) - 1;
/// Where the mean is in a sum that has squares, too.
const MEAN_BIT: u32 = 48;

/// Mean squares of values by their size where nothing else of them is seen, in 1/4. Small values are more frequent than
/// large.
const MEAN_SQUARES: [u32; 8] = [0, 4, 24, 112, 480, 1960, 7920, 31_800];
/// Over how many positions squares of one entry are added up.
const MAX_GAP: u32 = 8;

/// Bits that a look-up of AC and DC codes resolves: tables for luma and chroma are 24 KiB, and leave room for slots in a
/// first-level cache of 32. With 11 bits for both, decoding takes 5 % longer.
const BITS: u32 = 11;
const DC_BITS: u32 = 10;
/// The longest entry: three of them, and the bits of the next look-up, are in a word of 64 bits.
const MAX_LENGTH: u32 = 17;

/// What blocks of a component are summed up to.
#[derive(Debug, PartialEq)]
pub(super) struct Weights {
    /// By the position that an entry leads to, also if it ends the block there.
    by_position: [u64; N_POSITIONS],
    /// Positions that are kept are among those up to this.
    last_kept: i32,
    has_squares: bool,
    /// How large a square is that is so many positions nearer to the mean, beside one where an entry ends.
    shares: [f32; MAX_GAP as usize + 1],
}

const N_POSITIONS: usize = END as usize + 64;

impl Weights {
    /// Whether blocks can be kept so.
    pub(super) fn are_for(kept: &[Kept]) -> bool {
        kept.iter().all(|kept| kept.side < 2 || (kept.side == 2 && !kept.wants_variance))
    }

    /// `quantisation` is in zigzag order.
    pub(super) fn new(kept: &Kept, quantisation: &[u16; 64]) -> Self {
        let mut by_position = [0; N_POSITIONS];
        let mut last_kept = 0;
        for (position, &natural) in NATURAL.iter().enumerate() {
            let (x, y) = (usize::from(natural % 8), usize::from(natural / 8));
            let weight = if x < kept.side && y < kept.side {
                last_kept = position as i32;
                1 << if kept.wants_variance { MEAN_BIT as usize } else { 16 * (y * kept.side + x) }
            } else if kept.wants_variance && position > 0 {
                u64::from(quantisation[position]).pow(2).min(MAX_WEIGHT)
            } else {
                0
            };
            by_position[position] = weight;
            by_position[position + END as usize] = weight;
        }
        // Where a block of a mean alone leads to.
        by_position[END as usize - 1] = by_position[0];
        let growth = growth(quantisation);
        let shares = std::array::from_fn(|gap| growth.powi(-(gap as i32)));
        Self { by_position, last_kept, has_squares: kept.wants_variance, shares }
    }
}

/// Coefficients of a corner from a sum, row by row.
pub(super) const fn coefficient(sum: u64, index: usize, has_variance: bool) -> i16 {
    (sum >> if has_variance { MEAN_BIT as usize } else { 16 * index }) as i16
}

/// What the squares in a sum make, estimated.
pub(super) fn variance(sum: u64) -> u16 {
    let squares = sum & ((1 << MEAN_BIT) - 1);
    (squares >> (FRACTION_BITS + 6)).min(u64::from(MAX_VARIANCE)) as u16
}

/// By how much squares of quantisers grow from one position to the next, in the first half of the positions: the rest
/// matters little.
fn growth(quantisation: &[u16; 64]) -> f32 {
    let mean = |range: std::ops::Range<usize>| {
        let logarithms = quantisation[range.clone()].iter().map(|&factor| f32::from(factor.max(1)).ln());
        logarithms.sum::<f32>() / range.len() as f32
    };
    let slope = (mean(17..33) - mean(1..17)) / 16.0;
    (2.0 * slope).exp().clamp(1.0, 1.5)
}

/// The square of a value of which the first bits are known, in 1/4.
fn square(size: u32, bits: u32, n_known: u32) -> Option<u32> {
    if n_known == 0 {
        return MEAN_SQUARES.get(size as usize).copied();
    }
    let unknown = size - n_known;
    let first = super::walk::extended(bits << unknown, size);
    let last = super::walk::extended((bits << unknown) + (1 << unknown) - 1, size);
    // Twice the middle of what is possible, squared.
    (first + last).unsigned_abs().checked_pow(2).filter(|&square| square <= MAX_SQUARE)
}

/// | bits   |                               |
/// |--------|-------------------------------|
/// | 0..8   | bits of all symbols           |
/// | 8..16  | what they add to the position |
/// | 16..32 | the value                     |
///
/// Where only the code of a mean is known, what it adds is `APART`, and the rest is the size of the value.
const fn entry(length: u32, advance: u32, value: u16) -> u32 {
    length | advance << 8 | (value as u32) << 16
}

/// A code that is at the beginning of some bits.
#[derive(Clone, Copy)]
struct Code {
    length: u32,
    size: u32,
    advance: u32,
}

/// Codes by the next `BITS` bits, `None` for longer ones.
fn codes(table: &Table, meaning: impl Fn(u8) -> (u32, u32)) -> Vec<Option<Code>> {
    let mut codes = vec![None; 1 << BITS];
    for (symbol, length, range) in table.beginnings(BITS) {
        let (size, advance) = meaning(symbol);
        codes[range].fill(Some(Code { length, size, advance }));
    }
    codes
}

/// An entry that grows symbol by symbol.
struct Group<'a> {
    weights: &'a Weights,
    /// All bits that are looked at: the first of `BITS`.
    bits: u32,
    n_bits: u32,
    /// The position that it leads to, at least.
    position: i32,
    length: u32,
    advance: u32,
    value: u16,
}

impl<'a> Group<'a> {
    const fn new(weights: &'a Weights, bits: u32, n_bits: u32, position: i32) -> Self {
        Self { weights, bits, n_bits, position, length: 0, advance: 0, value: 0 }
    }

    /// The code that comes next.
    fn next(&self, codes: &[Option<Code>]) -> Option<Code> {
        codes[(self.bits << self.length & (codes.len() as u32 - 1)) as usize]
    }

    /// Adds the symbol that comes next; `None` if that cannot be.
    fn add(&mut self, code: Code) -> Option<()> {
        let n_left = self.n_bits.checked_sub(self.length + code.length)?;
        let n_known = n_left.min(code.size);
        let bits = (self.bits >> (BITS - self.length - code.length - n_known)) & ((1 << n_known) - 1);
        let length = self.length + code.length + code.size;
        let is_end = code.advance == END;
        let (advance, position) = (self.advance + code.advance, self.position + code.advance as i32);
        if length > MAX_LENGTH || (!is_end && advance > MAX_ADVANCE) {
            return None;
        }
        // Behind a value that is kept only the end of the block may follow: all values of an entry count as the last.
        let value = if is_end || (code.size == 0 && self.value == 0) {
            self.value
        } else if code.size > 0 && position > self.weights.last_kept && self.weights.has_squares {
            let share = if self.value == 0 { 0.0 } else { *self.weights.shares.get(code.advance as usize)? };
            let before = (f32::from(self.value) * share) as u32;
            u16::try_from(square(code.size, bits, n_known)? + before).ok()?
        } else if code.size > 0 && position > self.weights.last_kept && self.value == 0 {
            0
        } else if self.value == 0 && n_known == code.size {
            super::walk::extended(bits, code.size) as u16
        } else {
            return None;
        };
        (self.length, self.advance, self.position, self.value) = (length, advance, position, value);
        Some(())
    }

    const fn entry(&self) -> u32 {
        if self.length == 0 { Sums::NONE } else { entry(self.length, self.advance, self.value) }
    }
}

/// By the next bits at the beginning of a block.
fn dc_entry(dc_codes: &[Option<Code>], ac_codes: &[Option<Code>], weights: &Weights, bits: u32) -> u32 {
    let mut group = Group::new(weights, bits << (BITS - DC_BITS), DC_BITS, -1);
    let is_known = |code: &Code| code.length <= DC_BITS && code.size <= 16;
    let Some(code) = group.next(dc_codes).filter(is_known) else { return Sums::NONE };
    if group.add(code).is_none() {
        return entry(code.length, APART, code.size as u16);
    }
    // A block of nothing else.
    let end = group.next(ac_codes).filter(|code| code.advance == END);
    if let Some(length) = end.map(|end| group.length + end.length).filter(|&length| length <= DC_BITS) {
        (group.length, group.advance) = (length, END);
    }
    group.entry()
}

/// By the next bits within a block.
fn ac_entry(codes: &[Option<Code>], weights: &Weights, bits: u32) -> u32 {
    let mut group = Group::new(weights, bits, BITS, 0);
    for _ in 0..MAX_SYMBOLS {
        if group.advance >= END || group.next(codes).and_then(|code| group.add(code)).is_none() {
            break;
        }
    }
    group.entry()
}

impl Head<Sums> {
    /// A mean of which the look-up has shown no more than the code.
    /// # Safety
    /// As for `head::run`.
    #[inline(always)]
    unsafe fn long_mean(&mut self) {
        // SAFETY: the caller's.
        unsafe {
            self.refill();
            let (length, size) = (self.entry & 63, self.entry >> 16);
            let rest = self.word << length;
            Sums::put(self, 0, super::walk::extended((rest >> (64 - size)) as u32, size));
            let n_bits = length + size;
            self.word <<= n_bits;
            self.available = self.available.wrapping_sub(u64::from(n_bits));
            self.refill();
            self.go_on(0);
        }
    }
}

impl Kind for Sums {
    type Entry = u32;
    type Block = u64;
    /// The sum.
    type State = u64;
    type Purpose = Weights;
    type Aid = *const Weights;

    const DC_BITS: u32 = DC_BITS;
    const STEPS: usize = 3;
    const RUN_BLOCKS: usize = 240;
    const EMPTY: u64 = 0;
    const START: u64 = 0;
    const NONE: u32 = APART << 8;

    fn entries(dc: &Table, ac: &Table, weights: &Weights, entries: &mut Vec<u32>) -> Starts {
        let dc_codes = codes(dc, |symbol| (u32::from(symbol), 1));
        let ac_codes = codes(ac, |symbol| (u32::from(symbol & 15), advance(symbol)));
        let start = entries.len();
        entries.extend((0..1 << DC_BITS).map(|bits| dc_entry(&dc_codes, &ac_codes, weights, bits)));
        let ac = entries.len();
        entries.extend((0..1 << BITS).map(|bits| ac_entry(&ac_codes, weights, bits)));
        Starts { dc: start, ac }
    }

    fn aid(weights: &Weights) -> *const Weights {
        weights
    }

    #[inline(always)]
    unsafe fn step(head: &mut Head<Self>, tables: &[Tables]) {
        // SAFETY: the caller's.
        unsafe {
            let entry = head.entry;
            let last = head.position + (entry >> 8 & 0xFF) as isize;
            if last & 64 != 0 {
                std::hint::cold_path();
                if head.position < 0 && entry & 0xFF != 0 {
                    head.long_mean();
                    return;
                }
                // A copy: the address of `head` must not be taken, or it would live in memory.
                *head = head.apart(tables);
                return;
            }
            head.word <<= entry & 63;
            head.available = head.available.wrapping_sub(u64::from(entry));
            let weights = (&raw const (*(*head.slot).aid).by_position).cast::<u64>();
            let weight = weights.offset(last).read();
            head.state = head.state.wrapping_add(u64::from(entry >> 16).wrapping_mul(weight));
            (*head.slot).block = head.state;
            head.go_on(last);
        }
    }

    #[inline(always)]
    unsafe fn look_up(slot: *const Slot<Self>, word: u64, position: isize) -> u32 {
        // SAFETY: the caller's.
        unsafe {
            // As in `coefficients`.
            let ac = (*slot).ac.add((word >> (64 - BITS)) as usize).read_volatile();
            let dc = (*slot).next_dc.add((word >> (64 - DC_BITS)) as usize).read_volatile();
            select(position >= 63, dc, ac)
        }
    }

    fn reduce(_level: Level, part: Part<Self>, component: &Component, prediction: &mut i16, blocks: &mut Blocks) {
        reduce::sums(part, &component.kept, prediction, blocks);
    }

    unsafe fn put(head: &mut Head<Self>, position: usize, value: i32) {
        // SAFETY: the caller's.
        unsafe {
            let weights = &*(*head.slot).aid;
            let weight = weights.by_position[position];
            // Beyond that limit is no value of 8 bits, and the sum could be too large.
            let is_square = weights.has_squares && position > 0;
            let value =
                if is_square { (value.unsigned_abs() * 2).min(MAX_PUT).pow(2) } else { u32::from(value as u16) };
            head.state = head.state.wrapping_add(u64::from(value).wrapping_mul(weight));
            (*head.slot).block = head.state;
        }
    }
}
