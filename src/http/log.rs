//! The access log: one line a request. Never a header value, a query or an API key.

use std::net::IpAddr;
use std::time::Instant;

use http::StatusCode;

use super::error::HeadError;
use super::request::Request;

/// First segments of our own routes. Any other may be an API key, or a mistyped one, and is shown as `*`.
const KNOWN_SEGMENTS: [&str; 6] = ["image", "upload", "health", "ready", "metrics", "favicon.ico"];

/// Logs an answered request. The target is printable ASCII, so one request is one line.
pub(super) fn answered(request: &Request, status: StatusCode, n_bytes: usize, start: Instant) {
    tracing::info!(
        id = request.id,
        peer = request.peer.map(tracing::field::display),
        method = %request.method,
        path = %loggable(&request.target.path),
        status = status.as_u16(),
        bytes = n_bytes,
        ms = millis_since(start),
        "request"
    );
}

/// Logs a head that no handler saw.
pub(super) fn refused(id: u64, peer: Option<IpAddr>, error: HeadError) {
    let peer = peer.map(tracing::field::display);
    tracing::info!(id, peer, status = error.status().as_u16(), reason = %error, "request refused");
}

/// Logs an answer that did not get through.
pub(super) fn unsent(id: u64, error: &std::io::Error) {
    tracing::info!(id, %error, "answer not taken");
}

fn millis_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
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
