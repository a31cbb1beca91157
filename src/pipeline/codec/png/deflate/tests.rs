//! What is compressed comes back from an inflater that checks everything.

use proptest::prelude::*;

use super::{Search, compress};

fn check(bytes: &[u8]) {
    for search in [Search::Quick, Search::Thorough(1), Search::Thorough(24)] {
        let stream = compress(bytes, search, b"before".to_vec());
        let stream = stream.strip_prefix(b"before").unwrap();
        // Stored, it takes five bytes for each 64 KiB.
        assert!(
            stream.len() <= bytes.len() + bytes.len() / 10_000 + 16,
            "{search:?}: {} of {}",
            stream.len(),
            bytes.len()
        );
        let back = fdeflate::decompress_to_vec(stream).unwrap();
        assert!(back == bytes, "{search:?}, {} bytes", bytes.len());
    }
}

#[test]
fn everything_comes_back() {
    let noise = |index: usize| ((index as u32).wrapping_mul(2_654_435_761) >> 13) as u8;
    for length in (0..40).chain([65_535, 65_536, 98_303, 98_304, 98_305, 200_000]) {
        check(&vec![0; length]);
        check(&(0..length).map(noise).collect::<Vec<_>>());
        check(&(0..length).map(|index| noise(index) & 3).collect::<Vec<_>>());
        check(&(0..length).map(|index| noise(index % 1000)).collect::<Vec<_>>());
        // As far back as it goes, and one further.
        check(&(0..length).map(|index| noise(index % 32_768)).collect::<Vec<_>>());
        check(&(0..length).map(|index| noise(index % 32_769)).collect::<Vec<_>>());
        check(&(0..length).map(|index| if index % 20_000 < 9000 { noise(index) } else { 7 }).collect::<Vec<_>>());
        // Counts like Fibonacci's numbers make the deepest trees.
        check(&(0..length).map(|index| (index + 1).trailing_zeros() as u8 * 3).collect::<Vec<_>>());
    }
}

proptest! {
    #[test]
    fn any_bytes_come_back(
        parts in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..40), 1usize..300), 1..40),
    ) {
        let bytes: Vec<u8> = parts.iter().flat_map(|(part, count)| part.repeat(*count)).collect();
        check(&bytes);
    }
}
