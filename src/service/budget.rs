//! Memory for decoded sources: requests wait for it, so that large pictures do not stand in memory side by side.

use std::sync::{Condvar, Mutex, PoisonError};

/// A number of bytes that all decoded sources share.
#[derive(Debug)]
pub struct MemoryBudget {
    total_bytes: u64,
    reserved_bytes: Mutex<u64>,
    released: Condvar,
}

/// A part of the budget, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Reservation<'a> {
    budget: &'a MemoryBudget,
    bytes: u64,
}

impl MemoryBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub const fn new(total_bytes: u64) -> Self {
        Self { total_bytes, reserved_bytes: Mutex::new(0), released: Condvar::new() }
    }

    /// Waits until `bytes` fit beside what others have; what is larger than the whole budget waits until it is alone.
    pub(super) fn reserve(&self, bytes: u64) -> Reservation<'_> {
        let bytes = bytes.min(self.total_bytes);
        // The number is right even if a holder of the lock has panicked: it is changed by one addition.
        let reserved = self.reserved_bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |reserved: &mut u64| *reserved + bytes > self.total_bytes;
        let mut reserved = self.released.wait_while(reserved, is_full).unwrap_or_else(PoisonError::into_inner);
        *reserved += bytes;
        Reservation { budget: self, bytes }
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        *self.budget.reserved_bytes.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.budget.released.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn no_more_is_reserved_than_there_is() {
        let budget = MemoryBudget::new(100);
        let in_use = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let (budget, in_use) = (&budget, &in_use);
                scope.spawn(move || {
                    for round in 0..200 {
                        let bytes = (thread * 31 + round * 7) % 140;
                        let reservation = budget.reserve(bytes);
                        let now = in_use.fetch_add(reservation.bytes, Ordering::SeqCst) + reservation.bytes;
                        assert!(now <= 100, "{now}");
                        in_use.fetch_sub(reservation.bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(*budget.reserved_bytes.lock().unwrap(), 0);
    }
}
