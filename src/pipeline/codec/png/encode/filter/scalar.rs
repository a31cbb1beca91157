//! Byte by byte; defines the result. Written so that the compiler makes vectors of it, as wide as its caller allows.

/// Tries every filter on a row, and leaves the best in `scanline`.
#[inline(always)]
pub(super) fn adaptive(bytes_per_pixel: usize, row: &[u8], above: &[u8], candidate: &mut [u8], scanline: &mut [u8]) {
    let mut least = u64::MAX;
    for filter in [4, 1, 2, 3, 0] {
        candidate[0] = filter;
        let sum = filtered(filter, bytes_per_pixel, row, above, &mut candidate[1..]);
        if sum < least {
            least = sum;
            scanline.copy_from_slice(candidate);
        }
    }
}

/// Filters a row; gives the sum of what came of it.
#[inline(always)]
fn filtered(filter: u8, bytes_per_pixel: usize, row: &[u8], above: &[u8], out: &mut [u8]) -> u64 {
    let (first, rest) = out.split_at_mut(bytes_per_pixel);
    let none = [0; 8];
    let none = &none[..bytes_per_pixel];
    // The first pixel has nothing to its left.
    predicted(filter, &row[..bytes_per_pixel], none, &above[..bytes_per_pixel], none, first);
    let (left, corner) = (&row[..row.len() - bytes_per_pixel], &above[..row.len() - bytes_per_pixel]);
    predicted(filter, &row[bytes_per_pixel..], left, &above[bytes_per_pixel..], corner, rest);
    // Sums of 32 bits hold a chunk of any length below 33 million.
    out.chunks(1 << 16)
        .map(|chunk| u64::from(chunk.iter().map(|&byte| u32::from((byte as i8).unsigned_abs())).sum::<u32>()))
        .sum()
}

#[inline(always)]
fn predicted(filter: u8, row: &[u8], left: &[u8], above: &[u8], corner: &[u8], out: &mut [u8]) {
    match filter {
        0 => out.copy_from_slice(row),
        1 => each(row, left, above, corner, out, |left, _, _| left),
        2 => each(row, left, above, corner, out, |_, above, _| above),
        3 => each(row, left, above, corner, out, |left, above, _| ((u16::from(left) + u16::from(above)) / 2) as u8),
        _ => each(row, left, above, corner, out, paeth),
    }
}

#[inline(always)]
fn each(row: &[u8], left: &[u8], above: &[u8], corner: &[u8], out: &mut [u8], predict: impl Fn(u8, u8, u8) -> u8) {
    let length = out.len();
    let (row, left, above, corner) = (&row[..length], &left[..length], &above[..length], &corner[..length]);
    for index in 0..length {
        out[index] = row[index].wrapping_sub(predict(left[index], above[index], corner[index]));
    }
}

/// Paeth's rule in 8 bits: where the corner lies outside of the other two, its own distance is the greatest, else it is
/// the difference of the others' (as in Versari's fpnge).
#[inline(always)]
fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let to_left = above.abs_diff(corner);
    let to_above = left.abs_diff(corner);
    let to_corner = if (left < corner) == (corner < above) { to_left.abs_diff(to_above) } else { 255 };
    if to_left <= to_above && to_left <= to_corner {
        left
    } else if to_above <= to_corner {
        above
    } else {
        corner
    }
}
