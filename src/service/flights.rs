//! Single flight: what several requests wait for is made once. The work belongs to none of them: it goes on when the
//! first has left, and its failure is told to all and remembered by nobody. But it does not begin if by then nobody waits
//! any more.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Pieces of work under way, by what they make.
#[derive(Debug)]
pub(super) struct Flights<K, R> {
    open: Mutex<HashMap<K, Flight<R>>>,
}

enum Flight<R> {
    /// Not done; these want to know.
    Waiting { waiters: Vec<Waiter<R>>, has_begun: bool },
    /// Done, and being put where the next one will find it.
    Done(R),
}

/// Somebody who wants to know.
struct Waiter<R> {
    tell: Box<Tell<R>>,
    wish: Wish,
}

type Tell<R> = dyn FnOnce(R, Role) + Send;

/// Asked once, when the work begins or has begun, whether it is still waited for. From then on it is.
pub type Wish = Box<dyn FnOnce() -> bool + Send>;

/// Of those who wait however long it takes.
pub(super) fn lasting() -> Wish {
    Box::new(|| true)
}

/// Whose request began the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// One's own.
    First,
    /// Another's.
    Joined,
}

/// The duty to do a piece of work. Dropped undone, as by a panic, it tells all who wait that it failed.
pub(super) struct Lead<K: Clone + Eq + Hash, R: Clone> {
    flights: Arc<Flights<K, R>>,
    key: K,
    /// What is told if nothing else was.
    otherwise: Option<R>,
    /// Whether the result is still there for those who come.
    is_open: bool,
}

impl<K: Clone + Eq + Hash, R: Clone> Flights<K, R> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { open: Mutex::new(HashMap::new()) })
    }

    /// Joins the work on `key`: `waiter` gets its result, at once if it is done already. `Some` if there is no such
    /// work: then it is the caller's to do, and its own waiter is among those told. `otherwise` is the result of work
    /// that ends without one. A waiter whose `wish` is over when the work begins is told nothing.
    pub(super) fn join(
        self: &Arc<Self>,
        key: K,
        otherwise: R,
        (waiter, wish): (impl FnOnce(R, Role) + Send + 'static, Wish),
    ) -> Option<Lead<K, R>> {
        let mut open = self.lock();
        match open.entry(key) {
            Entry::Vacant(place) => {
                let key = place.key().clone();
                let waiters = vec![Waiter { tell: Box::new(waiter), wish }];
                place.insert(Flight::Waiting { waiters, has_begun: false });
                Some(Lead { flights: Arc::clone(self), key, otherwise: Some(otherwise), is_open: false })
            }
            Entry::Occupied(mut flight) => {
                match flight.get_mut() {
                    Flight::Waiting { waiters, has_begun: false } => {
                        waiters.push(Waiter { tell: Box::new(waiter), wish });
                    }
                    Flight::Waiting { waiters, .. } if wish() => {
                        waiters.push(Waiter { tell: Box::new(waiter), wish: lasting() });
                    }
                    Flight::Waiting { .. } => {}
                    Flight::Done(result) => {
                        let result = result.clone();
                        drop(open);
                        waiter(result, Role::Joined);
                    }
                }
                None
            }
        }
    }

    /// Waits until all results that were told are where the next one finds them; false if that is not so by `deadline`.
    pub(super) fn settle(&self, deadline: Instant) -> bool {
        let is_settled = || !self.lock().values().any(|flight| matches!(flight, Flight::Done(_)));
        while !is_settled() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        true
    }

    /// Every change of the map is one call, so a panic elsewhere leaves it right.
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Flight<R>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash, R: Clone> Lead<K, R> {
    /// The work begins, for those who still wait. False if nobody does: then it need not, and who comes now leads anew.
    pub(super) fn begin(&mut self) -> bool {
        let mut open = self.flights.lock();
        let Some(Flight::Waiting { waiters, has_begun }) = open.get_mut(&self.key) else {
            return false;
        };
        *has_begun = true;
        let wished = std::mem::take(waiters).into_iter().filter_map(|Waiter { tell, wish }| {
            let is_wished = wish();
            is_wished.then(|| Waiter { tell, wish: lasting() })
        });
        *waiters = wished.collect();
        if !waiters.is_empty() {
            return true;
        }
        open.remove(&self.key);
        self.otherwise = None;
        false
    }

    /// Tells the result to all who wait, the one who led first, and to all who come until this value is dropped.
    pub(super) fn tell(&mut self, result: R) {
        if self.otherwise.take().is_some() {
            let before = self.flights.lock().insert(self.key.clone(), Flight::Done(result.clone()));
            self.is_open = true;
            tell(before, &result);
        }
    }

    /// Tells the result to all who wait, and to nobody who comes after one of them knows it.
    pub(super) fn end(mut self, result: R) {
        if self.otherwise.take().is_some() {
            let before = self.flights.lock().remove(&self.key);
            tell(before, &result);
        }
    }
}

fn tell<R: Clone>(flight: Option<Flight<R>>, result: &R) {
    if let Some(Flight::Waiting { waiters, .. }) = flight {
        let roles = std::iter::once(Role::First).chain(std::iter::repeat(Role::Joined));
        for (waiter, role) in waiters.into_iter().zip(roles) {
            (waiter.tell)(result.clone(), role);
        }
    }
}

impl<K: Clone + Eq + Hash, R: Clone> Drop for Lead<K, R> {
    fn drop(&mut self) {
        let unfinished = self.otherwise.take();
        if unfinished.is_some() || self.is_open {
            let flight = self.flights.lock().remove(&self.key);
            if let Some(otherwise) = unfinished {
                tell(flight, &otherwise);
            }
        }
    }
}

impl<R> fmt::Debug for Flight<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { waiters, .. } => write!(f, "Waiting({})", waiters.len()),
            Self::Done(_) => f.write_str("Done"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn all_get_what_one_made() {
        let flights = Flights::new();
        let (sender, told) = channel();
        let waiter = |name: char| {
            let sender = sender.clone();
            move |result: Result<u32, &'static str>, role| sender.send((name, result, role)).unwrap()
        };
        let mut lead = flights.join(1, Err("undone"), (waiter('a'), lasting())).unwrap();
        assert!(flights.join(1, Err("undone"), (waiter('b'), lasting())).is_none());
        assert!(
            flights.join(2, Err("undone"), (waiter('c'), lasting())).is_some(),
            "another piece of work, dropped undone"
        );
        assert_eq!(told.try_recv().unwrap(), ('c', Err("undone"), Role::First));
        assert!(told.try_recv().is_err());
        lead.tell(Ok(7));
        assert!(flights.join(1, Err("undone"), (waiter('d'), lasting())).is_none());
        lead.tell(Ok(8));
        drop(lead);
        let expected = [('a', Ok(7), Role::First), ('b', Ok(7), Role::Joined), ('d', Ok(7), Role::Joined)];
        assert_eq!(told.try_iter().collect::<Vec<_>>(), expected);
        assert!(flights.join(1, Err("undone"), (waiter('e'), lasting())).is_some(), "nothing is remembered");
        assert!(flights.lock().is_empty());
    }

    #[test]
    fn work_begins_only_for_those_who_still_wait() {
        let flights = Flights::new();
        let (sender, told) = channel();
        let waiter = |name: char, is_wished: bool| {
            let sender = sender.clone();
            let wish: Wish = Box::new(move || is_wished);
            (move |result: u32, role| sender.send((name, result, role)).unwrap(), wish)
        };
        let mut lead = flights.join(1, 0, waiter('a', false)).unwrap();
        assert!(flights.join(1, 0, waiter('b', true)).is_none());
        assert!(lead.begin(), "one of two waits");
        assert!(flights.join(1, 0, waiter('c', false)).is_none() && flights.join(1, 0, waiter('d', true)).is_none());
        lead.end(7);
        let expected = [('b', 7, Role::First), ('d', 7, Role::Joined)];
        assert_eq!(told.try_iter().collect::<Vec<_>>(), expected);
        let mut lead = flights.join(1, 0, waiter('e', false)).unwrap();
        assert!(!lead.begin(), "nobody waits");
        let next = flights.join(1, 0, waiter('f', true)).expect("who comes then leads anew");
        drop(lead);
        next.end(8);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [('f', 8, Role::First)]);
        assert!(flights.lock().is_empty());
    }

    #[test]
    fn what_was_told_is_waited_for() {
        let flights = Flights::new();
        let _undone = flights.join(1, 0, (|_, _| {}, lasting())).unwrap();
        assert!(flights.settle(Instant::now()), "nobody knows of this yet");
        let mut lead = flights.join(2, 0, (|_, _| {}, lasting())).unwrap();
        lead.tell(7);
        assert!(!flights.settle(Instant::now()));
        thread::scope(|scope| {
            scope.spawn(move || drop(lead));
            assert!(flights.settle(Instant::now() + Duration::from_secs(60)));
        });
    }

    #[test]
    fn an_end_is_remembered_by_nobody() {
        let flights = Flights::new();
        let (sender, told) = channel();
        let again = Arc::clone(&flights);
        let waiter = move |result: u32, _| {
            // Who comes once the first knows the result does the work anew.
            let next = again.join(1, 0, (|_, _| {}, lasting()));
            sender.send((result, next.is_some())).unwrap();
        };
        flights.join(1, 0, (waiter, lasting())).unwrap().end(7);
        assert_eq!(told.recv().unwrap(), (7, true));
        assert!(flights.lock().is_empty());
    }

    #[test]
    fn a_storm_is_one_piece_of_work() {
        let flights: Arc<Flights<usize, usize>> = Flights::new();
        let (n_led, n_told) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..1000 {
                        let n_told = Arc::clone(&n_told);
                        let waiter = move |result, _| {
                            n_told.fetch_add(usize::from(result == round), Ordering::SeqCst);
                        };
                        let led = flights.join(round, usize::MAX, (waiter, lasting()));
                        if let Some(mut lead) = led {
                            n_led.fetch_add(1, Ordering::SeqCst);
                            lead.tell(round);
                        }
                    }
                });
            }
        });
        assert_eq!(n_told.load(Ordering::SeqCst), 4000);
        assert!((1000..=4000).contains(&n_led.load(Ordering::SeqCst)));
        assert!(flights.lock().is_empty());
    }
}
