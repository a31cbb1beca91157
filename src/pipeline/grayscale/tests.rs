//! Every level against the scalar reference, and that against the formula.

use proptest::prelude::*;

use super::*;

const SENTINEL: u8 = 0xA5;

/// Luma, with other bytes around it, which no kernel may touch.
fn run_kernel<const N: usize>(
    kernel: impl Fn(Level, &[[u8; N]], &mut [u8]),
    level: Level,
    pixels: &[[u8; N]],
) -> Vec<u8> {
    let mut bytes = vec![SENTINEL; pixels.len() + 128];
    kernel(level, pixels, &mut bytes[64..64 + pixels.len()]);
    let (before, after) = (&bytes[..64], &bytes[64 + pixels.len()..]);
    assert!(before.iter().chain(after).all(|&byte| byte == SENTINEL), "{level:?} wrote beside the row");
    bytes[64..64 + pixels.len()].to_vec()
}

fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0), Just(255), any::<u8>()]
}

proptest! {
    #[test]
    fn every_level_answers_what_scalar_does(
        rgb in prop::collection::vec([byte(), byte(), byte()], 0..132),
        rgba in prop::collection::vec([byte(), byte(), byte(), byte()], 0..132),
    ) {
        for level in Level::available() {
            let scalar = Level::Scalar;
            prop_assert_eq!(run_kernel(luma_of_rgb, level, &rgb), run_kernel(luma_of_rgb, scalar, &rgb));
            prop_assert_eq!(run_kernel(luma_of_rgba, level, &rgba), run_kernel(luma_of_rgba, scalar, &rgba));
        }
    }
}

#[test]
fn every_level_lays_every_byte_on_black_alike() {
    let pixels: Vec<[u8; 4]> =
        (0..=u16::MAX).map(|both| [both as u8, both as u8, both as u8, (both >> 8) as u8]).collect();
    let expected = run_kernel(luma_of_rgba, Level::Scalar, &pixels);
    for level in Level::available() {
        assert!(run_kernel(luma_of_rgba, level, &pixels) == expected, "{level:?}");
    }
}

#[test]
fn luma_is_within_half_a_level_of_the_formula() {
    for r in (0..=255).step_by(5) {
        for g in (0..=255).step_by(5) {
            for b in (0..=255).step_by(5) {
                let exact = 0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b);
                let error = (f64::from(scalar::luma(r, g, b)) - exact).abs();
                assert!(error < 0.503, "{r} {g} {b}: {error}");
            }
        }
    }
    assert_eq!(scalar::luma(255, 255, 255), 255);
}
