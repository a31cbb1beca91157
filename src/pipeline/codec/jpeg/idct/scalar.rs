//! The reference: one block after the other.

use super::BlockRow;
use super::basis::{Basis, SHIFTS};

/// Dequantised coefficients, then what a pass makes of them: N rows of N numbers of 16 bits.
type Block<const N: usize> = [[i32; N]; N];

pub(super) fn inverse(
    side: usize,
    coefficients: &[i16],
    blocks: BlockRow,
    quantisation: &[i16],
    samples: &mut [u8],
    stride: usize,
) {
    let inverse = match side {
        1 => row_of_blocks::<1>,
        2 => row_of_blocks::<2>,
        3 => row_of_blocks::<3>,
        4 => row_of_blocks::<4>,
        5 => row_of_blocks::<5>,
        6 => row_of_blocks::<6>,
        7 => row_of_blocks::<7>,
        _ => row_of_blocks::<8>,
    };
    inverse(coefficients, blocks, quantisation, samples, stride);
}

#[inline]
fn row_of_blocks<const N: usize>(
    coefficients: &[i16],
    blocks: BlockRow,
    quantisation: &[i16],
    samples: &mut [u8],
    stride: usize,
) {
    let mut block = [[0; N]; N];
    let mut offsets = blocks.offsets(N, 0);
    for index in 0..blocks.n_blocks() {
        let offset = offsets.step();
        let values = coefficients[offset..offset + N * N].iter().zip(quantisation);
        for (result, (coefficient, factor)) in block.as_flattened_mut().iter_mut().zip(values) {
            *result = i32::from(coefficient.wrapping_mul(*factor));
        }
        match N {
            1 => block[0][0] = (block[0][0] + 4) >> 3,
            2 => two_by_two(&mut block),
            _ => larger(&mut block),
        }
        for (y, row) in block.iter().enumerate() {
            let start = y * stride + index * N;
            for (sample, value) in samples[start..start + N].iter_mut().zip(row) {
                *sample = (value + 128).clamp(0, 255) as u8;
            }
        }
    }
}

/// The matrix of two samples has nothing but 1 and -1.
#[inline]
fn two_by_two<const N: usize>(block: &mut Block<N>) {
    let (a, b, c, d) = (block[0][0], block[0][1], block[1][0], block[1][1]);
    // The low 16 bits of a sum do not depend on when it is cut.
    let eighth = |sum: i32| i32::from((sum + 4) as i16) >> 3;
    block[0][0] = eighth(a + b + c + d);
    block[0][1] = eighth(a - b + c - d);
    block[1][0] = eighth(a + b - c - d);
    block[1][1] = eighth(a - b - c + d);
}

/// Columns, then rows. What lies between is held within 16 bits.
#[inline]
fn larger<const N: usize>(block: &mut Block<N>) {
    let mut columns = [[0; N]; N];
    for (x, column) in columns.iter_mut().enumerate() {
        *column = transformed(std::array::from_fn(|y| block[y][x]), SHIFTS[0]);
    }
    for (y, row) in block.iter_mut().enumerate() {
        let values = std::array::from_fn(|x| columns[x][y].clamp(i32::from(i16::MIN), i32::from(i16::MAX)));
        *row = transformed(values, SHIFTS[1]);
    }
}

/// One dimension. Sums wrap.
#[inline]
fn transformed<const N: usize>(values: [i32; N], shift: i32) -> [i32; N] {
    let matrix = &Basis::<N>::MATRIX;
    let mut result = [0; N];
    // Samples n and N - 1 - n are made of the same products, with other signs where k is odd.
    for n in 0..N.div_ceil(2) {
        let (mut even, mut odd) = (1_i32 << (shift - 1), 0_i32);
        for k in (0..N).step_by(2) {
            even = even.wrapping_add(values[k] * i32::from(matrix[n][k]));
        }
        for k in (1..N).step_by(2) {
            odd = odd.wrapping_add(values[k] * i32::from(matrix[n][k]));
        }
        result[n] = even.wrapping_add(odd) >> shift;
        result[N - 1 - n] = even.wrapping_sub(odd) >> shift;
    }
    result
}
