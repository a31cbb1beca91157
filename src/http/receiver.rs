//! Who takes a request body: a handler that wants one says so by its [`Reply`](super::Reply), with a value of this
//! kind. The loop reads the socket, and hands the body over a piece at a time; so a client that is slow, stalled or
//! gone holds no thread, and a body is never in memory as a whole.

use std::ops::ControlFlow;

use http::StatusCode;

use super::reply::Reply;
use super::response::Response;

/// Takes a body piece by piece, on the threads of the handlers. Dropped where the body does not come to its end.
pub trait Receiver: Send {
    /// Takes the next piece, of any size. `Break` ends the request; the rest of the body is not wanted then.
    fn take(&mut self, piece: Vec<u8>) -> ControlFlow<Response>;

    /// The body is whole.
    fn end(self: Box<Self>, reply: Reply);
}

/// Why a body does not come to its end. The text is what the client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    /// Its chunks are wrong.
    #[error("bad chunk in the request body")]
    Chunk,
    /// It has more bytes than any request may have.
    #[error("request body too large")]
    TooLarge,
    /// It stalls, or comes too slowly.
    #[error("request body not received in time")]
    Timeout,
    /// There is no room for one more.
    #[error("overloaded, try again")]
    Busy,
}

impl BodyError {
    pub(super) fn response(self) -> Response {
        let text = format!("{self}\n");
        match self {
            Self::Chunk => Response::text(StatusCode::BAD_REQUEST, text),
            Self::TooLarge => Response::text(StatusCode::PAYLOAD_TOO_LARGE, text),
            Self::Timeout => Response::text(StatusCode::REQUEST_TIMEOUT, text),
            Self::Busy => Response::unavailable(text),
        }
    }
}
