//! The same service on tiny_http 0.12, for comparison and for use behind nginx only (cargo feature `tiny_http`).
//!
//! What this loop walls off: heads that our own loop would refuse, as far as tiny_http shows them; panics; more
//! requests at once than allowed; announced bodies that are too large, which tiny_http would read into one allocation
//! of that size when it drops the request (such a request is never dropped, which costs a thread and a socket each).
//! What it cannot wall off, since tiny_http does it on its own: no time-outs and no limit of a head, a thread for each
//! connection, bursts of connections that stay unanswered, the end of its accept thread when files run out, and
//! requests with two lengths or with length and coding, of which it believes one. nginx in front keeps all of these
//! away.

use std::io::{self, Cursor};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use tiny_http::{HTTPVersion, Header, Server, StatusCode};

use super::error::HeadError;
use super::framing;
use super::limits::Limits;
use super::listener::Listener;
use super::pool::{Pool, answer_at_once, dress, overloaded};
use super::receiver::{BodyError, Receiver};
use super::reply::{Claim, Outcome, Reply};
use super::request::{Request, Target};
use super::response::{Body, Response, belongs_to_connection, seal};
use super::stop::Stop;
use super::{Handlers, log};
use crate::service::Live;

/// How often a loop without requests looks for the stop.
const ROUND: Duration = Duration::from_millis(100);

/// Bytes of a body that are read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// What the loops share.
struct Shared {
    limits: Arc<Limits>,
    handlers: Handlers,
    pool: Pool,
    last_request_id: AtomicU64,
    n_running: AtomicUsize,
}

/// Serves until `stop` is asked for, as [`super::serve`] does.
///
/// # Errors
/// If a listener cannot be handed over.
pub fn serve(listeners: Vec<Listener>, limits: &Arc<Live<Limits>>, stop: &Stop, handlers: Handlers) -> io::Result<()> {
    tracing::warn!("serving with tiny_http: no time-outs and no limit of connections; for use behind nginx only");
    let limits = limits.get();
    let shared = Arc::new(Shared {
        pool: Pool::new(&handlers.threads, &limits),
        limits: Arc::clone(&limits),
        handlers,
        last_request_id: AtomicU64::new(0),
        n_running: AtomicUsize::new(0),
    });
    // The files of unix sockets go when the listeners do.
    let servers = listeners
        .iter()
        .map(|listener| Server::from_listener(listener.blocking()?, None).map_err(io::Error::other))
        .collect::<io::Result<Vec<_>>>()?;
    thread::scope(|scope| {
        for server in &servers {
            let shared = &shared;
            scope.spawn(move || accept(server, shared, stop));
        }
    });
    let deadline = Instant::now() + limits.stop_timeout;
    while shared.n_running.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
        thread::park_timeout(Duration::from_millis(5));
    }
    Ok(())
}

fn accept(server: &Server, shared: &Arc<Shared>, stop: &Stop) {
    while !stop.is_requested() {
        shared.handlers.pulse.fetch_add(1, Ordering::Relaxed);
        match server.recv_timeout(ROUND) {
            Ok(Some(request)) => take(shared, request),
            Ok(None) => {}
            Err(error) => {
                // Its accept thread is gone: nothing will come any more.
                tracing::error!(%error, "tiny_http has stopped accepting connections");
                return stop.request();
            }
        }
    }
}

/// Has a request answered, here or on the pool.
fn take(shared: &Arc<Shared>, client: tiny_http::Request) {
    let start = Instant::now();
    let id = shared.last_request_id.fetch_add(1, Ordering::Relaxed) + 1;
    shared.n_running.fetch_add(1, Ordering::SeqCst);
    let request = match read(&client, id, &shared.limits) {
        Ok(request) => Arc::new(request),
        Err(error) => return refuse(shared, client, id, error),
    };
    if let Some(response) = answer_at_once(&*shared.handlers.instant, &request) {
        return send(shared, client, &request, response, start);
    }
    // The pool gives the answer once, or not at all if there is no room: whoever comes first has the client.
    let client = Arc::new(Mutex::new(Some(client)));
    let deliver = {
        let (shared, client, request) = (Arc::clone(shared), Arc::clone(&client), Arc::clone(&request));
        move |outcome| {
            if let Some(client) = taken(&client) {
                go_on(shared, client, request, outcome, start);
            }
        }
    };
    if shared.pool.queue(&shared.handlers.queued, &request, deliver).is_none()
        && let Some(client) = taken(&client)
    {
        send(shared, client, &request, overloaded(), start);
    }
}

/// Sends an answer, or reads the body first: here, on a thread of the pool, for as long as the client takes.
fn go_on(shared: Arc<Shared>, mut client: tiny_http::Request, request: Arc<Request>, outcome: Outcome, start: Instant) {
    match outcome {
        Outcome::Answer(response) => send(&shared, client, &request, response, start),
        Outcome::Receive(receiver) => match receive(&mut client, receiver, shared.limits.max_body_bytes) {
            ControlFlow::Continue(receiver) => {
                receiver
                    .end(Reply::new(&Claim::default(), move |outcome| go_on(shared, client, request, outcome, start)));
            }
            ControlFlow::Break(response) => send(&shared, client, &request, response, start),
        },
    }
}

/// Hands the body over.
fn receive(
    client: &mut tiny_http::Request,
    mut receiver: Box<dyn Receiver>,
    max_bytes: u64,
) -> ControlFlow<Response, Box<dyn Receiver>> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut n_bytes = 0;
    loop {
        let n_read = match client.as_reader().read(&mut piece) {
            Ok(0) => return ControlFlow::Continue(receiver),
            Ok(n_read) => n_read,
            Err(_) => return ControlFlow::Break(BodyError::Chunk.response()),
        };
        n_bytes += n_read as u64;
        if n_bytes > max_bytes {
            return ControlFlow::Break(BodyError::TooLarge.response());
        }
        receiver.take(piece[..n_read].to_vec())?;
    }
}

fn taken(client: &Mutex<Option<tiny_http::Request>>) -> Option<tiny_http::Request> {
    client.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// A request as our own loop would have read it.
fn read(client: &tiny_http::Request, id: u64, limits: &Limits) -> Result<Request, HeadError> {
    let version = match client.http_version() {
        HTTPVersion(1, 1) => Version::HTTP_11,
        HTTPVersion(1, 0) => Version::HTTP_10,
        HTTPVersion(..) => return Err(HeadError::Version),
    };
    let method = Method::from_bytes(client.method().as_str().as_bytes()).map_err(|_| HeadError::Method)?;
    if client.url().len() > limits.max_target_bytes {
        return Err(HeadError::TargetTooLong);
    }
    let target = Target::parse(client.url().as_bytes())?;
    if client.headers().len() > limits.max_headers {
        return Err(HeadError::TooLarge);
    }
    let mut headers = HeaderMap::new();
    for field in client.headers() {
        let name = HeaderName::from_bytes(field.field.as_str().as_str().as_bytes()).map_err(|_| HeadError::Header)?;
        let value = HeaderValue::from_str(field.value.as_str()).map_err(|_| HeadError::Header)?;
        headers.try_append(name, value).map_err(|_| HeadError::TooLarge)?;
    }
    framing::check_host(&headers, version)?;
    framing::check_body(framing::body_length(&headers, version)?, limits.max_body_bytes)?;
    let peer = client.remote_addr().map(|address| address.ip().to_canonical());
    Ok(Request { id, peer, method, target, version, headers })
}

fn send(shared: &Shared, client: tiny_http::Request, request: &Request, response: Response, start: Instant) {
    let response = dress(&*shared.handlers.dresser, request, response);
    let Response { status, notes, .. } = response;
    let answered = log::Answered { status, n_bytes: response.body.len(), notes, start };
    log::answered(request, &answered, shared.limits.access_log);
    if let Err(error) = client.respond(in_their_words(response)) {
        log::unsent(request.id, &error);
    }
    shared.n_running.fetch_sub(1, Ordering::SeqCst);
}

/// Answers a head that no handler gets to see.
fn refuse(shared: &Shared, client: tiny_http::Request, id: u64, error: HeadError) {
    log::refused(id, None, error, shared.limits.access_log);
    let response = in_their_words(Response::text(error.status(), format!("{error}\n")));
    let announced = client.body_length().unwrap_or(0) as u64;
    if announced <= shared.limits.max_body_bytes {
        // The client may be gone.
        let _ = client.respond(response);
    } else {
        // Dropping it would allocate what it announces: the process would end.
        std::mem::forget(client.upgrade("none", response));
    }
    shared.n_running.fetch_sub(1, Ordering::SeqCst);
}

fn in_their_words(mut response: Response) -> tiny_http::Response<Cursor<Body>> {
    seal(&mut response);
    let field = |name: &[u8], value: &[u8]| Header::from_bytes(name, value).ok();
    let own = response.headers.iter().filter(|(name, _)| !belongs_to_connection(name));
    let own = own.filter_map(|(name, value)| field(name.as_str().as_bytes(), value.as_bytes()));
    // It would name itself.
    let headers = own.chain(field(b"Server", b"pixlserv")).collect();
    let length = response.body.len();
    let status = StatusCode(response.status.as_u16());
    tiny_http::Response::new(status, headers, Cursor::new(response.body), Some(length), None)
        .with_chunked_threshold(usize::MAX)
}
