//! How many requests an address may make: the generic cell rate algorithm (ITU-T I.371), as nginx and governor have it.
//! A rate of 60 a minute is 60 at once, then one a second. Servers that share redis count together there; a server that
//! cannot reach it counts alone.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use super::network_of;
use crate::index::{Index, Rate};

/// Addresses that are counted at once. Beyond it, those that make few requests are forgotten first.
const MAX_ADDRESSES: usize = 100_000;
const MINUTE_US: i64 = 60_000_000;

/// Requests per minute and address: 0, which is no limit, to 1,000,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestsPerMinute(pub u32);

impl RequestsPerMinute {
    fn per_address(self) -> Option<Rate> {
        let per_minute = i64::from(self.0.min(1_000_000));
        (per_minute > 0).then(|| Rate { interval_us: MINUTE_US / per_minute, burst: self.0 })
    }
}

/// Counts requests.
pub struct Throttle {
    rate: Option<Rate>,
    index: Arc<dyn Index>,
    /// When the next request of each address would be due if all came evenly, in microseconds since `start`.
    due: Arc<Cache<IpAddr, Arc<AtomicI64>>>,
    start: Instant,
}

/// Whether a request may go on, or how long it is until the next one may.
type Verdict = Result<(), Duration>;

impl Throttle {
    pub(super) fn new(index: Arc<dyn Index>, rate: RequestsPerMinute) -> Self {
        Self { rate: rate.per_address(), index, due: Arc::new(Cache::new(MAX_ADDRESSES)), start: Instant::now() }
    }

    /// The same counts with another rate.
    pub(super) fn with_rate(&self, rate: RequestsPerMinute) -> Self {
        Self { rate: rate.per_address(), index: Arc::clone(&self.index), due: Arc::clone(&self.due), start: self.start }
    }

    /// Whether `check` never waits.
    #[must_use]
    pub fn counts_at_once(&self) -> bool {
        self.rate.is_none() || self.index.shared_rates().is_none()
    }

    /// Counts a request, where that needs no waiting; `None` if it may, and then nothing is counted.
    #[must_use]
    pub fn check_at_once(&self, address: Option<IpAddr>) -> Option<Verdict> {
        let (Some(rate), Some(address)) = (self.rate, address) else {
            return Some(Ok(()));
        };
        let due = self.due_of(address);
        if self.counts_at_once() {
            return Some(self.count(&due, rate));
        }
        // What was counted here counts elsewhere, too: who is over the limit by that is over it.
        let verdict = refusal(due.load(Ordering::Acquire), self.now_us(), rate).map_or(Ok(()), Err);
        verdict.is_err().then_some(verdict)
    }

    /// Counts a request.
    /// # Errors
    /// If it is one too many: how long it is until the next one may come. It does not count then.
    pub fn check(&self, address: Option<IpAddr>) -> Verdict {
        let (Some(rate), Some(address)) = (self.rate, address) else {
            return Ok(());
        };
        let due = self.due_of(address);
        let Some(shared) = self.index.shared_rates() else {
            return self.count(&due, rate);
        };
        match shared.take(&network_of(address).to_string(), rate) {
            Ok(Ok(())) => {
                // The others have counted what is not known here.
                let _ = self.count(&due, rate);
                Ok(())
            }
            Ok(Err(wait)) => {
                let wait_us = i64::try_from(wait.as_micros()).unwrap_or(rate.burst_us());
                due.fetch_max(self.now_us() + wait_us + rate.burst_us() - rate.interval_us, Ordering::AcqRel);
                Err(wait)
            }
            // The index has said in the log that it fails.
            Err(_) => self.count(&due, rate),
        }
    }

    fn due_of(&self, address: IpAddr) -> Arc<AtomicI64> {
        let network = network_of(address);
        let made: Result<_, std::convert::Infallible> =
            self.due.get_or_insert_with(&network, || Ok(Arc::new(AtomicI64::new(0))));
        made.unwrap_or_else(|never| match never {})
    }

    fn count(&self, due: &AtomicI64, rate: Rate) -> Verdict {
        let now_us = self.now_us();
        let advance = |due| match refusal(due, now_us, rate) {
            Some(_) => None,
            None => Some(due.max(now_us) + rate.interval_us),
        };
        match due.fetch_update(Ordering::AcqRel, Ordering::Acquire, advance) {
            Ok(_) => Ok(()),
            Err(due) => Err(refusal(due, now_us, rate).unwrap_or_default()),
        }
    }

    /// Microseconds by a clock that nobody sets.
    fn now_us(&self) -> i64 {
        i64::try_from(self.start.elapsed().as_micros()).unwrap_or(i64::MAX / 2)
    }
}

/// How long it is until a request may be accepted; `None` if it may be now.
fn refusal(due_us: i64, now_us: i64, rate: Rate) -> Option<Duration> {
    let ahead_us = due_us.max(now_us) + rate.interval_us - now_us;
    let over_us = u64::try_from(ahead_us - rate.burst_us()).unwrap_or(0);
    (over_us > 0).then(|| Duration::from_micros(over_us))
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle").field("rate", &self.rate).field("addresses", &self.due.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::SqliteIndex;

    fn throttle(per_minute: u32) -> (tempfile::TempDir, Throttle) {
        let folder = tempfile::tempdir().unwrap();
        let index = SqliteIndex::open(&folder.path().join("index.sqlite")).unwrap();
        (folder, Throttle::new(Arc::new(index), RequestsPerMinute(per_minute)))
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn so_many_at_once_and_no_more() {
        let (_folder, throttle) = throttle(5);
        for _ in 0..5 {
            assert_eq!(throttle.check(address("192.0.2.1")), Ok(()));
        }
        let wait = throttle.check(address("192.0.2.1")).unwrap_err();
        assert!(wait <= Duration::from_secs(12) && wait > Duration::from_secs(11), "{wait:?}");
        assert!(throttle.check_at_once(address("192.0.2.1")).unwrap().is_err());
        assert_eq!(throttle.check(address("192.0.2.2")), Ok(()), "another address");
        assert_eq!(throttle.check(address("2001:db8::1")), Ok(()));
        for _ in 0..4 {
            throttle.check(address("2001:db8::ffff:2")).unwrap();
        }
        assert!(throttle.check(address("2001:db8::3")).is_err(), "one /64 is one address");
        assert_eq!(throttle.check(None), Ok(()));
    }

    #[test]
    fn the_rate_comes_back_evenly() {
        let rate = Rate { interval_us: 1000, burst: 3 };
        for (due, now, expected) in [
            (0, 0, None),
            (2000, 0, None),
            (2001, 0, Some(1)),
            (3000, 0, Some(1000)),
            (3000, 1000, None),
            (0, 9000, None),
        ] {
            assert_eq!(refusal(due, now, rate), expected.map(Duration::from_micros), "{due} at {now}");
        }
    }

    #[test]
    fn no_limit_counts_nothing() {
        let (_folder, throttle) = throttle(0);
        for _ in 0..1000 {
            assert_eq!(throttle.check_at_once(address("192.0.2.1")), Some(Ok(())));
        }
        assert_eq!(throttle.due.len(), 0);
    }

    #[test]
    fn memory_is_bounded() {
        let (_folder, throttle) = throttle(1);
        for number in 0..1_000_000_u32 {
            let _ = throttle.check(Some(IpAddr::V4(number.into())));
        }
        assert!(throttle.due.len() <= MAX_ADDRESSES, "{}", throttle.due.len());
    }
}
