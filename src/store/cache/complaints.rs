//! Trouble that may come with every request is logged once a minute; that the index cannot be reached, by the index
//! alone.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::CheckError;
use crate::index::IndexError;
use crate::metrics::metrics;

const INTERVAL: Duration = Duration::from_secs(60);

/// Whether an error is that the index cannot be reached.
pub(super) fn is_away(error: &(dyn Error + 'static)) -> bool {
    let index_error = match error.downcast_ref() {
        Some(CheckError::Index(error)) => Some(error),
        _ => error.downcast_ref(),
    };
    matches!(index_error, Some(IndexError::Unreachable { .. }))
}

/// What was complained about, and when.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    last: Mutex<HashMap<&'static str, Instant>>,
}

impl Complaints {
    /// Logs that `what` failed, unless that was said within the last minute.
    pub(super) fn about(&self, what: &'static str, error: &(dyn Error + 'static)) {
        metrics().cache_errors.with_label_values(&[what]).inc();
        if !is_away(error) && self.is_due(what) {
            tracing::warn!(error, "the cache: {what} failed; images are served all the same");
        }
    }

    /// As `about`, for what is no error of a call.
    pub(super) fn note(&self, what: &'static str, text: &str) {
        metrics().cache_errors.with_label_values(&[what]).inc();
        if self.is_due(what) {
            tracing::warn!("the cache: {what}: {text}; images are served all the same");
        }
    }

    fn is_due(&self, what: &'static str) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_due = last.get(what).is_none_or(|then| now.duration_since(*then) >= INTERVAL);
        if is_due {
            last.insert(what, now);
        }
        is_due
    }
}
