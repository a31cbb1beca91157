//! The reference, with loops over lanes that a compiler can turn into vectors.

use super::{Column, Lines, PAIRS, PixelPair, ROWS};
use crate::pipeline::resize::weights::Axis;

/// See `super::vertical`.
pub(super) fn vertical(lines: Lines, axis: &Axis, top: u32, turned: &mut [[PixelPair; PAIRS]]) {
    let rounding = 1 << (axis.precision - 1);
    for (strip, pairs) in turned.iter_mut().enumerate() {
        pairs.as_flattened_mut().fill(0);
        let taps = axis.first_pairs().iter().zip(axis.weights().chunks_exact(axis.n_pairs));
        for (row, (&first, weights)) in taps.skip(top as usize).take(ROWS).enumerate() {
            let mut sums = [rounding; 16];
            for (&start, &weights) in lines.starts[first as usize - lines.first..].iter().zip(weights) {
                let samples = lines.strips[start + strip].as_flattened().as_chunks::<2>().0;
                for (sum, &samples) in sums.iter_mut().zip(samples) {
                    *sum += product(samples, weights);
                }
            }
            for (pair, sums) in pairs.iter_mut().zip(sums.as_chunks::<2>().0) {
                pair[2 * row] = narrowed(sums[0], axis.precision);
                pair[2 * row + 1] = narrowed(sums[1], axis.precision);
            }
        }
    }
}

/// See `super::horizontal`.
pub(super) fn horizontal<const CHANNELS: usize>(
    turned: &[PixelPair],
    plane: usize,
    axis: &Axis,
    columns: &mut [Column],
) {
    let rounding = 1 << (axis.precision - 1);
    let taps = axis.first_pairs().iter().zip(axis.weights().chunks_exact(axis.n_pairs));
    for (columns, (&first, weights)) in columns.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(taps) {
        for (channel, column) in columns.iter_mut().enumerate() {
            let mut sums = [rounding; ROWS];
            for (pair, &weights) in turned[channel * plane + first as usize..].iter().zip(weights) {
                for (sum, &samples) in sums.iter_mut().zip(pair.as_chunks::<2>().0) {
                    *sum += product(samples, weights);
                }
            }
            *column = sums.map(|sum| narrowed(sum, axis.precision));
        }
    }
}

/// Cannot overflow in a sum, as `Axis` chooses its precision so.
fn product(samples: [i16; 2], weights: [i16; 2]) -> i32 {
    i32::from(samples[0]) * i32::from(weights[0]) + i32::from(samples[1]) * i32::from(weights[1])
}

fn narrowed(sum: i32, precision: u32) -> i16 {
    (sum >> precision).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}
