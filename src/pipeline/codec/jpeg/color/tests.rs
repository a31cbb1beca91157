//! Every level against the reference, and the reference against the formula.

use proptest::prelude::*;

use super::*;

const SENTINEL: u8 = 0xA5;

fn converted(level: Level, y: &[u8], cb: &[u8], cr: &[u8]) -> Vec<u8> {
    let mut rgb = vec![SENTINEL; 3 * y.len() + 200];
    let end = 100 + 3 * y.len();
    to_rgb(level, y, cb, cr, &mut rgb[100..end]);
    assert!(rgb[..100].iter().chain(&rgb[end..]).all(|&byte| byte == SENTINEL), "{level:?}");
    rgb[100..end].to_vec()
}

proptest! {
    #[test]
    fn every_level_answers_what_scalar_does(planes in prop::collection::vec(any::<[u8; 3]>(), 0..140)) {
        let [y, cb, cr] = [0, 1, 2].map(|channel| planes.iter().map(|pixel| pixel[channel]).collect::<Vec<_>>());
        for level in Level::available() {
            prop_assert_eq!(converted(level, &y, &cb, &cr), converted(Level::Scalar, &y, &cb, &cr), "{:?}", level);
        }
    }
}

#[test]
fn every_chroma_is_the_same_at_every_level() {
    let chroma: Vec<u8> = (0..=255).collect();
    for cr in 0..=255 {
        for y in [0, 1, 77, 128, 254, 255] {
            let (y, cr) = ([y; 256], [cr; 256]);
            let expected = converted(Level::Scalar, &y, &chroma, &cr);
            for level in Level::available() {
                assert!(converted(level, &y, &chroma, &cr) == expected, "{level:?}");
            }
        }
    }
}

#[test]
fn colours_are_within_one_of_the_formula() {
    for cb in 0..=255 {
        for cr in 0..=255 {
            let found = converted(Level::Scalar, &[100], &[cb], &[cr]);
            let (cb, cr) = (f64::from(cb) - 128.0, f64::from(cr) - 128.0);
            let exact = [100.0 + 1.402 * cr, 100.0 - 0.344_14 * cb - 0.714_14 * cr, 100.0 + 1.772 * cb];
            for (found, exact) in found.into_iter().zip(exact) {
                assert!((f64::from(found) - exact.clamp(0.0, 255.0)).abs() <= 0.51, "{found}, not {exact}");
            }
        }
    }
}

#[test]
fn inks_have_zero_for_none() {
    let mut cmyk = [SENTINEL; 8];
    // White paper: 255 for every ink, which without the fourth is RGB of 0.
    to_cmyk(&[0, 255], &[128; 2], &[128; 2], &[255, 0], &mut cmyk);
    assert_eq!(cmyk, [0, 0, 0, 0, 255, 255, 255, 255]);
    interleave_inverted([&[255, 1], &[255, 2], &[255, 3], &[255, 4]], &mut cmyk);
    assert_eq!(cmyk, [0, 0, 0, 0, 254, 253, 252, 251]);
    interleave([&[0, 1], &[0, 2], &[0, 3], &[0, 4]], &mut cmyk);
    assert_eq!(cmyk, [0, 0, 0, 0, 1, 2, 3, 4]);
}

#[test]
fn planes_are_brought_together() {
    let mut rgb = [0; 6];
    interleave([&[1, 4], &[2, 5], &[3, 6]], &mut rgb);
    assert_eq!(rgb, [1, 2, 3, 4, 5, 6]);
}
