//! The life of one connection: head, answer, what is left of the body, and again; one request after the other, in
//! their order. It never waits: each turn goes as far as the socket lets it, and says what it waits for by its state.

mod receiving;
mod sending;

use std::io::{self, IoSlice};
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode, Version};

use super::error::HeadError;
use super::framing::{self, BodyLength};
use super::head::{Head, HeadParser};
use super::log;
use super::pool::{answer_at_once, dress, overloaded};
use super::reply::Claim;
use super::request::Request;
use super::response::{Message, Persistence, Response};
use super::shared::{FAR, READ_BYTES, STOP_GRACE, Shared};
use super::slots::Token;
use super::socket::Socket;
use super::unsent::Held;
use crate::metrics::count_shed;
use receiving::Receiving;
use sending::{Next, Sending};

/// Requests that one connection may have answered, and reads of a body that it may have dropped, before others get
/// their turn.
const TURN_STEPS: usize = 16;

/// How long a client may go on sending what nobody wants, however fast it does.
const MAX_LINGER: Duration = Duration::from_secs(30);

/// The status of a request whose client has left before its answer; as nginx has it in its log. Nobody is sent it.
const CLIENT_GONE: u16 = 499;

/// One client.
pub(super) struct Connection {
    pub(super) socket: Socket,
    pub(super) peer: Option<IpAddr>,
    state: State,
    parser: HeadParser,
    /// Read and not yet used; at most one head and one read.
    buffer: Vec<u8>,
    /// Whether a read may find something. A read that finds less than it asked for takes this back.
    may_read: bool,
    /// Whether the client has said that it sends no more, or is gone: then a read always finds something, the end.
    has_ended: bool,
    /// Whether it can read no answer any more.
    is_gone: bool,
    /// When the present state began.
    since: Instant,
    /// When the present state has lasted too long.
    pub(super) deadline: Instant,
    /// The earliest point in time at which the timers will look at this connection.
    pub(super) timer: Option<Instant>,
}

/// What a connection is doing.
enum State {
    /// Waits for a request, of which nothing has come.
    Idle,
    /// A part of a head has come.
    Head,
    /// A request is with a handler.
    Answering(Box<Exchange>),
    /// Its body is on the way to the handler.
    Receiving(Box<Receiving>),
    /// An answer is on its way.
    Sending(Box<Sending>),
    /// The rest of a body that nobody wants is read and dropped, so that the next request is found behind it.
    Skipping(u64),
    /// All is said, but the client may still be sending: closing with unread bytes in the socket would send a reset,
    /// which takes the answer from a client that has not read it yet.
    Lingering { n_left: u64, n_in_stretch: u64 },
}

/// A request and what must be known of it when its answer comes.
struct Exchange {
    request: Arc<Request>,
    body: BodyLength,
    start: Instant,
    /// Whether a handler has asked for the body: then the client was told to send it.
    is_body_wanted: bool,
    /// Whether work has begun for it, or need not begin any more.
    claim: Claim,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing can be done until the socket, a handler or the clock says so.
    Wait,
    /// There is more to do, but others are waiting.
    Yield,
    /// The connection is at its end.
    Close,
}

/// What came of a look for a head.
enum Received {
    Head(Box<Head>),
    Refused(HeadError),
    /// The beginning of one.
    Part,
    Nothing,
    /// The client sends no more.
    End,
}

/// How one step of a turn ended.
enum Step {
    Go,
    Stop(Turn),
}

impl Connection {
    pub(super) fn new(socket: Socket, peer: Option<IpAddr>, shared: &Shared) -> Self {
        Self {
            socket,
            peer,
            state: State::Idle,
            parser: HeadParser::default(),
            buffer: Vec::new(),
            may_read: false,
            has_ended: false,
            is_gone: false,
            since: shared.now,
            deadline: shared.after(shared.idle_timeout()),
            timer: None,
        }
    }

    /// Goes as far as it can.
    pub(super) fn run(&mut self, token: Token, shared: &mut Shared) -> Turn {
        for _ in 0..TURN_STEPS {
            let step = match &mut self.state {
                State::Idle | State::Head => self.receive(token, shared),
                State::Answering(_) if self.is_gone => Ok(Step::Stop(Turn::Close)),
                State::Receiving(receiving) if self.is_gone && receiving.is_with_handler() => {
                    Ok(Step::Stop(Turn::Close))
                }
                State::Answering(_) => Ok(Step::Stop(Turn::Wait)),
                State::Receiving(_) => self.receive_body(token, shared),
                State::Sending(_) => self.send(token, shared),
                State::Skipping(_) => self.skip(shared),
                State::Lingering { .. } => self.linger(shared),
            };
            match step {
                Ok(Step::Go) => {}
                Ok(Step::Stop(turn)) => return turn,
                Err(_) => return Turn::Close,
            }
        }
        Turn::Yield
    }

    /// The socket says that a read may find something; with `has_ended`, the end.
    pub(super) fn set_readable(&mut self, has_ended: bool) {
        self.may_read = true;
        self.has_ended |= has_ended;
    }

    /// The socket says that nothing that is written will be read. What nobody has begun for this client need not be begun.
    pub(super) fn set_gone(&mut self) {
        self.is_gone = true;
    }

    /// Whether the request that has this number is still being answered: its client may have been told otherwise, and
    /// have sent another.
    pub(super) fn awaits(&self, id: u64) -> bool {
        match &self.state {
            State::Answering(exchange) => exchange.request.id == id,
            State::Receiving(receiving) => receiving.exchange.request.id == id,
            _ => false,
        }
    }

    /// The answer of the handler.
    pub(super) fn answer(&mut self, response: Response, shared: &Shared) {
        match mem::replace(&mut self.state, State::Idle) {
            State::Answering(exchange) => self.respond(*exchange, response, shared),
            other => {
                self.state = other;
                self.answer_received(response, shared);
            }
        }
    }

    /// The deadline has passed; `Wait` if that changes what the next turn does.
    pub(super) fn expire(&mut self, shared: &mut Shared) -> Turn {
        match &mut self.state {
            State::Idle | State::Skipping(_) => return Turn::Close,
            State::Lingering { n_in_stretch, .. } => {
                // Who is still sending reads our answer when it is done.
                let is_over = self.since + MAX_LINGER <= shared.now;
                if is_over || *n_in_stretch < shared.least_lingered() {
                    return Turn::Close;
                }
                *n_in_stretch = 0;
                self.deadline = shared.after(shared.limits.linger_timeout);
            }
            State::Head => self.refuse(HeadError::Timeout, shared),
            State::Answering(exchange) => {
                self.deadline = shared.after(FAR);
                // Work that has begun may take its time.
                if exchange.claim.take() {
                    count_shed("request-timeout");
                    self.answer(overloaded(), shared);
                }
            }
            State::Receiving(_) => self.expire_receiving(shared),
            State::Sending(sending) => {
                // A client that reads a byte now and then does not hold us for ever either.
                if sending.n_taken < shared.least_taken() {
                    log::unsent(sending.id, &io::ErrorKind::TimedOut.into());
                    return Turn::Close;
                }
                sending.n_taken = 0;
                self.deadline = shared.after(shared.limits.write_timeout);
            }
        }
        Turn::Wait
    }

    /// The stop was asked for. What has come is answered, and so is what was on its way; then the connection ends.
    pub(super) fn begin_stop(&mut self, shared: &Shared) {
        if matches!(self.state, State::Idle | State::Head) {
            let begun = if matches!(self.state, State::Idle) { self.since } else { shared.now };
            self.deadline = self.deadline.min(begun + STOP_GRACE);
            self.may_read = true;
        }
    }

    /// The connection closes: work for it need not begin any more. That somebody asked is told all the same, by the status
    /// that nginx has for it.
    pub(super) fn abandon(&self, shared: &Shared) {
        let exchange = match &self.state {
            State::Answering(exchange) => exchange,
            State::Receiving(receiving) => &receiving.exchange,
            _ => return,
        };
        let _ = exchange.claim.take();
        if shared.handlers.is_counted {
            let status = StatusCode::from_u16(CLIENT_GONE).expect("it has three digits");
            let notes = dress(&*shared.handlers.dresser, &exchange.request, Response::empty(status)).notes;
            let answered = log::Answered { status, n_bytes: 0, notes, start: exchange.start };
            log::answered(&exchange.request, &answered, shared.limits.access_log);
        }
    }

    /// What must be given back when the connection closes.
    pub(super) fn take_held(&mut self) -> Option<Held> {
        match &mut self.state {
            State::Sending(sending) => sending.held.take(),
            _ => None,
        }
    }

    /// Since when the connection has waited for a request, or for the rest of one; those without any go first.
    pub(super) fn waits_since(&self) -> Option<(bool, Instant)> {
        match self.state {
            State::Idle | State::Lingering { .. } => Some((false, self.since)),
            State::Head => Some((true, self.since)),
            _ => None,
        }
    }

    fn set_state(&mut self, state: State, timeout: Duration, shared: &Shared) {
        self.state = state;
        self.since = shared.now;
        self.deadline = shared.after(timeout);
    }

    /// Reads until a head is whole. A head that has begun has `head_timeout` from its first byte, or from the answer
    /// before it if it was there already; a client that sends nothing is let go without a word.
    fn receive(&mut self, token: Token, shared: &mut Shared) -> io::Result<Step> {
        let received = if self.buffer.is_empty() { self.receive_first(shared)? } else { self.receive_more(shared)? };
        match received {
            Received::Head(head) => self.begin(*head, token, shared),
            Received::Refused(error) => self.refuse(error, shared),
            Received::Part => {
                if matches!(self.state, State::Idle) {
                    self.set_state(State::Head, shared.limits.head_timeout, shared);
                }
                if !self.may_read {
                    return Ok(Step::Stop(Turn::Wait));
                }
            }
            Received::Nothing => return Ok(Step::Stop(Turn::Wait)),
            Received::End => return Ok(Step::Stop(Turn::Close)),
        }
        Ok(Step::Go)
    }

    /// Reads the beginning of a head, and nearly always all of it: then nothing is copied.
    fn receive_first(&mut self, shared: &mut Shared) -> io::Result<Received> {
        if !self.may_read {
            return Ok(Received::Nothing);
        }
        let n_read = match self.read(READ_BYTES, shared)? {
            None => return Ok(Received::Nothing),
            Some(0) => return Ok(Received::End),
            Some(n_read) => n_read,
        };
        let bytes = &shared.room[..n_read];
        let received = Received::from(self.parser.advance(bytes, &shared.limits));
        self.buffer = bytes[received.n_bytes()..].to_vec();
        Ok(received)
    }

    /// Goes on with what has come before.
    fn receive_more(&mut self, shared: &mut Shared) -> io::Result<Received> {
        let mut received = Received::from(self.parser.advance(&self.buffer, &shared.limits));
        if matches!(received, Received::Part) && self.may_read {
            match self.read(READ_BYTES, shared)? {
                None => {}
                Some(0) => return Ok(Received::End),
                Some(n_read) => {
                    self.buffer.extend_from_slice(&shared.room[..n_read]);
                    received = self.parser.advance(&self.buffer, &shared.limits).into();
                }
            }
        }
        self.buffer.drain(..received.n_bytes());
        Ok(received)
    }

    /// One read into the shared room. `None` if there is nothing.
    fn read(&mut self, max: usize, shared: &mut Shared) -> io::Result<Option<usize>> {
        let n_read = self.socket.read(&mut shared.room[..max])?;
        self.may_read = self.has_ended || n_read == Some(max);
        Ok(n_read)
    }

    /// Has a whole request answered: at once where the handlers can, by the pool otherwise.
    fn begin(&mut self, head: Head, token: Token, shared: &mut Shared) {
        self.parser = HeadParser::default();
        shared.last_request_id += 1;
        let request = Arc::new(Request {
            id: shared.last_request_id,
            peer: self.peer,
            method: head.method,
            target: head.target,
            version: head.version,
            headers: head.headers,
        });
        let mut exchange = Exchange {
            request: Arc::clone(&request),
            body: head.body,
            start: Instant::now(),
            is_body_wanted: false,
            claim: Claim::default(),
        };
        if let Err(error) = framing::check_body(head.body, shared.limits.max_body_bytes) {
            return self.respond(exchange, Response::text(error.status(), format!("{error}\n")), shared);
        }
        if let Some(response) = answer_at_once(&*shared.handlers.instant, &request) {
            return self.respond(exchange, response, shared);
        }
        let answers = Arc::clone(&shared.answers);
        let deliver = move |outcome| answers.put((token, request.id), outcome);
        match shared.pool.queue(&shared.handlers.queued, &exchange.request, deliver) {
            None => {
                count_shed("max-requests");
                self.respond(exchange, overloaded(), shared);
            }
            Some(claim) => {
                exchange.claim = claim;
                self.set_state(State::Answering(Box::new(exchange)), shared.limits.request_timeout, shared);
            }
        }
    }

    fn respond(&mut self, exchange: Exchange, response: Response, shared: &Shared) {
        let request = &exchange.request;
        let response = dress(&*shared.handlers.dresser, request, response);
        let notes = response.notes;
        let unread = self.unread_bytes(exchange.body);
        let may_skip = unread.is_some_and(|n_bytes| n_bytes <= shared.limits.max_skip_bytes);
        // A client that waits for `100 Continue` may send its body after our final answer, or never.
        let is_held_back = unread != Some(0) && !exchange.is_body_wanted && framing::expects_continue(request);
        let wants_more = framing::wants_keep_alive(&request.headers, request.version);
        let lives = wants_more && may_skip && !is_held_back && !shared.is_stopping;
        let persistence = match (lives, request.version) {
            (false, _) => Persistence::Close,
            (true, Version::HTTP_10) => Persistence::Announced,
            (true, _) => Persistence::Implied,
        };
        let next = match (lives, unread) {
            (true, Some(n_bytes)) => Next::Request(n_bytes),
            // Whoever wanted more may have sent it already, and would lose this answer to a reset.
            (_, Some(0)) if self.buffer.is_empty() && !wants_more => Next::Close,
            _ => Next::Linger,
        };
        if let (Next::Request(_), BodyLength::Known(length)) = (next, exchange.body) {
            let n_buffered = usize::try_from(length).map_or(self.buffer.len(), |length| length.min(self.buffer.len()));
            self.buffer.drain(..n_buffered);
        }
        let status = response.status;
        let message = Message::new(response, persistence, request.method == Method::HEAD);
        let answered = log::Answered { status, n_bytes: message.body.len(), notes, start: exchange.start };
        if shared.handlers.is_counted {
            log::answered(request, &answered, shared.limits.access_log);
        }
        self.start_sending(request.id, message, next, shared);
    }

    /// Bytes of the body that are not in the buffer yet; `None` if nobody knows.
    fn unread_bytes(&self, body: BodyLength) -> Option<u64> {
        match body {
            BodyLength::Zero => Some(0),
            BodyLength::Known(length) => Some(length.saturating_sub(self.buffer.len() as u64)),
            BodyLength::Chunked => None,
        }
    }

    /// Answers a head that no handler gets to see.
    fn refuse(&mut self, error: HeadError, shared: &mut Shared) {
        shared.last_request_id += 1;
        let id = shared.last_request_id;
        if shared.handlers.is_counted {
            log::refused(id, self.peer, error, shared.limits.access_log);
        }
        let mut response = Response::text(error.status(), format!("{error}\n"));
        if let Some(request) = self.parser.begun(id, self.peer) {
            response = dress(&*shared.handlers.dresser, &request, response);
        }
        let message = Message::new(response, Persistence::Close, false);
        self.start_sending(id, message, Next::Linger, shared);
    }

    fn await_request(&mut self, shared: &Shared) {
        self.set_state(State::Idle, shared.idle_timeout(), shared);
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        } else {
            // One long head must not weigh on the connection for the rest of its life.
            self.buffer.shrink_to(READ_BYTES);
            self.set_state(State::Head, shared.limits.head_timeout, shared);
        }
    }
}

impl Received {
    /// Bytes that are done with.
    fn n_bytes(&self) -> usize {
        match self {
            Self::Head(head) => head.n_bytes,
            _ => 0,
        }
    }
}

impl From<Result<Option<Head>, HeadError>> for Received {
    fn from(parsed: Result<Option<Head>, HeadError>) -> Self {
        match parsed {
            Ok(Some(head)) => Self::Head(Box::new(head)),
            Ok(None) => Self::Part,
            Err(error) => Self::Refused(error),
        }
    }
}

/// Tells a client that is let in no further, without waiting for it.
pub(super) fn turn_away(socket: &Socket, bound: &'static str) {
    count_shed(bound);
    let message = Message::new(overloaded(), Persistence::Close, false);
    // A client that is gone, or takes nothing, misses nothing that it could use.
    let _ = socket.write(&[IoSlice::new(&message.head), IoSlice::new(&message.body)]);
}
