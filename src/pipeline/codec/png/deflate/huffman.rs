//! Huffman codes of limited length, and how deflate writes them.

/// A code: for each symbol its bits, the first in the lowest, and their number; 0 for symbols that do not occur.
#[derive(Debug)]
pub(super) struct Code<const N: usize> {
    pub(super) bits: [u16; N],
    pub(super) lengths: [u8; N],
}

impl<const N: usize> Code<N> {
    /// The best code of at most `limit` bits for symbols that occur so often. At least two symbols get a code, which some
    /// decoders insist on.
    pub(super) fn new(counts: &[u32; N], limit: u8) -> Self {
        Self::of_lengths(lengths(counts, limit))
    }

    /// The code that deflate derives from lengths (RFC 1951 §3.2.2).
    pub(super) fn of_lengths(lengths: [u8; N]) -> Self {
        let mut n_of_length = [0u16; 16];
        for &length in &lengths {
            n_of_length[usize::from(length)] += 1;
        }
        n_of_length[0] = 0;
        let mut next = [0u16; 17];
        for length in 1..16 {
            next[length + 1] = (next[length] + n_of_length[length]) << 1;
        }
        let mut bits = [0; N];
        for (bits, &length) in bits.iter_mut().zip(&lengths).filter(|(_, length)| **length > 0) {
            let code = &mut next[usize::from(length)];
            *bits = code.reverse_bits() >> (16 - length);
            *code += 1;
        }
        Self { bits, lengths }
    }

    /// Bits that symbols take which occur so often.
    pub(super) fn cost(&self, counts: &[u32; N]) -> u64 {
        counts.iter().zip(&self.lengths).map(|(&count, &length)| u64::from(count) * u64::from(length)).sum()
    }
}

/// Huffman's lengths; where they are beyond the limit, the tree is made to fit by moving leaves down elsewhere.
fn lengths<const N: usize>(counts: &[u32; N], limit: u8) -> [u8; N] {
    let mut symbols: Vec<(u32, u16)> =
        (0..N).filter(|&symbol| counts[symbol] > 0).map(|symbol| (counts[symbol], symbol as u16)).collect();
    for symbol in 0..2u16 {
        if symbols.len() < 2 && !symbols.iter().any(|&(_, other)| other == symbol) {
            symbols.push((1, symbol));
        }
    }
    symbols.sort_unstable();
    let mut n_of_length = depths(&symbols);
    fit(&mut n_of_length, usize::from(limit));
    let mut lengths = [0; N];
    let mut rarest = symbols.iter();
    for length in (1..n_of_length.len()).rev() {
        for (_, symbol) in rarest.by_ref().take(n_of_length[length] as usize) {
            lengths[usize::from(*symbol)] = length as u8;
        }
    }
    lengths
}

/// How many leaves of Huffman's tree lie at each depth; from leaves in ascending order, by two queues.
fn depths(leaves: &[(u32, u16)]) -> [u32; 64] {
    let n_inner = leaves.len() - 1;
    let (mut weights, mut parents) = (vec![0u32; n_inner], vec![0usize; n_inner]);
    let mut leaf_parents = vec![0usize; leaves.len()];
    let (mut next_leaf, mut next_inner) = (0, 0);
    for inner in 0..n_inner {
        for _ in 0..2 {
            let takes_leaf =
                next_leaf < leaves.len() && (next_inner >= inner || leaves[next_leaf].0 <= weights[next_inner]);
            let weight = if takes_leaf {
                leaf_parents[next_leaf] = inner;
                next_leaf += 1;
                leaves[next_leaf - 1].0
            } else {
                parents[next_inner] = inner;
                next_inner += 1;
                weights[next_inner - 1]
            };
            weights[inner] = weights[inner].saturating_add(weight);
        }
    }
    let mut depths = vec![0usize; n_inner];
    for inner in (0..n_inner - 1).rev() {
        depths[inner] = depths[parents[inner]] + 1;
    }
    let mut n_of_depth = [0; 64];
    // Weights of 32 bits make no tree deeper than 47: they would have to grow like Fibonacci's numbers.
    leaf_parents.iter().for_each(|&parent| n_of_depth[(depths[parent] + 1).min(63)] += 1);
    n_of_depth
}

/// Moves leaves so that none is deeper than the limit and the code stays complete.
fn fit(n_of_length: &mut [u32; 64], limit: usize) {
    let beyond: u32 = n_of_length[limit + 1..].iter().sum();
    n_of_length[limit + 1..].fill(0);
    n_of_length[limit] += beyond;
    // In units of the longest code: what all codes take together of what there is.
    let mut taken: u64 = (1..=limit).map(|length| u64::from(n_of_length[length]) << (limit - length)).sum();
    while taken > 1 << limit {
        // One leaf of the longest goes beside another one, which moves down for it.
        let length = (1..limit).rev().find(|&length| n_of_length[length] > 0).expect("more symbols than codes");
        n_of_length[limit] -= 1;
        n_of_length[length] -= 1;
        n_of_length[length + 1] += 2;
        taken -= 1;
    }
}

/// Order in which the lengths of the code for code lengths are written (RFC 1951 §3.2.7).
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// What stands before a block with codes of its own: the two codes' lengths, packed.
#[derive(Debug)]
pub(super) struct Preamble {
    n_literals: usize,
    n_distances: usize,
    n_codes: usize,
    code: Code<19>,
    /// Symbol and the value of its extra bits.
    symbols: Vec<(u8, u8)>,
}

impl Preamble {
    pub(super) fn new(literals: &[u8; 286], distances: &[u8; 30]) -> Self {
        let used = |lengths: &[u8]| lengths.iter().rposition(|&length| length > 0).map_or(0, |last| last + 1);
        let (n_literals, n_distances) = (used(literals).max(257), used(distances).max(1));
        let lengths: Vec<u8> = [&literals[..n_literals], &distances[..n_distances]].concat();
        let symbols = packed(&lengths);
        let mut counts = [0; 19];
        symbols.iter().for_each(|&(symbol, _)| counts[usize::from(symbol)] += 1);
        let code = Code::new(&counts, 7);
        let n_codes = ORDER.iter().rposition(|&symbol| code.lengths[symbol] > 0).map_or(0, |last| last + 1).max(4);
        Self { n_literals, n_distances, n_codes, code, symbols }
    }

    pub(super) fn n_bits(&self) -> u64 {
        let symbols = self.symbols.iter();
        let packed: u64 = symbols
            .map(|&(symbol, _)| u64::from(self.code.lengths[usize::from(symbol)]) + u64::from(extra(symbol)))
            .sum();
        14 + 3 * self.n_codes as u64 + packed
    }

    pub(super) fn write(&self, bits: &mut super::Bits) {
        bits.add((self.n_literals - 257) as u32, 5);
        bits.add((self.n_distances - 1) as u32, 5);
        bits.add((self.n_codes - 4) as u32, 4);
        bits.flush();
        for &symbol in &ORDER[..self.n_codes] {
            bits.add(u32::from(self.code.lengths[symbol]), 3);
            bits.flush();
        }
        for &(symbol, value) in &self.symbols {
            let index = usize::from(symbol);
            bits.add(u32::from(self.code.bits[index]), u32::from(self.code.lengths[index]));
            bits.add(u32::from(value), extra(symbol));
            bits.flush();
        }
    }
}

/// Extra bits of a symbol of the code for code lengths.
const fn extra(symbol: u8) -> u32 {
    match symbol {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    }
}

/// Runs of equal lengths as one symbol.
fn packed(lengths: &[u8]) -> Vec<(u8, u8)> {
    let mut symbols = Vec::new();
    for run in lengths.chunk_by(|a, b| a == b) {
        let (length, mut count) = (run[0], run.len());
        if length != 0 {
            symbols.push((length, 0));
            count -= 1;
        }
        while count >= 3 {
            let (symbol, least, most) = match (length, count) {
                (0, 11..) => (18, 11, 138),
                (0, _) => (17, 3, 10),
                _ => (16, 3, 6),
            };
            let taken = count.min(most);
            symbols.push((symbol, (taken - least) as u8));
            count -= taken;
        }
        symbols.extend(std::iter::repeat_n((length, 0), count));
    }
    symbols
}
