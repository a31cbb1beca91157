//! Bits into bytes, the first in the lowest (RFC 1951 §3.1.1).

/// Collects bits; whole bytes go to the output.
#[derive(Debug)]
pub(super) struct Bits {
    bytes: Vec<u8>,
    length: usize,
    buffer: u64,
    count: u32,
}

impl Bits {
    /// Writes behind what is there.
    pub(super) fn behind(bytes: Vec<u8>) -> Self {
        Self { length: bytes.len(), bytes, buffer: 0, count: 0 }
    }

    /// Makes room for so many bytes and a word beyond.
    pub(super) fn reserve(&mut self, count: usize) {
        let wanted = self.length + count + 16;
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
    }

    /// Appends bits to at most 56 that have not gone out yet.
    #[inline]
    pub(super) fn add(&mut self, bits: u32, count: u32) {
        debug_assert!(self.count + count <= 64);
        self.buffer |= u64::from(bits) << self.count;
        self.count += count;
    }

    /// Sends whole bytes out; at most 7 bits stay.
    #[inline]
    pub(super) fn flush(&mut self) {
        let word = self.buffer.to_le_bytes();
        self.bytes[self.length..self.length + 8].copy_from_slice(&word);
        let n_bytes = self.count / 8;
        self.length += n_bytes as usize;
        self.buffer = self.buffer.checked_shr(n_bytes * 8).unwrap_or(0);
        self.count %= 8;
    }

    /// Fills the last byte with zeros.
    pub(super) fn align(&mut self) {
        self.count = self.count.next_multiple_of(8);
        self.flush();
    }

    /// Appends bytes where a byte begins.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.count, 0);
        self.reserve(bytes.len());
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// All that was written, with zeros up to the end of the last byte.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.reserve(0);
        self.align();
        self.bytes.truncate(self.length);
        self.bytes
    }
}
