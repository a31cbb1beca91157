//! What is made of a scan's headers before it is read: look-up tables, and room for blocks that names them.

use std::rc::Rc;

use super::huffman::Table;
use super::structure::NATURAL;
use super::tables::{self, DC_BITS, Entry, Values};

/// Where the value of a zigzag position belongs in a slot, in bytes: natural order (ITU-T T.81 Figure A.6). What is at
/// the end of a block goes beside the coefficients.
pub(super) type Offsets = [u8; 256];

pub(super) const OFFSETS: Offsets = {
    let mut offsets = [UNUSED as u8; 256];
    let mut position = 0;
    while position < 64 {
        offsets[position] = NATURAL[position] * 2;
        position += 1;
    }
    offsets
};

const UNUSED: usize = std::mem::offset_of!(Slot, unused);

/// Room for a block.
#[derive(Clone, Debug)]
#[repr(C, align(32))]
pub(super) struct Slot {
    /// In natural order; the first is the difference to the block of the component before. Zeros before decoding.
    pub(super) coefficients: [i16; 64],
    /// Tables of the block behind this one.
    pub(super) next_dc: *const Entry,
    pub(super) ac: *const Entry,
    unused: [i16; 4],
    /// Which tables this block has.
    pub(super) tables: usize,
}

impl Slot {
    pub(super) const fn new(next_dc: *const Entry, ac: *const Entry, tables: usize) -> Self {
        Self { coefficients: [0; 64], next_dc, ac, unused: [0; 4], tables }
    }
}

/// The DC and AC tables that a component has in the file.
pub(super) type Tables = (Rc<Table>, Rc<Table>);

/// What the blocks of an MCU are, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// Which DC and AC tables, and whether its AC values are wanted.
    pub(super) tables: usize,
    pub(super) values: Values,
}

/// The tables of a scan, and which block follows which.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) tables: Vec<Tables>,
    nodes: Vec<Node>,
    /// What slots point into: never changed once they do.
    entries: Vec<Entry>,
    /// Where in them the DC and AC entries of each node begin.
    starts: Vec<(usize, usize)>,
}

impl Program {
    pub(super) fn new(tables: Vec<Tables>, nodes: Vec<Node>) -> Self {
        let mut entries = Vec::new();
        let mut starts: Vec<(usize, usize)> = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            let same = nodes[..index].iter().position(|other| other == node);
            starts.push(match same {
                Some(other) => starts[other],
                None => {
                    let dc = entries.len();
                    tables::dc(&tables[node.tables].0, &mut entries);
                    let ac = entries.len();
                    tables::ac(&tables[node.tables].1, node.values, &mut entries);
                    (dc, ac)
                }
            });
        }
        Self { tables, nodes, entries, starts }
    }

    /// Blocks of an MCU.
    pub(super) fn n_nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The first `n` slots, of whole MCUs one after the other. They point into this program.
    pub(super) fn slots(&self, n: usize) -> Vec<Slot> {
        let n_nodes = self.nodes.len();
        let at = |index: usize| &raw const self.entries[index];
        let slot = |index: usize| {
            let (node, next) = (index % n_nodes, (index + 1) % n_nodes);
            Slot::new(at(self.starts[next].0), at(self.starts[node].1), self.nodes[node].tables)
        };
        (0..n).map(slot).collect()
    }

    /// What the first bits of an MCU mean.
    pub(super) fn first_entry(&self, word: u64) -> Entry {
        self.entries[self.starts[0].0 + (word >> (64 - DC_BITS)) as usize]
    }
}
