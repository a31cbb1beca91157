//! The inverse DCT of an 8×8 block: Loeffler, Ligtenberg and Moschytz, "Practical fast 1-D DCT algorithms with 11
//! multiplications" (ICASSP 1989), in 13-bit fixed point with two more bits between the passes.

use std::num::Wrapping;

type Fixed = Wrapping<i32>;

/// Bits of the constants.
const BITS: usize = 13;
/// Bits that the first pass leaves for the second.
const BETWEEN: usize = 2;

/// A constant with `BITS` fractional bits.
const fn constant(value: f64) -> Fixed {
    Wrapping((value * (1 << BITS) as f64 + 0.5) as i32)
}

const C_0_298: Fixed = constant(0.298_631_336);
const C_0_390: Fixed = constant(0.390_180_644);
const C_0_541: Fixed = constant(0.541_196_100);
const C_0_765: Fixed = constant(0.765_366_865);
const C_0_899: Fixed = constant(0.899_976_223);
const C_1_175: Fixed = constant(1.175_875_602);
const C_1_501: Fixed = constant(1.501_321_110);
const C_1_847: Fixed = constant(1.847_759_065);
const C_1_961: Fixed = constant(1.961_570_560);
const C_2_053: Fixed = constant(2.053_119_869);
const C_2_562: Fixed = constant(2.562_915_447);
const C_3_072: Fixed = constant(3.072_711_026);

/// Writes the samples of a block of dequantised coefficients in natural order, eight bytes to each of eight rows that
/// lie `stride` apart. Damaged files may overflow: then the samples are arbitrary, but nothing else happens.
pub(super) fn idct(block: &[i32; 64], samples: &mut [u8], stride: usize) {
    let mut columns = [Wrapping(0); 64];
    for x in 0..8 {
        let column = std::array::from_fn(|y| Wrapping(block[y * 8 + x]));
        let transformed = pass(column, BITS - BETWEEN);
        for (y, value) in transformed.into_iter().enumerate() {
            columns[y * 8 + x] = value;
        }
    }
    for (row, values) in columns.as_chunks::<8>().0.iter().enumerate() {
        let transformed = pass(*values, BITS + BETWEEN + 3);
        let target = &mut samples[row * stride..row * stride + 8];
        for (sample, value) in target.iter_mut().zip(transformed) {
            *sample = (value.0.wrapping_add(128)).clamp(0, 255) as u8;
        }
    }
}

/// One dimension; the result is divided by two to the power of `shift`, rounded.
#[inline]
fn pass(input: [Fixed; 8], shift: usize) -> [Fixed; 8] {
    let [i0, i1, i2, i3, i4, i5, i6, i7] = input;
    // Even part.
    let z = (i2 + i6) * C_0_541;
    let (t2, t3) = (z - i6 * C_1_847, z + i2 * C_0_765);
    let (t0, t1) = ((i0 + i4) << BITS, (i0 - i4) << BITS);
    let even = [t0 + t3, t1 + t2, t1 - t2, t0 - t3];
    // Odd part.
    let (z1, z2, z3, z4) = (i7 + i1, i5 + i3, i7 + i3, i5 + i1);
    let z5 = (z3 + z4) * C_1_175;
    let (z1, z2) = (-z1 * C_0_899, -z2 * C_2_562);
    let (z3, z4) = (z5 - z3 * C_1_961, z5 - z4 * C_0_390);
    let odd = [i1 * C_1_501 + z1 + z4, i3 * C_3_072 + z2 + z3, i5 * C_2_053 + z2 + z4, i7 * C_0_298 + z1 + z3];
    let half = Wrapping(1 << (shift - 1));
    std::array::from_fn(|index| {
        let sum = if index < 4 { even[index] + odd[index] } else { even[7 - index] - odd[7 - index] };
        (sum + half) >> shift
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// ITU-T T.81 §A.3.3 in real numbers.
    fn reference(block: &[i32; 64]) -> [f64; 64] {
        let scale = |index: usize| if index == 0 { std::f64::consts::FRAC_1_SQRT_2 } else { 1.0 };
        let cosine =
            |at: usize, frequency: usize| ((2 * at + 1) as f64 * frequency as f64 * std::f64::consts::PI / 16.0).cos();
        std::array::from_fn(|index| {
            let (x, y) = (index % 8, index / 8);
            let mut sum = 0.0;
            for v in 0..8 {
                for u in 0..8 {
                    sum += scale(u) * scale(v) * f64::from(block[v * 8 + u]) * cosine(x, u) * cosine(y, v);
                }
            }
            sum / 4.0 + 128.0
        })
    }

    proptest! {
        #[test]
        fn samples_are_within_one_of_the_formula(coefficients in proptest::collection::vec(-300i32..300, 64)) {
            let block: [i32; 64] = coefficients.try_into().unwrap();
            let mut samples = [7u8; 80];
            idct(&block, &mut samples, 10);
            for (index, exact) in reference(&block).into_iter().enumerate() {
                let found = f64::from(samples[index / 8 * 10 + index % 8]);
                prop_assert!((found - exact.clamp(0.0, 255.0)).abs() <= 1.0, "{index}: {found} {exact}");
            }
            prop_assert!((0..7).all(|row| samples[row * 10 + 8..row * 10 + 10] == [7, 7]));
        }

        #[test]
        fn nothing_overflows_into_a_panic(coefficients in proptest::collection::vec(proptest::num::i32::ANY, 64)) {
            idct(&coefficients.try_into().unwrap(), &mut [0; 64], 8);
        }
    }
}
