//! What the tables and conversions promise.

use super::*;

/// The bytes of a row after linear light and back.
fn there_and_back(level: Level, layout: Layout, row: &[u8]) -> Vec<u8> {
    let conversion = Conversion::new(None, layout);
    let (channels, width) = (layout.channels(), row.len() / layout.channels());
    let n_strips = width.div_ceil(16);
    let mut strips = vec![[[0; 16]; 2]; n_strips * channels];
    let row = Row { samples: row, variance: None };
    conversion.linearise(level, [row, row], &mut strips);
    let column = |x: usize, channel: usize| {
        let [low, high] = strips[channel * n_strips + x / 16];
        let strip: Vec<i16> = [low, high].concat();
        [strip[x % 16 * 2]; 8]
    };
    let mut columns: Vec<Column> =
        (0..width * channels).map(|index| column(index / channels, index % channels)).collect();
    let mut bytes = vec![0; row.samples.len()];
    conversion.delinearise(level, &mut columns, &mut bytes);
    bytes
}

#[test]
fn every_byte_survives_linear_light() {
    for level in Level::available() {
        for (layout, channels) in [(Layout::Gray, 1), (Layout::Rgb, 3), (Layout::GrayAlpha, 2), (Layout::Rgba, 4)] {
            let row: Vec<u8> = (0..=255u8)
                .flat_map(|value| {
                    let mut pixel = vec![value; channels];
                    if layout.has_alpha() {
                        pixel[channels - 1] = 255;
                    }
                    pixel
                })
                .collect();
            assert_eq!(there_and_back(level, layout, &row), row, "{layout:?} {level:?}");
        }
    }
}

#[test]
fn every_alpha_survives_linear_light() {
    for level in Level::available() {
        let row: Vec<u8> = (0..=255u8).flat_map(|alpha| [255, 255, 255, alpha]).collect();
        let mut expected = row.clone();
        expected[..4].fill(0);
        assert_eq!(there_and_back(level, Layout::Rgba, &row), expected, "{level:?}");
    }
}

#[test]
fn ink_without_a_profile_darkens() {
    assert_eq!(without_profile([0, 0, 0, 0]), [255; 3]);
    assert_eq!(without_profile([255, 0, 0, 0]), [0, 255, 255]);
    assert_eq!(without_profile([0, 0, 0, 255]), [0; 3]);
    assert_eq!(without_profile([128, 0, 0, 128]), [63, 127, 127]);
}
