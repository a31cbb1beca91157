//! One scanline after the other; defines the result.

use std::ops::Range;

use super::Filter;

/// Undoes the filter of one scanline: `above` is the row above it.
pub(super) fn row(bytes_per_pixel: usize, filter: Filter, filtered: &[u8], above: &[u8], row: &mut [u8]) {
    match (filter, bytes_per_pixel) {
        (Filter::None, _) => row.copy_from_slice(filtered),
        (Filter::Up, _) => {
            for ((byte, &filtered), &above) in row.iter_mut().zip(filtered).zip(above) {
                *byte = filtered.wrapping_add(above);
            }
        }
        (_, 1) => serial::<1>(filter, filtered, above, row),
        (_, 2) => serial::<2>(filter, filtered, above, row),
        (_, 3) => serial::<3>(filter, filtered, above, row),
        (_, 4) => serial::<4>(filter, filtered, above, row),
        (_, 6) => serial::<6>(filter, filtered, above, row),
        (_, 8) => serial::<8>(filter, filtered, above, row),
        _ => panic!("no pixel is of {bytes_per_pixel} bytes"),
    }
}

fn serial<const N: usize>(filter: Filter, filtered: &[u8], above: &[u8], row: &mut [u8]) {
    let pixels = 0..row.len() / N;
    span::<N>(filter, filtered, above, row, pixels);
}

/// Undoes the filter of some pixels; those to the left of them are done.
pub(super) fn span<const N: usize>(
    filter: Filter,
    filtered: &[u8],
    above: &[u8],
    row: &mut [u8],
    pixels: Range<usize>,
) {
    match filter {
        Filter::None => walk::<N>(filtered, above, row, pixels, |_, _, _| 0),
        Filter::Sub => walk::<N>(filtered, above, row, pixels, |left, _, _| left),
        Filter::Up => walk::<N>(filtered, above, row, pixels, |_, above, _| above),
        Filter::Average => walk::<N>(filtered, above, row, pixels, average),
        Filter::Paeth => walk::<N>(filtered, above, row, pixels, paeth),
    }
}

#[inline(always)]
fn walk<const N: usize>(
    filtered: &[u8],
    above: &[u8],
    row: &mut [u8],
    pixels: Range<usize>,
    predict: impl Fn(i16, i16, i16) -> i16,
) {
    let (filtered, above) = (filtered.as_chunks::<N>().0, above.as_chunks::<N>().0);
    let row = row.as_chunks_mut::<N>().0;
    let (mut left, mut corner) = match pixels.start.checked_sub(1) {
        Some(before) => (row[before].map(i16::from), above[before].map(i16::from)),
        None => ([0; N], [0; N]),
    };
    let range = pixels.clone();
    for ((pixel, filtered), above) in row[range].iter_mut().zip(&filtered[pixels.clone()]).zip(&above[pixels]) {
        let above = above.map(i16::from);
        let mut predicted = [0; N];
        for channel in 0..N {
            predicted[channel] = predict(left[channel], above[channel], corner[channel]);
        }
        for channel in 0..N {
            left[channel] = (predicted[channel] + i16::from(filtered[channel])) & 0xFF;
        }
        *pixel = left.map(|sample| sample as u8);
        corner = above;
    }
}

const fn average(left: i16, above: i16, _: i16) -> i16 {
    (left + above) / 2
}

/// Whichever of the three is nearest to `left + above - corner`; the first of them in this order, if several are.
///
/// With `t = 3 · corner - left - above` the rule of the specification becomes two comparisons (as stb_image has it).
fn paeth(left: i16, above: i16, corner: i16) -> i16 {
    let threshold = corner * 3 - left - above;
    let (low, high) = (left.min(above), left.max(above));
    let nearest = if high <= threshold { low } else { corner };
    if threshold <= low { high } else { nearest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paeth_is_that_of_the_specification() {
        for left in 0..=255i16 {
            for above in 0..=255 {
                for corner in 0..=255 {
                    let [a, b, c] = [left, above, corner];
                    let distances = [a, b, c].map(|value| (a + b - c - value).abs());
                    let expected = if distances[0] <= distances[1] && distances[0] <= distances[2] {
                        left
                    } else if distances[1] <= distances[2] {
                        above
                    } else {
                        corner
                    };
                    assert_eq!(paeth(left, above, corner), expected, "{left} {above} {corner}");
                }
            }
        }
    }
}
