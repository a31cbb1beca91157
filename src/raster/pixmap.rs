//! Pixels in memory: an owned `Pixmap` and its copy-free `View`.

use super::{Rect, Size};

/// What the bytes of one pixel mean, in order; alpha is straight unless a function says premultiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One byte of gray.
    Gray,
    /// Gray, alpha.
    GrayAlpha,
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue, alpha.
    Rgba,
    /// Cyan, magenta, yellow, black; 0 is no ink.
    Cmyk,
}

impl Layout {
    /// Bytes per pixel.
    #[must_use]
    pub const fn channels(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::GrayAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }

    /// Whether the last channel is alpha.
    #[must_use]
    pub const fn has_alpha(self) -> bool {
        matches!(self, Self::GrayAlpha | Self::Rgba)
    }
}

/// A picture of 8 bits a channel, rows one after the other without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixmap {
    size: Size,
    layout: Layout,
    bytes: Vec<u8>,
}

impl Pixmap {
    /// Takes over `bytes` as a picture.
    /// # Panics
    /// If their number is not width × height × channels.
    #[must_use]
    pub fn new(size: Size, layout: Layout, bytes: Vec<u8>) -> Self {
        let expected = size.pixels() * layout.channels() as u64;
        assert_eq!(bytes.len() as u64, expected, "{size} {layout:?}");
        Self { size, layout, bytes }
    }

    /// Width and height.
    #[must_use]
    pub const fn size(&self) -> Size {
        self.size
    }

    /// Meaning of the bytes.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// All bytes, row by row.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All bytes, row by row, to be written to.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Gives the bytes away, row by row.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// A region of the picture, without copying.
    /// # Panics
    /// If the region is empty or does not lie in the picture.
    #[must_use]
    pub fn view(&self, region: Rect) -> View<'_> {
        assert!(region.lies_in(self.size), "region {region:?} outside {}", self.size);
        View { pixmap: self, region }
    }
}

/// A region of a `Pixmap`.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pixmap: &'a Pixmap,
    region: Rect,
}

impl<'a> View<'a> {
    /// Width and height of the region.
    #[must_use]
    pub const fn size(&self) -> Size {
        self.region.size
    }

    /// Meaning of the bytes.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.pixmap.layout
    }

    /// The bytes of one row of the region.
    /// # Panics
    /// If `row` is not below the height.
    #[must_use]
    pub fn row(&self, row: u32) -> &'a [u8] {
        assert!(row < self.region.size.height, "row {row} of {}", self.region.size.height);
        let channels = self.pixmap.layout.channels();
        let stride = self.pixmap.size.width as usize * channels;
        let start = (self.region.y + row) as usize * stride + self.region.x as usize * channels;
        &self.pixmap.bytes[start..start + self.region.size.width as usize * channels]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_shows_its_region() {
        let pixmap = Pixmap::new(Size::new(4, 3), Layout::Rgb, (0..36).collect());
        let view = pixmap.view(Rect { x: 1, y: 1, size: Size::new(2, 2) });
        assert_eq!(view.row(0), &[15, 16, 17, 18, 19, 20]);
        assert_eq!(view.row(1), &[27, 28, 29, 30, 31, 32]);
    }

    #[test]
    #[should_panic(expected = "outside")]
    fn a_view_cannot_leave_the_picture() {
        let pixmap = Pixmap::new(Size::new(4, 3), Layout::Gray, vec![0; 12]);
        let _ = pixmap.view(Rect { x: 3, y: 0, size: Size::new(2, 1) });
    }
}
