//! Deflate for scanlines (RFC 1950, 1951): made for speed on two kinds of data, filtered photographs, in which hardly
//! anything repeats, and drawings, in which nearly everything does.
//!
//! What a repetition saves is weighed by the codes of the block before: a far one of four bytes costs more than four
//! literals of filtered data.

mod bits;
mod block;
mod huffman;
mod quick;
mod thorough;
mod weigh;

use bits::Bits;
use block::{Block, Costs};
use quick::Quick;
use thorough::Thorough;

/// How repetitions are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// As for data that hardly repeats.
    Quick,
    /// As for data that repeats much, among so many candidates.
    Thorough(usize),
}

enum Matcher {
    Quick(Quick),
    Thorough(Thorough),
}

/// Appends a zlib stream of all bytes to `out`.
pub(super) fn compress(bytes: &[u8], search: Search, mut out: Vec<u8>) -> Vec<u8> {
    // Method deflate, a window of 32 KiB, no hint of the level.
    out.extend_from_slice(&[0x78, 0x01]);
    let mut bits = Bits::behind(out);
    let mut matcher = match search {
        Search::Quick => Matcher::Quick(Quick::new(bytes.len())),
        Search::Thorough(depth) => Matcher::Thorough(Thorough::new(depth, bytes.len())),
    };
    let mut costs = Costs::guessed();
    let mut block = Block::new();
    let mut start = 0;
    loop {
        block.clear();
        let end = match &mut matcher {
            Matcher::Quick(quick) => quick.block(bytes, start, &costs, &mut block),
            Matcher::Thorough(thorough) => thorough.block(bytes, start, &costs, &mut block),
        };
        let is_last = end == bytes.len();
        costs = block.write(&bytes[start..end], is_last, &mut bits);
        start = end;
        if is_last {
            break;
        }
    }
    bits.reserve(4);
    bits.align();
    bits.bytes(&simd_adler32::adler32(&bytes).to_be_bytes());
    bits.finish()
}

#[cfg(test)]
mod tests;
