//! The matrices of one-dimensional inverse DCTs in fixed point. Row n has what each coefficient adds to sample n: 1 for
//! the first, √2 · cos((2n + 1)kπ / 2N) for the k-th; two passes make eight times the samples.

/// Bits behind the point.
const BITS: i32 = 13;

/// Bits that the first pass leaves for the second.
const BETWEEN: i32 = 2;

/// How far the sums of the first pass are shifted to the right, and those of the second.
pub(super) const SHIFTS: [i32; 2] = [BITS - BETWEEN, BITS + BETWEEN + 3];

/// The matrix of N samples.
pub(super) struct Basis<const N: usize>;

impl<const N: usize> Basis<N> {
    pub(super) const MATRIX: [[i16; N]; N] = {
        let mut matrix = [[0; N]; N];
        let (mut n, mut k) = (0, 0);
        while n < N {
            matrix[n][k] = if N == 8 { loeffler(n, k) } else { entry(N, n, k) };
            k += 1;
            if k == N {
                (n, k) = (n + 1, 0);
            }
        }
        matrix
    };
}

/// To nearest, so that halves of the matrix are equal but for the sign.
const fn entry(side: usize, n: usize, k: usize) -> i16 {
    if k == 0 {
        return 1 << BITS;
    }
    // In units of π / 2N: a whole turn is 4N, and one half of it mirrors the other.
    let turned = (2 * n + 1) * k % (4 * side);
    let turned = if turned > 2 * side { 4 * side - turned } else { turned };
    let (is_negative, acute) = if turned > side { (true, 2 * side - turned) } else { (false, turned) };
    let angle = acute as f64 * std::f64::consts::PI / (2 * side) as f64;
    let magnitude = fixed(std::f64::consts::SQRT_2 * cosine(angle));
    if is_negative { -magnitude } else { magnitude }
}

/// Of an angle from 0 to π / 2, by its series; the compiler has no cosine.
const fn cosine(angle: f64) -> f64 {
    let (mut sum, mut term, mut index) = (1.0, 1.0, 0);
    while index < 24 {
        term *= -angle * angle / ((index + 1) * (index + 2)) as f64;
        sum += term;
        index += 2;
    }
    sum
}

const fn fixed(value: f64) -> i16 {
    (value * (1 << BITS) as f64 + 0.5) as i16
}

/// Eight samples by Loeffler, Ligtenberg and Moschytz, "Practical fast 1-D DCT algorithms with 11 multiplications" (ICASSP
/// 1989), multiplied out: its constants are rounded before they are added, which makes libjpeg's results.
const fn loeffler(n: usize, k: usize) -> i16 {
    let is_mirrored = n > 3;
    let n = if is_mirrored { 7 - n } else { n };
    let (c_0_541, c_0_765, c_1_847) = (fixed(0.541_196_100), fixed(0.765_366_865), fixed(1.847_759_065));
    let (c_0_298, c_0_390, c_0_899) = (fixed(0.298_631_336), fixed(0.390_180_644), fixed(0.899_976_223));
    let (c_1_175, c_1_501, c_1_961) = (fixed(1.175_875_602), fixed(1.501_321_110), fixed(1.961_570_560));
    let (c_2_053, c_2_562, c_3_072) = (fixed(2.053_119_869), fixed(2.562_915_447), fixed(3.072_711_026));
    let (z3, z4) = (c_1_175 - c_1_961, c_1_175 - c_0_390);
    let matrix: [[i16; 8]; 4] = [
        [0, c_1_501 - c_0_899 + z4, c_0_541 + c_0_765, c_1_175, 0, z4, c_0_541, c_1_175 - c_0_899],
        [0, c_1_175, c_0_541, c_3_072 - c_2_562 + z3, 0, c_1_175 - c_2_562, c_0_541 - c_1_847, z3],
        [0, z4, -c_0_541, c_1_175 - c_2_562, 0, c_2_053 - c_2_562 + z4, c_1_847 - c_0_541, c_1_175],
        [0, c_1_175 - c_0_899, -c_0_541 - c_0_765, z3, 0, c_1_175, -c_0_541, c_0_298 - c_0_899 + z3],
    ];
    let one = 1 << BITS;
    let value = match k {
        0 => one,
        4 => [one, -one, -one, one][n],
        _ => matrix[n][k],
    };
    if is_mirrored && k % 2 == 1 { -value } else { value }
}
