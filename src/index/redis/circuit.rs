//! Whether redis can be reached. Once it cannot, every call fails at once, until the watcher has reached it again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::super::IndexError;

/// Open: calls fail. Closed: they are made.
pub(super) struct Circuit {
    address: String,
    is_open: AtomicBool,
    /// Grows whenever the circuit opens: connections of an era before are worth nothing.
    era: AtomicU64,
    n_returns: AtomicU64,
    /// Since when it is open, and why.
    outage: Mutex<Option<(Instant, String)>>,
}

impl Circuit {
    pub(super) fn new(address: String) -> Self {
        Self {
            address,
            is_open: AtomicBool::new(false),
            era: AtomicU64::new(0),
            n_returns: AtomicU64::new(0),
            outage: Mutex::new(None),
        }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn era(&self) -> u64 {
        self.era.load(Ordering::Acquire)
    }

    pub(super) fn n_returns(&self) -> u64 {
        self.n_returns.load(Ordering::Acquire)
    }

    /// An error if redis cannot be reached.
    pub(super) fn permit(&self) -> Result<(), IndexError> {
        if self.is_open.load(Ordering::Acquire) { Err(self.unreachable()) } else { Ok(()) }
    }

    /// The error of a call that found nobody there.
    pub(super) fn unreachable(&self) -> IndexError {
        let outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = outage.as_ref().map_or("it does not answer in time", |(_, reason)| reason.as_str());
        IndexError::Unreachable { address: self.address.clone(), reason: reason.to_owned() }
    }

    /// Notes that a connection of this era failed. Said once; of older eras it is nothing new.
    pub(super) fn open(&self, era: u64, reason: &str) {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        if outage.is_some() || era != self.era() {
            return;
        }
        *outage = Some((Instant::now(), reason.to_owned()));
        self.era.fetch_add(1, Ordering::AcqRel);
        self.is_open.store(true, Ordering::Release);
        tracing::warn!("redis cannot be reached at {}: {reason}; it is tried again all the time", self.address);
    }

    /// Notes that redis has answered.
    pub(super) fn close(&self) {
        if !self.is_open.load(Ordering::Acquire) {
            return;
        }
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, _)) = outage.take() {
            self.is_open.store(false, Ordering::Release);
            self.count_return();
            tracing::info!("redis is back after {:.1} s", since.elapsed().as_secs_f64());
        }
    }

    /// Notes that redis may have forgotten what it knew.
    pub(super) fn count_return(&self) {
        self.n_returns.fetch_add(1, Ordering::AcqRel);
    }
}
