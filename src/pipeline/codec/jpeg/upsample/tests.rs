//! Every level against the reference, and the reference against what is known of it.

use proptest::prelude::*;

use super::*;

const AROUND: usize = 40;
const SENTINEL: u8 = 0xA5;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(0), 1 => Just(255)], 300)
}

/// What a kernel makes of a row, with sentinels around it.
fn run(length: usize, kernel: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut out = vec![SENTINEL; length + 2 * AROUND];
    kernel(&mut out[AROUND..AROUND + length]);
    assert!(out[..AROUND].iter().chain(&out[AROUND + length..]).all(|&byte| byte == SENTINEL));
    out[AROUND..AROUND + length].to_vec()
}

type Kernel<'a> = dyn Fn(Level, &mut [u8]) + 'a;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn every_level_answers_what_scalar_does(near in bytes(), far in bytes(), n in 1..=300_usize, is_odd: bool) {
        let (near, far) = (&near[..n], &far[..n]);
        let wide = 2 * n - usize::from(is_odd);
        for level in Level::available() {
            let kernels: [(usize, &Kernel); 4] = [
                (wide, &|level, out| wider(level, near, out)),
                (wide, &|level, out| wider_and_higher(level, near, far, out)),
                (n, &|level, out| higher(level, near, far, true, out)),
                (n, &|level, out| higher(level, near, far, false, out)),
            ];
            for (length, kernel) in kernels {
                let expected = run(length, |out| kernel(Level::Scalar, out));
                prop_assert_eq!(run(length, |out| kernel(level, out)), expected, "{:?}", level);
            }
        }
    }

    #[test]
    fn both_at_once_are_one_after_the_other_but_for_rounding(near in bytes(), far in bytes(), n in 1..=300_usize) {
        let (near, far) = (&near[..n], &far[..n]);
        let at_once = run(2 * n, |out| wider_and_higher(Level::Scalar, near, far, out));
        let high = run(n, |out| higher(Level::Scalar, near, far, true, out));
        let after = run(2 * n, |out| wider(Level::Scalar, &high, out));
        prop_assert!(at_once.iter().zip(after).all(|(&a, b)| a.abs_diff(b) <= 1));
    }

    #[test]
    fn repeated_rows_have_every_sample_so_often(row in bytes(), n in 1..=300_usize, factor in 2..=5_usize, less in 0..5_usize) {
        let length = n * factor - less.min(factor - 1);
        let wide = run(length, |out| repeated(&row[..n], factor, out));
        prop_assert!(wide.iter().enumerate().all(|(x, &sample)| sample == row[x / factor]));
    }
}

#[test]
fn halves_go_down_and_up_in_turn() {
    for level in Level::available() {
        // 3 · 2 + 0 quarters are one and a half.
        let [mut upper, mut lower] = [[9; 40]; 2];
        higher(level, &[2; 40], &[0; 40], true, &mut upper);
        higher(level, &[2; 40], &[0; 40], false, &mut lower);
        assert_eq!((upper, lower), ([1; 40], [2; 40]));
    }
}

#[test]
fn every_two_samples_are_mixed_exactly() {
    let row: Vec<u8> = (0..=255).flat_map(|a| (0..=255).flat_map(move |b| [a, b])).collect();
    for level in Level::available() {
        let wide = run(2 * row.len(), |out| wider(level, &row, out));
        for (x, pair) in wide.as_chunks::<2>().0.iter().enumerate() {
            let near = 3 * u32::from(row[x]);
            let (before, after) = (row[x.saturating_sub(1)], row[(x + 1).min(row.len() - 1)]);
            let expected = [(near + u32::from(before) + 1) / 4, (near + u32::from(after) + 2) / 4];
            assert_eq!(pair.map(u32::from), expected, "{level:?}, sample {x}");
        }
    }
}
