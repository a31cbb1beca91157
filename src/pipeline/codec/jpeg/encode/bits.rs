//! Tokens to entropy-coded data: codes looked up, bits put together, a 0 after each byte of ones.

use super::huffman::Codes;
use super::tokens::{N_CODES, Token};

/// Tokens that are written at once, of at most 28 bits each.
const PIECE: usize = 1024;
const PIECE_BYTES: usize = PIECE * 28 / 8 + 16;

/// The code of each index, shifted for the bits that follow it, and the length of both together.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    code: u32,
    length: u32,
}

/// What every index of a token means.
#[derive(Debug)]
pub(super) struct CodeBook(Box<[Entry; 2 * N_CODES]>);

impl CodeBook {
    /// Without codes, but with bits alone.
    pub(super) fn new() -> Self {
        let mut entries = Box::new([Entry::default(); 2 * N_CODES]);
        for (length, entry) in (0..=16).zip(&mut entries[N_CODES..]) {
            *entry = Entry { code: 0, length };
        }
        Self(entries)
    }

    /// Sets the codes of the table that begins at `index`.
    pub(super) fn set(&mut self, index: u32, codes: &Codes) {
        for (symbol, code, length) in codes.iter() {
            let following = n_following(symbol);
            self.0[index as usize + usize::from(symbol)] =
                Entry { code: code << following, length: length + following };
        }
    }

    #[inline]
    fn find(&self, token: Token) -> (u64, u32) {
        let Entry { code, length } = self.0[token.index() % (2 * N_CODES)];
        (u64::from(code | token.bits()), length)
    }
}

/// The entropy-coded data of a scan.
#[derive(Debug)]
pub(super) struct BitWriter<'a> {
    bytes: &'a mut Vec<u8>,
    /// The lowest `n_pending` bits are to be written, at most 7; what is above them is nothing.
    pending: u64,
    n_pending: u32,
}

/// How many bits follow a symbol: those of a value (T.81 §F.1.2), or of a number of ended blocks (§G.1.2.2).
const fn n_following(symbol: u8) -> u32 {
    match (symbol >> 4, symbol & 15) {
        (15, 0) => 0,
        (run, 0) => run as u32,
        (_, size) => size as u32,
    }
}

impl<'a> BitWriter<'a> {
    pub(super) const fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes, pending: 0, n_pending: 0 }
    }

    /// Writes tokens whose codes are all in the book.
    pub(super) fn write(&mut self, book: &CodeBook, tokens: &[Token]) {
        for piece in tokens.chunks(PIECE) {
            let mut unstuffed = [0; PIECE_BYTES];
            let length = self.pack(book, piece, &mut unstuffed);
            self.stuff(&unstuffed[..length]);
        }
    }

    /// Whole bytes of the piece; what is left over stays pending.
    fn pack(&mut self, book: &CodeBook, piece: &[Token], bytes: &mut [u8; PIECE_BYTES]) -> usize {
        let (mut pending, mut n_pending) = (self.pending, self.n_pending);
        let mut length = 0;
        let (pairs, rest) = piece.as_chunks::<2>();
        // 7 bits and two times 28 fit into 64.
        for &[first, second] in pairs {
            let ((first, n_first), (second, n_second)) = (book.find(first), book.find(second));
            let n_both = n_first + n_second;
            pending = pending.wrapping_shl(n_both) | first.wrapping_shl(n_second) | second;
            n_pending += n_both;
            let place = bytes[length..].first_chunk_mut().expect("a piece has a bound");
            *place = pending.wrapping_shl(64 - n_pending).to_be_bytes();
            length += (n_pending / 8) as usize;
            n_pending %= 8;
        }
        for &token in rest {
            let (bits, n_bits) = book.find(token);
            pending = pending.wrapping_shl(n_bits) | bits;
            n_pending += n_bits;
            let place = bytes[length..].first_chunk_mut().expect("a piece has a bound");
            *place = pending.wrapping_shl(64 - n_pending).to_be_bytes();
            length += (n_pending / 8) as usize;
            n_pending %= 8;
        }
        (self.pending, self.n_pending) = (pending, n_pending);
        length
    }

    fn stuff(&mut self, unstuffed: &[u8]) {
        let mut rest = unstuffed;
        while let Some(index) = memchr::memchr(0xFF, rest) {
            self.bytes.extend_from_slice(&rest[..=index]);
            self.bytes.push(0);
            rest = &rest[index + 1..];
        }
        self.bytes.extend_from_slice(rest);
    }

    /// Fills the last byte with ones.
    pub(super) fn finish(mut self) {
        if self.n_pending > 0 {
            let n_ones = 8 - self.n_pending;
            let byte = (self.pending << n_ones) as u8 | ((1 << n_ones) - 1);
            self.stuff(&[byte]);
        }
    }
}
