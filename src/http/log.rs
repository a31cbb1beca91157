//! One line for each request, and its share in the numbers. Never a header value of a client's choosing but the number that
//! a proxy gave the request, never a query or an API key.

use std::net::IpAddr;
use std::time::Instant;

use http::StatusCode;

use super::error::HeadError;
use super::request::Request;
use super::response::Notes;
use crate::metrics::{CacheResult, Stage, metrics};

/// First segments of our own routes. Any other may be an API key, or a mistyped one, and is shown as `*`.
const KNOWN_SEGMENTS: [&str; 6] = ["image", "upload", "health", "ready", "metrics", "favicon.ico"];

/// How a proxy in front names a request in its own log.
const REQUEST_ID: &str = "x-request-id";
/// Longer ones are no such names.
const MAX_REQUEST_ID_BYTES: usize = 64;

/// An answer as it is told.
pub(super) struct Answered {
    pub(super) status: StatusCode,
    /// Of the body.
    pub(super) n_bytes: usize,
    pub(super) notes: Notes,
    pub(super) start: Instant,
}

/// Notes an answered request. The target is printable ASCII, so one request is one line.
pub(super) fn answered(request: &Request, answered: &Answered, is_logged: bool) {
    let Answered { status, n_bytes, notes, start } = answered;
    let time = start.elapsed();
    metrics().count_request((notes.route, notes.cache), status.as_u16(), *n_bytes, time);
    if !is_logged {
        return;
    }
    let stage = |stage| notes.times.milliseconds(stage);
    tracing::info!(
        id = request.id,
        request_id = named(request),
        client = notes.client.or(request.peer).map(tracing::field::display),
        method = %request.method,
        path = %loggable(&request.target.path),
        status = status.as_u16(),
        bytes = n_bytes,
        ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        cache = (notes.cache != CacheResult::None).then(|| notes.cache.name()),
        queue_ms = stage(Stage::Queue),
        fetch_ms = stage(Stage::Fetch),
        decode_ms = stage(Stage::Decode),
        resize_ms = stage(Stage::Resize),
        stamp_ms = stage(Stage::Stamp),
        encode_ms = stage(Stage::Encode),
        store_ms = stage(Stage::Store),
        "request"
    );
}

/// Notes a head that no handler saw.
pub(super) fn refused(id: u64, peer: Option<IpAddr>, error: HeadError, is_logged: bool) {
    let status = error.status().as_u16();
    metrics().refused_heads.with_label_values(&[status.to_string()]).inc();
    if is_logged {
        tracing::info!(id, client = peer.map(tracing::field::display), status, reason = %error, "request refused");
    }
}

/// Logs an answer that did not get through.
pub(super) fn unsent(id: u64, error: &std::io::Error) {
    tracing::info!(id, %error, "answer not taken");
}

/// The name that a proxy gave the request, if it is one: letters, digits, `-`, `_` and `.`.
fn named(request: &Request) -> Option<&str> {
    let name = request.headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (is_name && (1..=MAX_REQUEST_ID_BYTES).contains(&name.len())).then_some(name)
}

fn loggable(path: &str) -> String {
    let rest = path.strip_prefix('/').unwrap_or(path);
    let first = rest.split('/').next().unwrap_or("");
    match first {
        _ if path == "/" || KNOWN_SEGMENTS.contains(&first) => path.to_owned(),
        // The key may stand behind the second slash.
        "" => "/*".to_owned(),
        _ => format!("/*{}", &rest[first.len()..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_logged() {
        let check = |path: &str, expected: &str| assert_eq!(loggable(path), expected);
        check("/", "/");
        check("/image/w_5/a.jpg", "/image/w_5/a.jpg");
        check("/health", "/health");
        check("/KEY123/image/w_5/a.jpg", "/*/image/w_5/a.jpg");
        check("/KEY123/%75pload", "/*/%75pload");
        check("/KEY123", "/*");
        check("//KEY123/upload", "/*");
        check("///", "/*");
    }
}
