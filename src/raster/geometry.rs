//! Sizes, points and rectangles on the pixel grid; x grows to the right, y downwards.

use std::fmt;

/// Width and height of a picture in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// Pixels per row.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
}

impl Size {
    /// A size of `width` × `height` pixels.
    #[must_use]
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Number of pixels; cannot overflow.
    #[must_use]
    pub const fn pixels(self) -> u64 {
        self.width as u64 * self.height as u64
    }

    /// The same picture after a quarter turn.
    #[must_use]
    pub const fn transposed(self) -> Self {
        Self::new(self.height, self.width)
    }

    /// Whether there is no pixel at all.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// A place relative to the top left corner of a picture; may lie outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Pixels to the right of the left edge.
    pub x: i64,
    /// Rows below the upper edge.
    pub y: i64,
}

/// A region of a picture: its top left corner and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rect {
    /// Left column.
    pub x: u32,
    /// Top row.
    pub y: u32,
    /// Number of columns and rows.
    pub size: Size,
}

impl Rect {
    /// All of a picture of this size.
    #[must_use]
    pub const fn whole(size: Size) -> Self {
        Self { x: 0, y: 0, size }
    }

    /// The smallest region that holds this one and another.
    #[must_use]
    pub fn around(&self, other: Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let right = (self.x + self.size.width).max(other.x + other.size.width);
        let bottom = (self.y + self.size.height).max(other.y + other.size.height);
        Self { x, y, size: Size::new(right - x, bottom - y) }
    }

    /// Whether the region has pixels and all of them belong to a picture of the size `outer`.
    #[must_use]
    pub const fn lies_in(&self, outer: Size) -> bool {
        !self.size.is_empty()
            && self.x as u64 + self.size.width as u64 <= outer.width as u64
            && self.y as u64 + self.size.height as u64 <= outer.height as u64
    }
}
