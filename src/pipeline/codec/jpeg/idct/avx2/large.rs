//! Five by five to eight by eight coefficients.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_adds_epi16, _mm256_and_si256, _mm256_madd_epi16, _mm256_mullo_epi16,
    _mm256_or_si256, _mm256_packs_epi16, _mm256_packs_epi32, _mm256_permute4x64_epi64, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srai_epi16, _mm256_srai_epi32,
    _mm256_sub_epi32, _mm256_testz_si256, _mm256_unpackhi_epi8, _mm256_unpackhi_epi16, _mm256_unpackhi_epi32,
    _mm256_unpacklo_epi8, _mm256_unpacklo_epi16, _mm256_unpacklo_epi32,
};

use bytemuck::cast_ref;

use super::super::BlockRow;
use super::super::basis::SHIFTS;
use super::{centred, eight, pair, steps, store_rows};
use crate::simd::x86_64::{Z, both, load, load_lanes};

/// 2 blocks of five by five to eight by eight coefficients a step, one in each 128-bit lane: all that is said of a vector
/// is true of each lane. `LENGTH` is what is read of a block: eight coefficients from the beginning of each row.
#[target_feature(enable = "avx2")]
pub(super) fn inverse<const N: usize, const LENGTH: usize>(
    coefficients: &[i16],
    blocks: BlockRow,
    quantisation: &[i16],
    samples: &mut [u8],
    stride: usize,
) {
    let mut factors = [_mm256_setzero_si256(); N];
    for (vector, factors) in factors.iter_mut().zip(quantisation.chunks_exact(N)) {
        let mut padded = [0; 8];
        padded[..N].copy_from_slice(factors);
        *vector = load_lanes(cast_ref(&padded), cast_ref(&padded));
    }
    let mut places = [Z; 16];
    for index in 0..N {
        (places[index], places[N + index]) = (index as u8, 8 + index as u8);
    }
    let compact = load(&both(places));
    let (mut padded_low, mut padded_high) = ([0; LENGTH], [0; LENGTH]);
    let mut offsets = blocks.offsets(N, 0);
    for start in steps(blocks.n_blocks(), 2) {
        if start % 2 != 0 {
            offsets = blocks.offsets(N, start);
        }
        let low = padded_block::<N, LENGTH>(&coefficients[offsets.step()..], &mut padded_low);
        let high = padded_block::<N, LENGTH>(&coefficients[offsets.step()..], &mut padded_high);
        let mut rows = [_mm256_setzero_si256(); N];
        for (k, row) in rows.iter_mut().enumerate() {
            *row = load_lanes(eight(low[k * N..].first_chunk()), eight(high[k * N..].first_chunk()));
        }
        let rows = if N == 8 && has_only_first(&rows) {
            flat(_mm256_mullo_epi16(rows[0], factors[0]))
        } else {
            let mut values = [_mm256_setzero_si256(); 8];
            for ((value, row), factors) in values.iter_mut().zip(rows).zip(factors) {
                *value = _mm256_mullo_epi16(row, factors);
            }
            large_pair::<N>(values)
        };
        for (index, rows) in rows.into_iter().enumerate() {
            if 2 * index < N {
                let rows = _mm256_permute4x64_epi64::<0b11_01_10_00>(rows);
                let rows = if N == 8 { rows } else { _mm256_shuffle_epi8(rows, compact) };
                let target = &mut samples[2 * index * stride + start * N..];
                store_rows(rows, target, stride, N * 2, N - 2 * index);
            }
        }
    }
}

/// A block and the coefficients behind it; where there are too few, a copy.
#[inline]
fn padded_block<'a, const N: usize, const LENGTH: usize>(
    coefficients: &'a [i16],
    padded: &'a mut [i16; LENGTH],
) -> &'a [i16; LENGTH] {
    coefficients.first_chunk().unwrap_or_else(|| {
        padded[..N * N].copy_from_slice(&coefficients[..N * N]);
        padded
    })
}

/// Whether all coefficients of two blocks are 0 but the first.
#[inline]
#[target_feature(enable = "avx2")]
fn has_only_first<const N: usize>(rows: &[__m256i; N]) -> bool {
    let mut any =
        _mm256_and_si256(rows[0], load(&both([0, 0, !0, !0, !0, !0, !0, !0, !0, !0, !0, !0, !0, !0, !0, !0])));
    for row in &rows[1..] {
        any = _mm256_or_si256(any, *row);
    }
    _mm256_testz_si256(any, any) == 1
}

/// Two rows a vector of two blocks that have only their first coefficients.
#[inline]
#[target_feature(enable = "avx2")]
fn flat(row: __m256i) -> [__m256i; 4] {
    let first = _mm256_shuffle_epi8(row, load(&both([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1])));
    let doubled = _mm256_adds_epi16(first, first);
    let between = _mm256_adds_epi16(doubled, doubled);
    let sample = _mm256_srai_epi16::<5>(_mm256_adds_epi16(between, _mm256_set1_epi16(16)));
    [centred(_mm256_packs_epi16(sample, sample)); 4]
}

/// The samples of two blocks, two rows of eight bytes a vector.
#[inline]
#[target_feature(enable = "avx2")]
fn large_pair<const N: usize>(rows: [__m256i; 8]) -> [__m256i; 4] {
    let [r0, r1, r2, r3, r4, r5, r6, r7] = rows;
    let left = large_pass::<N, { SHIFTS[0] }>([
        _mm256_unpacklo_epi16(r0, r4),
        _mm256_unpacklo_epi16(r2, r6),
        _mm256_unpacklo_epi16(r1, r7),
        _mm256_unpacklo_epi16(r3, r5),
    ]);
    let right = large_pass::<N, { SHIFTS[0] }>([
        _mm256_unpackhi_epi16(r0, r4),
        _mm256_unpackhi_epi16(r2, r6),
        _mm256_unpackhi_epi16(r1, r7),
        _mm256_unpackhi_epi16(r3, r5),
    ]);
    let [[upper_01, upper_23], [lower_01, lower_23]] = columns(left);
    let [[upper_45, upper_67], [lower_45, lower_67]] = columns(right);
    let upper = large_pass::<N, { SHIFTS[1] }>([
        _mm256_unpacklo_epi16(upper_01, upper_45),
        _mm256_unpacklo_epi16(upper_23, upper_67),
        _mm256_unpackhi_epi16(upper_01, upper_67),
        _mm256_unpackhi_epi16(upper_23, upper_45),
    ]);
    let lower = large_pass::<N, { SHIFTS[1] }>([
        _mm256_unpacklo_epi16(lower_01, lower_45),
        _mm256_unpacklo_epi16(lower_23, lower_67),
        _mm256_unpackhi_epi16(lower_01, lower_67),
        _mm256_unpackhi_epi16(lower_23, lower_45),
    ]);
    transposed(upper, lower)
}

/// Of sums, a row a vector, of four columns: columns 0 1 and 2 3 of rows 0..4, then of rows 4..8.
#[inline]
#[target_feature(enable = "avx2")]
fn columns(rows: [__m256i; 8]) -> [[__m256i; 2]; 2] {
    let [r0, r1, r2, r3, r4, r5, r6, r7] = rows;
    // Row 0, row 4
    let (r04, r15) = (_mm256_packs_epi32(r0, r4), _mm256_packs_epi32(r1, r5));
    let (r26, r37) = (_mm256_packs_epi32(r2, r6), _mm256_packs_epi32(r3, r7));
    // Columns 0 1 2 3 of rows 0 and 1, of rows 2 and 3, of 4 and 5, of 6 and 7
    let (r01, r23) = (_mm256_unpacklo_epi16(r04, r15), _mm256_unpacklo_epi16(r26, r37));
    let (r45, r67) = (_mm256_unpackhi_epi16(r04, r15), _mm256_unpackhi_epi16(r26, r37));
    [
        [_mm256_unpacklo_epi32(r01, r23), _mm256_unpackhi_epi32(r01, r23)],
        [_mm256_unpacklo_epi32(r45, r67), _mm256_unpackhi_epi32(r45, r67)],
    ]
}

/// Rows of bytes, two a vector, of sums: a column a vector, rows 0..4 in `upper`, 4..8 in `lower`.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed(upper: [__m256i; 8], lower: [__m256i; 8]) -> [__m256i; 4] {
    let mut c = [_mm256_setzero_si256(); 4];
    for (x, c) in c.iter_mut().enumerate() {
        let near = _mm256_packs_epi32(upper[x], lower[x]);
        let far = _mm256_packs_epi32(upper[x + 4], lower[x + 4]);
        // Column x, column x + 4
        *c = centred(_mm256_packs_epi16(near, far));
    }
    let (c01, c23) = (_mm256_unpacklo_epi8(c[0], c[1]), _mm256_unpacklo_epi8(c[2], c[3]));
    let (c45, c67) = (_mm256_unpackhi_epi8(c[0], c[1]), _mm256_unpackhi_epi8(c[2], c[3]));
    let (left_0, right_0) = (_mm256_unpacklo_epi16(c01, c23), _mm256_unpacklo_epi16(c45, c67));
    let (left_4, right_4) = (_mm256_unpackhi_epi16(c01, c23), _mm256_unpackhi_epi16(c45, c67));
    [
        _mm256_unpacklo_epi32(left_0, right_0),
        _mm256_unpackhi_epi32(left_0, right_0),
        _mm256_unpacklo_epi32(left_4, right_4),
        _mm256_unpackhi_epi32(left_4, right_4),
    ]
}

/// One dimension, of coefficients 0 and 4 side by side, 2 and 6, 1 and 7, 3 and 5.
#[inline]
#[target_feature(enable = "avx2")]
fn large_pass<const N: usize, const SHIFT: i32>([p04, p26, p17, p35]: [__m256i; 4]) -> [__m256i; 8] {
    let half = _mm256_set1_epi32(1 << (SHIFT - 1));
    let mut even = [half; 4];
    for n in 0..N.div_ceil(2) {
        if N < 8 || n < 2 {
            let first = _mm256_add_epi32(_mm256_madd_epi16(p04, pair::<N>(n, 0, 4)), half);
            let second = _mm256_madd_epi16(p26, pair::<N>(n, 2, 6));
            even[n] = _mm256_add_epi32(first, second);
            // Half of half of the matrix of eight is equal but for signs, too.
            if N == 8 {
                even[3 - n] = _mm256_sub_epi32(first, second);
            }
        }
    }
    let mut sums = [_mm256_setzero_si256(); 8];
    for n in 0..N.div_ceil(2) {
        let first = _mm256_madd_epi16(p17, pair::<N>(n, 1, 7));
        let odd = _mm256_add_epi32(first, _mm256_madd_epi16(p35, pair::<N>(n, 3, 5)));
        sums[n] = _mm256_srai_epi32::<SHIFT>(_mm256_add_epi32(even[n], odd));
        sums[N - 1 - n] = _mm256_srai_epi32::<SHIFT>(_mm256_sub_epi32(even[n], odd));
    }
    sums
}
