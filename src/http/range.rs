//! A part of an answer (RFC 9110 §14): one range is served, several are answered whole, as §14.2 allows, and what
//! cannot be read counts as not said. Pure.

use std::ops::Range;

use http::header::{ACCEPT_RANGES, CONTENT_RANGE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::conditional::EntityTag;
use super::request::Request;
use super::response::Response;

/// What a Range field asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// All of it.
    Whole,
    /// These bytes of it, at least one.
    Part(Range<usize>),
    /// Bytes that it does not have.
    Beyond,
}

/// The part of a complete 200 that the request asks for: 206, 416, or the whole.
#[must_use]
pub(super) fn part_of(response: Response, request: &Request) -> Response {
    if response.status != StatusCode::OK {
        return response;
    }
    let length = response.body.len();
    let is_asked = request.method == Method::GET && is_current(&request.headers, &response.headers);
    let wanted = if is_asked { wanted(&request.headers, length) } else { Wanted::Whole };
    let mut response = response.with(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    match wanted {
        Wanted::Whole => response,
        Wanted::Part(part) => {
            let place = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            response.status = StatusCode::PARTIAL_CONTENT;
            response.body = response.body.slice(part);
            response.with(CONTENT_RANGE, text(&place))
        }
        Wanted::Beyond => Response::text(StatusCode::RANGE_NOT_SATISFIABLE, "range not satisfiable")
            .with(CONTENT_RANGE, text(&format!("bytes */{length}"))),
    }
}

/// Whether the client's earlier part is of this very answer: only then does another part of it help (§13.1.5).
fn is_current(asked: &HeaderMap, answer: &HeaderMap) -> bool {
    let mut conditions = asked.get_all(IF_RANGE).iter();
    match (conditions.next(), conditions.next()) {
        (None, _) => true,
        (Some(condition), None) => match EntityTag::parse(condition.as_bytes()) {
            Some(tag) => {
                let own = answer.get(ETAG).and_then(|own| EntityTag::parse(own.as_bytes()));
                own.is_some_and(|own| own.equals_strongly(tag))
            }
            None => answer.get(LAST_MODIFIED) == Some(condition),
        },
        (Some(_), Some(_)) => false,
    }
}

fn wanted(headers: &HeaderMap, length: usize) -> Wanted {
    let mut fields = headers.get_all(RANGE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return Wanted::Whole;
    };
    sole_range(field.as_bytes()).map_or(Wanted::Whole, |spec| resolve(spec, length))
}

/// First and last position; a first that is missing means the last so many bytes.
type Spec = (Option<u64>, Option<u64>);

/// The range in a field that has exactly one, all of it within the grammar.
fn sole_range(field: &[u8]) -> Option<Spec> {
    let (unit, set) = field.split_at_checked(b"bytes=".len())?;
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return None;
    }
    let mut specs = set.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|spec| !spec.is_empty());
    let spec = specs.next()?;
    let dash = spec.iter().position(|&byte| byte == b'-')?;
    let (first, last) = (position(&spec[..dash])?, position(&spec[dash + 1..])?);
    let is_range = match (first, last) {
        (None, None) => false,
        (Some(first), Some(last)) => first <= last,
        _ => true,
    };
    (is_range && specs.next().is_none()).then_some((first, last))
}

/// Digits, or nothing. Numbers beyond 64 bits are as good as the last of them.
fn position(digits: &[u8]) -> Option<Option<u64>> {
    if digits.is_empty() {
        return Some(None);
    }
    let add = |number: u64, digit: &u8| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    };
    digits.iter().try_fold(0, add).map(Some)
}

fn resolve((first, last): Spec, length: usize) -> Wanted {
    let clamp = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(length);
    let part = match (first, last) {
        (Some(first), last) => clamp(first)..last.map_or(length, |last| clamp(last.saturating_add(1))),
        (None, last) => length - clamp(last.unwrap_or(0))..length,
    };
    if part.is_empty() { Wanted::Beyond } else { Wanted::Part(part) }
}

fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("numbers are visible ASCII")
}

#[cfg(test)]
mod tests {
    use http::Version;
    use proptest::prelude::*;

    use super::super::request::Target;
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn request(method: Method, fields: &[(&'static str, &[u8])]) -> Request {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        let target = Target { path: "/".into(), query: None };
        Request { id: 1, peer: None, method, target, version: Version::HTTP_11, headers }
    }

    fn answer(fields: &[(&'static str, &[u8])]) -> (u16, String, Vec<u8>) {
        let whole = Response::bytes("image/png", b"0123456789".to_vec())
            .with(ETAG, HeaderValue::from_static("\"tag\""))
            .with(LAST_MODIFIED, HeaderValue::from_static(DATE));
        let response = part_of(whole, &request(Method::GET, fields));
        let place = response.headers.get(CONTENT_RANGE).map_or("", |value| value.to_str().unwrap()).to_owned();
        (response.status.as_u16(), place, response.body.to_vec())
    }

    #[track_caller]
    fn check(range: &str, expected: (u16, &str, &str)) {
        let (status, place, body) = answer(&[("range", range.as_bytes())]);
        let body = if status == 416 { "" } else { str::from_utf8(&body).unwrap() };
        assert_eq!((status, place.as_str(), body), expected, "{range}");
    }

    #[test]
    fn one_range_is_served() {
        check("bytes=0-3", (206, "bytes 0-3/10", "0123"));
        check("Bytes=0-0", (206, "bytes 0-0/10", "0"));
        check("bytes=7-", (206, "bytes 7-9/10", "789"));
        check("bytes=-3", (206, "bytes 7-9/10", "789"));
        check("bytes=-99", (206, "bytes 0-9/10", "0123456789"));
        check("bytes=4-99", (206, "bytes 4-9/10", "456789"));
        check("bytes=9-18446744073709551615", (206, "bytes 9-9/10", "9"));
        check("bytes=9-99999999999999999999999", (206, "bytes 9-9/10", "9"));
        check("bytes= , 2-3 ,", (206, "bytes 2-3/10", "23"));
    }

    #[test]
    fn what_is_not_there_is_416() {
        for range in
            ["bytes=10-", "bytes=10-11", "bytes=-0", "bytes=18446744073709551615-", "bytes=99999999999999999999-"]
        {
            check(range, (416, "bytes */10", ""));
        }
        let empty = part_of(Response::bytes("image/png", ""), &request(Method::GET, &[("range", b"bytes=-1")]));
        assert_eq!(empty.status, StatusCode::RANGE_NOT_SATISFIABLE);
    }

    #[test]
    fn all_else_is_the_whole() {
        let many = format!("bytes={}", vec!["0-0"; 1000].join(","));
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=3-2",
            "bytes=a-",
            "bytes=0-1,3-4",
            "bytes=1-1,1-1",
            "bytes=--1",
            "bytes=+1-2",
            "bytes=0x1-",
            "bytes 0-1",
            "items=0-1",
            "bytes=1 - 2",
            "bytes=1-2-3",
            "bytes=0-1;q=1",
            &many,
        ] {
            check(range, (200, "", "0123456789"));
        }
        assert_eq!(answer(&[("range", b"bytes=0-1"), ("range", b"bytes=0-1")]).0, 200);
        let whole = || Response::bytes("image/png", b"0123456789".to_vec());
        let head = part_of(whole(), &request(Method::HEAD, &[("range", b"bytes=0-1")]));
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 10));
        let not_found = Response::text(StatusCode::NOT_FOUND, "no");
        assert_eq!(part_of(not_found, &request(Method::GET, &[("range", b"bytes=0-0")])).status, StatusCode::NOT_FOUND);
    }

    #[test]
    fn a_part_of_another_answer_is_no_help() {
        let check = |condition: &str, expected: u16| {
            let fields = [("range", &b"bytes=0-1"[..]), ("if-range", condition.as_bytes())];
            assert_eq!(answer(&fields).0, expected, "{condition}");
        };
        check("\"tag\"", 206);
        check(DATE, 206);
        for other in ["\"other\"", "W/\"tag\"", "Sun, 06 Nov 1994 08:49:38 GMT", "tag", ""] {
            check(other, 200);
        }
    }

    proptest! {
        #[test]
        fn any_field_gets_the_bytes_it_names(field in "(bytes=)?[ -~]{0,24}|bytes=[0-9]{0,3}-[0-9]{0,21}(,[0-9]{0,2}-[0-9]{0,2})?") {
            let (status, place, body) = answer(&[("range", field.as_bytes())]);
            match status {
                200 => prop_assert_eq!(body, b"0123456789"),
                416 => prop_assert_eq!(place, "bytes */10"),
                _ => {
                    prop_assert_eq!(status, 206);
                    let (first, last) = place["bytes ".len()..].strip_suffix("/10").unwrap().split_once('-').unwrap();
                    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                    prop_assert_eq!(body, &b"0123456789"[first..=last]);
                }
            }
        }
    }
}
