//! Where an answer goes: given to a handler with its request, used once, on any thread and at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;

use super::receiver::Receiver;
use super::response::Response;

/// Takes the answer of one request. Dropped without one, as a panic does, it answers 500: nobody waits for ever.
pub struct Reply {
    deliver: Option<Box<Deliver>>,
    claim: Claim,
}

/// Decides what becomes of a request that waits. Whoever is first to take it does: the work that begins, or the loop, whose
/// client has waited too long or is gone.
#[derive(Clone, Debug, Default)]
pub struct Claim(Arc<AtomicBool>);

impl Claim {
    /// True for the first who asks.
    #[must_use]
    pub fn take(&self) -> bool {
        !self.0.swap(true, Ordering::SeqCst)
    }

    /// Whether somebody has taken it.
    pub(super) fn is_taken(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

type Deliver = dyn FnOnce(Outcome) + Send;

/// What becomes of a request.
pub(super) enum Outcome {
    /// It is answered.
    Answer(Response),
    /// Its body, or more of it, is wanted first.
    Receive(Box<dyn Receiver>),
}

impl Reply {
    /// A reply that `deliver` brings to its client.
    pub(super) fn new(claim: &Claim, deliver: impl FnOnce(Outcome) + Send + 'static) -> Self {
        Self { deliver: Some(Box::new(deliver)), claim: claim.clone() }
    }

    /// To be taken when the work begins that the answer takes: without it, nobody wants the answer any more. Until then
    /// the client may be told that it takes too long.
    #[must_use]
    pub fn claim(&self) -> Claim {
        self.claim.clone()
    }

    /// Asks for the body of the request. Who takes it gives the answer.
    pub fn receive(mut self, receiver: Box<dyn Receiver>) {
        if let Some(deliver) = self.deliver.take() {
            deliver(Outcome::Receive(receiver));
        }
    }

    /// Sends the answer.
    pub fn send(mut self, response: Response) {
        if let Some(deliver) = self.deliver.take() {
            deliver(Outcome::Answer(response));
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(deliver) = self.deliver.take() {
            deliver(Outcome::Answer(internal_error()));
        }
    }
}

/// What a client is told when we are at fault.
pub(super) fn internal_error() -> Response {
    Response::text(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn every_request_gets_one_answer() {
        let (sender, answers) = channel();
        let reply = || {
            let sender = sender.clone();
            Reply::new(&Claim::default(), move |outcome| match outcome {
                Outcome::Answer(response) => sender.send(response.status.as_u16()).unwrap(),
                Outcome::Receive(_) => unreachable!("nobody asks for a body"),
            })
        };
        reply().send(Response::empty(StatusCode::OK));
        drop(reply());
        drop(sender);
        assert_eq!(answers.iter().collect::<Vec<_>>(), [200, 500]);
    }
}
