//! What is made of a scan's headers before it is read: look-up tables, and room for blocks that names them.

use std::rc::Rc;

use super::huffman::Table;
use super::kind::{Kind, Starts};

/// Room for a block.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Slot<K: Kind> {
    /// Tables of the block behind this one.
    pub(super) next_dc: *const K::Entry,
    pub(super) ac: *const K::Entry,
    pub(super) aid: K::Aid,
    /// Which tables this block has.
    pub(super) tables: usize,
    pub(super) block: K::Block,
}

/// The DC and AC tables that a component has in the file.
pub(super) type Tables = (Rc<Table>, Rc<Table>);

/// What a block of an MCU is.
#[derive(Debug, PartialEq)]
pub(super) struct Node<K: Kind> {
    /// Which DC and AC tables.
    pub(super) tables: usize,
    pub(super) purpose: Rc<K::Purpose>,
}

/// The tables of a scan, and which block follows which.
#[derive(Debug)]
pub(super) struct Program<K: Kind> {
    pub(super) tables: Vec<Tables>,
    nodes: Vec<Node<K>>,
    /// What slots point into: never changed once they do.
    entries: Vec<K::Entry>,
    /// Where in them those of each node begin.
    starts: Vec<Starts>,
}

impl<K: Kind> Program<K> {
    pub(super) fn new(tables: Vec<Tables>, nodes: Vec<Node<K>>) -> Self {
        let mut entries = Vec::new();
        let mut starts: Vec<Starts> = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            let same = nodes[..index].iter().position(|other| other == node);
            starts.push(match same {
                Some(other) => starts[other],
                None => {
                    let (dc, ac) = &tables[node.tables];
                    K::entries(dc, ac, &node.purpose, &mut entries)
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
    pub(super) fn slots(&self, n: usize) -> Vec<Slot<K>> {
        let n_nodes = self.nodes.len();
        let at = |index: usize| self.entries.as_ptr().wrapping_add(index);
        let slot = |index: usize| {
            let (node, next) = (index % n_nodes, (index + 1) % n_nodes);
            let Node { tables, ref purpose } = self.nodes[node];
            let (next_dc, ac) = (at(self.starts[next].dc), at(self.starts[node].ac));
            Slot { block: K::EMPTY, next_dc, ac, aid: K::aid(purpose), tables }
        };
        (0..n).map(slot).collect()
    }

    /// What the first bits of an MCU mean.
    pub(super) fn first_entry(&self, word: u64) -> K::Entry {
        self.entries[self.starts[0].dc + (word >> (64 - K::DC_BITS)) as usize]
    }
}
