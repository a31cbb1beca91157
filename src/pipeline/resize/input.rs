//! Pairs of rows in linear light, made of the rows of a source, or of means of them.

use std::ops::Range;

use super::weights::Span;
use super::{Source, Strip};
use crate::pipeline::codec::Row;
use crate::pipeline::color::Conversion;
use crate::raster::Rect;
use crate::simd::Level;

/// Which source rows are one row of the vertical pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Groups {
    first: u32,
    n_source_rows: u32,
    /// Rows of the vertical pass: those of the source, or fewer that are means of groups, as large as each other but for
    /// one row.
    pub(super) count: u32,
}

impl Groups {
    /// For the rows that are touched, which shrink by `shrink`. Where that is more than `max_shrink`, about half of it is
    /// left to the filter.
    pub(super) fn new(touched: Rect, shrink: f64, max_shrink: f64) -> Self {
        let size = if shrink > max_shrink { (shrink / (max_shrink / 2.0)) as u32 } else { 1 };
        let n_source_rows = touched.size.height;
        Self { first: touched.y, n_source_rows, count: n_source_rows.div_ceil(size) }
    }

    /// A span of source rows in rows of the vertical pass.
    pub(super) fn span(self, rows: Span) -> Span {
        let share = f64::from(self.count) / f64::from(self.n_source_rows);
        Span { start: (rows.start - f64::from(self.first)) * share, length: rows.length * share }
    }

    const fn is_each_row(self) -> bool {
        self.count == self.n_source_rows
    }

    /// The first source row of a row of the vertical pass.
    fn source_row(self, row: u32) -> u32 {
        self.first + (u64::from(row) * u64::from(self.n_source_rows) / u64::from(self.count)) as u32
    }
}

/// Reads a source in pairs of rows.
pub(super) struct Input<'a, 'source> {
    source: Source<'source>,
    touched: Rect,
    groups: Groups,
    conversion: &'a Conversion,
    level: Level,
    copies: Copies,
    /// Sums of rows that become a mean, and the two that are added.
    sums: Vec<i64>,
    two: Vec<Strip>,
}

impl<'a, 'source> Input<'a, 'source> {
    pub(super) fn new(
        source: Source<'source>,
        touched: Rect,
        groups: Groups,
        conversion: &'a Conversion,
        level: Level,
    ) -> Self {
        let (copies, sums, two) = (Copies::default(), Vec::new(), Vec::new());
        Self { source, touched, groups, conversion, level, copies, sums, two }
    }

    /// Writes the rows `2 · pair` and `2 · pair + 1`; the last one twice if it has no partner.
    pub(super) fn pair(&mut self, pair: u32, strips: &mut [Strip]) {
        let rows = [2 * pair, (2 * pair + 1).min(self.groups.count - 1)];
        if self.groups.is_each_row() {
            self.linearise(rows.map(|row| self.groups.first + row), strips);
            return;
        }
        self.mean(rows[0], 0, strips);
        if rows[1] != rows[0] {
            self.mean(rows[1], 1, strips);
        }
    }

    /// Linear light of two source rows.
    fn linearise(&mut self, [a, b]: [u32; 2], strips: &mut [Strip]) {
        let (touched, bytes) = (self.touched, self.source.layout().channels());
        let Self { source, conversion, level, copies, .. } = self;
        let takes_stored = conversion.takes_stored();
        if let Source::View(view) = source
            && takes_stored
        {
            let rows = [a, b].map(|y| part(Row { samples: view.row(y), variance: None }, touched, bytes));
            conversion.linearise(*level, rows, strips);
            return;
        }
        // A row is lent until the next is asked for.
        copies.clear();
        copies.append(conversion, part(source.row(a), touched, bytes));
        let n_first = (copies.samples.len(), copies.variances.len());
        if b != a {
            let row = part(source.row(b), touched, bytes);
            if takes_stored {
                conversion.linearise(*level, [copies.row(0..n_first.0, 0..n_first.1), row], strips);
                return;
            }
            copies.append(conversion, row);
        }
        let n_both = (copies.samples.len(), copies.variances.len());
        let first = copies.row(0..n_first.0, 0..n_first.1);
        let second = copies.row(n_both.0 - n_first.0..n_both.0, n_both.1 - n_first.1..n_both.1);
        conversion.linearise(*level, [first, second], strips);
    }

    /// The mean of a group of rows, as one half of a pair of rows.
    fn mean(&mut self, row: u32, half: usize, strips: &mut [Strip]) {
        let (start, end) = (self.groups.source_row(row), self.groups.source_row(row + 1));
        let (mut sums, mut two) = (std::mem::take(&mut self.sums), std::mem::take(&mut self.two));
        two.resize(strips.len(), [[0; 16]; 2]);
        sums.clear();
        sums.resize(strips.len() * 16, 0);
        for y in (start..end).step_by(2) {
            let last = (y + 1).min(end - 1);
            self.linearise([y, last], &mut two);
            let samples = two.as_flattened().as_flattened().as_chunks::<2>().0;
            for (sum, &[a, b]) in sums.iter_mut().zip(samples) {
                *sum += i64::from(a) + if last == y { 0 } else { i64::from(b) };
            }
        }
        let count = i64::from(end - start);
        let samples = strips.as_flattened_mut().as_flattened_mut();
        for (pixel, &sum) in samples.as_chunks_mut::<2>().0.iter_mut().zip(&sums) {
            pixel[half] = (sum + count / 2).div_euclid(count) as i16;
        }
        (self.sums, self.two) = (sums, two);
    }
}

/// Copies of rows that tone curves apply to: samples, and variances where there are any.
#[derive(Default)]
struct Copies {
    samples: Vec<u8>,
    variances: Vec<u16>,
}

impl Copies {
    fn clear(&mut self) {
        self.samples.clear();
        self.variances.clear();
    }

    fn append(&mut self, conversion: &Conversion, row: Row) {
        conversion.append_curve_input(row.samples, &mut self.samples);
        self.variances.extend_from_slice(row.variance.unwrap_or_default());
    }

    fn row(&self, samples: Range<usize>, variances: Range<usize>) -> Row<'_> {
        let variance = (!variances.is_empty()).then(|| &self.variances[variances]);
        Row { samples: &self.samples[samples], variance }
    }
}

/// The touched part of a row.
fn part(row: Row<'_>, touched: Rect, bytes: usize) -> Row<'_> {
    let (left, right) = (touched.x as usize, (touched.x + touched.size.width) as usize);
    Row {
        samples: &row.samples[left * bytes..right * bytes],
        variance: row.variance.map(|variance| &variance[left..right]),
    }
}
