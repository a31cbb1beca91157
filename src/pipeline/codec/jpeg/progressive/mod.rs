//! Coefficients of progressive pictures (ITU-T T.81 Annex G): those that a scale shows, in memory. Scans that cannot
//! change them are left out.

mod first;

use std::ops::Range;

use super::DecodeError;
use super::entropy::{BitStream, Coding, MAX_VARIANCE, coding};
use super::geometry::Scaled;
use super::huffman::Table;
use super::plane::BlockRows;
use super::structure::{Frame, NATURAL, Scan, ScanComponent, Structure};
use crate::simd::Level;
use first::Band;

/// What is kept of a progressive picture: two bytes for each coefficient that is shown, eight for each block that a scan
/// refines, and two for the variance of each block of luma.
#[derive(Debug)]
pub(super) struct Progressive {
    components: Vec<Coefficients>,
}

/// The blocks of one component, row by row.
#[derive(Debug)]
struct Coefficients {
    scaled: Scaled,
    /// Blocks per row and column in memory: whole MCUs.
    blocks: (u32, u32),
    /// Side × side of each block, in natural order, and one for whatever is dropped.
    values: Vec<i16>,
    /// Which coefficients of each block are not zero, by zigzag position; empty if no scan that is read refines them.
    nonzero: Vec<u64>,
    /// The energy of each block in what is not kept; empty if it is not wanted.
    energies: Vec<u32>,
    variances: Vec<u16>,
    /// For each zigzag position where the value is kept, or `DROPPED`.
    places: [u8; 64],
    quantisation: [u16; 64],
}

const DROPPED: u8 = 64;

impl Progressive {
    /// Reads the scans of a file that the scaled components need, the first of its frame.
    /// # Errors
    /// If a scan that is read is damaged, a component has no first scan, or the file has no end: nobody can say then which
    /// scans are lost.
    pub(super) fn read(
        level: Level,
        structure: &Structure,
        components: &[Scaled],
        tables: &[[u16; 64]],
    ) -> Result<Self, DecodeError> {
        let frame = &structure.frame;
        if !structure.has_end {
            return Err(DecodeError::damaged("the file is cut off between two scans"));
        }
        let codings = structure
            .scans
            .iter()
            .map(|scan| coding(frame, scan).ok_or_else(|| DecodeError::damaged("impossible scan parameters")));
        let codings = codings.collect::<Result<Vec<_>, _>>()?;
        for index in 0..frame.components.len() {
            let has_first = structure.scans.iter().zip(&codings).any(|(scan, coding)| {
                matches!(coding, Coding::DcFirst) && scan.components.iter().any(|component| component.index == index)
            });
            if !has_first {
                return Err(DecodeError::damaged("a component is in no scan"));
            }
        }
        let needed = needed(structure, &codings, components);
        let mut kept: Vec<Coefficients> = Vec::new();
        for (index, (&scaled, &table)) in components.iter().zip(tables).enumerate() {
            let is_refined = structure.scans.iter().zip(&codings).zip(&needed).any(|((scan, coding), needed)| {
                *needed && matches!(coding, Coding::AcRefine) && scan.components[0].index == index
            });
            kept.push(Coefficients::new(scaled, table, index == 0, is_refined));
        }
        for ((scan, &coding), _) in structure.scans.iter().zip(&codings).zip(&needed).filter(|(_, needed)| **needed) {
            Reader {
                level,
                frame,
                scan,
                coding,
                bits: BitStream::new(level, scan.data),
                run: 0,
                band: None,
                means: [0; 4],
            }
            .run(&mut kept)?;
        }
        kept.iter_mut().for_each(Coefficients::finish);
        Ok(Self { components: kept })
    }

    /// A row of blocks of a component; `None` below the picture.
    pub(super) fn row(&self, component: usize, row: u32) -> Option<BlockRows<'_>> {
        let component = &self.components[component];
        if row >= component.blocks.1 {
            return None;
        }
        let (n_blocks, row) = (component.blocks.0 as usize, row as usize);
        let area = component.scaled.area();
        let variances = match component.variances.is_empty() {
            true => &[][..],
            false => &component.variances[row * n_blocks..(row + 1) * n_blocks],
        };
        Some(BlockRows {
            coefficients: &component.values[row * n_blocks * area..(row + 1) * n_blocks * area],
            variances,
            group: (1, 1),
            n_groups: component.blocks.0,
        })
    }
}

/// Which scans have to be read: those that bring or refine what is kept, those that a refinement builds on, and, for the
/// variance of luma, the first of each band.
fn needed(structure: &Structure, codings: &[Coding], components: &[Scaled]) -> Vec<bool> {
    let mut wanted: Vec<[bool; 64]> = components
        .iter()
        .map(|scaled| std::array::from_fn(|position| place(scaled.side, position) != DROPPED))
        .collect();
    let mut needed = vec![false; codings.len()];
    for (index, (scan, coding)) in structure.scans.iter().zip(codings).enumerate().rev() {
        needed[index] = scan.components.iter().any(|component| {
            let Some(wanted) = wanted.get_mut(component.index) else { return false };
            let band = usize::from(scan.spectral.0)..usize::from(scan.spectral.1) + 1;
            let is_for_variance =
                component.index == 0 && matches!(coding, Coding::AcFirst) && components[0].kept(true).wants_variance;
            let is_needed = is_for_variance || wanted[band.clone()].contains(&true);
            if is_needed && matches!(coding, Coding::AcRefine) {
                wanted[band].fill(true);
            }
            is_needed
        });
    }
    needed
}

/// Where a corner of `side` × `side` keeps a zigzag position.
fn place(side: u32, position: usize) -> u8 {
    let (x, y) = (u32::from(NATURAL[position]) % 8, u32::from(NATURAL[position]) / 8);
    if x < side && y < side { (y * side + x) as u8 } else { DROPPED }
}

impl Coefficients {
    fn new(scaled: Scaled, quantisation: [u16; 64], is_luma: bool, is_refined: bool) -> Self {
        let blocks = scaled.padded_blocks();
        let n_blocks = blocks.0 as usize * blocks.1 as usize;
        let wants_variance = scaled.kept(is_luma).wants_variance;
        Self {
            scaled,
            blocks,
            values: vec![0; n_blocks * scaled.area() + 1],
            nonzero: vec![0; if is_refined { n_blocks } else { 0 }],
            energies: vec![0; if wants_variance { n_blocks } else { 0 }],
            variances: Vec::new(),
            places: std::array::from_fn(|position| place(scaled.side, position)),
            quantisation,
        }
    }

    fn finish(&mut self) {
        let variance = |&energy: &u32| (energy / 64).min(MAX_VARIANCE) as u16;
        self.variances = self.energies.iter().map(variance).collect();
        (self.nonzero, self.energies) = (Vec::new(), Vec::new());
    }

    /// A coefficient that was zero until it was refined: one of the last bits, which variances do without.
    #[inline]
    fn bring(&mut self, block: usize, position: usize, value: i32) {
        let place = self.places[position];
        if place != DROPPED {
            let at = block * self.scaled.area() + usize::from(place);
            self.values[at] = value as i16;
        }
        self.nonzero[block] |= 1 << position;
    }

    /// One more bit of a coefficient that was not zero.
    #[inline]
    fn refine(&mut self, block: usize, position: usize, bit: i16) {
        let place = self.places[position];
        if place != DROPPED {
            let at = block * self.scaled.area() + usize::from(place);
            let value = &mut self.values[at];
            *value = if *value < 0 { value.wrapping_sub(bit) } else { value.wrapping_add(bit) };
        }
    }
}

/// Reads a scan.
struct Reader<'a> {
    level: Level,
    frame: &'a Frame,
    scan: &'a Scan<'a>,
    coding: Coding,
    bits: BitStream<'a>,
    /// Blocks that are still skipped by an end-of-band run.
    run: u32,
    /// Of a scan that is the first for it.
    band: Option<Band>,
    means: [i32; 4],
}

impl Reader<'_> {
    fn run(mut self, kept: &mut [Coefficients]) -> Result<(), DecodeError> {
        let (columns, rows) = self.scan.mcus(self.frame);
        let interval = match self.scan.restart_interval {
            0 => u64::MAX,
            interval => u64::from(interval),
        };
        let (columns, total) = (u64::from(columns), u64::from(columns) * u64::from(rows));
        let mut number = 0u64;
        while number < total {
            if number > 0 && number.is_multiple_of(interval) {
                (self.run, self.means) = (0, [0; 4]);
                self.bits.restart(((number / interval - 1) % 8) as u8)?;
            }
            let (x, y) = (number % columns, number / columns);
            let n_mcus = (columns - x).min(interval - number % interval);
            self.mcus(x as u32..(x + n_mcus) as u32, y as u32, kept)?;
            number += n_mcus;
        }
        self.bits.check()
    }

    /// MCUs beside each other.
    fn mcus(&mut self, columns: Range<u32>, y: u32, kept: &mut [Coefficients]) -> Result<(), DecodeError> {
        let scan = self.scan;
        if let [component] = &scan.components[..] {
            let kept = &mut kept[component.index];
            let first = (y * kept.blocks.0) as usize;
            let blocks = first + columns.start as usize..first + columns.end as usize;
            return match self.coding {
                Coding::AcFirst => {
                    let table = component.ac_table()?;
                    let band = self.band.get_or_insert_with(|| Band::new(self.level, table, scan, kept));
                    band.read(&mut self.bits, table, kept, blocks, &mut self.run)
                }
                Coding::AcRefine => self.refine_bands(component.ac_table()?, kept, blocks),
                _ => blocks.into_iter().try_for_each(|block| self.mean(component, Some((kept, block)))),
            };
        }
        for x in columns {
            for component in &scan.components {
                let factors = self.frame.components[component.index];
                let (h, v) = (u32::from(factors.horizontal), u32::from(factors.vertical));
                for block in 0..h * v {
                    let (column, row) = (x * h + block % h, y * v + block / h);
                    let kept = kept.get_mut(component.index).map(|kept| {
                        let block = (row * kept.blocks.0 + column) as usize;
                        (kept, block)
                    });
                    self.mean(component, kept)?;
                }
            }
        }
        Ok(())
    }

    /// The mean of a block, first or refined.
    #[inline]
    fn mean(&mut self, component: &ScanComponent, kept: Option<(&mut Coefficients, usize)>) -> Result<(), DecodeError> {
        let low = u32::from(self.scan.approximation.1);
        let value = kept.map(|(kept, block)| {
            let area = kept.scaled.area();
            &mut kept.values[block * area]
        });
        if matches!(self.coding, Coding::DcRefine) {
            let bit = i16::from(self.bits.bit()?);
            if let Some(value) = value {
                *value |= bit << low;
            }
            return Ok(());
        }
        let (symbol, difference) = self.bits.symbol_and_value(component.dc_table()?)?;
        if symbol > 15 {
            return Err(DecodeError::damaged("an impossible difference"));
        }
        let mean = &mut self.means[component.index];
        *mean = mean.wrapping_add(difference);
        if let Some(value) = value {
            *value = (*mean << low) as i16;
        }
        Ok(())
    }

    fn refine_bands(
        &mut self,
        table: &Table,
        kept: &mut Coefficients,
        blocks: Range<usize>,
    ) -> Result<(), DecodeError> {
        let last = u32::from(self.scan.spectral.1);
        for block in blocks {
            let mut position = u32::from(self.scan.spectral.0);
            if self.run == 0 {
                position = self.refine_band(table, kept, block)?;
            }
            if self.run > 0 {
                let rest = if position > last { 0 } else { kept.nonzero[block] >> position << position };
                self.refine(rest & (u64::MAX >> (63 - last)), kept, block)?;
                self.run -= 1;
            }
        }
        Ok(())
    }

    /// A bit for each of these coefficients.
    #[inline]
    fn refine(&mut self, mut positions: u64, kept: &mut Coefficients, block: usize) -> Result<(), DecodeError> {
        while positions > 0 {
            if self.bits.bit()? {
                kept.refine(block, positions.trailing_zeros() as usize, 1 << self.scan.approximation.1);
            }
            positions &= positions - 1;
        }
        Ok(())
    }

    /// T.81 §G.1.2.3: coefficients that are not zero yet take a bit each, wherever they stand between the new ones. Returns
    /// the position where the block or its codes end.
    fn refine_band(&mut self, table: &Table, kept: &mut Coefficients, block: usize) -> Result<u32, DecodeError> {
        let (first, last) = (u32::from(self.scan.spectral.0), u32::from(self.scan.spectral.1));
        let bit = 1i32 << self.scan.approximation.1;
        let behind = DecodeError::damaged;
        let mut position = first;
        while position <= last {
            let symbol = self.bits.symbol(table)?;
            let (zeros, size) = (u32::from(symbol >> 4), symbol & 15);
            if size == 0 && zeros < 15 {
                self.run = (1 << zeros) + self.bits.read(zeros)?;
                return Ok(position);
            }
            if size > 1 {
                return Err(behind("a refinement of more than one bit"));
            }
            let is_positive = size == 1 && self.bits.bit()?;
            // The new coefficient, or the end of 16 zeros, is the one behind `zeros` others that are zero.
            let range = u64::MAX >> (63 - last) >> position << position;
            let nonzero = kept.nonzero[block] & range;
            let mut free = !kept.nonzero[block] & range;
            (0..zeros).for_each(|_| free &= free.wrapping_sub(1));
            let next = free.trailing_zeros();
            self.refine(nonzero & !(u64::MAX.checked_shl(next).unwrap_or(0)), kept, block)?;
            if size == 1 {
                if next > last {
                    return Err(behind("a coefficient behind the end of its band"));
                }
                kept.bring(block, next as usize, if is_positive { bit } else { -bit });
            }
            position = next.min(last) + 1;
        }
        Ok(position)
    }
}
