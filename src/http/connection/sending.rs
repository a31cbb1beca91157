//! An answer on its way to the socket, and what comes after it: the next request, perhaps behind a body that nobody
//! wants, or the end of the connection.

use std::io::{self, IoSlice};

use super::{Connection, State, Step, Turn};
use crate::http::log;
use crate::http::response::{Body, Message};
use crate::http::shared::{READ_BYTES, Shared};
use crate::http::slots::Token;
use crate::http::unsent::Held;

/// An answer and how much of it is out.
pub(super) struct Sending {
    pub(super) id: u64,
    head: Vec<u8>,
    body: Body,
    n_sent: usize,
    /// How much of it was taken in the present stretch of time.
    pub(super) n_taken: u64,
    /// The part in what slow clients keep in memory; none as long as nothing had to wait.
    pub(super) held: Option<Held>,
    next: Next,
}

/// What happens to the connection after an answer.
#[derive(Clone, Copy)]
pub(super) enum Next {
    /// The next request is behind so many unread bytes of a body.
    Request(u64),
    Linger,
    Close,
}

impl Connection {
    pub(super) fn start_sending(&mut self, id: u64, message: Message, next: Next, shared: &Shared) {
        let Message { head, body } = message;
        let sending = Sending { id, head, body, n_sent: 0, n_taken: 0, held: None, next };
        self.set_state(State::Sending(Box::new(sending)), shared.limits.write_timeout, shared);
    }

    /// Writes head and body as one stream, in one call if the socket takes it.
    pub(super) fn send(&mut self, token: Token, shared: &mut Shared) -> io::Result<Step> {
        let State::Sending(sending) = &mut self.state else {
            return Ok(Step::Go);
        };
        let written = self.socket.write(&sending.rest()).inspect_err(|error| log::unsent(sending.id, error))?;
        let Some(n_bytes) = written else {
            if sending.held.is_none() {
                sending.held = Some(shared.unsent.hold(token, &sending.body));
            }
            return Ok(Step::Stop(Turn::Wait));
        };
        sending.n_sent += n_bytes;
        sending.n_taken += n_bytes as u64;
        if sending.n_sent < sending.head.len() + sending.body.len() {
            return Ok(Step::Go);
        }
        if let Some(held) = sending.held.take() {
            shared.unsent.give_back(&held);
        }
        match sending.next {
            Next::Close => return Ok(Step::Stop(Turn::Close)),
            Next::Request(0) => self.await_request(shared),
            Next::Request(n_bytes) => {
                self.set_state(State::Skipping(n_bytes), shared.limits.skip_timeout, shared);
            }
            Next::Linger => {
                self.buffer = Vec::new();
                let lingering = State::Lingering { n_left: shared.limits.max_linger_bytes, n_in_stretch: 0 };
                self.set_state(lingering, shared.limits.linger_timeout, shared);
                if !self.socket.end_writing() {
                    return Ok(Step::Stop(Turn::Close));
                }
            }
        }
        Ok(Step::Go)
    }

    /// Reads the rest of a body that nobody wants.
    pub(super) fn skip(&mut self, shared: &mut Shared) -> io::Result<Step> {
        let State::Skipping(n_bytes) = self.state else {
            return Ok(Step::Go);
        };
        let n_wanted = usize::try_from(n_bytes).map_or(READ_BYTES, |n_bytes| n_bytes.min(READ_BYTES));
        match self.read(n_wanted, shared)? {
            None => return Ok(Step::Stop(Turn::Wait)),
            Some(0) => return Ok(Step::Stop(Turn::Close)),
            Some(n_read) if n_read as u64 == n_bytes => self.await_request(shared),
            Some(n_read) => self.state = State::Skipping(n_bytes - n_read as u64),
        }
        Ok(Step::Go)
    }

    /// Reads what the client still sends, so that a reset does not take its answer.
    pub(super) fn linger(&mut self, shared: &mut Shared) -> io::Result<Step> {
        let State::Lingering { n_left, n_in_stretch } = self.state else {
            return Ok(Step::Go);
        };
        match self.read(READ_BYTES, shared)? {
            None => Ok(Step::Stop(Turn::Wait)),
            Some(n_read) if n_read > 0 && (n_read as u64) < n_left => {
                let n_read = n_read as u64;
                self.state = State::Lingering { n_left: n_left - n_read, n_in_stretch: n_in_stretch + n_read };
                Ok(Step::Go)
            }
            Some(_) => Ok(Step::Stop(Turn::Close)),
        }
    }
}

impl Sending {
    /// What is not out yet.
    fn rest(&self) -> [IoSlice<'_>; 2] {
        let n_head = self.n_sent.min(self.head.len());
        let n_body = self.n_sent - n_head;
        [IoSlice::new(&self.head[n_head..]), IoSlice::new(&self.body[n_body..])]
    }
}
