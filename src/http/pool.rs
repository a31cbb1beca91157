//! Where handlers run: a pool of threads with a bounded queue, and a wall around each request that a panic does not
//! cross.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::limits::Limits;
use super::reply::{Reply, internal_error};
use super::request::Request;
use super::response::Response;
use super::{Handler, Handlers};

/// The threads that handlers run on.
#[derive(Debug)]
pub(super) struct Pool {
    threads: rayon::ThreadPool,
    /// Requests running or waiting.
    load: Arc<AtomicUsize>,
    max_load: usize,
    /// How long a request may wait for a thread.
    max_wait: Duration,
}

impl Pool {
    /// Starts `limits.threads` threads.
    pub(super) fn new(limits: &Limits) -> io::Result<Self> {
        let n_threads = limits.threads.max(1);
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(n_threads)
            .thread_name(|index| format!("request-{index}"))
            .panic_handler(|panic| log_panic(0, panic))
            .build()
            .map_err(io::Error::other)?;
        let max_load = limits.max_requests.max(1);
        Ok(Self { threads, load: Arc::default(), max_load, max_wait: limits.queue_timeout })
    }

    /// Answers one request: at once where the handlers can, otherwise on the pool while the caller waits.
    pub(super) fn answer(&self, handlers: &Handlers, request: &Arc<Request>) -> Response {
        match contain(request.id, || (handlers.instant)(request)) {
            Some(Some(response)) => response,
            Some(None) => self.queue(Arc::clone(&handlers.queued), Arc::clone(request)),
            None => internal_error(),
        }
    }

    /// Has a thread answer, or says 503 if there is no room in the queue or no thread comes in time. Whoever is first
    /// to set `claimed` decides which: the thread that begins, or the caller that gives up.
    fn queue(&self, handler: Arc<Handler>, request: Arc<Request>) -> Response {
        let Some(share) = Share::take(&self.load, self.max_load) else {
            return overloaded();
        };
        let (sender, receiver) = mpsc::sync_channel(1);
        let claimed = Arc::new(AtomicBool::new(false));
        let worker_claimed = Arc::clone(&claimed);
        self.threads.spawn(move || {
            if worker_claimed.swap(true, Ordering::SeqCst) {
                return;
            }
            let id = request.id;
            let reply = Reply::new(move |response| {
                drop(share);
                // The connection's thread waits for this; if it is gone, so is the client.
                let _ = sender.send(response);
            });
            contain(id, || handler(request, reply));
        });
        let response = match receiver.recv_timeout(self.max_wait) {
            Err(RecvTimeoutError::Timeout) if !claimed.swap(true, Ordering::SeqCst) => {
                return overloaded();
            }
            Err(RecvTimeoutError::Timeout) => receiver.recv().ok(),
            result => result.ok(),
        };
        response.unwrap_or_else(internal_error)
    }
}

/// One request's part of the load.
#[derive(Debug)]
struct Share(Arc<AtomicUsize>);

impl Share {
    fn take(load: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        let add = |load| if load < max { Some(load + 1) } else { None };
        load.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add).ok()?;
        Some(Self(Arc::clone(load)))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
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
