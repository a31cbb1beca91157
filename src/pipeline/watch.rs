//! Tells which part of the work is done now, to whoever wants to know how long each takes: there are no clocks here.

use std::fmt;

use super::codec::{DecodeError, Row, Rows};
use crate::raster::{Layout, Size};

/// A part of the work on an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// From the bytes of a file to pixels.
    Decode,
    /// Crop, resize, filter, orientation.
    Resize,
    /// Watermarks and texts.
    Stamp,
    /// From pixels to the bytes of a file.
    Encode,
}

/// Is told when another part begins.
pub type Watch<'a> = dyn FnMut(Part) + 'a;

/// For those who do not want to know.
pub const fn unwatched(_: Part) {}

/// Rows that are decoded as they are asked for, in the middle of resizing.
pub(super) struct Watched<'a, 'w> {
    pub(super) rows: &'a mut dyn Rows,
    pub(super) watch: &'a mut Watch<'w>,
}

impl Rows for Watched<'_, '_> {
    fn size(&self) -> Size {
        self.rows.size()
    }

    fn layout(&self) -> Layout {
        self.rows.layout()
    }

    fn row(&mut self, y: u32) -> Row<'_> {
        (self.watch)(Part::Decode);
        let row = self.rows.row(y);
        (self.watch)(Part::Resize);
        row
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        self.rows.finish()
    }
}

impl fmt::Debug for Watched<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("rows", &self.rows).finish_non_exhaustive()
    }
}
