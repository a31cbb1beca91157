//! What every answer says about itself, and that nothing of a request gets into the head of its answer or makes lines
//! of its own in the log.

use std::fs;
use std::time::Instant;

use crate::nginx::{Nginx, Passing};
use crate::server::{Answer, PATIENCE, Server, exchange, poll};

/// Answers of every kind that there is: a name, the bytes of the request, the status.
fn every_kind(tag: &str) -> Vec<(String, u16)> {
    let long = "a".repeat(5000);
    let get =
        |target: &str, fields: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
    let image = "/image/w_20/photo.png";
    vec![
        (get("/", ""), 200),
        (get("/health", ""), 200),
        (get("/ready", ""), 200),
        (get(image, ""), 200),
        (get("/image/w_20/photo.jpg", ""), 200),
        (get("/image/_/photo.jpg", ""), 200),
        (get(image, "Range: bytes=0-9\r\n"), 206),
        (get(image, &format!("If-None-Match: {tag}\r\n")), 304),
        (get("/image/w_0/photo.png", ""), 400),
        (get("/image/w_20/../photo.png", ""), 400),
        (get("/image/w_20/a%00b.png", ""), 400),
        (get("/image/t_nothing/photo.png", ""), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n".to_owned(), 400),
        (get("/0123456789abcdef0123456789abcdef/image/w_20/photo.png", ""), 401),
        (get("/nowhere", ""), 404),
        (get("/image/w_20/missing.png", ""), 404),
        (format!("POST {image} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 405),
        (get("/upload", ""), 405),
        ("GET / HTTP/1.1\r\nHost: x\r\nX-Slow".to_owned(), 408),
        ("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n".to_owned(), 413),
        (get(&format!("/{long}"), ""), 414),
        (get("/image/w_20/text.png", ""), 415),
        (get(image, "Range: bytes=1000000-\r\n"), 416),
        (get("/image/w_20/cut.png", ""), 422),
        (get(image, &format!("X-Long: {long}{long}\r\n")), 431),
        ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(), 501),
        ("POST /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/3.0\r\nHost: x\r\n\r\n".to_owned(), 505),
    ]
}

fn check_head(what: &str, answer: &Answer, server: &Server) {
    assert_eq!(answer.all("X-Content-Type-Options"), ["nosniff"], "{what}");
    assert_eq!(answer.all("Date").len(), 1, "{what}");
    assert!(answer.header("X-Powered-By").is_none(), "{what}");
    let is_error = answer.status >= 400;
    let policy = is_error.then_some("default-src 'none'; sandbox");
    assert_eq!(answer.header("Content-Security-Policy"), policy, "{what}");
    if is_error {
        assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{what}");
        // Uploads are answered in JSON, whatever happens.
        let is_upload = what.contains(" /upload ");
        let kind = if is_upload { "application/json" } else { "text/plain; charset=utf-8" };
        assert_eq!(answer.header("Content-Type"), Some(kind), "{what}");
        if is_upload {
            let shape = answer.text();
            let has = |text: &str| shape.contains(text);
            assert!(has(r#"{"status":"error","errorMessage":""#) && has(r#"","imagePath":""}"#), "{what}: {shape}");
        } else {
            answer.assert_reason(what);
        }
        assert!(answer.header("ETag").is_none() && answer.header("Last-Modified").is_none(), "{what}");
        let text = answer.text();
        let home = server.directory().display().to_string();
        for secret in [home.as_str(), "src/", ".rs", "panic", env!("CARGO_PKG_VERSION"), "sqlite"] {
            assert!(!text.contains(secret), "{what}: {text}");
        }
    } else if answer.header("ETag").is_some() {
        assert_eq!(answer.header("Cache-Control"), Some("public, max-age=86400"), "{what}");
        assert!(answer.header("Last-Modified").is_some(), "{what}");
    }
    if answer.status == 200 && !answer.body.is_empty() {
        let expected = match &answer.body[..] {
            [0x89, b'P', ..] => "image/png",
            [0xff, 0xd8, ..] => "image/jpeg",
            _ => "text/plain; charset=utf-8",
        };
        assert_eq!(answer.header("Content-Type"), Some(expected), "{what}");
    }
}

/// A server that has something for every kind of answer, and the tag of its picture.
fn versatile() -> (Server, String) {
    let server = Server::start("allow-originals: Yes\nhttp: {head-timeout: 1}\n");
    fs::write(server.images().join("text.png"), "no picture").unwrap();
    let png = fs::read(server.images().join("photo.png")).unwrap();
    fs::write(server.images().join("cut.png"), &png[..png.len() / 2]).unwrap();
    let tag = server.get("/image/w_20/photo.png").header("ETag").unwrap().to_owned();
    (server, tag)
}

#[test]
fn every_answer_says_what_it_is_and_no_more() {
    let (server, tag) = versatile();
    for (request, status) in every_kind(&tag) {
        let answers = exchange(server.address(), request.as_bytes(), PATIENCE);
        let what = format!("{:?}", &request[..request.len().min(80)]);
        assert_eq!(answers.statuses(), [status], "{what}: {answers:?}");
        assert!(answers.answers[0].header("Server").is_none(), "{what}");
        check_head(&what, &answers.answers[0], &server);
    }
}

#[test]
fn nginx_leaves_all_of_it_in_place() {
    for passing in [Passing::Raw, Passing::Normalised] {
        let (server, tag) = versatile();
        let Some(nginx) = Nginx::start(&server, passing) else {
            return;
        };
        let mut n_ours = 0;
        // nginx waits longer for a head than this test would like to.
        for (request, status) in every_kind(&tag).into_iter().filter(|(_, status)| *status != 408) {
            let answers = exchange(nginx.address(), request.as_bytes(), PATIENCE);
            let what = format!("{passing:?} {:?}", &request[..request.len().min(80)]);
            assert_eq!(answers.answers.len(), 1, "{what}: {answers:?}");
            let answer = &answers.answers[0];
            // What nginx refuses itself, and it refuses as we do or with another word for it, is its own.
            if answer.header("X-Content-Type-Options").is_some() {
                // `..` is taken out of a normalised path, which is then another.
                let is_other = passing == Passing::Normalised && request.contains("..");
                assert_eq!(answer.status, if is_other { 404 } else { status }, "{what}: {answer:?}");
                check_head(&what, answer, &server);
                n_ours += 1;
            } else {
                assert!(answer.status >= 400 && status >= 400, "{what}: {answer:?}");
            }
        }
        assert!(n_ours >= 18, "{n_ours}");
    }
}

/// What would end a line, or begin another, if somebody decoded or copied it carelessly.
const BREAKS: [&str; 14] = [
    "%0d%0aX-Injected:%20yes",
    "%0aX-Injected:%20yes",
    "%0dX-Injected:%20yes",
    "%0D%0A%0D%0A<b>injected</b>",
    "%250d%250aX-Injected:%20yes",
    "%e5%98%8a%e5%98%8dX-Injected:%20yes",
    "%c4%8a%c4%8dX-Injected:%20yes",
    "%E5%98%8A",
    "%u000aX-Injected:yes",
    "%00%0aX-Injected:%20yes",
    "%0b%0cX-Injected:%20yes",
    "%c2%85X-Injected:%20yes",
    "%e2%80%a8X-Injected:%20yes",
    "%1b[31mX-Injected",
];

fn targets(text: &str) -> Vec<String> {
    vec![
        format!("/image/w_20/{text}.png"),
        format!("/image/w_20/photo.png?{text}"),
        format!("/image/{text}/photo.png"),
        format!("/image/t_{text}/photo.png"),
        format!("/{text}/image/w_20/photo.png"),
        format!("/{text}"),
    ]
}

fn check_uninjected(what: &str, answer: &Answer) {
    assert!(answer.header("X-Injected").is_none(), "{what}: {answer:?}");
    assert!(answer.status < 500, "{what}: {answer:?}");
    let text = answer.text();
    let is_ours = answer.header("X-Content-Type-Options").is_some();
    assert!(answer.status < 400 || !is_ours || !text.contains('\n'), "{what}: {text:?}");
}

#[test]
fn nothing_of_a_request_makes_a_line_in_head_or_log() {
    let server = Server::start("");
    let mut n_requests = 0;
    for target in BREAKS.into_iter().flat_map(targets) {
        let answer = server.get(&target);
        n_requests += 1;
        check_uninjected(&target, &answer);
        for echoed in ["Location", "Access-Control-Allow-Origin", "Set-Cookie"] {
            assert!(answer.header(echoed).is_none(), "{target}: {answer:?}");
        }
    }
    let fields = [("Origin", "https://evil.example"), ("X-Forwarded-Host", "evil.example"), ("Referer", "a\tb")];
    for (name, value) in fields {
        let answer = server.request("GET", "/image/w_20/photo.png", &[(name, value)]);
        n_requests += 1;
        assert!(answer.status == 200 && answer.header("Access-Control-Allow-Origin").is_none(), "{name}: {answer:?}");
    }
    // The log is read behind the answers; the line of the last request is its last.
    assert_eq!(server.get("/image/w_20/last.png").status, 404);
    let is_whole = || server.log().contains("/last.png").then_some(());
    poll(Instant::now() + PATIENCE, is_whole).unwrap();
    let log = server.log();
    let n_lines = log.lines().filter(|line| line.contains(" request ")).count();
    assert_eq!(n_lines, n_requests + 1);
    assert!(log.lines().all(|line| line.starts_with("20") && !line.contains('\u{1b}')), "{log}");
}

#[test]
fn nginx_makes_no_line_of_it_either() {
    for passing in [Passing::Raw, Passing::Normalised] {
        let server = Server::start("");
        let Some(nginx) = Nginx::start(&server, passing) else {
            return;
        };
        for target in BREAKS.into_iter().flat_map(targets) {
            check_uninjected(&format!("{passing:?} {target}"), &nginx.get(&target));
        }
    }
}
