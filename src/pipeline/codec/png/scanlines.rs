//! The image data of a picture that is not interlaced, inflated some scanlines at a time.
//!
//! Chunk checksums and structure are the library's to check (see `mod.rs`); here the chunks are only strung together.

use fdeflate::{DecompressionError, Decompressor};

use super::DecodeError;

/// How far deflate may refer back (RFC 1951 §2).
const WINDOW: usize = 32 << 10;

/// Inflates image data chunks.
pub(super) struct Scanlines<'a> {
    chunks: std::vec::IntoIter<&'a [u8]>,
    /// What is left of the chunk that is being read.
    input: &'a [u8],
    inflater: Box<Decompressor>,
    /// The last of what was given, for references back, and then what is given next.
    buffer: Vec<u8>,
    length: usize,
}

impl<'a> Scanlines<'a> {
    /// `most` bytes at most are asked for at a time.
    pub(super) fn new(chunks: Vec<&'a [u8]>, most: usize) -> Self {
        let mut chunks = chunks.into_iter();
        let input = chunks.next().unwrap_or_default();
        // Room for several times as much, so that the window is seldom moved.
        let buffer = vec![0; WINDOW + most.max(WINDOW) * 2];
        Self { chunks, input, inflater: Box::new(Decompressor::new()), buffer, length: 0 }
    }

    /// What the buffer takes in memory for `most`.
    pub(super) fn memory(most: usize) -> usize {
        WINDOW + most.max(WINDOW) * 2 + size_of::<Decompressor>()
    }

    /// The next bytes of the inflated data.
    /// # Errors
    /// If it is damaged or too short.
    pub(super) fn next(&mut self, count: usize) -> Result<&[u8], DecodeError> {
        if self.length + count > self.buffer.len() {
            let first = self.length - WINDOW;
            self.buffer.copy_within(first..self.length, 0);
            self.length = WINDOW;
        }
        let (start, end) = (self.length, self.length + count);
        while self.length < end {
            let (read, written) = self.inflate(end)?;
            if read + written == 0 && !self.next_chunk() {
                return Err(DecodeError::damaged("rows are missing"));
            }
        }
        Ok(&self.buffer[start..end])
    }

    /// Checks what comes behind the last scanline: the checksum, if there is one. More data than the picture takes is
    /// ignored, as libpng does.
    pub(super) fn finish(&mut self) -> Result<(), DecodeError> {
        while !self.inflater.is_done() {
            let (read, _) = self.inflate(self.length)?;
            if read == 0 && (!self.input.is_empty() || !self.next_chunk()) {
                break;
            }
        }
        Ok(())
    }

    /// Inflates what is there, up to a place in the buffer; tells how much was read and written.
    fn inflate(&mut self, end: usize) -> Result<(usize, usize), DecodeError> {
        let first = self.length.saturating_sub(WINDOW);
        let output = &mut self.buffer[first..end];
        let (read, written) =
            self.inflater.read(self.input, output, self.length - first, false).map_err(|error| damage(&error))?;
        self.input = &self.input[read..];
        self.length += written;
        Ok((read, written))
    }

    fn next_chunk(&mut self) -> bool {
        self.chunks.next().map(|chunk| self.input = chunk).is_some()
    }
}

fn damage(error: &DecompressionError) -> DecodeError {
    DecodeError::damaged(&format!("the image data is damaged: {error:?}"))
}
