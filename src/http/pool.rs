//! Where handlers run: a pool of threads with a bounded queue, and a wall around each request that a panic does not
//! cross.

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rayon::ThreadPool;

use super::limits::Limits;
use super::receiver::Receiver;
use super::reply::{Claim, Outcome, Reply, internal_error};
use super::request::Request;
use super::response::Response;
use super::{Dresser, Handler, InstantHandler};

/// The threads that handlers run on.
#[derive(Debug)]
pub(super) struct Pool {
    threads: Arc<ThreadPool>,
    /// Requests that a handler has or that wait for one.
    load: Arc<AtomicUsize>,
    max_load: usize,
    /// Bodies that are being received.
    n_receiving: Arc<AtomicUsize>,
    max_receiving: usize,
}

impl Pool {
    /// A queue in front of these threads.
    pub(super) fn new(threads: &Arc<ThreadPool>, limits: &Limits) -> Self {
        Self {
            threads: Arc::clone(threads),
            load: Arc::default(),
            max_load: limits.max_requests.max(1),
            n_receiving: Arc::default(),
            max_receiving: limits.max_uploads.max(1),
        }
    }

    /// Has a thread call the handler; `deliver` gets the answer. `None` if the queue is full.
    pub(super) fn queue(
        &self,
        handler: &Arc<Handler>,
        request: &Arc<Request>,
        deliver: impl FnOnce(Outcome) + Send + 'static,
    ) -> Option<Claim> {
        let share = Arc::new(Share::take(&self.load, self.max_load)?);
        let (handler, request) = (Arc::clone(handler), Arc::clone(request));
        let claim = Claim::default();
        let worker_claim = claim.clone();
        self.threads.spawn_fifo(move || {
            if worker_claim.is_taken() {
                return;
            }
            let id = request.id;
            let reply_share = Arc::clone(&share);
            // Room is made before the client knows, so that its next request finds it.
            let reply = Reply::new(&worker_claim, move |outcome| {
                reply_share.give_back();
                deliver(outcome);
            });
            contain(id, || handler(request, reply));
            // An answer that comes later is waited for by others, not by a thread.
            share.give_back();
        });
        Some(claim)
    }

    /// Others from now on.
    pub(super) fn set_limits(&mut self, limits: &Limits) {
        self.max_load = limits.max_requests.max(1);
        self.max_receiving = limits.max_uploads.max(1);
    }

    /// Requests that a handler has or that wait for one.
    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Bodies that are being received.
    pub(super) fn n_receiving(&self) -> usize {
        self.n_receiving.load(Ordering::Relaxed)
    }

    /// A place among the bodies that are being received; `None` if all are taken.
    pub(super) fn enter_receiving(&self) -> Option<Share> {
        Share::take(&self.n_receiving, self.max_receiving)
    }

    /// Has a thread hand a piece of a body to who takes it, and the end of it after the last; `deliver` is told what
    /// then.
    pub(super) fn hand_over(
        &self,
        (id, claim): (u64, &Claim),
        mut receiver: Box<dyn Receiver>,
        (piece, is_last): (Vec<u8>, bool),
        deliver: impl FnOnce(Outcome) + Send + 'static,
    ) {
        // A panic in it answers 500, by what it drops.
        let reply = Reply::new(claim, deliver);
        self.threads.spawn_fifo(move || {
            contain(id, || match receiver.take(piece) {
                ControlFlow::Break(response) => reply.send(response),
                ControlFlow::Continue(()) if is_last => receiver.end(reply),
                ControlFlow::Continue(()) => reply.receive(receiver),
            });
        });
    }

    /// Drops who took a body that will not come to its end; what it has kept may be on a disk.
    pub(super) fn discard(&self, receiver: Box<dyn Receiver>) {
        self.threads.spawn_fifo(move || drop(receiver));
    }
}

/// Answers a request if it can be answered at once; a panic is an answer.
pub(super) fn answer_at_once(handler: &InstantHandler, request: &Request) -> Option<Response> {
    contain(request.id, || handler(request)).unwrap_or_else(|| Some(internal_error()))
}

/// An answer as it is sent to this client; a panic is an answer.
pub(super) fn dress(dresser: &Dresser, request: &Request, response: Response) -> Response {
    contain(request.id, || dresser(request, response)).unwrap_or_else(internal_error)
}

/// A part of a number that has a bound.
#[derive(Debug)]
pub(super) struct Share {
    load: Arc<AtomicUsize>,
    is_held: AtomicBool,
}

impl Share {
    fn take(load: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        let add = |load| if load < max { Some(load + 1) } else { None };
        load.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add).ok()?;
        Some(Self { load: Arc::clone(load), is_held: AtomicBool::new(true) })
    }

    fn give_back(&self) {
        if self.is_held.swap(false, Ordering::SeqCst) {
            self.load.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Runs `work`; `None` if it panicked. What a handler shares is behind locks and counts that recover by themselves,
/// or it must not be shared: that is what makes going on safe.
fn contain<T>(id: u64, work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| log_panic(id, panic)).ok()
}

/// Logs the text of a panic. The value is not dropped: a destructor could panic again.
fn log_panic(id: u64, panic: Box<dyn Any + Send>) {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("(no text)");
    tracing::error!(id, panic = text, "a request panicked");
    std::mem::forget(panic);
}

/// The answer to more work than the queue or the process holds.
pub(super) fn overloaded() -> Response {
    Response::unavailable("overloaded, try again\n")
}
