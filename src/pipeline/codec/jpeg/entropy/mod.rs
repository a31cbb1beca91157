//! Entropy-coded data of JPEG scans (ITU-T T.81 Annexes F and G). `walk` reads symbol by symbol what any scan holds: to
//! check that no block is missing, and as the reference. `sequential` decodes sequential scans, which is most of the
//! time that a large picture takes, and keeps of each block what a smaller picture needs.

mod ahead;
mod bits;
mod coefficients;
mod head;
mod kind;
mod program;
mod reduce;
mod sequential;
mod stream;
mod sums;
mod tables;
mod walk;
mod window;

use super::{DecodeError, huffman, structure, unstuff};

pub(super) use ahead::MAX_BYTES as MAX_AHEAD_BYTES;
pub(super) use bits::BitStream;
pub(super) use reduce::MAX_VARIANCE;
pub(super) use sequential::{Blocks, Kept, Sequential};
#[cfg(test)]
pub(super) use walk::Bits;
#[cfg(test)]
pub(super) use walk::sequential_block;
pub(super) use walk::{Coding, check, coding, extended};

#[cfg(test)]
mod tests;
