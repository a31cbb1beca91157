//! A window of decoded rows of one component.

use super::geometry::Scaled;
use super::idct::{self, BlockRow};
use super::upsample;
use crate::simd::Level;

/// The rows of one component that are decoded and still needed.
#[derive(Debug)]
pub(super) struct Plane {
    pub(super) scaled: Scaled,
    quantisation: Vec<i16>,
    stride: usize,
    /// Decoded rows from `first_row` on.
    rows: Vec<u8>,
    first_row: u32,
    /// Of each row of blocks in `rows` the variances of its blocks; empty if they are not wanted.
    variances: Vec<u16>,
    /// Rows that are decoded or left out, counted from the top of the picture.
    n_rows: u32,
}

/// Rows of blocks that lie one below the other in the same MCUs.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockRows<'a> {
    pub(super) coefficients: &'a [i16],
    /// One of each block, or none.
    pub(super) variances: &'a [u16],
    /// Blocks of a group from left to right, and from top to bottom.
    pub(super) group: (u32, u32),
    pub(super) n_groups: u32,
}

impl Plane {
    /// `quantisation` in zigzag order.
    pub(super) fn new(scaled: Scaled, quantisation: &[u16; 64]) -> Self {
        let stride = (scaled.padded_blocks().0 * scaled.side) as usize;
        let quantisation = scaled.corner(quantisation);
        Self { scaled, quantisation, stride, rows: Vec::new(), first_row: 0, variances: Vec::new(), n_rows: 0 }
    }

    /// Whether a row of the picture needs rows that are not decoded yet.
    pub(super) fn needs_more(&self, y: u32) -> bool {
        let (near, far) = self.neighbours(y);
        near.max(far) >= self.n_rows
    }

    /// Takes the next rows of blocks in. Only the columns from `columns.0` to `columns.1` of the picture are needed, and
    /// rows from picture row `y` on.
    pub(super) fn append(&mut self, level: Level, blocks: BlockRows, y: u32, columns: (u32, u32)) {
        let side = self.scaled.side;
        let (near, far) = self.neighbours(y);
        for row in 0..blocks.group.1 {
            let next = self.n_rows + side;
            if next > near.min(far) {
                self.make_room(near.min(far));
                self.decode(level, blocks, row, columns);
            } else {
                // Nothing above is needed any more, either.
                self.rows.clear();
                self.variances.clear();
            }
            self.n_rows = next;
        }
    }

    /// Drops rows above `lowest` and adds room for a row of blocks.
    fn make_room(&mut self, lowest: u32) {
        let side = self.scaled.side;
        if self.rows.is_empty() {
            self.first_row = self.n_rows;
        }
        // Whole rows of blocks, so that variances go with them.
        let dropped = (lowest.saturating_sub(self.first_row) / side * side).min(self.n_rows - self.first_row);
        let dropped_bytes = dropped as usize * self.stride;
        self.rows.copy_within(dropped_bytes.., 0);
        self.rows.truncate(self.rows.len() - dropped_bytes);
        if !self.variances.is_empty() {
            self.variances.drain(..(dropped / side) as usize * self.blocks_per_row());
        }
        self.first_row += dropped;
        self.rows.resize(self.rows.len() + side as usize * self.stride, 0);
    }

    fn blocks_per_row(&self) -> usize {
        self.stride / self.scaled.side as usize
    }

    fn decode(&mut self, level: Level, blocks: BlockRows, row: u32, columns: (u32, u32)) {
        let side = self.scaled.side as usize;
        let area = self.scaled.area();
        let (across, down) = (blocks.group.0 as usize, blocks.group.1 as usize);
        let (first, last) = self.samples(columns);
        let groups = first / (across * side)..last.div_ceil(across * side).min(blocks.n_groups as usize);
        let step = across * down * area;
        let block_row = BlockRow {
            first: groups.start * step + row as usize * across * area,
            step,
            per_group: across,
            n_groups: groups.len(),
        };
        let start = self.rows.len() - side * self.stride + groups.start * across * side;
        let samples = &mut self.rows[start..];
        idct::inverse(level, side, blocks.coefficients, block_row, &self.quantisation, samples, self.stride);
        if !blocks.variances.is_empty() {
            let start = self.variances.len();
            let of_group = |group: usize| {
                let first = (group * down + row as usize) * across;
                &blocks.variances[first..first + across]
            };
            (0..blocks.n_groups as usize).for_each(|group| self.variances.extend_from_slice(of_group(group)));
            self.variances.resize(start + self.blocks_per_row(), 0);
        }
    }

    /// The two rows of samples that a row of the picture is made of: the nearer one, and the one beyond.
    fn neighbours(&self, y: u32) -> (u32, u32) {
        match self.scaled.reduction.1 {
            1 => (y, y),
            2 if self.is_smooth() => {
                let near = y / 2;
                let last = self.scaled.size.height - 1;
                (near, if y.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(last) })
            }
            by => (y / by, y / by),
        }
    }

    /// Whether samples are spread by triangle filters, as libjpeg does for the usual reductions and unless the picture is
    /// narrower than they reach.
    const fn is_smooth(&self) -> bool {
        match self.scaled.reduction {
            (1, 2) => true,
            (2, 1 | 2) => self.scaled.size.width > 2,
            _ => false,
        }
    }

    /// The samples of a row that some columns of the picture are made of, with one to each side for the filters.
    fn samples(&self, (first, last): (u32, u32)) -> (usize, usize) {
        let by = self.scaled.reduction.0;
        if by == 1 {
            return (first as usize, last as usize);
        }
        let end = (last.div_ceil(by) + 1).min(self.scaled.size.width);
        ((first / by).saturating_sub(1) as usize, end as usize)
    }

    /// A row of the picture between two columns, in `wide` if it has to be made.
    pub(super) fn row<'a>(&'a self, level: Level, y: u32, columns: (u32, u32), wide: &'a mut Vec<u8>) -> &'a [u8] {
        let (near, far) = self.neighbours(y);
        let (first, last) = self.samples(columns);
        let row = |row: u32| {
            let start = (row - self.first_row) as usize * self.stride;
            &self.rows[start + first..start + last]
        };
        let (near_row, far_row) = (row(near), row(far));
        let by = self.scaled.reduction.0 as usize;
        wide.resize(near_row.len() * by, 0);
        match self.scaled.reduction {
            (1, 1) => return near_row,
            (2, 1) if self.is_smooth() => upsample::wider(level, near_row, wide),
            (1, 2) if self.is_smooth() => upsample::higher(level, near_row, far_row, y.is_multiple_of(2), wide),
            (2, 2) if self.is_smooth() => upsample::wider_and_higher(level, near_row, far_row, wide),
            (1, _) => return near_row,
            _ => upsample::repeated(near_row, by, wide),
        }
        let start = columns.0 as usize - first * by;
        &wide[start..start + (columns.1 - columns.0) as usize]
    }

    /// The variance of each sample of a row, if they are there, from column 0 on.
    pub(super) fn variance(&self, y: u32, variance: &mut [u16]) -> bool {
        if self.variances.is_empty() {
            return false;
        }
        let side = self.scaled.side as usize;
        let start = ((y - self.first_row) / self.scaled.side) as usize * self.blocks_per_row();
        let of_blocks = &self.variances[start..start + self.blocks_per_row()];
        match side {
            1 => repeat::<1>(of_blocks, variance),
            2 => repeat::<2>(of_blocks, variance),
            3 => repeat::<3>(of_blocks, variance),
            4 => repeat::<4>(of_blocks, variance),
            5 => repeat::<5>(of_blocks, variance),
            6 => repeat::<6>(of_blocks, variance),
            _ => repeat::<7>(of_blocks, variance),
        }
        true
    }
}

/// Each value `N` times, as far as there is room.
fn repeat<const N: usize>(values: &[u16], repeated: &mut [u16]) {
    let (whole, rest) = repeated.as_chunks_mut::<N>();
    for (repeated, &value) in whole.iter_mut().zip(values) {
        *repeated = [value; N];
    }
    if let Some(&value) = values.get(whole.len()) {
        rest.fill(value);
    }
}
