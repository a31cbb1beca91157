//! The decoder that gives rows against the two libraries that decode whole pictures.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use proptest::prelude::*;

use super::*;

fn encoded(width: u16, height: u16, factor: SamplingFactor, restart: u16, color: ColorType) -> Vec<u8> {
    let channels = if color == ColorType::Luma { 1 } else { 3 };
    let sample = |index: usize| {
        let (pixel, channel) = (index / channels, index % channels);
        let (x, y) = (pixel % usize::from(width), pixel / usize::from(width));
        (x * 5 + y * (3 + channel * 2) + (x * y) % 23) as u8
    };
    let pixels: Vec<u8> = (0..usize::from(width) * usize::from(height) * channels).map(sample).collect();
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 90);
    encoder.set_sampling_factor(factor);
    encoder.set_restart_interval(restart);
    encoder.encode(&pixels, width, height, color).unwrap();
    bytes
}

/// All rows from `first` on, one after the other.
fn rows_of(structure: &Structure, first: u32) -> Vec<u8> {
    let mut decoder = RowDecoder::new(structure).expect("a sequential picture of one scan");
    (first..decoder.size().height).flat_map(|y| decoder.row(y).to_vec()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn rows_equal_the_whole_picture(
        width in 1u16..80,
        height in 1u16..80,
        factor in 0..5usize,
        restart in 0u16..4,
        first in 0.0..1.0f64,
    ) {
        let factors = [SamplingFactor::F_1_1, SamplingFactor::F_2_1, SamplingFactor::F_1_2, SamplingFactor::F_2_2];
        // The libraries' inverse transforms differ by 1, which 1.772 Cb and two roundings make 3 in blue; where chroma is
        // smaller, their triangle filters round differently, too: that is 2 in Cb, and 1 + 2 * 1.772 + 1 in blue.
        let (factor, color, bound) = match factors.get(factor) {
            Some(&SamplingFactor::F_1_1) => (SamplingFactor::F_1_1, ColorType::Rgb, 3),
            Some(&factor) => (factor, ColorType::Rgb, 5),
            None => (SamplingFactor::F_1_1, ColorType::Luma, 1),
        };
        let source = encoded(width, height, factor, restart, color);
        let structure = structure::read(&source, MAX_SCANS).unwrap();
        entropy::check(&structure).unwrap();
        let whole = decode_with_jpeg_decoder(&source, &structure).unwrap();
        let first = (first * f64::from(height)) as u32;
        let rows = rows_of(&structure, first);
        let stride = whole.len() / usize::from(height);
        let expected = &whole[first as usize * stride..];
        prop_assert_eq!(rows.len(), expected.len());
        let worst = rows.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
        prop_assert!(worst <= bound, "{}", worst);
    }
}

#[test]
fn other_files_are_left_to_the_libraries() {
    let mut progressive = Vec::new();
    let mut encoder = Encoder::new(&mut progressive, 90);
    encoder.set_progressive(true);
    encoder.encode(&[128; 16 * 16 * 3], 16, 16, ColorType::Rgb).unwrap();
    let wide = encoded(32, 32, SamplingFactor::F_4_1, 0, ColorType::Rgb);
    for source in [progressive, wide] {
        let structure = structure::read(&source, MAX_SCANS).unwrap();
        assert!(RowDecoder::new(&structure).is_none());
    }
}
