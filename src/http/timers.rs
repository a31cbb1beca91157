//! The deadlines of connections. A deadline that moves back costs nothing: its old entry, when its time comes, is
//! entered anew. Most deadlines do, with every request.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::slots::Token;

/// A heap of the points in time at which connections are to be looked at.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Token)>>,
}

impl Timers {
    /// Enters a point in time. The caller remembers the earliest one of each connection, and enters no later ones.
    pub(super) fn enter(&mut self, at: Instant, token: Token) {
        self.heap.push(Reverse((at, token)));
    }

    /// The next point in time.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes an entry whose time has come.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(Instant, Token)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// Drops the entries that nobody waits for any more, once they are many against `n_open`.
    pub(super) fn tidy(&mut self, n_open: usize, mut is_waited_for: impl FnMut(Instant, Token) -> bool) {
        if self.heap.len() > 4 * n_open + 1024 {
            self.heap.retain(|Reverse((at, token))| is_waited_for(*at, *token));
        }
    }
}
