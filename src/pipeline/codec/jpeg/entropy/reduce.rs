//! What is kept of a decoded block: the corner of low frequencies, and the variance of the rest.

use super::program::Slot;
use super::sequential::{Blocks, Kept};
use super::structure::NATURAL;
use crate::simd::Level;

/// The largest variance that is told, in squared code values.
pub(in super::super) const MAX_VARIANCE: u32 = 16_383;

/// How coefficients count for the variance, in natural order: at most `limit` quantised, times `step`.
///
/// The limit is such that a coefficient beyond would alone exceed the largest variance, and does so as the limit, too.
/// Thus 16 bits hold each product and 32 the sum of squares, and the result is exact all the same.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    limit: [u16; 64],
    step: [u16; 64],
}

impl Weights {
    /// `quantisation` is in zigzag order; the corner counts nothing.
    pub(super) fn new(quantisation: &[u16; 64], side: usize) -> Self {
        let (mut limit, mut step) = ([0; 64], [0; 64]);
        for (&natural, &quantiser) in NATURAL.iter().zip(quantisation).skip(1) {
            let natural = usize::from(natural);
            if (natural / 8).max(natural % 8) >= side && quantiser > 0 {
                limit[natural] = 1024u16.div_ceil(quantiser);
                step[natural] = quantiser.min(1024);
            }
        }
        Self { limit, step }
    }

    /// Variance of what is dropped: the sum of squares / 64 (Parseval).
    fn variance(&self, coefficients: &[i16; 64]) -> u16 {
        let mut sum = 0;
        for ((&value, &limit), &step) in coefficients.iter().zip(&self.limit).zip(&self.step) {
            let product = i32::from((value.unsigned_abs().min(limit) * step) as i16);
            sum += product * product;
        }
        (sum as u32 / 64).min(MAX_VARIANCE) as u16
    }
}

/// One component of a run of MCUs.
#[derive(Debug)]
pub(super) struct Part<'a> {
    /// Whole MCUs.
    pub(super) slots: &'a [Slot],
    pub(super) per_mcu: usize,
    /// Which slots of each MCU are of this component.
    pub(super) range: std::ops::Range<usize>,
}

/// Appends what is kept of a component. The first coefficients are differences; `prediction` is the last sum of them.
pub(super) fn reduce(
    level: Level,
    part: &Part,
    kept: &Kept,
    weights: Option<&Weights>,
    prediction: &mut i16,
    blocks: &mut Blocks,
) {
    match level {
        Level::Scalar => reduce_plain(part, kept.side, weights, prediction, blocks),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(cpu) => avx2::reduce(cpu, part, kept.side, weights, prediction, blocks),
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    //! The corners by the same code, compiled for AVX2; the variances of four blocks at once.
    #![expect(unsafe_code, reason = "entry into a function that needs AVX2")]

    use std::arch::x86_64::{
        __m256i, _mm_add_epi32, _mm_cvtsi128_si64, _mm_min_epu32, _mm_packus_epi32, _mm_set1_epi32, _mm_srli_epi32,
        _mm256_abs_epi16, _mm256_add_epi32, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_hadd_epi32,
        _mm256_madd_epi16, _mm256_min_epu16, _mm256_mullo_epi16, _mm256_setzero_si256,
    };

    use super::{Blocks, MAX_VARIANCE, Part, Weights, corners_any};
    use crate::simd::Avx2;
    use crate::simd::x86_64::load_words;

    pub(super) fn reduce(
        _cpu: Avx2,
        part: &Part,
        side: usize,
        weights: Option<&Weights>,
        prediction: &mut i16,
        blocks: &mut Blocks,
    ) {
        // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
        unsafe { reduce_avx2(part, side, weights, prediction, blocks) }
    }

    #[target_feature(enable = "avx2")]
    fn reduce_avx2(part: &Part, side: usize, weights: Option<&Weights>, prediction: &mut i16, blocks: &mut Blocks) {
        corners_any(part, side, prediction, blocks);
        if let Some(weights) = weights {
            variances(part, weights, &mut blocks.variances);
        }
    }

    #[target_feature(enable = "avx2")]
    fn variances(part: &Part, weights: &Weights, variances: &mut Vec<u16>) {
        let (mut sums, mut n) = ([_mm256_setzero_si256(); 4], 0);
        for mcu in part.slots.chunks_exact(part.per_mcu) {
            for slot in &mcu[part.range.clone()] {
                sums[n] = squares(weights, &slot.coefficients);
                n += 1;
                if n == 4 {
                    variances.extend_from_slice(&divided(sums));
                    n = 0;
                }
            }
        }
        variances.extend_from_slice(&divided(sums)[..n]);
    }

    /// The squares of a block in eight sums.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn squares(weights: &Weights, coefficients: &[i16; 64]) -> __m256i {
        let mut sum = _mm256_setzero_si256();
        let (coefficients, _) = coefficients.as_chunks::<16>();
        let weights = weights.limit.as_chunks::<16>().0.iter().zip(weights.step.as_chunks::<16>().0);
        for (coefficients, (limit, step)) in coefficients.iter().zip(weights) {
            let limited = _mm256_min_epu16(_mm256_abs_epi16(load_words(coefficients)), load_words(limit));
            let product = _mm256_mullo_epi16(limited, load_words(step));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(product, product));
        }
        sum
    }

    /// The variances of four blocks.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn divided([a, b, c, d]: [__m256i; 4]) -> [u16; 4] {
        // a a b b | a a b b and c c d d | c c d d, then a b c d | a b c d
        let sums = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
        let sums = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
        let limited = _mm_min_epu32(_mm_srli_epi32::<6>(sums), _mm_set1_epi32(MAX_VARIANCE as i32));
        let packed = _mm_cvtsi128_si64(_mm_packus_epi32(limited, limited)) as u64;
        std::array::from_fn(|index| (packed >> (16 * index)) as u16)
    }
}

/// The plain way, which defines the result.
fn reduce_plain(part: &Part, side: usize, weights: Option<&Weights>, prediction: &mut i16, blocks: &mut Blocks) {
    corners_any(part, side, prediction, blocks);
    let Some(weights) = weights else { return };
    for mcu in part.slots.chunks_exact(part.per_mcu) {
        for slot in &mcu[part.range.clone()] {
            blocks.variances.push(weights.variance(&slot.coefficients));
        }
    }
}

#[inline(always)]
fn corners_any(part: &Part, side: usize, prediction: &mut i16, blocks: &mut Blocks) {
    match side {
        0 => {}
        1 => corners::<1>(part, prediction, blocks),
        2 => corners::<2>(part, prediction, blocks),
        3 => corners::<3>(part, prediction, blocks),
        4 => corners::<4>(part, prediction, blocks),
        5 => corners::<5>(part, prediction, blocks),
        6 => corners::<6>(part, prediction, blocks),
        7 => corners::<7>(part, prediction, blocks),
        _ => corners::<8>(part, prediction, blocks),
    }
}

#[inline(always)]
fn corners<const SIDE: usize>(part: &Part, prediction: &mut i16, blocks: &mut Blocks) {
    let start = blocks.coefficients.len();
    let n_blocks = part.slots.len() / part.per_mcu * part.range.len();
    blocks.coefficients.resize(start + n_blocks * SIDE * SIDE, 0);
    let mut target = blocks.coefficients[start..].as_chunks_mut::<SIDE>().0.as_chunks_mut::<SIDE>().0.iter_mut();
    for mcu in part.slots.chunks_exact(part.per_mcu) {
        for (slot, target) in mcu[part.range.clone()].iter().zip(&mut target) {
            let (rows, _) = slot.coefficients.as_chunks::<8>();
            for y in 0..SIDE {
                target[y].copy_from_slice(&rows[y][..SIDE]);
            }
            *prediction = prediction.wrapping_add(slot.coefficients[0]);
            target[0][0] = *prediction;
        }
    }
}
