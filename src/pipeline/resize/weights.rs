//! Where an output sample lies between those it is made of, and what each of them counts: Lanczos-3 in fixed point.

/// A part of an axis in source samples; need not begin or end between two of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Where it begins.
    pub start: f64,
    /// How long it is.
    pub length: f64,
}

impl Span {
    /// The first sample that the span touches, and the one after the last, of `count` samples.
    pub(super) fn touched(self, count: u32) -> (u32, u32) {
        // Ends that are computed may lie a hair beside the whole number that is meant. `as` saturates.
        let first = ((self.start + HAIR).floor() as u32).min(count.saturating_sub(1));
        let last = (self.start + self.length - HAIR).ceil() as u32;
        (first, last.clamp(first + 1, count.max(first + 1)))
    }
}

/// Less of a sample than this is none.
const HAIR: f64 = 1e-6;

/// Lanczos-3 reaches three destination samples to each side, or source samples when enlarging.
pub(super) const REACH: f64 = 3.0;

/// What each output sample of an axis is made of. Samples are taken in pairs, the first of which has an even number, so
/// that one instruction multiplies and adds two. All output samples are made of equally many pairs.
#[derive(Clone, Debug)]
pub(in crate::pipeline) struct Axis {
    /// The first pair of each output sample.
    first_pairs: Vec<u32>,
    /// `n_pairs` for each output sample.
    weights: Vec<[i16; 2]>,
    pub(super) n_pairs: usize,
    /// Fractional bits of the weights; those of one output sample add up to one exactly.
    pub(super) precision: u32,
}

impl Axis {
    /// The axis that shows `span` of `n_samples` by `to` samples. Only samples that exist count.
    pub(in crate::pipeline) fn new(span: Span, n_samples: u32, to: u32) -> Self {
        let is_unchanged = to == n_samples && span.start.abs() < HAIR && (span.length - f64::from(to)).abs() < HAIR;
        if is_unchanged {
            return Self::unchanged(to);
        }
        let exact = Exact::new(span, n_samples, to);
        let n_pairs = exact.taps.iter().map(|taps| taps.pairs()).max().unwrap_or(1);
        let precision = exact.precision();
        let mut axis =
            Self { first_pairs: Vec::new(), weights: vec![[0; 2]; n_pairs * to as usize], n_pairs, precision };
        // Where the last pairs would lie beside the samples, earlier ones count 0 instead.
        let last_first = n_samples.div_ceil(2) - n_pairs as u32;
        for (taps, weights) in exact.taps.iter().zip(axis.weights.chunks_exact_mut(n_pairs)) {
            let first_pair = (taps.first / 2).min(last_first);
            let rounded = &mut weights.as_flattened_mut()[(taps.first - 2 * first_pair) as usize..];
            round(&exact.weights[taps.weights.clone()], 1 << precision, rounded);
            axis.first_pairs.push(first_pair);
        }
        axis
    }

    /// The axis that leaves everything as it is.
    pub(super) fn unchanged(to: u32) -> Self {
        let precision = 14;
        let one = 1 << precision;
        let weights = (0..to).map(|index| if index.is_multiple_of(2) { [one, 0] } else { [0, one] }).collect();
        Self { first_pairs: (0..to).map(|index| index / 2).collect(), weights, n_pairs: 1, precision }
    }

    /// How many output samples there are.
    pub(super) fn len(&self) -> u32 {
        self.first_pairs.len() as u32
    }

    /// The first pair that each output sample is made of.
    pub(super) fn first_pairs(&self) -> &[u32] {
        &self.first_pairs
    }

    /// The weights of all output samples, `n_pairs` for each.
    pub(super) fn weights(&self) -> &[[i16; 2]] {
        &self.weights
    }

    /// The pairs that some output samples are made of: the first, and the one after the last.
    pub(super) fn pairs(&self, from: u32, to: u32) -> (usize, usize) {
        let [first, last] = [from, to - 1].map(|index| self.first_pairs[index as usize] as usize);
        (first, last + self.n_pairs)
    }

    /// The most pairs that `count` output samples after each other are made of.
    pub(super) fn widest(&self, count: u32) -> usize {
        let starts = (0..self.len()).step_by(count as usize);
        let widths = starts.map(|from| {
            let (first, end) = self.pairs(from, (from + count).min(self.len()));
            end - first
        });
        widths.max().unwrap_or(0)
    }
}

/// Weights in fixed point that add up to one: what rounding has left so far goes to the next, so that neighbours make
/// good for each other.
fn round(exact: &[f64], one: i32, rounded: &mut [i16]) {
    let (mut sum, mut rounded_sum) = (0.0, 0);
    for (target, &weight) in rounded.iter_mut().zip(exact) {
        sum += weight * f64::from(one);
        // Rounds down where the sum is below 0, too.
        let next = (sum + 65_536.5) as i32 - 65_536;
        *target = (next - rounded_sum) as i16;
        rounded_sum = next;
    }
}

/// Weights in real numbers, which add up to 1 for each output sample.
struct Exact {
    taps: Vec<Taps>,
    weights: Vec<f64>,
}

/// The samples that an output sample is made of.
struct Taps {
    first: u32,
    weights: std::ops::Range<usize>,
}

impl Taps {
    fn pairs(&self) -> usize {
        ((self.first % 2) as usize + self.weights.len()).div_ceil(2)
    }
}

impl Exact {
    fn new(span: Span, n_samples: u32, to: u32) -> Self {
        let shrink = span.length / f64::from(to);
        let stretch = shrink.max(1.0);
        let (reach, scale) = (REACH * stretch, 1.0 / stretch);
        let n_weights = to as usize * (reach * 2.0 + 1.0) as usize;
        let mut exact = Self { taps: Vec::with_capacity(to as usize), weights: Vec::with_capacity(n_weights) };
        for index in 0..to {
            // Samples lie in the middle of their pixels.
            let center = span.start + (f64::from(index) + 0.5) * shrink - 0.5;
            let first = ((center - reach).ceil().max(0.0) as u32).min(n_samples - 1);
            let last = ((center + reach).floor().max(0.0) as u32).clamp(first, n_samples - 1);
            let start = exact.weights.len();
            exact.weights.extend((first..=last).map(|sample| lanczos((f64::from(sample) - center) * scale)));
            let weights = &mut exact.weights[start..];
            let share = 1.0 / weights.iter().sum::<f64>();
            weights.iter_mut().for_each(|weight| *weight *= share);
            exact.taps.push(Taps { first, weights: start..exact.weights.len() });
        }
        exact
    }

    /// As many fractional bits as fit 16-bit weights, and sums of 16-bit samples by them 32 bits.
    fn precision(&self) -> u32 {
        let largest = self.weights.iter().fold(0f64, |largest, weight| largest.max(weight.abs()));
        let sums =
            self.taps.iter().map(|taps| self.weights[taps.weights.clone()].iter().map(|weight| weight.abs()).sum());
        let widest = sums.fold(0f64, f64::max);
        // 2 % of reserve hold what rounding adds.
        (8..=15)
            .rev()
            .find(|&bits| largest * f64::from(1 << bits) < 32_000.0 && widest * f64::from(1 << bits) < 64_000.0)
            .unwrap_or(8)
    }
}

/// `sinc(x) · sinc(x / 3)` for |x| up to 3, to 10⁻⁸. With y = πx / 3 and q = (sin y / y)² it is q · (3 − 4 y² q) / 3,
/// as sin 3y is 3 sin y − 4 sin³ y: one series (that of the sine, in y²) and no division.
fn lanczos(x: f64) -> f64 {
    let y = x * (std::f64::consts::PI / REACH);
    let square = (y * y).min(std::f64::consts::PI * std::f64::consts::PI);
    let sine = SINE.iter().rev().fold(0.0, |sum, coefficient| sum * square + coefficient);
    let q = sine * sine;
    q * (3.0 - 4.0 * square * q) * (1.0 / 3.0)
}

/// Coefficients of sin y / y in powers of y²: (−1)ⁿ / (2n + 1)!.
const SINE: [f64; 11] = {
    let mut coefficients = [1.0; 11];
    let mut n = 1;
    while n < 11 {
        coefficients[n] = -coefficients[n - 1] / ((2 * n) * (2 * n + 1)) as f64;
        n += 1;
    }
    coefficients
};
