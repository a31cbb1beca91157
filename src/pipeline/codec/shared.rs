//! A source that is decoded once for several answers.

use super::{DecodeError, Decoded, Pixels, Row, Rows, Wanted, decode};
use crate::plan::Eighths;
use crate::raster::{Layout, Pixmap, Size};
use crate::simd::Level;

/// Larger pictures are decoded again for each answer.
const MAX_BYTES: u64 = 128 << 20;

/// A decoded picture in memory, of which rows can be asked for again.
#[derive(Debug)]
pub struct Shared {
    pixmap: Pixmap,
    /// One of each pixel, or none.
    variance: Vec<u16>,
    profile: Option<Vec<u8>>,
    eighths: Eighths,
}

impl Shared {
    /// Decodes what is wanted; `None` if that is too large to stand in memory.
    /// # Errors
    /// If the source is cut, damaged, or of a kind that is not read.
    pub fn decode(level: Level, source: &[u8], wanted: &Wanted) -> Result<Option<Self>, DecodeError> {
        let Decoded { pixels, profile, eighths } = decode(level, source, wanted)?;
        let mut rows = match pixels {
            Pixels::Whole(pixmap) => return Ok(Some(Self { pixmap, variance: Vec::new(), profile, eighths })),
            Pixels::Rows(rows) => rows,
        };
        let (size, layout) = (rows.size(), rows.layout());
        let n_bytes = size.pixels() * layout.channels() as u64;
        if n_bytes > MAX_BYTES {
            return Ok(None);
        }
        let (mut bytes, mut variance) = (Vec::with_capacity(n_bytes as usize), Vec::new());
        for y in 0..size.height {
            let row = rows.row(y);
            bytes.extend_from_slice(row.samples);
            variance.extend_from_slice(row.variance.unwrap_or_default());
        }
        rows.finish()?;
        Ok(Some(Self { pixmap: Pixmap::new(size, layout, bytes), variance, profile, eighths }))
    }

    /// The picture, from its first row on.
    pub fn again(&self) -> Decoded<'_> {
        Decoded { pixels: Pixels::Rows(Box::new(Again(self))), profile: self.profile.clone(), eighths: self.eighths }
    }
}

#[derive(Debug)]
struct Again<'a>(&'a Shared);

impl Rows for Again<'_> {
    fn size(&self) -> Size {
        self.0.pixmap.size()
    }

    fn layout(&self) -> Layout {
        self.0.pixmap.layout()
    }

    fn row(&mut self, y: u32) -> Row<'_> {
        let width = self.size().width as usize;
        let row = |stride: usize| y as usize * stride..(y as usize + 1) * stride;
        let variance = self.0.variance.get(row(width));
        Row { samples: &self.0.pixmap.bytes()[row(width * self.layout().channels())], variance }
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        Ok(())
    }
}
