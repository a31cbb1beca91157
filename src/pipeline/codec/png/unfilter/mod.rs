//! Undoing the filters of scanlines (PNG specification §9.2).
//!
//! Sub, Average and Paeth wait for the pixel to the left: one scanline alone is bound by latency. The vector kernel works
//! on four scanlines together, each some pixels behind the one above, so that four such chains run in one register.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod scalar;

use crate::simd::Level;

/// How the bytes of a scanline were predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    None,
    Sub,
    Up,
    Average,
    Paeth,
}

impl Filter {
    /// The filter of a scanline's first byte.
    pub(super) const fn of(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::None),
            1 => Some(Self::Sub),
            2 => Some(Self::Up),
            3 => Some(Self::Average),
            4 => Some(Self::Paeth),
            _ => None,
        }
    }

    /// Whether a pixel waits for the one to its left.
    #[cfg(target_arch = "x86_64")]
    const fn is_serial(self) -> bool {
        matches!(self, Self::Sub | Self::Average | Self::Paeth)
    }
}

/// Undoes the filters of scanlines. `scanlines` holds a filter's number and `stride` bytes for each; `rows` holds the row
/// above them, zeros if there is none, and room for them: `stride` bytes each.
/// # Errors
/// With the number of a filter that there is not.
/// # Panics
/// If the lengths do not fit, or a pixel is of more than eight bytes.
pub(in crate::pipeline) fn unfilter(
    level: Level,
    bytes_per_pixel: usize,
    stride: usize,
    scanlines: &[u8],
    rows: &mut [u8],
) -> Result<(), u8> {
    let n_rows = scanlines.len() / (stride + 1);
    assert!(scanlines.len() == n_rows * (stride + 1) && rows.len() == (n_rows + 1) * stride);
    let mut next = 0;
    while next < n_rows {
        let scanlines = &scanlines[next * (stride + 1)..];
        let rows = &mut rows[next * stride..];
        next += match level {
            Level::Scalar => one(bytes_per_pixel, stride, scanlines, rows)?,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(cpu) => match together(stride, bytes_per_pixel, scanlines)? {
                Some(filters) => {
                    let (scanlines, rows) = (&scanlines[..4 * (stride + 1)], &mut rows[..5 * stride]);
                    avx2::four(cpu, bytes_per_pixel, filters, scanlines, rows);
                    4
                }
                None => one(bytes_per_pixel, stride, scanlines, rows)?,
            },
        };
    }
    Ok(())
}

/// The first scanline alone.
fn one(bytes_per_pixel: usize, stride: usize, scanlines: &[u8], rows: &mut [u8]) -> Result<usize, u8> {
    let filter = Filter::of(scanlines[0]).ok_or(scanlines[0])?;
    let (above, row) = rows[..2 * stride].split_at_mut(stride);
    scalar::row(bytes_per_pixel, filter, &scanlines[1..=stride], above, row);
    Ok(1)
}

/// The filters of the next four scanlines if it pays to undo them together: a chain alone is as fast, and those that do
/// not wait are faster each for itself.
#[cfg(target_arch = "x86_64")]
fn together(stride: usize, bytes_per_pixel: usize, scanlines: &[u8]) -> Result<Option<[Filter; 4]>, u8> {
    if scanlines.len() < 4 * (stride + 1) || !matches!(bytes_per_pixel, 3 | 4) || stride / bytes_per_pixel < 32 {
        return Ok(None);
    }
    let mut filters = [Filter::None; 4];
    for (filter, scanline) in filters.iter_mut().zip(scanlines.chunks_exact(stride + 1)) {
        *filter = Filter::of(scanline[0]).ok_or(scanline[0])?;
    }
    let n_serial = filters.iter().filter(|filter| filter.is_serial()).count();
    let is_worth = n_serial >= 2 && !filters.contains(&Filter::Average);
    Ok(is_worth.then_some(filters))
}

#[cfg(test)]
mod tests;
