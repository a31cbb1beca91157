//! The life of one connection: head, answer, what is left of the body, and again; one request after the other, in
//! their order. It has a thread of its own, which waits on the client; handlers run elsewhere.

use std::io;
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::{Method, Version};

use super::connections::{Phase, Slot};
use super::error::HeadError;
use super::framing::{self, BodyLength};
use super::head::{Head, HeadParser};
use super::limits::Limits;
use super::pool::Pool;
use super::request::Request;
use super::response::{Message, Persistence, Response};
use super::socket::{READ_BYTES, Socket, Wake, after};
use super::stop::Stop;
use super::{Handlers, log};

/// How long the rest of a head may take once the stop is asked for.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// What all connections share.
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) stop: Stop,
    pub(super) pool: Pool,
    pub(super) handlers: Arc<Handlers>,
    pub(super) last_request_id: AtomicU64,
}

/// One client and what it has sent beyond the last request.
pub(super) struct Connection {
    pub(super) socket: Arc<Socket>,
    pub(super) peer: Option<IpAddr>,
    pub(super) slot: Slot,
    /// Unread bytes; at most one head and one read.
    pub(super) buffer: Vec<u8>,
}

/// What came of waiting for a request.
enum Received {
    Head(Box<Head>),
    Refused(HeadError),
    /// Nothing to answer: the client left, stayed silent, or was asked to go.
    Nothing,
}

/// What happens to the connection after an answer.
enum Next {
    /// The next request is at the front of the buffer or to come.
    Request,
    /// The client may still be sending; the answer must outlive that.
    Linger,
    /// Both sides are done.
    Close,
}

impl Connection {
    /// Serves until one side ends it.
    pub(super) fn run(mut self, shared: &Shared) {
        loop {
            let next = match self.receive(shared) {
                Ok(Received::Head(head)) => self.exchange(*head, shared),
                Ok(Received::Refused(error)) => self.refuse(error, shared),
                Ok(Received::Nothing) | Err(_) => return,
            };
            match next {
                Next::Request => {}
                Next::Linger => return self.linger(&shared.limits),
                Next::Close => return,
            }
        }
    }

    /// Waits for a whole head. A head that has begun has `head_timeout` from its first byte, or from the answer
    /// before it if it was there already; a client that sends nothing is let go without a word.
    fn receive(&mut self, shared: &Shared) -> io::Result<Received> {
        let limits = &shared.limits;
        let mut parser = HeadParser::default();
        // One long head must not weigh on the connection for the rest of its life.
        self.buffer.shrink_to(READ_BYTES);
        let mut stop = Some(&shared.stop);
        let mut phase = Phase::Idle;
        let mut deadline = after(limits.idle_timeout);
        loop {
            if !self.buffer.is_empty() && phase == Phase::Idle {
                phase = Phase::Head;
                deadline = after(limits.head_timeout);
            }
            match parser.advance(&self.buffer, limits) {
                Ok(Some(head)) => {
                    self.buffer.drain(..head.n_bytes);
                    return Ok(Received::Head(Box::new(head)));
                }
                Err(error) => return Ok(Received::Refused(error)),
                Ok(None) if !self.slot.begin(phase) => return Ok(Received::Nothing),
                Ok(None) => {}
            }
            match self.socket.wait_readable(deadline, stop)? {
                Wake::Ready => {
                    if self.fill()? == Some(0) {
                        return Ok(Received::Nothing);
                    }
                }
                Wake::Timeout | Wake::Stop if phase == Phase::Idle => return Ok(Received::Nothing),
                Wake::Timeout => return Ok(Received::Refused(HeadError::Timeout)),
                Wake::Stop => {
                    stop = None;
                    deadline = deadline.min(after(STOP_GRACE));
                }
            }
        }
    }

    /// Adds one read to the buffer.
    fn fill(&mut self) -> io::Result<Option<usize>> {
        let mut room = [0; READ_BYTES];
        let n_read = self.socket.read(&mut room)?;
        self.buffer.extend_from_slice(&room[..n_read.unwrap_or(0)]);
        Ok(n_read)
    }

    /// Answers one request.
    fn exchange(&mut self, head: Head, shared: &Shared) -> Next {
        if !self.slot.begin(Phase::Busy) {
            return Next::Close;
        }
        let start = Instant::now();
        let unread = self.unread_bytes(head.body);
        let may_skip = unread.is_some_and(|n_bytes| n_bytes <= shared.limits.max_skip_bytes);
        // A client that waits for `100 Continue` may send its body after our final answer, or never.
        let is_held_back = unread != Some(0) && framing::expects_continue(&head.headers);
        let wants_more = framing::wants_keep_alive(&head.headers, head.version);
        let request = Arc::new(Request {
            id: shared.next_request_id(),
            peer: self.peer,
            method: head.method,
            target: head.target,
            version: head.version,
            headers: head.headers,
        });
        let response = shared.pool.answer(&shared.handlers, &request);
        let lives = wants_more && may_skip && !is_held_back && !shared.stop.is_requested();
        let persistence = match (lives, request.version) {
            (false, _) => Persistence::Close,
            (true, Version::HTTP_10) => Persistence::Announced,
            (true, _) => Persistence::Implied,
        };
        let status = response.status;
        let message = Message::new(response, persistence, request.method == Method::HEAD);
        log::answered(&request, status, message.body.len(), start);
        if let Err(error) = self.socket.write_all(&message.head, &message.body, &shared.limits) {
            log::unsent(request.id, &error);
            return Next::Close;
        }
        match (lives, unread) {
            (true, Some(n_bytes)) => self.skip_body(head.body, n_bytes, &shared.limits),
            (_, Some(0)) if self.buffer.is_empty() => Next::Close,
            _ => Next::Linger,
        }
    }

    /// Bytes of the body that are not in the buffer yet; `None` if nobody knows.
    fn unread_bytes(&self, body: BodyLength) -> Option<u64> {
        match body {
            BodyLength::Zero => Some(0),
            BodyLength::Known(length) => Some(length.saturating_sub(self.buffer.len() as u64)),
            BodyLength::Chunked => None,
        }
    }

    /// Drops a body: what the buffer has of it, and the `n_unread` bytes still to come.
    fn skip_body(&mut self, body: BodyLength, n_unread: u64, limits: &Limits) -> Next {
        if let BodyLength::Known(length) = body {
            let n_buffered = usize::try_from(length).map_or(self.buffer.len(), |length| length.min(self.buffer.len()));
            self.buffer.drain(..n_buffered);
        }
        let deadline = after(limits.skip_timeout);
        if self.socket.skip(n_unread, deadline) { Next::Request } else { Next::Close }
    }

    /// Answers a head that no handler gets to see.
    fn refuse(&mut self, error: HeadError, shared: &Shared) -> Next {
        if !self.slot.begin(Phase::Busy) {
            return Next::Close;
        }
        let id = shared.next_request_id();
        log::refused(id, self.peer, error);
        let response = Response::text(error.status(), format!("{error}\n"));
        let message = Message::new(response, Persistence::Close, false);
        match self.socket.write_all(&message.head, &message.body, &shared.limits) {
            Ok(()) => Next::Linger,
            Err(_) => Next::Close,
        }
    }

    fn linger(mut self, limits: &Limits) {
        drop(mem::take(&mut self.buffer));
        if self.slot.begin(Phase::Idle) {
            self.socket.linger(limits);
        }
    }
}

impl Shared {
    fn next_request_id(&self) -> u64 {
        self.last_request_id.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Tells a client that is let in no further, without waiting for it.
pub(super) fn turn_away(socket: &Socket, response: Response) {
    let mut message = Message::new(response, Persistence::Close, false);
    message.head.extend_from_slice(&message.body);
    socket.write_now(&message.head);
}
