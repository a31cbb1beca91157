//! Where a smaller box lies in a larger one.

use crate::raster::{Point, Size};
use crate::transform::Gravity;

/// The top left corner of `inner` in `outer`; negative where `inner` is the larger one.
/// The centre is `(outer - inner) / 2`, rounded towards zero.
#[must_use]
pub fn place(outer: Size, inner: Size, gravity: Gravity) -> Point {
    let right = i64::from(outer.width) - i64::from(inner.width);
    let bottom = i64::from(outer.height) - i64::from(inner.height);
    let x = match gravity {
        Gravity::NorthWest | Gravity::West | Gravity::SouthWest => 0,
        Gravity::North | Gravity::Center | Gravity::South => right / 2,
        Gravity::NorthEast | Gravity::East | Gravity::SouthEast => right,
    };
    let y = match gravity {
        Gravity::NorthWest | Gravity::North | Gravity::NorthEast => 0,
        Gravity::West | Gravity::Center | Gravity::East => bottom / 2,
        Gravity::SouthWest | Gravity::South | Gravity::SouthEast => bottom,
    };
    Point { x, y }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
