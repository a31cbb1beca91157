//! Memory for pixels: requests wait for it, in the order they came, so that large pictures do not stand in memory side
//! by side.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A number of bytes that all requests share.
#[derive(Debug)]
pub struct MemoryBudget {
    total_bytes: u64,
    max_wait: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    reserved_bytes: u64,
    /// Who waits, the first to be served in front.
    waiting: VecDeque<u64>,
    last_ticket: u64,
}

/// A part of the budget, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Reservation<'a> {
    budget: &'a MemoryBudget,
    bytes: u64,
}

impl MemoryBudget {
    /// A budget of so many bytes, for which a request waits at most so long.
    #[must_use]
    pub fn new(total_bytes: u64, max_wait: Duration) -> Self {
        Self { total_bytes, max_wait, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits until `bytes` fit beside what others have; what is larger than the whole budget waits until it is alone.
    /// `None` if that has taken too long.
    pub(super) fn reserve(&self, bytes: u64) -> Option<Reservation<'_>> {
        let bytes = bytes.min(self.total_bytes);
        let mut state = self.lock();
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        state.waiting.push_back(ticket);
        let must_wait = |state: &mut State| {
            state.waiting.front() != Some(&ticket) || state.reserved_bytes + bytes > self.total_bytes
        };
        let waited = self.changed.wait_timeout_while(state, self.max_wait, must_wait);
        let (mut state, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting.retain(|waiting| *waiting != ticket);
        // Whether served or not, somebody else is in front now.
        self.changed.notify_all();
        if outcome.timed_out() {
            return None;
        }
        state.reserved_bytes += bytes;
        Some(Reservation { budget: self, bytes })
    }

    /// The state is right even if a holder of the lock has panicked: no change of it can stop half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.budget.lock().reserved_bytes -= self.bytes;
        self.budget.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn no_more_is_reserved_than_there_is() {
        let budget = MemoryBudget::new(100, Duration::from_secs(60));
        let in_use = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let (budget, in_use) = (&budget, &in_use);
                scope.spawn(move || {
                    for round in 0..200 {
                        let reservation = budget.reserve((thread * 31 + round * 7) % 140).unwrap();
                        let now = in_use.fetch_add(reservation.bytes, Ordering::SeqCst) + reservation.bytes;
                        assert!(now <= 100, "{now}");
                        in_use.fetch_sub(reservation.bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        let state = budget.lock();
        assert_eq!((state.reserved_bytes, state.waiting.len()), (0, 0));
    }

    #[test]
    fn waiting_ends_and_leaves_nothing_behind() {
        let budget = MemoryBudget::new(100, Duration::from_millis(1));
        let held = budget.reserve(60).unwrap();
        assert!(budget.reserve(60).is_none());
        assert!(budget.reserve(40).is_some());
        drop(held);
        assert!(budget.reserve(1000).is_some());
    }
}
