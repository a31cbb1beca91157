//! Every level against the scalar reference, and that against the formula.

use proptest::prelude::*;

use super::*;
use crate::pipeline::color::curve::{BLACK, code_of_light, loaded, stored};

const SENTINEL: u8 = 0xA5;

fn coded<const CHANNELS: usize>(level: Level, columns: &[Column], n_rows: usize) -> Vec<u8> {
    let length = columns.len() * n_rows;
    let mut bytes = vec![SENTINEL; length + 128];
    to_srgb::<CHANNELS>(level, columns, &mut bytes[64..64 + length]);
    let (before, after) = (&bytes[..64], &bytes[64 + length..]);
    assert!(before.iter().chain(after).all(|&byte| byte == SENTINEL), "{level:?} wrote beside the rows");
    bytes[64..64 + length].to_vec()
}

fn check<const CHANNELS: usize>(columns: &[Column], n_rows: usize) {
    let columns = &columns[..columns.len() / CHANNELS * CHANNELS];
    if columns.is_empty() {
        return;
    }
    let expected = coded::<CHANNELS>(Level::Scalar, columns, n_rows);
    for level in Level::available() {
        assert_eq!(coded::<CHANNELS>(level, columns, n_rows), expected, "{level:?} with {CHANNELS} channels");
    }
}

fn sample() -> impl Strategy<Value = i16> {
    let range = || BLACK..=BLACK + RANGE;
    prop_oneof![
        range().prop_map(stored),
        any::<i16>(),
        prop::sample::select(vec![i16::MIN, i16::MAX, stored(BLACK), stored(BLACK + RANGE), stored(BLACK + 1)]),
        (0..300u16).prop_map(|light| stored(BLACK + light)),
    ]
}

proptest! {
    #[test]
    fn every_level_answers_what_scalar_does(
        columns in prop::collection::vec(prop::array::uniform8(sample()), 0..70),
        n_rows in 1..=8usize,
    ) {
        check::<1>(&columns, n_rows);
        check::<2>(&columns, n_rows);
        check::<3>(&columns, n_rows);
        check::<4>(&columns, n_rows);
    }
}

#[test]
fn codes_are_nearest() {
    for sample in i16::MIN..=i16::MAX {
        let light = (f64::from(loaded(sample)) - f64::from(BLACK)) / f64::from(RANGE);
        let exact = code_of_light(light.clamp(0.0, 1.0)) * 255.0;
        let found = f64::from(scalar::code_of(sample));
        assert!((found - exact).abs() <= 0.523, "{sample}: {found}, not {exact}");
    }
}

#[test]
fn every_level_codes_every_sample_alike() {
    let columns: Vec<Column> = (i16::MIN..=i16::MAX).map(|sample| [sample; ROWS]).collect();
    check::<3>(&columns, 1);
}

#[test]
fn alpha_is_undone() {
    let of = |light: u16| stored(BLACK + light);
    let white = of(RANGE);
    let pixel = |r, g, b, alpha| [[of(r); ROWS], [of(g); ROWS], [of(b); ROWS], [of(alpha); ROWS]];
    for level in Level::available() {
        let code = |columns: [Column; 4]| coded::<4>(level, &columns, 1);
        assert_eq!(code(pixel(RANGE / 2, RANGE / 4, 0, RANGE / 2)), [255, 188, 0, 127], "{level:?}");
        // More colour than alpha, and colour without any.
        assert_eq!(code(pixel(RANGE, 0, 0, 1000)), [255, 0, 0, 5], "{level:?}");
        assert_eq!(code(pixel(RANGE, 0, 0, 0)), [0; 4], "{level:?}");
        assert_eq!(code([[white; ROWS]; 4]), [255; 4], "{level:?}");
    }
}
