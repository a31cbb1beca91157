//! Walks through the entropy-coded data of a JPEG without decoding it (ITU-T T.81 Annexes F and G): every scan
//! must hold every block that its header promises. Decoders that people trust show a gray rest otherwise.

use super::DecodeError;
use super::huffman::Table;
use super::structure::{Frame, Process, Scan, ScanComponent, Structure};

/// Checks that no block of the picture is missing.
/// # Errors
/// If data ends early, holds a code that is in no table, or lacks a restart marker; if a component is in no
/// scan; if a progressive file has no end marker, since nobody can say then which scans are lost.
pub(in super::super) fn check(structure: &Structure) -> Result<(), DecodeError> {
    let frame = &structure.frame;
    let is_progressive = frame.process == Process::Progressive;
    if is_progressive && !structure.has_end {
        return Err(DecodeError::damaged("the file is cut off between two scans"));
    }
    let mut blocks: Vec<Blocks> = (0..frame.components.len()).map(|index| Blocks::new(frame, index)).collect();
    for scan in &structure.scans {
        Walk::new(frame, scan)?.run(&mut blocks)?;
    }
    if blocks.iter().any(|component| !component.is_begun) {
        return Err(DecodeError::damaged("a component is in no scan"));
    }
    Ok(())
}

/// The blocks of one component.
struct Blocks {
    /// Blocks per row in memory: whole MCUs.
    stride: u32,
    /// Whether a scan has brought the first coefficients.
    is_begun: bool,
    /// For progressive pictures: which coefficients of each block are not zero, bit 0 being the mean.
    nonzero: Vec<u64>,
}

impl Blocks {
    fn new(frame: &Frame, index: usize) -> Self {
        let component = frame.components[index];
        let (columns, rows) = frame.blocks(&component);
        let stride = columns.next_multiple_of(u32::from(component.horizontal));
        let padded_rows = rows.next_multiple_of(u32::from(component.vertical));
        let n_blocks = if frame.process == Process::Progressive { stride as usize * padded_rows as usize } else { 0 };
        Self { stride, is_begun: false, nonzero: vec![0; n_blocks] }
    }
}

/// What a block of a scan consists of.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Coding {
    Whole,
    DcFirst,
    DcRefine,
    AcFirst,
    AcRefine,
}

struct Walk<'a> {
    frame: &'a Frame,
    scan: &'a Scan<'a>,
    coding: Coding,
    bits: Bits<'a>,
    /// Blocks that are still skipped by an end-of-band run.
    run: u32,
}

impl<'a> Walk<'a> {
    fn new(frame: &'a Frame, scan: &'a Scan<'a>) -> Result<Self, DecodeError> {
        let coding = coding(frame, scan).ok_or_else(|| DecodeError::damaged("impossible scan parameters"))?;
        Ok(Self { frame, scan, coding, bits: Bits::new(scan.data), run: 0 })
    }

    fn run(mut self, blocks: &mut [Blocks]) -> Result<(), DecodeError> {
        for component in &self.scan.components {
            let is_dc = matches!(self.coding, Coding::Whole | Coding::DcFirst);
            blocks[component.index].is_begun |= is_dc;
        }
        let (columns, rows) = self.scan.mcus(self.frame);
        let interval = match self.scan.restart_interval {
            0 => u64::MAX,
            interval => u64::from(interval),
        };
        let mut number = 0u64;
        for y in 0..rows {
            for x in 0..columns {
                if number > 0 && number.is_multiple_of(interval) {
                    self.run = 0;
                    self.bits.restart(((number / interval - 1) % 8) as u8)?;
                }
                self.mcu(x, y, blocks)?;
                number += 1;
            }
        }
        Ok(())
    }

    fn mcu(&mut self, x: u32, y: u32, blocks: &mut [Blocks]) -> Result<(), DecodeError> {
        let scan = self.scan;
        if let [component] = &scan.components[..] {
            return self.block(component, x, y, blocks);
        }
        for component in &scan.components {
            let factors = self.frame.components[component.index];
            let (h, v) = (u32::from(factors.horizontal), u32::from(factors.vertical));
            for row in 0..v {
                for column in 0..h {
                    self.block(component, x * h + column, y * v + row, blocks)?;
                }
            }
        }
        Ok(())
    }

    fn block(&mut self, component: &ScanComponent, x: u32, y: u32, blocks: &mut [Blocks]) -> Result<(), DecodeError> {
        let blocks = &mut blocks[component.index];
        let nonzero = blocks.nonzero.get_mut(y as usize * blocks.stride as usize + x as usize);
        let mut unused = 0;
        let nonzero = nonzero.unwrap_or(&mut unused);
        match self.coding {
            Coding::Whole => sequential_block(&mut self.bits, component, |_, _| {}),
            Coding::DcFirst => mean(&mut self.bits, component.dc_table()?).map(drop),
            Coding::DcRefine => self.bits.skip(1),
            Coding::AcFirst => self.first_band(component.ac_table()?, nonzero),
            Coding::AcRefine => self.refine_band(component.ac_table()?, nonzero),
        }
    }

    fn first_band(&mut self, table: &Table, nonzero: &mut u64) -> Result<(), DecodeError> {
        if self.run > 0 {
            self.run -= 1;
            return Ok(());
        }
        let (first, last) = (u32::from(self.scan.spectral.0), u32::from(self.scan.spectral.1));
        let mut position = first;
        while position <= last {
            let symbol = self.bits.symbol(table)?;
            let (zeros, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
            match (zeros, size) {
                (15, 0) => position += 16,
                (exponent, 0) => {
                    self.run = (1 << exponent) - 1 + self.bits.read(exponent)?;
                    return Ok(());
                }
                _ => {
                    position += zeros;
                    if position > last {
                        return Err(DecodeError::damaged("a coefficient behind the end of its band"));
                    }
                    *nonzero |= 1 << position;
                    self.bits.skip(size)?;
                    position += 1;
                }
            }
        }
        Ok(())
    }

    /// T.81 §G.1.2.3: coefficients that are not zero yet take a bit each, wherever they stand between the new ones.
    fn refine_band(&mut self, table: &Table, nonzero: &mut u64) -> Result<(), DecodeError> {
        let (first, last) = (u32::from(self.scan.spectral.0), u32::from(self.scan.spectral.1));
        let mut position = first;
        if self.run == 0 {
            while position <= last {
                let symbol = self.bits.symbol(table)?;
                let (mut zeros, size) = (u32::from(symbol >> 4), symbol & 15);
                if size == 0 && zeros < 15 {
                    self.run = (1 << zeros) + self.bits.read(zeros)?;
                    break;
                }
                if size > 1 {
                    return Err(DecodeError::damaged("a refinement of more than one bit"));
                }
                self.bits.skip(u32::from(size))?;
                while position <= last {
                    if *nonzero >> position & 1 == 1 {
                        self.bits.skip(1)?;
                    } else if zeros == 0 {
                        break;
                    } else {
                        zeros -= 1;
                    }
                    position += 1;
                }
                if size == 1 {
                    if position > last {
                        return Err(DecodeError::damaged("a coefficient behind the end of its band"));
                    }
                    *nonzero |= 1 << position;
                }
                position += 1;
            }
        }
        if self.run > 0 {
            let rest = if position > last { 0 } else { *nonzero >> position & (u64::MAX >> (63 - (last - position))) };
            for _ in 0..rest.count_ones() {
                self.bits.skip(1)?;
            }
            self.run -= 1;
        }
        Ok(())
    }
}

/// How the blocks of a scan are coded; `None` if no scan can be like that.
pub(in super::super) fn coding(frame: &Frame, scan: &Scan) -> Option<Coding> {
    let ((first, last), (high, low)) = (scan.spectral, scan.approximation);
    if frame.process == Process::Sequential {
        // Many encoders write nonsense here, and decoders ignore it: every block is complete.
        return Some(Coding::Whole);
    }
    let is_legal = last < 64 && first <= last && low <= 13 && (high == 0 || high == low + 1);
    if !is_legal {
        return None;
    }
    match (first, last, high) {
        (0, 0, 0) => Some(Coding::DcFirst),
        (0, 0, _) => Some(Coding::DcRefine),
        (0, ..) => None,
        _ if scan.components.len() > 1 => None,
        (.., 0) => Some(Coding::AcFirst),
        _ => Some(Coding::AcRefine),
    }
}

/// Reads a block of a sequential scan (ITU-T T.81 §F.2.2): `coefficient` gets the zigzag position and the value of each
/// that is not zero; at position 0 the difference to the mean before. Checking and decoding both read blocks here, so
/// that what was checked can be decoded.
/// # Errors
/// If the data ends early, holds a code that is in no table, or more than 64 coefficients.
#[inline]
pub(in super::super) fn sequential_block(
    bits: &mut Bits,
    component: &ScanComponent,
    mut coefficient: impl FnMut(usize, i32),
) -> Result<(), DecodeError> {
    coefficient(0, mean(bits, component.dc_table()?)?);
    let table = component.ac_table()?;
    let mut position = 1;
    while position < 64 {
        let symbol = bits.symbol(table)?;
        let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        match (zeros, size) {
            (15, 0) => position += 16,
            (_, 0) => break,
            _ => {
                let value = extended(bits.read(size)?, size);
                position += zeros + 1;
                if position <= 64 {
                    coefficient(position - 1, value);
                }
            }
        }
    }
    if position > 64 { Err(DecodeError::damaged("more than 64 coefficients in a block")) } else { Ok(()) }
}

/// The difference of a block's mean to the one before.
#[inline]
fn mean(bits: &mut Bits, table: &Table) -> Result<i32, DecodeError> {
    let size = u32::from(bits.symbol(table)?);
    if size > 16 {
        return Err(DecodeError::damaged("an impossible difference"));
    }
    Ok(extended(bits.read(size)?, size))
}

/// The value of `size` bits as ITU-T T.81 §F.2.2.1 extends them: the first bit tells the sign.
pub(in super::super) const fn extended(bits: u32, size: u32) -> i32 {
    let value = bits as i32;
    if size > 0 && value < 1 << (size - 1) { value - (1 << size) + 1 } else { value }
}

/// Bits of entropy-coded data, most significant first; 0xFF00 stands for 0xFF, any other 0xFF ends the data.
#[derive(Debug)]
pub(in super::super) struct Bits<'a> {
    rest: &'a [u8],
    /// The next bits, left-aligned.
    buffer: u64,
    available: u32,
}

impl<'a> Bits<'a> {
    pub(in super::super) const fn new(rest: &'a [u8]) -> Self {
        Self { rest, buffer: 0, available: 0 }
    }

    #[inline]
    fn fill(&mut self) {
        // Four bytes at once where none of them can begin a marker.
        if let Some(bytes) = self.rest.first_chunk::<4>()
            && !bytes.contains(&0xFF)
        {
            self.buffer |= u64::from(u32::from_be_bytes(*bytes)) << (32 - self.available);
            self.available += 32;
            self.rest = &self.rest[4..];
            return;
        }
        while self.available <= 48 {
            let (byte, length) = match self.rest {
                [0xFF, 0x00, ..] => (0xFF, 2),
                [0xFF, ..] | [] => return,
                [byte, ..] => (*byte, 1),
            };
            self.buffer |= u64::from(byte) << (56 - self.available);
            self.available += 8;
            self.rest = &self.rest[length..];
        }
    }

    #[inline]
    fn symbol(&mut self, table: &Table) -> Result<u8, DecodeError> {
        if self.available < 32 {
            self.fill();
        }
        let (symbol, length) =
            table.find((self.buffer >> 48) as u32).ok_or_else(|| DecodeError::damaged("an impossible Huffman code"))?;
        self.skip(length)?;
        Ok(symbol)
    }

    /// At most 16 bits.
    #[inline]
    fn skip(&mut self, count: u32) -> Result<(), DecodeError> {
        if self.available < count {
            self.fill();
            if self.available < count {
                return Err(DecodeError::damaged("the image data ends too early"));
            }
        }
        self.buffer <<= count;
        self.available -= count;
        Ok(())
    }

    /// At most 16 bits as a number.
    #[inline]
    fn read(&mut self, count: u32) -> Result<u32, DecodeError> {
        if self.available < count {
            self.fill();
        }
        let value = if count == 0 { 0 } else { (self.buffer >> (64 - count)) as u32 };
        self.skip(count)?;
        Ok(value)
    }

    /// Goes on behind the restart marker of this number, which must be the next thing in the data.
    pub(in super::super) fn restart(&mut self, number: u8) -> Result<(), DecodeError> {
        // A whole byte left over means data that no block has asked for.
        let is_aligned = self.available < 8;
        let fill = self.rest.iter().take_while(|&&byte| byte == 0xFF).count();
        if !is_aligned || fill == 0 || self.rest.get(fill) != Some(&(0xD0 + number)) {
            return Err(DecodeError::damaged("a restart marker is missing"));
        }
        self.rest = &self.rest[fill + 1..];
        (self.buffer, self.available) = (0, 0);
        Ok(())
    }
}
