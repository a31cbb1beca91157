//! AVX2: 32 pixels a step, 0..16 in the lower 128-bit lanes, 16..32 in the upper.

#![expect(unsafe_code, reason = "entries into functions that need AVX2")]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi16, _mm256_add_epi32, _mm256_blendv_epi8, _mm256_madd_epi16, _mm256_mulhi_epi16,
    _mm256_packs_epi32, _mm256_packus_epi16, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_srai_epi16, _mm256_srai_epi32, _mm256_sub_epi16, _mm256_unpackhi_epi8,
    _mm256_unpackhi_epi16, _mm256_unpacklo_epi8, _mm256_unpacklo_epi16,
};

use super::scalar;
use crate::simd::Avx2;
use crate::simd::x86_64::{load, store_lanes};

/// Pixels a step.
const STEP: usize = 32;

pub(super) fn to_rgb(_cpu: Avx2, y: &[u8], cb: &[u8], cr: &[u8], rgb: &mut [u8]) {
    if y.len() < STEP {
        return scalar::to_rgb(y, cb, cr, rgb);
    }
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
    unsafe { to_rgb_avx2(y, cb, cr, rgb) }
}

#[target_feature(enable = "avx2")]
fn to_rgb_avx2(y: &[u8], cb: &[u8], cr: &[u8], rgb: &mut [u8]) {
    let zero = _mm256_setzero_si256();
    for x in (0..y.len()).step_by(STEP) {
        let x = x.min(y.len() - STEP);
        let (y, cb, cr) = (at(y, x), at(cb, x), at(cr, x));
        // Pixels 0..8 16..24, then 8..16 24..32; packing undoes it.
        let low = halves(_mm256_unpacklo_epi8(y, zero), _mm256_unpacklo_epi8(cb, zero), _mm256_unpacklo_epi8(cr, zero));
        let high =
            halves(_mm256_unpackhi_epi8(y, zero), _mm256_unpackhi_epi8(cb, zero), _mm256_unpackhi_epi8(cr, zero));
        let red = _mm256_packus_epi16(low[0], high[0]);
        let green = _mm256_packus_epi16(low[1], high[1]);
        let blue = _mm256_packus_epi16(low[2], high[2]);
        store_interleaved([red, green, blue], rgb[3 * x..].first_chunk_mut().expect("a step within the row"));
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn at(plane: &[u8], x: usize) -> __m256i {
    load(plane[x..].first_chunk().expect("a step within the row"))
}

/// Red, green and blue of 16 pixels, 16 bits each.
#[inline]
#[target_feature(enable = "avx2")]
fn halves(y: __m256i, cb: __m256i, cr: __m256i) -> [__m256i; 3] {
    let centre = _mm256_set1_epi16(128);
    let (cb, cr) = (_mm256_sub_epi16(cb, centre), _mm256_sub_epi16(cr, centre));
    let (cb_2, cr_2) = (_mm256_add_epi16(cb, cb), _mm256_add_epi16(cr, cr));
    // 91881 is 65536 + 26345, and 116130 is 2 · 65536 - 14942. A product rounded down at half a unit, plus a half, halved
    // and rounded down again is rounded to nearest.
    let red = _mm256_add_epi16(cr, rounded(_mm256_mulhi_epi16(cr_2, _mm256_set1_epi16(26_345))));
    let blue = _mm256_add_epi16(cb_2, rounded(_mm256_mulhi_epi16(cb_2, _mm256_set1_epi16(-14_942))));
    // -46802 is 18734 - 65536.
    let factors = _mm256_set1_epi32((18_734 << 16) | (-22_554 & 0xFFFF));
    let low = sixteen(_mm256_madd_epi16(_mm256_unpacklo_epi16(cb, cr), factors));
    let high = sixteen(_mm256_madd_epi16(_mm256_unpackhi_epi16(cb, cr), factors));
    let green = _mm256_sub_epi16(_mm256_packs_epi32(low, high), cr);
    [_mm256_add_epi16(y, red), _mm256_add_epi16(y, green), _mm256_add_epi16(y, blue)]
}

/// Half of each, halves up.
#[inline]
#[target_feature(enable = "avx2")]
fn rounded(doubled: __m256i) -> __m256i {
    _mm256_srai_epi16::<1>(_mm256_add_epi16(doubled, _mm256_set1_epi16(1)))
}

/// 16-bit fixed point to nearest, halves up.
#[inline]
#[target_feature(enable = "avx2")]
fn sixteen(value: __m256i) -> __m256i {
    _mm256_srai_epi32::<16>(_mm256_add_epi32(value, _mm256_set1_epi32(1 << 15)))
}

/// How 16 samples of each channel lie in 48 bytes, for both 128-bit lanes. In each of three vectors a channel has every
/// third byte, and never the same in two: one shuffle brings its samples to where they belong in any.
const PLACES: [[u8; 32]; 3] = {
    let mut places = [[0; 32]; 3];
    let mut index = 0;
    while index < 48 {
        let place = &mut places[index % 3];
        place[index % 16] = (index / 3) as u8;
        place[16 + index % 16] = (index / 3) as u8;
        index += 1;
    }
    places
};

/// Every third byte of each 128-bit lane, from one of them on.
const fn every_third(first: usize) -> [u8; 32] {
    let mut mask = [0; 32];
    let mut index = 0;
    while index < 32 {
        mask[index] = if index % 16 % 3 == first { 0xFF } else { 0 };
        index += 1;
    }
    mask
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_interleaved([red, green, blue]: [__m256i; 3], rgb: &mut [u8; 3 * STEP]) {
    let red = _mm256_shuffle_epi8(red, load(&PLACES[0]));
    let green = _mm256_shuffle_epi8(green, load(&PLACES[1]));
    let blue = _mm256_shuffle_epi8(blue, load(&PLACES[2]));
    let [second_bytes, third_bytes] = [load(const { &every_third(1) }), load(const { &every_third(2) })];
    let of =
        |first, second, third| _mm256_blendv_epi8(_mm256_blendv_epi8(first, second, second_bytes), third, third_bytes);
    // Bytes 0, 16 and 32 are the first of red, green and blue.
    let (first, second, third) = (of(red, green, blue), of(green, blue, red), of(blue, red, green));
    let [a, b, c, d, e, f]: &mut [[u8; 16]; 6] = bytemuck::cast_mut(rgb);
    store_lanes(a, d, first);
    store_lanes(b, e, second);
    store_lanes(c, f, third);
}
