//! How the components of a frame become a picture at a scale of N/8: which corner of its blocks each keeps, and how many
//! times what they make is still smaller than the picture.

use super::entropy::Kept;
use super::structure::{Component, Frame};
use crate::raster::Size;

/// A component at a scale.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scaled {
    /// Samples that a block has on each side, 1 to 8.
    pub(super) side: u32,
    /// How many times fewer samples than the picture it has, in each direction.
    pub(super) reduction: (u32, u32),
    /// Samples that belong to the picture.
    pub(super) size: Size,
    /// Blocks per row and column that the picture needs.
    pub(super) blocks: (u32, u32),
    /// Blocks per MCU where several components are interleaved.
    pub(super) factors: (u32, u32),
}

impl Scaled {
    /// The component of a frame whose picture is decoded at `eighths` eighths; `None` if its sampling factors do not divide
    /// the largest ones. Where it is smaller than the picture it keeps more of its blocks: chroma of half the size at 2/8
    /// is as large as luma at 1/8.
    pub(super) fn new(frame: &Frame, component: &Component, eighths: u32) -> Option<Self> {
        let factors = (u32::from(component.horizontal), u32::from(component.vertical));
        let largest = frame.largest_factors();
        let ratio = (largest.0 / factors.0, largest.1 / factors.1);
        if ratio.0 * factors.0 != largest.0 || ratio.1 * factors.1 != largest.1 {
            return None;
        }
        let enlargement = (1..=4)
            .rev()
            .find(|by| ratio.0.is_multiple_of(*by) && ratio.1.is_multiple_of(*by) && eighths * by <= 8)
            .unwrap_or(1);
        let side = eighths * enlargement;
        let full = Size::new(u32::from(frame.width).div_ceil(ratio.0), u32::from(frame.height).div_ceil(ratio.1));
        Some(Self {
            side,
            reduction: (ratio.0 / enlargement, ratio.1 / enlargement),
            size: Size::new((full.width * side).div_ceil(8), (full.height * side).div_ceil(8)),
            blocks: frame.blocks(component),
            factors,
        })
    }

    /// Coefficients that are kept of a block.
    pub(super) const fn area(&self) -> usize {
        (self.side * self.side) as usize
    }

    /// What is kept of its blocks; the variance of what is not, if it is luma's.
    pub(super) fn kept(&self, is_luma: bool) -> Kept {
        Kept { side: self.side as usize, wants_variance: is_luma && self.side < 8 && self.reduction == (1, 1) }
    }

    /// Blocks in memory per row and column: whole MCUs.
    pub(super) fn padded_blocks(&self) -> (u32, u32) {
        (self.blocks.0.next_multiple_of(self.factors.0), self.blocks.1.next_multiple_of(self.factors.1))
    }

    /// The factors of the kept corner in natural order.
    pub(super) fn corner(&self, table: &[u16; 64]) -> Vec<i16> {
        let mut corner = vec![0; self.area()];
        for (&natural, &factor) in super::structure::NATURAL.iter().zip(table) {
            let (x, y) = (u32::from(natural) % 8, u32::from(natural) / 8);
            if x < self.side && y < self.side {
                corner[(y * self.side + x) as usize] = factor as i16;
            }
        }
        corner
    }
}
