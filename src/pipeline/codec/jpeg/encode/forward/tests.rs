//! Every level against the scalar reference, and that against the formula in real numbers.

use proptest::prelude::*;

use super::*;
use crate::pipeline::codec::jpeg::encode::quantiser::{Plane, quantiser, steps};
use crate::plan::JpegQuality;

fn quantiser_of(plane: Plane, quality: u8) -> Quantiser {
    quantiser(plane, JpegQuality::try_from(i64::from(quality)).unwrap())
}

/// A sample of a plane, often an extreme one.
fn samples(plane: Plane) -> impl Strategy<Value = Vec<i16>> {
    let (least, most) = match plane {
        Plane::Luma => (0, 32_640),
        Plane::Chroma => (-16_320, 16_320),
    };
    let any = prop::collection::vec(prop_oneof![Just(least), Just(most), least..=most], 8 * 40);
    let smooth = (least..=most, -300..300i16, -300..300i16).prop_map(move |(first, across, down)| {
        let sample = |(x, y): (i32, i32)| i32::from(first) + x * i32::from(across) + y * i32::from(down);
        (0..8 * 40)
            .map(|index| sample((index % 40, index / 40)).clamp(i32::from(least), i32::from(most)) as i16)
            .collect()
    });
    prop_oneof![any, smooth]
}

fn planes() -> impl Strategy<Value = (Plane, Vec<i16>)> {
    let of = |plane: Plane| samples(plane).prop_map(move |samples| (plane, samples));
    prop_oneof![of(Plane::Luma), of(Plane::Chroma)]
}

fn run(level: Level, samples: &[i16], quantiser: &Quantiser, n_blocks: usize) -> Vec<Block> {
    let sentinel = Block { coefficients: [0x5A5A; 64], mask: 0x5A5A };
    let mut blocks = vec![sentinel; n_blocks + 1];
    transform(level, samples, quantiser, &mut blocks[..n_blocks]);
    assert_eq!(blocks.pop(), Some(sentinel), "{level:?} wrote behind the blocks");
    blocks
}

/// ITU-T T.81 §A.3.3, of samples in units of 1/128.
fn exact(samples: &[i16], u: usize, v: usize) -> f64 {
    let scale = |frequency: usize| if frequency == 0 { std::f64::consts::FRAC_1_SQRT_2 } else { 1.0 };
    let cosine =
        |at: usize, frequency: usize| ((2 * at + 1) as f64 * frequency as f64 * std::f64::consts::PI / 16.0).cos();
    let mut sum = 0.0;
    for y in 0..8 {
        for x in 0..8 {
            sum += f64::from(samples[y * 40 + x]) / 128.0 * cosine(x, u) * cosine(y, v);
        }
    }
    sum * scale(u) * scale(v) / 4.0
}

proptest! {
    #[test]
    fn every_level_answers_what_scalar_does((plane, samples) in planes(), quality in 1..=100u8, n_blocks in 0..=5usize) {
        let quantiser = quantiser_of(plane, quality);
        for level in Level::available() {
            let expected = run(Level::Scalar, &samples, &quantiser, n_blocks);
            prop_assert_eq!(run(level, &samples, &quantiser, n_blocks), expected);
        }
    }

    #[test]
    fn coefficients_are_those_of_the_formula((plane, samples) in planes(), quality in 1..=100u8) {
        let quality = JpegQuality::try_from(i64::from(quality)).unwrap();
        let steps = steps(plane, quality);
        let block = run(Level::Scalar, &samples, &quantiser(plane, quality), 1)[0];
        for (bit, &place) in ORDER.iter().enumerate() {
            let place = usize::from(place);
            let offset = if place == 0 && plane == Plane::Luma { 1024.0 } else { 0.0 };
            let exact = (exact(&samples, place / 8, place % 8) - offset) / f64::from(steps[bit]);
            let found = f64::from(block.coefficients[place]);
            prop_assert!((found - exact).abs() < 0.505, "{}: {} {}", place, found, exact);
            // A baseline picture can hold them.
            let most = if place == 0 { 1024.0 } else { 1023.0 };
            prop_assert!(found.abs() <= most);
        }
    }
}

#[test]
fn the_order_is_a_permutation() {
    let places: std::collections::BTreeSet<u8> = ORDER.into_iter().collect();
    assert!(places.into_iter().eq(0..64));
}
