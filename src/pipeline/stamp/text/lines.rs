//! Where the glyphs of a text lie: shaping by HarfBuzz's rules, lines, and the box that the text is placed by.
//!
//! The box is the Go server's: as wide as the advances of the longest line, kerning included, and as high as the font's
//! bounding box, with the baseline where that has it. Further lines follow at the distance that the font asks for.

use unicode_bidi::BidiInfo;

use super::Region;
use super::coverage::zoom;
use crate::raster::Size;
use crate::transform::{Align, Along, Bounds, Font, Text};

/// A stroke is no wider, whatever the scale: memory grows with it on each side.
const MAX_STROKE_PIXELS: u32 = 512;
/// A tab is so many spaces.
const TAB: &str = "    ";

/// A glyph on the frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Glyph {
    /// Its number in the font.
    pub(super) id: u16,
    /// Its origin, on the baseline, in pixels from the upper left corner of the frame.
    pub(super) x: f64,
    pub(super) y: f64,
}

/// A text that was shaped and measured at one scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Lines {
    /// The box of the text, padding included.
    pub frame: Size,
    /// Of the em square.
    pub(super) pixels: f64,
    pub(super) stroke_width: u32,
    pub(super) has_background: bool,
    /// Pixels of the largest glyph's box.
    pub(super) largest_glyph: f64,
    pub(super) glyphs: Vec<Glyph>,
    /// A region that no glyph leaves; `None` without glyphs.
    pub(super) bounds: Option<Region>,
}

/// A line before it has a place: glyphs from its left end on, and its width, in pixels.
struct Line {
    glyphs: Vec<Glyph>,
    width: f64,
}

impl Lines {
    /// Shapes and measures a text.
    #[must_use]
    pub fn new(text: &Text, scale: u32) -> Self {
        let pixels = f64::from(text.size.pixels()) * f64::from(scale);
        let font = &*text.font;
        let lines: Vec<Line> = text.content.as_str().split('\n').map(|line| shape(font, line, pixels)).collect();
        let metrics = Metrics::new(font, pixels);
        let padding = f64::from(text.padding.saturating_mul(scale));
        let width = lines.iter().map(|line| line.width).fold(0.0, f64::max);
        let height = metrics.height + metrics.pitch * (lines.len() - 1) as f64;
        let frame = Size::new(side(width + 2.0 * padding), side(height + 2.0 * padding));
        // The frame has whole pixels; what it has too many lies where gravity leaves room.
        let gravity = text.anchor.gravity;
        let left = padding + slack(gravity.horizontally()) * (f64::from(frame.width) - 2.0 * padding - width);
        let top = padding + slack(gravity.vertically()) * (f64::from(frame.height) - 2.0 * padding - height);
        let mut glyphs = Vec::new();
        for (number, line) in lines.iter().enumerate() {
            let rest = match text.align {
                Align::Left => 0.0,
                Align::Center => (width - line.width) / 2.0,
                Align::Right => width - line.width,
            };
            // Baselines are whole pixels, so that horizontal stems stay sharp.
            let baseline = (top + metrics.ascent + metrics.pitch * number as f64).round();
            glyphs.extend(line.glyphs.iter().map(|glyph| Glyph {
                x: left + rest + glyph.x,
                y: baseline + glyph.y,
                ..*glyph
            }));
        }
        let stroke_width = text.stroke.map_or(0, |stroke| u32::from(stroke.width.pixels()).saturating_mul(scale));
        let stroke_width = stroke_width.min(MAX_STROKE_PIXELS);
        let boxes: Vec<Region> = boxes(&glyphs, font, pixels).collect();
        let largest_glyph = boxes.iter().map(|region| region.size.pixels() as f64).fold(0.0, f64::max);
        let bounds = boxes.into_iter().reduce(|all, one| all.union(&one));
        let has_background = text.background.is_some();
        Self { frame, pixels, stroke_width, has_background, largest_glyph, glyphs, bounds }
    }
}

/// Vertical measures in pixels.
struct Metrics {
    /// From the top of the box to the baseline.
    ascent: f64,
    height: f64,
    /// From one baseline to the next.
    pitch: f64,
}

impl Metrics {
    fn new(font: &Font, pixels: f64) -> Self {
        let Bounds { top, bottom, units_per_em } = font.bounds();
        let unit = pixels / f64::from(units_per_em);
        let line = font.shapes().metrics().hhea_line;
        let pitch =
            line.map_or(0.0, |line| line.ascender.to_f64() - line.descender.to_f64() + line.line_gap.to_f64().max(0.0));
        // What browsers take where a font says nothing sensible.
        let pitch = if pitch > 0.0 { pitch * unit } else { pixels * 1.2 };
        Self { ascent: f64::from(top) * unit, height: f64::from(top - bottom) * unit, pitch }
    }
}

/// A side of a frame in whole pixels.
fn side(length: f64) -> u32 {
    // `as` saturates. A width that is whole but for rounding stays so.
    ((length - 1e-6).ceil() as u32).max(1)
}

/// Which share of what is too much lies before, on one axis.
const fn slack(along: Along) -> f64 {
    match along {
        Along::Start => 0.0,
        Along::Middle => 0.5,
        Along::End => 1.0,
    }
}

/// Glyphs of a line in the order of display.
fn shape(font: &Font, line: &str, pixels: f64) -> Line {
    let line = line.trim_end_matches('\r').replace('\t', TAB);
    let shaper = harfrust::ShaperFont::new(font.shapes());
    let unit = pixels / f64::from(font.bounds().units_per_em);
    let (mut glyphs, mut pen) = (Vec::new(), 0.0);
    let bidi = BidiInfo::new(&line, None);
    for paragraph in &bidi.paragraphs {
        let (levels, runs) = bidi.visual_runs(paragraph, paragraph.range.clone());
        for run in runs {
            let is_rtl = levels[run.start].is_rtl();
            let mut parts = by_script(&line[run.clone()]);
            if is_rtl {
                parts.reverse();
            }
            for (script, part) in parts {
                let mut buffer = harfrust::Buffer::new();
                buffer.push_str(part);
                buffer.set_direction(if is_rtl {
                    harfrust::Direction::RightToLeft
                } else {
                    harfrust::Direction::LeftToRight
                });
                buffer.set_script(Some(script));
                buffer.guess_segment_properties();
                if harfrust::shape(&shaper, &mut buffer, harfrust::ShapeOptions::new()).is_err() {
                    continue;
                }
                for (info, position) in buffer.glyph_infos().iter().zip(buffer.glyph_positions()) {
                    let x = (pen + f64::from(position.x_offset)) * unit;
                    let y = -f64::from(position.y_offset) * unit;
                    // Fonts have at most 65,535 glyphs.
                    glyphs.extend(u16::try_from(info.glyph_id).map(|id| Glyph { id, x, y }));
                    pen += f64::from(position.x_advance);
                }
            }
        }
    }
    Line { glyphs, width: (pen * unit).max(0.0) }
}

/// Cuts a text where its script changes. Marks, digits and signs belong to what is before them, or at the start after.
fn by_script(text: &str) -> Vec<(harfrust::Script, &str)> {
    let is_common = |script| script == harfrust::Script::COMMON || script == harfrust::Script::INHERITED;
    let (mut parts, mut start, mut current) = (Vec::new(), 0, harfrust::Script::COMMON);
    for (index, character) in text.char_indices() {
        let script = harfrust::unicode::script(u32::from(character));
        if is_common(script) || script == current {
            continue;
        }
        if !is_common(current) {
            parts.push((current, &text[start..index]));
            start = index;
        }
        current = script;
    }
    if start < text.len() {
        parts.push((current, &text[start..]));
    }
    parts
}

/// Regions around glyphs, as the font tells their boxes, with the pixel that rounding may take.
fn boxes(glyphs: &[Glyph], font: &Font, pixels: f64) -> impl Iterator<Item = Region> {
    let unit = pixels / f64::from(font.bounds().units_per_em);
    let shaper = harfrust::ShaperFont::new(font.shapes());
    let region = move |glyph: &Glyph| {
        let edges = shaper.glyph_extents(harfrust::GlyphId::from(glyph.id))?;
        if edges.width == 0 || edges.height == 0 {
            return None;
        }
        let left = glyph.x + f64::from(edges.x_bearing) * unit;
        let top = glyph.y - f64::from(edges.y_bearing) * unit;
        let right = left + f64::from(edges.width) * unit;
        let bottom = top + f64::from(edges.height).abs() * unit;
        // One pixel of a glyph's drawing, and one for curves that bulge out of their boxes.
        let margin = 1.0 + (1.0 / zoom(pixels)).max(1.0);
        let (left, top) = ((left - margin).floor() as i64, (top - margin).floor() as i64);
        Region::between(left, top, (right + margin).ceil() as i64, (bottom + margin).ceil() as i64)
    };
    glyphs.iter().filter_map(region)
}
