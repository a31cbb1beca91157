//! What several threads want at the same time is done by one of them, while the others wait.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long one waits for another.
const MAX_WAIT: Duration = Duration::from_secs(15);

/// Work under way.
#[derive(Debug)]
pub(super) struct Once<K, R> {
    open: Mutex<HashMap<K, Arc<Slot<R>>>>,
}

#[derive(Debug)]
struct Slot<R> {
    end: Mutex<End<R>>,
    ended: Condvar,
}

/// What came of waiting.
enum Waited<R> {
    Result(R),
    Abandoned,
    Late,
}

#[derive(Debug)]
enum End<R> {
    NotYet,
    Result(R),
    /// By a panic.
    Abandoned,
}

impl<K, R> Default for Once<K, R> {
    fn default() -> Self {
        Self { open: Mutex::default() }
    }
}

impl<K: Clone + Eq + Hash, R: Clone> Once<K, R> {
    /// Does `work`; or, if another does the same, has what is known `meanwhile`, or waits for that one's result, for as
    /// long as `MAX_WAIT` and then `late`.
    pub(super) fn run(&self, key: K, meanwhile: Option<R>, late: impl FnOnce() -> R, work: impl FnOnce() -> R) -> R {
        let slot = match lock(&self.open).entry(key.clone()) {
            Entry::Vacant(place) => {
                let slot = Arc::new(Slot { end: Mutex::new(End::NotYet), ended: Condvar::new() });
                place.insert(Arc::clone(&slot));
                Err(slot)
            }
            Entry::Occupied(slot) => Ok(Arc::clone(slot.get())),
        };
        match (slot, meanwhile) {
            (Err(slot), _) => {
                let lead = Lead { once: self, key, slot };
                let result = work();
                *lock(&lead.slot.end) = End::Result(result.clone());
                result
            }
            (Ok(_), Some(known)) => known,
            (Ok(slot), None) => match slot.wait() {
                Waited::Result(result) => result,
                Waited::Late => late(),
                // By a panic.
                Waited::Abandoned => self.run(key, None, late, work),
            },
        }
    }
}

impl<R: Clone> Slot<R> {
    fn wait(&self) -> Waited<R> {
        let is_open = |end: &mut End<R>| matches!(end, End::NotYet);
        let (end, _) =
            self.ended.wait_timeout_while(lock(&self.end), MAX_WAIT, is_open).unwrap_or_else(PoisonError::into_inner);
        match &*end {
            End::NotYet => Waited::Late,
            End::Result(result) => Waited::Result(result.clone()),
            End::Abandoned => Waited::Abandoned,
        }
    }
}

/// Ends the work, whatever happens.
struct Lead<'a, K: Eq + Hash, R> {
    once: &'a Once<K, R>,
    key: K,
    slot: Arc<Slot<R>>,
}

impl<K: Eq + Hash, R> Drop for Lead<'_, K, R> {
    fn drop(&mut self) {
        lock(&self.once.open).remove(&self.key);
        let mut end = lock(&self.slot.end);
        if matches!(*end, End::NotYet) {
            *end = End::Abandoned;
        }
        self.slot.ended.notify_all();
    }
}

/// Every change is one assignment or call, so a panic elsewhere leaves it right.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn all_who_wait_get_what_one_did() {
        let once: Once<u32, usize> = Once::default();
        let n_done = AtomicUsize::new(0);
        let (sender, begun) = channel();
        let (release, released) = channel::<()>();
        thread::scope(|scope| {
            let once = &once;
            let n_done = &n_done;
            let first = scope.spawn(move || {
                once.run(
                    1,
                    None,
                    || 99,
                    || {
                        sender.send(()).unwrap();
                        released.recv().unwrap();
                        n_done.fetch_add(1, Ordering::SeqCst)
                    },
                )
            });
            begun.recv().unwrap();
            let others: Vec<_> =
                (0..8).map(|_| scope.spawn(|| once.run(1, None, || 99, || n_done.load(Ordering::SeqCst)))).collect();
            assert_eq!(once.run(2, None, || 99, || 7), 7, "other work waits for nothing");
            assert_eq!(once.run(1, Some(5), || 99, || 98), 5, "what is known is enough");
            while Arc::strong_count(&lock(&once.open)[&1]) < 10 {
                thread::yield_now();
            }
            release.send(()).unwrap();
            assert_eq!(first.join().unwrap(), 0);
            assert!(others.into_iter().all(|other| other.join().unwrap() == 0));
        });
        assert_eq!(once.run(1, None, || 99, || 9), 9, "nothing is remembered");
    }

    #[test]
    fn work_that_panics_is_done_by_another() {
        let once: Once<u32, u32> = Once::default();
        let (sender, begun) = channel();
        let (release, released) = channel::<()>();
        thread::scope(|scope| {
            let once = &once;
            let first = scope.spawn(move || {
                let work = || {
                    sender.send(()).unwrap();
                    released.recv().unwrap();
                    panic!("no result")
                };
                catch_unwind(AssertUnwindSafe(|| once.run(1, None, || 99, work))).is_err()
            });
            begun.recv().unwrap();
            let second = scope.spawn(|| once.run(1, None, || 99, || 5));
            release.send(()).unwrap();
            assert!(first.join().unwrap());
            assert_eq!(second.join().unwrap(), 5);
        });
        assert!(lock(&once.open).is_empty());
    }
}
