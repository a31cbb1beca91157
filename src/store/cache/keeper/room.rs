//! Making room below the limit of the cache, also where several servers write into the same room.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::Worker;
use crate::index::{Gone, IndexError};
use crate::metrics::metrics;

/// Answers that go in one transaction.
const EVICTION_BATCH: usize = 1000;
/// The claim on that, and for how long one may take for it.
const EVICTION: &str = "evict";
const EVICTION_CLAIM: Duration = Duration::from_secs(10);
/// Once the limit is reached, this part of it is made free, in percent: so that not every answer makes room anew.
const SLACK_PERCENT: u64 = 5;

impl Worker {
    /// Removes answers, the least wanted first, until so many bytes fit below the limit: a batch at a time, so that nobody
    /// waits for long.
    pub(super) fn make_room(&mut self, n_bytes: u64) -> Result<(), IndexError> {
        // Other servers may be about to write into the same room, or to make it.
        self.must_look_again |= self.options.limit_bytes > 0 && n_bytes > 0 && self.shelf.index.shared().is_some();
        if self.excess(n_bytes)? == 0 {
            return Ok(());
        }
        // Who is wanted is told by the last uses, too.
        self.flush();
        loop {
            let gone = self.evict(n_bytes)?;
            if gone.is_empty() {
                return Ok(());
            }
            self.shelf.remove_files(&gone);
            metrics().cache_evictions.inc_by(gone.len() as u64);
            metrics().cache_evicted_bytes.inc_by(gone.iter().map(|gone| gone.bytes).sum());
            if self.excess(n_bytes)? == 0 {
                return Ok(());
            }
        }
    }

    /// How far the limit is exceeded with so many bytes more.
    fn excess(&mut self, n_bytes: u64) -> Result<u64, IndexError> {
        let (total, limit) = (self.shelf.index.totals()?.bytes + n_bytes, self.options.limit_bytes);
        self.backlog.note_total(total);
        Ok(if limit == 0 { 0 } else { total.saturating_sub(limit) })
    }

    /// Removes the records of a batch. One server at a time: two that count the same excess would remove it twice.
    fn evict(&mut self, n_bytes: u64) -> Result<Vec<Gone>, IndexError> {
        let index = Arc::clone(&self.shelf.index);
        if let Some(shared) = index.shared()
            && !shared.claim(EVICTION, &self.name, EVICTION_CLAIM)?
        {
            self.must_look_again = true;
            return Ok(Vec::new());
        }
        let slack = self.options.limit_bytes / 100 * SLACK_PERCENT;
        let gone = self.excess(n_bytes).and_then(|excess| match excess {
            0 => Ok(Vec::new()),
            excess => index.evict(self.options.strategy.into(), excess + slack, EVICTION_BATCH),
        });
        if let Some(shared) = index.shared() {
            // If that fails, the claim ends by itself.
            let _ = shared.release(EVICTION, &self.name);
        }
        gone
    }

    /// Makes room where others have written into the same, or were about to make it.
    pub(super) fn look_again(&mut self) {
        if !mem::take(&mut self.must_look_again) {
            return;
        }
        if let Err(error) = self.make_room(0) {
            self.must_look_again = true;
            self.shelf.complaints.about("making room", &error);
        }
    }
}
