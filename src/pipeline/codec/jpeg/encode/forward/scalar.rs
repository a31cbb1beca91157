//! The reference: what every level answers, bit for bit.

use super::{Block, C2_MINUS_C6, C2_PLUS_C6, C4, C6, ORDER, Quantiser, counting};

/// Eight numbers that go the same way.
type Lanes = [f32; 8];

/// A row of blocks.
pub(super) fn transform(samples: &[i16], stride: usize, quantiser: &Quantiser, blocks: &mut [Block]) {
    for (index, block) in blocks.iter_mut().enumerate() {
        let rows = std::array::from_fn(|y| {
            let start = y * stride + index * 8;
            std::array::from_fn(|x| f32::from(samples[start + x]))
        });
        *block = quantised(&dct(rows), quantiser);
    }
}

/// The coefficient of the horizontal frequency `u` and the vertical `v` at `[u][v]`.
fn dct(rows: [Lanes; 8]) -> [Lanes; 8] {
    let columns = pass(rows);
    pass(std::array::from_fn(|x| std::array::from_fn(|v| columns[v][x])))
}

/// One dimension, of eight rows or columns at once.
fn pass(input: [Lanes; 8]) -> [Lanes; 8] {
    let sum = |a: usize, b: usize| add(input[a], input[b]);
    let difference = |a: usize, b: usize| sub(input[a], input[b]);
    let (s0, s1, s2, s3) = (sum(0, 7), sum(1, 6), sum(2, 5), sum(3, 4));
    let (d0, d1, d2, d3) = (difference(0, 7), difference(1, 6), difference(2, 5), difference(3, 4));

    let (a, b, c, d) = (add(s0, s3), add(s1, s2), sub(s1, s2), sub(s0, s3));
    let rotated = scale(add(c, d), C4);

    let (e, f, g) = (add(d3, d2), add(d2, d1), add(d1, d0));
    let common = scale(sub(e, g), C6);
    let low = add(scale(e, C2_MINUS_C6), common);
    let high = add(scale(g, C2_PLUS_C6), common);
    let middle = scale(f, C4);
    let (near, far) = (add(d0, middle), sub(d0, middle));
    [
        add(a, b),
        add(near, high),
        add(d, rotated),
        sub(far, low),
        sub(a, b),
        add(far, low),
        sub(d, rotated),
        sub(near, high),
    ]
}

fn add(a: Lanes, b: Lanes) -> Lanes {
    std::array::from_fn(|lane| a[lane] + b[lane])
}

fn sub(a: Lanes, b: Lanes) -> Lanes {
    std::array::from_fn(|lane| a[lane] - b[lane])
}

fn scale(a: Lanes, factor: f32) -> Lanes {
    a.map(|value| value * factor)
}

fn quantised(coefficients: &[Lanes; 8], quantiser: &Quantiser) -> Block {
    let mut sixteenths = [0; 64];
    for (index, m) in sixteenths.iter_mut().enumerate() {
        let offset = if index == 0 { quantiser.offset } else { 0.0 };
        *m = ((coefficients[index / 8][index % 8] - offset) * quantiser.factors[index]) as i16;
    }
    let (mut above_zero, mut weak) = (0, 0);
    for (bit, &place) in ORDER.iter().enumerate() {
        let place = usize::from(place);
        let size = sixteenths[place].saturating_abs();
        above_zero |= u64::from(size > quantiser.zero[place]) << bit;
        weak |= u64::from(size <= quantiser.weak[place]) << bit;
    }
    let coefficients = sixteenths.map(|m| m.signum() * ((m.unsigned_abs() + 8) >> 4).cast_signed());
    Block { coefficients, mask: counting(above_zero, weak) }
}
