//! Stamps: watermarks and texts, made into one thing before the pixels of a picture are touched, and drawn on it.

pub mod blend;
mod mark;
mod text;

use crate::plan::{Placement, visible};
use crate::raster::{Layout, Pixmap, Point, Rect, Size};
use crate::simd::Level;

pub use mark::mark;
pub use text::{Lines, Outlines};

/// A bitmap that is laid over pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Of the bitmap.
    size: Size,
    /// Rows of sRGB with premultiplied alpha.
    pixels: Vec<[u8; 4]>,
    /// The box that its place is told by.
    frame: Size,
    /// Where the bitmap lies in the box; it may stand out of it.
    offset: Point,
    is_gray: bool,
}

impl Stamp {
    /// A bitmap of `size` at `offset` of its `frame`.
    /// # Panics
    /// If the pixels are not as many as the size says.
    #[must_use]
    pub fn new(size: Size, pixels: Vec<[u8; 4]>, frame: Size, offset: Point) -> Self {
        assert_eq!(pixels.len() as u64, size.pixels(), "{size}");
        let is_gray = pixels.iter().all(|&[r, g, b, _]| r == g && g == b);
        Self { size, pixels, frame, offset, is_gray }
    }

    /// One that draws nothing.
    #[must_use]
    pub const fn empty() -> Self {
        let (size, offset) = (Size::new(0, 0), Point { x: 0, y: 0 });
        Self { size, pixels: Vec::new(), frame: size, offset, is_gray: true }
    }

    /// What it takes in memory.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.size.pixels() * 4
    }

    /// The pixels of a row from a column on.
    fn row(&self, row: u32, columns: std::ops::Range<u32>) -> &[[u8; 4]] {
        let start = row as usize * self.size.width as usize;
        &self.pixels[start + columns.start as usize..start + columns.end as usize]
    }
}

/// The picture with what a stamp needs: three channels where that has colour.
pub(super) fn prepare(image: Pixmap, stamp: &Stamp) -> Pixmap {
    match image.layout() {
        Layout::Gray if !stamp.is_gray => {
            let bytes = image.bytes().iter().flat_map(|&gray| [gray; 3]).collect();
            Pixmap::new(image.size(), Layout::Rgb, bytes)
        }
        Layout::GrayAlpha if !stamp.is_gray => {
            let pixels = image.bytes().as_chunks().0;
            let bytes = pixels.iter().flat_map(|&[gray, alpha]| [gray, gray, gray, alpha]).collect();
            Pixmap::new(image.size(), Layout::Rgba, bytes)
        }
        _ => image,
    }
}

/// Draws a stamp where it belongs; what lies outside of the picture is not seen.
pub fn draw(level: Level, image: &mut Pixmap, stamp: &Stamp, placement: &Placement) {
    if stamp.size.is_empty() {
        return;
    }
    let picture = image.size();
    let corner = placement.corner(picture, stamp.frame);
    if placement.is_tiled {
        return draw_tiles(level, image, stamp, placement, corner);
    }
    let corner = Point { x: corner.x + stamp.offset.x, y: corner.y + stamp.offset.y };
    let Some(Rect { x, y, size }) = visible(picture, stamp.size, corner) else {
        return;
    };
    let on_picture = |seen: u32, corner: i64| usize::try_from(i64::from(seen) + corner).expect("it is visible");
    let first = on_picture(x, corner.x);
    for row in 0..size.height {
        let ink = stamp.row(y + row, x..x + size.width);
        over(level, ink, image, on_picture(y + row, corner.y), first);
    }
}

/// Draws a stamp again and again, row by row: each of its rows is laid out over the width of the picture once.
fn draw_tiles(level: Level, image: &mut Pixmap, stamp: &Stamp, placement: &Placement, corner: Point) {
    let picture = image.size();
    let width = i64::from(picture.width);
    let step_x = i64::from(stamp.frame.width) + i64::from(placement.x);
    let step_y = i64::from(stamp.frame.height) + i64::from(placement.y);
    let first_x = (corner.x + stamp.offset.x).rem_euclid(step_x) - step_x;
    let mut ink = vec![[0; 4]; picture.width as usize];
    for row in 0..stamp.size.height {
        let first_y = (corner.y + stamp.offset.y + i64::from(row)).rem_euclid(step_y);
        if first_y >= i64::from(picture.height) {
            continue;
        }
        ink.fill([0; 4]);
        let pixels = stamp.row(row, 0..stamp.size.width);
        let mut x = first_x;
        while x < width {
            let start = x.max(0);
            let end = width.min(x + i64::from(stamp.size.width));
            if start < end {
                ink[start as usize..end as usize].copy_from_slice(&pixels[(start - x) as usize..(end - x) as usize]);
            }
            x += step_x;
        }
        for y in (first_y..i64::from(picture.height)).step_by(step_y as usize) {
            over(level, &ink, image, y as usize, 0);
        }
    }
}

/// Lays ink over a row of the picture, from a column on.
fn over(level: Level, ink: &[[u8; 4]], image: &mut Pixmap, row: usize, column: usize) {
    let (layout, width) = (image.layout(), image.size().width as usize);
    let channels = layout.channels();
    let start = (row * width + column) * channels;
    let bytes = &mut image.bytes_mut()[start..start + ink.len() * channels];
    match layout {
        Layout::Gray => blend::over_gray(level, ink, bytes),
        Layout::GrayAlpha => blend::over_gray_alpha(level, ink, bytes.as_chunks_mut().0),
        Layout::Rgb => blend::over_rgb(level, ink, bytes.as_chunks_mut().0),
        Layout::Rgba => blend::over_rgba(level, ink, bytes.as_chunks_mut().0),
        Layout::Cmyk => unreachable!("converted to RGB while resizing"),
    }
}

#[cfg(test)]
mod tests;
