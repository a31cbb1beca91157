//! Bands against a whole, and shapes that would need much memory if done naively.

use proptest::prelude::*;

use super::*;
use crate::pipeline::DecodeError;
use crate::pipeline::color::{code_of_light, light_of_code};
use crate::raster::{Layout, Rect};

/// Lanczos-3 in one piece, in real numbers, of one gray row or column.
fn reference(samples: &[f64], to: usize) -> Vec<f64> {
    spanned(samples, Span { start: 0.0, length: samples.len() as f64 }, to as u32)
}

/// The same of a part of it; what the part does not touch does not count.
fn spanned(samples: &[f64], span: Span, to: u32) -> Vec<f64> {
    let lanczos = |x: f64| match x.abs() {
        x if x < 1e-9 => 1.0,
        x if x < 3.0 => {
            let angle = std::f64::consts::PI * x;
            3.0 * angle.sin() * (angle / 3.0).sin() / (angle * angle)
        }
        _ => 0.0,
    };
    let shrink = span.length / f64::from(to);
    let stretch = shrink.max(1.0);
    let touched = span.start.floor() as usize..(span.start + span.length).ceil() as usize;
    (0..to)
        .map(|index| {
            let center = span.start + (f64::from(index) + 0.5) * shrink - 0.5;
            let weights: Vec<f64> =
                touched.clone().map(|position| lanczos((position as f64 - center) / stretch)).collect();
            let sum: f64 = weights.iter().sum();
            samples[touched.clone()].iter().zip(&weights).map(|(sample, weight)| sample * weight).sum::<f64>() / sum
        })
        .collect()
}

fn gray(width: u32, height: u32, value: impl Fn(u32, u32) -> u8) -> Pixmap {
    let bytes = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| value(x, y)).collect();
    Pixmap::new(Size::new(width, height), Layout::Gray, bytes)
}

fn resized(image: &Pixmap, width: u32, height: u32) -> Pixmap {
    let conversion = Conversion::new(None, image.layout());
    let whole = Rect::whole(image.size());
    run(Level::best(), Source::View(image.view(whole)), &Frame::new(whole, Some(Size::new(width, height))), &conversion)
}

/// Largest difference between our column and the reference, in codes.
fn column_error(height: u32, to: u32, value: impl Fn(u32) -> u8) -> f64 {
    let column: Vec<f64> = (0..height).map(|y| light_of_code(f64::from(value(y)) / 255.0)).collect();
    let expected = reference(&column, to as usize);
    let found = resized(&gray(3, height, |_, y| value(y)), 3, to);
    let differences = expected
        .iter()
        .zip(found.bytes().chunks(3))
        .map(|(light, row)| (code_of_light(light.clamp(0.0, 1.0)) * 255.0 - f64::from(row[1])).abs());
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
    let light: Vec<f64> = (0..1_000_000).map(|y| light_of_code(f64::from(step(y)) / 255.0)).collect();
    for (row, expected) in reference(&light, 2).into_iter().enumerate() {
        let code = (code_of_light(expected.clamp(0.0, 1.0)) * 255.0).round() as u8;
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

/// A picture that gives its rows one by one, and complains if one is asked for again.
#[derive(Debug)]
struct Streamed {
    picture: Pixmap,
    variances: Option<Vec<u16>>,
    next: u32,
}

impl Rows for Streamed {
    fn size(&self) -> Size {
        self.picture.size()
    }

    fn layout(&self) -> Layout {
        self.picture.layout()
    }

    fn row(&mut self, y: u32) -> Row<'_> {
        assert!(y >= self.next, "row {y} again");
        self.next = y + 1;
        let width = self.picture.size().width as usize;
        let stride = width * self.picture.layout().channels();
        let variance = self.variances.as_ref().map(|variances| &variances[y as usize * width..][..width]);
        Row { samples: &self.picture.bytes()[y as usize * stride..][..stride], variance }
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        Ok(())
    }
}

const LAYOUTS: [Layout; 5] = [Layout::Gray, Layout::GrayAlpha, Layout::Rgb, Layout::Rgba, Layout::Cmyk];

/// Numbers that look like noise.
fn noisy(size: Size, layout: Layout) -> Pixmap {
    let count = size.pixels() as usize * layout.channels();
    Pixmap::new(size, layout, (0..count as u32).map(|index| (index.wrapping_mul(0x9E37_79B1) >> 23) as u8).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn rows_and_views_are_one_picture_at_every_level(
        layout in prop::sample::select(LAYOUTS.to_vec()),
        from in (1u32..120, 1u32..120),
        to in (1u32..90, 1u32..90),
        before in (0.0..1.0f64, 0.0..1.0f64),
        after in (0.0..1.0f64, 0.0..1.0f64),
    ) {
        let picture = noisy(Size::new(from.0, from.1), layout);
        let span = |length: u32, before: f64, after: f64| {
            let (before, after) = (before * f64::from(length) * 0.4, after * f64::from(length) * 0.4);
            Span { start: before, length: f64::from(length) - before - after }
        };
        let frame = Frame {
            columns: span(from.0, before.0, after.0),
            rows: span(from.1, before.1, after.1),
            size: Some(Size::new(to.0, to.1)),
        };
        let conversion = Conversion::new(None, layout);
        let whole = picture.view(Rect::whole(picture.size()));
        let expected = run(Level::Scalar, Source::View(whole), &frame, &conversion);
        for level in Level::available() {
            prop_assert_eq!(&run(level, Source::View(whole), &frame, &conversion), &expected);
            let mut rows = Streamed { picture: picture.clone(), variances: None, next: 0 };
            prop_assert_eq!(&run(level, Source::Rows(&mut rows), &frame, &conversion), &expected);
            let variances = Some(vec![0; picture.size().pixels() as usize]);
            let mut rows = Streamed { picture: picture.clone(), variances, next: 0 };
            prop_assert_eq!(&run(level, Source::Rows(&mut rows), &frame, &conversion), &expected);
        }
    }

    #[test]
    fn fractions_of_pixels_are_where_they_belong(
        from in 40u32..200,
        to in 7u32..100,
        start in 0.0..20.0f64,
        rest in 0.0..15.0f64,
    ) {
        let waves = |y: u32| (128.0 + 100.0 * (f64::from(y) / 9.0).sin()) as u8;
        let span = Span { start, length: f64::from(from) - start - rest };
        let light: Vec<f64> = (0..from).map(|y| light_of_code(f64::from(waves(y)) / 255.0)).collect();
        let expected = spanned(&light, span, to);
        let across = Span { start: 0.0, length: 3.0 };
        for (columns, rows, size) in
            [(across, span, Size::new(3, to)), (span, across, Size::new(to, 3))]
        {
            let picture = if size.width == 3 { gray(3, from, |_, y| waves(y)) } else { gray(from, 3, |x, _| waves(x)) };
            let frame = Frame { columns, rows, size: Some(size) };
            let conversion = Conversion::new(None, Layout::Gray);
            let small = run(Level::best(), Source::View(picture.view(Rect::whole(picture.size()))), &frame, &conversion);
            let stride = if size.width == 3 { 3 } else { 1 };
            for (light, &code) in expected.iter().zip(small.bytes().iter().step_by(stride)) {
                let exact = code_of_light(light.clamp(0.0, 1.0)) * 255.0;
                prop_assert!((exact - f64::from(code)).abs() <= 0.8, "{} is not {}", code, exact);
            }
        }
    }

    #[test]
    fn regions_are_cut_before_they_are_resized(
        layout in prop::sample::select(LAYOUTS.to_vec()),
        from in (20u32..60, 20u32..60),
        corner in (0u32..10, 0u32..10),
        to in (1u32..60, 1u32..60),
        keeps in any::<bool>(),
    ) {
        let picture = noisy(Size::new(from.0, from.1), layout);
        let region = Rect { x: corner.0, y: corner.1, size: Size::new(from.0 - corner.0 - 3, from.1 - corner.1 - 2) };
        let view = picture.view(region);
        let bytes = (0..region.size.height).flat_map(|y| view.row(y).to_vec()).collect();
        let cut = Pixmap::new(region.size, layout, bytes);
        let size = (!keeps).then_some(Size::new(to.0, to.1));
        let conversion = Conversion::new(None, layout);
        let of = |picture: &Pixmap, region: Rect| {
            let whole = picture.view(Rect::whole(picture.size()));
            run(Level::best(), Source::View(whole), &Frame::new(region, size), &conversion)
        };
        prop_assert_eq!(of(&picture, region), of(&cut, Rect::whole(region.size)));
    }
}

/// Rows, then columns, in real numbers.
fn reference_picture(picture: &Pixmap, width: u32, height: u32) -> Vec<f64> {
    let light: Vec<f64> = picture.bytes().iter().map(|&code| light_of_code(f64::from(code) / 255.0)).collect();
    let rows: Vec<Vec<f64>> =
        light.chunks_exact(picture.size().width as usize).map(|row| reference(row, width as usize)).collect();
    let column = |x: usize| reference(&rows.iter().map(|row| row[x]).collect::<Vec<_>>(), height as usize);
    let columns: Vec<Vec<f64>> = (0..width as usize).map(column).collect();
    (0..(width * height) as usize).map(|index| columns[index % width as usize][index / width as usize]).collect()
}

/// In codes, the largest difference and the mean one.
fn differences(light: impl Iterator<Item = f64>, found: &Pixmap) -> (f64, f64) {
    let code = |light: f64| code_of_light(light.clamp(0.0, 1.0)) * 255.0;
    let all: Vec<f64> =
        light.zip(found.bytes()).map(|(light, &found)| (code(light) - f64::from(found)).abs()).collect();
    (all.iter().copied().fold(0.0, f64::max), all.iter().sum::<f64>() / all.len() as f64)
}

#[test]
fn pictures_are_what_real_numbers_and_another_resizer_say() {
    use fast_image_resize::images::Image;
    use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
    let sizes = [((200, 150), (77, 41)), ((123, 77), (123, 40)), ((50, 60), (170, 61)), ((700, 20), (31, 90))];
    for ((width, height), (to_width, to_height)) in sizes {
        // Less than black beside white, whose rings between the passes would be clipped.
        let picture = gray(width, height, |x, y| 30 + ((x * 7 + y * 3 + (x * y) % 31) % 200) as u8);
        let light = picture.bytes().iter().map(|&code| light_of_code(f64::from(code) / 255.0) as f32);
        let bytes = light.flat_map(f32::to_ne_bytes).collect();
        let source = Image::from_vec_u8(width, height, bytes, PixelType::F32).unwrap();
        let mut target = Image::new(to_width, to_height, PixelType::F32);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
        Resizer::new().resize(&source, &mut target, &options).unwrap();
        let found = resized(&picture, to_width, to_height);
        let others = target.buffer().as_chunks().0.iter().map(|light| f64::from(f32::from_ne_bytes(*light)));
        let exact = reference_picture(&picture, to_width, to_height).into_iter();
        for (name, (largest, mean)) in [("real", differences(exact, &found)), ("other", differences(others, &found))] {
            println!("{width}x{height} to {to_width}x{to_height}, {name}: largest {largest:.3}, mean {mean:.4}");
            assert!(largest <= 0.8 && mean <= 0.26, "{width}x{height} to {to_width}x{to_height}, {name}");
        }
    }
}
