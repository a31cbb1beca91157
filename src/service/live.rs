//! A value that is replaced as a whole while others use it: whoever has the old one keeps it until they are done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The present value.
#[derive(Debug)]
pub struct Live<T> {
    present: RwLock<Arc<T>>,
    /// Grows with every replacement.
    version: AtomicU64,
}

impl<T> Live<T> {
    /// Begins with a value.
    #[must_use]
    pub fn new(value: T) -> Arc<Self> {
        Arc::new(Self { present: RwLock::new(Arc::new(value)), version: AtomicU64::new(0) })
    }

    /// The present value. Waits for nobody but for the moment in which it is replaced.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.present.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces it for all who ask from now on.
    pub fn set(&self, value: T) {
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// How often it was replaced: as long as this is the same, so is the value.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_old_value_keeps_it() {
        let live = Live::new(1);
        let old = live.get();
        assert_eq!(live.version(), 0);
        live.set(2);
        assert_eq!((*old, *live.get(), live.version()), (1, 2, 1));
    }
}
