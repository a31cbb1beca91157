//! Every level against the scalar reference, and that against the formulas.

use proptest::prelude::*;

use super::scalar::SRGB;
use super::*;
use crate::pipeline::color::curve::{BLACK, RANGE, light_of_code, loaded, stored};

const SENTINEL: i16 = 0x5A5A;

/// Strips, with others around them, which no kernel may touch.
fn linear<const CHANNELS: usize>(level: Level, rows: RowPair<CHANNELS>) -> Vec<Strip> {
    let n_strips = rows.pixels[0].len().div_ceil(16) * CHANNELS;
    let mut strips = vec![[[SENTINEL; 16]; 2]; n_strips + 2];
    from_srgb(level, rows, &mut strips[1..=n_strips]);
    for around in [strips[0], strips[n_strips + 1]] {
        assert_eq!(around, [[SENTINEL; 16]; 2], "{level:?} wrote beside the strips");
    }
    strips[1..=n_strips].to_vec()
}

fn check<const CHANNELS: usize>(a: &[[u8; CHANNELS]], b: &[[u8; CHANNELS]], variances: &[u16]) {
    let width = a.len().min(b.len()).min(variances.len() / 2);
    let pixels = [&a[..width], &b[..width]];
    for variances in [None, Some([&variances[..width], &variances[width..2 * width]])] {
        let rows = RowPair { pixels, variances };
        let expected = linear(Level::Scalar, rows);
        for level in Level::available() {
            assert_eq!(linear(level, rows), expected, "{level:?}");
        }
    }
}

fn row<const CHANNELS: usize>() -> impl Strategy<Value = Vec<[u8; CHANNELS]>> {
    let byte = || prop_oneof![Just(0), Just(255), any::<u8>()];
    let any_alpha = prop::collection::vec(prop::array::uniform(byte()), 0..68);
    let opaque = any_alpha.prop_map(|mut row: Vec<[u8; CHANNELS]>| {
        row.iter_mut().for_each(|pixel| pixel[CHANNELS - 1] = 255);
        row
    });
    prop_oneof![prop::collection::vec(prop::array::uniform(byte()), 0..68), opaque]
}

fn variances() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(prop_oneof![Just(0), Just(MAX_VARIANCE), Just(u16::MAX), 0..=MAX_VARIANCE], 0..140)
}

proptest! {
    #[test]
    fn every_level_answers_what_scalar_does(
        gray in (row::<1>(), row::<1>()),
        gray_alpha in (row::<2>(), row::<2>()),
        rgb in (row::<3>(), row::<3>()),
        rgba in (row::<4>(), row::<4>()),
        variances in variances(),
    ) {
        check(&gray.0, &gray.1, &variances);
        check(&gray_alpha.0, &gray_alpha.1, &variances);
        check(&rgb.0, &rgb.1, &variances);
        check(&rgba.0, &rgba.1, &variances);
    }
}

#[test]
fn light_is_that_of_the_formula() {
    for code in 0..=255u8 {
        let exact = light_of_code(f64::from(code) / 255.0) * f64::from(RANGE);
        let found = f64::from(loaded(SRGB.light[usize::from(code)]) - BLACK);
        let allowed = if code < 224 { 1.0 } else { 3.5 };
        assert!((found - exact).abs() <= allowed, "{code}: {found}, not {exact}");
    }
    assert_eq!(SRGB.light[0], stored(BLACK));
    assert_eq!(SRGB.light[255], stored(BLACK + RANGE));
}

#[test]
fn variance_brightens_by_half_of_the_second_derivative() {
    for code in 0..=255u8 {
        let m = f64::from(code) / 255.0;
        let second = if m <= 0.04045 { 0.0 } else { 2.4 * 1.4 / 1.055_f64.powi(2) * ((m + 0.055) / 1.055).powf(0.4) };
        for variance in [0, 1, 100, 1000, 5000, MAX_VARIANCE] {
            let v = f64::from(variance) / 255.0 / 255.0;
            let more = second * v / 2.0 * f64::from(RANGE);
            let plain = f64::from(loaded(SRGB.light[usize::from(code)]));
            let rows = RowPair { pixels: [&[[code]], &[[code]]], variances: Some([&[variance], &[variance]]) };
            let found = f64::from(loaded(linear(Level::Scalar, rows)[0][0][0]));
            let exact = (plain + more).min(f64::from(BLACK + RANGE));
            assert!((found - exact).abs() <= 1.0 + more * 0.003, "{code} with {variance}: {found}, not {exact}");
        }
    }
}
