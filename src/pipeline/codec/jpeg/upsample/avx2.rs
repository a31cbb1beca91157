//! AVX2: 32 samples of chroma a step. The ends of a row have but one neighbour and are left to the reference; so are
//! short rows. The last step ends with the row, and makes some samples twice.

#![expect(unsafe_code, reason = "entries into functions that need AVX2")]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi16, _mm256_and_si256, _mm256_avg_epu8, _mm256_maddubs_epi16, _mm256_mullo_epi16,
    _mm256_or_si256, _mm256_permute2x128_si256, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_slli_epi16,
    _mm256_srli_epi16, _mm256_sub_epi8, _mm256_unpackhi_epi8, _mm256_unpacklo_epi8, _mm256_xor_si256,
};

use super::scalar;
use crate::simd::Avx2;
use crate::simd::x86_64::{load, store};

/// Samples a step.
const STEP: usize = 32;

pub(super) fn wider(_cpu: Avx2, row: &[u8], wide: &mut [u8]) {
    if row.len() < STEP + 2 {
        return scalar::wider(row, wide);
    }
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
    unsafe { wider_avx2(row, wide) }
}

pub(super) fn higher(_cpu: Avx2, near: &[u8], far: &[u8], is_upper: bool, out: &mut [u8]) {
    if near.len() < STEP {
        return scalar::higher(near, far, is_upper, out);
    }
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
    unsafe { higher_avx2(near, far, is_upper, out) }
}

pub(super) fn wider_and_higher(_cpu: Avx2, near: &[u8], far: &[u8], wide: &mut [u8]) {
    if near.len() < STEP + 2 {
        return scalar::wider_and_higher(near, far, wide);
    }
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
    unsafe { wider_and_higher_avx2(near, far, wide) }
}

#[target_feature(enable = "avx2")]
fn wider_avx2(row: &[u8], wide: &mut [u8]) {
    let n = row.len();
    let [mut first, mut last] = [[0; 4]; 2];
    scalar::wider(&row[..2], &mut first);
    scalar::wider(&row[n - 2..], &mut last);
    set_ends(first, last, wide);
    for x in steps(1, n - 1) {
        let (before, near, after) = (at(row, x - 1), at(row, x), at(row, x + 1));
        let (even, odd) = (quarter_down(near, before), quarter_up(near, after));
        store_pairs([_mm256_unpacklo_epi8(even, odd), _mm256_unpackhi_epi8(even, odd)], &mut wide[2 * x..]);
    }
}

#[target_feature(enable = "avx2")]
fn higher_avx2(near: &[u8], far: &[u8], is_upper: bool, out: &mut [u8]) {
    for x in steps(0, near.len()) {
        let (near, far) = (at(near, x), at(far, x));
        let sample = if is_upper { quarter_down(near, far) } else { quarter_up(near, far) };
        store(out[x..].first_chunk_mut().expect("a step within the row"), sample);
    }
}

#[target_feature(enable = "avx2")]
fn wider_and_higher_avx2(near: &[u8], far: &[u8], wide: &mut [u8]) {
    let n = near.len();
    let [mut first, mut last] = [[0; 4]; 2];
    scalar::wider_and_higher(&near[..2], &far[..2], &mut first);
    scalar::wider_and_higher(&near[n - 2..], &far[n - 2..], &mut last);
    set_ends(first, last, wide);
    for x in steps(1, n - 1) {
        let before = sums(near, far, x - 1);
        let this = sums(near, far, x);
        let after = sums(near, far, x + 1);
        let low = sixteenths(before[0], this[0], after[0]);
        let high = sixteenths(before[1], this[1], after[1]);
        store_pairs([low, high], &mut wide[2 * x..]);
    }
}

/// Where steps begin.
#[inline]
fn steps(from: usize, to: usize) -> impl Iterator<Item = usize> {
    (from..to).step_by(STEP).map(move |x| x.min(to - STEP))
}

/// Both samples that the first one becomes, and one or both of the last, from what the two first and the two last become.
#[inline]
fn set_ends(first: [u8; 4], last: [u8; 4], wide: &mut [u8]) {
    wide[..2].copy_from_slice(&first[..2]);
    let end = (wide.len() - 1) / 2 * 2;
    let n_last = wide.len() - end;
    wide[end..].copy_from_slice(&last[2..2 + n_last]);
}

#[inline]
#[target_feature(enable = "avx2")]
fn at(row: &[u8], x: usize) -> __m256i {
    load(row[x..].first_chunk().expect("a step within the row"))
}

/// Three parts and one, halves down. That is the lower mean of `near` and the upper mean of both: with 2f + r their sum,
/// r its lowest bit, both are half of near + f + r, rounded down.
#[inline]
#[target_feature(enable = "avx2")]
fn quarter_down(near: __m256i, far: __m256i) -> __m256i {
    lower_mean(near, _mm256_avg_epu8(near, far))
}

/// Three parts and one, halves up; the other way round.
#[inline]
#[target_feature(enable = "avx2")]
fn quarter_up(near: __m256i, far: __m256i) -> __m256i {
    _mm256_avg_epu8(near, lower_mean(near, far))
}

#[inline]
#[target_feature(enable = "avx2")]
fn lower_mean(a: __m256i, b: __m256i) -> __m256i {
    let is_rounded = _mm256_and_si256(_mm256_xor_si256(a, b), _mm256_set1_epi8(1));
    _mm256_sub_epi8(_mm256_avg_epu8(a, b), is_rounded)
}

/// Three parts of a near sample and one of a far: of samples 0..8 16..24, and 8..16 24..32.
#[inline]
#[target_feature(enable = "avx2")]
fn sums(near: &[u8], far: &[u8], x: usize) -> [__m256i; 2] {
    let (near, far) = (at(near, x), at(far, x));
    let factors = _mm256_set1_epi16(0x0103);
    [
        _mm256_maddubs_epi16(_mm256_unpacklo_epi8(near, far), factors),
        _mm256_maddubs_epi16(_mm256_unpackhi_epi8(near, far), factors),
    ]
}

/// Pairs of samples.
#[inline]
#[target_feature(enable = "avx2")]
fn sixteenths(before: __m256i, this: __m256i, after: __m256i) -> __m256i {
    let most = _mm256_add_epi16(_mm256_mullo_epi16(this, _mm256_set1_epi16(3)), _mm256_set1_epi16(7));
    let left = _mm256_add_epi16(_mm256_add_epi16(most, before), _mm256_set1_epi16(1));
    let right = _mm256_add_epi16(most, after);
    let right = _mm256_and_si256(_mm256_slli_epi16::<4>(right), _mm256_set1_epi16(0xFF00_u16.cast_signed()));
    _mm256_or_si256(_mm256_srli_epi16::<4>(left), right)
}

/// Writes pairs of samples 0..8 16..24, 8..16 24..32 in their order.
#[inline]
#[target_feature(enable = "avx2")]
fn store_pairs([low, high]: [__m256i; 2], wide: &mut [u8]) {
    let (first, second) = wide.split_at_mut(STEP);
    let (first, second) = (first.first_chunk_mut(), second.first_chunk_mut());
    store(first.expect("half of a step"), _mm256_permute2x128_si256::<0x20>(low, high));
    store(second.expect("half of a step"), _mm256_permute2x128_si256::<0x31>(low, high));
}
