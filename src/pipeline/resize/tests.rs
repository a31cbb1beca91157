//! Bands against a whole, and shapes that would need much memory if done naively.

use proptest::prelude::*;

use super::*;
use crate::raster::{Layout, Rect};

/// Lanczos-3 in one piece, in real numbers, of one gray row or column stack.
fn reference(samples: &[f64], to: usize) -> Vec<f64> {
    let lanczos = |x: f64| match x.abs() {
        x if x < 1e-9 => 1.0,
        x if x < 3.0 => {
            let angle = std::f64::consts::PI * x;
            3.0 * angle.sin() * (angle / 3.0).sin() / (angle * angle)
        }
        _ => 0.0,
    };
    let shrink = samples.len() as f64 / to as f64;
    let stretch = shrink.max(1.0);
    (0..to)
        .map(|index| {
            let center = (index as f64 + 0.5) * shrink - 0.5;
            let weights: Vec<f64> =
                (0..samples.len()).map(|position| lanczos((position as f64 - center) / stretch)).collect();
            let sum: f64 = weights.iter().sum();
            samples.iter().zip(&weights).map(|(sample, weight)| sample * weight).sum::<f64>() / sum
        })
        .collect()
}

fn gray(width: u32, height: u32, value: impl Fn(u32, u32) -> u8) -> Pixmap {
    let bytes = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| value(x, y)).collect();
    Pixmap::new(Size::new(width, height), Layout::Gray, bytes)
}

fn resized(image: &Pixmap, width: u32, height: u32) -> Pixmap {
    let conversion = Conversion::new(None, image.layout());
    run(Source::View(image.view(Rect::whole(image.size()))), Some(Size::new(width, height)), &conversion)
}

/// Largest difference between our column and the reference in linear light, of 65535.
fn column_error(height: u32, to: u32, value: impl Fn(u32) -> u8) -> f64 {
    let decode = crate::pipeline::color::srgb_decode();
    let encode = crate::pipeline::color::encode_table();
    let column: Vec<f64> = (0..height).map(|y| f64::from(decode[usize::from(value(y))])).collect();
    let expected = reference(&column, to as usize);
    let found = resized(&gray(3, height, |_, y| value(y)), 3, to);
    let differences = expected.iter().zip(found.bytes().chunks(3)).map(|(light, row)| {
        let code = encode[light.round().clamp(0.0, 65_535.0) as usize];
        f64::from(code.abs_diff(row[1]))
    });
    differences.fold(0.0, f64::max)
}

#[test]
fn bands_join_without_a_seam() {
    let waves = |y: u32| (128.0 + 100.0 * (f64::from(y) / 37.0).sin()) as u8;
    for (height, to) in [(5000, 1000), (3001, 2999), (700, 1900), (1000, 999), (64, 64 * 5), (257, 256)] {
        let error = column_error(height, to, waves);
        assert!(error <= 1.0, "{height} to {to}: {error}");
    }
}

#[test]
fn grouped_rows_stay_close_to_the_filter() {
    let waves = |y: u32| (128.0 + 100.0 * (f64::from(y) / 900.0).sin()) as u8;
    for (height, to) in [(20_000, 100), (9_999, 33), (12_345, 7), (7_777, 3)] {
        let error = column_error(height, to, waves);
        assert!(error <= 2.0, "{height} to {to}: {error}");
    }
}

#[test]
fn a_thin_picture_can_become_a_flat_one() {
    // Widening first would hold 1,000,000 x 2,000 pixels.
    let step = |y: u32| if y < 500_000 { 0 } else { 255 };
    let flat = resized(&gray(1, 1_000_000, |_, y| step(y)), 2000, 2);
    let light: Vec<f64> =
        (0..1_000_000).map(|y| f64::from(crate::pipeline::color::srgb_decode()[usize::from(step(y))])).collect();
    for (row, expected) in reference(&light, 2).into_iter().enumerate() {
        let code = crate::pipeline::color::encode_table()[expected.round().clamp(0.0, 65_535.0) as usize];
        assert!(flat.bytes()[row * 2000].abs_diff(code) <= 1, "row {row}");
    }
}

#[test]
fn transparent_colour_does_not_bleed() {
    // Green that nobody can see, beside opaque red.
    let bytes = (0..64).flat_map(|x| if x % 8 < 4 { [255, 0, 0, 255] } else { [0, 255, 0, 0] }).collect();
    let image = Pixmap::new(Size::new(64, 1), Layout::Rgba, bytes);
    let small = resized(&image, 8, 1);
    for &[r, g, b, a] in small.bytes().as_chunks::<4>().0 {
        assert_eq!((r, g, b), (255, 0, 0));
        assert!((90..=165).contains(&a), "alpha {a}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn flat_pictures_stay_flat_at_any_size(
        from in (1u32..300, 1u32..300), to in (1u32..300, 1u32..300), value in 0u8..=255
    ) {
        let small = resized(&gray(from.0, from.1, |_, _| value), to.0, to.1);
        prop_assert!(small.bytes().iter().all(|&byte| byte == value));
    }
}
