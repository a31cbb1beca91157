//! What a server holds while it works, looked at again and again, and where that leads.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::server::{Server, n_files};

/// Parts of the second half, of each of which the lowest look counts.
const N_WINDOWS: usize = 10;

/// One look at a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    seconds: f64,
    pub(super) resident_kb: u64,
    pub(super) n_files: usize,
}

/// All looks of a run.
pub(super) struct Trend(pub(super) Vec<Look>);

impl Trend {
    /// Looks at a server until it is over: often enough for a short run, and not too often for a long one.
    pub(super) fn watch(server: &Server, is_over: &AtomicBool) -> Self {
        let start = Instant::now();
        let mut looks = Vec::new();
        while !is_over.load(Ordering::SeqCst) {
            let seconds = start.elapsed().as_secs_f64();
            looks.push(Look { seconds, resident_kb: server.resident_kb(), n_files: n_files(server) });
            thread::park_timeout(Duration::from_millis(if seconds < 30.0 { 100 } else { 500 }));
        }
        Self(looks)
    }

    fn second_half(&self) -> &[Look] {
        &self.0[self.0.len() / 2..]
    }

    /// KB that the resident set grows over the second half, by the straight line that lies nearest to its lows: what
    /// is in work comes and goes, and only a leak raises the ground that it stands on.
    pub(super) fn growth_kb(&self) -> f64 {
        let windows = self.second_half().chunks(self.second_half().len().div_ceil(N_WINDOWS).max(1));
        let lows: Vec<Look> =
            windows.filter_map(|looks| looks.iter().min_by_key(|look| look.resident_kb)).copied().collect();
        self.growth(&lows, |look| look.resident_kb as f64)
    }

    /// The same of open files, by all looks.
    pub(super) fn growth_files(&self) -> f64 {
        self.growth(self.second_half(), |look| look.n_files as f64)
    }

    /// The slope over these looks, for all of the second half.
    fn growth(&self, looks: &[Look], value: impl Fn(&Look) -> f64) -> f64 {
        let half = self.second_half();
        let mean = |of: &dyn Fn(&Look) -> f64| looks.iter().map(of).sum::<f64>() / looks.len() as f64;
        let (x, y) = (mean(&|look| look.seconds), mean(&value));
        let spread: f64 = looks.iter().map(|look| (look.seconds - x).powi(2)).sum();
        if spread == 0.0 {
            return 0.0;
        }
        let slope = looks.iter().map(|look| (look.seconds - x) * (value(look) - y)).sum::<f64>() / spread;
        slope * (half[half.len() - 1].seconds - half[0].seconds)
    }

    /// The resident set, as a mean of what was seen in the second half.
    pub(super) fn mean_kb(&self) -> f64 {
        let looks = self.second_half();
        looks.iter().map(|look| look.resident_kb as f64).sum::<f64>() / looks.len() as f64
    }

    pub(super) fn peak_kb(&self) -> u64 {
        self.0.iter().map(|look| look.resident_kb).max().unwrap_or(0)
    }

    /// Checks that memory does not grow: by less than a hundredth, or by so many KB, over the second half.
    #[track_caller]
    pub(super) fn assert_flat(&self, allowed_kb: f64) {
        let allowed = (self.mean_kb() / 100.0).max(allowed_kb);
        assert!(self.growth_kb() < allowed, "memory grows: {self}, allowed: {allowed:.0} KB");
    }
}

impl fmt::Display for Trend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = |look: Option<&Look>| look.map_or(0, |look| look.resident_kb / 1024);
        let (first, middle, last) = (self.0.first(), self.0.get(self.0.len() / 2), self.0.last());
        let (grown, percent) = (self.growth_kb(), self.growth_kb() * 100.0 / self.mean_kb().max(1.0));
        let (first, middle, last) = (mb(first), mb(middle), mb(last));
        write!(f, "RSS {first} → {middle} → {last} MB, second half {grown:+.0} KB ({percent:+.2} %)")
    }
}

#[test]
fn a_trend_tells_growth_from_noise() {
    let looks = |value: fn(u32) -> u64| {
        let look = |n| Look { seconds: f64::from(n), resident_kb: value(n), n_files: 7 };
        Trend((0..200).map(look).collect())
    };
    // What happens before the middle does not count.
    assert!((looks(|n| 1000 + u64::from(n.min(100))).growth_kb()).abs() < 1.0);
    assert!((looks(|n| 1000 + 5 * u64::from(n)).growth_kb() - 495.0).abs() < 1.0);
    let noisy = looks(|n| 1000 + u64::from(n % 7));
    assert!(noisy.growth_kb().abs() < 2.0 && noisy.growth_files() == 0.0);
    noisy.assert_flat(100.0);
}
