//! The size of a watermark on a picture, and how much of it has to be made.

use super::{Eighths, Encode, JpegQuality, Placement, Plan, visible};
use crate::raster::{Header, Point, Rect, Size};
use crate::transform::Watermark;

/// Lanczos-3 reaches three pixels of what it enlarges to each side.
const REACH: u32 = 3;

/// How a watermark becomes a stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkPlan {
    /// How its image is cut and scaled.
    pub image: Plan,
    /// The size of all of it, which its place is told by.
    pub frame: Size,
    /// Where the part that is made lies in `frame`.
    pub offset: Point,
}

/// A watermark is scaled as finely as the best answers that it may be drawn on need.
const DETAIL: JpegQuality = JpegQuality(94);

impl MarkPlan {
    /// Plans a watermark for a picture. `enlarge` is the scale where its image is not made for it. `None` if nothing of
    /// it lies on the picture.
    ///
    /// Of what is larger than the picture, only what is seen is made: a stamp is bounded by the picture.
    #[must_use]
    pub fn new(mark: &Watermark, place: &Placement, header: &Header, picture: Size, enlarge: u32) -> Option<Self> {
        let displayed = header.displayed();
        let frame = match mark.share {
            Some(share) => fitted(share.of(picture.width), displayed, picture),
            None => Size::new(displayed.width.saturating_mul(enlarge), displayed.height.saturating_mul(enlarge)),
        };
        let corner = place.corner(picture, frame);
        let part = visible(picture, frame, corner)?;
        let is_own_size = mark.share.is_none();
        let (x, width) =
            shown(is_own_size && frame.width > picture.width, enlarge, displayed.width, part.x, part.size.width);
        let (y, height) =
            shown(is_own_size && frame.height > picture.height, enlarge, displayed.height, part.y, part.size.height);
        let crop = Rect { x, y, size: Size::new(width, height) };
        let size = if is_own_size { Size::new(width * enlarge, height * enlarge) } else { frame };
        let orientation = header.orientation;
        let (stored_crop, stored_size) = (orientation.stored_region(crop, displayed), orientation.stored_size(size));
        let resize = (size != crop.size).then_some(stored_size);
        let image = Plan {
            crop: stored_crop,
            resize,
            eighths: Eighths::of(header.format, stored_crop.size, resize, DETAIL),
            orientation,
            grayscale: false,
            stamps: Vec::new(),
            encode: Encode { format: header.format, quality: JpegQuality::default(), progressive: false },
        };
        let offset = Point { x: i64::from(x) * i64::from(enlarge), y: i64::from(y) * i64::from(enlarge) };
        Some(Self { image, frame, offset })
    }
}

/// The size with this width and the shape of `from`, no higher than the picture.
fn fitted(width: u32, from: Size, picture: Size) -> Size {
    let by = |numerator: u32, denominator: u32, side: u32| {
        let exact = f64::from(side) * f64::from(numerator) / f64::from(denominator);
        (exact.round() as u32).max(1)
    };
    let height = by(width, from.width, from.height);
    if height <= picture.height {
        Size::new(width, height)
    } else {
        Size::new(by(picture.height, from.height, from.width).min(picture.width), picture.height)
    }
}

/// The pixels of one side, as first and count, that show `length` enlarged pixels from `first` on; all if not cut.
fn shown(is_cut: bool, enlarge: u32, side: u32, first: u32, length: u32) -> (u32, u32) {
    if !is_cut {
        return (0, side);
    }
    let start = (first / enlarge).saturating_sub(REACH);
    let end = (first.saturating_add(length).div_ceil(enlarge).saturating_add(REACH)).min(side);
    (start, end - start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::{Format, Orientation};
    use crate::transform::{Anchor, Gravity, Opacity, Share, SourcePath};
    use proptest::prelude::*;

    fn watermark(gravity: Gravity, share: Option<f64>) -> Watermark {
        Watermark {
            source: SourcePath::new("mark.png").unwrap(),
            anchor: Anchor { gravity, x: 0, y: 0 },
            opacity: Opacity::default(),
            share: share.map(|share| Share::try_from(share).unwrap()),
            is_tiled: false,
        }
    }

    fn plan(share: Option<f64>, source: (u32, u32), picture: (u32, u32), enlarge: u32) -> MarkPlan {
        let mark = watermark(Gravity::SouthEast, share);
        let header = Header {
            format: Format::Png,
            stored: Size::new(source.0, source.1),
            orientation: Orientation::NORMAL,
            decoded_bytes: 0,
            streamed_bytes: 0,
        };
        let place = Placement::new(&mark.anchor, enlarge, false);
        MarkPlan::new(&mark, &place, &header, Size::new(picture.0, picture.1), enlarge).unwrap()
    }

    #[test]
    fn a_mark_keeps_its_size_or_is_enlarged_or_takes_its_share() {
        let same = plan(None, (40, 20), (50, 30), 1);
        assert_eq!((same.frame, same.image.resize, same.image.crop.size), (Size::new(40, 20), None, Size::new(40, 20)));
        let doubled = plan(None, (40, 20), (300, 300), 2);
        assert_eq!((doubled.frame, doubled.image.resize), (Size::new(80, 40), Some(Size::new(80, 40))));
        let quarter = plan(Some(0.25), (40, 20), (400, 300), 2);
        assert_eq!((quarter.frame, quarter.image.resize), (Size::new(100, 50), Some(Size::new(100, 50))));
        // Its share of the width would be 400 high.
        let high = plan(Some(0.5), (10, 40), (200, 100), 1);
        assert_eq!(high.frame, Size::new(25, 100));
    }

    #[test]
    fn of_a_large_mark_only_what_is_seen_is_made() {
        let cut = plan(None, (40, 20), (30, 30), 1);
        assert_eq!((cut.frame, cut.image.resize, cut.offset), (Size::new(40, 20), None, Point { x: 7, y: 0 }));
        assert_eq!(cut.image.crop, Rect { x: 7, y: 0, size: Size::new(33, 20) });
        // The lower right 30 × 30 of 4000 × 2000.
        let part = plan(None, (1000, 500), (30, 30), 4);
        assert_eq!(part.frame, Size::new(4000, 2000));
        assert_eq!(part.image.crop, Rect { x: 989, y: 489, size: Size::new(11, 11) });
        assert_eq!((part.image.resize, part.offset), (Some(Size::new(44, 44)), Point { x: 3956, y: 1956 }));
    }

    proptest! {
        #[test]
        fn what_is_made_covers_what_is_seen(
            gravity in proptest::sample::select(Gravity::ALL.to_vec()),
            source in (1u32..3000, 1u32..3000),
            picture in (1u32..500, 1u32..500),
            enlarge in 1u32..101,
            offset in (0u32..600, 0u32..600),
            share in proptest::option::of(0.001f64..=1.0),
        ) {
            let mut mark = watermark(gravity, share);
            (mark.anchor.x, mark.anchor.y) = offset;
            let stored = Size::new(source.0, source.1);
            let header = Header { format: Format::Png, stored, orientation: Orientation::NORMAL, decoded_bytes: 0, streamed_bytes: 0 };
            let picture = Size::new(picture.0, picture.1);
            let place = Placement::new(&mark.anchor, enlarge, false);
            let Some(plan) = MarkPlan::new(&mark, &place, &header, picture, enlarge) else { return Ok(()) };
            prop_assert!(plan.image.crop.lies_in(stored));
            let made = plan.image.resize.unwrap_or(plan.image.crop.size);
            let seen = visible(picture, plan.frame, place.corner(picture, plan.frame)).unwrap();
            let (x, y) = (u32::try_from(plan.offset.x).unwrap(), u32::try_from(plan.offset.y).unwrap());
            prop_assert!(x <= seen.x && y <= seen.y);
            prop_assert!(x + made.width >= seen.x + seen.size.width && y + made.height >= seen.y + seen.size.height);
            // Memory: no more than the image itself, or the picture and what the filter reaches.
            let slack = 8 * enlarge;
            prop_assert!(made.width <= picture.width + slack && made.height <= picture.height + slack);
        }
    }
}
