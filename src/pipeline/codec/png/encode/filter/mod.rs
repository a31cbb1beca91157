//! Filtering scanlines (PNG specification §9.2), each by the filter whose bytes are smallest in sum, taken as numbers
//! with a sign (§12.8).

#[cfg(target_arch = "x86_64")]
mod avx2;
mod scalar;

use std::ops::Range;

use crate::simd::Level;

/// Filters some rows: a filter's number and `stride` bytes for each.
/// # Panics
/// If a row is shorter than a pixel, or there are not as many.
pub(in crate::pipeline) fn adaptive(
    level: Level,
    bytes_per_pixel: usize,
    stride: usize,
    rows: &[u8],
    range: Range<usize>,
) -> Vec<u8> {
    let nothing = vec![0; stride];
    let mut scanlines = vec![0; range.len() * (stride + 1)];
    let mut candidate = vec![0; stride + 1];
    for (scanline, y) in scanlines.chunks_exact_mut(stride + 1).zip(range) {
        let row = &rows[y * stride..(y + 1) * stride];
        let above = y.checked_sub(1).map_or(&nothing[..], |above| &rows[above * stride..y * stride]);
        match level {
            Level::Scalar => scalar::adaptive(bytes_per_pixel, row, above, &mut candidate, scanline),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(cpu) => avx2::adaptive(cpu, bytes_per_pixel, row, above, &mut candidate, scanline),
        }
    }
    scanlines
}

#[cfg(test)]
mod tests;
