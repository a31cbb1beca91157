//! Scans that are the first to tell coefficients of a band: most of a progressive file. The loop has no jump that depends
//! on what a symbol says, as long as its code and value are short: a wrong guess would cost more than all else.

use std::hint::select_unpredictable as select;
use std::ops::Range;

use super::{Coefficients, DROPPED};
use crate::pipeline::codec::jpeg::DecodeError;
use crate::pipeline::codec::jpeg::entropy::{BitStream, extended};
use crate::pipeline::codec::jpeg::huffman::Table;
use crate::pipeline::codec::jpeg::structure::Scan;
use crate::simd::Level;

/// Bits that a look-up resolves.
const BITS: u32 = 11;
/// What the end of a band adds to the position of the last coefficient.
const END: u32 = 128;
/// Where coefficients are kept that are behind the end of their band.
const IMPOSSIBLE: u8 = 128;

/// What the next bits of a band mean.
///
/// | bits   | a coefficient                | the end of a band                                           |
/// |--------|------------------------------|-------------------------------------------------------------|
/// | 0..8   | bits of the code and value   | bits of the code and the run                                |
/// | 8..16  | what it adds to the position | `END`                                                       |
/// | 16..32 | the value                    | 0                                                           |
/// | 32..   | 1                            | blocks to go on by, this one and those without coefficients |
///
/// 0 for what does not fit, and for 16 zeros.
type Entry = u64;

/// How a scan is read.
#[derive(Debug)]
pub(super) struct Band {
    level: Level,
    entries: Box<[Entry; 1 << BITS]>,
    first: usize,
    last: usize,
    low: u32,
    /// By the position that an entry leads to: where the value is kept, and what it counts for the variance.
    places: [u8; 256],
    weights: [i32; 256],
}

/// Where a reader of bands is.
#[derive(Clone, Copy)]
struct Head {
    block: usize,
    /// Of the last coefficient, in zigzag order.
    position: usize,
    /// All places where coefficients were kept.
    places: u8,
}

impl Band {
    pub(super) fn new(level: Level, table: &Table, scan: &Scan, kept: &Coefficients) -> Self {
        let (first, last) = (usize::from(scan.spectral.0), usize::from(scan.spectral.1));
        let low = u32::from(scan.approximation.1);
        let (mut places, mut weights) = ([DROPPED; 256], [0; 256]);
        for position in 0..64 {
            let is_dropped = kept.places[position] == DROPPED;
            places[position] = if position > last { IMPOSSIBLE } else { kept.places[position] };
            weights[position] = if is_dropped { i32::from(kept.quantisation[position]) } else { 0 };
        }
        places[64..END as usize].fill(IMPOSSIBLE);
        let mut entries = Box::new([0; 1 << BITS]);
        for (symbol, length, range) in table.beginnings(BITS) {
            let n_more = n_more(symbol);
            let Some(free) = BITS.checked_sub(length + n_more).filter(|_| symbol != 0xF0) else { continue };
            for (entries, bits) in entries[range].chunks_exact_mut(1 << free).zip(0..) {
                entries.fill(u64::from(length + n_more) | entry(symbol, bits, low));
            }
        }
        Self { level, entries, first, last, low, places, weights }
    }

    /// Reads bands of blocks beside each other; `run` is how many more are without coefficients.
    pub(super) fn read(
        &self,
        bits: &mut BitStream,
        table: &Table,
        kept: &mut Coefficients,
        blocks: Range<usize>,
        run: &mut u32,
    ) -> Result<(), DecodeError> {
        let mut head = Head { block: blocks.start + *run as usize, position: self.first - 1, places: 0 };
        while head.block < blocks.end {
            match self.level {
                Level::Scalar => self.take_short(bits, kept, &mut head, blocks.end)?,
                #[cfg(target_arch = "x86_64")]
                Level::Avx2(cpu) => avx2::take_short(cpu, self, bits, kept, &mut head, blocks.end)?,
            }
            if head.block < blocks.end {
                self.take_long(bits, table, kept, &mut head)?;
            }
        }
        if head.places & IMPOSSIBLE != 0 {
            return Err(DecodeError::damaged("a coefficient behind the end of its band"));
        }
        *run = (head.block - blocks.end) as u32;
        Ok(())
    }

    /// What is in the entries.
    #[inline(always)]
    fn take_short(
        &self,
        bits: &mut BitStream,
        kept: &mut Coefficients,
        head: &mut Head,
        end: usize,
    ) -> Result<(), DecodeError> {
        match (kept.energies.is_empty(), kept.nonzero.is_empty()) {
            (true, true) => self.take_all::<false, false>(bits, kept, head, end),
            (true, false) => self.take_all::<false, true>(bits, kept, head, end),
            (false, true) => self.take_all::<true, false>(bits, kept, head, end),
            (false, false) => self.take_all::<true, true>(bits, kept, head, end),
        }
    }

    #[inline(always)]
    fn take_all<const HAS_ENERGY: bool, const IS_REFINED: bool>(
        &self,
        bits: &mut BitStream,
        kept: &mut Coefficients,
        to: &mut Head,
        end: usize,
    ) -> Result<(), DecodeError> {
        let mut head = *to;
        bits.go_on(|word| {
            let entry = self.entries[(word >> (64 - BITS)) as usize];
            if entry == 0 || head.block >= end {
                return 0;
            }
            head = self.taken::<HAS_ENERGY, IS_REFINED>(head, kept, entry);
            entry as u32 & 0xFF
        })?;
        *to = head;
        Ok(())
    }

    /// What is not.
    #[cold]
    fn take_long(
        &self,
        bits: &mut BitStream,
        table: &Table,
        kept: &mut Coefficients,
        head: &mut Head,
    ) -> Result<(), DecodeError> {
        let symbol = bits.symbol(table)?;
        if symbol == 0xF0 {
            head.position += 16;
            if head.position >= self.last {
                (head.block, head.position) = (head.block + 1, self.first - 1);
            }
            return Ok(());
        }
        let entry = entry(symbol, bits.read(n_more(symbol))?, self.low);
        *head = self.taken::<true, true>(*head, kept, entry);
        Ok(())
    }

    #[inline(always)]
    fn taken<const HAS_ENERGY: bool, const IS_REFINED: bool>(
        &self,
        head: Head,
        kept: &mut Coefficients,
        entry: Entry,
    ) -> Head {
        let Coefficients { scaled, values, nonzero, energies, .. } = kept;
        let at = head.position + (entry >> 8 & 0xFF) as usize;
        let place = self.places[at & 0xFF];
        let value = (entry >> 16) as i16;
        // What is dropped goes behind the last block.
        let dropped = values.len() - 1;
        values[select(place >= DROPPED, dropped, head.block * scaled.area() + usize::from(place))] = value;
        if HAS_ENERGY && let Some(energy) = energies.get_mut(head.block) {
            let seen = i32::from(value).wrapping_mul(self.weights[at & 0xFF]);
            *energy = energy.saturating_add(seen.wrapping_mul(seen) as u32);
        }
        if IS_REFINED && let Some(nonzero) = nonzero.get_mut(head.block) {
            *nonzero |= u64::from(at < END as usize) << (at & 63);
        }
        let is_last = at >= self.last;
        Head {
            block: head.block + select(is_last, (entry >> 32) as usize, 0),
            position: select(is_last, self.first - 1, at),
            places: head.places | place,
        }
    }
}

/// How many bits follow the code of a symbol other than 16 zeros: those of a value, or of a run.
const fn n_more(symbol: u8) -> u32 {
    let (zeros, size) = (symbol >> 4, symbol & 15);
    (if size == 0 { zeros } else { size }) as u32
}

/// An entry without its length: of a symbol other than 16 zeros, and the bits behind it.
fn entry(symbol: u8, bits: u32, low: u32) -> Entry {
    let (zeros, size) = (u64::from(symbol >> 4), u32::from(symbol & 15));
    if size == 0 {
        let n_blocks = (1 << zeros) + u64::from(bits);
        return u64::from(END) << 8 | n_blocks << 32;
    }
    let value = (extended(bits, size) << low) as u16;
    (zeros + 1) << 8 | u64::from(value) << 16 | 1 << 32
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    //! The same code, compiled for a CPU that has AVX2: it has better shifts, too.
    #![expect(unsafe_code, reason = "entry into a function that needs AVX2")]

    use super::{Band, BitStream, Coefficients, DecodeError, Head};
    use crate::simd::Avx2;

    pub(super) fn take_short(
        _cpu: Avx2,
        band: &Band,
        bits: &mut BitStream,
        kept: &mut Coefficients,
        head: &mut Head,
        end: usize,
    ) -> Result<(), DecodeError> {
        // SAFETY: holding an `Avx2` proves that this CPU has what it stands for.
        unsafe { take_short_avx2(band, bits, kept, head, end) }
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
    fn take_short_avx2(
        band: &Band,
        bits: &mut BitStream,
        kept: &mut Coefficients,
        head: &mut Head,
        end: usize,
    ) -> Result<(), DecodeError> {
        band.take_short(bits, kept, head, end)
    }
}
