//! Every level against the scalar reference, and that against real numbers.

use proptest::prelude::*;

use super::*;
use crate::pipeline::resize::weights::Span;

const SENTINEL: i16 = 0x5A5A;

fn sample() -> impl Strategy<Value = i16> {
    prop_oneof![Just(i16::MIN), Just(i16::MAX), Just(0), any::<i16>()]
}

fn axis() -> impl Strategy<Value = Axis> {
    (1..150u32, 1..60u32, 0.0..1.0f64, 0.0..1.0f64).prop_map(|(n_samples, to, before, after)| {
        let (start, end) = (before * 0.9, f64::from(n_samples) - after * 0.9);
        let span = if end - start < 0.2 {
            Span { start: 0.0, length: f64::from(n_samples) }
        } else {
            Span { start, length: end - start }
        };
        Axis::new(span, n_samples, to)
    })
}

/// Strips of noise and runs of extremes.
fn strips(count: usize) -> impl Strategy<Value = Vec<Strip>> {
    let noise = prop::collection::vec(prop::array::uniform2(prop::array::uniform16(sample())), count);
    let flat = sample().prop_map(move |value| vec![[[value; 16]; 2]; count]);
    prop_oneof![3 => noise, 1 => flat]
}

/// The rows that 8 output rows from `top` on are made of are `n_strips` strips wide.
fn vertically(level: Level, strips: &[Strip], n_strips: usize, axis: &Axis, top: u32) -> Vec<[PixelPair; PAIRS]> {
    let (first, end) = axis.pairs(top, (top + ROWS as u32).min(axis.len()));
    // Stored backwards, as a ring may have them in any order.
    let starts: Vec<usize> = (0..end - first).rev().map(|line| line * n_strips).collect();
    let lines = Lines { strips, starts: &starts, first };
    let mut turned = vec![[[SENTINEL; 16]; PAIRS]; n_strips + 2];
    vertical(level, lines, axis, top, &mut turned[1..=n_strips]);
    for around in [&turned[0], &turned[n_strips + 1]] {
        assert!(around.iter().flatten().all(|&sample| sample == SENTINEL), "{level:?} wrote beside the strips");
    }
    turned[1..=n_strips].to_vec()
}

fn horizontally(level: Level, turned: &[PixelPair], plane: usize, axis: &Axis, channels: usize) -> Vec<Column> {
    let n_columns = axis.len() as usize * channels;
    let mut columns = vec![[SENTINEL; ROWS]; n_columns + 2];
    horizontal(level, turned, plane, axis, &mut columns[1..=n_columns]);
    for around in [columns[0], columns[n_columns + 1]] {
        assert_eq!(around, [SENTINEL; ROWS], "{level:?} wrote beside the columns");
    }
    columns[1..=n_columns].to_vec()
}

proptest! {
    #[test]
    fn every_level_makes_the_rows_that_scalar_makes(
        (axis, top, n_strips, strips) in (axis(), 0.0..1.0f64, 0..9usize).prop_flat_map(|(axis, top, n_strips)| {
            let top = ((f64::from(axis.len()) * top) as u32 / 8) * 8;
            let (first, end) = axis.pairs(top, (top + 8).min(axis.len()));
            let strips = strips((end - first) * n_strips);
            (Just(axis), Just(top), Just(n_strips), strips)
        }),
    ) {
        let expected = vertically(Level::Scalar, &strips, n_strips, &axis, top);
        for level in Level::available() {
            prop_assert_eq!(&vertically(level, &strips, n_strips, &axis, top), &expected, "{:?}", level);
        }
    }

    #[test]
    fn every_level_makes_the_columns_that_scalar_makes(
        (axis, channels, plane, strips) in (axis(), 1..=4usize, 0..3usize).prop_flat_map(|(axis, channels, more)| {
            let plane = axis.pairs(0, axis.len()).1 + more;
            // A strip is two pairs of pixels.
            (Just(axis), Just(channels), Just(plane), strips((plane * channels).div_ceil(2)))
        }),
    ) {
        let turned = strips.as_flattened();
        let expected = horizontally(Level::Scalar, turned, plane, &axis, channels);
        for level in Level::available() {
            prop_assert_eq!(&horizontally(level, turned, plane, &axis, channels), &expected, "{:?}", level);
        }
    }

    #[test]
    fn flat_samples_stay_as_they_are(axis in axis(), value in sample()) {
        let plane = axis.pairs(0, axis.len()).1;
        for level in Level::available() {
            let columns = horizontally(level, &vec![[value; 16]; plane], plane, &axis, 1);
            prop_assert!(columns.iter().flatten().all(|&sample| sample == value), "{:?}", level);
        }
    }
}
