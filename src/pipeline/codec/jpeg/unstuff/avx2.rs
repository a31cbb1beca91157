//! AVX2: 32 bytes a step, copied whole; a stuffed byte among them ends the step behind it.

#![expect(unsafe_code, reason = "entries into functions that need AVX2")]

use std::arch::x86_64::{_mm256_cmpeq_epi8, _mm256_movemask_epi8, _mm256_set1_epi8};

use super::{Stop, Unstuffed, scalar};
use crate::simd::Avx2;
use crate::simd::x86_64::{load, store};

pub(super) fn unstuff(_cpu: Avx2, source: &[u8], target: &mut [u8]) -> Unstuffed {
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
    unsafe { unstuff_avx2(source, target) }
}

#[target_feature(enable = "avx2")]
fn unstuff_avx2(source: &[u8], target: &mut [u8]) -> Unstuffed {
    let stuffed = _mm256_set1_epi8(-1);
    let (mut read, mut written) = (0, 0);
    // One byte more than a step is in the source: what follows an 0xFF decides.
    while let (Some(bytes), Some(slots)) = (source[read..].first_chunk::<33>(), target[written..].first_chunk_mut()) {
        let bytes = load(bytes.first_chunk().expect("32 of 33 bytes"));
        store(slots, bytes);
        let found = _mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, stuffed)).cast_unsigned();
        if found == 0 {
            (read, written) = (read + 32, written + 32);
            continue;
        }
        let before = found.trailing_zeros() as usize;
        (read, written) = (read + before, written + before);
        if source[read + 1] != 0 {
            return Unstuffed { read, written, stop: Stop::Marker };
        }
        (read, written) = (read + 2, written + 1);
    }
    scalar::unstuff_from(source, target, read, written)
}
