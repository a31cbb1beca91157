//! AVX2: 32 pixels a step.

#![expect(unsafe_code, reason = "entries into functions that need AVX2")]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi16, _mm256_blendv_epi8, _mm256_maddubs_epi16, _mm256_mulhrs_epi16, _mm256_set1_epi8,
    _mm256_set1_epi16, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_srli_epi16,
    _mm256_unpackhi_epi8, _mm256_unpacklo_epi8,
};

use bytemuck::cast_mut;

use super::{BLOCK, BLUE, LUMA, Planes, RED, Rgb, SharedPlanes};
use crate::simd::Avx2;
use crate::simd::x86_64::{load, load_lanes, store, store_lanes};

/// Luma and chroma of every pixel.
pub(super) fn convert(_cpu: Avx2, row: &[Rgb], planes: Planes<'_>) {
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
    unsafe { convert_avx2(row, planes) }
}

/// Luma of every pixel, chroma of every 2×2 pixels.
pub(super) fn convert_shared(_cpu: Avx2, rows: [&[Rgb]; 2], planes: SharedPlanes<'_>) {
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
    unsafe { convert_shared_avx2(rows, planes) }
}

#[target_feature(enable = "avx2")]
fn convert_avx2(row: &[Rgb], planes: Planes<'_>) {
    let Planes { y, cb, cr } = planes;
    let separation = Separation::new();
    let (luma, blue, red) = (spread(LUMA), spread(BLUE), spread(RED));
    for (((rgb, y), cb), cr) in row.iter().zip(y).zip(cb).zip(cr) {
        let (low, high) = widened(separation.channels(rgb));
        store_halves(y, mixed(low, luma), mixed(high, luma));
        store_halves(cb, mixed(low, blue), mixed(high, blue));
        store_halves(cr, mixed(low, red), mixed(high, red));
    }
}

#[target_feature(enable = "avx2")]
fn convert_shared_avx2(rows: [&[Rgb]; 2], planes: SharedPlanes<'_>) {
    let SharedPlanes { y: [y_top, y_bottom], cb, cr } = planes;
    let separation = Separation::new();
    let (luma, blue, red) = (spread(LUMA), spread(BLUE), spread(RED));
    let ones = _mm256_set1_epi8(1);
    let all_luma = y_top.iter_mut().zip(y_bottom);
    for ((((top, bottom), (y_top, y_bottom)), cb), cr) in rows[0].iter().zip(rows[1]).zip(all_luma).zip(cb).zip(cr) {
        let top = separation.channels(top);
        let (low, high) = widened(top);
        store_halves(y_top, mixed(low, luma), mixed(high, luma));
        let bottom = separation.channels(bottom);
        let (low, high) = widened(bottom);
        store_halves(y_bottom, mixed(low, luma), mixed(high, luma));
        let mean = |channel: usize| {
            let pairs = _mm256_maddubs_epi16(top[channel], ones);
            _mm256_slli_epi16::<5>(_mm256_add_epi16(pairs, _mm256_maddubs_epi16(bottom[channel], ones)))
        };
        let means = [mean(0), mean(1), mean(2)];
        store(cast_mut(cb), mixed(means, blue));
        store(cast_mut(cr), mixed(means, red));
    }
}

/// Takes interleaved pixels apart.
struct Separation {
    /// All bits of the bytes that each channel has in the second and third of three vectors.
    second: [__m256i; 3],
    third: [__m256i; 3],
    /// Sorts the bytes of each channel.
    order: [__m256i; 3],
}

/// The same 16 bytes for both 128-bit lanes, for each channel; bytes by channel and place.
macro_rules! tables {
    (|$channel:ident, $place:ident| $byte:expr) => {{
        let mut tables = [[0; 32]; 3];
        let mut index = 0;
        while index < 96 {
            let ($channel, $place) = (index / 32, index % 16);
            tables[$channel][index % 32] = $byte;
            index += 1;
        }
        tables
    }};
}

/// Of 48 bytes in three vectors, byte `p` of vector `n` is of the channel `(p + n) % 3`: no two vectors have a channel at
/// the same place, so that one vector takes all 16 bytes of it.
const SECOND: [[u8; 32]; 3] = tables!(|channel, p| if (p + 1) % 3 == channel { 0xFF } else { 0 });
const THIRD: [[u8; 32]; 3] = tables!(|channel, p| if (p + 2) % 3 == channel { 0xFF } else { 0 });
const SORTED: [[u8; 32]; 3] = tables!(|channel, x| ((3 * x + channel) % 16) as u8);

impl Separation {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new() -> Self {
        Self { second: load_all(&SECOND), third: load_all(&THIRD), order: load_all(&SORTED) }
    }

    /// 32 bytes of each channel, in order.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn channels(&self, rgb: &Rgb) -> [__m256i; 3] {
        let [[a, b, c], [d, e, f]] = bytemuck::cast_ref::<Rgb, [[[u8; 16]; 3]; 2]>(rgb);
        let [first, second, third] = [load_lanes(a, d), load_lanes(b, e), load_lanes(c, f)];
        let channel = |index: usize| {
            let bytes = _mm256_blendv_epi8(first, second, self.second[index]);
            _mm256_shuffle_epi8(_mm256_blendv_epi8(bytes, third, self.third[index]), self.order[index])
        };
        [channel(0), channel(1), channel(2)]
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_all(tables: &[[u8; 32]; 3]) -> [__m256i; 3] {
    [load(&tables[0]), load(&tables[1]), load(&tables[2])]
}

#[inline]
#[target_feature(enable = "avx2")]
fn spread([r, g, b]: [i16; 3]) -> [__m256i; 3] {
    [_mm256_set1_epi16(r), _mm256_set1_epi16(g), _mm256_set1_epi16(b)]
}

/// Pixels 0..8 and 16..24, then 8..16 and 24..32, times 128.
#[inline]
#[target_feature(enable = "avx2")]
fn widened(channels: [__m256i; 3]) -> ([__m256i; 3], [__m256i; 3]) {
    let zero = _mm256_setzero_si256();
    let low = |channel: __m256i| _mm256_srli_epi16::<1>(_mm256_unpacklo_epi8(zero, channel));
    let high = |channel: __m256i| _mm256_srli_epi16::<1>(_mm256_unpackhi_epi8(zero, channel));
    let [r, g, b] = channels;
    ([low(r), low(g), low(b)], [high(r), high(g), high(b)])
}

#[inline]
#[target_feature(enable = "avx2")]
fn mixed([r, g, b]: [__m256i; 3], factors: [__m256i; 3]) -> __m256i {
    let (r, g) = (_mm256_mulhrs_epi16(r, factors[0]), _mm256_mulhrs_epi16(g, factors[1]));
    _mm256_add_epi16(_mm256_add_epi16(r, g), _mm256_mulhrs_epi16(b, factors[2]))
}

/// Writes what `widened` has split.
#[inline]
#[target_feature(enable = "avx2")]
fn store_halves(row: &mut [i16; BLOCK], low: __m256i, high: __m256i) {
    let [a, b, c, d] = bytemuck::cast_mut::<[i16; BLOCK], [[u8; 16]; 4]>(row);
    store_lanes(a, c, low);
    store_lanes(b, d, high);
}
