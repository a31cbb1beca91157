//! What is kept of a decoded block: the corner of low frequencies, and the variance of the rest.

use super::coefficients::Coefficients;
use super::kind::Kind;
use super::program::Slot;
use super::sequential::{Blocks, Kept};
use super::structure::NATURAL;
use super::sums::{self, Sums};
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
pub(super) struct Part<'a, K: Kind> {
    /// Whole MCUs.
    pub(super) slots: &'a mut [Slot<K>],
    pub(super) per_mcu: usize,
    /// Which slots of each MCU are of this component.
    pub(super) range: std::ops::Range<usize>,
}

impl<K: Kind> Part<'_, K> {
    fn n_blocks(&self) -> usize {
        self.slots.len() / self.per_mcu * self.range.len()
    }
}

/// Appends what is kept of a component. The first coefficients are differences; `prediction` is the last sum of them.
pub(super) fn coefficients(
    level: Level,
    part: Part<Coefficients>,
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

/// The slots of a component.
#[inline(always)]
fn slots<'a, K: Kind>(part: &'a mut Part<K>) -> impl Iterator<Item = &'a mut Slot<K>> {
    let range = part.range.clone();
    part.slots.chunks_exact_mut(part.per_mcu).flat_map(move |mcu| &mut mcu[range.clone()])
}

/// The same of blocks that are summed up already.
pub(super) fn sums(mut part: Part<Sums>, kept: &Kept, prediction: &mut i16, blocks: &mut Blocks) {
    if kept.wants_variance {
        let start = blocks.variances.len();
        blocks.variances.resize(start + part.n_blocks(), 0);
        for (variance, slot) in blocks.variances[start..].iter_mut().zip(slots(&mut part)) {
            *variance = sums::variance(slot.block);
        }
    }
    match kept.side {
        0 => slots(&mut part).for_each(|slot| slot.block = Sums::EMPTY),
        1 => sums_of::<1>(&mut part, kept.wants_variance, prediction, blocks),
        _ => sums_of::<4>(&mut part, false, prediction, blocks),
    }
}

/// `N` coefficients of each block.
fn sums_of<const N: usize>(part: &mut Part<Sums>, has_variance: bool, prediction: &mut i16, blocks: &mut Blocks) {
    let mut mean = *prediction;
    blocks.coefficients.reserve(part.n_blocks() * N);
    for slot in slots(part) {
        let mut values: [i16; N] = std::array::from_fn(|index| sums::coefficient(slot.block, index, has_variance));
        mean = mean.wrapping_add(values[0]);
        values[0] = mean;
        blocks.coefficients.extend_from_slice(&values);
        slot.block = Sums::EMPTY;
    }
    *prediction = mean;
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

    use super::{Blocks, Coefficients, Kind, MAX_VARIANCE, Part, Weights, corners_any, slots};
    use crate::simd::Avx2;
    use crate::simd::x86_64::load_words;

    pub(super) fn reduce(
        _cpu: Avx2,
        part: Part<Coefficients>,
        side: usize,
        weights: Option<&Weights>,
        prediction: &mut i16,
        blocks: &mut Blocks,
    ) {
        // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
        unsafe { reduce_avx2(part, side, weights, prediction, blocks) }
    }

    #[target_feature(enable = "avx2")]
    fn reduce_avx2(
        mut part: Part<Coefficients>,
        side: usize,
        weights: Option<&Weights>,
        prediction: &mut i16,
        blocks: &mut Blocks,
    ) {
        corners_any(&part, side, prediction, blocks);
        if let Some(weights) = weights {
            variances(&mut part, weights, &mut blocks.variances);
        } else {
            slots(&mut part).for_each(|slot| slot.block = Coefficients::EMPTY);
        }
    }

    #[target_feature(enable = "avx2")]
    fn variances(part: &mut Part<Coefficients>, weights: &Weights, variances: &mut Vec<u16>) {
        let (mut sums, mut n) = ([_mm256_setzero_si256(); 4], 0);
        for slot in slots(part) {
            sums[n] = squares(weights, &slot.block.0);
            slot.block = Coefficients::EMPTY;
            n += 1;
            if n == 4 {
                variances.extend_from_slice(&divided(sums));
                n = 0;
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
fn reduce_plain(
    mut part: Part<Coefficients>,
    side: usize,
    weights: Option<&Weights>,
    prediction: &mut i16,
    blocks: &mut Blocks,
) {
    corners_any(&part, side, prediction, blocks);
    for slot in slots(&mut part) {
        let coefficients = std::mem::replace(&mut slot.block, Coefficients::EMPTY).0;
        blocks.variances.extend(weights.map(|weights| weights.variance(&coefficients)));
    }
}

#[inline(always)]
fn corners_any(part: &Part<Coefficients>, side: usize, prediction: &mut i16, blocks: &mut Blocks) {
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
fn corners<const SIDE: usize>(part: &Part<Coefficients>, prediction: &mut i16, blocks: &mut Blocks) {
    let mut mean = *prediction;
    let (values, n_values) = (&mut blocks.coefficients, part.n_blocks() * SIDE * SIDE);
    if SIDE <= 2 {
        // In a register.
        values.reserve(n_values);
        for mcu in part.slots.chunks_exact(part.per_mcu) {
            for slot in &mcu[part.range.clone()] {
                let (rows, _) = slot.block.0.as_chunks::<8>();
                let mut corner: [[i16; SIDE]; SIDE] = std::array::from_fn(|y| std::array::from_fn(|x| rows[y][x]));
                mean = mean.wrapping_add(corner[0][0]);
                corner[0][0] = mean;
                values.extend_from_slice(corner.as_flattened());
            }
        }
    } else {
        let start = values.len();
        values.resize(start + n_values, 0);
        let mut targets = values[start..].as_chunks_mut::<SIDE>().0.as_chunks_mut::<SIDE>().0.iter_mut();
        for mcu in part.slots.chunks_exact(part.per_mcu) {
            for (slot, target) in mcu[part.range.clone()].iter().zip(&mut targets) {
                for (target, row) in target.iter_mut().zip(slot.block.0.as_chunks::<8>().0) {
                    target.copy_from_slice(&row[..SIDE]);
                }
                mean = mean.wrapping_add(slot.block.0[0]);
                target[0][0] = mean;
            }
        }
    }
    *prediction = mean;
}
