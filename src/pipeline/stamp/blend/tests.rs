//! Every level against the scalar reference, and that against real numbers.

use std::ops::Range;

use proptest::prelude::*;

use super::*;

/// 4 of the longest blocks (32 pixels) and 3 more.
const LENGTHS: Range<usize> = 0..4 * 32 + 4;
/// Pixels before and after the row, which a kernel must leave alone.
const AROUND: usize = 64;
const SENTINEL: u8 = 0xA5;

/// A byte, often an extreme one.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0), Just(255), any::<u8>()]
}

/// One pixel of ink, premultiplied.
fn valid_ink() -> impl Strategy<Value = [u8; 4]> {
    any::<[u8; 3]>().prop_flat_map(|colour| {
        byte().prop_map(move |alpha| {
            let [r, g, b] = colour.map(|channel| (u16::from(channel) * u16::from(alpha) / 255) as u8);
            [r, g, b, alpha]
        })
    })
}

/// Runs of equal kind, so that whole blocks are transparent or opaque, with anything else between them.
fn ink() -> impl Strategy<Value = Vec<[u8; 4]>> {
    let transparent = (0..70_usize).prop_map(|length| vec![[0; 4]; length]);
    let opaque = prop::collection::vec(any::<[u8; 3]>().prop_map(|[r, g, b]| [r, g, b, 255]), 0..70);
    let valid = prop::collection::vec(valid_ink(), 0..70);
    let any = prop::collection::vec([byte(), byte(), byte(), byte()], 0..70);
    let runs = prop::collection::vec(prop_oneof![transparent, opaque, valid, any], 1..6);
    (runs, LENGTHS).prop_map(|(runs, length)| {
        let mut ink = runs.concat();
        ink.truncate(length);
        ink
    })
}

/// Bytes of a picture under the longest row of ink; half of the time with an alpha of 255, where there is one.
fn picture<const N: usize>() -> impl Strategy<Value = Vec<[u8; N]>> {
    let opaque = prop::array::uniform(byte()).prop_map(|mut pixel: [u8; N]| {
        pixel[N - 1] = 255;
        pixel
    });
    let any = prop::array::uniform::<_, N>(byte());
    prop_oneof![prop::collection::vec(opaque, LENGTHS.end), prop::collection::vec(any, LENGTHS.end),]
}

/// The row after a kernel, which may not touch what stands around it.
fn run<const N: usize>(
    kernel: impl Fn(Level, &[[u8; 4]], &mut [[u8; N]]),
    level: Level,
    ink: &[[u8; 4]],
    picture: &[[u8; N]],
) -> Vec<[u8; N]> {
    let sentinels = [[SENTINEL; N]; AROUND];
    let mut row = [&sentinels, &picture[..ink.len()], &sentinels].concat();
    kernel(level, ink, &mut row[AROUND..AROUND + ink.len()]);
    let (before, rest) = row.split_at(AROUND);
    let (after_ink, after) = rest.split_at(ink.len());
    assert_eq!(before, sentinels, "{level:?} wrote before the row");
    assert_eq!(after, sentinels, "{level:?} wrote after the row");
    after_ink.to_vec()
}

fn over_gray_pixels(level: Level, ink: &[[u8; 4]], picture: &mut [[u8; 1]]) {
    over_gray(level, ink, picture.as_flattened_mut());
}

proptest! {
    #[test]
    fn every_level_answers_what_scalar_does(
        ink in ink(),
        gray in picture::<1>(),
        gray_alpha in picture::<2>(),
        rgb in picture::<3>(),
        rgba in picture::<4>(),
    ) {
        for level in Level::available() {
            let scalar = Level::Scalar;
            prop_assert_eq!(run(over_gray_pixels, level, &ink, &gray), run(over_gray_pixels, scalar, &ink, &gray));
            prop_assert_eq!(
                run(over_gray_alpha, level, &ink, &gray_alpha), run(over_gray_alpha, scalar, &ink, &gray_alpha)
            );
            prop_assert_eq!(run(over_rgb, level, &ink, &rgb), run(over_rgb, scalar, &ink, &rgb));
            prop_assert_eq!(run(over_rgba, level, &ink, &rgba), run(over_rgba, scalar, &ink, &rgba));
        }
    }
}

fn all_bytes() -> impl Iterator<Item = u8> + Clone {
    0..=255
}

/// Every byte but few of them, with both ends.
fn few_bytes() -> impl Iterator<Item = u8> + Clone {
    (0..=255).step_by(5)
}

#[test]
fn opaque_pictures_are_rounded_to_nearest() {
    for alpha in all_bytes() {
        for ink in 0..=alpha {
            let mut row: Vec<u8> = all_bytes().collect();
            over_gray(Level::Scalar, &[[ink, 0, 0, alpha]; 256], &mut row);
            for (picture, answer) in all_bytes().zip(row) {
                let exact = f64::from(ink) + f64::from(picture) * f64::from(255 - alpha) / 255.0;
                let error = (f64::from(answer) - exact).abs();
                assert!(error < 0.5, "ink {ink}, alpha {alpha}, picture {picture}: {answer}, not {exact}");
            }
        }
    }
}

#[test]
fn straight_alpha_is_rounded_to_nearest() {
    for alpha in few_bytes() {
        for under in few_bytes() {
            let (a, b) = (f64::from(alpha) / 255.0, f64::from(under) / 255.0);
            let exact_alpha = a + b * (1.0 - a);
            for ink in (0..=alpha).step_by(5) {
                let mut row: Vec<[u8; 2]> = all_bytes().map(|gray| [gray, under]).collect();
                over_gray_alpha(Level::Scalar, &[[ink, 0, 0, alpha]; 256], &mut row);
                for (picture, answer) in all_bytes().zip(row) {
                    let mixed = f64::from(ink) + f64::from(picture) * b * (1.0 - a);
                    let exact = if exact_alpha > 0.0 { mixed / exact_alpha } else { f64::from(picture) };
                    let error =
                        (f64::from(answer[0]) - exact).abs().max((f64::from(answer[1]) - 255.0 * exact_alpha).abs());
                    let case = format_args!("ink {ink} of {alpha}, picture {picture} of {under}");
                    assert!(error <= 0.5 + 1e-9, "{case}: {answer:?}, not {exact} of {exact_alpha}");
                }
            }
        }
    }
}

/// What the kernels for straight alpha rely on where a picture is opaque, for ink brighter than its alpha too.
#[test]
fn under_full_alpha_both_formulas_are_the_same() {
    for alpha in all_bytes() {
        for ink in all_bytes() {
            let ink = [[ink, 0, 0, alpha]; 256];
            let mut opaque: Vec<u8> = all_bytes().collect();
            let mut straight: Vec<[u8; 2]> = all_bytes().map(|gray| [gray, 255]).collect();
            over_gray(Level::Scalar, &ink, &mut opaque);
            over_gray_alpha(Level::Scalar, &ink, &mut straight);
            assert!(opaque.iter().map(|&gray| [gray, 255]).eq(straight), "{:?}", ink[0]);
        }
    }
}

#[test]
fn colours_are_treated_as_grays_are() {
    for alpha in few_bytes() {
        for under in few_bytes() {
            let ink: Vec<[u8; 4]> = few_bytes().map(|x| [x, x / 2, 255 - x, alpha]).collect();
            let rgba: Vec<[u8; 4]> = few_bytes().map(|x| [255 - x, x, x / 3, under]).collect();
            let rgb: Vec<[u8; 3]> = rgba.iter().map(|&[r, g, b, _]| [r, g, b]).collect();
            let (mut answer_rgba, mut answer_rgb) = (rgba.clone(), rgb.clone());
            over_rgba(Level::Scalar, &ink, &mut answer_rgba);
            over_rgb(Level::Scalar, &ink, &mut answer_rgb);
            for channel in 0..3 {
                let ink: Vec<[u8; 4]> = ink.iter().map(|pixel| [pixel[channel], 0, 0, alpha]).collect();
                let mut gray_alpha: Vec<[u8; 2]> = rgba.iter().map(|pixel| [pixel[channel], under]).collect();
                let mut gray: Vec<u8> = rgb.iter().map(|pixel| pixel[channel]).collect();
                over_gray_alpha(Level::Scalar, &ink, &mut gray_alpha);
                over_gray(Level::Scalar, &ink, &mut gray);
                assert!(answer_rgba.iter().map(|pixel| [pixel[channel], pixel[3]]).eq(gray_alpha));
                assert!(answer_rgb.iter().map(|pixel| pixel[channel]).eq(gray));
            }
        }
    }
}

/// A row with every channel under every alpha: 256 × 256 pixels.
fn every_pixel() -> Vec<[u8; 4]> {
    all_bytes().flat_map(|alpha| all_bytes().map(move |x| [x, x.wrapping_mul(7), 255 - x, alpha])).collect()
}

/// Lays ink, which is told from the index of a pixel, over `every_pixel` with all four kernels; answers the rows before
/// and after, layout by layout.
fn over_every_pixel(level: Level, ink: impl Fn(usize) -> [u8; 4]) -> [[Vec<u8>; 2]; 4] {
    let rgba = every_pixel();
    let ink: Vec<[u8; 4]> = (0..rgba.len()).map(ink).collect();
    let gray: Vec<[u8; 1]> = rgba.iter().map(|pixel| [pixel[0]]).collect();
    let gray_alpha: Vec<[u8; 2]> = rgba.iter().map(|pixel| [pixel[0], pixel[3]]).collect();
    let rgb: Vec<[u8; 3]> = rgba.iter().map(|&[r, g, b, _]| [r, g, b]).collect();
    let gray_after = run(over_gray_pixels, level, &ink, &gray);
    let gray_alpha_after = run(over_gray_alpha, level, &ink, &gray_alpha);
    let rgb_after = run(over_rgb, level, &ink, &rgb);
    let rgba_after = run(over_rgba, level, &ink, &rgba);
    [
        [gray.concat(), gray_after.concat()],
        [gray_alpha.concat(), gray_alpha_after.concat()],
        [rgb.concat(), rgb_after.concat()],
        [rgba.concat(), rgba_after.concat()],
    ]
}

#[test]
fn transparent_ink_leaves_every_pixel() {
    for level in Level::available() {
        for [before, after] in over_every_pixel(level, |_| [0; 4]) {
            assert!(before == after, "{level:?}");
        }
    }
}

/// Whole blocks of transparent ink may be skipped: here every second pixel is inked.
#[test]
fn transparent_ink_beside_other_leaves_every_pixel() {
    for level in Level::available() {
        for parity in 0..2 {
            let is_inked = |index: usize| index % 2 == parity;
            let ink = |index| if is_inked(index) { [9, 9, 9, 99] } else { [0; 4] };
            for [before, after] in over_every_pixel(level, ink) {
                let n_channels = before.len() / (256 * 256);
                let pixels = before.chunks(n_channels).zip(after.chunks(n_channels)).enumerate();
                let mut kept = pixels.filter(|&(index, _)| !is_inked(index));
                assert!(kept.all(|(_, (before, after))| before == after), "{level:?}, {n_channels} channels");
            }
        }
    }
}

#[test]
fn opaque_ink_becomes_the_picture() {
    for level in Level::available() {
        let [gray, gray_alpha, rgb, rgba] = over_every_pixel(level, |_| [1, 2, 3, 255]).map(|[_, after]| after);
        assert!(gray.iter().all(|&x| x == 1), "{level:?}");
        assert!(gray_alpha.as_chunks().0.iter().all(|&x| x == [1, 255]), "{level:?}");
        assert!(rgb.as_chunks().0.iter().all(|&x| x == [1, 2, 3]), "{level:?}");
        assert!(rgba.as_chunks().0.iter().all(|&x| x == [1, 2, 3, 255]), "{level:?}");
    }
}

#[test]
fn nothing_over_nothing_stays_as_it_is() {
    let mut gray_alpha = [[7, 0]];
    let mut rgba = [[7, 8, 9, 0]];
    over_gray_alpha(Level::Scalar, &[[200, 200, 200, 0]], &mut gray_alpha);
    over_rgba(Level::Scalar, &[[200, 200, 200, 0]], &mut rgba);
    assert_eq!((gray_alpha, rgba), ([[7, 0]], [[7, 8, 9, 0]]));
}

#[test]
#[should_panic(expected = "left == right")]
fn rows_of_different_lengths_are_refused() {
    over_rgb(Level::best(), &[[0; 4]; 3], &mut [[0; 3]; 4]);
}
