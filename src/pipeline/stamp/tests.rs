//! Stamps on pictures, pixel by pixel beside what they should be; and texts of every size and place.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::transform::{Align, Anchor, Color, Font, Gravity, Stroke, Text};

const LAYOUTS: [Layout; 4] = [Layout::Gray, Layout::GrayAlpha, Layout::Rgb, Layout::Rgba];

/// Pixels that are all different, premultiplied; gray if asked.
fn stamp(size: Size, frame: Size, offset: Point, is_gray: bool) -> Stamp {
    let pixel = |index: u64| {
        let alpha = (index * 37 % 256) as u8;
        let part = |step: u64| ((index * step % 256) * u64::from(alpha) / 255) as u8;
        if is_gray { [part(11), part(11), part(11), alpha] } else { [part(11), part(23), part(71), alpha] }
    };
    Stamp::new(size, (0..size.pixels()).map(pixel).collect(), frame, offset)
}

fn picture(size: Size, layout: Layout) -> Pixmap {
    let n_bytes = size.pixels() * layout.channels() as u64;
    Pixmap::new(size, layout, (0..n_bytes).map(|index| (index * 59 % 251) as u8).collect())
}

/// The pixel of the stamp that belongs on a pixel of the picture.
fn expected_ink(stamp: &Stamp, placement: &Placement, picture: Size, x: u32, y: u32) -> Option<[u8; 4]> {
    let corner = placement.corner(picture, stamp.frame);
    let at = |place: u32, corner: i64, offset: i64, frame: u32, gap: u32, side: u32| {
        let inside = i64::from(place) - corner - offset;
        let step = i64::from(frame) + i64::from(gap);
        let inside = if placement.is_tiled { inside.rem_euclid(step) } else { inside };
        u32::try_from(inside).ok().filter(|&inside| inside < side)
    };
    let column = at(x, corner.x, stamp.offset.x, stamp.frame.width, placement.x, stamp.size.width)?;
    let row = at(y, corner.y, stamp.offset.y, stamp.frame.height, placement.y, stamp.size.height)?;
    Some(stamp.row(row, column..column + 1)[0])
}

fn check(stamp: &Stamp, placement: &Placement, size: Size, layout: Layout) -> Result<(), TestCaseError> {
    let before = picture(size, layout);
    for level in Level::available() {
        let mut after = before.clone();
        draw(level, &mut after, stamp, placement);
        let mut expected = before.clone();
        for y in 0..size.height {
            for x in 0..size.width {
                if let Some(ink) = expected_ink(stamp, placement, size, x, y) {
                    over(Level::Scalar, &[ink], &mut expected, y as usize, x as usize);
                }
            }
        }
        prop_assert!(after == expected, "{level:?} {layout:?} {placement:?} {:?}", stamp.size);
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_pixel_is_drawn_where_it_belongs_and_no_other(
        size in (1u32..60, 1u32..20),
        bitmap in (1u32..70, 1u32..25),
        frame in (1u32..80, 1u32..30),
        offset in (-90i64..90, -40i64..40),
        gravity in proptest::sample::select(Gravity::ALL.to_vec()),
        inward in (0u32..90, 0u32..40),
        layout in proptest::sample::select(LAYOUTS.to_vec()),
    ) {
        let of = |(width, height)| Size::new(width, height);
        let is_gray = matches!(layout, Layout::Gray | Layout::GrayAlpha);
        let stamp = stamp(of(bitmap), of(frame), Point { x: offset.0, y: offset.1 }, is_gray);
        let placement = Placement { gravity, x: inward.0, y: inward.1, is_tiled: false };
        check(&stamp, &placement, of(size), layout)?;
    }

    #[test]
    fn tiles_are_drawn_all_over(
        size in (1u32..60, 1u32..20),
        frame in (1u32..70, 1u32..25),
        gravity in proptest::sample::select(Gravity::ALL.to_vec()),
        gap in (0u32..20, 0u32..10),
        layout in proptest::sample::select(LAYOUTS.to_vec()),
    ) {
        let of = |(width, height)| Size::new(width, height);
        let is_gray = matches!(layout, Layout::Gray | Layout::GrayAlpha);
        let stamp = stamp(of(frame), of(frame), Point { x: 0, y: 0 }, is_gray);
        let placement = Placement { gravity, x: gap.0, y: gap.1, is_tiled: true };
        check(&stamp, &placement, of(size), layout)?;
    }
}

#[test]
fn absurd_offsets_draw_nothing() {
    let stamp = stamp(Size::new(3, 3), Size::new(3, 3), Point { x: 0, y: 0 }, false);
    for gravity in Gravity::ALL.into_iter().filter(|&gravity| gravity != Gravity::Center) {
        let placement = Placement { gravity, x: u32::MAX, y: u32::MAX, is_tiled: false };
        let mut image = picture(Size::new(5, 5), Layout::Rgb);
        draw(Level::best(), &mut image, &stamp, &placement);
        assert_eq!(image, picture(Size::new(5, 5), Layout::Rgb), "{gravity}");
    }
    for is_tiled in [false, true] {
        let placement = Placement { gravity: Gravity::Center, x: u32::MAX, y: u32::MAX, is_tiled };
        draw(Level::best(), &mut picture(Size::new(5, 5), Layout::Rgb), &stamp, &placement);
        draw(Level::best(), &mut picture(Size::new(5, 5), Layout::Rgb), &Stamp::empty(), &placement);
    }
}

#[test]
fn colour_makes_three_channels_and_gray_does_not() {
    let size = Size::new(2, 2);
    let of = |is_gray| stamp(Size::new(8, 8), size, Point { x: 0, y: 0 }, is_gray);
    let layout = |layout, is_gray| prepare(picture(size, layout), &of(is_gray)).layout();
    assert_eq!((layout(Layout::Gray, true), layout(Layout::Gray, false)), (Layout::Gray, Layout::Rgb));
    assert_eq!((layout(Layout::GrayAlpha, true), layout(Layout::GrayAlpha, false)), (Layout::GrayAlpha, Layout::Rgba));
    assert_eq!((layout(Layout::Rgba, true), layout(Layout::Rgba, false)), (Layout::Rgba, Layout::Rgba));
    let gray = picture(size, Layout::GrayAlpha);
    let colored = prepare(gray.clone(), &of(false));
    let [gray, alpha] = gray.bytes().as_chunks().0[3];
    assert_eq!(colored.bytes().as_chunks().0[3], [gray, gray, gray, alpha]);
}

fn font() -> Arc<Font> {
    let file = include_bytes!("../../../fonts/DejaVuSans.ttf").to_vec();
    Arc::new(Font::parse(Path::new("fonts/DejaVuSans.ttf"), file).unwrap())
}

fn text(font: &Arc<Font>, content: &str, size: i64) -> Text {
    Text {
        content: content.parse().unwrap(),
        anchor: Anchor { gravity: Gravity::NorthWest, x: 0, y: 0 },
        color: Color::default(),
        font: Arc::clone(font),
        size: size.try_into().unwrap(),
        align: Align::Left,
        background: None,
        padding: 0,
        stroke: None,
    }
}

fn drawn(text: &Text, scale: u32) -> Stamp {
    Lines::new(text, scale).draw(text, &Outlines::new(&text.font), None)
}

/// Columns and rows that have ink, seen from the frame: left, top, right, bottom.
fn inked(stamp: &Stamp) -> Option<[i64; 4]> {
    let seen = (0..stamp.size.height).flat_map(|y| (0..stamp.size.width).map(move |x| (x, y)));
    let seen = seen.filter(|&(x, y)| stamp.row(y, x..x + 1)[0][3] > 24);
    let seen = seen.map(|(x, y)| (i64::from(x) + stamp.offset.x, i64::from(y) + stamp.offset.y));
    seen.fold(None, |all: Option<[i64; 4]>, (x, y)| {
        let [left, top, right, bottom] = all.unwrap_or([x, y, x + 1, y + 1]);
        Some([left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1)])
    })
}

#[test]
fn a_text_has_the_box_and_the_baseline_of_the_go_server() {
    let font = font();
    let text = text(&font, "Hxpg|", 100);
    let lines = Lines::new(&text, 1);
    // (2329 + 863) / 2048 em high, the baseline 2329 / 2048 em below the top; letters are as the font has them.
    assert_eq!(lines.frame.height, 156);
    let [left, top, right, bottom] = inked(&drawn(&text, 1)).unwrap();
    // `|` reaches from 1565 above the baseline to 483 below; H begins 201 right of its origin.
    let near = |found: i64, expected: f64| (found as f64 - expected).abs() <= 1.5;
    assert!(near(top, 113.7 - 76.4) && near(bottom, 113.7 + 23.6), "{top} {bottom}");
    assert!(near(left, 9.8) && right < i64::from(lines.frame.width), "{left} {right}");
}

#[test]
fn kerning_marks_and_joined_scripts_are_shaped() {
    let font = font();
    let width = |content: &str| Lines::new(&text(&font, content, 200), 1).frame.width;
    assert!(width("AVA") + 20 < 2 * width("A") + width("V"));
    // A mark lies on its letter.
    assert_eq!(width("e\u{301}"), width("é"));
    assert_eq!(drawn(&text(&font, "e\u{301}x", 60), 1), drawn(&text(&font, "éx", 60), 1));
    // Joined letters are narrower than isolated ones; right-to-left text is drawn from the right.
    assert!(width("سلام") < "سلام".chars().map(|letter| width(&letter.to_string())).sum());
    assert!(inked(&drawn(&text(&font, "אב", 60), 1)).is_some());
    assert_ne!(drawn(&text(&font, "אב1", 60), 1), drawn(&text(&font, "1אב", 60), 1));
    // A glyph that the font has not shows as its box; blanks are nothing.
    assert!(inked(&drawn(&text(&font, "\u{10FFFF}", 40), 1)).is_some());
    assert_eq!(inked(&drawn(&text(&font, " \t ", 40), 1)), None);
}

#[test]
fn lines_follow_each_other_and_lean_to_their_side() {
    let font = font();
    let mut two = text(&font, "wide line\ni", 50);
    let one = Lines::new(&text(&font, "wide line", 50), 1).frame;
    let frame = Lines::new(&two, 1).frame;
    // hhea of DejaVu Sans: 1901 + 483 of 2048.
    assert_eq!((one.height, frame.width, frame.height), (78, one.width, 137));
    let last_row = |stamp: &Stamp| {
        let below = (0..stamp.size.height).filter(|&y| i64::from(y) + stamp.offset.y > i64::from(one.height));
        let mut columns = below.flat_map(|y| (0..stamp.size.width).filter(move |&x| stamp.row(y, x..x + 1)[0][3] > 99));
        columns.next().map(|x| i64::from(x) + stamp.offset.x).unwrap()
    };
    let mut starts = Vec::new();
    for align in Align::ALL {
        two.align = align;
        starts.push(last_row(&drawn(&two, 1)));
    }
    let width = i64::from(frame.width);
    assert!(starts[0] < 10 && (starts[1] - width / 2).abs() < 10 && width - starts[2] < 15, "{starts:?} of {width}");
    let crlf = text(&font, "wide line\r\ni", 50);
    assert_eq!(Lines::new(&crlf, 1).frame, frame);
}

#[test]
fn text_lies_where_it_should_between_pixels() {
    // The same letter at many widths of what is before it: its ink moves with it, a fraction of a pixel at a time.
    let font = font();
    let centre = |content: &str| {
        let stamp = drawn(&text(&font, content, 15), 1);
        let last = (0..stamp.size.height).flat_map(|y| (0..stamp.size.width).map(move |x| (x, y)));
        let (mut mass, mut moment) = (0.0, 0.0);
        for (x, y) in last {
            let ink = f64::from(stamp.row(y, x..x + 1)[0][3]);
            mass += ink;
            moment += ink * ((i64::from(x) + stamp.offset.x) as f64 + 0.5);
        }
        moment / mass
    };
    // A space is 651 of 2048 wide: 4.768 pixels.
    let first = centre("l");
    for n_spaces in 1..12 {
        let moved = centre(&format!("{}l", " ".repeat(n_spaces))) - first;
        let expected = n_spaces as f64 * 15.0 * 651.0 / 2048.0;
        assert!((moved - expected).abs() < 0.12, "{n_spaces}: {moved} instead of {expected}");
    }
}

#[test]
fn strokes_and_backgrounds_reach_as_far_as_they_should() {
    let font = font();
    let plain = text(&font, "H", 80);
    let [left, top, right, bottom] = inked(&drawn(&plain, 1)).unwrap();
    let width = 5_i64.try_into().unwrap();
    let stroked = Text { stroke: Some(Stroke { color: Color::opaque([255; 3]), width }), ..plain.clone() };
    for scale in [1, 2] {
        let [l, t, r, b] = inked(&drawn(&stroked, scale)).unwrap().map(|edge| edge as f64 / f64::from(scale));
        let expected = [left - 5, top - 5, right + 5, bottom + 5].map(|edge| edge as f64);
        for (found, expected) in [l, t, r, b].into_iter().zip(expected) {
            assert!((found - expected).abs() <= 1.0, "@{scale}x: {found} {expected}");
        }
    }
    let boxed = Text { background: Some(Color::opaque([9, 9, 9])), padding: 7, ..plain };
    let frame = Lines::new(&boxed, 2).frame;
    let [left, top, right, bottom] = inked(&drawn(&boxed, 2)).unwrap();
    assert_eq!([left, top, right, bottom], [0, 0, i64::from(frame.width), i64::from(frame.height)]);
}

#[test]
fn large_texts_keep_their_shape() {
    // Above 2,048 pixels glyphs are drawn smaller and enlarged.
    let font = font();
    let text = text(&font, "I", 1000);
    let seen = |x: i64, y: i64| {
        let lines = Lines::new(&text, 5);
        let stamp = lines.draw(&text, &Outlines::new(&font), Some((Point { x, y }, Size::new(40, 40))));
        assert!(stamp.size.width <= 40 && stamp.size.height <= 40);
        stamp.pixels.iter().map(|pixel| f64::from(pixel[3])).sum::<f64>() / 255.0 / 1600.0
    };
    // The stem of I reaches from 201 to 403 of 2048 em, and from 0 to 1493 above the baseline at 2329.
    let em = 5000.0 / 2048.0;
    let (middle, top) = ((302.0 * em) as i64, (2329.0 * em) as i64);
    assert!(seen(middle - 20, top - 200) > 0.99);
    assert!(seen((201.0 * em) as i64 - 20, top - 2000) > 0.4 && seen((201.0 * em) as i64 - 20, top - 2000) < 0.6);
    assert!(seen((150.0 * em) as i64 - 20, top - 2000) < 0.01);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn any_text_is_drawn_and_what_is_seen_of_it_is_the_same(
        content in "(\\PC|[a-z\n ]){1,12}",
        size in 1i64..120,
        scale in 1u32..4,
        width in proptest::option::of(1i64..20),
        padding in 0u32..30,
        has_background in any::<bool>(),
        corner in (-60i64..300, -60i64..300),
        window in (1u32..200, 1u32..100),
    ) {
        let font = font();
        let color = Color { rgb: [200, 30, 99], alpha: 180 };
        let stroke = width.map(|width| Stroke { color, width: width.try_into().unwrap() });
        let background = has_background.then_some(Color { rgb: [1, 2, 3], alpha: 77 });
        let text = Text { stroke, padding, background, ..text(&font, &content, size) };
        let lines = Lines::new(&text, scale);
        let outlines = Outlines::new(&font);
        let whole = lines.draw(&text, &outlines, None);
        prop_assert!(whole.pixels.iter().all(|&[r, g, b, alpha]| r.max(g).max(b) <= alpha));
        let seen = (Point { x: corner.0, y: corner.1 }, Size::new(window.0, window.1));
        let part = lines.draw(&text, &outlines, Some(seen));
        prop_assert_eq!(part.size.pixels(), lines.n_pixels(Some(seen)));
        for y in 0..part.size.height {
            let (row, column) = (i64::from(y) + part.offset.y - whole.offset.y, part.offset.x - whole.offset.x);
            let (row, column) = (u32::try_from(row).unwrap(), u32::try_from(column).unwrap());
            let expected = whole.row(row, column..column + part.size.width);
            let found = part.row(y, 0..part.size.width);
            // A stroke that is cut may take another of equally near pixels.
            let differs = |(a, b): (&[u8; 4], &[u8; 4])| a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) > 60);
            let is_same = if stroke.is_some() { !found.iter().zip(expected).any(differs) } else { found == expected };
            prop_assert!(is_same, "row {} of {:?}", y, seen);
        }
    }
}
