//! Where other threads leave answers, and wishes for bodies, for the loop, and what wakes it.

use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::event::{EventfdFlags, eventfd};

use super::reply::Outcome;
use super::slots::Token;

/// Connection, number of the request, and what becomes of it.
pub(super) type Waiting = (Token, u64, Outcome);

/// Answers that were given and not yet taken: as many as there are requests with a handler, which `max-requests` and the
/// queues of images bound.
pub(super) struct Answers {
    waiting: Mutex<Vec<Waiting>>,
    /// Whether the loop has been woken for what is waiting.
    is_woken: AtomicBool,
    wake: OwnedFd,
}

impl Answers {
    pub(super) fn new() -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { waiting: Mutex::default(), is_woken: AtomicBool::new(false), wake })
    }

    /// Leaves what becomes of the request `id` of the connection `token`.
    pub(super) fn put(&self, (token, id): (Token, u64), outcome: Outcome) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push((token, id, outcome));
        if !self.is_woken.swap(true, Ordering::SeqCst) {
            // Fails only when the counter is at its end, and then the loop is awake.
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }

    /// Takes what is waiting. An answer that is put after this wakes the loop again.
    pub(super) fn take(&self) -> Vec<Waiting> {
        self.is_woken.store(false, Ordering::SeqCst);
        mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl AsFd for Answers {
    /// Made readable by each wake; never read, so it serves edge-triggered waiting only.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
