//! The kernels of the inverse DCT, at every scale from 1/8 to 8/8: of a block's coefficients, the N × N of lowest
//! frequency make N × N samples.
//!
//! Samples are the orthonormal N × N inverse DCT of dequantised coefficients times N / 8, plus 128, rounded and held
//! within 0..=255. Dequantised are the low 16 bits of coefficient times factor, with sign.
//!
//! - N = 8 equals libjpeg's accurate integer method ("islow") bit for bit wherever what lies between its passes is
//!   within 16 bits, as it is for whatever was a picture before it was quantised; beyond, it is held at their ends.
//! - N = 1 and N = 2 are exact: rounded to nearest, halves up. Sums of four are taken in 16 bits and wrap.
//! - The others are within 1 of the real formula, rounding included, for coefficients of up to ±300 everywhere (more than
//!   a picture has), by the same fixed point and passes as N = 8.
//!
//! Coefficients that no picture has make arbitrary samples, and the same at every level.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod basis;
mod scalar;
#[cfg(test)]
mod tests;

use crate::simd::Level;

/// Where the blocks of one row of blocks lie among the coefficients.
#[derive(Clone, Copy, Debug)]
pub struct BlockRow {
    /// The first coefficient of the first group.
    pub first: usize,
    /// From a group to the next, in coefficients.
    pub step: usize,
    /// Blocks that follow each other immediately: those of a component in a row of an MCU.
    pub per_group: usize,
    /// Groups: one an MCU.
    pub n_groups: usize,
}

/// Writes `side` rows of `n_groups · per_group · side` samples, which lie `stride` bytes apart. A block is `side · side`
/// coefficients as stored, not yet dequantised, in natural order row by row; `quantisation` has their factors in the same
/// order.
/// # Panics
/// If `side` is not 1 to 8, the number of factors is not that of a block's coefficients, rows of samples overlap, or a
/// slice is too short.
pub fn inverse(
    level: Level,
    side: usize,
    coefficients: &[i16],
    blocks: BlockRow,
    quantisation: &[i16],
    samples: &mut [u8],
    stride: usize,
) {
    assert!((1..=8).contains(&side), "blocks of {side} × {side}");
    assert_eq!(quantisation.len(), side * side);
    let n_blocks = blocks.n_blocks();
    if n_blocks == 0 {
        return;
    }
    let width = n_blocks * side;
    assert!(side == 1 || width <= stride, "rows of {width} samples overlap");
    assert!(blocks.end(side) <= coefficients.len(), "{blocks:?} are not in {} coefficients", coefficients.len());
    assert!((side - 1) * stride + width <= samples.len(), "{} bytes are too few", samples.len());
    let blocks = if blocks.step == blocks.per_group * side * side {
        // Without gaps all blocks are one group.
        BlockRow { per_group: n_blocks, n_groups: 1, ..blocks }
    } else {
        blocks
    };
    match level {
        Level::Scalar => scalar::inverse(side, coefficients, blocks, quantisation, samples, stride),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(cpu) => avx2::inverse(cpu, side, coefficients, blocks, quantisation, samples, stride),
    }
}

impl BlockRow {
    const fn n_blocks(self) -> usize {
        self.n_groups * self.per_group
    }

    /// The end of the last block; there is one.
    const fn end(self, side: usize) -> usize {
        self.first + (self.n_groups - 1) * self.step + self.per_group * side * side
    }

    /// Where the blocks begin, from one of them on.
    fn offsets(self, side: usize, from: usize) -> Offsets {
        let (group, column) = (from / self.per_group, from % self.per_group);
        let area = side * side;
        Offsets { group: self.first + group * self.step, column, blocks: self, area }
    }
}

/// Where blocks begin.
struct Offsets {
    blocks: BlockRow,
    area: usize,
    /// Where the group of the next block begins, and which of its blocks that is.
    group: usize,
    column: usize,
}

impl Offsets {
    /// Where the next block begins.
    #[inline]
    const fn step(&mut self) -> usize {
        let offset = self.group + self.column * self.area;
        self.column += 1;
        if self.column == self.blocks.per_group {
            self.column = 0;
            self.group += self.blocks.step;
        }
        offset
    }
}
