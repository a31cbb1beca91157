//! AVX2. Rows of text are mostly transparent and logos mostly opaque: blocks that are wholly so are skipped or copied.

#![expect(unsafe_code, reason = "entries into functions that need AVX2")]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi16, _mm256_add_epi32, _mm256_add_ps, _mm256_adds_epu8, _mm256_and_si256, _mm256_blend_epi32,
    _mm256_blendv_epi8, _mm256_cmpeq_epi32, _mm256_cvtepi32_ps, _mm256_cvttps_epi32, _mm256_div_ps, _mm256_min_ps,
    _mm256_mul_ps, _mm256_mulhi_epu16, _mm256_mullo_epi16, _mm256_or_si256, _mm256_packus_epi16, _mm256_packus_epi32,
    _mm256_permute4x64_epi64, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi32, _mm256_srli_epi32, _mm256_sub_epi32,
    _mm256_testc_si256, _mm256_testz_si256, _mm256_unpackhi_epi8, _mm256_unpackhi_epi16, _mm256_unpackhi_epi64,
    _mm256_unpacklo_epi8, _mm256_unpacklo_epi16, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::scalar;
use crate::simd::Avx2;
use crate::simd::x86_64::{Z, both, load, load_lanes, store, store_lanes};

/// Gray ink over opaque gray.
pub(super) fn over_gray(_cpu: Avx2, ink: &[[u8; 4]], picture: &mut [u8]) {
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
    unsafe { over_gray_avx2(ink, picture) }
}

/// Gray ink over gray with straight alpha.
pub(super) fn over_gray_alpha(_cpu: Avx2, ink: &[[u8; 4]], picture: &mut [[u8; 2]]) {
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
    unsafe { over_gray_alpha_avx2(ink, picture) }
}

/// Ink over opaque RGB.
pub(super) fn over_rgb(_cpu: Avx2, ink: &[[u8; 4]], picture: &mut [[u8; 3]]) {
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
    unsafe { over_rgb_avx2(ink, picture) }
}

/// Ink over RGB with straight alpha.
pub(super) fn over_rgba(_cpu: Avx2, ink: &[[u8; 4]], picture: &mut [[u8; 4]]) {
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
    unsafe { over_rgba_avx2(ink, picture) }
}

/// 32 pixels a step: 0..16 in the lower 128-bit lanes, 16..32 in the upper.
#[target_feature(enable = "avx2")]
fn over_gray_avx2(ink: &[[u8; 4]], picture: &mut [u8]) {
    let n_whole = picture.len() / 32 * 32;
    let (ink, ink_rest) = ink.split_at(n_whole);
    let (picture, rest) = picture.split_at_mut(n_whole);
    let inks = ink.as_flattened().as_chunks::<16>().0.as_chunks::<8>().0;
    // r g b a … → r r r r a a a a - - - - - - - -
    let red_then_alpha = load(&both([0, 4, 8, 12, 3, 7, 11, 15, Z, Z, Z, Z, Z, Z, Z, Z]));

    for ([a, b, c, d, e, f, g, h], picture) in inks.iter().zip(picture.as_chunks_mut::<32>().0) {
        let block = [load_lanes(a, e), load_lanes(b, f), load_lanes(c, g), load_lanes(d, h)];
        if is_transparent(block) {
            continue;
        }
        let [p, q, s, t] = block.map(|pixels| _mm256_shuffle_epi8(pixels, red_then_alpha));
        // p: r0..r3 a0..a3 …, q: r4..r7 a4..a7 … → r0..r7 a0..a7
        let (first, second) = (_mm256_unpacklo_epi32(p, q), _mm256_unpacklo_epi32(s, t));
        // r0..r15 and a0..a15
        let (red, alpha) = (_mm256_unpacklo_epi64(first, second), _mm256_unpackhi_epi64(first, second));
        let blended = over_opaque(red, alpha, load(picture));
        store(picture, blended);
    }
    scalar::over_gray(ink_rest, rest);
}

/// 32 pixels a step, 96 bytes of the picture: 0..16 in the lower 128-bit lanes, 16..32 in the upper.
#[target_feature(enable = "avx2")]
fn over_rgb_avx2(ink: &[[u8; 4]], picture: &mut [[u8; 3]]) {
    let n_whole = picture.len() / 32 * 32;
    let (ink, ink_rest) = ink.split_at(n_whole);
    let (picture, rest) = picture.split_at_mut(n_whole);
    let inks = ink.as_flattened().as_chunks::<16>().0.as_chunks::<8>().0;
    let pictures = picture.as_flattened_mut().as_chunks_mut::<16>().0.as_chunks_mut::<6>().0;
    let colours = Packing::new([0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14]);
    let alphas = Packing::new([3, 3, 3, 7, 7, 7, 11, 11, 11, 15, 15, 15]);

    for ([a, b, c, d, e, f, g, h], [p, q, r, s, t, u]) in inks.iter().zip(pictures) {
        let block = [load_lanes(a, e), load_lanes(b, f), load_lanes(c, g), load_lanes(d, h)];
        if is_transparent(block) {
            continue;
        }
        let [ink_0, ink_1, ink_2] = colours.pack(block);
        if is_opaque(block) {
            store_lanes(p, s, ink_0);
            store_lanes(q, t, ink_1);
            store_lanes(r, u, ink_2);
            continue;
        }
        let [alpha_0, alpha_1, alpha_2] = alphas.pack(block);
        let blended = over_opaque(ink_0, alpha_0, load_lanes(p, s));
        store_lanes(p, s, blended);
        let blended = over_opaque(ink_1, alpha_1, load_lanes(q, t));
        store_lanes(q, t, blended);
        let blended = over_opaque(ink_2, alpha_2, load_lanes(r, u));
        store_lanes(r, u, blended);
    }
    scalar::over_rgb(ink_rest, rest);
}

/// 32 pixels a step.
#[target_feature(enable = "avx2")]
fn over_rgba_avx2(ink: &[[u8; 4]], picture: &mut [[u8; 4]]) {
    let n_whole = picture.len() / 32 * 32;
    let (ink, ink_rest) = ink.split_at(n_whole);
    let (picture, rest) = picture.split_at_mut(n_whole);
    let inks = ink.as_flattened().as_chunks::<32>().0.as_chunks::<4>().0;
    let pictures = picture.as_flattened_mut().as_chunks_mut::<32>().0.as_chunks_mut::<4>().0;
    let alpha_of_each = load(&both([3, 3, 3, 3, 7, 7, 7, 7, 11, 11, 11, 11, 15, 15, 15, 15]));
    let alpha_bits = _mm256_set1_epi32(ALPHA_BITS);

    for ([a, b, c, d], picture) in inks.iter().zip(pictures) {
        let block = [load(a), load(b), load(c), load(d)];
        if is_transparent(block) {
            continue;
        }
        if is_opaque(block) {
            for (ink, picture) in block.into_iter().zip(picture) {
                store(picture, ink);
            }
            continue;
        }
        for (ink, picture) in block.into_iter().zip(picture) {
            let under = load(picture);
            // Under an alpha of 255 both formulas are the same, and 255 stays 255.
            let blended = if _mm256_testc_si256(under, alpha_bits) == 1 {
                over_opaque(ink, _mm256_shuffle_epi8(ink, alpha_of_each), under)
            } else if _mm256_testz_si256(ink, ink) == 1 {
                continue;
            } else {
                over_straight(ink, under)
            };
            store(picture, blended);
        }
    }
    scalar::over_rgba(ink_rest, rest);
}

/// 16 pixels a step.
#[target_feature(enable = "avx2")]
fn over_gray_alpha_avx2(ink: &[[u8; 4]], picture: &mut [[u8; 2]]) {
    let n_whole = picture.len() / 16 * 16;
    let (ink, ink_rest) = ink.split_at(n_whole);
    let (picture, rest) = picture.split_at_mut(n_whole);
    let inks = ink.as_flattened().as_chunks::<32>().0.as_chunks::<2>().0;
    let pictures = picture.as_flattened_mut().as_chunks_mut::<32>().0;
    // r g b a … → r a r a r a r a - - - - - - - -
    let red_and_alpha = load(&both([0, 3, 4, 7, 8, 11, 12, 15, Z, Z, Z, Z, Z, Z, Z, Z]));
    let alpha_of_each = load(&both([1, 1, 3, 3, 5, 5, 7, 7, 9, 9, 11, 11, 13, 13, 15, 15]));
    let alpha_bits = _mm256_set1_epi16(0xFF00_u16.cast_signed());

    for ([first, second], picture) in inks.iter().zip(pictures) {
        let (first, second) = (load(first), load(second));
        let any = _mm256_or_si256(first, second);
        if _mm256_testz_si256(any, any) == 1 {
            continue;
        }
        let (first, second) = (_mm256_shuffle_epi8(first, red_and_alpha), _mm256_shuffle_epi8(second, red_and_alpha));
        // 0..4 8..12 | 4..8 12..16 → 0..4 4..8 | 8..12 12..16
        let ink = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_unpacklo_epi64(first, second));
        if _mm256_testc_si256(ink, alpha_bits) == 1 {
            store(picture, ink);
            continue;
        }
        let under = load(picture);
        // Under an alpha of 255 both formulas are the same, and 255 stays 255.
        let blended = if _mm256_testc_si256(under, alpha_bits) == 1 {
            over_opaque(ink, _mm256_shuffle_epi8(ink, alpha_of_each), under)
        } else {
            over_straight_gray(ink, under)
        };
        store(picture, blended);
    }
    scalar::over_gray_alpha(ink_rest, rest);
}

/// The alpha bytes of RGBA.
const ALPHA_BITS: i32 = 0xFF00_0000_u32.cast_signed();

#[inline]
#[target_feature(enable = "avx2")]
fn is_transparent([a, b, c, d]: [__m256i; 4]) -> bool {
    let any = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
    _mm256_testz_si256(any, any) == 1
}

#[inline]
#[target_feature(enable = "avx2")]
fn is_opaque([a, b, c, d]: [__m256i; 4]) -> bool {
    let all = _mm256_and_si256(_mm256_and_si256(a, b), _mm256_and_si256(c, d));
    _mm256_testc_si256(all, _mm256_set1_epi32(ALPHA_BITS)) == 1
}

/// Takes 12 bytes of each four pixels, so that four vectors become three.
struct Packing([__m256i; 4]);

impl Packing {
    /// `taken` are the indices, within 16 bytes of RGBA.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(taken: [u8; 12]) -> Self {
        // Vector k has its 12 bytes where they belong in the row of 48, modulo 16:
        // 0123 4567 89ab ---- | 4567 89ab ---- 0123 | 89ab ---- 0123 4567 | ---- 0123 4567 89ab
        let mut places = [[Z; 16]; 4];
        for (k, place) in places.iter_mut().enumerate() {
            for (index, &byte) in taken.iter().enumerate() {
                place[(12 * k + index) % 16] = byte;
            }
        }
        Self(places.map(|place| load(&both(place))))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn pack(&self, [a, b, c, d]: [__m256i; 4]) -> [__m256i; 3] {
        let a = _mm256_shuffle_epi8(a, self.0[0]);
        let b = _mm256_shuffle_epi8(b, self.0[1]);
        let c = _mm256_shuffle_epi8(c, self.0[2]);
        let d = _mm256_shuffle_epi8(d, self.0[3]);
        [
            _mm256_blend_epi32::<0b1000_1000>(a, b), // a a a b
            _mm256_blend_epi32::<0b1100_1100>(b, c), // b b c c
            _mm256_blend_epi32::<0b1110_1110>(c, d), // c d d d
        ]
    }
}

/// 32 channels of ink, each with its alpha, over channels of an opaque picture.
#[inline]
#[target_feature(enable = "avx2")]
fn over_opaque(ink: __m256i, alpha: __m256i, picture: __m256i) -> __m256i {
    let zero = _mm256_setzero_si256();
    let remaining = _mm256_xor_si256(alpha, _mm256_set1_epi8(-1));
    // Channels 0..8 and 16..24, then 8..16 and 24..32; packing undoes it.
    let low = _mm256_mullo_epi16(_mm256_unpacklo_epi8(picture, zero), _mm256_unpacklo_epi8(remaining, zero));
    let high = _mm256_mullo_epi16(_mm256_unpackhi_epi8(picture, zero), _mm256_unpackhi_epi8(remaining, zero));
    _mm256_adds_epu8(ink, _mm256_packus_epi16(div_255(low), div_255(high)))
}

/// `x / 255` to nearest of 16 numbers up to 255²: `(y + (y >> 8)) >> 8` is `y · 257 >> 16`.
#[inline]
#[target_feature(enable = "avx2")]
fn div_255(x: __m256i) -> __m256i {
    _mm256_mulhi_epu16(_mm256_add_epi16(x, _mm256_set1_epi16(128)), _mm256_set1_epi16(257))
}

/// 8 RGBA pixels of ink over as many of straight alpha.
#[inline]
#[target_feature(enable = "avx2")]
fn over_straight(ink: __m256i, picture: __m256i) -> __m256i {
    let over = Straight::new(_mm256_srli_epi32::<24>(ink), _mm256_srli_epi32::<24>(picture));
    let r = over.channel(ink, picture);
    let g = over.channel(_mm256_srli_epi32::<8>(ink), _mm256_srli_epi32::<8>(picture));
    let b = over.channel(_mm256_srli_epi32::<16>(ink), _mm256_srli_epi32::<16>(picture));
    let colours = _mm256_or_si256(r, _mm256_or_si256(_mm256_slli_epi32::<8>(g), _mm256_slli_epi32::<16>(b)));
    let blended = _mm256_or_si256(colours, _mm256_slli_epi32::<24>(over.alpha()));
    _mm256_blendv_epi8(blended, picture, over.is_nothing())
}

/// 16 pixels of gray and alpha over as many of straight alpha.
#[inline]
#[target_feature(enable = "avx2")]
fn over_straight_gray(ink: __m256i, picture: __m256i) -> __m256i {
    let zero = _mm256_setzero_si256();
    // Pixels 0..4 and 8..12, then 4..8 and 12..16; packing undoes it.
    let low = over_straight_pairs(_mm256_unpacklo_epi16(ink, zero), _mm256_unpacklo_epi16(picture, zero));
    let high = over_straight_pairs(_mm256_unpackhi_epi16(ink, zero), _mm256_unpackhi_epi16(picture, zero));
    _mm256_packus_epi32(low, high)
}

/// 8 pixels of gray and alpha, each in the lower half of 32 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn over_straight_pairs(ink: __m256i, picture: __m256i) -> __m256i {
    let over = Straight::new(_mm256_srli_epi32::<8>(ink), _mm256_srli_epi32::<8>(picture));
    let blended = _mm256_or_si256(over.channel(ink, picture), _mm256_slli_epi32::<8>(over.alpha()));
    _mm256_blendv_epi8(blended, picture, over.is_nothing())
}

/// What the channels of 8 pixels with straight alpha have in common, 32 bits each; see `scalar.rs`.
struct Straight {
    share: __m256i,
    total: __m256i,
}

impl Straight {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(alpha: __m256i, under: __m256i) -> Self {
        let full = _mm256_set1_epi32(255);
        // The upper 16 bits of every factor are 0, and every product is below 2¹⁶.
        let share = _mm256_mullo_epi16(under, _mm256_sub_epi32(full, alpha));
        Self { share, total: _mm256_add_epi32(_mm256_mullo_epi16(alpha, full), share) }
    }

    /// The lowest 8 of each 32 bits are the channel.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn channel(&self, ink: __m256i, picture: __m256i) -> __m256i {
        let lowest = _mm256_set1_epi32(255);
        let ink = _mm256_cvtepi32_ps(_mm256_and_si256(ink, lowest));
        let picture = _mm256_cvtepi32_ps(_mm256_and_si256(picture, lowest));
        let of_ink = _mm256_mul_ps(ink, _mm256_set1_ps(65_025.0));
        let of_picture = _mm256_mul_ps(picture, _mm256_cvtepi32_ps(self.share));
        let quotient = _mm256_div_ps(_mm256_add_ps(of_ink, of_picture), _mm256_cvtepi32_ps(self.total));
        let rounded = _mm256_add_ps(quotient, _mm256_set1_ps(0.5));
        _mm256_cvttps_epi32(_mm256_min_ps(rounded, _mm256_set1_ps(255.0)))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn alpha(&self) -> __m256i {
        div_255_wide(self.total)
    }

    /// All bits where neither ink nor picture is there.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn is_nothing(&self) -> __m256i {
        _mm256_cmpeq_epi32(self.total, _mm256_setzero_si256())
    }
}

/// `x / 255` to nearest of 8 numbers up to 255².
#[inline]
#[target_feature(enable = "avx2")]
fn div_255_wide(x: __m256i) -> __m256i {
    _mm256_mulhi_epu16(_mm256_add_epi32(x, _mm256_set1_epi32(128)), _mm256_set1_epi32(257))
}
