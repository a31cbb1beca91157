//! AVX2.

#![expect(unsafe_code, reason = "entries into functions that need AVX2")]

use std::arch::x86_64::{
    __m128i, __m256i, _mm_cvtsi32_si128, _mm256_add_epi32, _mm256_castsi256_si128, _mm256_madd_epi16,
    _mm256_packs_epi32, _mm256_permute2x128_si256, _mm256_permute4x64_epi64, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_sra_epi32, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
};

use super::{Column, Lines, PAIRS, PixelPair, ROWS, Strip};
use crate::pipeline::resize::weights::Axis;
use crate::simd::Avx2;
use crate::simd::x86_64::{load_i16, store_half_i16, store_i16, store_i16_lanes};

/// See `super::vertical`.
pub(super) fn vertical(_cpu: Avx2, lines: Lines, axis: &Axis, top: u32, turned: &mut [[PixelPair; PAIRS]]) {
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
    unsafe { vertical_avx2(lines, axis, top, turned) }
}

/// See `super::horizontal`.
pub(super) fn horizontal<const CHANNELS: usize>(
    _cpu: Avx2,
    turned: &[PixelPair],
    plane: usize,
    axis: &Axis,
    columns: &mut [Column],
) {
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
    unsafe { horizontal_avx2::<CHANNELS>(turned, plane, axis, columns) }
}

/// Strips that are made at once, row by row: the source of them stays in the first cache.
const TILE: usize = 8;

/// Calls a function with the number of pairs as a constant, if it is a usual one: all weights stay in registers then.
macro_rules! with_constant_pairs {
    ($n_pairs:expr, $function:ident::<$($parameter:ident),*>($($argument:expr),*)) => {
        match $n_pairs {
            1 => $function::<$($parameter,)* 1>($($argument),*),
            2 => $function::<$($parameter,)* 2>($($argument),*),
            3 => $function::<$($parameter,)* 3>($($argument),*),
            4 => $function::<$($parameter,)* 4>($($argument),*),
            5 => $function::<$($parameter,)* 5>($($argument),*),
            6 => $function::<$($parameter,)* 6>($($argument),*),
            7 => $function::<$($parameter,)* 7>($($argument),*),
            8 => $function::<$($parameter,)* 8>($($argument),*),
            9 => $function::<$($parameter,)* 9>($($argument),*),
            10 => $function::<$($parameter,)* 10>($($argument),*),
            _ => $function::<$($parameter,)* 0>($($argument),*),
        }
    };
}

#[target_feature(enable = "avx2")]
fn vertical_avx2(lines: Lines, axis: &Axis, top: u32, turned: &mut [[PixelPair; PAIRS]]) {
    let (tiles, rest) = turned.as_chunks_mut::<TILE>();
    for (index, pairs) in tiles.iter_mut().enumerate() {
        with_constant_pairs!(axis.n_pairs, vertical_tile::<TILE>(lines, axis, top, index * TILE, pairs));
    }
    for (index, pairs) in rest.as_chunks_mut::<1>().0.iter_mut().enumerate() {
        vertical_tile::<1, 0>(lines, axis, top, tiles.len() * TILE + index, pairs);
    }
}

/// `N_PAIRS` is the number of pairs of the axis, or 0 for any.
#[target_feature(enable = "avx2")]
fn vertical_tile<const STRIPS: usize, const N_PAIRS: usize>(
    lines: Lines,
    axis: &Axis,
    top: u32,
    strip: usize,
    turned: &mut [[PixelPair; PAIRS]; STRIPS],
) {
    let rounding = _mm256_set1_epi32(1 << (axis.precision - 1));
    let precision = _mm_cvtsi32_si128(axis.precision as i32);
    let mut rows = [[_mm256_setzero_si256(); ROWS]; STRIPS];
    let taps = axis.first_pairs().iter().zip(axis.weights().chunks_exact(axis.n_pairs));
    for (row, (&first, weights)) in taps.skip(top as usize).take(ROWS).enumerate() {
        let starts = &lines.starts[first as usize - lines.first..][..axis.n_pairs];
        if N_PAIRS == 0 {
            let mut sums = [[rounding; 2]; STRIPS];
            for (&start, &weights) in starts.iter().zip(weights) {
                let weights = both(weights);
                for (sums, samples) in sums.iter_mut().zip(&lines.strips[start + strip..][..STRIPS]) {
                    sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(load_i16(&samples[0]), weights));
                    sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(load_i16(&samples[1]), weights));
                }
            }
            for (rows, [low, high]) in rows.iter_mut().zip(sums) {
                rows[row] = narrowed(low, high, precision);
            }
            continue;
        }
        let mut tiles: [&[Strip; STRIPS]; N_PAIRS] = [&[[[0; 16]; 2]; STRIPS]; N_PAIRS];
        let mut factors = [rounding; N_PAIRS];
        for ((tile, factor), (&start, &weights)) in tiles.iter_mut().zip(&mut factors).zip(starts.iter().zip(weights)) {
            *tile = lines.strips[start + strip..].first_chunk().expect("a line has all strips");
            *factor = both(weights);
        }
        for (index, rows) in rows.iter_mut().enumerate() {
            let mut sums = [rounding; 2];
            for (tile, &factor) in tiles.iter().zip(&factors) {
                let [low, high] = &tile[index];
                sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(load_i16(low), factor));
                sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(load_i16(high), factor));
            }
            rows[row] = narrowed(sums[0], sums[1], precision);
        }
    }
    for (rows, pairs) in rows.iter().zip(turned) {
        // Pairs of pixels 0 1 4 5 | 2 3 6 7 of one row → all 8 rows of one pair.
        for (pair, turned) in [0, 1, 4, 5, 2, 3, 6, 7].into_iter().zip(transposed(rows)) {
            store_i16(&mut pairs[pair], turned);
        }
    }
}

#[target_feature(enable = "avx2")]
fn horizontal_avx2<const CHANNELS: usize>(turned: &[PixelPair], plane: usize, axis: &Axis, columns: &mut [Column]) {
    with_constant_pairs!(axis.n_pairs, horizontal_pairs::<CHANNELS>(turned, plane, axis, columns));
}

/// `N_PAIRS` is the number of pairs of the axis, or 0 for any.
#[target_feature(enable = "avx2")]
fn horizontal_pairs<const CHANNELS: usize, const N_PAIRS: usize>(
    turned: &[PixelPair],
    plane: usize,
    axis: &Axis,
    columns: &mut [Column],
) {
    let n_pairs = if N_PAIRS == 0 { axis.n_pairs } else { N_PAIRS };
    let rounding = _mm256_set1_epi32(1 << (axis.precision - 1));
    let precision = _mm_cvtsi32_si128(axis.precision as i32);
    let taps = axis.first_pairs().iter().zip(axis.weights().chunks_exact(n_pairs));
    for (columns, (&first, weights)) in columns.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(taps) {
        let mut planes = [&turned[..0]; CHANNELS];
        for (channel, pairs) in planes.iter_mut().enumerate() {
            *pairs = &turned[channel * plane + first as usize..][..n_pairs];
        }
        let mut sums = [rounding; CHANNELS];
        for (index, &weights) in weights.iter().enumerate() {
            let weights = both(weights);
            for (sum, plane) in sums.iter_mut().zip(planes) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(load_i16(&plane[index]), weights));
            }
        }
        let (twos, one) = columns.as_chunks_mut::<2>();
        for (two, sums) in twos.iter_mut().zip(sums.as_chunks::<2>().0) {
            // Rows 0..4 of both columns | 4..8 of both → 0..8 | 0..8
            let narrow = narrowed(sums[0], sums[1], precision);
            let [first, second] = two;
            store_i16_lanes(first, second, _mm256_permute4x64_epi64::<0b11_01_10_00>(narrow));
        }
        for column in one {
            let narrow = narrowed(sums[CHANNELS - 1], sums[CHANNELS - 1], precision);
            store_half_i16(column, _mm256_castsi256_si128(_mm256_permute4x64_epi64::<0b11_01_10_00>(narrow)));
        }
    }
}

/// A pair of weights in all lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn both([low, high]: [i16; 2]) -> __m256i {
    _mm256_set1_epi32(i32::from(low) & 0xFFFF | i32::from(high) << 16)
}

#[inline]
#[target_feature(enable = "avx2")]
fn narrowed(low: __m256i, high: __m256i, precision: __m128i) -> __m256i {
    _mm256_packs_epi32(_mm256_sra_epi32(low, precision), _mm256_sra_epi32(high, precision))
}

/// 8 × 8 values of 32 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed(&[a, b, c, d, e, f, g, h]: &[__m256i; 8]) -> [__m256i; 8] {
    // a0 b0 a1 b1 | a4 b4 a5 b5 …
    let (ab_low, ab_high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let (cd_low, cd_high) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    let (ef_low, ef_high) = (_mm256_unpacklo_epi32(e, f), _mm256_unpackhi_epi32(e, f));
    let (gh_low, gh_high) = (_mm256_unpacklo_epi32(g, h), _mm256_unpackhi_epi32(g, h));
    // a0 b0 c0 d0 | a4 b4 c4 d4 …
    let (abcd_0, abcd_1) = (_mm256_unpacklo_epi64(ab_low, cd_low), _mm256_unpackhi_epi64(ab_low, cd_low));
    let (abcd_2, abcd_3) = (_mm256_unpacklo_epi64(ab_high, cd_high), _mm256_unpackhi_epi64(ab_high, cd_high));
    let (efgh_0, efgh_1) = (_mm256_unpacklo_epi64(ef_low, gh_low), _mm256_unpackhi_epi64(ef_low, gh_low));
    let (efgh_2, efgh_3) = (_mm256_unpacklo_epi64(ef_high, gh_high), _mm256_unpackhi_epi64(ef_high, gh_high));
    [
        _mm256_permute2x128_si256::<0x20>(abcd_0, efgh_0),
        _mm256_permute2x128_si256::<0x20>(abcd_1, efgh_1),
        _mm256_permute2x128_si256::<0x20>(abcd_2, efgh_2),
        _mm256_permute2x128_si256::<0x20>(abcd_3, efgh_3),
        _mm256_permute2x128_si256::<0x31>(abcd_0, efgh_0),
        _mm256_permute2x128_si256::<0x31>(abcd_1, efgh_1),
        _mm256_permute2x128_si256::<0x31>(abcd_2, efgh_2),
        _mm256_permute2x128_si256::<0x31>(abcd_3, efgh_3),
    ]
}
