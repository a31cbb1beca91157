//! The front door: takes connections, reads requests strictly, has them answered within bounds, and ends in order.
//! It knows sockets and HTTP and nothing of images; the routes do.
//!
//! One thread waits for all clients at once (`door`): it takes connections in, as many as there may be (`capacity`),
//! and has each (`connection`) read and write what its socket takes. A client that is idle or slow costs no thread. A
//! request whose head is whole and valid (`head`, `framing`) is answered in place where that needs no waiting, and
//! otherwise on a pool of few threads behind a bounded queue (`pool`), from where, or from wherever its work is done,
//! the answer comes back (`reply`, `answers`). A body that is wanted is handed over in pieces (`body`, `receiver`).
//! Every wait has a deadline (`timers`), every buffer a bound (`limits`).

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rayon::ThreadPool;

use crate::service::Live;

mod answers;
mod body;
mod capacity;
mod client;
pub mod conditional;
mod connection;
mod door;
mod error;
mod framing;
mod gauges;
mod head;
mod limits;
mod listener;
mod log;
mod multipart;
mod pool;
mod range;
mod receiver;
mod reply;
mod request;
mod response;
pub mod routes;
mod shared;
mod slots;
mod socket;
mod status;
mod stop;
#[cfg(test)]
mod tests;
mod timers;
#[cfg(feature = "tiny_http")]
pub mod tiny;
mod unsent;

pub use error::HeadError;
pub use limits::Limits;
pub use listener::{ListenError, Listener};
pub use receiver::Receiver;
pub use reply::{Claim, Reply};
pub use request::{Request, Target};
pub use response::{Body, Notes, Response};
pub use stop::Stop;

/// Answers a request, now or later and on whichever thread; called on the pool. A panic in it is answered 500.
pub type Handler = dyn Fn(Arc<Request>, Reply) + Send + Sync;

/// Answers a request, or leaves it to the [`Handler`]; runs on the loop's own thread, where everybody waits for it.
pub type InstantHandler = dyn Fn(&Request) -> Option<Response> + Send + Sync;

/// Puts an answer into its last shape, whoever gave it: the loop itself among them, as where it is overloaded or a body
/// is too large. Runs on the loop's own thread.
pub type Dresser = dyn Fn(&Request, Response) -> Response + Send + Sync;

/// Who answers.
#[derive(Clone)]
pub struct Handlers {
    /// Asked first, for what needs no work and must never be queued. It must not wait on anything, a disk among it.
    pub instant: Arc<InstantHandler>,
    /// Asked for the rest.
    pub queued: Arc<Handler>,
    /// Has the last word on every answer to a request whose head was valid.
    pub dresser: Arc<Dresser>,
    /// Where `queued` runs.
    pub threads: Arc<ThreadPool>,
    /// Grows every second at least, as long as the loop lives.
    pub pulse: Arc<AtomicU64>,
    /// Whether requests and connections are those that `/metrics` and the log are about.
    pub is_counted: bool,
}

/// Serves until `stop` is asked for; then takes no more connections, lets running requests finish, `stop_timeout` at
/// most, and returns. An answer given after the stop ends its connection. New `limits` count from when they are set.
///
/// # Errors
/// If the pool or the loop cannot be started. Whatever fails later is logged, and the loop goes on.
pub fn serve(listeners: Vec<Listener>, limits: &Arc<Live<Limits>>, stop: &Stop, handlers: Handlers) -> io::Result<()> {
    door::Door::new(listeners, limits, stop, handlers)?.run();
    Ok(())
}
