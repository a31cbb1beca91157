//! Bits of a scan one after the other, most significant first, with few looks at where the data ends.

use super::DecodeError;
use super::huffman::Table;
use super::walk::extended;
use super::window::Window;
use crate::simd::Level;

/// The bits of a scan. Behind the end of the data, zeros are read for a while: `check` tells.
#[derive(Debug)]
pub(in super::super) struct BitStream<'a> {
    window: Window<'a>,
    /// The next byte of the window that is not whole in `word`.
    position: usize,
    /// The next bits, left-aligned.
    word: u64,
    available: u32,
}

impl<'a> BitStream<'a> {
    pub(in super::super) fn new(level: Level, data: &'a [u8]) -> Self {
        Self { window: Window::new(level, data), position: 0, word: 0, available: 0 }
    }

    /// Makes at least 32 bits available.
    #[inline(always)]
    fn fill(&mut self) -> Result<(), DecodeError> {
        if self.available >= 32 { Ok(()) } else { self.refill() }
    }

    /// Makes at least 56 bits available.
    #[inline(always)]
    fn refill(&mut self) -> Result<(), DecodeError> {
        if self.position >= self.window.limit() {
            // Not what is in the word still: positions count from the beginning of the window.
            let n_dropped = self.position.saturating_sub(8);
            self.window.refill(n_dropped)?;
            self.position -= n_dropped;
        }
        // The window has more bytes than this behind its limit.
        let Some(bytes) = self.window.bytes()[self.position..].first_chunk() else { return Ok(()) };
        self.word |= u64::from_be_bytes(*bytes) >> self.available;
        self.position += ((63 - self.available) >> 3) as usize;
        self.available |= 56;
        Ok(())
    }

    /// Calls `take` with the next bits, 56 at least and left-aligned, and goes on by as many as it says, at most 32, until
    /// that is 0.
    /// # Errors
    /// If the data ended some time ago.
    #[inline(always)]
    pub(in super::super) fn go_on(&mut self, mut take: impl FnMut(u64) -> u32) -> Result<(), DecodeError> {
        loop {
            self.refill()?;
            let n_bits = take(self.word);
            if n_bits == 0 {
                return Ok(());
            }
            self.drop(n_bits);
        }
    }

    #[inline(always)]
    fn drop(&mut self, count: u32) {
        self.word <<= count;
        self.available -= count;
    }

    /// The symbol of the next code, and the bits behind it as a value of its lower half: of 0 bits, 0.
    /// # Errors
    /// If there is no such code, or the data ended some time ago.
    #[inline(always)]
    pub(in super::super) fn symbol_and_value(&mut self, table: &Table) -> Result<(u8, i32), DecodeError> {
        let symbol = self.symbol(table)?;
        let size = u32::from(symbol & 15);
        // 16 bits are left at least.
        let bits = (self.word >> 1 >> (63 - size)) as u32;
        self.drop(size);
        Ok((symbol, extended(bits, size)))
    }

    /// The symbol of the next code. 16 bits are available then.
    /// # Errors
    /// If there is no such code, or the data ended some time ago.
    #[inline(always)]
    pub(in super::super) fn symbol(&mut self, table: &Table) -> Result<u8, DecodeError> {
        self.fill()?;
        let found = table.find((self.word >> 48) as u32);
        let (symbol, length) = found.ok_or_else(|| DecodeError::damaged("an impossible Huffman code"))?;
        self.drop(length);
        Ok(symbol)
    }

    /// At most 16 bits as a number.
    /// # Errors
    /// If the data ended some time ago.
    #[inline(always)]
    pub(in super::super) fn read(&mut self, count: u32) -> Result<u32, DecodeError> {
        self.fill()?;
        let bits = (self.word >> 1 >> (63 - count)) as u32;
        self.drop(count);
        Ok(bits)
    }

    /// The next bit.
    /// # Errors
    /// If the data ended some time ago.
    #[inline(always)]
    pub(in super::super) fn bit(&mut self) -> Result<bool, DecodeError> {
        if self.available == 0 {
            self.fill()?;
        }
        let bit = self.word >> 63 == 1;
        self.drop(1);
        Ok(bit)
    }

    fn n_bits(&self) -> usize {
        self.position * 8 - self.available as usize
    }

    /// # Errors
    /// If more was read than there is.
    pub(in super::super) fn check(&self) -> Result<(), DecodeError> {
        let behind = self.window.bits_behind(self.n_bits());
        behind.map(drop).ok_or_else(|| DecodeError::damaged("the image data ends too early"))
    }

    /// Goes on behind the restart marker of this number, which must be the next thing in the data.
    /// # Errors
    /// If it is not.
    pub(in super::super) fn restart(&mut self, number: u8) -> Result<(), DecodeError> {
        self.check()?;
        self.window.restart(self.n_bits(), number)?;
        (self.position, self.word, self.available) = (0, 0, 0);
        Ok(())
    }
}
