//! AVX2: 16 columns at once.

#![expect(unsafe_code, reason = "entries into functions that need AVX2")]

use std::arch::x86_64::{
    __m256, __m256i, _CMP_EQ_OQ, _CMP_LT_OQ, _mm_max_epi16, _mm_set1_epi16, _mm_sub_epi16, _mm256_add_ps,
    _mm256_andnot_ps, _mm256_blendv_ps, _mm256_castps_si256, _mm256_cmp_ps, _mm256_cvtepi32_ps, _mm256_cvtepu16_epi32,
    _mm256_cvttps_epi32, _mm256_div_ps, _mm256_max_epi32, _mm256_min_ps, _mm256_mul_ps, _mm256_packus_epi16,
    _mm256_packus_epi32, _mm256_permutevar8x32_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi32, _mm256_sub_epi32, _mm256_unpackhi_epi32,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
};

use super::{ALPHA, FIRST_EXPONENT, MAX_LIGHT, POLYNOMIALS, SCALE, SLOPE, STRAIGHT};
use crate::pipeline::color::curve::{BLACK, RANGE, stored};
use crate::pipeline::resize::{Column, ROWS};
use crate::simd::Avx2;
use crate::simd::x86_64::{load, load_f32, load_half_i16, store_lanes};

/// Columns of a block.
const BLOCK: usize = 16;

/// See `super::to_srgb`.
pub(super) fn to_srgb<const CHANNELS: usize>(_cpu: Avx2, columns: &[Column], bytes: &mut [u8]) {
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
    unsafe { to_srgb_avx2::<CHANNELS>(columns, bytes) }
}

#[target_feature(enable = "avx2")]
fn to_srgb_avx2<const CHANNELS: usize>(columns: &[Column], bytes: &mut [u8]) {
    let curve = Curve::new();
    let stride = columns.len();
    let (blocks, rest) = columns.as_chunks::<BLOCK>();
    for (index, block) in blocks.iter().enumerate() {
        let coded = curve.block::<CHANNELS>(block);
        for (row, coded) in bytes.chunks_exact_mut(stride).zip(&coded) {
            row[index * BLOCK..][..BLOCK].copy_from_slice(coded);
        }
    }
    if !rest.is_empty() {
        let mut block = [[0; ROWS]; BLOCK];
        block[..rest.len()].copy_from_slice(rest);
        let coded = curve.block::<CHANNELS>(&block);
        for (row, coded) in bytes.chunks_exact_mut(stride).zip(&coded) {
            row[blocks.len() * BLOCK..].copy_from_slice(&coded[..rest.len()]);
        }
    }
}

/// The polynomials, a coefficient of all octaves in each.
struct Curve([__m256; 4]);

impl Curve {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new() -> Self {
        let [constant, linear, square, cube] = &POLYNOMIALS;
        Self([load_f32(constant), load_f32(linear), load_f32(square), load_f32(cube)])
    }

    /// 8 rows of 16 bytes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn block<const CHANNELS: usize>(&self, columns: &[Column; BLOCK]) -> [[u8; BLOCK]; ROWS] {
        let order = load(&BY_ROWS);
        let mut fours = [_mm256_setzero_si256(); 4];
        for (four, columns) in fours.iter_mut().zip(columns.as_chunks::<4>().0) {
            let [a, b, c, d] = self.codes::<CHANNELS>(columns);
            // a0..4 b0..4 c0..4 d0..4 | a4..8 … → a0 b0 c0 d0, a1 b1 c1 d1, …
            let bytes = _mm256_packus_epi16(_mm256_packus_epi32(a, b), _mm256_packus_epi32(c, d));
            *four = _mm256_shuffle_epi8(bytes, order);
        }
        let [a, b, c, d] = fours;
        let (ab_low, ab_high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
        let (cd_low, cd_high) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
        let mut rows = [[0; BLOCK]; ROWS];
        let [r0, r1, r2, r3, r4, r5, r6, r7] = &mut rows;
        store_lanes(r0, r4, _mm256_unpacklo_epi64(ab_low, cd_low));
        store_lanes(r1, r5, _mm256_unpackhi_epi64(ab_low, cd_low));
        store_lanes(r2, r6, _mm256_unpacklo_epi64(ab_high, cd_high));
        store_lanes(r3, r7, _mm256_unpackhi_epi64(ab_high, cd_high));
        rows
    }

    /// 8 codes of each of 4 columns, 32 bits each.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn codes<const CHANNELS: usize>(&self, [a, b, c, d]: &[Column; 4]) -> [__m256i; 4] {
        let [a, b, c, d] = [over_black(a), over_black(b), over_black(c), over_black(d)];
        match CHANNELS {
            2 => {
                let (first, second) = (factor(b), factor(d));
                [self.code(a, first), alpha(b), self.code(c, second), alpha(d)]
            }
            4 => {
                let factor = factor(d);
                [self.code(a, factor), self.code(b, factor), self.code(c, factor), alpha(d)]
            }
            _ => {
                let scale = _mm256_set1_ps(SCALE);
                [self.code(a, scale), self.code(b, scale), self.code(c, scale), self.code(d, scale)]
            }
        }
    }

    /// Codes of light times a factor.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn code(&self, light: __m256, factor: __m256) -> __m256i {
        let light = _mm256_min_ps(_mm256_mul_ps(light, factor), _mm256_set1_ps(MAX_LIGHT));
        let exponent = _mm256_srli_epi32::<23>(_mm256_castps_si256(light));
        let above = _mm256_sub_epi32(exponent, _mm256_set1_epi32(FIRST_EXPONENT));
        let octave = _mm256_max_epi32(above, _mm256_setzero_si256());
        let [constant, linear, square, cube] = self.0;
        let mut curved = _mm256_permutevar8x32_ps(cube, octave);
        for coefficients in [square, linear, constant] {
            let coefficient = _mm256_permutevar8x32_ps(coefficients, octave);
            curved = _mm256_add_ps(_mm256_mul_ps(curved, light), coefficient);
        }
        let straight = rounded(light, SLOPE);
        let is_straight = _mm256_cmp_ps::<_CMP_LT_OQ>(light, _mm256_set1_ps(STRAIGHT));
        _mm256_cvttps_epi32(_mm256_blendv_ps(curved, straight, is_straight))
    }
}

/// 8 samples as light from 0 on.
#[inline]
#[target_feature(enable = "avx2")]
fn over_black(column: &Column) -> __m256 {
    let black = _mm_set1_epi16(stored(BLACK));
    let clipped = _mm_max_epi16(load_half_i16(column), black);
    _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(_mm_sub_epi16(clipped, black)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn factor(alpha: __m256) -> __m256 {
    let quotient = _mm256_div_ps(_mm256_set1_ps(f32::from(RANGE)), alpha);
    let is_nothing = _mm256_cmp_ps::<_CMP_EQ_OQ>(alpha, _mm256_setzero_ps());
    _mm256_andnot_ps(is_nothing, _mm256_mul_ps(quotient, _mm256_set1_ps(SCALE)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn alpha(light: __m256) -> __m256i {
    _mm256_cvttps_epi32(rounded(_mm256_min_ps(light, _mm256_set1_ps(f32::from(RANGE))), ALPHA))
}

/// `light · slope + 0.5`
#[inline]
#[target_feature(enable = "avx2")]
fn rounded(light: __m256, slope: f32) -> __m256 {
    _mm256_add_ps(_mm256_mul_ps(light, _mm256_set1_ps(slope)), _mm256_set1_ps(0.5))
}

/// 4 × 4 bytes transposed, in each 128-bit lane.
const BY_ROWS: [u8; 32] = {
    let mut indices = [0; 32];
    let mut index = 0;
    while index < 32 {
        indices[index] = (index % 4 * 4 + index / 4 % 4) as u8;
        index += 1;
    }
    indices
};
