//! Three by three and four by four coefficients.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_madd_epi16, _mm256_mullo_epi16, _mm256_packs_epi16, _mm256_packs_epi32,
    _mm256_permute4x64_epi64, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srai_epi32,
    _mm256_sub_epi32, _mm256_unpackhi_epi16, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi16,
    _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
};

use bytemuck::cast_ref;

use super::super::BlockRow;
use super::super::basis::SHIFTS;
use super::{centred, eight, pair, steps, store_rows};
use crate::simd::x86_64::{Z, both, load, load_lanes};

/// 4 blocks of three by three or four by four coefficients a step, the first and the third in one vector and the others
/// in another: all that is said of a vector is true of each 128-bit lane.
#[target_feature(enable = "avx2")]
pub(super) fn inverse<const N: usize, const AREA: usize>(
    coefficients: &[i16],
    blocks: BlockRow,
    quantisation: &[i16],
    samples: &mut [u8],
    stride: usize,
) {
    let mut factors = [[0; 4]; 4];
    for (padded, factors) in factors.iter_mut().zip(quantisation.chunks_exact(N)) {
        padded[..N].copy_from_slice(factors);
    }
    let [upper, lower]: &[[u8; 16]; 2] = cast_ref(&factors);
    let factors = [load_lanes(upper, upper), load_lanes(lower, lower)];
    let compact = load(&both([0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, Z, Z, Z, Z]));
    let mut offsets = blocks.offsets(N, 0);
    for start in steps(blocks.n_blocks(), 4) {
        if start % 4 != 0 {
            offsets = blocks.offsets(N, start);
        }
        let mut block = || coefficients[offsets.step()..].first_chunk().expect("a block within the row");
        let (a, b, c, d) = (block(), block(), block(), block());
        let (even, odd) = (small_pair::<N, AREA>(a, c, factors), small_pair::<N, AREA>(b, d, factors));
        // Rows 0 and 1 of blocks 0 1 | 2 3 → row 0 of all | row 1 of all, and so for rows 2 and 3.
        let rows = [_mm256_unpacklo_epi32(even, odd), _mm256_unpackhi_epi32(even, odd)];
        for (index, rows) in rows.into_iter().enumerate() {
            let rows = _mm256_permute4x64_epi64::<0b11_01_10_00>(rows);
            let rows = if N == 3 { _mm256_shuffle_epi8(rows, compact) } else { rows };
            let target = &mut samples[2 * index * stride + start * N..];
            store_rows(rows, target, stride, N * 4, N - 2 * index);
        }
    }
}

/// The samples of two blocks, row by row, four bytes each.
#[inline]
#[target_feature(enable = "avx2")]
fn small_pair<const N: usize, const AREA: usize>(
    low: &[i16; AREA],
    high: &[i16; AREA],
    factors: [__m256i; 2],
) -> __m256i {
    // The first and the last eight coefficients. Of nine, they have rows 0 and 1, and row 2.
    let halves = [
        load_lanes(eight(low.first_chunk()), eight(high.first_chunk())),
        load_lanes(eight(low.last_chunk()), eight(high.last_chunk())),
    ];
    let [upper, lower] = if N == 3 {
        let two_rows = load(&both([0, 1, 2, 3, 4, 5, Z, Z, 6, 7, 8, 9, 10, 11, Z, Z]));
        let last_row = load(&both([10, 11, 12, 13, 14, 15, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z]));
        [_mm256_shuffle_epi8(halves[0], two_rows), _mm256_shuffle_epi8(halves[1], last_row)]
    } else {
        halves
    };
    let (upper, lower) = (_mm256_mullo_epi16(upper, factors[0]), _mm256_mullo_epi16(lower, factors[1]));
    let rows = small_pass::<N, { SHIFTS[0] }>(_mm256_unpacklo_epi16(upper, lower), _mm256_unpackhi_epi16(upper, lower));
    // Columns 0 1 2 3 of two rows → 0 2 and 0 2, 1 3 and 1 3
    let by_parity = load(&both([0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15]));
    let upper = _mm256_shuffle_epi8(_mm256_packs_epi32(rows[0], rows[1]), by_parity);
    let lower = _mm256_shuffle_epi8(_mm256_packs_epi32(rows[2], rows[3]), by_parity);
    let columns =
        small_pass::<N, { SHIFTS[1] }>(_mm256_unpacklo_epi64(upper, lower), _mm256_unpackhi_epi64(upper, lower));
    let (left, right) = (_mm256_packs_epi32(columns[0], columns[1]), _mm256_packs_epi32(columns[2], columns[3]));
    let transposed = load(&both([0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15]));
    _mm256_shuffle_epi8(centred(_mm256_packs_epi16(left, right)), transposed)
}

/// One dimension, of coefficients 0 and 2 side by side, and 1 and 3.
#[inline]
#[target_feature(enable = "avx2")]
fn small_pass<const N: usize, const SHIFT: i32>(even: __m256i, odd: __m256i) -> [__m256i; 4] {
    let half = _mm256_set1_epi32(1 << (SHIFT - 1));
    let mut sums = [_mm256_setzero_si256(); 4];
    for n in 0..N.div_ceil(2) {
        let even = _mm256_add_epi32(_mm256_madd_epi16(even, pair::<N>(n, 0, 2)), half);
        let odd = _mm256_madd_epi16(odd, pair::<N>(n, 1, 3));
        sums[n] = _mm256_srai_epi32::<SHIFT>(_mm256_add_epi32(even, odd));
        sums[N - 1 - n] = _mm256_srai_epi32::<SHIFT>(_mm256_sub_epi32(even, odd));
    }
    sums
}
