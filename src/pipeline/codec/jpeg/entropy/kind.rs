//! What a reader makes of the symbols of a block.

#![expect(unsafe_code, reason = "what a step reads and writes is up to its caller")]

use std::fmt::Debug;

use super::head::Head;
use super::huffman::Table;
use super::program::{Slot, Tables};
use super::reduce::Part;
use super::sequential::{Blocks, Component};
use crate::simd::Level;

/// A way to keep blocks: which look-up tables the inner loop has, and what an entry of them does.
pub(super) trait Kind: Copy + Debug + PartialEq + 'static {
    /// What the next bits mean.
    type Entry: Copy + Debug;
    /// What is kept of a block.
    type Block: Copy + Debug;
    /// What the loop carries from one symbol of a block to the next.
    type State: Copy + Debug;
    /// What blocks at a place of the MCU are wanted for.
    type Purpose: Debug + PartialEq;
    /// What a slot holds beside the block for the inner loop.
    type Aid: Copy + Debug;

    /// Bits that a look-up of DC codes resolves.
    const DC_BITS: u32;
    /// Entries between two refills, 3 or 4: all their bits and those of the next look-up are in a word of 64.
    const STEPS: usize;
    /// Blocks that are decoded before they are reduced: beside the tables in the first-level cache.
    const RUN_BLOCKS: usize;
    /// A block before it is decoded.
    const EMPTY: Self::Block;
    /// The state before the first symbol of a block.
    const START: Self::State;
    /// An entry that is to be looked at apart.
    const NONE: Self::Entry;

    /// Appends the entries of tables that are used for a purpose: those by the next `DC_BITS` bits first.
    fn entries(dc: &Table, ac: &Table, purpose: &Self::Purpose, entries: &mut Vec<Self::Entry>) -> Starts;

    /// For the slots of blocks with this purpose, which stays where it is as long as they live.
    fn aid(purpose: &Self::Purpose) -> Self::Aid;

    /// One entry: one or more symbols.
    /// # Safety
    /// As for `head::run`; the entry of the head is one of those that the slot names.
    unsafe fn step(head: &mut Head<Self>, tables: &[Tables]);

    /// What the next bits mean, behind this position of the block in the slot, or behind the block.
    /// # Safety
    /// The slot is one of a reader.
    unsafe fn look_up(slot: *const Slot<Self>, word: u64, position: isize) -> Self::Entry;

    /// Appends what is kept of a component, and leaves its slots empty. Means are told as differences; `prediction` is the last sum of them.
    fn reduce(level: Level, part: Part<Self>, component: &Component, prediction: &mut i16, blocks: &mut Blocks);

    /// Takes one value, which is not 0, at a position from 0 to 63 in zigzag order.
    /// # Safety
    /// As for `head::run`.
    unsafe fn put(head: &mut Head<Self>, position: usize, value: i32);
}

/// Where among all entries those of a DC and an AC table begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Starts {
    pub(super) dc: usize,
    pub(super) ac: usize,
}
