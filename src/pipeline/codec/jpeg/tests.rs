//! Our decoder against a library that decodes whole pictures, against the formula, and against itself.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use proptest::prelude::*;

use super::*;
use crate::raster::{Rect, Size};

const FACTORS: [SamplingFactor; 6] = [
    SamplingFactor::F_1_1,
    SamplingFactor::F_2_1,
    SamplingFactor::F_1_2,
    SamplingFactor::F_2_2,
    SamplingFactor::F_4_1,
    SamplingFactor::F_1_4,
];

/// A file of a picture with gradients and edges.
#[derive(Clone, Copy, Debug)]
struct Kind {
    size: (u16, u16),
    factor: SamplingFactor,
    restart: u16,
    color: ColorType,
    is_progressive: bool,
}

impl Kind {
    fn channels(self) -> usize {
        match self.color {
            ColorType::Luma => 1,
            ColorType::Cmyk | ColorType::Ycck => 4,
            _ => 3,
        }
    }

    fn encoded(self) -> Vec<u8> {
        let (width, height) = (usize::from(self.size.0), usize::from(self.size.1));
        let channels = self.channels();
        let sample = |index: usize| {
            let (pixel, channel) = (index / channels, index % channels);
            let (x, y) = (pixel % width, pixel / width);
            (x * 5 + y * (3 + channel * 2) + (x * y) % 23) as u8
        };
        let pixels: Vec<u8> = (0..width * height * channels).map(sample).collect();
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 90);
        encoder.set_sampling_factor(self.factor);
        encoder.set_restart_interval(self.restart);
        encoder.set_progressive(self.is_progressive);
        encoder.encode(&pixels, self.size.0, self.size.1, self.color).unwrap();
        bytes
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    let color = prop::sample::select(vec![ColorType::Luma, ColorType::Rgb, ColorType::Cmyk, ColorType::Ycck]);
    ((1u16..90, 1u16..90), prop::sample::select(FACTORS.to_vec()), 0u16..4, color)
        .prop_map(|(size, factor, restart, color)| Kind { size, factor, restart, color, is_progressive: false })
}

pub(super) fn wanted(source: &[u8], eighths: u32) -> Wanted {
    Wanted { eighths: Eighths::new(eighths).unwrap(), ..Wanted::all(probe(source).unwrap().stored) }
}

/// Samples and variances of all rows from `first` on.
pub(super) fn rows(
    level: Level,
    source: &[u8],
    wanted: &Wanted,
    first: u32,
) -> Result<(Vec<u8>, Vec<u16>), DecodeError> {
    let Pixels::Rows(mut rows) = decode(level, source, wanted)?.pixels else { panic!("left to a library") };
    let (mut samples, mut variances) = (Vec::new(), Vec::new());
    for y in first..rows.size().height {
        let row = rows.row(y);
        samples.extend_from_slice(row.samples);
        variances.extend_from_slice(row.variance.unwrap_or_default());
    }
    rows.finish()?;
    Ok((samples, variances))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn rows_equal_the_whole_picture(kind in kind(), first in 0.0..1.0f64) {
        // libjpeg, and we, repeat chroma of one or two samples a row, which the library spreads.
        prop_assume!(kind.size.0 > 4);
        let source = kind.encoded();
        let structure = structure::read(&source, MAX_SCANS).unwrap();
        let whole = match kind.channels() {
            4 => decode_inks(&source, &structure).unwrap(),
            _ => decode_with_jpeg_decoder(&source, &structure).unwrap(),
        };
        let first = (first * f64::from(kind.size.1)) as u32;
        // The library's inverse transform differs by 1, which 1.772 Cb and two roundings make 3 in blue; where chroma is
        // smaller, its triangle filters round differently, too: that is 2 in Cb, and 1 + 2 * 1.772 + 1 in blue.
        let bound = match (kind.color, kind.factor) {
            (ColorType::Luma | ColorType::Cmyk, SamplingFactor::F_1_1) | (ColorType::Luma, _) => 1,
            (_, SamplingFactor::F_1_1) => 3,
            _ => 5,
        };
        for level in Level::available() {
            let (rows, variances) = rows(level, &source, &wanted(&source, 8), first).unwrap();
            prop_assert!(variances.is_empty());
            let expected = &whole[first as usize * usize::from(kind.size.0) * kind.channels()..];
            prop_assert_eq!(rows.len(), expected.len());
            let worst = rows.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
            prop_assert!(worst <= bound, "{:?} {}", kind, worst);
        }
    }

    /// The same coefficients in another order; what scans are left out changes nothing that is shown.
    #[test]
    fn progressive_pictures_equal_sequential_ones_at_every_scale(kind in kind(), eighths in 1u32..=8) {
        let sequential = kind.encoded();
        let progressive = Kind { is_progressive: true, ..kind }.encoded();
        for level in Level::available() {
            let (expected, _) = rows(Level::Scalar, &sequential, &wanted(&sequential, eighths), 0).unwrap();
            let (found, _) = rows(level, &progressive, &wanted(&progressive, eighths), 0).unwrap();
            prop_assert_eq!(found, expected, "{:?}", level);
        }
    }

    /// Within 1 of the N × N inverse DCT of the corner of lowest frequencies in real numbers.
    #[test]
    fn reduced_pictures_are_the_inverse_dct_of_their_corners(size in (1u16..60, 1u16..60), eighths in 1u32..=8) {
        let kind = Kind { size, factor: SamplingFactor::F_1_1, restart: 0, color: ColorType::Luma, is_progressive: false };
        let source = kind.encoded();
        let structure = structure::read(&source, MAX_SCANS).unwrap();
        let (expected, variances) = formula(&structure, eighths as usize);
        let (found, found_variances) = rows(Level::best(), &source, &wanted(&source, eighths), 0).unwrap();
        prop_assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert!((f64::from(*found) - expected.clamp(0.0, 255.0)).abs() <= 1.0, "{} {}", found, expected);
        }
        match eighths {
            // Estimated.
            1 => for (&found, &exact) in found_variances.iter().zip(&variances) {
                let (found, exact) = (f64::from(found), f64::from(exact));
                prop_assert!((exact / 2.5 - 2.0..exact * 2.5 + 2.0).contains(&found), "{} for {}", found, exact);
            }
            8 => {}
            _ => prop_assert_eq!(found_variances, variances),
        }
    }

    #[test]
    fn a_region_is_that_of_the_whole_picture(
        kind in kind(),
        eighths in 1u32..=8,
        region in (0.0..1.0f64, 0.0..1.0f64, 0.0..1.0f64, 0.0..1.0f64),
    ) {
        let source = kind.encoded();
        let whole = wanted(&source, eighths);
        let size = whole.region.size;
        let part = |from: f64, share: f64, side: u32| {
            let first = (from * f64::from(side)) as u32;
            (first, 1 + (share * f64::from(side - first - 1)) as u32)
        };
        let ((x, width), (y, height)) = (part(region.0, region.2, size.width), part(region.1, region.3, size.height));
        let some = Wanted { region: Rect { x, y, size: Size::new(width, height) }, ..whole };
        let (Pixels::Rows(mut all), Pixels::Rows(mut some_rows)) = (
            decode(Level::best(), &source, &whole).unwrap().pixels,
            decode(Level::best(), &source, &some).unwrap().pixels,
        ) else { panic!("left to a library") };
        let channels = all.layout().channels();
        let shown = |from: u32, to: u32| (from * eighths / 8, (to * eighths).div_ceil(8));
        let (left, right) = shown(x, x + width);
        let (top, bottom) = shown(y, y + height);
        for row in top..bottom {
            let bytes = left as usize * channels..right as usize * channels;
            let (expected, found) = (all.row(row), some_rows.row(row));
            prop_assert_eq!(&found.samples[bytes.clone()], &expected.samples[bytes]);
            let variance = |row: crate::pipeline::codec::Row| row.variance.map(|all| all[left as usize..right as usize].to_vec());
            prop_assert_eq!(variance(found), variance(expected));
        }
        prop_assert_eq!(some_rows.finish(), Ok(()));
    }

    /// Whatever happens to a file: it is taken if and only if the walk through all its codes takes it.
    #[test]
    fn damage_is_found_whatever_is_shown(
        kind in kind(),
        eighths in 1u32..=8,
        at in 0.0..1.0f64,
        flip in 1u8..,
        cuts in any::<bool>(),
    ) {
        let mut source = kind.encoded();
        let wanted = wanted(&source, eighths);
        let scan = source.windows(2).position(|marker| marker == [0xFF, 0xDA]).unwrap() + 14;
        let at = scan + (at * (source.len() - scan) as f64) as usize;
        if cuts {
            source.truncate(at);
        } else {
            source[at] ^= flip;
        }
        let walked = structure::read(&source, MAX_SCANS).and_then(|structure| entropy::check(&structure));
        for level in Level::available() {
            let found = rows(level, &source, &wanted, 0);
            prop_assert_eq!(found.is_ok(), walked.is_ok(), "{:?} {:?}", found.err(), walked);
        }
    }
}

/// The samples and variances of a gray picture, from the coefficients that the walk finds.
fn formula(structure: &Structure, side: usize) -> (Vec<f64>, Vec<u16>) {
    let size = structure.frame.size();
    let table = structure.quantisation(&structure.frame.components[0]).unwrap();
    let scan = &structure.scans[0];
    let mut bits = entropy::Bits::new(scan.data);
    let (columns, rows) = (size.width.div_ceil(8) as usize, size.height.div_ceil(8) as usize);
    let [width, height] = [size.width, size.height].map(|full| (full as usize * side).div_ceil(8));
    let (mut samples, mut variances) = (vec![0.0; width * height], vec![0; width * height]);
    let mut mean = 0;
    for index in 0..columns * rows {
        let mut corner = vec![0.0; side * side];
        let mut energy = 0.0;
        entropy::sequential_block(&mut bits, &scan.components[0], |position, value| {
            let value = if position == 0 {
                mean += value;
                mean
            } else {
                value
            };
            let dequantised = f64::from(value) * f64::from(table[position]);
            let natural = usize::from(structure::NATURAL[position]);
            match (natural % 8, natural / 8) {
                (x, y) if x < side && y < side => corner[y * side + x] = dequantised,
                _ => energy += dequantised * dequantised,
            }
        })
        .unwrap();
        let basis = |at: usize, frequency: usize| {
            let scale = if frequency == 0 { 0.5f64.sqrt() } else { 1.0 };
            let angle = (2 * at + 1) as f64 * frequency as f64 * std::f64::consts::PI / (2 * side) as f64;
            scale * angle.cos() * (2.0 / side as f64).sqrt()
        };
        for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y, x))) {
            let (left, top) = (index % columns * side + x, index / columns * side + y);
            if left < width && top < height {
                let term = |at: usize| corner[at] * basis(x, at % side) * basis(y, at / side);
                samples[top * width + left] = (0..side * side).map(term).sum::<f64>() * side as f64 / 8.0 + 128.0;
                variances[top * width + left] = (energy / 64.0).floor().min(16_383.0) as u16;
            }
        }
    }
    (samples, variances)
}

#[test]
fn gray_answers_are_the_luma_of_the_picture() {
    let kind = Kind {
        size: (61, 47),
        factor: SamplingFactor::F_2_2,
        restart: 2,
        color: ColorType::Rgb,
        is_progressive: false,
    };
    for is_progressive in [false, true] {
        let source = Kind { is_progressive, ..kind }.encoded();
        for eighths in 1..=8 {
            let gray = Wanted { is_gray: true, ..wanted(&source, eighths) };
            let decoded = decode(Level::best(), &source, &gray).unwrap();
            assert_eq!(decoded.pixels.layout(), Layout::Gray);
            let (luma, _) = rows(Level::best(), &source, &gray, 0).unwrap();
            let (rgb, _) = rows(Level::best(), &source, &wanted(&source, eighths), 0).unwrap();
            for (luma, &[r, g, b]) in luma.iter().zip(rgb.as_chunks().0) {
                let of_rgb = 0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b);
                // Colours that are held within 0 to 255 lose some of their luma.
                if [r, g, b].iter().all(|channel| (1..255).contains(channel)) {
                    assert!((f64::from(*luma) - of_rgb).abs() < 1.5, "{luma} {of_rgb}");
                }
            }
        }
    }
}
