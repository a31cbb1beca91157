//! Where a smaller box lies in a larger one: regions of a source, stamps on a picture.

use crate::raster::{Point, Rect, Size};
use crate::transform::{Along, Anchor, Gravity};

/// The top left corner of `inner` in `outer`; negative where `inner` is the larger one.
/// The centre is `(outer - inner) / 2`, rounded towards zero.
#[must_use]
pub fn place(outer: Size, inner: Size, gravity: Gravity) -> Point {
    let right = i64::from(outer.width) - i64::from(inner.width);
    let bottom = i64::from(outer.height) - i64::from(inner.height);
    let along = |along, room: i64| match along {
        Along::Start => 0,
        Along::Middle => room / 2,
        Along::End => room,
    };
    let (x, y) = (along(gravity.horizontally(), right), along(gravity.vertically(), bottom));
    Point { x, y }
}

/// Where a stamp lies on a picture, all numbers scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The edge or corner that offsets start from.
    pub gravity: Gravity,
    /// Pixels inward from the left or right edge; the gap between columns of tiles.
    pub x: u32,
    /// Pixels inward from the upper or lower edge; the gap between rows of tiles.
    pub y: u32,
    /// Whether the stamp is repeated over the whole picture.
    pub is_tiled: bool,
}

impl Placement {
    /// An anchor at a scale.
    #[must_use]
    pub const fn new(anchor: &Anchor, scale: u32, is_tiled: bool) -> Self {
        let (x, y) = (anchor.x.saturating_mul(scale), anchor.y.saturating_mul(scale));
        Self { gravity: anchor.gravity, x, y, is_tiled }
    }

    /// The top left corner of a stamp's frame; of tiles, that of the one which gravity names. May lie outside.
    #[must_use]
    pub fn corner(&self, picture: Size, frame: Size) -> Point {
        let Point { x, y } = place(picture, frame, self.gravity);
        if self.is_tiled {
            return Point { x, y };
        }
        let inward = |along, pixels: u32| match along {
            Along::Start => i64::from(pixels),
            Along::Middle => 0,
            Along::End => -i64::from(pixels),
        };
        let x = x + inward(self.gravity.horizontally(), self.x);
        let y = y + inward(self.gravity.vertically(), self.y);
        Point { x, y }
    }
}

/// The part of a box of the size `inner` at `corner` that lies in `outer`, seen from the box; `None` if there is none.
#[must_use]
pub fn visible(outer: Size, inner: Size, corner: Point) -> Option<Rect> {
    let (x, width) = visible_span(outer.width, inner.width, corner.x)?;
    let (y, height) = visible_span(outer.height, inner.height, corner.y)?;
    Some(Rect { x, y, size: Size::new(width, height) })
}

fn visible_span(outer: u32, inner: u32, start: i64) -> Option<(u32, u32)> {
    let first = start.checked_neg()?.max(0);
    let end = i64::from(outer).checked_sub(start)?.min(i64::from(inner));
    let (first, end) = (u32::try_from(first).ok()?, u32::try_from(end).ok()?);
    (first < end).then(|| (first, end - first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nine_gravities_of_an_odd_remainder() {
        let (outer, inner) = (Size::new(10, 8), Size::new(3, 5));
        let expected = [(3, 0), (7, 0), (7, 1), (7, 3), (3, 3), (0, 3), (0, 1), (0, 0), (3, 1)];
        for (gravity, (x, y)) in Gravity::ALL.into_iter().zip(expected) {
            assert_eq!(place(outer, inner, gravity), Point { x, y }, "{gravity}");
        }
        // Larger than the outer box: rounded towards zero, so -7 / 2 is -3.
        assert_eq!(place(inner, outer, Gravity::Center), Point { x: -3, y: -1 });
    }

    #[test]
    fn offsets_move_inward() {
        let (picture, frame) = (Size::new(100, 80), Size::new(10, 20));
        let expected = [(45, 3), (85, 3), (85, 30), (85, 57), (45, 57), (5, 57), (5, 30), (5, 3), (45, 30)];
        for (gravity, (x, y)) in Gravity::ALL.into_iter().zip(expected) {
            let placement = Placement { gravity, x: 5, y: 3, is_tiled: false };
            assert_eq!(placement.corner(picture, frame), Point { x, y }, "{gravity}");
        }
        let tiled = Placement { gravity: Gravity::SouthEast, x: 5, y: 3, is_tiled: true };
        assert_eq!(tiled.corner(picture, frame), Point { x: 90, y: 60 });
    }

    proptest! {
        #[test]
        fn what_is_visible_lies_in_both(
            outer in (1u32..300, 1u32..300),
            inner in (1u32..300, 1u32..300),
            corner in (-400i64..400, -400i64..400),
        ) {
            let (outer, inner) = (Size::new(outer.0, outer.1), Size::new(inner.0, inner.1));
            let corner = Point { x: corner.0, y: corner.1 };
            let is_seen = |x: i64, y: i64| {
                let (x, y) = (x + corner.x, y + corner.y);
                x >= 0 && y >= 0 && x < i64::from(outer.width) && y < i64::from(outer.height)
            };
            let mut n_seen = 0;
            for y in 0..inner.height {
                n_seen += (0..inner.width).filter(|&x| is_seen(x.into(), y.into())).count() as u64;
            }
            match visible(outer, inner, corner) {
                None => prop_assert_eq!(n_seen, 0),
                Some(part) => {
                    prop_assert!(part.lies_in(inner), "{:?}", part);
                    prop_assert!(is_seen(part.x.into(), part.y.into()));
                    prop_assert_eq!(part.size.pixels(), n_seen);
                }
            }
        }
    }
}
