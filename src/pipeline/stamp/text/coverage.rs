//! How much of each pixel letters cover.

use super::Region;
use super::lines::Glyph;

/// Larger glyphs are drawn so large and enlarged: the drawing takes five bytes a pixel.
const MAX_PIXELS: f64 = 2048.0;

/// Coverage of a region, 0 to 1 a pixel.
pub(super) struct Coverage {
    pub(super) region: Region,
    pub(super) values: Vec<f32>,
}

impl Coverage {
    pub(super) fn new(region: Region) -> Self {
        Self { region, values: vec![0.0; region.size.pixels() as usize] }
    }

    pub(super) fn at(&self, x: i64, y: i64) -> f32 {
        let row = (y - self.region.top) as usize;
        self.values[row * self.region.size.width as usize + (x - self.region.left) as usize]
    }

    /// Adds a glyph of a font whose em square has so many pixels.
    ///
    /// The library draws at whole pixels only, but exactly: the share of a pixel that the outline covers. So the glyph is
    /// drawn larger, and averaged where it belongs.
    pub(super) fn add(&mut self, font: &fontdue::Font, glyph: &Glyph, pixels: f64) {
        if glyph.id >= font.glyph_count() {
            return;
        }
        let zoom = zoom(pixels);
        let metrics = font.metrics_indexed(glyph.id, (pixels * zoom) as f32);
        let (width, height) = (metrics.width, metrics.height);
        // Edges of the drawing on the picture.
        let left = glyph.x + f64::from(metrics.xmin) / zoom;
        let top = glyph.y - (f64::from(metrics.ymin) + height as f64) / zoom;
        let columns = shares(left, width, zoom, self.region.left, self.region.right());
        let rows = shares(top, height, zoom, self.region.top, self.region.bottom());
        if width == 0 || height == 0 || columns.is_empty() || rows.is_empty() {
            return;
        }
        let (_, bitmap) = font.rasterize_indexed(glyph.id, (pixels * zoom) as f32);
        let mut line = vec![0.0_f32; width];
        for row in &rows {
            line.fill(0.0);
            for (source, weight) in row.sources() {
                for (sum, &covered) in line.iter_mut().zip(&bitmap[source * width..(source + 1) * width]) {
                    *sum += weight * f32::from(covered);
                }
            }
            let start = row.target * self.region.size.width as usize;
            for column in &columns {
                let sum: f32 = column.sources().map(|(source, weight)| weight * line[source]).sum();
                let covered = (sum / 255.0).min(1.0);
                let value = &mut self.values[start + column.target];
                // Where glyphs meet, each hides of the picture what the others have left.
                *value += covered * (1.0 - *value);
            }
        }
    }
}

/// How much larger glyphs are drawn than they are seen.
pub(super) fn zoom(pixels: f64) -> f64 {
    match pixels {
        ..=256.0 => 4.0,
        ..=1024.0 => 2.0,
        ..=MAX_PIXELS => 1.0,
        _ => MAX_PIXELS / pixels,
    }
}

/// What a pixel gets from a drawing along one axis.
struct Share {
    /// The pixel, counted from the edge of the region.
    target: usize,
    /// Its edges on the drawing, within the drawing.
    from: f64,
    to: f64,
    /// Of the area of the pixel, what one pixel of the drawing is.
    unit: f64,
}

impl Share {
    fn sources(&self) -> impl Iterator<Item = (usize, f32)> {
        let (first, last) = (self.from.floor() as usize, self.to.ceil() as usize);
        (first..last).map(|source| {
            let overlap = self.to.min(source as f64 + 1.0) - self.from.max(source as f64);
            (source, (overlap.max(0.0) * self.unit) as f32)
        })
    }
}

/// The pixels between `first` and `end` that a drawing of `length` pixels from `start` on touches.
fn shares(start: f64, length: usize, zoom: f64, first: i64, end: i64) -> Vec<Share> {
    let stop = start + length as f64 / zoom;
    let touched = (start.floor() as i64).max(first)..(stop.ceil() as i64).min(end);
    let share = |pixel: i64| {
        let from = ((pixel as f64 - start) * zoom).clamp(0.0, length as f64);
        let to = ((pixel as f64 + 1.0 - start) * zoom).clamp(0.0, length as f64);
        Share { target: (pixel - first) as usize, from, to, unit: 1.0 / zoom }
    };
    touched.map(share).collect()
}
