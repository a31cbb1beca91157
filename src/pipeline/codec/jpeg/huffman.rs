//! Huffman tables (ITU-T T.81 §C.2) for walking through entropy-coded data.

use std::ops::Range;

use super::DecodeError;

/// Bits that one look-up resolves; longer codes are rare.
const LOOKUP_BITS: u32 = 10;

/// A table that turns the next bits into a symbol and the length of its code.
#[derive(Debug)]
pub(super) struct Table {
    /// Symbol and code length by the next `LOOKUP_BITS` bits; length 0 where the code is longer.
    lookup: Box<[(u8, u8); 1 << LOOKUP_BITS]>,
    /// For codes of each length: the first code that is longer, left-aligned to 16 bits.
    limits: [u32; 17],
    /// For codes of each length: what to add to a code to find its symbol.
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

impl Table {
    /// `counts` codes of each length from 1 to 16, and their symbols in order.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, DecodeError> {
        if symbols.len() > 256 {
            return Err(DecodeError::damaged("a Huffman table of more than 256 codes"));
        }
        let mut lookup = Box::new([(0, 0); 1 << LOOKUP_BITS]);
        let (mut limits, mut offsets) = ([0; 17], [0; 17]);
        let (mut code, mut index) = (0u32, 0usize);
        for (length, &count) in (1u32..).zip(counts) {
            offsets[length as usize] = index as i32 - code as i32;
            for _ in 0..count {
                if code >= 1 << length {
                    return Err(DecodeError::damaged("a Huffman table with too many codes of a length"));
                }
                if length <= LOOKUP_BITS {
                    let first = (code << (LOOKUP_BITS - length)) as usize;
                    lookup[first..first + (1 << (LOOKUP_BITS - length))].fill((symbols[index], length as u8));
                }
                code += 1;
                index += 1;
            }
            limits[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Ok(Self { lookup, limits, offsets, symbols: symbols.to_vec() })
    }

    /// Symbol, length and code of every entry, shorter codes first.
    pub(super) fn codes(&self) -> impl Iterator<Item = (u8, u32, u32)> {
        let mut index = 0;
        (1..=16u32).flat_map(move |length| {
            let first = (index as i32 - self.offsets[length as usize]) as u32;
            let count = (self.limits[length as usize] >> (16 - length)) - first;
            let symbols = &self.symbols[index..index + count as usize];
            index += symbols.len();
            symbols.iter().zip(first..).map(move |(&symbol, code)| (symbol, length, code))
        })
    }

    /// Symbol and length of every code of at most `bits` bits, shorter ones first, and which numbers of so many bits begin
    /// with it.
    pub(super) fn beginnings(&self, bits: u32) -> impl Iterator<Item = (u8, u32, Range<usize>)> {
        self.codes().take_while(move |&(_, length, _)| length <= bits).map(move |(symbol, length, code)| {
            let (first, free) = ((code as usize) << (bits - length), bits - length);
            (symbol, length, first..first + (1 << free))
        })
    }

    /// The symbol and code length that `bits`, 16 of them, begin with.
    #[inline]
    pub(super) fn find(&self, bits: u32) -> Option<(u8, u32)> {
        let (symbol, length) = self.lookup[(bits >> (16 - LOOKUP_BITS)) as usize];
        if length > 0 {
            return Some((symbol, u32::from(length)));
        }
        let length = (LOOKUP_BITS + 1..=16).find(|&length| bits < self.limits[length as usize])?;
        let index = (bits >> (16 - length)) as i32 + self.offsets[length as usize];
        usize::try_from(index).ok().and_then(|index| self.symbols.get(index)).map(|&symbol| (symbol, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_at_every_length() {
        // One code of each length from 1 to 16: 0, 10, 110 and so on.
        let symbols: Vec<u8> = (1..=16).collect();
        let table = Table::new(&[1; 16], &symbols).unwrap();
        for length in 1..=16u32 {
            let code = (0xFFFF << (17 - length)) & 0xFFFF;
            assert_eq!(table.find(code), Some((length as u8, length)), "{length}");
        }
        assert_eq!(table.find(0xFFFF), None);
    }

    #[test]
    fn impossible_tables_are_refused() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Table::new(&counts, &[1, 2, 3]).is_err());
    }
}
