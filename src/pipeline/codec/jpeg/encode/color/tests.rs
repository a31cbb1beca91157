//! Every level against the scalar reference, and that against real numbers.

use proptest::prelude::*;

use super::*;

const SENTINEL: i16 = 0x5A5A;

/// A byte, often an extreme one.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0), Just(255), any::<u8>()]
}

/// Up to four blocks of pixels.
fn row() -> impl Strategy<Value = Vec<Rgb>> {
    prop::collection::vec(prop::collection::vec(byte(), 3 * BLOCK).prop_map(|row| row.try_into().unwrap()), 4)
}

/// Planes with sentinels after what the kernel may write.
fn full(level: Level, row: &[Rgb]) -> [Vec<[i16; BLOCK]>; 3] {
    let mut planes = [(); 3].map(|()| vec![[SENTINEL; BLOCK]; row.len() + 1]);
    let [y, cb, cr] = planes.each_mut().map(|plane| &mut plane[..row.len()]);
    convert(level, row, Planes { y, cb, cr });
    assert!(planes.iter().all(|plane| plane[row.len()] == [SENTINEL; BLOCK]), "{level:?}");
    planes
}

type Shared = ([Vec<[i16; BLOCK]>; 2], [Vec<[i16; BLOCK / 2]>; 2]);

fn shared(level: Level, rows: [&[Rgb]; 2]) -> Shared {
    let n = rows[0].len();
    let mut luma = [(); 2].map(|()| vec![[SENTINEL; BLOCK]; n + 1]);
    let mut chroma = [(); 2].map(|()| vec![[SENTINEL; BLOCK / 2]; n + 1]);
    let y = luma.each_mut().map(|plane| &mut plane[..n]);
    let [cb, cr] = chroma.each_mut().map(|plane| &mut plane[..n]);
    convert_shared(level, rows, SharedPlanes { y, cb, cr });
    assert!(luma.iter().all(|plane| plane[n] == [SENTINEL; BLOCK]), "{level:?}");
    assert!(chroma.iter().all(|plane| plane[n] == [SENTINEL; BLOCK / 2]), "{level:?}");
    (luma, chroma)
}

proptest! {
    #[test]
    fn every_level_answers_what_scalar_does(upper in row(), lower in row(), n_blocks in 0..=4usize) {
        let (upper, lower) = (&upper[..n_blocks], &lower[..n_blocks]);
        for level in Level::available() {
            prop_assert_eq!(full(level, upper), full(Level::Scalar, upper));
            prop_assert_eq!(shared(level, [upper, lower]), shared(Level::Scalar, [upper, lower]));
        }
    }

    #[test]
    fn samples_are_those_of_the_formula(upper in row(), lower in row()) {
        let near = |found: i16, factors: [f64; 3], [r, g, b]: [f64; 3]| {
            let exact = 128.0 * (factors[0] * r + factors[1] * g + factors[2] * b);
            assert!((f64::from(found) - exact).abs() <= 3.0, "{found}, not {exact}");
        };
        let factors = [[0.299, 0.587, 0.114], [-0.168_736, -0.331_264, 0.5], [0.5, -0.418_688, -0.081_312]];
        let pixel = |row: &[Rgb], x: usize| [0, 1, 2].map(|channel| f64::from(row.as_flattened()[3 * x + channel]));
        let [y, cb, cr] = full(Level::Scalar, &upper);
        for x in 0..4 * BLOCK {
            for (plane, factors) in [&y, &cb, &cr].into_iter().zip(factors) {
                near(plane.as_flattened()[x], factors, pixel(&upper, x));
            }
        }
        let (luma, chroma) = shared(Level::Scalar, [&upper, &lower]);
        prop_assert_eq!(&luma[0], &y);
        for x in 0..2 * BLOCK {
            let four = [pixel(&upper, 2 * x), pixel(&upper, 2 * x + 1), pixel(&lower, 2 * x), pixel(&lower, 2 * x + 1)];
            let mean = [0, 1, 2].map(|channel| four.iter().map(|pixel| pixel[channel]).sum::<f64>() / 4.0);
            for (plane, factors) in chroma.iter().zip(&factors[1..]) {
                near(plane.as_flattened()[x], *factors, mean);
            }
        }
    }
}

#[test]
fn gray_has_no_colour() {
    for level in Level::available() {
        for gray in 0..=255u8 {
            let [y, cb, cr] = full(level, &[[gray; 3 * BLOCK]]);
            assert!(y[0].iter().all(|&sample| (sample - (i16::from(gray) << 7)).abs() <= 1));
            assert!(cb[0].iter().chain(&cr[0]).all(|&sample| sample.abs() <= 1));
        }
    }
}
