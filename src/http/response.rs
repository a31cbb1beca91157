//! What a handler gives back, and the bytes of its head. Fields that belong to the connection are written here and
//! nowhere else: Date, Content-Length, Connection.

use std::net::IpAddr;
use std::ops::{Deref, Range};
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, DATE, RETRY_AFTER, SERVER,
    TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::metrics::{CacheResult, Route, StageTimes};

/// The bytes of an answer, shared: a clone copies none of them.
#[derive(Clone, Debug)]
pub struct Body(Bytes);

#[derive(Clone, Debug)]
enum Bytes {
    Static(&'static [u8]),
    /// A vector behind the count, not a slice: taking over what an encoder wrote copies nothing. And which part of it.
    Shared(Arc<Vec<u8>>, Range<usize>),
}

impl Body {
    /// A part of it, in no memory of its own.
    ///
    /// # Panics
    /// If it has no such part.
    #[must_use]
    pub fn slice(&self, part: Range<usize>) -> Self {
        assert!(part.start <= part.end && part.end <= self.len(), "{part:?} of {} bytes", self.len());
        Self(match &self.0 {
            Bytes::Static(bytes) => Bytes::Static(&bytes[part]),
            Bytes::Shared(bytes, whole) => {
                Bytes::Shared(Arc::clone(bytes), whole.start + part.start..whole.start + part.end)
            }
        })
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Static(bytes) => bytes,
            Bytes::Shared(bytes, part) => &bytes[part.clone()],
        }
    }
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Self(Bytes::Static(bytes))
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self(Bytes::Static(text.as_bytes()))
    }
}

impl From<Arc<Vec<u8>>> for Body {
    fn from(bytes: Arc<Vec<u8>>) -> Self {
        let whole = 0..bytes.len();
        Self(Bytes::Shared(bytes, whole))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Arc::new(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

/// An answer. Length, date and what the connection needs are added when it is sent; an answer of 400 and above is
/// then made uncachable and inert as well.
#[derive(Clone, Debug)]
pub struct Response {
    /// Final: 200 and above.
    pub status: StatusCode,
    /// What the handler says; fields of the connection among them are not sent.
    pub headers: HeaderMap,
    /// Not sent to HEAD, 204 and 304.
    pub body: Body,
    /// What is told of it elsewhere.
    pub notes: Notes,
}

/// What the log and the metrics tell of an answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Notes {
    /// What was asked for.
    pub route: Route,
    /// Who asked, as far as whoever passed the request on is believed.
    pub client: Option<IpAddr>,
    /// What the cache had to do with it.
    pub cache: CacheResult,
    /// How long its stages took.
    pub times: StageTimes,
}

impl Response {
    /// An answer without a body.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Body::from(""), notes: Notes::default() }
    }

    /// An answer of 503 that asks the client to come back in a second.
    #[must_use]
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self::text(StatusCode::SERVICE_UNAVAILABLE, text).with(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// One line or more of plain text.
    #[must_use]
    pub fn text(status: StatusCode, text: impl Into<String>) -> Self {
        let mut response = Self::bytes("text/plain; charset=utf-8", text.into());
        response.status = status;
        response
    }

    /// A body with its media type; 200.
    ///
    /// # Panics
    /// If `content_type` is no header value.
    #[must_use]
    pub fn bytes(content_type: &'static str, body: impl Into<Body>) -> Self {
        let mut response = Self::empty(StatusCode::OK);
        response.body = body.into();
        response.with(CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    /// The same answer with one field set, in place of others of that name.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.insert(name, value.into());
        self
    }

    /// The same answer, and what is told of it.
    #[must_use]
    pub(super) fn noting(mut self, cache: CacheResult, times: StageTimes) -> Self {
        self.notes = Notes { cache, times, ..self.notes };
        self
    }

    /// Whether the status allows a body (RFC 9110 §6.4.1).
    fn may_have_body(&self) -> bool {
        !matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    }
}

/// What a client is told of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persistence {
    /// It lives, as every HTTP/1.1 connection does: nothing is said.
    Implied,
    /// It lives, as an HTTP/1.0 client asked.
    Announced,
    /// It ends with this answer.
    Close,
}

/// An answer as bytes.
pub(super) struct Message {
    pub(super) head: Vec<u8>,
    pub(super) body: Body,
}

impl Message {
    /// The bytes of `response`; `is_head` leaves the body out and its length in.
    pub(super) fn new(mut response: Response, persistence: Persistence, is_head: bool) -> Self {
        seal(&mut response);
        let mut head = Vec::with_capacity(512);
        head.extend_from_slice(b"HTTP/1.1 ");
        head.extend_from_slice(response.status.as_str().as_bytes());
        head.push(b' ');
        head.extend_from_slice(response.status.canonical_reason().unwrap_or("").as_bytes());
        head.extend_from_slice(b"\r\n");
        for (name, value) in &response.headers {
            if !belongs_to_connection(name) {
                push_field(&mut head, name, value.as_bytes());
            }
        }
        push_field(&mut head, &DATE, httpdate::fmt_http_date(SystemTime::now()).as_bytes());
        if response.may_have_body() {
            push_field(&mut head, &CONTENT_LENGTH, response.body.len().to_string().as_bytes());
        }
        match persistence {
            Persistence::Implied => {}
            Persistence::Announced => push_field(&mut head, &CONNECTION, b"keep-alive"),
            Persistence::Close => push_field(&mut head, &CONNECTION, b"close"),
        }
        head.extend_from_slice(b"\r\n");
        let has_body = response.may_have_body() && !is_head;
        Self { head, body: if has_body { response.body } else { Body::from("") } }
    }
}

/// What every answer says, and what an error says besides.
pub(super) fn seal(response: &mut Response) {
    response.headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if response.status.is_client_error() || response.status.is_server_error() {
        response.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let policy = HeaderValue::from_static("default-src 'none'; sandbox");
        response.headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
}

pub(super) fn belongs_to_connection(name: &HeaderName) -> bool {
    [CONNECTION, CONTENT_LENGTH, DATE, SERVER, TRANSFER_ENCODING].contains(name)
}

fn push_field(head: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    head.extend_from_slice(name.as_str().as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use http::header::{ALLOW, ETAG};

    use super::*;

    /// Head without its Date line, and body.
    fn written(response: Response, persistence: Persistence, is_head: bool) -> (String, Vec<u8>) {
        let message = Message::new(response, persistence, is_head);
        let head = String::from_utf8(message.head).unwrap();
        assert_eq!(head.matches("\r\ndate: ").count(), 1, "{head}");
        let lines = head.split_inclusive("\r\n").filter(|line| !line.starts_with("date: "));
        (lines.collect(), message.body.to_vec())
    }

    #[test]
    fn an_answer_has_its_length_and_no_more() {
        let (head, body) = written(Response::bytes("image/png", vec![1, 2, 3]), Persistence::Implied, false);
        assert_eq!(
            head,
            "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\nx-content-type-options: nosniff\r\n\
             content-length: 3\r\n\r\n"
        );
        assert_eq!(body, [1, 2, 3]);
    }

    #[test]
    fn an_error_is_inert_and_uncached() {
        let response = Response::text(StatusCode::METHOD_NOT_ALLOWED, "no")
            .with(ALLOW, HeaderValue::from_static("GET"))
            .with(CACHE_CONTROL, HeaderValue::from_static("max-age=9"))
            .with(CONNECTION, HeaderValue::from_static("x"))
            .with(CONTENT_LENGTH, 99_u64);
        let (head, _) = written(response, Persistence::Close, false);
        for line in ["cache-control: no-store", "allow: GET", "content-length: 2", "connection: close"] {
            assert_eq!(head.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line} in {head}");
        }
        assert!(head.contains("\r\ncontent-security-policy: default-src 'none'; sandbox\r\n"));
        assert_eq!(head.matches("connection").count(), 1);
        assert_eq!(head.matches("content-length").count(), 1);
    }

    #[test]
    fn bodies_are_left_out_where_none_may_be() {
        let (with_body, _) = written(Response::text(StatusCode::OK, "abc"), Persistence::Announced, false);
        let (without, body) = written(Response::text(StatusCode::OK, "abc"), Persistence::Announced, true);
        assert_eq!((with_body, body), (without, vec![]));
        for status in [StatusCode::NOT_MODIFIED, StatusCode::NO_CONTENT] {
            let response = Response::text(status, "abc").with(ETAG, HeaderValue::from_static("\"a\""));
            let (head, body) = written(response, Persistence::Implied, false);
            assert!(head.contains("etag: \"a\"") && !head.contains("content-length"), "{head}");
            assert!(body.is_empty());
        }
    }
}
