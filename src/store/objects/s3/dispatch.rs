//! The transport of rusoto: one blocking request. Its own client, which would bring a runtime, is never made.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{future, stream};
use http::{Request, Response};
use rusoto_core::request::{DispatchSignedRequest, DispatchSignedRequestFuture, HttpResponse};
use rusoto_core::signature::SignedRequest;
use rusoto_core::{ByteStream, HttpDispatchError};
use ureq::{Agent, Body, SendBody};

use super::super::agent::{CONNECT_TIMEOUT, IDLE_TIMEOUT, failure, io_failure};
use super::super::{Content, ContentReader, ObjectError};

/// From this size on it is asked whether the content is wanted before it is sent: so a refusal arrives, instead of a
/// connection that breaks amid the content.
const MIN_ASKED_BYTES: u64 = 64 << 10;

type Sent = Result<Response<Body>, ObjectError>;

/// Sends one request, and keeps the answer for who had it made; rusoto itself gets an empty one.
#[derive(Clone)]
pub(super) struct Dispatcher {
    agent: Agent,
    /// Until the head of the answer must be there.
    left: Duration,
    /// What is sent in place of rusoto's body, without a copy.
    content: Option<Content>,
    answer: Arc<Mutex<Option<Sent>>>,
}

impl Dispatcher {
    pub(super) fn new(agent: Agent, left: Duration, content: Option<Content>) -> Self {
        Self { agent, left, content, answer: Arc::default() }
    }

    /// The answer, or why there is none; nothing if nothing was sent.
    pub(super) fn take_answer(&self) -> Option<Sent> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn send(&self, request: &SignedRequest) -> Sent {
        let request = self.translated(request).map_err(|error| ObjectError::Refused(error.to_string()))?;
        let connect = self.left.min(CONNECT_TIMEOUT);
        let limits = self.agent.configure_request(request);
        let limits = limits.timeout_resolve(Some(connect)).timeout_connect(Some(connect));
        // The answer to a content comes once all of it is stored; meanwhile nothing does.
        let limits = limits.timeout_recv_response(Some(self.left)).timeout_per_read(Some(self.left.max(IDLE_TIMEOUT)));
        let request = limits.build();
        self.agent.run(request).map_err(sending_failure)
    }

    /// The same request for ureq: target and headers as they were signed, byte for byte.
    fn translated(&self, signed: &SignedRequest) -> Result<Request<SendBody<'static>>, http::Error> {
        let mut url = format!("{}://{}{}", signed.scheme(), signed.hostname(), signed.canonical_uri());
        if !signed.canonical_query_string().is_empty() {
            url = url + "?" + signed.canonical_query_string();
        }
        let mut request = Request::builder().method(signed.method()).uri(url);
        let headers = signed.headers().iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        for (name, value) in headers.filter(|(name, _)| self.content.is_some() || *name != "content-length") {
            request = request.header(name, value.as_slice());
        }
        let Some(content) = &self.content else {
            return request.body(SendBody::none());
        };
        if content.n_bytes() >= MIN_ASKED_BYTES {
            request = request.header("expect", "100-continue");
        }
        let body = ContentBody { n_left: content.n_bytes(), reader: content.reader() };
        request.body(SendBody::from_owned_reader(body))
    }
}

impl DispatchSignedRequest for Dispatcher {
    fn dispatch(&self, request: SignedRequest, _timeout: Option<Duration>) -> DispatchSignedRequestFuture {
        let answer = self.send(&request);
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        let empty = HttpResponse {
            status: Default::default(),
            body: ByteStream::new(stream::empty()),
            headers: Default::default(),
        };
        Box::pin(future::ready(Ok::<_, HttpDispatchError>(empty)))
    }
}

/// The content of a request. Its errors can be told from those of the connection, and it is never too short.
struct ContentBody {
    reader: ContentReader,
    n_left: u64,
}

/// What was to be stored cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the content cannot be read")]
struct Unreadable(#[source] io::Error);

impl Read for ContentBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_read = self.reader.read(buffer).map_err(|error| io::Error::other(Unreadable(error)))?;
        if n_read == 0 && self.n_left > 0 && !buffer.is_empty() {
            return Err(io::Error::other(Unreadable(io::ErrorKind::UnexpectedEof.into())));
        }
        self.n_left = self.n_left.saturating_sub(n_read as u64);
        Ok(n_read)
    }
}

fn sending_failure(error: ureq::Error) -> ObjectError {
    match error {
        ureq::Error::Io(error) => match error.downcast::<Unreadable>() {
            Ok(Unreadable(error)) => ObjectError::Content(error),
            Err(error) => io_failure(&error),
        },
        error => failure(&error),
    }
}
