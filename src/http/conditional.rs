//! Entity tags and dates that a client already has (RFC 9110 §8.8, §13): whether it needs the body again. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{
    CACHE_CONTROL, CONTENT_LOCATION, ETAG, EXPIRES, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, VARY,
};
use http::{HeaderMap, HeaderName, Method, StatusCode};

use super::response::Response;

/// What a 304 repeats of the 200 it stands for (RFC 9110 §15.4.5).
const KEPT: [HeaderName; 6] = [CACHE_CONTROL, CONTENT_LOCATION, ETAG, EXPIRES, LAST_MODIFIED, VARY];

/// One entity tag: `"opaque"`, or `W/"opaque"` if weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntityTag<'a> {
    is_weak: bool,
    /// What stands between the quotes.
    opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// Reads a whole tag, quotes included.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        match Self::split_off(text) {
            Some((tag, [])) => Some(tag),
            _ => None,
        }
    }

    /// Whether both are the same bytes for certain: equal and neither weak.
    #[must_use]
    pub fn equals_strongly(self, other: EntityTag<'_>) -> bool {
        !self.is_weak && !other.is_weak && self.opaque == other.opaque
    }

    /// Whether both stand for the same picture, weak or not.
    #[must_use]
    pub fn equals_weakly(self, other: EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }

    /// The tag at the start of `text` and what follows it.
    fn split_off(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (is_weak, text) = match text.strip_prefix(b"W/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let text = text.strip_prefix(b"\"")?;
        let end = text.iter().position(|&byte| byte == b'"')?;
        let (opaque, rest) = text.split_at(end);
        let is_valid = opaque.iter().all(|&byte| byte == 0x21 || (0x23..=0x7e).contains(&byte) || byte >= 0x80);
        is_valid.then_some((Self { is_weak, opaque }, &rest[1..]))
    }
}

/// Whether the answer is 304: the request is GET or HEAD and names, in If-None-Match, the tag `etag` (quotes included)
/// or, without that field, a time in If-Modified-Since that is not before `last_modified`. What cannot be read counts
/// as not said: the full answer is never wrong.
#[must_use]
pub fn is_not_modified(method: &Method, headers: &HeaderMap, etag: &str, last_modified: Option<SystemTime>) -> bool {
    if *method != Method::GET && *method != Method::HEAD {
        return false;
    }
    if headers.contains_key(IF_NONE_MATCH) {
        return names_tag(headers, etag);
    }
    match (sole_date(headers), last_modified) {
        (Some(since), Some(modified)) => whole_seconds(modified) <= whole_seconds(since),
        _ => false,
    }
}

/// The 304 in place of `response`: the fields that a cache renews itself with, and no body.
#[must_use]
pub fn not_modified(response: &Response) -> Response {
    let mut short = Response::empty(StatusCode::NOT_MODIFIED);
    for name in KEPT {
        for value in response.headers.get_all(&name) {
            short.headers.append(name.clone(), value.clone());
        }
    }
    short
}

/// Whether the If-None-Match fields hold `etag`. One malformed member spoils the whole list.
fn names_tag(headers: &HeaderMap, etag: &str) -> bool {
    let Some(own) = EntityTag::parse(etag.as_bytes()) else {
        return false;
    };
    let mut fields = headers.get_all(IF_NONE_MATCH).iter();
    if let (Some(only), None) = (fields.next(), fields.next())
        && only.as_bytes().trim_ascii() == b"*"
    {
        return true;
    }
    let found = headers.get_all(IF_NONE_MATCH).iter().map(|field| list_has(field.as_bytes(), own));
    found.reduce(|all, one| Some(all? | one?)).flatten().unwrap_or(false)
}

/// Whether a comma-separated list of tags has `own`; `None` if it is no such list. Empty members are skipped
/// (RFC 9110 §5.6.1).
fn list_has(mut text: &[u8], own: EntityTag<'_>) -> Option<bool> {
    let mut has = false;
    loop {
        text = text.trim_ascii_start();
        match text.first() {
            None => return Some(has),
            Some(b',') => text = &text[1..],
            Some(_) => {
                let (tag, rest) = EntityTag::split_off(text)?;
                has |= tag.equals_weakly(own);
                text = rest.trim_ascii_start();
                if !(text.is_empty() || text.starts_with(b",")) {
                    return None;
                }
            }
        }
    }
}

/// The time in If-Modified-Since, if the field stands there once and is a date.
fn sole_date(headers: &HeaderMap) -> Option<SystemTime> {
    let mut fields = headers.get_all(IF_MODIFIED_SINCE).iter();
    match (fields.next(), fields.next()) {
        (Some(only), None) => httpdate::parse_http_date(only.to_str().ok()?).ok(),
        _ => None,
    }
}

/// Since 1970, rounded down: a field of HTTP has no fractions. Times before count as 1970.
fn whole_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).as_ref().map_or(0, Duration::as_secs)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

    use super::*;

    const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn asks(method: &Method, fields: &[(HeaderName, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_static(value));
        }
        let modified = httpdate::parse_http_date(MODIFIED).unwrap() + Duration::from_millis(700);
        is_not_modified(method, &headers, "\"a,b\"", Some(modified))
    }

    #[test]
    fn tags_compare_weakly_and_whole() {
        let check = |value: &'static str, expected: bool| {
            assert_eq!(asks(&Method::GET, &[(IF_NONE_MATCH, value)]), expected, "{value:?}");
        };
        for known in ["\"a,b\"", "W/\"a,b\"", "*", " * ", "\"x\", \"a,b\"", ",, \"a,b\" ,", "\"x\",W/\"a,b\",\"\""] {
            check(known, true);
        }
        for other in ["", "\"a\"", "a,b", "\"a,b", "w/\"a,b\"", "W/ \"a,b\"", "\"x\" \"a,b\"", "\"a,b\"x", "*, \"x\""] {
            check(other, false);
        }
        check("\"a,b\", broken", false);
        check("\"A,B\"", false);
        check("\"a,\tb\"", false);
        assert!(asks(&Method::HEAD, &[(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, "\"a,b\"")]));
        assert!(!asks(&Method::GET, &[(IF_NONE_MATCH, "*"), (IF_NONE_MATCH, "\"a,b\"")]));
        assert!(!asks(&Method::POST, &[(IF_NONE_MATCH, "\"a,b\"")]));
    }

    #[test]
    fn dates_compare_by_seconds() {
        let check = |value: &'static str, expected: bool| {
            assert_eq!(asks(&Method::GET, &[(IF_MODIFIED_SINCE, value)]), expected, "{value:?}");
        };
        check(MODIFIED, true);
        check("Sunday, 06-Nov-94 08:49:37 GMT", true);
        check("Sun Nov  6 08:49:37 1994", true);
        check("Sun, 06 Nov 1994 08:49:36 GMT", false);
        check("Fri, 01 Jan 2100 00:00:00 GMT", true);
        for bad in ["", "yesterday", "0", "784111777", "Sun, 06 Nov 1994", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            check(bad, false);
        }
        assert!(!asks(&Method::GET, &[(IF_MODIFIED_SINCE, MODIFIED), (IF_MODIFIED_SINCE, MODIFIED)]));
        assert!(!asks(&Method::PUT, &[(IF_MODIFIED_SINCE, MODIFIED)]));
        assert!(!asks(&Method::GET, &[(IF_MODIFIED_SINCE, MODIFIED), (IF_NONE_MATCH, "\"x\"")]));
        assert!(asks(&Method::GET, &[(IF_MODIFIED_SINCE, "no date"), (IF_NONE_MATCH, "\"a,b\"")]));
        assert!(!asks(&Method::GET, &[]));
    }

    #[test]
    fn strong_comparison_refuses_weak_tags() {
        let check = |left: &str, right: &str, expected: bool| {
            let (left, right) = (EntityTag::parse(left.as_bytes()), EntityTag::parse(right.as_bytes()));
            assert_eq!(left.unwrap().equals_strongly(right.unwrap()), expected);
        };
        check("\"1\"", "\"1\"", true);
        check("W/\"1\"", "\"1\"", false);
        check("W/\"1\"", "W/\"1\"", false);
        check("\"1\"", "\"2\"", false);
    }

    #[test]
    fn a_304_keeps_what_caches_renew() {
        let full = Response::bytes("image/png", vec![1])
            .with(ETAG, HeaderValue::from_static("\"a\""))
            .with(CACHE_CONTROL, HeaderValue::from_static("public"))
            .with(VARY, HeaderValue::from_static("Accept"));
        let short = not_modified(&full);
        assert_eq!((short.status, short.body.len()), (StatusCode::NOT_MODIFIED, 0));
        assert_eq!(short.headers.len(), 3);
        assert!(!short.headers.contains_key(CONTENT_TYPE));
    }
}
