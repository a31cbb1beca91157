//! Pictures out and in again, by two decoders that are not ours.

use jpeg_decoder::PixelFormat;
use proptest::prelude::*;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

use super::super::tests::{rows, wanted};
use super::*;
use crate::plan::JpegQuality;
use crate::raster::{Format, Layout, Size};

fn settings(quality: u8, progressive: bool) -> Encode {
    Encode { format: Format::Jpeg, quality: JpegQuality::try_from(i64::from(quality)).unwrap(), progressive }
}

/// What a picture shows.
#[derive(Clone, Copy, Debug)]
enum Content {
    Flat,
    Smooth,
    Noise,
    /// Black and white.
    Extremes,
}

fn picture(content: Content, layout: Layout, width: u32, height: u32, mut seed: u32) -> Pixmap {
    let channels = layout.channels();
    let mut random = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    let flat = [random(), random(), random()];
    let n_bytes = width as usize * height as usize * channels;
    let sample = |index: usize| {
        let (x, y) = (index / channels % width as usize, index / channels / width as usize);
        match content {
            Content::Flat => flat[index % channels],
            Content::Smooth => {
                (f64::from(flat[0])
                    + 60.0 * (x as f64 / 9.0).sin()
                    + 60.0 * (y as f64 / 7.0 + (index % channels) as f64).cos()) as u8
            }
            Content::Noise => random(),
            Content::Extremes => {
                if random() < 128 {
                    0
                } else {
                    255
                }
            }
        }
    };
    Pixmap::new(Size::new(width, height), layout, (0..n_bytes).map(sample).collect())
}

/// The pixels that zune-jpeg and jpeg-decoder see, and the size.
fn decoded(file: &[u8]) -> (Vec<u8>, Vec<u8>, Size) {
    let mut decoder = jpeg_decoder::Decoder::new(file);
    let second = decoder.decode().unwrap();
    let info = decoder.info().unwrap();
    let is_gray = info.pixel_format == PixelFormat::L8;
    (decoded_by_zune(file, is_gray), second, Size::new(u32::from(info.width), u32::from(info.height)))
}

fn decoded_by_zune(file: &[u8], is_gray: bool) -> Vec<u8> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(65_535)
        .set_max_height(65_535)
        .jpeg_set_out_colorspace(if is_gray { ColorSpace::Luma } else { ColorSpace::RGB });
    zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(file), options).decode().unwrap()
}

fn worst(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

fn mean_square(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum::<f64>() / a.len() as f64
}

fn contents() -> impl Strategy<Value = Content> {
    prop_oneof![Just(Content::Flat), Just(Content::Smooth), Just(Content::Noise), Just(Content::Extremes)]
}

fn layouts() -> impl Strategy<Value = Layout> {
    prop_oneof![Just(Layout::Gray), Just(Layout::Rgb)]
}

/// At quality 100 a coefficient is rounded to a whole, and a decoder rounds a sample: 4 in luma. Chroma adds its own
/// times 1.772.
const fn bound(layout: Layout) -> u8 {
    match layout {
        Layout::Gray => 4,
        _ => 10,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn every_level_gives_the_same_file(
        content in contents(), layout in layouts(), width in 1..=70u32, height in 1..=70u32, seed: u32,
        quality in 1..=100u8, progressive: bool,
    ) {
        let image = picture(content, layout, width, height, seed);
        let file = encode(Level::Scalar, &image, settings(quality, progressive));
        for level in Level::available() {
            prop_assert!(encode(level, &image, settings(quality, progressive)) == file, "{:?}", level);
        }
        let (first, second, size) = decoded(&file);
        prop_assert_eq!(size, image.size());
        prop_assert_eq!(first.len(), image.bytes().len());
        prop_assert_eq!(second.len(), image.bytes().len());
        // Both modes hold the same coefficients.
        let (other, ..) = decoded(&encode(Level::best(), &image, settings(quality, !progressive)));
        prop_assert!(first == other, "the modes differ");
    }

    /// Unlike the crate that makes files for most tests, ours writes runs of blocks that end early, and scans that
    /// refine.
    #[test]
    fn our_decoder_reads_both_modes_alike(
        content in contents(), layout in layouts(), width in 1..=150u32, height in 1..=150u32, seed: u32,
        quality in 1..=100u8, eighths in 1u32..=8,
    ) {
        let image = picture(content, layout, width, height, seed);
        let [sequential, progressive] =
            [false, true].map(|progressive| encode(Level::best(), &image, settings(quality, progressive)));
        let (expected, _) = rows(Level::Scalar, &sequential, &wanted(&sequential, eighths), 0).unwrap();
        for level in Level::available() {
            let (found, _) = rows(level, &progressive, &wanted(&progressive, eighths), 0).unwrap();
            prop_assert!(found == expected, "{:?}", level);
        }
    }

    #[test]
    fn at_quality_100_nothing_is_lost(
        content in contents(), layout in layouts(), width in 1..=70u32, height in 1..=70u32, seed: u32, progressive: bool,
    ) {
        let image = picture(content, layout, width, height, seed);
        let (first, second, _) = decoded(&encode(Level::best(), &image, settings(100, progressive)));
        let found = worst(&first, image.bytes()).max(worst(&second, image.bytes()));
        prop_assert!(found <= bound(layout), "{}", found);
        // Of a few pixels, the worst may be all.
        let is_mean = image.size().pixels() >= 64;
        prop_assert!(!is_mean || mean_square(&first, image.bytes()) < 1.5);
    }
}

#[test]
fn the_widest_and_the_highest_pictures() {
    for progressive in [false, true] {
        for (width, height) in [(65_535, 3), (2, 65_535)] {
            let image = picture(Content::Smooth, Layout::Rgb, width, height, 1);
            // Not by jpeg-decoder 0.3, which overflows where more than 65,528 rows are.
            let first = decoded_by_zune(&encode(Level::best(), &image, settings(75, progressive)), false);
            let error = mean_square(&first, image.bytes());
            assert!(error < 60.0, "{width} × {height}: {error}");
        }
    }
}

#[test]
fn more_tokens_than_pixels_are_written_on_the_way() {
    for layout in [Layout::Gray, Layout::Rgb] {
        let image = picture(Content::Noise, layout, 400, 300, 7);
        let file = encode(Level::best(), &image, settings(100, false));
        assert!(file == encode(Level::Scalar, &image, settings(100, false)));
        let (first, second, _) = decoded(&file);
        assert!(worst(&first, image.bytes()).max(worst(&second, image.bytes())) <= bound(layout));
    }
}

#[test]
fn a_picture_of_one_colour_is_small() {
    let image = picture(Content::Flat, Layout::Rgb, 512, 384, 3);
    for progressive in [false, true] {
        let file = encode(Level::best(), &image, settings(80, progressive));
        let (first, ..) = decoded(&file);
        // Half a step of 3 in luma, and of 3 in chroma times 1.772 / 8.
        assert!(worst(&first, image.bytes()) <= 2);
        // Two codes of a bit for each of six blocks, in 24 × 32 units, and the heads, of up to ten scans.
        assert!(file.len() <= 2500, "{}", file.len());
    }
}

#[test]
fn progressive_is_smaller() {
    let image = picture(Content::Smooth, Layout::Rgb, 512, 384, 3);
    let sizes = [false, true].map(|progressive| encode(Level::best(), &image, settings(80, progressive)).len());
    assert!(sizes[1] < sizes[0], "{sizes:?}");
}
