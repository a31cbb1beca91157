//! Blocks with their coefficients, each where it belongs.

#![expect(unsafe_code, reason = "the loop reads and writes where its tables point, without checks of each access")]
#![expect(clippy::multiple_unsafe_ops_per_block, reason = "a step is one argument about pointers")]

use std::hint::select_unpredictable as select;

use super::head::Head;
use super::huffman::Table;
use super::kind::{Kind, Starts};
use super::program::{Slot, Tables};
use super::reduce::{self, Part};
use super::sequential::{Blocks, Component};
use super::structure::NATURAL;
use super::tables::{self, Entry, Values};
use crate::simd::Level;

/// Coefficients in natural order; the first is the difference to the block of the component before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coefficients;

#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub(super) struct Block(pub(super) [i16; 64]);

/// Where the value of a zigzag position belongs in a slot, in bytes: natural order (ITU-T T.81 Figure A.6). What is at
/// the end of a block goes beside the coefficients.
static OFFSETS: [u8; 256] = {
    let mut offsets = [std::mem::offset_of!(Slot<Coefficients>, aid) as u8; 256];
    let mut position = 0;
    while position < 64 {
        offsets[position] = std::mem::offset_of!(Slot<Coefficients>, block) as u8 + NATURAL[position] * 2;
        position += 1;
    }
    offsets
};

impl Kind for Coefficients {
    type Entry = u64;
    type Block = Block;
    type State = ();
    type Purpose = Values;
    /// Not read.
    type Aid = [i16; 4];

    const DC_BITS: u32 = tables::DC_BITS;
    const STEPS: usize = 4;
    const RUN_BLOCKS: usize = 48;
    const EMPTY: Block = Block([0; 64]);
    const START: () = ();
    const NONE: u64 = Entry::NONE.0;

    fn entries(dc: &Table, ac: &Table, purpose: &Values, entries: &mut Vec<u64>) -> Starts {
        let (dc_start, ac_start) = (entries.len(), entries.len() + (1 << Self::DC_BITS));
        entries.extend(tables::dc(dc).iter().chain(&tables::ac(ac, *purpose)).map(|entry| entry.0));
        Starts { dc: dc_start, ac: ac_start }
    }

    fn aid(_purpose: &Values) -> [i16; 4] {
        [0; 4]
    }

    #[inline(always)]
    unsafe fn step(head: &mut Head<Self>, tables: &[Tables]) {
        // SAFETY: the caller's.
        unsafe {
            let entry = head.entry;
            let first = head.position + (entry >> 8 & 0xFF) as isize;
            let mut last = head.position + (entry >> 56) as isize;
            let slot = head.slot.cast::<u8>();
            if last & 64 != 0 {
                std::hint::cold_path();
                if !Entry(entry).is_unfinished() || first & 64 != 0 {
                    // A copy: the address of `head` must not be taken, or it would live in memory.
                    *head = head.apart(tables);
                    return;
                }
                head.refill();
                let rest = head.word << (entry & 63);
                let shift = entry >> 32 & 63;
                let value =
                    ((rest >> 1 >> shift) as i16).wrapping_add(!((rest as i64 >> 63) as i16) & (entry >> 16) as i16);
                slot.add(usize::from(*OFFSETS.as_ptr().offset(first))).cast::<i16>().write(value);
                let length = (entry & 63) + 63 - shift;
                head.word <<= length & 63;
                head.available = head.available.wrapping_sub(length);
                head.refill();
                last = first;
            } else {
                head.word <<= entry & 63;
                head.available = head.available.wrapping_sub(entry);
                slot.add(usize::from(*OFFSETS.as_ptr().offset(first))).cast::<i16>().write((entry >> 16) as i16);
                slot.add(usize::from(*OFFSETS.as_ptr().offset(last))).cast::<i16>().write((entry >> 32) as i16);
            }
            head.go_on(last);
        }
    }

    #[inline(always)]
    unsafe fn look_up(slot: *const Slot<Self>, word: u64, position: isize) -> u64 {
        // SAFETY: the caller's.
        unsafe {
            // Both entries are read, and the right one taken: reading from a selected table would be slower. LLVM would
            // do just that if it were allowed.
            let ac = (*slot).ac.add((word >> (64 - tables::AC_BITS)) as usize).read_volatile();
            let dc = (*slot).next_dc.add((word >> (64 - Self::DC_BITS)) as usize).read_volatile();
            select(position >= 63, dc, ac)
        }
    }

    fn reduce(level: Level, part: Part<Self>, component: &Component, prediction: &mut i16, blocks: &mut Blocks) {
        reduce::coefficients(level, part, &component.kept, component.weights.as_ref(), prediction, blocks);
    }

    unsafe fn put(head: &mut Head<Self>, position: usize, value: i32) {
        // SAFETY: the caller's.
        unsafe { (*head.slot).block.0[usize::from(NATURAL[position])] = value as i16 };
    }
}
