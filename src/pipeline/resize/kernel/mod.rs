//! The kernels of both passes. Samples are 16 bits with a sign, weights up to 16; a sum of products in 32 bits is
//! rounded to nearest after each pass and saturates. All weights of an output sample add up to one, so that an offset
//! of the samples (black is not 0, see `color::curve`) passes unchanged.
//!
//! Rows come in pairs, and in a row each channel is a plane. 8 output rows are made at once:
//!
//! ```text
//! two source rows a, b, 16 pixels (a strip): a0 b0 a1 b1 a2 b2 … a15 b15
//! vertical   → 8 output rows 0..8, 2 pixels: row 0: x0 x1, row 1: x0 x1, … row 7: x0 x1
//! horizontal → 8 output rows, 1 pixel:       row 0, row 1, … row 7
//! ```
//!
//! So both passes multiply pairs by pairs of weights that are the same in all lanes, and nothing is added across lanes.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod scalar;
#[cfg(test)]
mod tests;

use super::weights::Axis;
use crate::simd::Level;

/// 16 pixels of a channel in two rows, alternating.
pub(in crate::pipeline) type Strip = [[i16; 16]; 2];
/// 2 pixels of a channel in 8 rows.
pub(in crate::pipeline) type PixelPair = [i16; 16];
/// 1 pixel of a channel in 8 rows.
pub(in crate::pipeline) type Column = [i16; 8];

/// Output rows that are made at once.
pub(in crate::pipeline) const ROWS: usize = 8;
/// Pairs of pixels in a strip.
pub(in crate::pipeline) const PAIRS: usize = 8;

/// The window of source rows that 8 output rows are made of.
#[derive(Clone, Copy, Debug)]
pub(in crate::pipeline) struct Lines<'a> {
    pub(in crate::pipeline) strips: &'a [Strip],
    /// Where each pair of rows begins in `strips`, from the pair `first` on.
    pub(in crate::pipeline) starts: &'a [usize],
    pub(in crate::pipeline) first: usize,
}

/// Makes the output rows `top..top + 8` (those below the last are 0) of as many strips
/// as `turned` has room for.
/// # Panics
/// If a pair of rows that is needed is not in the window.
pub(in crate::pipeline) fn vertical(
    level: Level,
    lines: Lines,
    axis: &Axis,
    top: u32,
    turned: &mut [[PixelPair; PAIRS]],
) {
    match level {
        Level::Scalar => scalar::vertical(lines, axis, top, turned),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(cpu) => avx2::vertical(cpu, lines, axis, top, turned),
    }
}

/// Makes 8 rows of output pixels, channels interleaved. Each of the planes in `turned` is `plane` pairs long.
/// # Panics
/// If `columns` is not the axis times 1 to 4 channels, or a plane too short.
pub(in crate::pipeline) fn horizontal(
    level: Level,
    turned: &[PixelPair],
    plane: usize,
    axis: &Axis,
    columns: &mut [Column],
) {
    let channels = columns.len() / axis.len() as usize;
    assert_eq!(channels * axis.len() as usize, columns.len());
    match (level, channels) {
        (Level::Scalar, 1) => scalar::horizontal::<1>(turned, plane, axis, columns),
        (Level::Scalar, 2) => scalar::horizontal::<2>(turned, plane, axis, columns),
        (Level::Scalar, 3) => scalar::horizontal::<3>(turned, plane, axis, columns),
        (Level::Scalar, 4) => scalar::horizontal::<4>(turned, plane, axis, columns),
        #[cfg(target_arch = "x86_64")]
        (Level::Avx2(cpu), 1) => avx2::horizontal::<1>(cpu, turned, plane, axis, columns),
        #[cfg(target_arch = "x86_64")]
        (Level::Avx2(cpu), 2) => avx2::horizontal::<2>(cpu, turned, plane, axis, columns),
        #[cfg(target_arch = "x86_64")]
        (Level::Avx2(cpu), 3) => avx2::horizontal::<3>(cpu, turned, plane, axis, columns),
        #[cfg(target_arch = "x86_64")]
        (Level::Avx2(cpu), 4) => avx2::horizontal::<4>(cpu, turned, plane, axis, columns),
        (_, channels) => panic!("{channels} channels"),
    }
}
