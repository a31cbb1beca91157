//! A decoder that gives one row after the other and holds no more than two rows of MCUs: for pictures so large that
//! they should not stand in memory whole. Sequential, one scan, one or three components.
//!
//! The arithmetic is that of libjpeg's accurate integer method: the inverse DCT of Loeffler, Ligtenberg and Moschytz in
//! 13-bit fixed point, triangle filters for chroma of half size, and the conversion of JFIF 1.02 in 16-bit fixed point.

use super::entropy::{Bits, sequential_block};
use super::idct;
use super::structure::{Process, Scan, Structure};
use super::{DecodeError, upsample};
use crate::raster::{Layout, Size};

/// Natural position of the coefficients in zigzag order (ITU-T T.81 Figure A.6).
const NATURAL: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// Gives rows in ascending order; any may be left out.
#[derive(Debug)]
pub struct RowDecoder<'a> {
    size: Size,
    scan: Scan<'a>,
    bits: Bits<'a>,
    planes: Vec<Plane>,
    /// MCUs per row, rows of MCUs, and how many of those are decoded.
    mcus: (u32, u32),
    n_mcu_rows: u32,
    /// The row that was given last, one plane after the other and then as pixels.
    samples: Vec<Vec<u8>>,
    pixels: Vec<u8>,
}

/// A component: a window of decoded rows, and what its blocks need.
#[derive(Debug)]
struct Plane {
    /// Blocks per MCU.
    blocks: (u32, u32),
    /// How many times smaller than the picture: 1 or 2 in each direction.
    reduction: (u32, u32),
    /// Samples that belong to the picture.
    size: Size,
    quantisation: [u16; 64],
    prediction: i32,
    stride: usize,
    /// Decoded rows from `first_row` on.
    rows: Vec<u8>,
    first_row: u32,
}

impl<'a> RowDecoder<'a> {
    /// A decoder for a file whose entropy-coded data has been checked; `None` if it is not of the kind that this takes.
    pub(super) fn new(structure: &Structure<'a>) -> Option<Self> {
        let frame = &structure.frame;
        let [scan] = &structure.scans[..] else { return None };
        let is_whole = scan.components.len() == frame.components.len() && matches!(frame.components.len(), 1 | 3);
        let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
        let is_rgb = structure.adobe_transform == Some(0) || ids == *b"RGB";
        if frame.process != Process::Sequential || !is_whole || is_rgb {
            return None;
        }
        let (h_max, v_max) = frame.largest_factors();
        let size = frame.size();
        // A scan of one component has MCUs of one block, whatever its sampling factors say.
        let is_single = frame.components.len() == 1;
        let mcu = if is_single { (8, 8) } else { (8 * h_max, 8 * v_max) };
        let mcus = (size.width.div_ceil(mcu.0), size.height.div_ceil(mcu.1));
        let mut planes = Vec::new();
        for component in &frame.components {
            let (h, v) = (u32::from(component.horizontal), u32::from(component.vertical));
            let reduction = (h_max / h, v_max / v);
            if reduction.0 * h != h_max || reduction.1 * v != v_max || reduction.0 > 2 || reduction.1 > 2 {
                return None;
            }
            let blocks = if is_single { (1, 1) } else { (h, v) };
            planes.push(Plane {
                blocks,
                reduction,
                size: Size::new(size.width.div_ceil(reduction.0), size.height.div_ceil(reduction.1)),
                quantisation: structure.quantisation(component)?,
                prediction: 0,
                stride: (mcus.0 * blocks.0 * 8) as usize,
                rows: Vec::new(),
                first_row: 0,
            });
        }
        let samples = vec![vec![0; size.width as usize]; planes.len()];
        let pixels = vec![0; size.width as usize * planes.len()];
        let (scan, bits) = (scan.clone(), Bits::new(scan.data));
        Some(Self { size, scan, bits, planes, mcus, n_mcu_rows: 0, samples, pixels })
    }

    /// Width and height as stored.
    #[must_use]
    pub const fn size(&self) -> Size {
        self.size
    }

    /// Gray or RGB.
    #[must_use]
    pub fn layout(&self) -> Layout {
        if self.planes.len() == 1 { Layout::Gray } else { Layout::Rgb }
    }

    /// A row of pixels.
    /// # Panics
    /// If the row is above one that was given before, or below the picture.
    pub fn row(&mut self, y: u32) -> &[u8] {
        assert!(y < self.size.height, "row {y} of {}", self.size.height);
        while self.planes.iter().any(|plane| plane.needs_more(y)) {
            self.mcu_row().expect("the data was checked to hold every block");
        }
        for (plane, samples) in self.planes.iter().zip(&mut self.samples) {
            plane.sample(y, samples);
        }
        match &self.samples[..] {
            [y, cb, cr] => upsample::to_rgb(y, cb, cr, &mut self.pixels),
            gray => self.pixels.copy_from_slice(&gray[0]),
        }
        &self.pixels
    }

    /// Decodes the next row of MCUs, and drops what no row needs any more.
    fn mcu_row(&mut self) -> Result<(), DecodeError> {
        for plane in &mut self.planes {
            plane.make_room();
        }
        let interval = u64::from(self.scan.restart_interval);
        let y = self.n_mcu_rows;
        for x in 0..self.mcus.0 {
            let number = u64::from(y) * u64::from(self.mcus.0) + u64::from(x);
            if interval > 0 && number > 0 && number.is_multiple_of(interval) {
                self.bits.restart(((number / interval - 1) % 8) as u8)?;
                self.planes.iter_mut().for_each(|plane| plane.prediction = 0);
            }
            for index in 0..self.scan.components.len() {
                self.component(index, x)?;
            }
        }
        self.n_mcu_rows += 1;
        Ok(())
    }

    /// All blocks of one component in one MCU.
    fn component(&mut self, index: usize, x: u32) -> Result<(), DecodeError> {
        let component = &self.scan.components[index];
        let plane = &mut self.planes[component.index];
        let top = plane.rows.len() - plane.stride * plane.blocks.1 as usize * 8;
        for row in 0..plane.blocks.1 {
            for column in 0..plane.blocks.0 {
                let mut block = [0i32; 64];
                sequential_block(&mut self.bits, component, |position, value| match position {
                    0 => plane.prediction = plane.prediction.wrapping_add(value),
                    _ => {
                        let step = i32::from(plane.quantisation[position]);
                        block[usize::from(NATURAL[position])] = value.wrapping_mul(step);
                    }
                })?;
                block[0] = plane.prediction.wrapping_mul(i32::from(plane.quantisation[0]));
                let left = (x * plane.blocks.0 + column) as usize * 8;
                let start = top + row as usize * 8 * plane.stride + left;
                idct::idct(&block, &mut plane.rows[start..], plane.stride);
            }
        }
        Ok(())
    }
}

impl Plane {
    /// Rows that are decoded, counted from the top of the picture.
    fn n_rows(&self) -> u32 {
        self.first_row + (self.rows.len() / self.stride) as u32
    }

    /// The two rows of samples that a row of the picture is made of: the nearer one, and the one beyond.
    fn neighbours(&self, y: u32) -> (u32, u32) {
        if self.reduction.1 == 1 {
            return (y, y);
        }
        let near = y / 2;
        let far = if y.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(self.size.height - 1) };
        (near, far)
    }

    fn needs_more(&self, y: u32) -> bool {
        let (near, far) = self.neighbours(y);
        near.max(far) >= self.n_rows()
    }

    /// Appends room for a row of MCUs. Rows are asked for in order and decoded when they are needed: no row reaches
    /// further back than the last one before this.
    fn make_room(&mut self) {
        let kept = self.rows.len().min(self.stride);
        let dropped = self.rows.len() - kept;
        self.first_row += (dropped / self.stride) as u32;
        self.rows.drain(..dropped);
        self.rows.resize(kept + self.stride * self.blocks.1 as usize * 8, 0);
    }

    /// A row of the picture, at its full width.
    fn sample(&self, y: u32, samples: &mut [u8]) {
        let (near, far) = self.neighbours(y);
        let row = |row: u32| {
            let start = (row - self.first_row) as usize * self.stride;
            &self.rows[start..start + self.size.width as usize]
        };
        match self.reduction {
            (1, 1) => samples.copy_from_slice(row(near)),
            (2, 1) => upsample::wider(row(near), samples),
            (1, _) => upsample::higher(row(near), row(far), y.is_multiple_of(2), samples),
            _ => upsample::wider_and_higher(row(near), row(far), samples),
        }
    }
}
