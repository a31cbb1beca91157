//! Times of answers, counted in classes that are a hundredth wide: as small after hours as after a second.

use std::fmt;
use std::time::Duration;

/// Up to about half an hour.
const N_CLASSES: usize = 2200;

#[derive(Clone)]
pub(super) struct Histogram {
    /// Class `n` has what took about `1.01^n` microseconds.
    counts: Vec<u64>,
    pub(super) n: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; N_CLASSES], n: 0 }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, time: Duration) {
        let micros = (time.as_micros() as f64).max(1.0);
        let class = (micros.ln() / 1.01_f64.ln()) as usize;
        self.counts[class.min(N_CLASSES - 1)] += 1;
        self.n += 1;
    }

    /// Of so many in a thousand none took longer; zero if there are none.
    pub(super) fn permille(&self, permille: u64) -> Duration {
        let wanted = (self.n * permille).div_ceil(1000);
        let mut n = 0;
        for (class, count) in (0_i32..).zip(&self.counts) {
            n += count;
            if n >= wanted && n > 0 {
                return Duration::from_micros(1.01_f64.powi(class + 1) as u64);
            }
        }
        Duration::ZERO
    }

    pub(super) fn p99(&self) -> Duration {
        self.permille(990)
    }
}

/// Number, median and 99th percentile.
impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |permille| self.permille(permille).as_secs_f64() * 1000.0;
        write!(f, "{} (p50 {:.1} ms, p99 {:.1} ms)", self.n, ms(500), ms(990))
    }
}

#[test]
fn a_histogram_knows_its_percentiles() {
    let mut histogram = Histogram::default();
    assert_eq!(histogram.p99(), Duration::ZERO);
    for micros in 1..=100_000 {
        histogram.add(Duration::from_micros(micros));
    }
    for (permille, micros) in [(500, 50_000_u128), (990, 99_000)] {
        let found = histogram.permille(permille).as_micros();
        assert!(found.abs_diff(micros) <= micros / 50, "{permille}: {found}");
    }
}
