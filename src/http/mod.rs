//! The front door: takes connections, reads requests strictly, has them answered within bounds, and ends in order.
//! It knows sockets and HTTP and nothing of images; the routes do.
//!
//! One thread accepts (`accept`). Each open connection has a thread that waits on its client (`connection`), their
//! number bounded (`connections`). A request whose head is whole and valid (`head`, `framing`) is answered on a pool
//! of few threads behind a bounded queue (`pool`). Every wait has a deadline, every buffer a bound (`limits`).

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

mod accept;
pub mod conditional;
mod connection;
mod connections;
mod error;
mod framing;
mod head;
mod limits;
mod listener;
mod log;
mod pool;
mod reply;
mod request;
mod response;
pub mod routes;
mod socket;
mod status;
mod stop;
#[cfg(test)]
mod tests;

pub use error::HeadError;
pub use limits::Limits;
pub use listener::{ListenError, Listener};
pub use reply::Reply;
pub use request::{Request, Target};
pub use response::{Body, Response};
pub use stop::Stop;

/// Answers a request, now or later and on whichever thread; called on the pool. A panic in it is answered 500.
pub type Handler = dyn Fn(Arc<Request>, Reply) + Send + Sync;

/// Answers a request, or leaves it to the [`Handler`]; runs on the connection's own thread.
pub type InstantHandler = dyn Fn(&Request) -> Option<Response> + Send + Sync;

/// Who answers.
#[derive(Clone)]
pub struct Handlers {
    /// Asked first, for what must never be queued (`/health`). It must not wait on anything: only the number of
    /// connections bounds how many of it run at once.
    pub instant: Arc<InstantHandler>,
    /// Asked for the rest.
    pub queued: Arc<Handler>,
}

/// Serves until `stop` is asked for; then takes no more connections, lets running requests finish, `stop_timeout` at
/// most, and returns. An answer given after the stop ends its connection.
///
/// # Errors
/// If the pool cannot be started. Whatever fails later is logged, and the loop goes on.
pub fn serve(listeners: Vec<Listener>, limits: &Limits, stop: &Stop, handlers: Handlers) -> io::Result<()> {
    let shared = connection::Shared {
        pool: pool::Pool::new(limits)?,
        limits: limits.clone(),
        stop: stop.clone(),
        handlers: Arc::new(handlers),
        last_request_id: AtomicU64::new(0),
    };
    accept::Accept::new(Arc::new(shared)).run(listeners);
    Ok(())
}
