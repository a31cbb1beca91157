//! Crop and resize: Lanczos-3 in linear light with premultiplied alpha, streamed, so that no more than the source and
//! some megabytes are held at once.
//!
//! Rows of the source become linear light two at a time, in a window that holds those that the next 8 output rows are
//! made of; these are made in a vertical and a horizontal pass (`stage`), and are bytes again (`color`) before the next 8.
//! Where the width shrinks and the height grows, or the window would be large, the columns are brought to their size
//! first: nothing in between is larger than both the source and the answer.

mod input;
pub(super) mod kernel;
mod stage;
pub(super) mod weights;

use super::codec::{Pixels, Row, Rows};
use super::color::Conversion;
use crate::raster::{Layout, Pixmap, Rect, Size, View};
use crate::simd::Level;
use input::{Groups, Input};
use stage::Stage;
use weights::{Axis, REACH};

pub(super) use kernel::{Column, ROWS, Strip};
pub use weights::Span;

/// What a window of source rows may not exceed, but for the widest rows. Where the filter is to see fewer than all of
/// them, means of rows take their place.
const WINDOW_BYTES: f64 = (4 << 20) as f64;
/// Above this vertical reduction, rows are averaged in groups first: the window would grow with the reduction.
const MAX_SHRINK: f64 = 32.0;
/// However wide the rows are, the filter sees this many of them for an output row.
const MIN_SHRINK: f64 = 8.0;

/// Which part of a source is shown, and at what size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// The columns that are shown.
    pub columns: Span,
    /// The rows that are shown.
    pub rows: Span,
    /// `None` keeps pixels as they are; the spans are whole numbers then.
    pub size: Option<Size>,
}

impl Frame {
    /// A region of whole pixels.
    #[must_use]
    pub fn new(region: Rect, size: Option<Size>) -> Self {
        let span = |start: u32, length: u32| Span { start: start.into(), length: length.into() };
        Self { columns: span(region.x, region.size.width), rows: span(region.y, region.size.height), size }
    }

    /// The pixels that the frame touches, of a source of this size.
    fn touched(&self, source: Size) -> Rect {
        let (left, right) = self.columns.touched(source.width);
        let (top, bottom) = self.rows.touched(source.height);
        let touched = Rect { x: left, y: top, size: Size::new(right - left, bottom - top) };
        assert!(touched.lies_in(source), "{self:?} outside {source}");
        touched
    }
}

/// A decoded source, read row by row in ascending order.
pub enum Source<'a> {
    /// In memory.
    View(View<'a>),
    /// Decoded as rows are asked for.
    Rows(&'a mut dyn Rows),
}

impl<'a> Source<'a> {
    /// All of a source.
    #[must_use]
    pub fn new(pixels: &'a mut Pixels<'_>) -> Self {
        match pixels {
            Pixels::Whole(pixmap) => Self::View(pixmap.view(Rect::whole(pixmap.size()))),
            Pixels::Rows(rows) => Self::Rows(&mut **rows),
        }
    }

    fn size(&self) -> Size {
        match self {
            Self::View(view) => view.size(),
            Self::Rows(rows) => rows.size(),
        }
    }

    fn layout(&self) -> Layout {
        match self {
            Self::View(view) => view.layout(),
            Self::Rows(rows) => rows.layout(),
        }
    }

    fn row(&mut self, y: u32) -> Row<'_> {
        match self {
            Self::View(view) => Row { samples: view.row(y), variance: None },
            Self::Rows(rows) => rows.row(y),
        }
    }
}

/// Brings a part of a source to its size in 8-bit sRGB.
/// # Panics
/// If the frame does not lie in the source.
#[must_use]
pub fn run(level: Level, source: Source, frame: &Frame, conversion: &Conversion) -> Pixmap {
    let touched = frame.touched(source.size());
    match frame.size {
        None if conversion.is_identity() => copy(source, touched),
        None => resized(level, source, touched, frame, touched.size, conversion),
        Some(size) => resized(level, source, touched, frame, size, conversion),
    }
}

fn copy(mut source: Source, region: Rect) -> Pixmap {
    let layout = source.layout();
    let (start, length) = (region.x as usize * layout.channels(), region.size.width as usize * layout.channels());
    let mut bytes = Vec::with_capacity(length * region.size.height as usize);
    for y in region.y..region.y + region.size.height {
        bytes.extend_from_slice(&source.row(y).samples[start..start + length]);
    }
    Pixmap::new(region.size, layout, bytes)
}

fn resized(level: Level, source: Source, touched: Rect, frame: &Frame, size: Size, conversion: &Conversion) -> Pixmap {
    let layout = conversion.output_layout();
    let channels = layout.channels();
    let from = touched.size;
    let shrink = frame.rows.length / f64::from(size.height);
    // Rows that 8 output rows reach, times how much they shrink.
    let window_bytes = |width: u32| f64::from(width) * (channels * 2) as f64 * (REACH * 2.0 + ROWS as f64);
    let is_horizontal_first =
        size.width < from.width && (size.height > from.height || window_bytes(from.width) * shrink > WINDOW_BYTES);

    let width = if is_horizontal_first { size.width } else { from.width };
    let max_shrink = (WINDOW_BYTES / window_bytes(width)).clamp(MIN_SHRINK, MAX_SHRINK);
    let groups = Groups::new(touched, shrink, max_shrink);
    let columns = Span { start: frame.columns.start - f64::from(touched.x), ..frame.columns };
    let columns = Axis::new(columns, from.width, size.width);
    let rows = Axis::new(groups.span(frame.rows), groups.count, size.height);
    let mut input = Input::new(source, touched, groups, conversion, level);

    let mut bytes = vec![0; size.pixels() as usize * channels];
    let bands = bytes.chunks_mut(size.width as usize * channels * ROWS);
    let bands = (0..size.height).step_by(ROWS).zip(bands);
    if is_horizontal_first {
        let mut first = Stage::new(level, channels, from.width, columns, Axis::unchanged(groups.count));
        let mut second = Stage::new(level, channels, size.width, Axis::unchanged(size.width), rows);
        let mut n_made = 0;
        for (top, band) in bands {
            while second.needs(top) {
                while first.needs(n_made) {
                    first.append(|pair, strips| input.pair(pair, strips));
                }
                second.append_columns(first.rows(n_made));
                n_made += ROWS as u32;
            }
            conversion.delinearise(level, second.rows(top), band);
        }
    } else {
        let mut stage = Stage::new(level, channels, from.width, columns, rows);
        for (top, band) in bands {
            while stage.needs(top) {
                stage.append(|pair, strips| input.pair(pair, strips));
            }
            conversion.delinearise(level, stage.rows(top), band);
        }
    }
    Pixmap::new(size, layout, bytes)
}

#[cfg(test)]
mod tests;
