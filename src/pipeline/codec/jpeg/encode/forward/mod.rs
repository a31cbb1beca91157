//! The kernel from samples to quantised coefficients: the DCT of 8×8 samples, as Arai, Agui and Nakajima factor it
//! ("A fast DCT-SQ scheme for images", 1988), in `f32` in a fixed order, columns first; the scales that it leaves are
//! part of the factors of quantisation.
//!
//! A coefficient becomes `m`, its whole multiples of 1/16 of the quantisation step, rounded towards 0 and kept within
//! `i16`. Its value is `sign(m) · ((|m| + 8) >> 4)`. Whether it counts is another question, which
//! `Block::mask` answers: if `|m|` is above `Quantiser::zero`, and, unless it is above `Quantiser::weak`, if one of
//! its neighbours in zigzag order has more than `zero` as well.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod scalar;
#[cfg(test)]
mod tests;

use crate::simd::Level;

/// Coefficients of a block, in the order of the kernel: `8 · u + v` for the horizontal frequency `u` and the vertical
/// `v`, which saves a second transposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) struct Block {
    /// Quantised; those that the mask leaves out count as 0.
    pub(super) coefficients: [i16; 64],
    /// A bit for each coefficient that counts, by its place in zigzag order; that of the mean, bit 0, means nothing.
    pub(super) mask: u64,
}

impl Block {
    pub(in crate::pipeline) const EMPTY: Self = Self { coefficients: [0; 64], mask: 0 };
}

/// How coefficients are quantised, all tables in the order of `Block::coefficients`.
#[derive(Clone, Debug)]
pub(in crate::pipeline) struct Quantiser {
    /// From the transform's scale to 1/16 of the step.
    pub(super) factors: [f32; 64],
    /// What is taken off the sum of the 64 samples: 64 · 128 · 128 for luma.
    pub(super) offset: f32,
    /// Largest `|m|` that is no coefficient; at least 7.
    pub(super) zero: [i16; 64],
    /// Largest `|m|` of a coefficient that does not count alone.
    pub(super) weak: [i16; 64],
}

/// The place of each coefficient in zigzag order, within `Block::coefficients` (T.81 figure A.6, transposed).
pub(super) const ORDER: [u8; 64] = [
    0, 8, 1, 2, 9, 16, 24, 17, 10, 3, 4, 11, 18, 25, 32, 40, 33, 26, 19, 12, 5, 6, 13, 20, 27, 34, 41, 48, 56, 49, 42,
    35, 28, 21, 14, 7, 15, 22, 29, 36, 43, 50, 57, 58, 51, 44, 37, 30, 23, 31, 38, 45, 52, 59, 60, 53, 46, 39, 47, 54,
    61, 62, 55, 63,
];

/// 1/√2, and three sines and cosines of π/8 as the factorisation combines them.
const C4: f32 = 0.707_106_77;
const C6: f32 = 0.382_683_43;
const C2_MINUS_C6: f32 = 0.541_196_1;
const C2_PLUS_C6: f32 = 1.306_563;

/// Transforms a row of blocks that lie side by side. `samples` are eight rows of at least eight samples a block.
/// # Panics
/// If the rows are shorter.
pub(in crate::pipeline) fn transform(level: Level, samples: &[i16], quantiser: &Quantiser, blocks: &mut [Block]) {
    let stride = samples.len() / 8;
    assert!(stride >= 8 * blocks.len(), "{} blocks in rows of {stride}", blocks.len());
    match level {
        Level::Scalar => scalar::transform(samples, stride, quantiser, blocks),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(cpu) => avx2::transform(cpu, samples, stride, quantiser, blocks),
    }
}

/// Leaves out what is weak and alone.
#[inline]
const fn counting(above_zero: u64, weak: u64) -> u64 {
    let coefficients = above_zero & !1;
    let is_near = coefficients << 1 | coefficients >> 1 | coefficients << 2 | coefficients >> 2;
    coefficients & !(weak & !is_near)
}
