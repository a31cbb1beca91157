//! One block: what the search has found, and how it is written.

use super::Bits;
use super::huffman::{Code, Preamble};

/// Some literals, and then a repetition; of length 0 at the end of a block.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    n_literals: u32,
    length: u16,
    distance: u16,
}

/// Longest code of literals and lengths: four of them fit in a word with what is left of the one before.
const LONGEST: u8 = 14;
const END: usize = 256;

/// Symbols that share one code; more are less alike, fewer are not worth the preamble.
const MAX_SYMBOLS: usize = 12_000;
/// A repetition has two, and extra bits.
const PER_REPETITION: usize = 3;

/// Repetitions of a block, in their order, and how often each symbol occurs.
#[derive(Debug)]
pub(super) struct Block {
    sequences: Vec<Sequence>,
    counts: [u32; 286],
    distance_counts: [u32; 30],
    n_extra_bits: u64,
    n_symbols: usize,
}

/// What symbols took in a block, in bits.
#[derive(Debug)]
pub(super) struct Costs {
    pub(super) literals: [u8; 256],
    /// By length, with extra bits.
    pub(super) lengths: [u8; 259],
    /// By distance symbol, with extra bits.
    pub(super) distances: [u8; 30],
}

impl Costs {
    /// Before anything is known.
    pub(super) fn guessed() -> Self {
        Self { literals: [6; 256], lengths: [7; 259], distances: std::array::from_fn(|symbol| 4 + (symbol / 2) as u8) }
    }
}

impl Block {
    pub(super) fn new() -> Self {
        Self { sequences: Vec::new(), counts: [0; 286], distance_counts: [0; 30], n_extra_bits: 0, n_symbols: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.sequences.clear();
        (self.counts, self.distance_counts, self.n_extra_bits, self.n_symbols) = ([0; 286], [0; 30], 0, 0);
    }

    /// Whether more belongs to it than so many literals that it does not know of yet.
    pub(super) const fn has_room(&self, n_literals: usize) -> bool {
        self.n_symbols + n_literals < MAX_SYMBOLS
    }

    /// Literals, and a repetition of what is `distance` bytes back.
    pub(super) fn push(&mut self, literals: &[u8], length: usize, distance: usize) {
        self.count_literals(literals);
        let (symbol, distance_symbol) = (length_symbol(length), distance_symbol(distance));
        self.counts[symbol] += 1;
        self.distance_counts[distance_symbol] += 1;
        self.n_extra_bits += u64::from(LENGTH_EXTRA[symbol - 257]) + u64::from(distance_extra(distance_symbol));
        self.n_symbols += literals.len() + PER_REPETITION;
        let n_literals = literals.len() as u32;
        // 32768 becomes 0.
        self.sequences.push(Sequence { n_literals, length: length as u16, distance: distance as u16 });
    }

    /// Literals at the end.
    pub(super) fn end(&mut self, literals: &[u8]) {
        self.count_literals(literals);
        self.counts[END] += 1;
        self.sequences.push(Sequence { n_literals: literals.len() as u32, length: 0, distance: 0 });
    }

    fn count_literals(&mut self, literals: &[u8]) {
        if literals.len() < 64 {
            literals.iter().for_each(|&byte| self.counts[usize::from(byte)] += 1);
            return;
        }
        // Four tables, because equal bytes that follow each other would wait for each other.
        let mut tables = [[0u32; 256]; 4];
        let (fours, rest) = literals.as_chunks::<4>();
        for four in fours {
            for (table, &byte) in tables.iter_mut().zip(four) {
                table[usize::from(byte)] += 1;
            }
        }
        rest.iter().for_each(|&byte| tables[0][usize::from(byte)] += 1);
        for byte in 0..256 {
            self.counts[byte] += tables.iter().map(|table| table[byte]).sum::<u32>();
        }
    }

    /// Writes the block, which stands for `bytes`, in whatever way is shortest.
    pub(super) fn write(&self, bytes: &[u8], is_last: bool, bits: &mut Bits) -> Costs {
        let codes =
            Codes { literals: Code::new(&self.counts, LONGEST), distances: Code::new(&self.distance_counts, 15) };
        let preamble = Preamble::new(&codes.literals.lengths, &codes.distances.lengths);
        let fixed = Codes::fixed();
        let n_bits = preamble.n_bits() + self.cost(&codes);
        let n_fixed_bits = self.cost(&fixed);
        let n_stored_bytes = bytes.len() + bytes.len().div_ceil(usize::from(u16::MAX)) * 5 + 1;
        if n_stored_bytes as u64 * 8 <= n_bits.min(n_fixed_bits) {
            stored(bytes, is_last, bits);
        } else if n_fixed_bits <= n_bits {
            bits.reserve((n_fixed_bits / 8) as usize + 16);
            bits.add(u32::from(is_last) | 0b01 << 1, 3);
            bits.flush();
            self.write_symbols(&fixed, bytes, bits);
        } else {
            bits.reserve((n_bits / 8) as usize + 16);
            bits.add(u32::from(is_last) | 0b10 << 1, 3);
            bits.flush();
            preamble.write(bits);
            self.write_symbols(&codes, bytes, bits);
        }
        codes.costs()
    }

    fn cost(&self, codes: &Codes) -> u64 {
        codes.literals.cost(&self.counts) + codes.distances.cost(&self.distance_counts) + self.n_extra_bits
    }

    fn write_symbols(&self, codes: &Codes, bytes: &[u8], bits: &mut Bits) {
        let literals: [(u32, u32); 286] = std::array::from_fn(|symbol| {
            (u32::from(codes.literals.bits[symbol]), u32::from(codes.literals.lengths[symbol]))
        });
        let mut rest = bytes;
        for sequence in &self.sequences {
            let (run, behind) = rest.split_at(sequence.n_literals as usize);
            let (fours, last) = run.as_chunks::<4>();
            for four in fours {
                for &byte in four {
                    let (code, length) = literals[usize::from(byte)];
                    bits.add(code, length);
                }
                bits.flush();
            }
            for &byte in last {
                let (code, length) = literals[usize::from(byte)];
                bits.add(code, length);
            }
            bits.flush();
            let length = usize::from(sequence.length);
            if length > 0 {
                let symbol = length_symbol(length);
                let (code, n_bits) = literals[symbol];
                bits.add(code, n_bits);
                bits.add((length as u32) - u32::from(LENGTH_BASE[symbol - 257]), u32::from(LENGTH_EXTRA[symbol - 257]));
                let distance = if sequence.distance == 0 { 1 << 15 } else { usize::from(sequence.distance) };
                let symbol = distance_symbol(distance);
                bits.add(u32::from(codes.distances.bits[symbol]), u32::from(codes.distances.lengths[symbol]));
                bits.flush();
                bits.add(distance as u32 - distance_base(symbol), distance_extra(symbol));
                bits.flush();
            }
            rest = &behind[length..];
        }
        let (code, length) = literals[END];
        bits.add(code, length);
        bits.flush();
    }
}

fn stored(bytes: &[u8], is_last: bool, bits: &mut Bits) {
    let mut chunks = bytes.chunks(usize::from(u16::MAX)).peekable();
    while let Some(chunk) = chunks.next() {
        bits.reserve(16);
        bits.add(u32::from(is_last && chunks.peek().is_none()), 3);
        bits.align();
        let length = chunk.len() as u16;
        bits.bytes(&length.to_le_bytes());
        bits.bytes(&(!length).to_le_bytes());
        bits.bytes(chunk);
    }
}

struct Codes {
    literals: Code<286>,
    distances: Code<30>,
}

impl Codes {
    /// Those that need no preamble (RFC 1951 §3.2.6).
    fn fixed() -> Self {
        let length = |symbol| match symbol {
            0..144 => 8,
            144..256 => 9,
            256..280 => 7,
            _ => 8,
        };
        // Two symbols that never occur complete the code.
        let whole = Code::<288>::of_lengths(std::array::from_fn(length));
        let literals = Code {
            bits: std::array::from_fn(|symbol| whole.bits[symbol]),
            lengths: std::array::from_fn(|symbol| whole.lengths[symbol]),
        };
        Self { literals, distances: Code::of_lengths([5; 30]) }
    }

    /// Symbols that did not occur are taken to cost as much as the rarest.
    fn costs(&self) -> Costs {
        let cost = |length: u8, rarest| if length == 0 { rarest } else { length };
        Costs {
            literals: std::array::from_fn(|byte| cost(self.literals.lengths[byte], 12)),
            lengths: std::array::from_fn(|length| {
                let symbol = length_symbol(length.max(3));
                cost(self.literals.lengths[symbol], 12) + LENGTH_EXTRA[symbol - 257]
            }),
            distances: std::array::from_fn(|symbol| {
                cost(self.distances.lengths[symbol], 9) + distance_extra(symbol) as u8
            }),
        }
    }
}

/// Shortest length of each symbol, and its extra bits (RFC 1951 §3.2.5).
const LENGTH_BASE: [u16; 29] =
    [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_EXTRA: [u8; 29] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];

/// The symbol of each length from 3 to 258.
const LENGTH_SYMBOLS: [u8; 259] = {
    let mut symbols = [0; 259];
    let mut symbol = 0;
    while symbol < 29 {
        let mut length = LENGTH_BASE[symbol] as usize;
        while length < 259 {
            symbols[length] = symbol as u8;
            length += 1;
        }
        symbol += 1;
    }
    symbols
};

fn length_symbol(length: usize) -> usize {
    257 + usize::from(LENGTH_SYMBOLS[length])
}

/// The symbol of a distance from 1 on: two for each power of two.
pub(super) const fn distance_symbol(distance: usize) -> usize {
    let offset = distance as u32 - 1;
    if offset < 4 {
        return offset as usize;
    }
    let power = offset.ilog2();
    (2 * power + (offset >> (power - 1) & 1)) as usize
}

const fn distance_extra(symbol: usize) -> u32 {
    if symbol < 4 { 0 } else { (symbol / 2 - 1) as u32 }
}

const fn distance_base(symbol: usize) -> u32 {
    if symbol < 4 {
        return symbol as u32 + 1;
    }
    1 + ((2 + (symbol as u32 & 1)) << distance_extra(symbol))
}
