//! AVX2: 32 pixels a step.

#![expect(unsafe_code, reason = "entries into functions that need AVX2")]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_madd_epi16, _mm256_mulhi_epu16, _mm256_mullo_epi16, _mm256_packus_epi16,
    _mm256_packus_epi32, _mm256_permutevar8x32_epi32, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setr_epi32,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_srli_epi32, _mm256_unpackhi_epi8,
    _mm256_unpacklo_epi8,
};

use super::{BLUE, GREEN, RED, scalar};
use crate::simd::Avx2;
use crate::simd::x86_64::{Z, load, load_lanes, store};

/// See `super::luma_of_rgb`.
pub(super) fn luma_of_rgb(_cpu: Avx2, pixels: &[[u8; 3]], luma: &mut [u8]) {
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
    unsafe { luma_of_rgb_avx2(pixels, luma) }
}

/// See `super::luma_of_rgba`.
pub(super) fn luma_of_rgba(_cpu: Avx2, pixels: &[[u8; 4]], luma: &mut [u8]) {
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
    unsafe { luma_of_rgba_avx2(pixels, luma) }
}

#[target_feature(enable = "avx2")]
fn luma_of_rgb_avx2(pixels: &[[u8; 3]], luma: &mut [u8]) {
    let (blocks, rest) = pixels.as_chunks::<32>();
    let (luma_blocks, luma_rest) = luma.as_chunks_mut::<32>();
    // The second four of eight pixels begin at byte 4 of the last 16.
    let (red_green, green_blue) = (load(&pairs([0, 4], 3, 0)), load(&pairs([0, 4], 3, 1)));
    for (block, luma) in blocks.iter().zip(luma_blocks) {
        let mut lumas = [_mm256_setzero_si256(); 4];
        for (luma, eight) in lumas.iter_mut().zip(block.as_flattened().as_chunks::<24>().0) {
            let eight = load_lanes(eight.first_chunk().expect("24 bytes"), eight.last_chunk().expect("24 bytes"));
            *luma = weighted(_mm256_shuffle_epi8(eight, red_green), _mm256_shuffle_epi8(eight, green_blue));
        }
        store(luma, packed(lumas));
    }
    scalar::luma_of_rgb(rest, luma_rest);
}

#[target_feature(enable = "avx2")]
fn luma_of_rgba_avx2(pixels: &[[u8; 4]], luma: &mut [u8]) {
    let (blocks, rest) = pixels.as_chunks::<32>();
    let (luma_blocks, luma_rest) = luma.as_chunks_mut::<32>();
    let (red_green, green_blue) = (load(&pairs([0, 0], 4, 0)), load(&pairs([0, 0], 4, 1)));
    for (block, luma) in blocks.iter().zip(luma_blocks) {
        let mut lumas = [_mm256_setzero_si256(); 4];
        for (luma, eight) in lumas.iter_mut().zip(block.as_flattened().as_chunks::<32>().0) {
            let eight = on_black(load(eight));
            *luma = weighted(_mm256_shuffle_epi8(eight, red_green), _mm256_shuffle_epi8(eight, green_blue));
        }
        store(luma, packed(lumas));
    }
    scalar::luma_of_rgba(rest, luma_rest);
}

/// Luma of 8 pixels, 32 bits each, from their red and green, and green and blue. Green counts half in each, as all of
/// its weight would be a negative number of 16 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn weighted(red_green: __m256i, green_blue: __m256i) -> __m256i {
    let half_green = GREEN / 2;
    let first = _mm256_set1_epi32((RED | half_green << 16).cast_signed());
    let second = _mm256_set1_epi32((half_green | BLUE << 16).cast_signed());
    let sum = _mm256_add_epi32(_mm256_madd_epi16(red_green, first), _mm256_madd_epi16(green_blue, second));
    _mm256_srli_epi32::<16>(_mm256_add_epi32(sum, _mm256_set1_epi32(1 << 15)))
}

/// 32 values of 32 bits as bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn packed([a, b, c, d]: [__m256i; 4]) -> __m256i {
    // a0..4 b0..4 c0..4 d0..4 | a4..8 b4..8 c4..8 d4..8
    let bytes = _mm256_packus_epi16(_mm256_packus_epi32(a, b), _mm256_packus_epi32(c, d));
    _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))
}

/// The colours of 8 pixels on black; see `scalar.rs`. A product p of two bytes becomes ⌊p · 257 / 65280⌋, which is
/// ⌊p · 33025 / 2²³⌋ for all of them.
#[inline]
#[target_feature(enable = "avx2")]
fn on_black(pixels: __m256i) -> __m256i {
    let zero = _mm256_setzero_si256();
    let alphas = _mm256_shuffle_epi8(pixels, load(&ALPHAS));
    let scaled = |colours, alphas| {
        let product = _mm256_mullo_epi16(colours, alphas);
        _mm256_srli_epi16::<7>(_mm256_mulhi_epu16(product, _mm256_set1_epi16(33_025_u16.cast_signed())))
    };
    let low = scaled(_mm256_unpacklo_epi8(pixels, zero), _mm256_unpacklo_epi8(alphas, zero));
    let high = scaled(_mm256_unpackhi_epi8(pixels, zero), _mm256_unpackhi_epi8(alphas, zero));
    _mm256_packus_epi16(low, high)
}

/// The alpha of each pixel, four times.
const ALPHAS: [u8; 32] = {
    let mut indices = [0; 32];
    let mut index = 0;
    while index < 32 {
        indices[index] = (index % 16 / 4 * 4 + 3) as u8;
        index += 1;
    }
    indices
};

/// Two channels of four pixels in each lane, 16 bits each: `channel` and the next. Lanes begin at `starts`, pixels are
/// `stride` bytes apart.
const fn pairs(starts: [u8; 2], stride: u8, channel: u8) -> [u8; 32] {
    let mut indices = [Z; 32];
    let mut pixel = 0;
    while pixel < 8 {
        let at = starts[pixel / 4] + (pixel % 4) as u8 * stride + channel;
        indices[pixel * 4] = at;
        indices[pixel * 4 + 2] = at + 1;
        pixel += 1;
    }
    indices
}
