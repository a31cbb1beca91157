//! The kernel that turns two rows of sRGB bytes into strips of working samples (see `resize::kernel`), with what their
//! pixels lost by averaging, and colours multiplied by alpha.
//!
//! Light is a quadratic polynomial in the lower four bits of a code, one for each value of the upper four, in 16-bit
//! fixed point: within 1 of the 46,811 steps of the exact curve below code 224, and within 3.2, which is 0.008 codes
//! there, above. So no look-up leaves a register.

#[cfg(target_arch = "x86_64")]
mod avx2;
pub(super) mod scalar;
#[cfg(test)]
mod tests;

use crate::pipeline::resize::Strip;
use crate::simd::Level;

/// Two rows of pixels, and the variance that each pixel lost, if any did.
#[derive(Clone, Copy, Debug)]
pub(in crate::pipeline) struct RowPair<'a, const CHANNELS: usize> {
    pub(in crate::pipeline) pixels: [&'a [[u8; CHANNELS]]; 2],
    pub(in crate::pipeline) variances: Option<[&'a [u16]; 2]>,
}

/// Turns two rows of sRGB into strips, plane after plane; what of a strip lies beside the picture is 0.
/// # Panics
/// If the rows differ in length, or the planes are not as many strips as they need.
pub(in crate::pipeline) fn from_srgb<const CHANNELS: usize>(
    level: Level,
    rows: RowPair<CHANNELS>,
    strips: &mut [Strip],
) {
    assert_lengths(&rows, strips);
    match level {
        Level::Scalar => scalar::from_srgb(rows, strips),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(cpu) => avx2::from_srgb(cpu, rows, strips),
    }
}

fn assert_lengths<const CHANNELS: usize>(rows: &RowPair<CHANNELS>, strips: &[Strip]) {
    let width = rows.pixels[0].len();
    assert_eq!(width, rows.pixels[1].len());
    assert!(rows.variances.is_none_or(|[a, b]| a.len() == width && b.len() == width));
    assert_eq!(strips.len(), width.div_ceil(16) * CHANNELS);
}

/// A function of a code, by its upper four bits `h` and its lower four `l`:
/// `start[h] + l · (slope[h] + max(l − STRAIGHT[h], 0) · bend[h] / 16) / 16`, with a floor after each division.
struct Pieces {
    start: [u16; 16],
    slope: [u16; 16],
    bend: [u8; 16],
}

/// Light. The line of the codes up to 11 is straight.
const LIGHT: Pieces = Pieces {
    start: [0, 243, 677, 1384, 2400, 3755, 5476, 7585, 10105, 13056, 16456, 20323, 24675, 29526, 34892, 40787],
    slope: [228, 309, 563, 854, 1182, 1534, 1910, 2312, 2732, 3171, 3631, 4107, 4599, 5112, 5641, 6187],
    bend: [42, 124, 143, 163, 173, 187, 199, 207, 219, 229, 237, 246, 253, 255, 255, 255],
};

/// Half of the second derivative of light by the code (both 0 to 1), so that `bend · 2 · variance / 2¹⁵` is light: times
/// 46,811 · 2¹⁴ / 255². 0 below the first code of the curved part.
const BEND: Pieces = Pieces {
    start: [5730, 7424, 8796, 9906, 10856, 11695, 12453, 13148, 13791, 14392, 14958, 15493, 16002, 16488, 16953, 17400],
    slope: [1684, 1392, 1120, 956, 844, 762, 698, 645, 603, 568, 536, 510, 487, 467, 448, 431],
    bend: [0; 16],
};

/// How many codes of a piece have no bend.
const STRAIGHT: [u8; 16] = [11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The first code of the curved part of sRGB.
const FIRST_CURVED: u8 = 11;

/// Variances are at most 14 bits: the largest possible one is 127.5².
pub(super) const MAX_VARIANCE: u16 = (1 << 14) - 1;
