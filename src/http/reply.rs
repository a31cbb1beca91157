//! Where an answer goes: given to a handler with its request, used once, on any thread and at any time.

use http::StatusCode;

use super::response::Response;

/// Takes the answer of one request. Dropped without one, as a panic does, it answers 500: nobody waits for ever.
pub struct Reply(Option<Box<Deliver>>);

type Deliver = dyn FnOnce(Response) + Send;

impl Reply {
    /// A reply that `deliver` brings to its client.
    #[must_use]
    pub fn new(deliver: impl FnOnce(Response) + Send + 'static) -> Self {
        Self(Some(Box::new(deliver)))
    }

    /// Sends the answer.
    pub fn send(mut self, response: Response) {
        if let Some(deliver) = self.0.take() {
            deliver(response);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(deliver) = self.0.take() {
            deliver(internal_error());
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
            Reply::new(move |response: Response| sender.send(response.status.as_u16()).unwrap())
        };
        reply().send(Response::empty(StatusCode::OK));
        drop(reply());
        drop(sender);
        assert_eq!(answers.iter().collect::<Vec<_>>(), [200, 500]);
    }
}
