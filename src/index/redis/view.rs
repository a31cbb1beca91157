//! What this process knows of the generation. A value that was read counts without asking for as long as its lease,
//! from the start of the reading: a purge ends only after that time, when nobody can hold an older one for the newest.
//!
//! Redis may lose its data, or go back to an older state. Then it has forgotten purges, and who was there before tells
//! it: the generation goes on above the last one known, and what was made before that counts as purged, if anything
//! ever was.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::{Connection, ErrorKind, RedisError, RedisResult};

use super::scripts;

/// What redis has, all in one hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// The generation after the last purge.
    latest: u64,
    /// The first that this data had: tells it from data that was lost, and whether there was a purge at all.
    born: u64,
    /// All that was made before counts as purged.
    floor: u64,
    /// When that became so.
    floor_at_us: i64,
}

/// The last that was seen.
pub(super) struct View {
    start: Instant,
    lease: Duration,
    /// As in `seen`, to be read without a lock; never smaller than before.
    latest: AtomicU64,
    /// When the lease ends, in microseconds since `start`.
    lease_end_us: AtomicU64,
    seen: Mutex<Seen>,
}

/// Whether redis had what was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    Kept,
    Lost,
}

impl View {
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            start: Instant::now(),
            lease,
            latest: AtomicU64::new(0),
            lease_end_us: AtomicU64::new(0),
            seen: Mutex::default(),
        }
    }

    /// The generation, as long as the lease lasts.
    pub(super) fn at_once(&self) -> Option<u64> {
        // In this order: what is read after the end of the lease was looked at is as new as that, or newer.
        let end_us = self.lease_end_us.load(Ordering::Acquire);
        (self.micros(Instant::now()) < end_us).then(|| self.last())
    }

    /// The last generation that was seen, 0 if none was.
    pub(super) fn last(&self) -> u64 {
        self.latest.load(Ordering::Acquire)
    }

    /// Notes a purge of this process.
    pub(super) fn raise(&self, generation: u64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.latest = seen.latest.max(generation);
        self.latest.fetch_max(generation, Ordering::AcqRel);
    }

    /// Asks redis; puts right what it has forgotten.
    pub(super) fn look(&self, connection: &mut Connection) -> RedisResult<Memory> {
        let started = Instant::now();
        let before = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let fields = ["latest", "born", "floor", "floor_at"];
        let stored = redis::cmd("HMGET").arg(scripts::GENERATIONS).arg(&fields).query(connection)?;
        let stored: [Option<i64>; 4] = redis::from_redis_value(stored).map_err(|_| unexpected())?;
        let mut now = Seen::of(stored.map(Option::unwrap_or_default));
        let is_lost = before.born > 0 && now.born != before.born || now.latest < before.latest;
        if now.latest == 0 || is_lost {
            let mut script = scripts::SETTLE.prepare_invoke();
            script.arg(before.latest).arg(before.born).arg(before.floor).arg(before.floor_at_us);
            now = Seen::of(redis::from_redis_value(script.invoke(connection)?).map_err(|_| unexpected())?);
        }
        self.note(now, started);
        Ok(if is_lost { Memory::Lost } else { Memory::Kept })
    }

    /// What a slower thread has read before is older, and changes nothing.
    fn note(&self, now: Seen, started: Instant) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if now.latest < seen.latest {
            return;
        }
        *seen = now;
        self.latest.fetch_max(now.latest, Ordering::AcqRel);
        self.lease_end_us.fetch_max(self.micros(started + self.lease), Ordering::AcqRel);
    }

    fn micros(&self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX)
    }
}

/// An error of another kind than that of a connection which is out of step.
fn unexpected() -> RedisError {
    (ErrorKind::UnexpectedReturnType, "the generation is not what pixlserv has put there").into()
}

impl Seen {
    fn of([latest, born, floor, floor_at_us]: [i64; 4]) -> Self {
        let unsigned = |number| u64::try_from(number).unwrap_or(0);
        Self { latest: unsigned(latest), born: unsigned(born), floor: unsigned(floor), floor_at_us }
    }
}
