//! The eight orientations of EXIF 2.32 §4.6.4 (tag 0x0112) and how coordinates follow them.

use super::{Rect, Size};

/// How a stored picture has to be turned or mirrored for display.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Orientation {
    /// Rows become columns: mirror along the main diagonal, before the flips.
    transpose: bool,
    /// Mirror left and right of the displayed picture.
    flip_x: bool,
    /// Mirror top and bottom of the displayed picture.
    flip_y: bool,
}

impl Orientation {
    /// Stored as displayed.
    pub const NORMAL: Self = Self { transpose: false, flip_x: false, flip_y: false };

    /// The orientation of an EXIF value; `None` outside 1 to 8.
    #[must_use]
    pub const fn from_exif(value: u32) -> Option<Self> {
        let (transpose, flip_x, flip_y) = match value {
            1 => (false, false, false),
            2 => (false, true, false),
            3 => (false, true, true),
            4 => (false, false, true),
            5 => (true, false, false),
            6 => (true, true, false),
            7 => (true, true, true),
            8 => (true, false, true),
            _ => return None,
        };
        Some(Self { transpose, flip_x, flip_y })
    }

    /// Whether width and height change places.
    #[must_use]
    pub const fn swaps_sides(self) -> bool {
        self.transpose
    }

    /// Whether display equals storage.
    #[must_use]
    pub const fn is_normal(self) -> bool {
        !self.transpose && !self.flip_x && !self.flip_y
    }

    /// The stored pixel that is displayed at column `x`, row `y` of a displayed picture of the size `displayed`.
    #[must_use]
    pub const fn stored_pixel(self, x: u32, y: u32, displayed: Size) -> (u32, u32) {
        let x = if self.flip_x { displayed.width - 1 - x } else { x };
        let y = if self.flip_y { displayed.height - 1 - y } else { y };
        if self.transpose { (y, x) } else { (x, y) }
    }

    /// The stored region that a displayed region shows.
    /// # Panics
    /// If `region` does not lie in `displayed`.
    #[must_use]
    pub fn stored_region(self, region: Rect, displayed: Size) -> Rect {
        assert!(region.lies_in(displayed), "region {region:?} outside {displayed}");
        let Size { width, height } = region.size;
        let x = if self.flip_x { displayed.width - region.x - width } else { region.x };
        let y = if self.flip_y { displayed.height - region.y - height } else { region.y };
        if self.transpose {
            Rect { x: y, y: x, size: region.size.transposed() }
        } else {
            Rect { x, y, size: region.size }
        }
    }

    /// The stored size of a picture with this displayed size.
    #[must_use]
    pub const fn stored_size(self, displayed: Size) -> Size {
        if self.transpose { displayed.transposed() } else { displayed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_follow_the_exif_table() {
        // Where the displayed top left pixel is stored in a 4x3 picture (EXIF 2.32: the visual meaning of row 0, column
        // 0).
        let stored = Size::new(4, 3);
        let corners = [(0, 0), (3, 0), (3, 2), (0, 2), (0, 0), (0, 2), (3, 2), (3, 0)];
        for (value, corner) in (1..=8).zip(corners) {
            let orientation = Orientation::from_exif(value).unwrap();
            let displayed = orientation.stored_size(stored);
            assert_eq!(orientation.stored_pixel(0, 0, displayed), corner, "orientation {value}");
        }
        assert_eq!(Orientation::from_exif(0), None);
        assert_eq!(Orientation::from_exif(9), None);
    }

    #[test]
    fn a_region_is_stored_where_its_pixels_are() {
        for value in 1..=8 {
            let orientation = Orientation::from_exif(value).unwrap();
            let displayed = Size::new(7, 5);
            let region = Rect { x: 1, y: 2, size: Size::new(3, 2) };
            let stored = orientation.stored_region(region, displayed);
            assert!(stored.lies_in(orientation.stored_size(displayed)));
            for y in region.y..region.y + region.size.height {
                for x in region.x..region.x + region.size.width {
                    let (sx, sy) = orientation.stored_pixel(x, y, displayed);
                    assert!((stored.x..stored.x + stored.size.width).contains(&sx), "orientation {value}");
                    assert!((stored.y..stored.y + stored.size.height).contains(&sy), "orientation {value}");
                }
            }
        }
    }
}
