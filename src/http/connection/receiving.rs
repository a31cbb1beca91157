//! A request body on its way from the socket to who takes it: read until there is a piece worth handing over, and not
//! before that was taken.

use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::{Connection, Exchange, State, Step, Turn};
use crate::http::body::BodyReader;
use crate::http::framing;
use crate::http::pool::{Share, overloaded};
use crate::http::receiver::{BodyError, Receiver};
use crate::http::reply::Claim;
use crate::http::response::Response;
use crate::http::shared::{FAR, READ_BYTES, Shared};
use crate::http::slots::Token;
use crate::metrics::count_shed;

/// A piece of this size is handed over; one read may put it over.
const PIECE_BYTES: usize = 64 * 1024;
/// What a client that waits for it is told (RFC 9110 §15.2.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A body that is being received.
pub(super) struct Receiving {
    pub(super) exchange: Box<Exchange>,
    body: BodyReader,
    /// Away while it takes a piece.
    pub(super) receiver: Option<Box<dyn Receiver>>,
    piece: Vec<u8>,
    n_received: u64,
    /// How much of it has come in the present stretch of time. Framing does not count: of that there is no end.
    n_in_stretch: u64,
    /// When all of it must be there.
    end: Instant,
    /// What it may be long, as it was when it began.
    max_bytes: u64,
    /// Whether the client waits for a word that its socket has not taken yet.
    owes_continue: bool,
    /// Its place among those that are received.
    _share: Share,
}

impl Connection {
    /// Somebody wants the body of the request, or more of it.
    pub(in crate::http) fn receive_for(&mut self, receiver: Box<dyn Receiver>, shared: &mut Shared) {
        match mem::replace(&mut self.state, State::Idle) {
            State::Answering(exchange) => self.begin_receiving(exchange, receiver, shared),
            State::Receiving(mut receiving) => {
                receiving.receiver = Some(receiver);
                receiving.n_in_stretch = 0;
                self.wait_for_body(receiving, shared);
            }
            other => {
                self.state = other;
                shared.pool.discard(receiver);
            }
        }
    }

    fn begin_receiving(&mut self, mut exchange: Box<Exchange>, receiver: Box<dyn Receiver>, shared: &mut Shared) {
        exchange.claim = Claim::default();
        let Some(share) = shared.pool.enter_receiving() else {
            shared.pool.discard(receiver);
            count_shed("max-uploads");
            return self.respond(*exchange, BodyError::Busy.response(), shared);
        };
        let body = BodyReader::new(exchange.body);
        // Who has begun to send does not wait for it.
        let waits = self.buffer.is_empty() && !body.is_whole() && framing::expects_continue(&exchange.request);
        exchange.is_body_wanted = true;
        let receiving = Receiving {
            exchange,
            body,
            receiver: Some(receiver),
            piece: Vec::new(),
            n_received: 0,
            n_in_stretch: 0,
            end: shared.after(shared.limits.body_timeout),
            max_bytes: shared.limits.max_body_bytes,
            owes_continue: waits,
            _share: share,
        };
        self.wait_for_body(Box::new(receiving), shared);
    }

    fn wait_for_body(&mut self, receiving: Box<Receiving>, shared: &Shared) {
        let end = receiving.end;
        self.set_state(State::Receiving(receiving), shared.limits.read_timeout, shared);
        self.deadline = self.deadline.min(end);
    }

    /// Reads, and hands over what makes a piece.
    pub(super) fn receive_body(&mut self, token: Token, shared: &mut Shared) -> io::Result<Step> {
        let State::Receiving(receiving) = &mut self.state else {
            return Ok(Step::Go);
        };
        if receiving.receiver.is_none() {
            return Ok(Step::Stop(Turn::Wait));
        }
        if receiving.owes_continue {
            // Earlier answers may still be on their way.
            match self.socket.write(&[io::IoSlice::new(CONTINUE)])? {
                None => return Ok(Step::Stop(Turn::Wait)),
                Some(n_bytes) if n_bytes < CONTINUE.len() => return Ok(Step::Stop(Turn::Close)),
                Some(_) => receiving.owes_continue = false,
            }
        }
        if receiving.is_ripe() {
            self.hand_over(token, shared);
            return Ok(Step::Stop(Turn::Wait));
        }
        let mut bytes = mem::take(&mut self.buffer);
        if bytes.is_empty() {
            if !self.may_read {
                return Ok(Step::Stop(Turn::Wait));
            }
            match self.read(READ_BYTES, shared)? {
                None => return Ok(Step::Stop(Turn::Wait)),
                Some(0) => return Ok(Step::Stop(Turn::Close)),
                Some(n_read) => bytes = shared.room[..n_read].to_vec(),
            }
        }
        let State::Receiving(receiving) = &mut self.state else {
            return Ok(Step::Go);
        };
        let taken = receiving.take(&bytes);
        bytes.drain(..*taken.as_ref().unwrap_or(&bytes.len()));
        self.buffer = bytes;
        if let Err(error) = taken {
            self.end_receiving(error, shared);
        }
        Ok(Step::Go)
    }

    fn hand_over(&mut self, token: Token, shared: &Shared) {
        let State::Receiving(receiving) = &mut self.state else {
            return;
        };
        let Some(receiver) = receiving.receiver.take() else {
            return;
        };
        let is_last = receiving.body.is_whole();
        let piece = (mem::take(&mut receiving.piece), is_last);
        let answers = Arc::clone(&shared.answers);
        let Exchange { request, claim, .. } = &*receiving.exchange;
        let id = request.id;
        shared.pool.hand_over((id, claim), receiver, piece, move |outcome| answers.put((token, id), outcome));
        // It is not the client's turn now. What is to be done with the whole of it must begin in time.
        self.deadline = shared.after(if is_last { shared.limits.request_timeout } else { FAR });
    }

    /// The body comes too slowly; or it was not the client's turn, and the time does not count.
    pub(super) fn expire_receiving(&mut self, shared: &mut Shared) {
        let State::Receiving(receiving) = &mut self.state else {
            return;
        };
        if receiving.receiver.is_none() {
            self.deadline = shared.after(FAR);
            if receiving.body.is_whole() && receiving.exchange.claim.take() {
                count_shed("request-timeout");
                self.answer_received(overloaded(), shared);
            }
            return;
        }
        if receiving.n_in_stretch >= shared.least_sent() && shared.now < receiving.end {
            receiving.n_in_stretch = 0;
            self.deadline = shared.after(shared.limits.read_timeout).min(receiving.end);
        } else {
            self.end_receiving(BodyError::Timeout, shared);
        }
    }

    /// Answers a request whose body does not come to its end.
    fn end_receiving(&mut self, error: BodyError, shared: &mut Shared) {
        if let Some(receiver) = self.take_receiver() {
            shared.pool.discard(receiver);
        }
        self.answer_received(error.response(), shared);
    }

    /// Answers a request whose body was asked for.
    pub(super) fn answer_received(&mut self, response: Response, shared: &Shared) {
        match mem::replace(&mut self.state, State::Idle) {
            State::Receiving(receiving) => {
                let mut exchange = receiving.exchange;
                exchange.body = receiving.body.rest();
                self.respond(*exchange, response, shared);
            }
            other => self.state = other,
        }
    }

    /// Who takes the body, unless it has a piece now.
    pub(in crate::http) fn take_receiver(&mut self) -> Option<Box<dyn Receiver>> {
        match &mut self.state {
            State::Receiving(receiving) => receiving.receiver.take(),
            _ => None,
        }
    }
}

impl Receiving {
    /// Whether all of it is with who takes it.
    pub(super) fn is_with_handler(&self) -> bool {
        self.receiver.is_none() && self.body.is_whole()
    }

    /// Whether there is a piece to hand over, be it the last and empty.
    fn is_ripe(&self) -> bool {
        self.body.is_whole() || self.piece.len() >= PIECE_BYTES
    }

    /// Takes what belongs to the body; returns how much that is.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, BodyError> {
        let n_before = self.piece.len();
        let n_taken = self.body.advance(bytes, &mut self.piece).map_err(|_| BodyError::Chunk)?;
        let n_content = (self.piece.len() - n_before) as u64;
        self.n_received += n_content;
        self.n_in_stretch += n_content;
        if self.n_received > self.max_bytes { Err(BodyError::TooLarge) } else { Ok(n_taken) }
    }
}
