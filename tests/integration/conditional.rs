//! Conditions and ranges, on the running server and through nginx: the same answers everywhere.

use std::time::Duration;

use crate::nginx::{Nginx, Passing};
use crate::server::{Answer, Server};

const TARGET: &str = "/image/w_20/photo.png";

/// Fields of a request, in which TAG, DATE, LATER and EARLIER stand for those of the answer, and its status; for 206
/// the part of the answer.
type Case = (&'static str, &'static [(&'static str, &'static str)], u16, Option<(usize, usize)>);

/// The answer is longer than 60 bytes and shorter than 100,000.
const CASES: [Case; 66] = [
    ("GET", &[], 200, None),
    ("GET", &[("If-None-Match", "TAG")], 304, None),
    ("HEAD", &[("If-None-Match", "TAG")], 304, None),
    ("GET", &[("If-None-Match", "W/TAG")], 304, None),
    ("GET", &[("If-None-Match", "*")], 304, None),
    ("GET", &[("If-None-Match", "\"a\", TAG")], 304, None),
    ("GET", &[("If-None-Match", "\"a\",TAG,\"b\"")], 304, None),
    ("GET", &[("If-None-Match", ",, TAG ,")], 304, None),
    ("GET", &[("If-None-Match", "\"a\""), ("If-None-Match", "TAG")], 304, None),
    ("GET", &[("If-None-Match", "\"a\"")], 200, None),
    ("GET", &[("If-None-Match", "W/\"a\"")], 200, None),
    ("GET", &[("If-None-Match", "TAG x")], 200, None),
    ("GET", &[("If-None-Match", "\"open")], 200, None),
    ("GET", &[("If-None-Match", "a")], 200, None),
    ("GET", &[("If-None-Match", "")], 200, None),
    ("GET", &[("If-Modified-Since", "DATE")], 304, None),
    ("HEAD", &[("If-Modified-Since", "DATE")], 304, None),
    ("GET", &[("If-Modified-Since", "LATER")], 304, None),
    ("GET", &[("If-Modified-Since", "EARLIER")], 200, None),
    ("GET", &[("If-Modified-Since", "yesterday")], 200, None),
    ("GET", &[("If-Modified-Since", "0")], 200, None),
    ("GET", &[("If-Modified-Since", "")], 200, None),
    ("GET", &[("If-Modified-Since", "Thu, 99 Jan 1970 00:00:00 GMT")], 200, None),
    ("GET", &[("If-None-Match", "\"a\""), ("If-Modified-Since", "DATE")], 200, None),
    ("GET", &[("If-None-Match", "TAG"), ("If-Modified-Since", "EARLIER")], 304, None),
    ("GET", &[("Range", "bytes=0-9")], 206, Some((0, 9))),
    ("GET", &[("Range", "bytes=0-0")], 206, Some((0, 0))),
    ("GET", &[("Range", "bytes=10-59")], 206, Some((10, 59))),
    ("GET", &[("Range", "BYTES=0-9")], 206, Some((0, 9))),
    ("GET", &[("Range", "bytes=0-9,")], 206, Some((0, 9))),
    ("GET", &[("Range", "bytes=00000-09")], 206, Some((0, 9))),
    ("HEAD", &[("Range", "bytes=0-9")], 200, None),
    ("GET", &[("Range", "bytes=100000-")], 416, None),
    ("GET", &[("Range", "bytes=100000-100001")], 416, None),
    ("GET", &[("Range", "bytes=18446744073709551615-")], 416, None),
    ("GET", &[("Range", "bytes=18446744073709551616-18446744073709551617")], 416, None),
    ("GET", &[("Range", "bytes=99999999999999999999999999-")], 416, None),
    ("GET", &[("Range", "bytes=-0")], 416, None),
    ("GET", &[("Range", "bytes=0-1,3-4")], 200, None),
    ("GET", &[("Range", "bytes=0-9,5-14")], 200, None),
    ("GET", &[("Range", "bytes=0-,0-")], 200, None),
    ("GET", &[("Range", "bytes=100000-,0-1")], 200, None),
    ("GET", &[("Range", "bytes=9-0")], 200, None),
    ("GET", &[("Range", "bytes=-")], 200, None),
    ("GET", &[("Range", "bytes=")], 200, None),
    ("GET", &[("Range", "bytes")], 200, None),
    ("GET", &[("Range", "bytes 0-9")], 200, None),
    ("GET", &[("Range", "bytes=a-b")], 200, None),
    ("GET", &[("Range", "bytes=0x0-0x9")], 200, None),
    ("GET", &[("Range", "bytes=--9")], 200, None),
    ("GET", &[("Range", "bytes=-9-")], 200, None),
    ("GET", &[("Range", "bytes=+0-9")], 200, None),
    ("GET", &[("Range", "bytes=0-9;x")], 200, None),
    ("GET", &[("Range", "bytes=1.5-9")], 200, None),
    ("GET", &[("Range", "pages=0-9")], 200, None),
    ("GET", &[("Range", "")], 200, None),
    ("GET", &[("Range", "bytes=0-9"), ("If-Range", "TAG")], 206, Some((0, 9))),
    ("GET", &[("Range", "bytes=0-9"), ("If-Range", "DATE")], 206, Some((0, 9))),
    ("GET", &[("Range", "bytes=0-9"), ("If-Range", "W/TAG")], 200, None),
    ("GET", &[("Range", "bytes=0-9"), ("If-Range", "\"a\"")], 200, None),
    ("GET", &[("Range", "bytes=0-9"), ("If-Range", "LATER")], 200, None),
    ("GET", &[("Range", "bytes=0-9"), ("If-Range", "EARLIER")], 200, None),
    ("GET", &[("Range", "bytes=0-9"), ("If-Range", "nonsense")], 200, None),
    ("GET", &[("Range", "bytes=100000-"), ("If-Range", "\"a\"")], 200, None),
    ("GET", &[("Range", "bytes=0-9"), ("If-None-Match", "TAG")], 304, None),
    ("GET", &[("Range", "bytes=0-9"), ("If-None-Match", "\"a\"")], 206, Some((0, 9))),
];

fn check_all(whole: &Answer, through: &str, ask: impl Fn(&str, &[(&str, &str)]) -> Answer) {
    assert!((60..100_000).contains(&whole.body.len()));
    let (tag, date) = (whole.header("ETag").unwrap(), whole.header("Last-Modified").unwrap());
    let modified = httpdate::parse_http_date(date).unwrap();
    let [later, earlier] =
        [modified + Duration::from_secs(60), modified - Duration::from_secs(60)].map(httpdate::fmt_http_date);
    let fill = |value: &str| {
        let value = value.replace("TAG", tag).replace("DATE", date);
        value.replace("LATER", &later).replace("EARLIER", &earlier)
    };
    for (method, fields, status, part) in CASES {
        // nginx refuses a field that is there twice before we could join it.
        let is_twice = fields.len() == 2 && fields[0].0 == fields[1].0;
        let (status, part) = if is_twice && through == "nginx" { (400, None) } else { (status, part) };
        let fields: Vec<(&str, String)> = fields.iter().map(|(name, value)| (*name, fill(value))).collect();
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = ask(method, &fields);
        let what = format!("{through} {method} {fields:?}: {answer:?}");
        assert_eq!(answer.status, status, "{what}");
        let length = whole.body.len();
        match (status, part) {
            (206, Some((first, last))) => {
                assert!(answer.body == whole.body[first..=last], "{what}");
                assert_eq!(answer.header("Content-Range"), Some(&*format!("bytes {first}-{last}/{length}")), "{what}");
            }
            (416, _) => assert_eq!(answer.header("Content-Range"), Some(&*format!("bytes */{length}")), "{what}"),
            (400, _) => {}
            (304, _) => assert!(answer.body.is_empty() && answer.header("ETag") == Some(tag), "{what}"),
            _ => {
                assert!(answer.body == if method == "HEAD" { &[] } else { &whole.body[..] }, "{what}");
                assert_eq!(answer.header("Content-Length"), Some(&*length.to_string()), "{what}");
            }
        }
    }
}

/// Ranges that depend on the length, and very many of them.
fn check_ends(whole: &Answer, ask: impl Fn(&str) -> Answer) {
    let length = whole.body.len();
    let check = |range: &str, expected: Option<&[u8]>| {
        let answer = ask(range);
        assert_eq!(answer.status, if expected.is_some() { 206 } else { 416 }, "{range}: {answer:?}");
        assert!(expected.is_none_or(|expected| answer.body == expected), "{range}");
    };
    check("bytes=-1", Some(&whole.body[length - 1..]));
    check(&format!("bytes=-{length}"), Some(&whole.body));
    check("bytes=-100000", Some(&whole.body));
    check("bytes=-99999999999999999999999", Some(&whole.body));
    check(&format!("bytes={}-", length - 1), Some(&whole.body[length - 1..]));
    check(&format!("bytes=1-{length}"), Some(&whole.body[1..]));
    check("bytes=1-18446744073709551615", Some(&whole.body[1..]));
    check(&format!("bytes={length}-"), None);
    let many = vec!["0-0"; 1000].join(",");
    let answer = ask(&format!("bytes={many}"));
    assert!(answer.status == 200 && answer.body == whole.body, "{answer:?}");
}

#[test]
fn conditions_and_ranges_are_those_of_the_standard() {
    let server = Server::start("");
    let whole = server.get(TARGET);
    check_all(&whole, "direct", |method, fields| server.request(method, TARGET, fields));
    check_ends(&whole, |range| server.request("GET", TARGET, &[("Range", range)]));
    // A cold answer has parts, too.
    let cold = server.request("GET", "/image/w_21/photo.png", &[("Range", "bytes=0-7")]);
    assert_eq!((cold.status, &cold.body[..], cold.header("X-Cache")), (206, &b"\x89PNG\r\n\x1a\n"[..], Some("miss")));
}

#[test]
fn nginx_changes_nothing_of_that() {
    for passing in [Passing::Raw, Passing::Normalised] {
        let server = Server::start("");
        let Some(nginx) = Nginx::start(&server, passing) else {
            return;
        };
        let whole = nginx.get(TARGET);
        check_all(&whole, "nginx", |method, fields| nginx.request(method, TARGET, fields));
        check_ends(&whole, |range| nginx.request("GET", TARGET, &[("Range", range)]));
    }
}
