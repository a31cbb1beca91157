//! The four cropping modes: which region of a picture is shown, and at what size.

use std::num::NonZeroU32;

use super::place;
use crate::raster::{Rect, Size};
use crate::transform::{Cropping, Gravity, Params};

/// A region of the displayed source and the size it is brought to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// Lies in the source, and has pixels.
    pub crop: Rect,
    /// At least 1×1; equal to the size of the region where nothing is scaled.
    pub output: Size,
}

/// Frames a displayed picture of the size `source`, which must not be empty.
///
/// Comparisons and cuts are made in single precision, as the Go server made them, so that every size is its size.
/// Sides saturate at `u32::MAX`; callers refuse what is too large.
#[must_use]
pub fn frame(params: &Params, scale: u32, source: Size) -> Framing {
    let scaled = |side: Option<NonZeroU32>| side.map(|side| side.get().saturating_mul(scale));
    let whole = |output| Framing { crop: Rect::whole(source), output };
    match (params.cropping, scaled(params.width), scaled(params.height)) {
        (Cropping::KeepScale, ..) => keep_scale(params, source),
        (Cropping::All, Some(width), Some(height)) => {
            whole(if exceeds(width, height, source) { by_height(height, source) } else { by_width(width, source) })
        }
        (Cropping::Part, Some(width), Some(height)) => part(Size::new(width, height), params.gravity, source),
        (_, Some(width), Some(height)) => whole(Size::new(width, height)),
        (_, Some(width), None) => whole(by_width(width, source)),
        (_, None, Some(height)) => whole(by_height(height, source)),
        (_, None, None) => whole(source),
    }
}

/// Whether the source, brought to `width`, is higher than `height`.
fn exceeds(width: u32, height: u32, source: Size) -> bool {
    width as f32 * (source.height as f32 / source.width as f32) > height as f32
}

fn by_width(width: u32, source: Size) -> Size {
    Size::new(width, derived(source.height, f64::from(source.width) / f64::from(width)))
}

fn by_height(height: u32, source: Size) -> Size {
    Size::new(derived(source.width, f64::from(source.height) / f64::from(height)), height)
}

/// `floor(0.7 + exact)`, at least 1.
fn derived(side: u32, shrink: f64) -> u32 {
    // `as` saturates.
    ((0.7 + f64::from(side) / shrink) as u32).max(1)
}

/// The largest region of the shape of `output`, placed by gravity.
fn part(output: Size, gravity: Gravity, source: Size) -> Framing {
    let (width, height) = (output.width as f32, output.height as f32);
    let region = if exceeds(output.width, output.height, source) {
        Size::new(source.width, (source.width as f32 / width * height) as u32)
    } else {
        Size::new((source.height as f32 / height * width) as u32, source.height)
    };
    let region = Size::new(region.width.clamp(1, source.width), region.height.clamp(1, source.height));
    Framing { crop: placed(region, gravity, source), output }
}

/// A region of at most the wanted size; `@Nx` does not count here, as in the Go server.
fn keep_scale(params: &Params, source: Size) -> Framing {
    let at_most = |wanted: Option<NonZeroU32>, side: u32| wanted.map_or(side, |wanted| wanted.get().min(side));
    let region = Size::new(at_most(params.width, source.width), at_most(params.height, source.height));
    Framing { crop: placed(region, params.gravity, source), output: region }
}

fn placed(region: Size, gravity: Gravity, source: Size) -> Rect {
    let corner = place(source, region, gravity);
    let coordinate = |value: i64| u32::try_from(value).expect("the region is no larger than the source");
    Rect { x: coordinate(corner.x), y: coordinate(corner.y), size: region }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(params: &str, scale: u32, source: (u32, u32), crop: (u32, u32, u32, u32), output: (u32, u32)) {
        let framing = frame(&params.parse().unwrap(), scale, Size::new(source.0, source.1));
        let expected = Framing {
            crop: Rect { x: crop.0, y: crop.1, size: Size::new(crop.2, crop.3) },
            output: Size::new(output.0, output.1),
        };
        assert_eq!(framing, expected, "{params} @{scale}x of {source:?}");
    }

    #[test]
    fn exact_fills_the_box_or_keeps_proportions() {
        check("w_20,h_30", 1, (100, 50), (0, 0, 100, 50), (20, 30));
        check("w_20,h_30", 3, (100, 50), (0, 0, 100, 50), (60, 90));
        check("w_20", 1, (100, 50), (0, 0, 100, 50), (20, 10));
        check("h_20", 2, (100, 50), (0, 0, 100, 50), (80, 40));
        // floor(0.7 + 33.33) and floor(0.7 + 0.1), which would be an empty picture.
        check("w_100", 1, (300, 100), (0, 0, 300, 100), (100, 34));
        check("w_1", 1, (1000, 100), (0, 0, 1000, 100), (1, 1));
    }

    #[test]
    fn all_stays_inside_the_box() {
        check("w_80,h_30,c_a", 1, (100, 50), (0, 0, 100, 50), (60, 30));
        check("w_40,h_30,c_a", 1, (100, 50), (0, 0, 100, 50), (40, 20));
        check("w_40,c_a", 1, (100, 50), (0, 0, 100, 50), (40, 20));
        check("h_40,c_a", 1, (100, 50), (0, 0, 100, 50), (80, 40));
    }

    #[test]
    fn part_cuts_the_shape_of_the_box() {
        check("w_50,h_50,c_p", 1, (100, 60), (0, 0, 60, 60), (50, 50));
        check("w_50,h_50,c_p,g_e", 1, (100, 60), (40, 0, 60, 60), (50, 50));
        check("w_50,h_10,c_p,g_c", 2, (100, 60), (0, 20, 100, 20), (100, 20));
        check("w_50,c_p", 1, (100, 60), (0, 0, 100, 60), (50, 30));
        check("w_1000,h_1,c_p", 1, (100, 60), (0, 0, 100, 1), (1000, 1));
    }

    #[test]
    fn keep_scale_never_enlarges() {
        check("w_50,h_10,c_k,g_se", 1, (100, 60), (50, 50, 50, 10), (50, 10));
        check("w_50,h_10,c_k", 3, (100, 60), (0, 0, 50, 10), (50, 10));
        check("w_500,c_k", 1, (100, 60), (0, 0, 100, 60), (100, 60));
        check("h_5,c_k,g_c", 1, (100, 60), (0, 27, 100, 5), (100, 5));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn crops_lie_in_the_source_and_answers_are_not_empty(
            width in proptest::option::of(1u32..),
            height in proptest::option::of(1u32..),
            cropping in 0..4usize,
            gravity in proptest::sample::select(Gravity::ALL.to_vec()),
            scale in 1u32..100,
            source in (1u32..70_000, 1u32..70_000),
        ) {
            let cropping = [Cropping::Exact, Cropping::All, Cropping::Part, Cropping::KeepScale][cropping];
            let (width, height) = (width.and_then(NonZeroU32::new), height.and_then(NonZeroU32::new));
            let source = Size::new(source.0, source.1);
            let framing = frame(&Params { width, height, cropping, gravity, filter: None }, scale, source);
            prop_assert!(framing.crop.lies_in(source), "{framing:?}");
            prop_assert!(!framing.output.is_empty(), "{framing:?}");
            if cropping == Cropping::KeepScale {
                prop_assert_eq!(framing.crop.size, framing.output);
            }
        }
    }
}
