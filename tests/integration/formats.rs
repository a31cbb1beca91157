//! Every common kind of JPEG and PNG, made here, through the pipeline in process; and cut and flipped ones.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use pixlserv::pipeline::{self, DecodeError, Encoded, Limits};
use pixlserv::plan::{Jpeg, Plan};
use pixlserv::raster::{Layout, Pixmap, Size};
use pixlserv::simd::Level;
use pixlserv::transform::Transformation;
use proptest::prelude::*;

const WIDTH: u16 = 61;
const HEIGHT: u16 = 47;
/// Keeps every pixel.
const WHOLE: &str = "w_60000,h_60000,c_k";

fn render(source: &[u8], parameters: &str) -> Result<Pixmap, DecodeError> {
    let header = pipeline::probe(source, Limits { max_source_pixels: 1_000_000 })?;
    let transformation = Transformation::plain(parameters.parse().unwrap());
    let plan = Plan::new(&transformation, 1, &header, Jpeg::default(), 65_535).unwrap();
    pipeline::render(Level::best(), source, &plan)
}

/// Smooth colours without hard edges, so that lossy coding and subsampling change little.
fn rgb() -> Vec<u8> {
    let pixel = |x: u16, y: u16| {
        let (x, y) = (f32::from(x) / f32::from(WIDTH), f32::from(y) / f32::from(HEIGHT));
        [255.0 * x, 255.0 * y, 127.0 + 127.0 * (x + y).sin()].map(|value| value as u8)
    };
    (0..HEIGHT).flat_map(|y| (0..WIDTH).flat_map(move |x| pixel(x, y))).collect()
}

fn jpeg(change: impl FnOnce(&mut Encoder<&mut Vec<u8>>), pixels: &[u8], color: ColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 95);
    change(&mut encoder);
    encoder.encode(pixels, WIDTH, HEIGHT, color).unwrap();
    bytes
}

fn mean_error(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

#[test]
fn every_sampling_scan_and_restart_gives_the_same_picture() {
    let factors = [
        SamplingFactor::F_1_1,
        SamplingFactor::F_2_1,
        SamplingFactor::F_1_2,
        SamplingFactor::F_2_2,
        SamplingFactor::F_4_1,
        SamplingFactor::F_1_4,
        SamplingFactor::F_4_2,
        SamplingFactor::F_2_4,
    ];
    for factor in factors {
        for is_progressive in [false, true] {
            for restart in [0, 1, 3] {
                let change = |encoder: &mut Encoder<&mut Vec<u8>>| {
                    encoder.set_sampling_factor(factor);
                    encoder.set_progressive(is_progressive);
                    encoder.set_restart_interval(restart);
                };
                let image = render(&jpeg(change, &rgb(), ColorType::Rgb), WHOLE).unwrap();
                let error = mean_error(image.bytes(), &rgb());
                // A quarter of the width leaves 16 samples of chroma for 61 pixels.
                let bar = if format!("{factor:?}").contains('4') { 6.0 } else { 3.0 };
                assert!(error < bar, "{factor:?}, progressive {is_progressive}, restart {restart}: {error}");
            }
        }
    }
}

#[test]
fn inks_become_light() {
    // What the encoder takes for CMYK is 0 for no ink, and it writes Adobe's marker and inversion.
    let inks: Vec<u8> = rgb().as_chunks::<3>().0.iter().flat_map(|&[c, m, y]| [c, m, y, 30]).collect();
    let light = |ink: u8| (u32::from(255 - ink) * 225 / 255) as u8;
    let expected: Vec<u8> = rgb().into_iter().map(light).collect();
    for color in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        let image = render(&jpeg(|_| {}, &inks, color), WHOLE).unwrap();
        assert_eq!(image.layout(), Layout::Rgb);
        let error = mean_error(image.bytes(), &expected);
        assert!(error < 3.0, "{error}");
    }
}

#[test]
fn gray_stays_one_component() {
    let gray: Vec<u8> = rgb().into_iter().step_by(3).collect();
    let source = jpeg(|_| {}, &gray, ColorType::Luma);
    assert_eq!(render(&source, WHOLE).unwrap().layout(), Layout::Gray);
    let color = jpeg(|_| {}, &rgb(), ColorType::Rgb);
    assert_eq!(render(&color, "w_20,f_grayscale").unwrap().layout(), Layout::Gray);
}

/// A picture of marked corners, stored so that the orientation brings it back.
#[test]
fn eight_orientations_look_alike() {
    let upright = render(&jpeg(|_| {}, &rgb(), ColorType::Rgb), "w_30").unwrap();
    for value in 1..=8u8 {
        let (width, height) = if value > 4 { (HEIGHT, WIDTH) } else { (WIDTH, HEIGHT) };
        let pixels = rgb();
        let at = |x: u16, y: u16| {
            let start = (usize::from(y) * usize::from(WIDTH) + usize::from(x)) * 3;
            [pixels[start], pixels[start + 1], pixels[start + 2]]
        };
        let (right, bottom) = (WIDTH - 1, HEIGHT - 1);
        let stored = |x: u16, y: u16| match value {
            1 => at(x, y),
            2 => at(right - x, y),
            3 => at(right - x, bottom - y),
            4 => at(x, bottom - y),
            5 => at(y, x),
            6 => at(right - y, x),
            7 => at(right - y, bottom - x),
            _ => at(y, bottom - x),
        };
        let pixels: Vec<u8> = (0..height).flat_map(|y| (0..width).flat_map(move |x| stored(x, y))).collect();
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 95);
        let exif = [b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(), &[value], &[0; 6]].concat();
        encoder.add_exif_metadata(&exif).unwrap();
        encoder.encode(&pixels, width, height, ColorType::Rgb).unwrap();
        let image = render(&bytes, "w_30").unwrap();
        assert_eq!(image.size(), upright.size(), "orientation {value}");
        let error = mean_error(image.bytes(), upright.bytes());
        assert!(error < 3.0, "orientation {value}: {error}");
    }
}

fn png(
    color: png::ColorType,
    depth: png::BitDepth,
    data: &[u8],
    change: impl FnOnce(&mut png::Encoder<&mut Vec<u8>>),
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 4, 2);
    encoder.set_color(color);
    encoder.set_depth(depth);
    change(&mut encoder);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    bytes
}

#[track_caller]
fn check_png(source: &[u8], layout: Layout, expected: &[u8]) {
    let image = render(source, WHOLE).unwrap();
    assert_eq!((image.size(), image.layout(), image.bytes()), (Size::new(4, 2), layout, expected));
}

#[test]
fn every_png_color_type_and_depth_is_read_exactly() {
    use png::{BitDepth, ColorType};
    let plain = |_: &mut png::Encoder<&mut Vec<u8>>| {};
    check_png(
        &png(ColorType::Grayscale, BitDepth::One, &[0b1010_0000, 0b0110_0000], plain),
        Layout::Gray,
        &[255, 0, 255, 0, 0, 255, 255, 0],
    );
    check_png(
        &png(ColorType::Grayscale, BitDepth::Two, &[0b0001_1011, 0], plain),
        Layout::Gray,
        &[0, 85, 170, 255, 0, 0, 0, 0],
    );
    check_png(
        &png(ColorType::Grayscale, BitDepth::Four, &[0x0F, 0x37, 0, 0], plain),
        Layout::Gray,
        &[0, 255, 51, 119, 0, 0, 0, 0],
    );
    let eight: Vec<u8> = (0..8).map(|value| value * 30).collect();
    check_png(&png(ColorType::Grayscale, BitDepth::Eight, &eight, plain), Layout::Gray, &eight);
    let sixteen: Vec<u8> =
        [0u16, 127, 128, 129, 257, 32_767, 65_407, 65_535].iter().flat_map(|v| v.to_be_bytes()).collect();
    check_png(
        &png(ColorType::Grayscale, BitDepth::Sixteen, &sixteen, plain),
        Layout::Gray,
        &[0, 0, 0, 1, 1, 127, 255, 255],
    );
    let rgba: Vec<u8> = (0..32).map(|value| value * 8).collect();
    check_png(&png(ColorType::Rgba, BitDepth::Eight, &rgba, plain), Layout::Rgba, &rgba);
    let rgb: Vec<u8> = (0..24).map(|value| value * 10).collect();
    check_png(&png(ColorType::Rgb, BitDepth::Eight, &rgb, plain), Layout::Rgb, &rgb);
    check_png(
        &png(ColorType::GrayscaleAlpha, BitDepth::Eight, &eight.repeat(2), plain),
        Layout::GrayAlpha,
        &eight.repeat(2),
    );
    let palette = |encoder: &mut png::Encoder<&mut Vec<u8>>| {
        encoder.set_palette(vec![1, 2, 3, 4, 5, 6]);
        encoder.set_trns(vec![9]);
    };
    let expected = [[1, 2, 3, 9], [4, 5, 6, 255], [1, 2, 3, 9], [1, 2, 3, 9]].concat().repeat(2);
    check_png(&png(ColorType::Indexed, BitDepth::Eight, &[0, 1, 0, 0, 0, 1, 0, 0], palette), Layout::Rgba, &expected);
    let transparent = |encoder: &mut png::Encoder<&mut Vec<u8>>| encoder.set_trns(vec![0, 30]);
    let expected: Vec<u8> = eight.iter().flat_map(|&value| [value, if value == 30 { 0 } else { 255 }]).collect();
    check_png(&png(ColorType::Grayscale, BitDepth::Eight, &eight, transparent), Layout::GrayAlpha, &expected);
}

#[test]
fn unscaled_pixels_stay_exactly_as_they_are() {
    // Every alpha with colours that premultiplied 8 bits could not hold.
    let rgba: Vec<u8> = (0..=255u8).flat_map(|alpha| [250, alpha.wrapping_mul(7), 3, alpha]).collect();
    let mut source = Vec::new();
    let mut encoder = png::Encoder::new(&mut source, 32, 8);
    encoder.set_color(png::ColorType::Rgba);
    encoder.write_header().unwrap().write_image_data(&rgba).unwrap();
    assert_eq!(render(&source, WHOLE).unwrap().bytes(), rgba);
    let part = render(&source, "w_3,h_2,c_k,g_se").unwrap();
    let rows = [6, 7].map(|row| &rgba[(row * 32 + 29) * 4..(row * 32 + 32) * 4]);
    assert_eq!(part.bytes(), rows.concat());
}

/// Small files of each kind, to be cut and damaged.
fn samples() -> [(&'static str, Vec<u8>); 3] {
    let progressive = |encoder: &mut Encoder<&mut Vec<u8>>| encoder.set_progressive(true);
    let mut picture = Vec::new();
    let mut encoder = png::Encoder::new(&mut picture, u32::from(WIDTH), u32::from(HEIGHT));
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&rgb()).unwrap();
    [
        ("baseline", jpeg(|_| {}, &rgb(), ColorType::Rgb)),
        ("progressive", jpeg(progressive, &rgb(), ColorType::Rgb)),
        ("png", picture),
    ]
}

#[test]
fn no_cut_file_is_shown() {
    for (name, source) in samples() {
        let whole = render(&source, WHOLE).unwrap();
        for length in 0..source.len() {
            match render(&source[..length], WHOLE) {
                Err(_) => {}
                // All blocks of a sequential JPEG are there when nothing but its end marker is missing.
                Ok(image) => assert!(
                    name == "baseline" && length >= source.len() - 2 && image == whole,
                    "{name} cut at {length} of {} is shown",
                    source.len()
                ),
            }
        }
    }
}

#[test]
fn a_header_alone_decides_about_too_many_pixels() {
    let (_, source) = &samples()[2];
    let limits = Limits { max_source_pixels: u64::from(WIDTH) * u64::from(HEIGHT) - 1 };
    let error = pipeline::probe(source, limits).unwrap_err();
    assert_eq!(error.to_string(), "too many pixels: 2867, allowed: 2866");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn flipped_bits_never_panic(sample in 0..3usize, flips in proptest::collection::vec((0.0..1.0f64, 0u8..8), 1..6)) {
        let (_, mut source) = samples()[sample].clone();
        let length = source.len() as f64;
        for (position, bit) in flips {
            source[(position * length) as usize] ^= 1 << bit;
        }
        // Shown or refused: both are fine, as long as it comes back. Panics inside libraries are contained.
        let _ = render(&source, "w_20,h_10,c_p,f_grayscale");
    }
}

/// Each of several plans, and what all of them together give.
fn check_all(source: &[u8], parameters: &[&str]) {
    let header = pipeline::probe(source, Limits { max_source_pixels: 1_000_000_000 }).unwrap();
    let plan = |parameters: &&str| {
        let transformation = Transformation::plain(parameters.parse().unwrap());
        Plan::new(&transformation, 1, &header, Jpeg::default(), 65_535).unwrap()
    };
    let plans: Vec<Plan> = parameters.iter().map(plan).collect();
    let (level, mut all) = (Level::best(), vec![None; plans.len()]);
    let give = |number: usize, encoded: Result<Encoded, DecodeError>| all[number] = Some(encoded.unwrap().bytes);
    pipeline::run_all(level, source, &plans, |_, number| pipeline::no_stamps(number), give, &mut pipeline::unwatched)
        .unwrap();
    for ((plan, together), parameters) in plans.iter().zip(all).zip(parameters) {
        let alone = pipeline::run(level, source, plan, pipeline::no_stamps).unwrap().bytes;
        assert!(together.as_ref() == Some(&alone), "{parameters}");
    }
}

#[test]
fn several_answers_from_one_decode_are_as_each_alone() {
    let source = jpeg(|_| {}, &rgb(), ColorType::Rgb);
    check_all(&source, &["w_20", "w_30,h_30,c_p,g_se,f_grayscale", WHOLE, "h_100"]);
    check_all(&source, &["w_20"]);
    let plan = |source: &[u8]| {
        let header = pipeline::probe(source, Limits { max_source_pixels: 1_000_000 }).unwrap();
        let transformation = Transformation::plain("w_9".parse().unwrap());
        Plan::new(&transformation, 1, &header, Jpeg::default(), 100).unwrap()
    };
    let cut = &source[..source.len() / 2];
    let no_stamps = |_, number| pipeline::no_stamps(number);
    assert!(
        pipeline::run_all(
            Level::best(),
            cut,
            &[plan(&source)],
            no_stamps,
            |_, _| panic!("made of half a picture"),
            &mut pipeline::unwatched
        )
        .is_err()
    );
    // Too large to be held as a whole: rows are decoded as they are asked for, for each answer anew.
    let (width, height) = (60_000, 2_300);
    let mut giant = Vec::new();
    let gray: Vec<u8> = (0..u32::from(height)).flat_map(|y| vec![(y / 9) as u8; usize::from(width)]).collect();
    Encoder::new(&mut giant, 50).encode(&gray, width, height, ColorType::Luma).unwrap();
    drop(gray);
    check_all(&giant, &["w_50", "w_100,h_50,c_k,g_se"]);
}
