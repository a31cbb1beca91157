//! A text as a stamp: its lines are shaped and measured (`lines`), glyphs become coverage (`coverage`), coverage grows
//! into a stroke (`stroke`), and all of it becomes ink (`ink`).

mod coverage;
mod ink;
mod lines;
mod stroke;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Stamp;
use crate::raster::{Point, Size};
use crate::transform::{Font, Text};
use coverage::Coverage;
use ink::Paint;

pub use lines::Lines;

/// The outlines of a font, ready to be drawn. They take 26 times the bytes of the file.
pub struct Outlines(fontdue::Font);

impl std::fmt::Debug for Outlines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outlines({} glyphs)", self.0.glyph_count())
    }
}

impl Outlines {
    /// Reads the outlines of a font.
    /// # Panics
    /// Never: `Font` has tried it.
    #[must_use]
    pub fn new(font: &Font) -> Self {
        let settings = fontdue::FontSettings::default();
        Self(fontdue::Font::from_bytes(font.file(), settings).expect("the font was read before"))
    }
}

/// The part of a frame that is drawn, in pixels from the upper left corner of the frame; may stand out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    left: i64,
    top: i64,
    size: Size,
}

impl Region {
    fn between(left: i64, top: i64, right: i64, bottom: i64) -> Option<Self> {
        let side = |from: i64, to: i64| u32::try_from(to - from).ok().filter(|&side| side > 0);
        Some(Self { left, top, size: Size::new(side(left, right)?, side(top, bottom)?) })
    }

    fn right(&self) -> i64 {
        self.left + i64::from(self.size.width)
    }

    fn bottom(&self) -> i64 {
        self.top + i64::from(self.size.height)
    }

    /// Larger by `margin` on each side.
    fn grown(&self, margin: i64) -> Self {
        let side = |side: u32| side.saturating_add(u32::try_from(2 * margin).unwrap_or(u32::MAX));
        let size = Size::new(side(self.size.width), side(self.size.height));
        Self { left: self.left - margin, top: self.top - margin, size }
    }

    fn intersection(&self, other: &Self) -> Option<Self> {
        Self::between(
            self.left.max(other.left),
            self.top.max(other.top),
            self.right().min(other.right()),
            self.bottom().min(other.bottom()),
        )
    }

    fn union(&self, other: &Self) -> Self {
        let (left, top) = (self.left.min(other.left), self.top.min(other.top));
        let side = |from: i64, to: i64| u32::try_from(to - from).unwrap_or(u32::MAX);
        let size = Size::new(side(left, self.right().max(other.right())), side(top, self.bottom().max(other.bottom())));
        Self { left, top, size }
    }
}

impl Lines {
    /// What of the frame has ink, or `None` for a text of blanks alone.
    fn inked(&self) -> Option<Region> {
        let margin = i64::from(self.stroke_width);
        let letters = self.bounds.map(|letters| letters.grown(margin));
        let frame = Region { left: 0, top: 0, size: self.frame };
        match (letters, self.has_background) {
            (Some(letters), true) => Some(letters.union(&frame)),
            (None, true) => Some(frame),
            (letters, false) => letters,
        }
    }

    /// Pixels of the stamp, all of it or what of it lies in a box of this corner and size, seen from the frame.
    #[must_use]
    pub fn n_pixels(&self, seen: Option<(Point, Size)>) -> u64 {
        self.region(seen).map_or(0, |region| region.size.pixels())
    }

    /// What drawing it takes in memory, at most: the stamp, coverage of letters and stroke, and a glyph, of which the
    /// library takes five bytes a pixel.
    #[must_use]
    pub fn bytes(&self, seen: Option<(Point, Size)>) -> u64 {
        let inked = self.region(seen).map_or(0, |region| region.grown(self.reach()).size.pixels());
        let zoom = coverage::zoom(self.pixels);
        inked * 20 + (self.largest_glyph * zoom * zoom * 5.0) as u64
    }

    /// How far from a pixel letters matter to it.
    fn reach(&self) -> i64 {
        if self.stroke_width > 0 { i64::from(self.stroke_width) + stroke::SLACK } else { 0 }
    }

    fn region(&self, seen: Option<(Point, Size)>) -> Option<Region> {
        let inked = self.inked()?;
        match seen {
            None => Some(inked),
            Some((Point { x, y }, size)) => inked.intersection(&Region { left: x, top: y, size }),
        }
    }

    /// Draws the text, all of it or what is seen of it. A glyph that cannot be drawn is left out.
    #[must_use]
    pub fn draw(&self, text: &Text, outlines: &Outlines, seen: Option<(Point, Size)>) -> Stamp {
        let Some(region) = self.region(seen) else {
            return Stamp { frame: self.frame, ..Stamp::empty() };
        };
        let mut letters = Coverage::new(region.grown(self.reach()));
        for glyph in &self.glyphs {
            // The library panics where an outline is absurd; such a glyph is not seen.
            let _ = catch_unwind(AssertUnwindSafe(|| letters.add(&outlines.0, glyph, self.pixels)));
        }
        let stroke = text.stroke.map(|stroke| (stroke.color, stroke::around(&letters, self.stroke_width)));
        let paint = Paint::new(text.color, stroke.as_ref().map(|(color, _)| *color), text.background);
        let frame = Region { left: 0, top: 0, size: self.frame };
        let mut pixels = Vec::with_capacity(region.size.pixels() as usize);
        for y in region.top..region.bottom() {
            let is_in_frame = (frame.top..frame.bottom()).contains(&y);
            for x in region.left..region.right() {
                let outer = stroke.as_ref().map_or(0.0, |(_, coverage)| coverage.at(x, y));
                let is_on_background = is_in_frame && (frame.left..frame.right()).contains(&x);
                pixels.push(paint.ink(letters.at(x, y), outer, is_on_background));
            }
        }
        Stamp::new(region.size, pixels, self.frame, Point { x: region.left, y: region.top })
    }
}
