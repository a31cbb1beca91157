//! What a handler is given: a request whose head was whole and valid. How it is read stands in `head`.

use std::net::IpAddr;

use http::{HeaderMap, Method, Version};

use super::error::HeadError;

/// A request as the front door passes it on.
#[derive(Clone, Debug)]
pub struct Request {
    /// Counts the requests of this process from 1; names the request in the log.
    pub id: u64,
    /// The address at the other end of the socket; none on a unix-domain socket.
    pub peer: Option<IpAddr>,
    /// Any valid token of at most 32 bytes, known or not.
    pub method: Method,
    /// What is asked for, undecoded.
    pub target: Target,
    /// 1.0 or 1.1.
    pub version: Version,
    /// The fields of the head in their order.
    pub headers: HeaderMap,
}

/// A request target in origin form, undecoded: bytes 0x21 to 0x7e only, without `#`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Begins with `/`; percent-encoding untouched.
    pub path: String,
    /// What follows the first `?`, without it.
    pub query: Option<String>,
}

impl Target {
    /// Reads `/path?query` or `http://host/path?query`, of which the host is checked and dropped: we serve one host.
    ///
    /// # Errors
    /// [`HeadError::Target`] for anything else, asterisk and authority form among it.
    pub fn parse(text: &[u8]) -> Result<Self, HeadError> {
        let text = std::str::from_utf8(text).map_err(|_| HeadError::Target)?;
        if !text.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'#') {
            return Err(HeadError::Target);
        }
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (text, None),
        };
        Ok(Self { path: origin_path(path)?.to_owned(), query })
    }
}

/// The path of a target whose query is cut off.
fn origin_path(text: &str) -> Result<&str, HeadError> {
    if text.starts_with('/') {
        return Ok(text);
    }
    let (scheme, rest) = text.split_once("://").ok_or(HeadError::Target)?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    if !known || host.is_empty() || !is_host(host.as_bytes()) {
        return Err(HeadError::Target);
    }
    Ok(if path.is_empty() { "/" } else { path })
}

/// Whether `text` is `uri-host [":" port]` (RFC 9110 §7.2), possibly empty. A comma is refused although the grammar
/// has it: it only appears where somebody joined two Host fields into one.
pub(super) fn is_host(text: &[u8]) -> bool {
    let (name_is_good, rest) = match text.strip_prefix(b"[") {
        Some(literal) => {
            let Some(end) = literal.iter().position(|&byte| byte == b']') else {
                return false;
            };
            let (address, rest) = literal.split_at(end);
            (!address.is_empty() && address.iter().all(|&byte| is_literal_byte(byte)), &rest[1..])
        }
        None => {
            let end = text.iter().position(|&byte| byte == b':').unwrap_or(text.len());
            let (name, rest) = text.split_at(end);
            (name.iter().all(|&byte| is_name_byte(byte)), rest)
        }
    };
    let port_is_good = match rest.strip_prefix(b":") {
        Some(port) => port.len() <= 5 && port.iter().all(u8::is_ascii_digit),
        None => rest.is_empty(),
    };
    name_is_good && port_is_good
}

fn is_literal_byte(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_become_path_and_query() {
        let check = |text: &str, expected: Option<(&str, Option<&str>)>| {
            let target = Target::parse(text.as_bytes()).ok();
            let found = target.as_ref().map(|target| (target.path.as_str(), target.query.as_deref()));
            assert_eq!(found, expected, "{text:?}");
        };
        check("/", Some(("/", None)));
        check("/image/w_5/a%20b.jpg?x=1?y", Some(("/image/w_5/a%20b.jpg", Some("x=1?y"))));
        check("/?", Some(("/", Some(""))));
        check("//two", Some(("//two", None)));
        check("http://example.org/a", Some(("/a", None)));
        check("HTTPS://example.org:443/a?b", Some(("/a", Some("b"))));
        check("http://example.org", Some(("/", None)));
        check("http://example.org?q=/x", Some(("/", Some("q=/x"))));
        check("http://[::1]:80/a", Some(("/a", None)));
        for refused in ["", "*", "example.org:443", "a/b", "http:///a", "http://a b/", "ftp://a/b", "http://a@b/"] {
            check(refused, None);
        }
        for refused in ["/a b", "/a\u{7f}", "/ä", "/a\t", "/a#b", "/\0", "/?x#y", "/?a://b c"] {
            check(refused, None);
        }
        assert_eq!(Target::parse(b"/\xff"), Err(HeadError::Target));
    }

    #[test]
    fn hosts_follow_the_grammar() {
        for good in ["", "a", "example.org", "my_host:8080", "127.0.0.1:3000", "[::1]", "[::1]:80", "a:", "%41"] {
            assert!(is_host(good.as_bytes()), "{good:?}");
        }
        for bad in ["a,b", "a b", "a/b", "a@b", "a:b", "a:123456", "[::1", "[]", "[::1]x", "[zz]", "ä", "a:1:2", "\""]
        {
            assert!(!is_host(bad.as_bytes()), "{bad:?}");
        }
    }
}
