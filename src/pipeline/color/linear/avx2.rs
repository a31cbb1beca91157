//! AVX2: 16 pixels of both rows at once, all channels of them.

#![expect(unsafe_code, reason = "entries into functions that need AVX2")]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi16, _mm256_adds_epi16, _mm256_and_si256, _mm256_blendv_epi8, _mm256_cmpeq_epi8,
    _mm256_max_epu8, _mm256_min_epi16, _mm256_min_epu16, _mm256_mulhi_epu16, _mm256_mulhrs_epi16, _mm256_mullo_epi16,
    _mm256_or_si256, _mm256_permute2x128_si256, _mm256_permute4x64_epi64, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_srli_epi16, _mm256_sub_epi16,
    _mm256_subs_epu8, _mm256_testc_si256, _mm256_unpackhi_epi8, _mm256_unpackhi_epi16, _mm256_unpackhi_epi32,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi8, _mm256_unpacklo_epi16, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
};

use super::{BEND, FIRST_CURVED, LIGHT, MAX_VARIANCE, RowPair, STRAIGHT};
use crate::pipeline::color::curve::{BLACK, RANGE, WHITE, stored};
use crate::pipeline::resize::Strip;
use crate::simd::Avx2;
use crate::simd::x86_64::{Z, both, load, load_lanes, load_u16, store_i16};

/// See `super::from_srgb`.
pub(super) fn from_srgb<const CHANNELS: usize>(_cpu: Avx2, rows: RowPair<CHANNELS>, strips: &mut [Strip]) {
    match rows.variances {
        // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
        None => unsafe { from_srgb_avx2::<CHANNELS, false>(rows.pixels, [&[]; 2], strips) },
        // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
        Some(variances) => unsafe { from_srgb_avx2::<CHANNELS, true>(rows.pixels, variances, strips) },
    }
}

/// Without `REDUCED` there are no variances.
#[target_feature(enable = "avx2")]
fn from_srgb_avx2<const CHANNELS: usize, const REDUCED: bool>(
    pixels: [&[[u8; CHANNELS]]; 2],
    variances: [&[u16]; 2],
    mut strips: &mut [Strip],
) {
    let tables = Tables::new();
    let n_strips = strips.len() / CHANNELS;
    let mut planes: [&mut [Strip]; CHANNELS] =
        std::array::from_fn(|_| strips.split_off_mut(..n_strips).expect("there are as many planes as channels"));

    let [(a, a_rest), (b, b_rest)] = pixels.map(|row| row.as_chunks::<16>());
    let [(v, v_rest), (w, w_rest)] = variances.map(|row| row.as_chunks::<16>());
    for (index, (a, b)) in a.iter().zip(b).enumerate() {
        let variances = if REDUCED { [&v[index], &w[index]] } else { [&[0; 16]; 2] };
        tables.strip::<CHANNELS, REDUCED>([a, b], variances, &mut planes, index);
    }
    if !a_rest.is_empty() {
        let (a, b) = (padded(a_rest, [0; CHANNELS]), padded(b_rest, [0; CHANNELS]));
        let (v, w) = (padded(v_rest, 0), padded(w_rest, 0));
        tables.strip::<CHANNELS, REDUCED>([&a, &b], [&v, &w], &mut planes, n_strips - 1);
    }
}

fn padded<T: Copy>(rest: &[T], zero: T) -> [T; 16] {
    let mut block = [zero; 16];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// Tables of 16 bytes, in both 128-bit lanes.
struct Tables {
    /// `STRAIGHT`, as the upper four bits.
    straight: __m256i,
    /// Of light, with black added.
    start: [__m256i; 2],
    slope: [__m256i; 2],
    bend: __m256i,
    second_start: [__m256i; 2],
    second_slope: [__m256i; 2],
}

impl Tables {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new() -> Self {
        const STRAIGHTS: [u8; 16] = {
            let mut places = STRAIGHT;
            places[0] <<= 4;
            places
        };
        const STARTS: [[u8; 16]; 2] = {
            let mut starts = LIGHT.start;
            let mut piece = 0;
            while piece < 16 {
                starts[piece] = stored(BLACK + starts[piece]).cast_unsigned();
                piece += 1;
            }
            bytes(starts)
        };
        const SLOPES: [[u8; 16]; 2] = bytes(LIGHT.slope);
        const SECOND_STARTS: [[u8; 16]; 2] = bytes(BEND.start);
        const SECOND_SLOPES: [[u8; 16]; 2] = bytes(BEND.slope);
        Self {
            straight: twice(&STRAIGHTS),
            start: [twice(&STARTS[0]), twice(&STARTS[1])],
            slope: [twice(&SLOPES[0]), twice(&SLOPES[1])],
            bend: twice(&LIGHT.bend),
            second_start: [twice(&SECOND_STARTS[0]), twice(&SECOND_STARTS[1])],
            second_slope: [twice(&SECOND_SLOPES[0]), twice(&SECOND_SLOPES[1])],
        }
    }

    /// 16 pixels of two rows.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn strip<const CHANNELS: usize, const REDUCED: bool>(
        &self,
        pixels: [&[[u8; CHANNELS]; 16]; 2],
        variances: [&[u16; 16]; 2],
        planes: &mut [&mut [Strip]; CHANNELS],
        index: usize,
    ) {
        let codes = planar(pixels);
        let has_alpha = CHANNELS.is_multiple_of(2);
        let variances = if REDUCED { interleaved_variances(variances) } else { [_mm256_setzero_si256(); 2] };
        for (channel, plane) in planes.iter_mut().enumerate() {
            let samples = if has_alpha && channel == CHANNELS - 1 {
                above_black(scaled([_mm256_set1_epi16(RANGE.cast_signed()); 2], codes[channel]))
            } else {
                let light = self.light::<REDUCED>(codes[channel], variances);
                if has_alpha { premultiplied(light, codes[CHANNELS - 1]) } else { light }
            };
            let [low, high] = &mut plane[index];
            store_i16(low, samples[0]);
            store_i16(high, samples[1]);
        }
    }

    /// Working samples of 32 codes: those of the lower halves of the 128-bit lanes, then those of the upper. Variances
    /// come in this order, twice of each; without `REDUCED` there are none.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn light<const REDUCED: bool>(&self, codes: __m256i, variances: [__m256i; 2]) -> [__m256i; 2] {
        let zero = _mm256_setzero_si256();
        let piece = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), _mm256_set1_epi8(15));
        // The lower four bits as the uppermost of 16.
        let position = _mm256_and_si256(_mm256_slli_epi16::<4>(codes), _mm256_set1_epi8(0xF0_u8.cast_signed()));
        let positions = widened(zero, position);
        let curved = widened(zero, _mm256_subs_epu8(position, _mm256_shuffle_epi8(self.straight, piece)));
        let bends = widened(_mm256_shuffle_epi8(self.bend, piece), zero);
        let slopes = looked_up(self.slope, piece);
        let mut light = looked_up(self.start, piece);
        for half in 0..2 {
            let slope = _mm256_add_epi16(slopes[half], _mm256_mulhi_epu16(bends[half], curved[half]));
            light[half] = _mm256_add_epi16(light[half], _mm256_mulhi_epu16(slope, positions[half]));
        }
        if !REDUCED {
            return light;
        }
        let is_curved = _mm256_cmpeq_epi8(_mm256_max_epu8(codes, _mm256_set1_epi8(FIRST_CURVED.cast_signed())), codes);
        let are_curved = widened(is_curved, is_curved);
        let starts = looked_up(self.second_start, piece);
        let slopes = looked_up(self.second_slope, piece);
        for half in 0..2 {
            let bend = _mm256_add_epi16(starts[half], _mm256_mulhi_epu16(slopes[half], positions[half]));
            let bend = _mm256_and_si256(bend, are_curved[half]);
            let more = _mm256_mulhrs_epi16(bend, variances[half]);
            light[half] = _mm256_min_epi16(_mm256_adds_epi16(light[half], more), _mm256_set1_epi16(WHITE));
        }
        light
    }
}

/// The lower bytes, and the upper ones.
const fn bytes(table: [u16; 16]) -> [[u8; 16]; 2] {
    let mut bytes = [[0; 16]; 2];
    let mut index = 0;
    while index < 16 {
        bytes[0][index] = table[index] as u8;
        bytes[1][index] = (table[index] >> 8) as u8;
        index += 1;
    }
    bytes
}

#[inline]
#[target_feature(enable = "avx2")]
fn twice(table: &[u8; 16]) -> __m256i {
    load_lanes(table, table)
}

/// 32 look-ups of 16 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn looked_up([low, high]: [__m256i; 2], indices: __m256i) -> [__m256i; 2] {
    widened(_mm256_shuffle_epi8(low, indices), _mm256_shuffle_epi8(high, indices))
}

/// Lower and upper bytes as 16 bits: of the lower halves of the lanes, then of the upper.
#[inline]
#[target_feature(enable = "avx2")]
fn widened(low: __m256i, high: __m256i) -> [__m256i; 2] {
    [_mm256_unpacklo_epi8(low, high), _mm256_unpackhi_epi8(low, high)]
}

/// Twice the variance, in the order of a strip.
#[inline]
#[target_feature(enable = "avx2")]
fn interleaved_variances(variances: [&[u16; 16]; 2]) -> [__m256i; 2] {
    let largest = _mm256_set1_epi16(MAX_VARIANCE.cast_signed());
    let a = _mm256_slli_epi16::<1>(_mm256_min_epu16(load_u16(variances[0]), largest));
    let b = _mm256_slli_epi16::<1>(_mm256_min_epu16(load_u16(variances[1]), largest));
    // Pixels 0..4 | 8..12 and 4..8 | 12..16.
    let (first, second) = (_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b));
    [_mm256_permute2x128_si256::<0x20>(first, second), _mm256_permute2x128_si256::<0x31>(first, second)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn premultiplied(light: [__m256i; 2], alpha: __m256i) -> [__m256i; 2] {
    if _mm256_testc_si256(alpha, _mm256_set1_epi8(-1)) == 1 {
        return light;
    }
    let black = _mm256_set1_epi16(stored(BLACK));
    above_black(scaled([_mm256_sub_epi16(light[0], black), _mm256_sub_epi16(light[1], black)], alpha))
}

#[inline]
#[target_feature(enable = "avx2")]
fn above_black([low, high]: [__m256i; 2]) -> [__m256i; 2] {
    let black = _mm256_set1_epi16(stored(BLACK));
    [_mm256_add_epi16(low, black), _mm256_add_epi16(high, black)]
}

/// `x · alpha / 255`, rounded; 255 as a factor changes nothing.
#[inline]
#[target_feature(enable = "avx2")]
fn scaled(mut x: [__m256i; 2], alpha: __m256i) -> [__m256i; 2] {
    let opaque = _mm256_cmpeq_epi8(alpha, _mm256_set1_epi8(-1));
    let are_opaque = widened(opaque, opaque);
    // Alpha times 257.
    let factors = widened(alpha, alpha);
    for half in 0..2 {
        let above = _mm256_mulhi_epu16(x[half], factors[half]);
        let below = _mm256_mullo_epi16(x[half], factors[half]);
        let rounded = _mm256_add_epi16(above, _mm256_srli_epi16::<15>(below));
        x[half] = _mm256_blendv_epi8(rounded, x[half], are_opaque[half]);
    }
    x
}

/// The codes of each channel, rows alternating: pixels 0..4 8..12 | 4..8 12..16.
#[inline]
#[target_feature(enable = "avx2")]
fn planar<const CHANNELS: usize>([a, b]: [&[[u8; CHANNELS]; 16]; 2]) -> [__m256i; CHANNELS] {
    let (a, b) = (a.as_flattened().as_chunks::<16>().0, b.as_flattened().as_chunks::<16>().0);
    // Row a in the lower lanes, row b in the upper.
    let mut blocks = [_mm256_setzero_si256(); CHANNELS];
    for (block, (a, b)) in blocks.iter_mut().zip(a.iter().zip(b)) {
        *block = load_lanes(a, b);
    }
    let mut planes = [_mm256_setzero_si256(); CHANNELS];
    match CHANNELS {
        1 => planes[0] = _mm256_shuffle_epi8(blocks[0], load(&ONE)),
        2 => {
            let first = _mm256_shuffle_epi8(blocks[0], load(&TWO));
            let second = _mm256_shuffle_epi8(blocks[1], load(&TWO));
            planes[0] = _mm256_unpacklo_epi32(first, second);
            planes[1] = _mm256_unpackhi_epi32(first, second);
        }
        3 => {
            for (plane, thirds) in planes.iter_mut().zip(&THREE) {
                for (&block, third) in blocks.iter().zip(thirds) {
                    *plane = _mm256_or_si256(*plane, _mm256_shuffle_epi8(block, load(third)));
                }
            }
        }
        _ => {
            for block in &mut blocks {
                *block = _mm256_shuffle_epi8(*block, load(&FOUR));
            }
            let (first, second) =
                (_mm256_unpacklo_epi32(blocks[0], blocks[2]), _mm256_unpacklo_epi32(blocks[1], blocks[3]));
            planes[0] = _mm256_unpacklo_epi64(first, second);
            planes[1] = _mm256_unpackhi_epi64(first, second);
            let (first, second) =
                (_mm256_unpackhi_epi32(blocks[0], blocks[2]), _mm256_unpackhi_epi32(blocks[1], blocks[3]));
            planes[2] = _mm256_unpacklo_epi64(first, second);
            planes[3] = _mm256_unpackhi_epi64(first, second);
        }
    }
    for plane in &mut planes {
        // a: 0..4 8..12, a: 4..8 12..16 | b the same → a and b of the first half | of the second
        *plane = _mm256_shuffle_epi8(_mm256_permute4x64_epi64::<0b11_01_10_00>(*plane), load(&ALTERNATING));
    }
    planes
}

const ALTERNATING: [u8; 32] = both([0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15]);
/// Where the kernels want the pixels of a strip.
const ORDER: [u8; 16] = [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15];
const ONE: [u8; 32] = both(ORDER);
const TWO: [u8; 32] = both([0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15]);
/// For each channel, the bytes that each third of 48 has of it.
const THREE: [[[u8; 32]; 3]; 3] = {
    let mut shuffles = [[[Z; 32]; 3]; 3];
    let mut channel = 0;
    while channel < 3 {
        let mut place = 0;
        while place < 16 {
            let byte = ORDER[place] as usize * 3 + channel;
            shuffles[channel][byte / 16][place] = (byte % 16) as u8;
            shuffles[channel][byte / 16][place + 16] = (byte % 16) as u8;
            place += 1;
        }
        channel += 1;
    }
    shuffles
};
const FOUR: [u8; 32] = both([0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15]);
