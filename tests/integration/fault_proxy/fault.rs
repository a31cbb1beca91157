//! What can go wrong between a client and an object storage, and what the storage would say.

use std::time::{Duration, SystemTime};

use super::wire::{Framing, Head};

/// What becomes of a request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It is passed on, and so is its answer.
    Pass,
    /// This answer at once; the storage is not asked.
    Status(u16, String),
    /// As `Status`, with these headers: lines that end with `\r\n`.
    StatusWith(u16, String, String),
    /// The storage is asked, and does what it should; but the client gets this answer.
    StatusAfter(u16, String),
    /// These bytes instead of an answer, then the connection ends.
    Raw(Vec<u8>),
    /// The answer comes so much later.
    Delay(Duration),
    /// All of the request is taken, and never answered.
    Stall,
    /// The connection is closed without an answer.
    Refuse,
    /// The same by a reset.
    Reset,
    /// The storage is asked, and does what it should; then the connection is reset without an answer.
    ResetAfter,
    /// So many bytes of the answer's body come, then the connection ends.
    CutBody(u64),
    /// So many bytes of the answer's body come, then nothing; the connection stays.
    StallBody(u64),
    /// Half of the answer's body comes, and its head says that this is all.
    ShortBody,
    /// A bit in the middle of the answer's body is another.
    CorruptBody,
    /// A bit in the middle of the request's body is another.
    CorruptRequest,
    /// So many bytes of the answer's body in a second.
    SlowBody(u64),
    /// The answer's body is chunked, and never ends.
    Endless,
    /// After the answer's body more bytes come than its head says, for ever.
    Overflow,
    /// The answer's `Content-Length` is so much more than its body. Where that never comes, the connection stays.
    LieLength(i64),
    /// 307 to this URL.
    Redirect(String),
    /// What S3 says to a clock that is so many minutes slow.
    Skew(i64),
}

impl Fault {
    /// An error as S3 tells it.
    pub(crate) fn s3(status: u16, code: &str) -> Self {
        Self::Status(status, s3_error(code, "a fault", ""))
    }

    /// An error as Google Cloud Storage tells it.
    pub(crate) fn gcs(status: u16, reason: &str) -> Self {
        let errors = format!(r#"[{{"domain":"global","reason":"{reason}","message":"a fault"}}]"#);
        Self::Status(status, format!(r#"{{"error":{{"code":{status},"message":"a fault","errors":{errors}}}}}"#))
    }
}

fn s3_error(code: &str, message: &str, rest: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{rest}\
         <RequestId>4442587FB7D0A2F9</RequestId><HostId>fault</HostId></Error>"
    )
}

/// An answer of the proxy's own.
pub(super) struct OwnAnswer {
    pub(super) status: u16,
    headers: String,
    pub(super) body: String,
}

impl OwnAnswer {
    /// The answer that this fault is, if it is one.
    pub(super) fn of(fault: &Fault, request: &Head) -> Option<Self> {
        let (status, headers, body) = match fault {
            Fault::Status(status, body) | Fault::StatusAfter(status, body) => (*status, String::new(), body.clone()),
            Fault::StatusWith(status, headers, body) => (*status, headers.clone(), body.clone()),
            Fault::Redirect(url) => (307, format!("Location: {url}\r\n"), String::new()),
            Fault::Skew(minutes) => {
                let (date, body) = skewed(*minutes, request);
                (403, format!("Date: {date}\r\n"), body)
            }
            _ => return None,
        };
        Some(Self { status, headers, body })
    }

    pub(super) fn bytes(&self, method: &str) -> Vec<u8> {
        let kind = match self.body.bytes().next() {
            Some(b'<') => "application/xml",
            Some(b'{') => "application/json; charset=UTF-8",
            _ => "text/plain",
        };
        let Self { status, headers, body } = self;
        let head = format!(
            "HTTP/1.1 {status} Fault\r\n{headers}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let body = if method == "HEAD" { "" } else { body.as_str() };
        (head + body).into_bytes()
    }
}

/// The date of a storage that is so many minutes ahead, and what it says to a request of now.
fn skewed(minutes: i64, request: &Head) -> (String, String) {
    let shift = Duration::from_secs(minutes.unsigned_abs() * 60);
    let now = SystemTime::now();
    let date = httpdate::fmt_http_date(if minutes < 0 { now - shift } else { now + shift });
    // "Sun, 06 Nov 1994 08:49:37 GMT" is "1994-11-06T08:49:37Z".
    let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = months.find(&date[8..11]).unwrap() / 3 + 1;
    let server = format!("{}-{month:02}-{}T{}Z", &date[12..16], &date[5..7], &date[17..25]);
    let client = request.header("x-amz-date").or(request.header("Date")).unwrap_or_default();
    let rest = format!(
        "<RequestTime>{client}</RequestTime><ServerTime>{server}</ServerTime>\
         <MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>"
    );
    let message = "The difference between the request time and the current time is too large.";
    (date, s3_error("RequestTimeTooSkewed", message, &rest))
}

/// How the body of an answer is passed on.
pub(super) struct Shape {
    /// What the head says, if it is not what it said.
    pub(super) declared: Option<Framing>,
    /// How many bytes come.
    pub(super) n_kept: u64,
    /// The byte that is another.
    pub(super) flipped: Option<u64>,
    pub(super) bytes_per_second: Option<u64>,
    pub(super) then: Then,
}

/// What follows a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Next,
    Close,
    Silence,
    More,
}

impl Shape {
    /// Without a body, nothing can happen to it.
    pub(super) fn new(fault: &Fault, framing: Framing) -> Self {
        let mut shape =
            Self { declared: None, n_kept: u64::MAX, flipped: None, bytes_per_second: None, then: Then::Next };
        if framing == Framing::None {
            return shape;
        }
        match *fault {
            Fault::CutBody(n_bytes) => (shape.n_kept, shape.then) = (n_bytes, Then::Close),
            Fault::StallBody(n_bytes) => (shape.n_kept, shape.then) = (n_bytes, Then::Silence),
            Fault::ShortBody => {
                shape.n_kept = middle(framing);
                if let Framing::Length(_) = framing {
                    shape.declared = Some(Framing::Length(shape.n_kept));
                }
            }
            Fault::CorruptBody => shape.flipped = Some(middle(framing)),
            Fault::SlowBody(bytes_per_second) => shape.bytes_per_second = Some(bytes_per_second),
            Fault::Endless => (shape.declared, shape.then) = (Some(Framing::Chunked), Then::More),
            Fault::Overflow => shape.then = Then::More,
            Fault::LieLength(more) => {
                if let Framing::Length(length) = framing {
                    shape.declared = Some(Framing::Length(length.saturating_add_signed(more)));
                }
                shape.then = if more > 0 { Then::Silence } else { Then::Next };
            }
            _ => {}
        }
        shape
    }
}

/// The position in the middle of a body; the first where its length is not known.
pub(super) fn middle(framing: Framing) -> u64 {
    if let Framing::Length(length) = framing { length / 2 } else { 0 }
}
