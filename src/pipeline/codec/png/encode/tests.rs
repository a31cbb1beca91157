//! What is encoded is what every decoder gives, in the smallest colour type.

use proptest::prelude::*;

use super::encode;
use crate::raster::{Layout, Pixmap, Size};
use crate::simd::Level;

/// Encodes at every level, which is the same; gives color type, depth, and the pixels as RGBA.
fn round_trip(image: &Pixmap) -> (png::ColorType, u8, Vec<[u8; 4]>) {
    let file = encode(Level::Scalar, image);
    for level in Level::available() {
        assert!(encode(level, image) == file, "{level:?}");
    }
    let mut options = png::DecodeOptions::default();
    options.set_ignore_adler32(false);
    let mut decoder = png::Decoder::new_with_options(std::io::Cursor::new(&file[..]), options);
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let (kind, depth) = (reader.info().color_type, reader.info().bit_depth as u8);
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    reader.finish().unwrap();
    let layout = match info.color_type {
        png::ColorType::Grayscale => Layout::Gray,
        png::ColorType::GrayscaleAlpha => Layout::GrayAlpha,
        png::ColorType::Rgb => Layout::Rgb,
        _ => Layout::Rgba,
    };
    assert_eq!((info.width, info.height), (image.size().width, image.size().height));
    (kind, depth, rgba(layout, &bytes))
}

fn rgba(layout: Layout, bytes: &[u8]) -> Vec<[u8; 4]> {
    let pixel = |pixel: &[u8]| match *pixel {
        [gray] => [gray, gray, gray, 255],
        [gray, alpha] => [gray, gray, gray, alpha],
        [r, g, b] => [r, g, b, 255],
        [r, g, b, a] => [r, g, b, a],
        _ => unreachable!(),
    };
    bytes.chunks_exact(layout.channels()).map(pixel).collect()
}

fn pixmap(layout: Layout, size: (u32, u32), byte: impl Fn(usize, usize) -> u8) -> Pixmap {
    let n = layout.channels();
    let pixels = 0..(size.0 * size.1) as usize;
    let bytes = pixels.flat_map(|pixel| (0..n).map(move |channel| (pixel, channel))).map(|(p, c)| byte(p, c)).collect();
    Pixmap::new(Size::new(size.0, size.1), layout, bytes)
}

#[track_caller]
fn check(image: &Pixmap, kind: png::ColorType, depth: u8) {
    let (found, found_depth, pixels) = round_trip(image);
    assert!(pixels == rgba(image.layout(), image.bytes()));
    assert_eq!((found, found_depth), (kind, depth));
}

const LAYOUTS: [Layout; 4] = [Layout::Gray, Layout::GrayAlpha, Layout::Rgb, Layout::Rgba];

/// Bytes without a pattern.
fn noise(index: usize) -> u8 {
    ((index as u32).wrapping_mul(2_654_435_761) >> 11) as u8
}

#[test]
fn a_picture_becomes_the_smallest_kind_that_holds_it() {
    use png::ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
    let size = (60, 50);
    let full = |pixel: usize, channel: usize| noise(pixel * 4 + channel);
    check(&pixmap(Layout::Rgba, size, full), Rgba, 8);
    check(&pixmap(Layout::Rgb, size, full), Rgb, 8);
    check(&pixmap(Layout::GrayAlpha, size, full), GrayscaleAlpha, 8);
    check(&pixmap(Layout::Gray, size, full), Grayscale, 8);
    let opaque = |pixel, channel| if channel == 3 { 255 } else { full(pixel, channel) };
    check(&pixmap(Layout::Rgba, size, opaque), Rgb, 8);
    let gray = |pixel, channel| if channel == 3 { full(pixel, 3) } else { full(pixel, 0) };
    check(&pixmap(Layout::Rgba, size, gray), GrayscaleAlpha, 8);
    check(&pixmap(Layout::Rgb, size, gray), Grayscale, 8);
    check(&pixmap(Layout::Rgba, size, |pixel, channel| opaque(pixel, if channel == 3 { 3 } else { 0 })), Grayscale, 8);
    check(
        &pixmap(Layout::GrayAlpha, size, |pixel, channel| if channel == 1 { 255 } else { full(pixel, 0) }),
        Grayscale,
        8,
    );
    for (n_colors, depth) in [(1, 1), (2, 1), (3, 2), (4, 2), (5, 4), (16, 4), (17, 8), (200, 8)] {
        let few = |pixel, channel| noise(usize::from(full(pixel, 0)) % n_colors * 4 + channel);
        check(&pixmap(Layout::Rgb, size, few), Indexed, depth);
        check(&pixmap(Layout::Rgba, size, few), Indexed, depth);
        // All opaque but one.
        let but_one = |pixel, channel| match channel {
            3 if few(pixel, 0) == noise(0) => 7,
            3 => 255,
            _ => few(pixel, channel),
        };
        check(&pixmap(Layout::Rgba, size, but_one), Indexed, depth);
    }
    check(&pixmap(Layout::Rgb, size, |pixel, _| if pixel % 3 == 0 { 255 } else { 0 }), Grayscale, 1);
    check(&pixmap(Layout::Gray, size, |pixel, _| (pixel % 4) as u8 * 85), Grayscale, 2);
    check(&pixmap(Layout::Gray, size, |pixel, _| (pixel % 16) as u8 * 17), Grayscale, 4);
    check(&pixmap(Layout::Gray, size, |pixel, _| (pixel % 11) as u8 * 3), Indexed, 4);
    // A palette would take more than it saves.
    check(&pixmap(Layout::Rgb, (5, 4), full), Rgb, 8);
    let exactly_256 = |pixel: usize, channel: usize| if channel == 0 { (pixel % 256) as u8 } else { 9 };
    check(&pixmap(Layout::Rgb, size, exactly_256), Indexed, 8);
    check(&pixmap(Layout::Rgb, size, |pixel, channel| exactly_256(pixel, channel) ^ u8::from(pixel == 700)), Rgb, 8);
}

#[test]
fn large_pictures_of_every_kind_come_back() {
    for layout in LAYOUTS {
        let alpha = |pixel: usize| (pixel / 700) as u8;
        let n = layout.channels();
        let smooth = |pixel: usize, channel: usize| {
            let (x, y) = (pixel % 700, pixel / 700);
            if layout.has_alpha() && channel == n - 1 {
                alpha(pixel)
            } else {
                (x * x / 900 + y * (channel + 1) / 3) as u8
            }
        };
        let grainy = |pixel: usize, channel: usize| smooth(pixel, channel) ^ (noise(pixel * 4 + channel) & 7);
        let drawing = |pixel: usize, channel: usize| {
            let (x, y) = (pixel % 700, pixel / 700);
            if (x / 40 + y / 30) % 3 == 0 { grainy(x % 40, channel) } else { 250 }
        };
        for image in [
            pixmap(layout, (700, 250), smooth),
            pixmap(layout, (700, 250), grainy),
            pixmap(layout, (700, 250), drawing),
            pixmap(layout, (700, 250), |pixel, channel| noise(pixel * 4 + channel)),
        ] {
            assert!(round_trip(&image).2 == rgba(layout, image.bytes()), "{layout:?}");
        }
    }
}

proptest! {
    #[test]
    fn every_picture_comes_back(
        layout in prop::sample::select(LAYOUTS.to_vec()),
        size in (1u32..70, 1u32..50),
        values in prop_oneof![
            prop::collection::vec(any::<u8>(), 1..4),
            prop::collection::vec(any::<u8>(), 1..40),
            prop::collection::vec(any::<u8>(), 1..4000),
            prop::collection::vec(prop_oneof![Just(0u8), Just(255), Just(254)], 1..2000),
        ],
        stretch in 1usize..9,
    ) {
        let image = pixmap(layout, size, |pixel, channel| values[(pixel / stretch * 4 + channel) % values.len()]);
        prop_assert!(round_trip(&image).2 == rgba(layout, image.bytes()));
    }
}
