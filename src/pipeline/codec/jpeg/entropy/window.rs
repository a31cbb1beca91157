//! The entropy-coded data of a scan, up to the next marker at most and without the zeros that are stuffed behind 0xFF.

use super::DecodeError;
use super::unstuff::{Stop, unstuff};
use crate::simd::Level;

/// Bytes that are made ready at once: with the tables they share the first-level cache.
const CHUNK: usize = if cfg!(fuzzing) { 1 << 10 } else { 8 << 10 };
/// Zeros behind the end of the data.
const PADDING: usize = 256;
/// How far behind the limit a reader may come between two looks at it, and eight bytes that it reads there.
pub(super) const MARGIN: usize = 128;

#[derive(Debug)]
pub(super) struct Window<'a> {
    level: Level,
    /// What is not in the buffer yet.
    rest: &'a [u8],
    buffer: Box<[u8; CHUNK + PADDING]>,
    /// Bytes of data in the buffer.
    length: usize,
    /// Whether the data ends with the buffer; then zeros follow.
    is_ended: bool,
    /// A place in the data that is looked for: how many bytes there are from it on.
    sought: Option<usize>,
    /// Where that place is in the buffer.
    mark: Option<usize>,
}

impl<'a> Window<'a> {
    pub(super) fn new(level: Level, data: &'a [u8]) -> Self {
        let mut window = Self {
            level,
            rest: data,
            buffer: Box::new([0; CHUNK + PADDING]),
            length: 0,
            is_ended: false,
            sought: None,
            mark: None,
        };
        window.advance(0);
        window
    }

    pub(super) fn bytes(&self) -> &[u8; CHUNK + PADDING] {
        &self.buffer
    }

    /// From here on a reader wants more data; `MARGIN` bytes can be read behind.
    pub(super) fn limit(&self) -> usize {
        if self.is_ended { self.length + PADDING - MARGIN } else { self.length - MARGIN }
    }

    /// Where to stop well before the data ends, or what is sought begins.
    pub(super) fn early_limit(&self) -> usize {
        self.mark.unwrap_or(self.length).saturating_sub(2 * MARGIN)
    }

    /// How many bytes of the data, with stuffed zeros, are not in the buffer yet.
    pub(super) fn n_rest(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Looks for the byte that begins so far before the end of the data. Not in the buffer yet.
    pub(super) fn seek(&mut self, n_behind: usize) {
        self.sought = Some(n_behind).filter(|_| n_behind < self.rest.len());
        self.mark = None;
    }

    /// Where in the buffer is what was sought; `None` if it is not there yet or any more.
    pub(super) fn mark(&self) -> Option<usize> {
        self.mark
    }

    /// How many bytes of data there are behind the first `n` in the buffer. Only before any is dropped, for data that
    /// began with `data`.
    pub(super) fn source_index(data: &[u8], n: usize) -> usize {
        let mut index = 0;
        for _ in 0..n {
            index += if data[index..].starts_with(&[0xFF, 0x00]) { 2 } else { 1 };
        }
        index
    }

    /// How many bits of data there are behind this many; `None` if less than none. Exact only if there is no more to
    /// come.
    pub(super) fn bits_behind(&self, n_bits: usize) -> Option<usize> {
        if self.is_ended { (self.length * 8).checked_sub(n_bits) } else { Some(usize::MAX) }
    }

    /// Drops this many bytes, and makes as many ready as there is room for.
    /// # Errors
    /// If there are no more.
    pub(super) fn refill(&mut self, n_read: usize) -> Result<(), DecodeError> {
        if self.is_ended {
            return Err(DecodeError::damaged("the image data ends too early"));
        }
        self.advance(n_read);
        Ok(())
    }

    fn advance(&mut self, n_read: usize) {
        let n_read = n_read.min(self.length);
        self.buffer.copy_within(n_read..self.length, 0);
        self.length -= n_read;
        self.mark = self.mark.and_then(|mark| mark.checked_sub(n_read));
        while !self.is_ended && self.length < CHUNK {
            let until_sought = self.rest.len() - self.sought.unwrap_or(0).min(self.rest.len());
            if until_sought == 0 && self.sought.take().is_some() {
                self.mark = Some(self.length);
                continue;
            }
            let room = &mut self.buffer[self.length..CHUNK];
            let unstuffed = unstuff(self.level, &self.rest[..until_sought], room);
            self.length += unstuffed.written;
            self.rest = &self.rest[unstuffed.read..];
            match (unstuffed.stop, self.rest) {
                // A stuffed byte that lies across what is sought.
                (Stop::End, [0xFF, 0x00, ..]) if self.length < CHUNK => {
                    self.buffer[self.length] = 0xFF;
                    self.length += 1;
                    self.rest = &self.rest[2..];
                }
                (Stop::End, [0xFF, ..] | []) | (Stop::Marker, _) => self.is_ended = true,
                (Stop::End | Stop::Full, _) => {}
            }
        }
        let length = self.length;
        self.buffer[length..length + PADDING].fill(0);
    }

    /// Goes on behind the restart marker of this number, which must be the next thing behind so many bits.
    /// # Errors
    /// If it is not.
    pub(super) fn restart(&mut self, n_bits: usize, number: u8) -> Result<(), DecodeError> {
        let missing = || DecodeError::damaged("a restart marker is missing");
        self.advance(n_bits / 8);
        // A whole byte left over means data that no block has asked for.
        let is_aligned = self.is_ended && self.length == usize::from(!n_bits.is_multiple_of(8));
        let fill = self.rest.iter().take_while(|&&byte| byte == 0xFF).count();
        if !is_aligned || fill == 0 || self.rest.get(fill) != Some(&(0xD0 + number)) {
            return Err(missing());
        }
        (self.rest, self.length, self.is_ended) = (&self.rest[fill + 1..], 0, false);
        self.advance(0);
        Ok(())
    }
}
