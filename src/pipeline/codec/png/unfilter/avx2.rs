//! Four scanlines in one 256-bit register, a pixel of each as four 16-bit numbers: lane i holds scanline i, two pixels
//! behind the lane to its left, so that what it takes from above was made two steps before.

#![expect(unsafe_code, reason = "functions with instructions that this CPU may lack are entered here")]

use std::arch::x86_64::{
    __m128i, __m256i, _mm_cvtsi128_si64, _mm_extract_epi32, _mm_setr_epi8, _mm_shuffle_epi8, _mm_srli_si128,
    _mm_unpackhi_epi32, _mm_unpackhi_epi64, _mm_unpacklo_epi32, _mm_unpacklo_epi64, _mm256_add_epi8, _mm256_add_epi16,
    _mm256_and_si256, _mm256_blend_epi32, _mm256_blendv_epi8, _mm256_castps_si256, _mm256_castsi256_ps,
    _mm256_castsi256_si128, _mm256_cmpgt_epi16, _mm256_cvtepu8_epi16, _mm256_extracti128_si256, _mm256_max_epi16,
    _mm256_min_epi16, _mm256_packus_epi16, _mm256_permute4x64_epi64, _mm256_setr_epi64x, _mm256_shuffle_ps,
    _mm256_slli_epi16, _mm256_sub_epi16,
};

use super::{Filter, scalar};
use crate::simd::{Avx2, x86_64};

/// Pixels that each scanline is behind the one above.
const LAG: usize = 2;

/// Undoes the filters of four scanlines of 3 or 4 bytes a pixel, none of them Average; `rows` is the row above and room
/// for four.
pub(super) fn four(_cpu: Avx2, bytes_per_pixel: usize, filters: [Filter; 4], scanlines: &[u8], rows: &mut [u8]) {
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
    unsafe { four_avx2(bytes_per_pixel, filters, scanlines, rows) }
}

#[target_feature(enable = "avx2")]
fn four_avx2(bytes_per_pixel: usize, filters: [Filter; 4], scanlines: &[u8], rows: &mut [u8]) {
    match bytes_per_pixel {
        3 => four_of::<3>(filters, scanlines, rows),
        _ => four_of::<4>(filters, scanlines, rows),
    }
}

#[target_feature(enable = "avx2")]
#[expect(clippy::too_many_lines, reason = "one straight kernel: what is before, the loop, what is left")]
fn four_of<const N: usize>(filters: [Filter; 4], scanlines: &[u8], rows: &mut [u8]) {
    let stride = rows.len() / 5;
    let width = stride / N;
    // The first pixels of each scanline, until each is `LAG` behind the one above.
    for row in 0..4 {
        span::<N>(filters, scanlines, rows, row, 0..(3 - row) * LAG);
    }
    // What a scanline's filter takes: an absent left, above or corner counts as 0, and then Paeth's rule gives the other.
    let mask = |takes: fn(Filter) -> bool| {
        let [a, b, c, d] = filters.map(|filter| if takes(filter) { -1 } else { 0 });
        _mm256_setr_epi64x(a, b, c, d)
    };
    let takes_left = mask(|filter| matches!(filter, Filter::Sub | Filter::Paeth));
    let takes_above = mask(|filter| matches!(filter, Filter::Up | Filter::Paeth));
    let takes_corner = mask(|filter| filter == Filter::Paeth);
    let first = |row: usize| (3 - row) * LAG;
    let pixel = |rows: &[u8], row: usize, x: Option<usize>| {
        x.map_or(0, |x| {
            let at = row * stride + x * N;
            (0..N).fold(0, |pixel, channel| pixel | i64::from(rows[at + channel]) << (16 * channel))
        })
    };
    let gather = |rows: &[u8], pixels: [(usize, Option<usize>); 4]| {
        let [a, b, c, d] = pixels.map(|(row, x)| pixel(rows, row, x));
        _mm256_setr_epi64x(a, b, c, d)
    };
    let behind = |pixels| [0, 1, 2, 3].map(|row| (row + 1, first(row).checked_sub(pixels)));
    let mut left = gather(rows, behind(1));
    let mut before_left = gather(rows, behind(2));
    let mut corner = gather(rows, [0, 1, 2, 3].map(|row| (row, first(row).checked_sub(1))));

    let expand = if N == 3 {
        _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1)
    } else {
        _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    };
    let contract = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    let load = |bytes: &[u8], at: usize| {
        let pixels = x86_64::load_half(bytes[at..at + 16].first_chunk().expect("16 bytes"));
        if N == 3 { _mm_shuffle_epi8(pixels, expand) } else { pixels }
    };
    // Three bytes a pixel are loaded as 16, of which 12 count.
    let n_blocks = (width - first(0)).saturating_sub(if N == 3 { 2 } else { 0 }) / 4;
    for block in 0..n_blocks {
        let x = |row: usize| first(row) + 4 * block;
        let filtered = [0, 1, 2, 3].map(|row| load(scanlines, row * (stride + 1) + 1 + x(row) * N));
        let above = load(rows, x(0) * N);
        let mut step = |filtered: __m128i, above: __m128i| {
            // Lanes of what was made two steps before: 0 1 2 3 → above 0 1 2.
            let shifted = _mm256_permute4x64_epi64::<0b10_01_00_00>(before_left);
            let above = _mm256_blend_epi32::<0b11>(shifted, _mm256_cvtepu8_epi16(above));
            let b = _mm256_and_si256(above, takes_above);
            let c = _mm256_and_si256(corner, takes_corner);
            let a = _mm256_and_si256(left, takes_left);
            let corner_thrice = _mm256_add_epi16(c, _mm256_slli_epi16::<1>(c));
            let threshold = _mm256_sub_epi16(_mm256_sub_epi16(corner_thrice, b), a);
            let (low, high) = (_mm256_min_epi16(a, b), _mm256_max_epi16(a, b));
            let nearest = _mm256_blendv_epi8(low, c, _mm256_cmpgt_epi16(high, threshold));
            let predicted = _mm256_blendv_epi8(high, nearest, _mm256_cmpgt_epi16(threshold, low));
            before_left = left;
            corner = above;
            // The upper byte of each number stays 0.
            left = _mm256_add_epi8(_mm256_cvtepu8_epi16(filtered), predicted);
            left
        };
        // Columns of four scanlines: pixel k of each.
        let [r0, r1, r2, r3] = filtered;
        let (low01, low23) = (_mm_unpacklo_epi32(r0, r1), _mm_unpacklo_epi32(r2, r3));
        let (high01, high23) = (_mm_unpackhi_epi32(r0, r1), _mm_unpackhi_epi32(r2, r3));
        let p0 = step(_mm_unpacklo_epi64(low01, low23), above);
        let p1 = step(_mm_unpackhi_epi64(low01, low23), _mm_srli_si128::<4>(above));
        let p2 = step(_mm_unpacklo_epi64(high01, high23), _mm_srli_si128::<8>(above));
        let p3 = step(_mm_unpackhi_epi64(high01, high23), _mm_srli_si128::<12>(above));
        // Scanline and pixel: 00 10 01 11 | 20 30 21 31, and 02 12 03 13 | 22 32 23 33.
        let first_two = _mm256_castsi256_ps(_mm256_packus_epi16(p0, p1));
        let last_two = _mm256_castsi256_ps(_mm256_packus_epi16(p2, p3));
        let even: __m256i = _mm256_castps_si256(_mm256_shuffle_ps::<0b10_00_10_00>(first_two, last_two));
        let odd: __m256i = _mm256_castps_si256(_mm256_shuffle_ps::<0b11_01_11_01>(first_two, last_two));
        let done = [
            _mm256_castsi256_si128(even),
            _mm256_castsi256_si128(odd),
            _mm256_extracti128_si256::<1>(even),
            _mm256_extracti128_si256::<1>(odd),
        ];
        for (row, &pixels) in done.iter().enumerate() {
            let at = (row + 1) * stride + x(row) * N;
            if N == 3 {
                let pixels = _mm_shuffle_epi8(pixels, contract);
                let out: &mut [u8; 12] = rows[at..at + 12].first_chunk_mut().expect("12 bytes");
                out[..8].copy_from_slice(&_mm_cvtsi128_si64(pixels).to_le_bytes());
                out[8..].copy_from_slice(&_mm_extract_epi32::<2>(pixels).to_le_bytes());
            } else {
                x86_64::store_half(rows[at..at + 16].first_chunk_mut().expect("16 bytes"), pixels);
            }
        }
    }
    for row in 0..4 {
        span::<N>(filters, scanlines, rows, row, first(row) + 4 * n_blocks..width);
    }
}

/// Some pixels of one of the scanlines, the plain way.
fn span<const N: usize>(
    filters: [Filter; 4],
    scanlines: &[u8],
    rows: &mut [u8],
    row: usize,
    pixels: std::ops::Range<usize>,
) {
    let stride = rows.len() / 5;
    let filtered = &scanlines[row * (stride + 1) + 1..(row + 1) * (stride + 1)];
    let (above, rest) = rows[row * stride..].split_at_mut(stride);
    scalar::span::<N>(filters[row], filtered, above, &mut rest[..stride], pixels);
}
