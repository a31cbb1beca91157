//! A stroke around letters: all that is no farther from them than its width, with round corners.
//!
//! For each pixel, the nearest one with something of a letter in it is found: along columns by looking, along rows by the
//! lower envelope of parabolas (Felzenszwalb and Huttenlocher, Distance Transforms of Sampled Functions, 2012). How much
//! of that one and its neighbours is covered tells how far beyond their centres the edge is.

use super::coverage::Coverage;

/// Pixels beyond its width that a stroke's edge is told by.
pub(super) const SLACK: i64 = 2;
/// Of a column without any letter.
const NONE: i32 = i32::MAX;

/// Coverage of the letters together with a stroke of `width` pixels.
pub(super) fn around(letters: &Coverage, width: u32) -> Coverage {
    let width = f64::from(width);
    let size = letters.region.size;
    let (n_columns, n_rows) = (size.width as usize, size.height as usize);
    let nearest = nearest_rows(&letters.values, n_columns, n_rows);
    let mut values = letters.values.clone();
    let mut envelope = Envelope::default();
    for row in 0..n_rows {
        let line = &nearest[row * n_columns..(row + 1) * n_columns];
        envelope.find(line, row);
        let mut parabola = 0;
        for (column, value) in values[row * n_columns..(row + 1) * n_columns].iter_mut().enumerate() {
            let Some(other) = envelope.at(column, &mut parabola) else { break };
            let other = (other, line[other] as usize);
            let distance = between((column, row), other);
            if distance < width - 1.0 {
                *value = 1.0;
            } else if distance < width + SLACK as f64 {
                *value = value.max(near(letters, (column, row), other, width));
            }
        }
    }
    Coverage { region: letters.region, values }
}

/// How much of a pixel is no farther than `width` from the edge, as `nearest` and the pixels around it tell.
fn near(letters: &Coverage, pixel: (usize, usize), nearest: (usize, usize), width: f64) -> f32 {
    let size = letters.region.size;
    let (n_columns, n_rows) = (size.width as usize, size.height as usize);
    let mut covered = 0.0_f64;
    for row in nearest.1.saturating_sub(1)..(nearest.1 + 2).min(n_rows) {
        for column in nearest.0.saturating_sub(1)..(nearest.0 + 2).min(n_columns) {
            let value = f64::from(letters.values[row * n_columns + column]);
            if value > 0.0 {
                // An edge that covers half of a pixel goes through its centre.
                covered = covered.max(width + 0.5 + (value - 0.5) - between(pixel, (column, row)));
            }
        }
    }
    covered.clamp(0.0, 1.0) as f32
}

fn between(from: (usize, usize), to: (usize, usize)) -> f64 {
    f64::hypot(from.0 as f64 - to.0 as f64, from.1 as f64 - to.1 as f64)
}

/// For each pixel, the row of the nearest pixel of its column that is covered at all, or `NONE`.
fn nearest_rows(values: &[f32], n_columns: usize, n_rows: usize) -> Vec<i32> {
    let mut nearest = vec![NONE; values.len()];
    for row in 0..n_rows {
        for column in 0..n_columns {
            let index = row * n_columns + column;
            let above = if row > 0 { nearest[index - n_columns] } else { NONE };
            nearest[index] = if values[index] > 0.0 { row as i32 } else { above };
        }
    }
    for row in (0..n_rows.saturating_sub(1)).rev() {
        for column in 0..n_columns {
            let index = row * n_columns + column;
            let (above, below) = (nearest[index], nearest[index + n_columns]);
            let is_nearer = above == NONE || below - (row as i32) < row as i32 - above;
            if below != NONE && is_nearer {
                nearest[index] = below;
            }
        }
    }
    nearest
}

/// The lower envelope of one parabola for each column that has something: the square of the distance to it.
#[derive(Default)]
struct Envelope {
    /// The columns whose parabolas are lowest somewhere, and from where on.
    parabolas: Vec<(usize, f64)>,
}

impl Envelope {
    fn find(&mut self, nearest: &[i32], row: usize) {
        self.parabolas.clear();
        let height = |column: usize| (row as f64 - f64::from(nearest[column])).powi(2) + (column as f64).powi(2);
        for column in (0..nearest.len()).filter(|&column| nearest[column] != NONE) {
            let mut start = f64::NEG_INFINITY;
            while let Some(&(last, last_start)) = self.parabolas.last() {
                start = (height(column) - height(last)) / (2.0 * (column as f64 - last as f64));
                if start > last_start {
                    break;
                }
                self.parabolas.pop();
                start = f64::NEG_INFINITY;
            }
            self.parabolas.push((column, start));
        }
    }

    /// The column of the parabola that is lowest here. `parabola` is where the last, smaller column has found its own.
    fn at(&self, column: usize, parabola: &mut usize) -> Option<usize> {
        while self.parabolas.get(*parabola + 1).is_some_and(|&(_, start)| start <= column as f64) {
            *parabola += 1;
        }
        self.parabolas.get(*parabola).map(|&(column, _)| column)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Region;
    use super::*;
    use crate::raster::Size;

    #[test]
    fn a_stroke_reaches_its_width_in_all_directions() {
        // A disc, of which each pixel is covered as far as the edge tells.
        let region = Region { left: 0, top: 0, size: Size::new(61, 59) };
        let disc = |radius: f64, x: i64, y: i64| {
            let distance = f64::hypot(x as f64 - 30.3, y as f64 - 29.1);
            (radius + 0.5 - distance).clamp(0.0, 1.0)
        };
        let mut letters = Coverage::new(region);
        for y in 0..59 {
            for x in 0..61 {
                letters.values[(y * 61 + x) as usize] = disc(7.2, x, y) as f32;
            }
        }
        for width in [1, 3, 8, 20] {
            let stroke = around(&letters, width);
            for y in 0..59 {
                for x in 0..61 {
                    let error = (f64::from(stroke.at(x, y)) - disc(7.2 + f64::from(width), x, y)).abs();
                    assert!(error < 0.3, "{x} {y} width {width}: {} is off by {error}", stroke.at(x, y));
                }
            }
        }
    }

    #[test]
    fn around_nothing_there_is_nothing() {
        let letters = Coverage::new(Region { left: -3, top: 5, size: Size::new(7, 1) });
        assert!(around(&letters, 100).values.iter().all(|&covered| covered == 0.0));
    }
}
