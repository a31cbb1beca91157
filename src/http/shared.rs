//! What all connections share, and how long they may take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Handlers;
use super::answers::Answers;
use super::limits::Limits;
use super::pool::Pool;
use super::unsent::Unsent;
use crate::service::Live;

/// Bytes asked for by one read; also what the buffer of a connection may hold beyond one head.
pub(super) const READ_BYTES: usize = 16 * 1024;
/// How long a client has, once the stop is asked for, to finish its head, or to send the request that was on its way.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(1);
/// A point in time that does not come.
pub(super) const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What all connections share.
pub(super) struct Shared {
    pub(super) limits: Arc<Limits>,
    /// Where new ones come from, and which of them these are.
    pub(super) live: Arc<Live<Limits>>,
    pub(super) version: u64,
    pub(super) pool: Pool,
    pub(super) handlers: Handlers,
    pub(super) answers: Arc<Answers>,
    pub(super) unsent: Unsent,
    pub(super) last_request_id: u64,
    pub(super) is_stopping: bool,
    /// The time at which the present round of the loop began.
    pub(super) now: Instant,
    /// Where reads go first: a connection that waits for its next request holds no buffer.
    pub(super) room: Box<[u8; READ_BYTES]>,
}

impl Shared {
    /// Goes on by new bounds, if there are some.
    pub(super) fn take_new_limits(&mut self) -> bool {
        let version = self.live.version();
        let are_new = version != self.version;
        if are_new {
            self.version = version;
            self.limits = self.live.get();
            self.pool.set_limits(&self.limits);
        }
        are_new
    }

    /// The point in time that is `timeout` from now.
    pub(super) fn after(&self, timeout: Duration) -> Instant {
        self.now.checked_add(timeout).unwrap_or_else(|| self.now + FAR)
    }

    /// A connection that is let in after the stop has no time to idle.
    pub(super) fn idle_timeout(&self) -> Duration {
        if self.is_stopping { self.limits.idle_timeout.min(STOP_GRACE) } else { self.limits.idle_timeout }
    }

    /// What a client must take of its answer in one stretch of `write_timeout`.
    pub(super) fn least_taken(&self) -> u64 {
        least_bytes(self.limits.min_write_bytes_per_second, self.limits.write_timeout)
    }

    /// What a client must send in one stretch of `linger_timeout`, so that its connection is not closed yet.
    pub(super) fn least_lingered(&self) -> u64 {
        least_bytes(self.limits.min_read_bytes_per_second, self.limits.linger_timeout)
    }

    /// What a client must send of its body in one stretch of `read_timeout`.
    pub(super) fn least_sent(&self) -> u64 {
        least_bytes(self.limits.min_read_bytes_per_second, self.limits.read_timeout)
    }
}

fn least_bytes(bytes_per_second: u64, stretch: Duration) -> u64 {
    let stretch_ms = u64::try_from(stretch.as_millis()).unwrap_or(u64::MAX);
    (bytes_per_second.saturating_mul(stretch_ms) / 1000).max(1)
}
