//! AVX2: a block a step, eight rows of eight `f32`.

#![expect(unsafe_code, reason = "entries into functions that need AVX2")]

use std::arch::x86_64::{
    __m256, __m256i, _mm256_abs_epi16, _mm256_add_epi16, _mm256_add_ps, _mm256_and_si256, _mm256_castsi256_ps,
    _mm256_cmpgt_epi16, _mm256_cvtepi16_epi32, _mm256_cvtepi32_ps, _mm256_cvttps_epi32, _mm256_movemask_epi8,
    _mm256_mul_ps, _mm256_or_si256, _mm256_packs_epi16, _mm256_packs_epi32, _mm256_permute2f128_ps,
    _mm256_permute4x64_epi64, _mm256_set1_epi16, _mm256_set1_ps, _mm256_shuffle_epi8, _mm256_shuffle_ps,
    _mm256_sign_epi16, _mm256_slli_epi16, _mm256_srli_epi16, _mm256_sub_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
};

use bytemuck::{cast_mut, cast_ref};

use super::{Block, C2_MINUS_C6, C2_PLUS_C6, C4, C6, ORDER, Quantiser, counting};
use crate::simd::Avx2;
use crate::simd::x86_64::{load, load_half, store};

/// A row of blocks.
pub(super) fn transform(_cpu: Avx2, samples: &[i16], stride: usize, quantiser: &Quantiser, blocks: &mut [Block]) {
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
    unsafe { transform_avx2(samples, stride, quantiser, blocks) }
}

#[target_feature(enable = "avx2")]
fn transform_avx2(samples: &[i16], stride: usize, quantiser: &Quantiser, blocks: &mut [Block]) {
    let mut rows = samples.chunks_exact(stride).map(|row| row.as_chunks::<8>().0);
    let Some(rows): Option<[&[[i16; 8]]; 8]> = collect(&mut rows) else { return };
    let offset = load_ps(&[quantiser.offset, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    for (index, block) in blocks.iter_mut().enumerate() {
        let row = |y: usize| widened(&rows[y][index]);
        let input = [row(0), row(1), row(2), row(3), row(4), row(5), row(6), row(7)];
        let mut coefficients = pass(transposed(pass(input)));
        coefficients[0] = _mm256_sub_ps(coefficients[0], offset);
        quantise(coefficients, quantiser, block);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn widened(samples: &[i16; 8]) -> __m256 {
    _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(load_half(cast_ref::<[i16; 8], [u8; 16]>(samples))))
}

/// The eight rows.
#[inline]
fn collect<'a>(rows: &mut impl Iterator<Item = &'a [[i16; 8]]>) -> Option<[&'a [[i16; 8]]; 8]> {
    let mut all = [&[][..]; 8];
    for slot in &mut all {
        *slot = rows.next()?;
    }
    Some(all)
}

/// See `scalar.rs`.
#[inline]
#[target_feature(enable = "avx2")]
fn pass(input: [__m256; 8]) -> [__m256; 8] {
    let sum = |a: usize, b: usize| _mm256_add_ps(input[a], input[b]);
    let difference = |a: usize, b: usize| _mm256_sub_ps(input[a], input[b]);
    let (s0, s1, s2, s3) = (sum(0, 7), sum(1, 6), sum(2, 5), sum(3, 4));
    let (d0, d1, d2, d3) = (difference(0, 7), difference(1, 6), difference(2, 5), difference(3, 4));
    let scale = |a: __m256, factor: f32| _mm256_mul_ps(a, _mm256_set1_ps(factor));

    let (a, b) = (_mm256_add_ps(s0, s3), _mm256_add_ps(s1, s2));
    let (c, d) = (_mm256_sub_ps(s1, s2), _mm256_sub_ps(s0, s3));
    let rotated = scale(_mm256_add_ps(c, d), C4);

    let (e, f, g) = (_mm256_add_ps(d3, d2), _mm256_add_ps(d2, d1), _mm256_add_ps(d1, d0));
    let common = scale(_mm256_sub_ps(e, g), C6);
    let low = _mm256_add_ps(scale(e, C2_MINUS_C6), common);
    let high = _mm256_add_ps(scale(g, C2_PLUS_C6), common);
    let middle = scale(f, C4);
    let (near, far) = (_mm256_add_ps(d0, middle), _mm256_sub_ps(d0, middle));
    [
        _mm256_add_ps(a, b),
        _mm256_add_ps(near, high),
        _mm256_add_ps(d, rotated),
        _mm256_sub_ps(far, low),
        _mm256_sub_ps(a, b),
        _mm256_add_ps(far, low),
        _mm256_sub_ps(d, rotated),
        _mm256_sub_ps(near, high),
    ]
}

#[inline]
#[target_feature(enable = "avx2")]
fn transposed(rows: [__m256; 8]) -> [__m256; 8] {
    let [a, b, c, d, e, f, g, h] = rows;
    // a0 b0 a1 b1 | a4 b4 a5 b5, then a2 b2 a3 b3 | a6 b6 a7 b7
    let (ab, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    let (cd, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    let (ef, ef_high) = (_mm256_unpacklo_ps(e, f), _mm256_unpackhi_ps(e, f));
    let (gh, gh_high) = (_mm256_unpacklo_ps(g, h), _mm256_unpackhi_ps(g, h));
    // a0 b0 c0 d0 | a4 b4 c4 d4 and so on
    let first = |x: __m256, y: __m256| _mm256_shuffle_ps::<0b01_00_01_00>(x, y);
    let second = |x: __m256, y: __m256| _mm256_shuffle_ps::<0b11_10_11_10>(x, y);
    let upper = [first(ab, cd), second(ab, cd), first(ab_high, cd_high), second(ab_high, cd_high)];
    let lower = [first(ef, gh), second(ef, gh), first(ef_high, gh_high), second(ef_high, gh_high)];
    let low = |index: usize| _mm256_permute2f128_ps::<0x20>(upper[index], lower[index]);
    let high = |index: usize| _mm256_permute2f128_ps::<0x31>(upper[index], lower[index]);
    [low(0), low(1), low(2), low(3), high(0), high(1), high(2), high(3)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn quantise(coefficients: [__m256; 8], quantiser: &Quantiser, block: &mut Block) {
    let factors = cast_ref::<[f32; 64], [[f32; 8]; 8]>(&quantiser.factors);
    let zero = cast_ref::<[i16; 64], [[u8; 32]; 4]>(&quantiser.zero);
    let weak = cast_ref::<[i16; 64], [[u8; 32]; 4]>(&quantiser.weak);
    let values = cast_mut::<[i16; 64], [[u8; 32]; 4]>(&mut block.coefficients);
    let half = _mm256_set1_epi16(8);
    let mut marks = [half; 4];
    for pair in 0..4 {
        let wide = |index: usize| _mm256_cvttps_epi32(_mm256_mul_ps(coefficients[index], load_ps(&factors[index])));
        // 0..4 8..12 | 4..8 12..16 → 0..4 4..8 | 8..12 12..16
        let packed = _mm256_packs_epi32(wide(2 * pair), wide(2 * pair + 1));
        let sixteenths = _mm256_permute4x64_epi64::<0b11_01_10_00>(packed);
        let size = _mm256_abs_epi16(sixteenths);
        let value = _mm256_srli_epi16::<4>(_mm256_add_epi16(size, half));
        store(&mut values[pair], _mm256_sign_epi16(value, sixteenths));
        // The upper byte is all bits for a coefficient, the lower for one that is not weak.
        let above_zero = _mm256_cmpgt_epi16(size, load(&zero[pair]));
        let above_weak = _mm256_cmpgt_epi16(size, load(&weak[pair]));
        marks[pair] = marked(above_zero, above_weak);
    }
    let (above_zero, above_weak) = masks(marks);
    block.mask = counting(above_zero, !above_weak);
}

/// As 16 bits that stay what they are when packed with saturation: −128 for both, −64 for the first alone.
#[inline]
#[target_feature(enable = "avx2")]
fn marked(above_zero: __m256i, above_weak: __m256i) -> __m256i {
    // Bit 7 tells the first, bit 6 the second; the upper byte is the sign.
    let first = _mm256_and_si256(above_zero, _mm256_set1_epi16(-128));
    _mm256_or_si256(first, _mm256_and_si256(above_weak, _mm256_set1_epi16(64)))
}

/// The bits of the marks in zigzag order.
#[inline]
#[target_feature(enable = "avx2")]
fn masks(marks: [__m256i; 4]) -> (u64, u64) {
    // Rows of eight: 0 2 | 1 3 and 4 6 | 5 7
    let (p, q) = (_mm256_packs_epi16(marks[0], marks[1]), _mm256_packs_epi16(marks[2], marks[3]));
    let sources = [
        _mm256_permute4x64_epi64::<0b01_00_01_00>(p),
        _mm256_permute4x64_epi64::<0b11_10_11_10>(p),
        _mm256_permute4x64_epi64::<0b01_00_01_00>(q),
        _mm256_permute4x64_epi64::<0b11_10_11_10>(q),
    ];
    let half = |indices: &[[u8; 32]; 4]| {
        let taken = |source: usize| _mm256_shuffle_epi8(sources[source], load(&indices[source]));
        _mm256_or_si256(_mm256_or_si256(taken(0), taken(1)), _mm256_or_si256(taken(2), taken(3)))
    };
    let bits = |bytes: __m256i| u64::from(_mm256_movemask_epi8(bytes).cast_unsigned());
    let (low, high) = (half(&ZIGZAG[0]), half(&ZIGZAG[1]));
    let above_zero = bits(low) | bits(high) << 32;
    let above_weak = bits(_mm256_slli_epi16::<1>(low)) | bits(_mm256_slli_epi16::<1>(high)) << 32;
    (above_zero, above_weak)
}

/// For each half of the zigzag order, what is taken of each of the four sources of `masks`.
const ZIGZAG: [[[u8; 32]; 4]; 2] = zigzag();

const fn zigzag() -> [[[u8; 32]; 4]; 2] {
    let mut indices = [[[0x80; 32]; 4]; 2];
    let mut bit = 0;
    while bit < 64 {
        let (row, column) = (ORDER[bit] / 8, ORDER[bit] % 8);
        // Rows 0 2, 1 3, 4 6 and 5 7 are together.
        let source = row / 4 * 2 + row % 2;
        indices[bit / 32][source as usize][bit % 32] = row % 4 / 2 * 8 + column;
        bit += 1;
    }
    indices
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_ps(values: &[f32; 8]) -> __m256 {
    _mm256_castsi256_ps(load(cast_ref::<[f32; 8], [u8; 32]>(values)))
}
