//! Huffman codes of at most 16 bits for given counts (ITU-T T.81 §K.2).

/// Longest code that a JPEG may have.
const MAX_LENGTH: usize = 16;

/// Codes, as they stand in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Codes {
    /// How many codes of each length from 1 to 16.
    pub(super) counts: [u8; MAX_LENGTH],
    /// Symbols by rising length.
    pub(super) symbols: Vec<u8>,
}

impl Codes {
    /// The codes that need the fewest bits for symbols that occur so often, but for the limit of length. Symbols that
    /// never occur have none.
    pub(super) fn new(counts: &[u32; 256]) -> Self {
        let mut used: Vec<(u32, u8)> =
            (0..=255).zip(counts).filter(|&(_, &count)| count > 0).map(|(symbol, &count)| (count, symbol)).collect();
        used.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        // No code may be all ones: one symbol more, the rarest of all, has the last one and is never written.
        let weights: Vec<u64> = std::iter::once(0).chain(used.iter().map(|&(count, _)| u64::from(count))).collect();
        let mut n_of_length = limited(&depths(weights));
        if let Some(longest) = n_of_length.iter_mut().rev().find(|count| **count > 0) {
            *longest -= 1;
        }
        let symbols = used.iter().rev().map(|&(_, symbol)| symbol).collect();
        Self { counts: n_of_length, symbols }
    }

    /// Each symbol with its code and the length of that.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u8, u32, u32)> {
        let lengths = (1u32..).zip(self.counts).flat_map(|(length, count)| (0..count).map(move |_| length));
        let mut next = 0;
        let mut last_length = 0;
        self.symbols.iter().zip(lengths).map(move |(&symbol, length)| {
            next <<= length - last_length;
            last_length = length;
            next += 1;
            (symbol, next - 1, length)
        })
    }
}

/// The depth of each leaf of an optimal tree over weights in rising order, at least one: Moffat and Katajainen, "In-place
/// calculation of minimum-redundancy codes" (1995).
fn depths(mut weights: Vec<u64>) -> Vec<u64> {
    let n = weights.len();
    if n == 1 {
        return vec![1];
    }
    // Weights of inner nodes, from the left; then, of each but the root, the index of its parent.
    let (mut leaf, mut root) = (0, 0);
    for next in 0..n - 1 {
        let mut take = |weights: &mut Vec<u64>| {
            if leaf >= n || (root < next && weights[root] < weights[leaf]) {
                let weight = weights[root];
                weights[root] = next as u64;
                root += 1;
                weight
            } else {
                leaf += 1;
                weights[leaf - 1]
            }
        };
        let sum = take(&mut weights) + take(&mut weights);
        weights[next] = sum;
    }
    // Depths of inner nodes.
    weights[n - 2] = 0;
    for node in (0..n - 2).rev() {
        weights[node] = weights[weights[node] as usize] + 1;
    }
    // Depths of leaves, the deepest at the left.
    let (mut available, mut depth) = (1, 0);
    let (mut inner, mut next) = (n as isize - 2, n as isize - 1);
    while available > 0 {
        let mut used = 0;
        while inner >= 0 && weights[inner as usize] == depth {
            used += 1;
            inner -= 1;
        }
        while available > used {
            weights[next as usize] = depth;
            next -= 1;
            available -= 1;
        }
        available = 2 * used;
        depth += 1;
    }
    weights
}

/// How many codes of each length there are when none is longer than 16 (T.81 figure K.3): a pair of too long ones
/// becomes one that is a bit shorter, and the other goes beside a short one.
fn limited(depths: &[u64]) -> [u8; MAX_LENGTH] {
    let mut counts = [0u16; 258];
    for &depth in depths {
        counts[depth as usize] += 1;
    }
    for length in (MAX_LENGTH + 1..counts.len()).rev() {
        while counts[length] > 0 {
            let shorter =
                (1..length - 1).rev().find(|&length| counts[length] > 0).expect("a tree has short codes, too");
            counts[length] -= 2;
            counts[length - 1] += 1;
            counts[shorter + 1] += 2;
            counts[shorter] -= 1;
        }
    }
    std::array::from_fn(|index| counts[index + 1] as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Codes are prefix codes of at most 16 bits, in order, without one of all ones; rarer symbols have no shorter ones.
    fn check(counts: &[u32; 256]) -> u64 {
        let codes = Codes::new(counts);
        let used: Vec<u8> = (0..=255).filter(|&symbol| counts[usize::from(symbol)] > 0).collect();
        let mut symbols = codes.symbols.clone();
        symbols.sort_unstable();
        assert_eq!(symbols, used);
        assert_eq!(codes.counts.iter().map(|&count| usize::from(count)).sum::<usize>(), used.len());
        let mut last: Option<(u32, u32, u32)> = None;
        let mut n_bits = 0;
        for (symbol, code, length) in codes.iter() {
            let count = counts[usize::from(symbol)];
            assert!((1..=16).contains(&length) && code < (1 << length) - 1, "{code:b} of {length}");
            if let Some((last_code, last_length, last_count)) = last {
                assert!(length >= last_length && count <= last_count);
                assert_eq!(code, (last_code + 1) << (length - last_length));
            }
            last = Some((code, length, count));
            n_bits += u64::from(count) * u64::from(length);
        }
        n_bits
    }

    fn counts_of(given: &[u32]) -> [u32; 256] {
        std::array::from_fn(|symbol| given.get(symbol).copied().unwrap_or(0))
    }

    #[test]
    fn extreme_counts_have_legal_codes() {
        let mut fibonacci = vec![1u32, 1];
        while fibonacci.len() < 46 {
            fibonacci.push(fibonacci[fibonacci.len() - 1] + fibonacci[fibonacci.len() - 2]);
        }
        check(&counts_of(&fibonacci));
        let mut halves: Vec<u32> = (0..32).map(|power| 1 << power).collect();
        check(&counts_of(&halves));
        halves.extend([1; 224]);
        check(&counts_of(&halves));
        check(&[1; 256]);
        check(&[u32::MAX; 256]);
        assert_eq!(check(&counts_of(&[])), 0);
        assert_eq!(check(&counts_of(&[9])), 9);
        assert_eq!(check(&counts_of(&[0, 5, 7])), 7 + 10);
    }

    proptest! {
        #[test]
        fn any_counts_have_legal_codes(counts in prop::collection::vec(prop_oneof![Just(0), 1..50u32, any::<u32>()], 256)) {
            check(&counts.try_into().unwrap());
        }

        #[test]
        fn codes_are_near_the_entropy(counts in prop::collection::vec(1..1000u32, 2..256)) {
            let n_bits = check(&counts_of(&counts)) as f64;
            let total: f64 = counts.iter().map(|&count| f64::from(count)).sum();
            let entropy: f64 = counts.iter().map(|&count| f64::from(count) * (total / f64::from(count)).log2()).sum();
            // A symbol costs a bit more at most, and the code that is kept free makes one symbol longer.
            prop_assert!(n_bits >= entropy && n_bits <= entropy + total * 1.01, "{} {}", n_bits, entropy);
        }
    }
}
