//! Every level against the reference, and the reference against what is known of it.

use proptest::prelude::*;

use super::*;

/// Data with stuffed bytes often, seldom or never, and with what ends it.
fn source() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::collection::vec(0..=254_u8, 0..90),
        4 => Just(vec![0xFF, 0x00]),
        1 => Just(vec![0xFF; 3]),
        1 => any::<u8>().prop_map(|code| vec![0xFF, code]),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn every_level_answers_what_scalar_does(source in source(), length in 0..400_usize) {
        let mut expected = vec![0; length];
        let answer = unstuff(Level::Scalar, &source, &mut expected);
        for level in Level::available() {
            let mut target = vec![0xA5; length + 200];
            prop_assert_eq!(unstuff(level, &source, &mut target[100..100 + length]), answer, "{:?}", level);
            prop_assert_eq!(&target[100..100 + answer.written], &expected[..answer.written]);
            prop_assert!(target[..100].iter().chain(&target[100 + length..]).all(|&byte| byte == 0xA5));
        }
    }

    #[test]
    fn stuffed_data_comes_back_in_pieces_of_any_size(data in prop::collection::vec(any::<u8>(), 0..500), size in 1..200_usize) {
        let source: Vec<u8> =
            data.iter().flat_map(|&byte| if byte == 0xFF { vec![0xFF, 0] } else { vec![byte] }).collect();
        for level in Level::available() {
            let (mut rest, mut found, mut piece) = (&source[..], Vec::new(), vec![0; size]);
            loop {
                let answer = unstuff(level, rest, &mut piece);
                found.extend_from_slice(&piece[..answer.written]);
                rest = &rest[answer.read..];
                if answer.stop != Stop::Full {
                    prop_assert_eq!(answer.stop, Stop::End);
                    break;
                }
            }
            prop_assert!(rest.is_empty());
            prop_assert_eq!(&found, &data);
        }
    }
}

#[track_caller]
fn check(source: &[u8], length: usize, written: &[u8], read: usize, stop: Stop) {
    for level in Level::available() {
        // Behind as many bytes as take a level to its widest step, too.
        for before in [0, 64] {
            let source = [&vec![7; before][..], source].concat();
            let mut target = vec![0; before + length];
            let answer = unstuff(level, &source, &mut target);
            assert_eq!(answer, Unstuffed { read: before + read, written: before + written.len(), stop });
            assert_eq!(&target[before..answer.written], written);
        }
    }
}

#[test]
fn markers_are_left_to_be_read() {
    check(&[1, 0xFF, 0xD0, 2], 9, &[1], 1, Stop::Marker);
    check(&[1, 0xFF, 0, 0xFF, 0xD9], 9, &[1, 0xFF], 3, Stop::Marker);
}

#[test]
fn fill_bytes_belong_to_the_marker() {
    check(&[1, 0xFF, 0xFF, 0xFF, 0xD9], 9, &[1], 1, Stop::Marker);
    check(&[1, 0xFF, 0xFF], 9, &[1], 1, Stop::Marker);
}

#[test]
fn half_of_a_stuffed_byte_is_an_end() {
    check(&[1, 2, 0xFF], 9, &[1, 2], 2, Stop::End);
    check(&[0xFF], 9, &[], 0, Stop::End);
    check(&[], 9, &[], 0, Stop::End);
}

#[test]
fn a_full_target_is_told_first() {
    check(&[1, 2, 0xFF, 0xD9], 2, &[1, 2], 2, Stop::Full);
    check(&[1, 0xFF, 0x00], 2, &[1, 0xFF], 3, Stop::Full);
    check(&[1, 2], 2, &[1, 2], 2, Stop::Full);
    check(&[], 0, &[], 0, Stop::Full);
}
