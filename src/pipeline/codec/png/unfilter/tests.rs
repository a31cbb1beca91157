//! Every level gives what the plain reference gives, and that is what the specification says.

use proptest::prelude::*;

use super::{Filter, unfilter};
use crate::simd::Level;

/// The specification's own words, byte by byte.
fn expected(bytes_per_pixel: usize, stride: usize, scanlines: &[u8], above: &[u8]) -> Vec<u8> {
    let mut rows = above.to_vec();
    for scanline in scanlines.chunks(stride + 1) {
        let start = rows.len();
        for x in 0..stride {
            let left = if x < bytes_per_pixel { 0 } else { rows[start + x - bytes_per_pixel] };
            let above = rows[start - stride + x];
            let corner = if x < bytes_per_pixel { 0 } else { rows[start - stride + x - bytes_per_pixel] };
            let [a, b, c] = [left, above, corner].map(i32::from);
            let predicted = match Filter::of(scanline[0]).unwrap() {
                Filter::None => 0,
                Filter::Sub => left,
                Filter::Up => above,
                Filter::Average => ((a + b) / 2) as u8,
                Filter::Paeth => {
                    let [to_a, to_b, to_c] = [a, b, c].map(|value| (a + b - c - value).abs());
                    if to_a <= to_b && to_a <= to_c {
                        left
                    } else if to_b <= to_c {
                        above
                    } else {
                        corner
                    }
                }
            };
            rows.push(scanline[1 + x].wrapping_add(predicted));
        }
    }
    rows
}

fn check(bytes_per_pixel: usize, width: usize, n_rows: usize, filters: &[u8], bytes: &[u8]) {
    let stride = width * bytes_per_pixel;
    let byte = |index: usize| bytes[index % bytes.len()];
    let above: Vec<u8> = (0..stride).map(|x| byte(x * 7 + 3)).collect();
    let mut scanlines = Vec::new();
    for row in 0..n_rows {
        scanlines.push(filters[row % filters.len()]);
        scanlines.extend((0..stride).map(|x| byte(row * stride + x)));
    }
    let expected = expected(bytes_per_pixel, stride, &scanlines, &above);
    for level in Level::available() {
        let mut rows = above.clone();
        rows.resize((n_rows + 1) * stride, 0xA5);
        unfilter(level, bytes_per_pixel, stride, &scanlines, &mut rows).unwrap();
        assert!(rows == expected, "{level:?}, {bytes_per_pixel} bytes a pixel, {width} × {n_rows}, {filters:?}");
    }
}

proptest! {
    #[test]
    fn every_level_undoes_every_filter(
        (size, filters) in ((1usize..140, 1usize..14), prop::collection::vec(0u8..5, 1..9)),
        bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 1..5000),
        bytes_per_pixel in prop::sample::select(vec![1usize, 2, 3, 4, 6, 8]),
    ) {
        check(bytes_per_pixel, size.0, size.1, &filters, &bytes);
    }

    #[test]
    fn four_scanlines_together_are_as_each_alone(
        width in 30usize..80,
        filters in prop::collection::vec(prop::sample::select(vec![0u8, 1, 2, 4, 4, 4]), 1..9),
        bytes in prop::collection::vec(any::<u8>(), 1000..3000),
        bytes_per_pixel in 3usize..5,
    ) {
        check(bytes_per_pixel, width, 9, &filters, &bytes);
    }
}

#[test]
fn an_unknown_filter_is_told() {
    for level in Level::available() {
        let mut scanlines = vec![0; 5 * 161];
        scanlines[3 * 161] = 5;
        assert_eq!(unfilter(level, 4, 160, &scanlines, &mut [0; 6 * 160]), Err(5), "{level:?}");
    }
}
