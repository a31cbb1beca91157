//! The rows of a picture that is not interlaced, decoded as they are asked for: no more than some rows are in memory.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::expand::Expansion;
use super::scanlines::Scanlines;
use super::unfilter::unfilter;
use super::{DecodeError, Header};
use crate::pipeline::codec::{Row, Rows};
use crate::raster::{Layout, Size};
use crate::simd::Level;

/// Scanlines are undone together up to about this size, which leaves the cache to others.
const BAND_BYTES: usize = 64 << 10;
/// As many are undone at once.
const TOGETHER: usize = 4;

/// Gives rows in ascending order; any may be left out. Damage is found while rows are given: those are black then, and
/// `finish` tells of it.
pub(super) struct PngRows<'a> {
    level: Level,
    size: Size,
    layout: Layout,
    expansion: Expansion,
    scanlines: Scanlines<'a>,
    bytes_per_pixel: usize,
    /// Bytes of a scanline behind its filter's number.
    stride: usize,
    /// The row above, and then the rows from `first_row` to `end_row`, unfiltered.
    band: Vec<u8>,
    first_row: u32,
    end_row: u32,
    /// The row that was given last, if it had to be expanded.
    samples: Vec<u8>,
    damage: Option<DecodeError>,
}

impl std::fmt::Debug for PngRows<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter
            .debug_struct("PngRows")
            .field("size", &self.size)
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

impl<'a> PngRows<'a> {
    pub(super) fn new(level: Level, header: Header<'a>) -> Self {
        let Header { size, layout, expansion, bits_per_pixel, chunks, .. } = header;
        let stride = stride(size.width, bits_per_pixel);
        let scanlines = Scanlines::new(chunks, band_rows(stride) * (stride + 1));
        let samples = match expansion {
            Expansion::Nothing => Vec::new(),
            _ => vec![0; size.width as usize * layout.channels()],
        };
        Self {
            level,
            size,
            layout,
            expansion,
            scanlines,
            bytes_per_pixel: bits_per_pixel.div_ceil(8),
            stride,
            band: vec![0; (band_rows(stride) + 1) * stride],
            first_row: 0,
            end_row: 0,
            samples,
            damage: None,
        }
    }

    /// What decoding takes in memory, whatever the height.
    pub(super) fn memory(width: u32, bits_per_pixel: usize, channels: usize) -> usize {
        let stride = stride(width, bits_per_pixel);
        let rows = band_rows(stride);
        Scanlines::memory(rows * (stride + 1)) + (rows + 1) * stride + width as usize * channels
    }

    /// Unfilters the next rows.
    fn advance(&mut self) -> Result<(), DecodeError> {
        let n_done = (self.end_row - self.first_row) as usize;
        self.band.copy_within(n_done * self.stride..(n_done + 1) * self.stride, 0);
        let n_rows = band_rows(self.stride).min((self.size.height - self.end_row) as usize);
        (self.first_row, self.end_row) = (self.end_row, self.end_row + n_rows as u32);
        let scanlines = self.scanlines.next(n_rows * (self.stride + 1))?;
        let rows = &mut self.band[..(n_rows + 1) * self.stride];
        unfilter(self.level, self.bytes_per_pixel, self.stride, scanlines, rows)
            .map_err(|filter| DecodeError::damaged(&format!("there is no filter {filter}")))
    }

    /// Runs a step that may fail or panic, unless one has failed before.
    fn attempt(&mut self, step: impl FnOnce(&mut Self) -> Result<(), DecodeError>) {
        if self.damage.is_none() {
            let outcome = catch_unwind(AssertUnwindSafe(|| step(self)));
            let outcome = outcome.unwrap_or_else(|_| Err(DecodeError::senseless()));
            if let Err(damage) = outcome {
                self.damage = Some(damage);
                self.band.fill(0);
            }
        }
    }
}

impl Rows for PngRows<'_> {
    fn size(&self) -> Size {
        self.size
    }

    fn layout(&self) -> Layout {
        self.layout
    }

    fn row(&mut self, y: u32) -> Row<'_> {
        assert!(self.first_row <= y && y < self.size.height, "row {y} of {}", self.size.height);
        while self.end_row <= y && self.damage.is_none() {
            self.attempt(Self::advance);
        }
        // Whatever row of the band: after damage all of them are black.
        let index = y.min(self.end_row - 1) - self.first_row;
        let start = (index as usize + 1) * self.stride;
        let row = &self.band[start..start + self.stride];
        let samples = match self.expansion {
            Expansion::Nothing => row,
            ref expansion => {
                expansion.row(row, self.size.width as usize, &mut self.samples);
                &self.samples
            }
        };
        Row { samples, variance: None }
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        while self.end_row < self.size.height && self.damage.is_none() {
            self.attempt(Self::advance);
        }
        self.attempt(|rows| rows.scanlines.finish());
        self.damage.clone().map_or(Ok(()), Err)
    }
}

/// Bytes of a row as it is stored.
const fn stride(width: u32, bits_per_pixel: usize) -> usize {
    (width as usize * bits_per_pixel).div_ceil(8)
}

/// Rows that are unfiltered at a time.
fn band_rows(stride: usize) -> usize {
    (BAND_BYTES / stride).max(TOGETHER).next_multiple_of(TOGETHER).min(256)
}
