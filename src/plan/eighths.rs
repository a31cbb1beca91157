//! At which scale a JPEG is decoded: its blocks can be made any number of eighths of their size at a fraction of the
//! work.
//!
//! The rule: the smallest scale at which the reduced picture is still so many times larger than the answer, in both
//! directions, as the quality of the answer asks for. It comes from SSIMULACRA2 (2 points are visible) of six photographs
//! against a linear-light Lanczos-3 reference from the full picture, before encoding and after it at quality 80:
//!
//! | larger by | before | after, less than decoded whole |
//! |---|---|---|
//! | 1.3 to 1.4 | 86 to 92 | 0.9 to 1.8 |
//! | 1.6 to 2.3 | 91 to 96 | 0 to 0.8 |
//! | 2.4 to 3.4 | 92 to 97 | 0 to 0.2 |
//! | 1.7 to 2.9, at 1/8 | 92 to 95 | 0.7 to 1.3 |
//! | 5 and more | 95 to 98 | 0 |
//!
//! At 5/8 to 7/8 a block takes as long as at 8/8, so these are left out.

use super::JpegQuality;
use crate::raster::{Format, Rect, Size};

/// The scales that are used.
const SCALES: [u32; 5] = [1, 2, 3, 4, 8];

/// A scale of N/8, N from 1 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Eighths(u32);

impl Eighths {
    /// The whole size.
    pub const ALL: Self = Self(8);
    /// The smallest scale.
    pub const MIN: Self = Self(1);

    /// A scale of N/8; `None` if N is not 1 to 8.
    #[must_use]
    pub const fn new(eighths: u32) -> Option<Self> {
        match eighths {
            1..=8 => Some(Self(eighths)),
            _ => None,
        }
    }

    /// The scale at which a region of a source is decoded to be resampled to a size.
    #[must_use]
    pub fn of(format: Format, region: Size, resize: Option<Size>, quality: JpegQuality) -> Self {
        let (Format::Jpeg, Some(size)) = (format, resize) else { return Self::ALL };
        let margin = match quality.get() {
            ..85 => 1.6,
            85..95 => 3.0,
            95.. => return Self::ALL,
        };
        let needed = |from: u32, to: u32| f64::from(to) * margin * 8.0 / f64::from(from);
        let eighths = needed(region.width, size.width).max(needed(region.height, size.height));
        SCALES.into_iter().find(|&scale| f64::from(scale) >= eighths).map_or(Self::ALL, Self)
    }

    /// N.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Where a region begins and what it measures at this scale, in pixels of the reduced picture and parts of them:
    /// x, y, width and height.
    #[must_use]
    pub fn scaled(self, region: Rect) -> [f64; 4] {
        [region.x, region.y, region.size.width, region.size.height]
            .map(|side| f64::from(side) * f64::from(self.0) / 8.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: (u32, u32), to: (u32, u32), quality: i64, eighths: u32) {
        let quality = JpegQuality::try_from(quality).unwrap();
        let found = Eighths::of(Format::Jpeg, Size::new(from.0, from.1), Some(Size::new(to.0, to.1)), quality);
        assert_eq!(found.get(), eighths, "{from:?} to {to:?} at {quality:?}");
    }

    #[test]
    fn the_smallest_scale_that_leaves_enough_is_taken() {
        check((4032, 3024), (512, 384), 80, 2);
        check((4032, 3024), (200, 150), 80, 1);
        check((2725, 2225), (512, 418), 80, 3);
        check((1024, 768), (512, 384), 80, 8);
        check((100, 100), (200, 200), 80, 8);
        // The side that shrinks less decides.
        check((8000, 1000), (400, 400), 80, 8);
        check((4032, 3024), (512, 384), 90, 4);
        check((4032, 3024), (512, 384), 95, 8);
    }

    #[test]
    fn other_formats_and_pixels_that_stay_are_decoded_whole() {
        let (large, small, quality) = (Size::new(4000, 4000), Size::new(40, 40), JpegQuality::default());
        assert_eq!(Eighths::of(Format::Png, large, Some(small), quality), Eighths::ALL);
        assert_eq!(Eighths::of(Format::Jpeg, large, None, quality), Eighths::ALL);
    }
}
