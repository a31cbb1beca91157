//! AVX2: as many blocks at once as fill vectors. Where the last step would go beyond the row it ends with it, and makes
//! some samples twice; rows of fewer blocks than a step takes are left to the reference.

#![expect(unsafe_code, reason = "entries into functions that need AVX2")]

mod large;
mod small;
mod tiny;

use std::arch::x86_64::{__m256i, _mm256_set1_epi8, _mm256_set1_epi32, _mm256_xor_si256};

use bytemuck::cast_ref;

use super::basis::Basis;
use super::{BlockRow, scalar};
use crate::simd::Avx2;
use crate::simd::x86_64::store_lanes;

/// Coefficients, blocks, quantisation, samples and stride.
type Kernel = unsafe fn(&[i16], BlockRow, &[i16], &mut [u8], usize);

pub(super) fn inverse(
    _cpu: Avx2,
    side: usize,
    coefficients: &[i16],
    blocks: BlockRow,
    quantisation: &[i16],
    samples: &mut [u8],
    stride: usize,
) {
    let (kernel, step): (Kernel, usize) = match side {
        1 => (tiny::ones, 32),
        2 => (tiny::twos, 8),
        3 => (small::inverse::<3, 9>, 4),
        4 => (small::inverse::<4, 16>, 4),
        5 => (large::inverse::<5, 28>, 2),
        6 => (large::inverse::<6, 38>, 2),
        7 => (large::inverse::<7, 50>, 2),
        _ => (large::inverse::<8, 64>, 2),
    };
    if blocks.n_blocks() < step {
        return scalar::inverse(side, coefficients, blocks, quantisation, samples, stride);
    }
    // SAFETY: holding an `Avx2` proves that this CPU has AVX2, which is all that these functions ask for.
    unsafe { kernel(coefficients, blocks, quantisation, samples, stride) }
}

/// Where steps of a length begin, so that the last ends with the row.
#[inline]
fn steps(n_blocks: usize, length: usize) -> impl Iterator<Item = usize> {
    (0..n_blocks).step_by(length).map(move |start| start.min(n_blocks - length))
}

/// What two coefficients, which lie side by side, add to sample `n`.
#[inline]
#[target_feature(enable = "avx2")]
fn pair<const N: usize>(n: usize, first: usize, second: usize) -> __m256i {
    let factor = |k: usize| if k < N { i32::from(Basis::<N>::MATRIX[n][k]) } else { 0 };
    _mm256_set1_epi32(factor(first) & 0xFFFF | factor(second) << 16)
}

#[inline]
fn eight(values: Option<&[i16; 8]>) -> &[u8; 16] {
    cast_ref(values.expect("eight values"))
}

/// Bytes around 0 as bytes around 128.
#[inline]
#[target_feature(enable = "avx2")]
fn centred(bytes: __m256i) -> __m256i {
    _mm256_xor_si256(bytes, _mm256_set1_epi8(i8::MIN))
}

/// Writes the first `length` bytes of the lower lane to the beginning of `target`, and of the upper one to the next row,
/// if there is more than one.
#[inline]
#[target_feature(enable = "avx2")]
fn store_rows(rows: __m256i, target: &mut [u8], stride: usize, length: usize, n_rows: usize) {
    let (mut low, mut high) = ([0; 16], [0; 16]);
    store_lanes(&mut low, &mut high, rows);
    target[..length].copy_from_slice(&low[..length]);
    if n_rows > 1 {
        target[stride..stride + length].copy_from_slice(&high[..length]);
    }
}
