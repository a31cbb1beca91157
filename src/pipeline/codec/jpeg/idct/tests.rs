//! Every level against the reference, and the reference against the real formula and libjpeg's method.

use std::num::Wrapping;

use proptest::prelude::*;

use super::*;

const SENTINEL: u8 = 0xA5;

fn orthonormal(side: usize, block: &[i16]) -> Vec<f64> {
    let n = side as f64;
    let scale = |k: usize| if k == 0 { (1.0 / n).sqrt() } else { (2.0 / n).sqrt() };
    let cosine = |at: usize, k: usize| ((2 * at + 1) as f64 * k as f64 * std::f64::consts::PI / (2.0 * n)).cos();
    let sample = |x: usize, y: usize| {
        let terms = (0..side * side).map(|index| {
            let (u, v) = (index % side, index / side);
            scale(u) * scale(v) * f64::from(block[index]) * cosine(x, u) * cosine(y, v)
        });
        terms.sum::<f64>()
    };
    (0..side * side).map(|index| sample(index % side, index / side) * n / 8.0 + 128.0).collect()
}

/// libjpeg's accurate integer method as published, in 32 bits, on dequantised coefficients.
fn islow(block: &[i16]) -> [u8; 64] {
    let mut columns = [Wrapping(0); 64];
    for x in 0..8 {
        let column = islow_pass(std::array::from_fn(|y| Wrapping(i32::from(block[y * 8 + x]))), 11);
        (0..8).for_each(|y| columns[y * 8 + x] = column[y]);
    }
    let mut samples = [0; 64];
    for (row, samples) in columns.as_chunks::<8>().0.iter().zip(samples.as_chunks_mut::<8>().0) {
        *samples = islow_pass(*row, 18).map(|value| (value.0 + 128).clamp(0, 255) as u8);
    }
    samples
}

fn islow_pass([i0, i1, i2, i3, i4, i5, i6, i7]: [Wrapping<i32>; 8], shift: usize) -> [Wrapping<i32>; 8] {
    let c = |value: f64| Wrapping((value * 8192.0 + 0.5) as i32);
    let z = (i2 + i6) * c(0.541_196_100);
    let (t2, t3) = (z - i6 * c(1.847_759_065), z + i2 * c(0.765_366_865));
    let (t0, t1) = ((i0 + i4) << 13, (i0 - i4) << 13);
    let even = [t0 + t3, t1 + t2, t1 - t2, t0 - t3];
    let (z1, z2, z3, z4) = (i7 + i1, i5 + i3, i7 + i3, i5 + i1);
    let z5 = (z3 + z4) * c(1.175_875_602);
    let (z1, z2) = (-z1 * c(0.899_976_223), -z2 * c(2.562_915_447));
    let (z3, z4) = (z5 - z3 * c(1.961_570_560), z5 - z4 * c(0.390_180_644));
    let odd = [
        i1 * c(1.501_321_110) + z1 + z4,
        i3 * c(3.072_711_026) + z2 + z3,
        i5 * c(2.053_119_869) + z2 + z4,
        i7 * c(0.298_631_336) + z1 + z3,
    ];
    std::array::from_fn(|n| {
        let sum = if n < 4 { even[n] + odd[n] } else { even[7 - n] - odd[7 - n] };
        (sum + Wrapping(1 << (shift - 1))) >> shift
    })
}

/// One block by one level, without quantisation.
fn one_block(side: usize, block: &[i16]) -> Vec<u8> {
    let blocks = BlockRow { first: 0, step: 0, per_group: 1, n_groups: 1 };
    let mut samples = vec![0; side * side];
    inverse(Level::Scalar, side, block, blocks, &vec![1; side * side], &mut samples, side);
    samples
}

/// A row of blocks among coefficients, and what surrounds the samples.
#[derive(Clone, Debug)]
struct Case {
    side: usize,
    blocks: BlockRow,
    /// Coefficients behind the last block.
    n_behind: usize,
    quantisation: Vec<i16>,
    gap: usize,
    seed: u64,
    kind: usize,
}

impl Case {
    fn coefficients(&self) -> Vec<i16> {
        let mut state = self.seed | 1;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) as u16
        };
        let length = self.blocks.end(self.side) + self.n_behind;
        let area = self.side * self.side;
        (0..length)
            .map(|index| match self.kind {
                // What pictures have, blocks of a first coefficient alone, extremes, and anything.
                0 => (next() % 41) as i16 - 20,
                1 if (index - self.blocks.first.min(index)) % area == 0 => (next() % 2048) as i16 - 1024,
                1 if next() % 300 == 0 => 3,
                1 => 0,
                2 => [i16::MIN, i16::MAX, 0, -1, 1, 2047, -2047][usize::from(next() % 7)],
                _ => next().cast_signed(),
            })
            .collect()
    }

    fn run(&self, level: Level, coefficients: &[i16]) -> Vec<u8> {
        let width = self.blocks.n_blocks() * self.side;
        let stride = width + self.gap;
        let length = (self.side - 1) * stride + width;
        let mut samples = vec![SENTINEL; length + 32];
        inverse(level, self.side, coefficients, self.blocks, &self.quantisation, &mut samples[16..16 + length], stride);
        for (index, &sample) in samples.iter().enumerate() {
            let inside = index.checked_sub(16).is_some_and(|index| index < length && index % stride < width);
            assert!(inside || sample == SENTINEL, "{level:?} wrote to {index} of {self:?}");
        }
        samples
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let factor = prop_oneof![1..=255_i16, Just(1), any::<i16>()];
    let row = (1..=8_usize, 0..20_usize, 1..=5_usize, 1..=90_usize, 0..70_usize);
    (row, 0..20_usize, prop::collection::vec(factor, 64), 0..40_usize, any::<u64>(), 0..4_usize).prop_map(
        |((side, first, per_group, n_groups, apart), n_behind, factors, gap, seed, kind)| {
            let area = side * side;
            // Without gaps every fourth time.
            let apart = apart.saturating_sub(17);
            let blocks = BlockRow { first, step: per_group * area + apart, per_group, n_groups };
            let n_behind = n_behind.saturating_sub(10);
            Case { side, blocks, n_behind, quantisation: factors[..area].to_vec(), gap, seed, kind }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn every_level_answers_what_scalar_does(case in cases()) {
        let coefficients = case.coefficients();
        let expected = case.run(Level::Scalar, &coefficients);
        for level in Level::available() {
            prop_assert!(case.run(level, &coefficients) == expected, "{:?}", level);
        }
    }

    #[test]
    fn samples_are_within_one_of_the_formula(side in 1..=8_usize, block in prop::collection::vec(-300..=300_i16, 64)) {
        let samples = one_block(side, &block[..side * side]);
        for (&sample, exact) in samples.iter().zip(orthonormal(side, &block)) {
            prop_assert!((f64::from(sample) - exact.clamp(0.0, 255.0)).abs() <= 1.0, "{side}: {sample} {exact}");
        }
    }

    #[test]
    fn one_and_two_are_rounded_to_nearest(side in 1..=2_usize, block in prop::collection::vec(-2047..=2047_i16, 4)) {
        let samples = one_block(side, &block[..side * side]);
        for (&sample, exact) in samples.iter().zip(orthonormal(side, &block)) {
            let nearest = (exact + 1e-9 + 0.5).floor().clamp(0.0, 255.0);
            prop_assert!(f64::from(sample) == nearest, "{side}: {sample} {exact}");
        }
    }

    #[test]
    fn eight_is_the_method_of_libjpeg(block in picture_block()) {
        prop_assert_eq!(one_block(8, &block), islow(&block));
    }
}

/// The coefficients of a block of samples, among them of extremes alone, after quantisation by any factor.
fn picture_block() -> impl Strategy<Value = Vec<i16>> {
    let extreme = prop_oneof![Just(0_u8), Just(255)];
    let samples = prop_oneof![prop::collection::vec(extreme, 64), prop::collection::vec(any::<u8>(), 64)];
    (samples, prop::collection::vec(1..=255_i16, 64)).prop_map(|(samples, factors)| {
        let scale = |k: usize| if k == 0 { 0.5_f64.sqrt() } else { 1.0 };
        let cosine = |at: usize, k: usize| ((2 * at + 1) as f64 * k as f64 * std::f64::consts::PI / 16.0).cos();
        let coefficient = |u: usize, v: usize| {
            let terms =
                (0..64).map(|index| (f64::from(samples[index]) - 128.0) * cosine(index % 8, u) * cosine(index / 8, v));
            terms.sum::<f64>() * scale(u) * scale(v) / 4.0
        };
        let dequantised = |index: usize| {
            let factor = f64::from(factors[index]);
            ((coefficient(index % 8, index / 8) / factor).round() * factor) as i16
        };
        (0..64).map(dequantised).collect()
    })
}

#[test]
fn factors_count_by_their_low_16_bits() {
    let blocks = BlockRow { first: 0, step: 0, per_group: 1, n_groups: 1 };
    let mut samples = [0];
    inverse(Level::Scalar, 1, &[0x101], blocks, &[0x101], &mut samples, 1);
    // 0x10201 becomes 0x0201, an eighth of which is 64.
    assert_eq!(samples, [128 + 64]);
}

#[test]
fn no_blocks_are_no_samples() {
    for level in Level::available() {
        inverse(level, 8, &[], BlockRow { first: 9, step: 9, per_group: 3, n_groups: 0 }, &[1; 64], &mut [], 0);
    }
}

#[test]
#[should_panic(expected = "are too few")]
fn too_few_samples_are_refused() {
    let blocks = BlockRow { first: 0, step: 4, per_group: 1, n_groups: 2 };
    inverse(Level::best(), 2, &[0; 8], blocks, &[1; 4], &mut [0; 7], 4);
}
