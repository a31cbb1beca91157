//! The same code for wider vectors.

#![expect(unsafe_code, reason = "functions with instructions that this CPU may lack are entered here")]

use super::scalar;
use crate::simd::Avx2;

pub(super) fn adaptive(
    _cpu: Avx2,
    bytes_per_pixel: usize,
    row: &[u8],
    above: &[u8],
    candidate: &mut [u8],
    scanline: &mut [u8],
) {
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2.
    unsafe { adaptive_avx2(bytes_per_pixel, row, above, candidate, scanline) }
}

#[target_feature(enable = "avx2")]
fn adaptive_avx2(bytes_per_pixel: usize, row: &[u8], above: &[u8], candidate: &mut [u8], scanline: &mut [u8]) {
    scalar::adaptive(bytes_per_pixel, row, above, candidate, scanline);
}
