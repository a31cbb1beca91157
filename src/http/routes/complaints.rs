//! Trouble that may come with every request is told once a minute, with how often it has come since.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_secs(60);
/// Kinds of trouble that are kept apart; more of them are told each time.
const MAX_KINDS: usize = 100;

/// What was told, and when.
#[derive(Debug)]
pub(super) struct Complaints {
    told: Mutex<BTreeMap<String, Told>>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    /// How often it has come since.
    n_untold: u64,
}

impl Complaints {
    pub(super) const fn new() -> Self {
        Self { told: Mutex::new(BTreeMap::new()) }
    }

    /// Notes that trouble of this kind has come; how often it came untold before if it is to be told now.
    pub(super) fn note(&self, kind: String) -> Option<u64> {
        self.note_at(kind, Instant::now())
    }

    fn note_at(&self, kind: String, now: Instant) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = told.get_mut(&kind) {
            if now.duration_since(last.at) < INTERVAL {
                last.n_untold += 1;
                return None;
            }
            let n_untold = last.n_untold;
            *last = Told { at: now, n_untold: 0 };
            return Some(n_untold);
        }
        if told.len() >= MAX_KINDS {
            told.retain(|_, last| now.duration_since(last.at) < INTERVAL);
        }
        if told.len() < MAX_KINDS {
            told.insert(kind, Told { at: now, n_untold: 0 });
        }
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_told_once_a_minute() {
        let complaints = Complaints::new();
        let start = Instant::now();
        let note = |kind: &str, seconds| complaints.note_at(kind.to_owned(), start + Duration::from_secs(seconds));
        assert_eq!((note("a", 0), note("a", 1), note("a", 59), note("b", 59)), (Some(0), None, None, Some(0)));
        assert_eq!((note("a", 60), note("a", 61), note("a", 200)), (Some(2), None, Some(1)));
        for kind in 0..1000 {
            assert_eq!(note(&kind.to_string(), 300), Some(0));
        }
        assert!(complaints.told.lock().unwrap().len() <= MAX_KINDS);
    }
}
