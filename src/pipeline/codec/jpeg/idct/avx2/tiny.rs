//! One by one and two by two coefficients: sums without factors.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi16, _mm256_adds_epi16, _mm256_mullo_epi16, _mm256_packs_epi16, _mm256_permute4x64_epi64,
    _mm256_set_epi64x, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_shuffle_epi8,
    _mm256_shuffle_epi32, _mm256_sign_epi16, _mm256_srai_epi16,
};

use bytemuck::{cast, cast_ref};

use super::super::BlockRow;
use super::{centred, steps, store_rows};
use crate::simd::x86_64::{both, load, store};

/// 32 blocks of one coefficient a step.
#[target_feature(enable = "avx2")]
pub(super) fn ones(coefficients: &[i16], blocks: BlockRow, quantisation: &[i16], samples: &mut [u8], _stride: usize) {
    /// Blocks whose coefficients are brought together before any is looked at as part of a vector: a load of what was
    /// stored in smaller parts just before would wait for all of them.
    const BATCH: usize = 256;
    let n_blocks = blocks.n_blocks();
    let factor = _mm256_set1_epi16(quantisation[0]);
    let mut gathered = [0; BATCH];
    let mut first = 0;
    while first < n_blocks {
        // The last batch is as long as it has to be, but not shorter than a step.
        let length = (n_blocks - first).clamp(32, BATCH);
        first = first.min(n_blocks - length);
        gather(coefficients, blocks, first, &mut gathered[..length]);
        let samples = &mut samples[first..first + length];
        for start in steps(length, 32) {
            let step: &[[u8; 32]; 2] =
                cast_ref(gathered[start..].first_chunk::<32>().expect("a step within the batch"));
            let low = eighths(_mm256_mullo_epi16(load(&step[0]), factor));
            let high = eighths(_mm256_mullo_epi16(load(&step[1]), factor));
            // packs yields 0..8 16..24 | 8..16 24..32
            let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(low, high));
            let target = samples[start..].first_chunk_mut().expect("a step within the row");
            store(target, centred(packed));
        }
        first += length;
    }
}

/// An eighth of each, halves up.
#[inline]
#[target_feature(enable = "avx2")]
fn eighths(values: __m256i) -> __m256i {
    // Saturation changes nothing: such values are far beyond a sample's.
    _mm256_srai_epi16::<3>(_mm256_adds_epi16(values, _mm256_set1_epi16(4)))
}

/// The only coefficients of blocks, from block `first` on.
#[inline]
fn gather(coefficients: &[i16], blocks: BlockRow, first: usize, gathered: &mut [i16]) {
    match blocks.per_group {
        _ if blocks.n_groups == 1 => gathered.copy_from_slice(&coefficients[blocks.first + first..][..gathered.len()]),
        1 => gather_groups::<1>(coefficients, blocks, first, gathered),
        2 => gather_groups::<2>(coefficients, blocks, first, gathered),
        4 => gather_groups::<4>(coefficients, blocks, first, gathered),
        _ => {
            let mut offsets = blocks.offsets(1, first);
            gathered.iter_mut().for_each(|gathered| *gathered = coefficients[offsets.step()]);
        }
    }
}

/// The same for groups of N blocks. Whole ones: rows, batches and steps have a multiple of N.
#[inline]
fn gather_groups<const N: usize>(coefficients: &[i16], blocks: BlockRow, first: usize, gathered: &mut [i16]) {
    let mut offset = blocks.first + first / N * blocks.step;
    for group in gathered.as_chunks_mut::<N>().0 {
        group.copy_from_slice(&coefficients[offset..offset + N]);
        offset += blocks.step;
    }
}

/// 8 blocks of two by two coefficients a step.
#[target_feature(enable = "avx2")]
pub(super) fn twos(coefficients: &[i16], blocks: BlockRow, quantisation: &[i16], samples: &mut [u8], stride: usize) {
    let factors = _mm256_set1_epi64x(four(quantisation));
    // Rows of 2 samples: upper lower upper lower … → upper upper … lower lower …
    let by_rows = load(&both([0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15]));
    let mut offsets = blocks.offsets(2, 0);
    for start in steps(blocks.n_blocks(), 8) {
        if start % 8 != 0 {
            offsets = blocks.offsets(2, start);
        }
        let mut values = [0; 8];
        for values in &mut values {
            *values = four(&coefficients[offsets.step()..]);
        }
        let [a, b, c, d, e, f, g, h] = values;
        let first = two_by_two(_mm256_mullo_epi16(_mm256_set_epi64x(f, e, b, a), factors));
        let second = two_by_two(_mm256_mullo_epi16(_mm256_set_epi64x(h, g, d, c), factors));
        // packs yields blocks 0 1 2 3 | 4 5 6 7
        let rows = _mm256_shuffle_epi8(centred(_mm256_packs_epi16(first, second)), by_rows);
        store_rows(_mm256_permute4x64_epi64::<0b11_01_10_00>(rows), &mut samples[start * 2..], stride, 16, 2);
    }
}

#[inline]
fn four(values: &[i16]) -> i64 {
    cast::<[i16; 4], i64>(*values.first_chunk().expect("four values"))
}

/// Eighths of the samples of four blocks.
#[inline]
#[target_feature(enable = "avx2")]
fn two_by_two(values: __m256i) -> __m256i {
    // b a d c and a -b c -d make a+b a-b c+d c-d.
    let swapped = _mm256_shuffle_epi8(values, load(&both([2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13])));
    let signs = _mm256_set1_epi32(0xFFFF_0001_u32.cast_signed());
    let rows = _mm256_add_epi16(swapped, _mm256_sign_epi16(values, signs));
    // The same for the halves.
    let swapped = _mm256_shuffle_epi32::<0b10_11_00_01>(rows);
    let signs = _mm256_set1_epi64x(0xFFFF_FFFF_0001_0001_u64.cast_signed());
    let sums = _mm256_add_epi16(swapped, _mm256_sign_epi16(rows, signs));
    _mm256_srai_epi16::<3>(_mm256_add_epi16(sums, _mm256_set1_epi16(4)))
}
