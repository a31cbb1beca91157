//! Admission: work waits, in the order it came, until there is a place and memory for it. Nobody waits on a thread.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::IntGauge;

use crate::metrics::{self, metrics};

/// What may be inside of an admission at once, and what may wait for it.
#[derive(Clone, Copy, Debug)]
pub struct GateLimits {
    /// Pieces of work inside at once.
    pub places: usize,
    /// Bytes that they may need together. One that needs more goes in alone.
    pub bytes: u64,
    /// Pieces of work that may wait; more are turned away at once.
    pub queue: usize,
    /// How long one may wait. It is told when its turn comes, or when another ahead of it leaves.
    pub max_wait: Duration,
}

/// A bounded number of places with a bounded sum of bytes, and a queue in front.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    gauges: Gauges,
}

/// What `/metrics` shows of it.
#[derive(Debug)]
struct Gauges {
    inside: IntGauge,
    bytes: IntGauge,
    waiting: IntGauge,
}

#[derive(Debug)]
struct State {
    limits: GateLimits,
    n_inside: usize,
    bytes_inside: u64,
    queue: VecDeque<Waiting>,
}

struct Waiting {
    bytes: u64,
    since: Instant,
    go: Box<Go>,
}

/// Told once: go in, or give up.
type Go = dyn FnOnce(Result<Ticket, Busy>) + Send;

/// There was no room, or not in time: by which bound, as the configuration names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy(pub &'static str);

const NO_PLACE: Busy = Busy("max-queue");
const NO_TIME: Busy = Busy("queue-timeout");

/// A place inside; left when dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    gate: Arc<Gate>,
    bytes: u64,
}

impl Gate {
    /// A gate in front of what `kind` names in `/metrics`.
    pub(super) fn new(kind: &'static str, limits: GateLimits) -> Arc<Self> {
        let gauge = |gauges: &prometheus::IntGaugeVec| gauges.with_label_values(&[kind]);
        let metrics = metrics();
        let gauges = Gauges {
            inside: gauge(&metrics.in_flight),
            bytes: gauge(&metrics.in_flight_bytes),
            waiting: gauge(&metrics.queued),
        };
        let state = State { limits, n_inside: 0, bytes_inside: 0, queue: VecDeque::new() };
        Arc::new(Self { state: Mutex::new(state), gauges })
    }

    /// Others from now on, but for the number of places, which is that of the threads behind. Who is inside stays, who waits
    /// goes on waiting.
    pub(super) fn set_limits(self: &Arc<Self>, limits: GateLimits) {
        let mut state = self.lock();
        state.limits = GateLimits { places: state.limits.places, ..limits };
        let told = self.next(&mut state);
        drop(state);
        tell(told);
    }

    /// Calls `go` as soon as there is room, possibly at once and possibly on the thread of another who leaves; so `go`
    /// must be short.
    pub(super) fn enter(self: &Arc<Self>, bytes: u64, go: impl FnOnce(Result<Ticket, Busy>) + Send + 'static) {
        let mut state = self.lock();
        if state.queue.is_empty() && state.has_room(bytes) {
            let ticket = self.let_in(&mut state, bytes);
            drop(state);
            return go(Ok(ticket));
        }
        if state.queue.len() >= state.limits.queue {
            drop(state);
            return go(Err(NO_PLACE));
        }
        state.queue.push_back(Waiting { bytes, since: Instant::now(), go: Box::new(go) });
        self.show(&state);
    }

    fn let_in(self: &Arc<Self>, state: &mut State, bytes: u64) -> Ticket {
        let bytes = bytes.min(state.limits.bytes);
        state.n_inside += 1;
        state.bytes_inside += bytes;
        self.show(state);
        Ticket { gate: Arc::clone(self), bytes }
    }

    /// Those whose turn it is now, with what they are told.
    fn next(self: &Arc<Self>, state: &mut State) -> Vec<(Box<Go>, Result<Ticket, Busy>)> {
        let mut told = Vec::new();
        while let Some(first) = state.queue.front() {
            let is_late = first.since.elapsed() > state.limits.max_wait;
            if !is_late && !state.has_room(first.bytes) {
                break;
            }
            let Some(first) = state.queue.pop_front() else {
                break;
            };
            told.push((first.go, if is_late { Err(NO_TIME) } else { Ok(self.let_in(state, first.bytes)) }));
        }
        self.show(state);
        told
    }

    fn show(&self, state: &State) {
        metrics::show(&self.gauges.inside, state.n_inside);
        metrics::show(&self.gauges.waiting, state.queue.len());
        metrics::show(&self.gauges.bytes, state.bytes_inside);
    }

    /// The state is right even if a holder of the lock has panicked: no change of it can stop half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What needs more than all of the room goes in alone.
    fn has_room(&self, bytes: u64) -> bool {
        self.n_inside == 0 || self.n_inside < self.limits.places && self.bytes_inside + bytes <= self.limits.bytes
    }
}

fn tell(told: Vec<(Box<Go>, Result<Ticket, Busy>)>) {
    for (go, result) in told {
        go(result);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.n_inside -= 1;
        state.bytes_inside -= self.bytes;
        let told = self.gate.next(&mut state);
        drop(state);
        tell(told);
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("bytes", &self.bytes).field("since", &self.since).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    const PATIENT: Duration = Duration::from_secs(60);

    fn gate(places: usize, bytes: u64, queue: usize, max_wait: Duration) -> Arc<Gate> {
        Gate::new("test", GateLimits { places, bytes, queue, max_wait })
    }

    fn enter(gate: &Arc<Gate>, bytes: u64) -> Receiver<Result<Ticket, Busy>> {
        let (sender, told) = channel();
        gate.enter(bytes, move |result| sender.send(result).unwrap());
        told
    }

    #[test]
    fn who_came_first_goes_first() {
        let gate = gate(2, 100, 10, PATIENT);
        let a = enter(&gate, 60).try_recv().unwrap().unwrap();
        let (b, c) = (enter(&gate, 60), enter(&gate, 10));
        assert!(b.try_recv().is_err() && c.try_recv().is_err(), "a small one does not overtake");
        drop(a);
        let (b, c) = (b.try_recv().unwrap().unwrap(), c.try_recv().unwrap().unwrap());
        let d = enter(&gate, 1);
        assert!(d.try_recv().is_err(), "both places are taken");
        drop(b);
        drop((c, d.try_recv().unwrap().unwrap()));
        let alone = enter(&gate, 1000).try_recv().unwrap().unwrap();
        let e = enter(&gate, 1);
        assert!(e.try_recv().is_err(), "what is larger than all goes alone");
        drop(alone);
        drop(e.try_recv().unwrap().unwrap());
        let state = gate.lock();
        assert_eq!((state.n_inside, state.bytes_inside, state.queue.len()), (0, 0, 0));
    }

    #[test]
    fn a_full_queue_and_a_long_wait_turn_away() {
        let gate = gate(1, 100, 1, Duration::ZERO);
        let inside = enter(&gate, 1).try_recv().unwrap().unwrap();
        let waiting = enter(&gate, 1);
        assert_eq!(enter(&gate, 1).try_recv().unwrap().unwrap_err(), NO_PLACE);
        drop(inside);
        assert_eq!(waiting.try_recv().unwrap().unwrap_err(), NO_TIME);
        assert!(enter(&gate, 1).try_recv().unwrap().is_ok());
    }

    #[test]
    fn no_more_is_inside_than_may_be() {
        let gate = gate(3, 100, usize::MAX, PATIENT);
        let inside = Arc::new(AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8_u64 {
                let (gate, inside) = (&gate, &inside);
                scope.spawn(move || {
                    for round in 0..200 {
                        let ticket = enter(gate, (thread * 31 + round * 7) % 140).recv().unwrap().unwrap();
                        let now = inside.fetch_add(ticket.bytes + (1 << 32), Ordering::SeqCst);
                        let now = now + ticket.bytes + (1 << 32);
                        assert!(now & 0xffff_ffff <= 100 && now >> 32 <= 3, "{now:x}");
                        inside.fetch_sub(ticket.bytes + (1 << 32), Ordering::SeqCst);
                    }
                });
            }
        });
        let state = gate.lock();
        assert_eq!((state.n_inside, state.bytes_inside, state.queue.len()), (0, 0, 0));
    }
}
