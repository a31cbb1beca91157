//! Uploads that are being stored: a server does not end before they are.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Counts what is being stored.
#[derive(Debug, Default)]
pub struct Storing(Arc<()>);

/// One of them, as long as it lives.
#[derive(Debug)]
pub(super) struct One(Arc<()>);

/// Uploads that may be answered before they are stored.
const MAX_UNSTORED: usize = 64;

impl One {
    /// Whether there are not too many.
    pub(super) fn is_one_of_few(&self) -> bool {
        Arc::strong_count(&self.0) <= MAX_UNSTORED
    }
}

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
