//! Crop and resize: Lanczos-3 in linear light with premultiplied alpha, in bands, so that no more than the
//! decoded source and some megabytes are held at once.
//!
//! Source rows become linear light a chunk at a time, and gather in a window; as soon as the window holds the
//! rows that an output band reaches, the band is made. A pass whose axis keeps its size is skipped. The axis that
//! shrinks goes first, so that nothing in between is larger than both the source and the answer.

mod convolve;

use super::codec::{Pixels, RowDecoder};
use super::color::Conversion;
use crate::raster::{Pixmap, Rect, Size, View};
use convolve::{Convolver, Span};

/// Lanczos-3 reaches three destination pixels to each side, or source pixels when enlarging.
const REACH: f64 = 3.0;
/// Linearised source rows that are held at once; every chunk computes its horizontal weights anew.
const CHUNK_BYTES: usize = 2 << 20;
/// About what one output band may add to the window.
const BAND_BYTES: usize = 4 << 20;
/// Above this vertical reduction, rows are averaged in groups first: the window would grow with the reduction.
const MAX_SHRINK: f64 = 32.0;

/// A region of a decoded source, read row by row in ascending order.
#[derive(Debug)]
pub enum Source<'a, 'file> {
    /// In memory.
    View(View<'a>),
    /// Decoded as rows are asked for.
    Rows(&'a mut RowDecoder<'file>, Rect),
}

impl<'a, 'file> Source<'a, 'file> {
    /// A region of a source.
    /// # Panics
    /// If the region is empty or does not lie in the source.
    #[must_use]
    pub fn new(pixels: &'a mut Pixels<'file>, region: Rect) -> Self {
        assert!(region.lies_in(pixels.size()), "region {region:?} outside {}", pixels.size());
        match pixels {
            Pixels::Whole(pixmap) => Self::View(pixmap.view(region)),
            Pixels::Rows(rows) => Self::Rows(rows, region),
        }
    }

    const fn size(&self) -> Size {
        match self {
            Self::View(view) => view.size(),
            Self::Rows(_, region) => region.size,
        }
    }

    fn row(&mut self, row: u32) -> &[u8] {
        match self {
            Self::View(view) => view.row(row),
            Self::Rows(rows, region) => {
                let channels = rows.layout().channels();
                let (first, n_pixels) = (region.x as usize, region.size.width as usize);
                &rows.row(region.y + row)[first * channels..(first + n_pixels) * channels]
            }
        }
    }
}

/// Brings a region of a source to `size` in 8-bit sRGB; `None` keeps its pixels as they are.
#[must_use]
pub fn run(source: Source, size: Option<Size>, conversion: &Conversion) -> Pixmap {
    match size {
        Some(size) => Resampler::new(source, size, conversion).run(),
        None => copy(source, conversion),
    }
}

fn copy(mut source: Source, conversion: &Conversion) -> Pixmap {
    let layout = conversion.output_layout();
    let size = source.size();
    let mut bytes = Vec::with_capacity(size.pixels() as usize * layout.channels());
    let mut linear = Vec::new();
    for row in 0..size.height {
        if conversion.is_identity() {
            bytes.extend_from_slice(source.row(row));
        } else {
            linear.clear();
            conversion.linearise(source.row(row), &mut linear);
            conversion.delinearise(&linear, &mut bytes);
        }
    }
    Pixmap::new(size, layout, bytes)
}

struct Resampler<'a, 'file> {
    source: Source<'a, 'file>,
    size: Size,
    conversion: &'a Conversion,
    convolver: Convolver,
    /// Whether rows enter the window at the output's width.
    is_horizontal_first: bool,
    /// Rows that the source has for the vertical pass: its own, or fewer that are means of equally large groups.
    n_rows: u32,
    /// Those of them that are still needed, in linear light, from `first_row` on.
    window: Vec<u16>,
    first_row: u32,
}

impl<'a, 'file> Resampler<'a, 'file> {
    fn new(source: Source<'a, 'file>, size: Size, conversion: &'a Conversion) -> Self {
        let from = source.size();
        let shrink = f64::from(from.height) / f64::from(size.height);
        Self {
            source,
            size,
            conversion,
            convolver: Convolver::new(conversion.output_layout().channels()),
            is_horizontal_first: size.width <= from.width || size.height >= from.height,
            // Leaves a reduction of 16 to the real filter.
            n_rows: if shrink > MAX_SHRINK { size.height * (MAX_SHRINK / 2.0) as u32 } else { from.height },
            window: Vec::new(),
            first_row: 0,
        }
    }

    fn run(mut self) -> Pixmap {
        let channels = self.convolver.channels();
        let band_rows = (BAND_BYTES as f64 / (self.window_stride() as f64 * 2.0 * self.shrink().max(1.0))) as u32;
        let band_rows = band_rows.clamp(1, 256);
        let mut bytes = Vec::with_capacity(self.size.pixels() as usize * channels);
        let mut top = 0;
        while top < self.size.height {
            let rows = band_rows.min(self.size.height - top);
            self.fill_window(top, rows);
            let band = self.make_band(top, rows);
            self.conversion.delinearise(&band, &mut bytes);
            top += rows;
        }
        Pixmap::new(self.size, self.conversion.output_layout(), bytes)
    }

    /// Pixels per row of the window.
    fn window_width(&self) -> u32 {
        if self.is_horizontal_first { self.size.width } else { self.source.size().width }
    }

    fn window_stride(&self) -> usize {
        self.window_width() as usize * self.convolver.channels()
    }

    /// Rows of the vertical pass per output row.
    fn shrink(&self) -> f64 {
        f64::from(self.n_rows) / f64::from(self.size.height)
    }

    /// The first source row of a row of the vertical pass.
    fn source_row(&self, row: u32) -> u32 {
        (u64::from(row) * u64::from(self.source.size().height) / u64::from(self.n_rows)) as u32
    }

    /// Brings all rows that the output rows from `top` reach into the window, and drops those before.
    fn fill_window(&mut self, top: u32, rows: u32) {
        let shrink = self.shrink();
        let reach = REACH * shrink.max(1.0) + 1.0;
        let first = (f64::from(top) * shrink - reach).floor().max(0.0) as u32;
        let last = (f64::from(top + rows) * shrink + reach).ceil().min(f64::from(self.n_rows)) as u32;
        let stride = self.window_stride();
        let chunk_bytes_per_row = self.source.size().width as usize * self.convolver.channels() * 2;
        let chunk_rows = ((CHUNK_BYTES / chunk_bytes_per_row).max(8) as u32 / self.source_row(1)).max(1);
        self.window.drain(..(first - self.first_row) as usize * stride);
        self.first_row = first;
        let mut next = first + (self.window.len() / stride) as u32;
        while next < last {
            let rows = chunk_rows.min(last - next);
            self.append_rows(next, rows);
            next += rows;
        }
    }

    /// Makes rows of the vertical pass and appends them to the window.
    fn append_rows(&mut self, first: u32, rows: u32) {
        let from = self.source.size();
        let source_rows = self.source_row(first)..self.source_row(first + rows);
        let mut chunk = Vec::with_capacity(source_rows.len() * from.width as usize * self.convolver.channels());
        for row in source_rows.clone() {
            self.conversion.linearise(self.source.row(row), &mut chunk);
        }
        if self.is_horizontal_first {
            chunk = self.convolver.horizontally(&chunk, from.width, self.size.width);
        }
        if self.n_rows == from.height {
            self.window.append(&mut chunk);
            return;
        }
        let stride = self.window_stride();
        for row in first..first + rows {
            let group = [row, row + 1].map(|row| (self.source_row(row) - source_rows.start) as usize * stride);
            append_mean(&chunk[group[0]..group[1]], stride, &mut self.window);
        }
    }

    /// Linear output rows from `top` on.
    fn make_band(&mut self, top: u32, rows: u32) -> Vec<u16> {
        let shrink = self.shrink();
        let start = f64::from(top) * shrink - f64::from(self.first_row);
        let span = Span { start, length: f64::from(rows) * shrink };
        let width = self.window_width();
        let band = self.convolver.vertically(&self.window, width, span, rows);
        if self.is_horizontal_first { band } else { self.convolver.horizontally(&band, width, self.size.width) }
    }
}

/// Appends the mean of some rows of `stride` samples.
fn append_mean(rows: &[u16], stride: usize, means: &mut Vec<u16>) {
    let mut sums = vec![0u64; stride];
    for row in rows.chunks_exact(stride) {
        for (sum, &sample) in sums.iter_mut().zip(row) {
            *sum += u64::from(sample);
        }
    }
    let count = (rows.len() / stride) as u64;
    means.extend(sums.iter().map(|sum| ((sum + count / 2) / count) as u16));
}

#[cfg(test)]
mod tests;
