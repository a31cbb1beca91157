//! Uploads that are being stored: a server does not end before they are.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Counts what is being stored.
#[derive(Debug, Default)]
pub struct Storing(Arc<()>);

/// One of them, as long as it lives.
#[derive(Debug)]
pub(super) struct One(#[expect(dead_code, reason = "it counts by living")] Arc<()>);

impl Storing {
    pub(super) fn begin(&self) -> One {
        One(Arc::clone(&self.0))
    }

    /// Waits until nothing is; false if that is not so by `deadline`.
    pub(super) fn settle(&self, deadline: Instant) -> bool {
        while Arc::strong_count(&self.0) > 1 {
            if Instant::now() >= deadline {
                return false;
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        true
    }
}
