//! Both passes over a window of rows.

use super::kernel::{self, Column, Lines, PAIRS, PixelPair, ROWS, Strip};
use super::weights::Axis;
use crate::simd::Level;

/// Makes output rows, 8 at a time, of pairs of source rows that are appended in order.
pub(super) struct Stage {
    level: Level,
    channels: usize,
    columns: Axis,
    rows: Axis,
    /// Strips of a plane, and of a pair of rows with all planes.
    plane: usize,
    line: usize,
    /// A ring of pairs of rows, `stride` strips apart.
    window: Vec<Strip>,
    stride: usize,
    n_slots: usize,
    /// How many pairs were appended.
    n_pairs: usize,
    /// Where the pairs of the next output rows are in the window.
    starts: Vec<usize>,
    /// 8 output rows at the source's width, and at their own.
    turned: Vec<[PixelPair; PAIRS]>,
    finished: Vec<Column>,
}

impl Stage {
    /// For rows of `width` pixels.
    pub(super) fn new(level: Level, channels: usize, width: u32, columns: Axis, rows: Axis) -> Self {
        let plane = (width as usize).div_ceil(PAIRS * 2);
        let line = plane * channels;
        // An odd number of cache lines: rows at a distance of a power of two would compete for few places.
        let stride = line | 1;
        // Rows of an earlier stage come 8 at a time, so up to three pairs more than are needed.
        let n_slots = rows.widest(ROWS as u32) + 3;
        Self {
            level,
            channels,
            plane,
            line,
            window: vec![[[0; 16]; 2]; stride * n_slots],
            stride,
            n_slots,
            n_pairs: 0,
            starts: Vec::with_capacity(n_slots),
            turned: vec![[[0; 16]; PAIRS]; line],
            finished: vec![[0; ROWS]; columns.len() as usize * channels],
            columns,
            rows,
        }
    }

    /// Whether the output rows from `top` on are made of more pairs than were appended.
    pub(super) fn needs(&self, top: u32) -> bool {
        self.n_pairs < self.pairs(top).1
    }

    /// Appends a pair of rows, which `write` writes; it gets its number, too.
    pub(super) fn append(&mut self, write: impl FnOnce(u32, &mut [Strip])) {
        let start = self.n_pairs % self.n_slots * self.stride;
        write(self.n_pairs as u32, &mut self.window[start..start + self.line]);
        self.n_pairs += 1;
    }

    /// Appends 8 rows that another stage has made.
    pub(super) fn append_columns(&mut self, columns: &[Column]) {
        for pair in 0..ROWS / 2 {
            let (channels, plane) = (self.channels, self.plane);
            self.append(|_, strips| {
                for (channel, strips) in strips.chunks_exact_mut(plane).enumerate() {
                    let pixels = strips.as_flattened_mut().as_flattened_mut().as_chunks_mut::<2>().0;
                    let columns = columns[channel..].iter().step_by(channels);
                    for (pixel, column) in pixels.iter_mut().zip(columns) {
                        *pixel = [column[2 * pair], column[2 * pair + 1]];
                    }
                }
            });
        }
    }

    /// Makes the output rows from `top` on, 8 or as many as there are: columns of them, channels interleaved.
    pub(super) fn rows(&mut self, top: u32) -> &mut [Column] {
        let (first, end) = self.pairs(top);
        self.starts.clear();
        self.starts.extend((first..end).map(|pair| pair % self.n_slots * self.stride));
        let lines = Lines { strips: &self.window, starts: &self.starts, first };
        kernel::vertical(self.level, lines, &self.rows, top, &mut self.turned);
        let turned = self.turned.as_flattened();
        kernel::horizontal(self.level, turned, self.plane * PAIRS, &self.columns, &mut self.finished);
        &mut self.finished
    }

    fn pairs(&self, top: u32) -> (usize, usize) {
        self.rows.pairs(top, (top + ROWS as u32).min(self.rows.len()))
    }
}
