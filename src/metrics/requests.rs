//! Answered requests, counted by route, status and cache. Each of the counters is looked up once: a hit in memory takes a
//! dozen microseconds, of which looking up names would be a noticeable part.

use std::sync::OnceLock;
use std::time::Duration;

use prometheus::{Histogram, IntCounter};

use super::{Metrics, metrics};

/// Which kind of request it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the routes")]
pub enum Route {
    Index,
    Health,
    Ready,
    Metrics,
    Image,
    Upload,
    /// None that there is.
    #[default]
    Other,
}

/// What the cache had to do with an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheResult {
    /// It had the answer.
    Hit,
    /// It had not.
    Miss,
    /// The answer was being made for another.
    Coalesced,
    /// It was not asked, or there was no answer.
    #[default]
    None,
}

const N_ROUTES: usize = 7;
const N_RESULTS: usize = 4;
/// The statuses that are answered; others are counted all the same, only slower.
const STATUSES: [u16; 24] = [
    200, 204, 206, 304, 400, 401, 403, 404, 405, 408, 411, 413, 414, 415, 416, 422, 429, 431, 500, 501, 502, 503, 504,
    507,
];

/// Counters that were looked up.
static COUNTERS: [[[OnceLock<IntCounter>; STATUSES.len()]; N_RESULTS]; N_ROUTES] =
    [const { [const { [const { OnceLock::new() }; STATUSES.len()] }; N_RESULTS] }; N_ROUTES];
static HISTOGRAMS: [[OnceLock<Histogram>; N_RESULTS]; N_ROUTES] =
    [const { [const { OnceLock::new() }; N_RESULTS] }; N_ROUTES];

impl Route {
    /// As labels have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Health => "health",
            Self::Ready => "ready",
            Self::Metrics => "metrics",
            Self::Image => "image",
            Self::Upload => "upload",
            Self::Other => "other",
        }
    }
}

impl CacheResult {
    /// As labels and `X-Cache` have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Coalesced => "coalesced",
            Self::None => "none",
        }
    }
}

impl Metrics {
    /// Counts an answered request.
    pub fn count_request(&self, (route, cache): (Route, CacheResult), status: u16, n_bytes: usize, time: Duration) {
        let counter = || self.requests.with_label_values(&[route.name(), &status.to_string(), cache.name()]);
        match STATUSES.iter().position(|known| *known == status) {
            Some(index) => COUNTERS[route as usize][cache as usize][index].get_or_init(counter).inc(),
            None => counter().inc(),
        }
        let histogram = || self.request_seconds.with_label_values(&[route.name(), cache.name()]);
        HISTOGRAMS[route as usize][cache as usize].get_or_init(histogram).observe(time.as_secs_f64());
        self.response_bytes.inc_by(n_bytes as u64);
    }
}

/// Counts a request that had to go so that others can be served, by the reason.
pub fn count_shed(reason: &'static str) {
    metrics().shed.with_label_values(&[reason]).inc();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_their_labels() {
        let count = |status, n_bytes| {
            metrics().count_request((Route::Ready, CacheResult::Coalesced), status, n_bytes, Duration::from_millis(3));
        };
        count(200, 10);
        count(200, 20);
        count(299, 0);
        let text = metrics().text();
        for line in [
            r#"pixlserv_requests_total{cache="coalesced",route="ready",status="200"} 2"#,
            r#"pixlserv_requests_total{cache="coalesced",route="ready",status="299"} 1"#,
            r#"pixlserv_request_duration_seconds_bucket{cache="coalesced",route="ready",le="0.0025"} 0"#,
            r#"pixlserv_request_duration_seconds_count{cache="coalesced",route="ready"} 3"#,
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
