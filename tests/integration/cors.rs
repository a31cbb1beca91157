//! Scripts of other web sites: those of listed origins may read answers and upload, others may not.

use crate::api_keys::Key;
use crate::pictures::png;
use crate::server::{Answer, Server};
use crate::upload_form::{form_of, media_type, post};

const SITE: &str = "https://example.com";
const OTHER: &str = "https://evil.example";
const IMAGE: &str = "/image/w_10/photo.png";
const LISTED: &str = "cors-allow-origins: [\"https://example.com\", \"http://localhost:8080\"]\n";

fn allowed(answer: &Answer) -> Vec<&str> {
    answer.all("Access-Control-Allow-Origin")
}

fn varies(answer: &Answer) -> bool {
    let fields = answer.all("Vary");
    fields.iter().flat_map(|field| field.split(',')).any(|name| name.trim().eq_ignore_ascii_case("origin"))
}

fn from(server: &Server, target: &str, origin: &str) -> Answer {
    server.request("GET", target, &[("Origin", origin)])
}

fn preflight(server: &Server, target: &str, origin: &str, method: &str, headers: &str) -> Answer {
    let fields =
        [("Origin", origin), ("Access-Control-Request-Method", method), ("Access-Control-Request-Headers", headers)];
    server.request("OPTIONS", target, &fields)
}

/// An upload by a script; a body that is no form is one, too.
fn upload_from(server: &Server, target: &str, origin: &str, body: &[u8]) -> Answer {
    let headers = format!("Connection: close\r\nOrigin: {origin}\r\n{}", media_type(crate::upload_form::BOUNDARY));
    server.exchange(&post(target, &headers, body)).answers.remove(0)
}

fn lists(answer: &Answer, field: &str, name: &str) -> bool {
    answer.all(field).iter().flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(name))
}

#[test]
fn without_a_list_nothing_is_said_and_nothing_asked() {
    let server = Server::start("");
    let answers = [
        from(&server, IMAGE, SITE),
        from(&server, "/", SITE),
        from(&server, "/nowhere", SITE),
        upload_from(&server, "/upload", SITE, &form_of(&png(9, 9))),
        preflight(&server, "/upload", SITE, "POST", "content-type"),
        preflight(&server, IMAGE, SITE, "GET", "x"),
    ];
    for answer in &answers {
        assert!(
            !answer.headers.iter().any(|(name, _)| name.to_lowercase().starts_with("access-control")),
            "{answer:?}"
        );
    }
    assert_eq!(answers.map(|answer| answer.status), [200, 200, 404, 200, 405, 405]);
}

#[test]
fn a_listed_origin_is_named_and_no_other() {
    let server = Server::start(LISTED);
    for origin in [SITE, "http://localhost:8080"] {
        for _ in 0..2 {
            let answer = from(&server, IMAGE, origin);
            assert_eq!((answer.status, allowed(&answer)), (200, vec![origin]), "{answer:?}");
            assert!(varies(&answer), "{answer:?}");
            assert!(answer.header("Access-Control-Allow-Credentials").is_none(), "{answer:?}");
        }
    }
    for origin in [
        OTHER,
        "null",
        "http://example.com",
        "https://example.com:8443",
        "https://example.com.evil.example",
        "https://sub.example.com",
        "https://evil-example.com",
        "https://example.com/",
        "https://example.comhttps://example.com",
        "https://example.com, https://evil.example",
        "https://example.com https://evil.example",
        "*",
        "",
    ] {
        let answer = from(&server, IMAGE, origin);
        assert_eq!((answer.status, allowed(&answer)), (200, vec![]), "{origin}: {answer:?}");
        assert!(varies(&answer), "a cache would give it to listed ones: {answer:?}");
    }
    let answer = server.get(IMAGE);
    assert!(allowed(&answer).is_empty() && varies(&answer), "without an origin: {answer:?}");
}

#[test]
fn a_star_is_everybody() {
    let server = Server::start("cors-allow-origins: [\"*\"]\n");
    for origin in [SITE, OTHER, "null"] {
        let answer = from(&server, IMAGE, origin);
        assert_eq!((answer.status, allowed(&answer)), (200, vec!["*"]), "{answer:?}");
        assert!(answer.header("Access-Control-Allow-Credentials").is_none(), "{answer:?}");
        let answer = preflight(&server, "/upload", origin, "POST", "content-type");
        assert_eq!((answer.status, allowed(&answer)), (204, vec!["*"]), "{answer:?}");
    }
    // What a cache keeps of one who has no origin is good for others.
    assert_eq!(allowed(&server.get(IMAGE)), ["*"]);
}

#[test]
fn a_browser_that_asks_before_it_uploads_is_told_how() {
    let server = Server::start(LISTED);
    let key = Key::add(&server);
    for target in ["/upload", &key.upload_target()] {
        let answer = preflight(&server, target, SITE, "POST", "content-type, x-requested-with");
        assert_eq!((answer.status, allowed(&answer)), (204, vec![SITE]), "{answer:?}");
        assert!(lists(&answer, "Access-Control-Allow-Methods", "POST"), "{answer:?}");
        for name in ["content-type", "x-requested-with"] {
            assert!(lists(&answer, "Access-Control-Allow-Headers", name), "{answer:?}");
        }
        assert!(answer.body.is_empty() && varies(&answer), "{answer:?}");
        let answer = preflight(&server, target, OTHER, "POST", "content-type");
        assert!(allowed(&answer).is_empty() && answer.status != 204, "{answer:?}");
        assert!(answer.header("Access-Control-Allow-Methods").is_none(), "{answer:?}");
    }
    let answer = preflight(&server, IMAGE, SITE, "GET", "if-none-match");
    assert_eq!((answer.status, allowed(&answer)), (204, vec![SITE]), "{answer:?}");
    assert!(lists(&answer, "Access-Control-Allow-Methods", "GET"), "{answer:?}");
    // OPTIONS without that question is a method like others.
    let answer = server.request("OPTIONS", IMAGE, &[("Origin", SITE)]);
    assert_eq!((answer.status, allowed(&answer)), (405, vec![SITE]), "{answer:?}");
    assert_eq!(preflight(&server, "/nowhere", SITE, "GET", "x").status, 404);
}

#[test]
fn errors_and_answers_without_a_body_may_be_read_too() {
    let server = Server::start(&format!("{LISTED}authorisation: {{upload: Yes}}\nupload-max-file-size: 1000\n"));
    let key = Key::add(&server);
    let tag = from(&server, IMAGE, SITE).header("ETag").unwrap().to_owned();
    let target = key.upload_target();
    let answers = [
        (404, from(&server, "/nowhere", SITE)),
        (404, from(&server, "/image/w_10/missing.png", SITE)),
        (400, from(&server, "/image/w_0/photo.png", SITE)),
        (401, from(&server, "/nobody/image/w_10/photo.png", SITE)),
        (405, server.request("DELETE", IMAGE, &[("Origin", SITE)])),
        (405, from(&server, "/upload", SITE)),
        (304, server.request("GET", IMAGE, &[("Origin", SITE), ("If-None-Match", &tag)])),
        (206, server.request("GET", IMAGE, &[("Origin", SITE), ("Range", "bytes=0-9")])),
        (200, from(&server, "/health", SITE)),
        (401, upload_from(&server, "/upload", SITE, &form_of(&png(9, 9)))),
        (400, upload_from(&server, &target, SITE, &form_of(&png(9, 9)))),
        (400, upload_from(&server, &target, SITE, b"no form")),
        (413, upload_from(&server, &target, SITE, &form_of(&[0; 2000]))),
        (413, upload_from(&server, &target, SITE, &form_of(&[0; 200_000]))),
    ];
    for (status, answer) in answers {
        assert_eq!((answer.status, allowed(&answer)), (status, vec![SITE]), "{answer:?}");
        assert!(varies(&answer), "{answer:?}");
    }
}

#[test]
fn a_throttled_script_may_read_when_to_come_again() {
    let server = Server::start(&format!("throttling-rate: 1\n{LISTED}"));
    let mut last = from(&server, IMAGE, SITE);
    for _ in 0..3 {
        last = from(&server, IMAGE, SITE);
    }
    assert_eq!((last.status, allowed(&last)), (429, vec![SITE]), "{last:?}");
    assert!(lists(&last, "Access-Control-Expose-Headers", "Retry-After"), "{last:?}");
    assert_eq!(preflight(&server, "/upload", SITE, "POST", "content-type").status, 204, "questions do not count");
}

#[test]
fn an_origin_cannot_add_headers() {
    for list in [LISTED, "cors-allow-origins: [\"*\"]\n"] {
        let server = Server::start(list);
        for origin in [
            "https://example.com\rX-Evil: 1",
            "https://example.com\nX-Evil: 1",
            "https://example.com\0X-Evil: 1",
            "https://example.com%0d%0aX-Evil: 1",
            "https://example.com\u{2028}X-Evil: 1",
            "https://example.com\tX-Evil: 1",
        ] {
            for (method, question) in [("GET", ""), ("OPTIONS", "Access-Control-Request-Method: GET\r\n")] {
                let head = format!("{method} {IMAGE} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
                let exchange = server.exchange(format!("{head}{question}Origin: {origin}\r\n\r\n").as_bytes());
                for answer in exchange.answers {
                    assert!(answer.header("X-Evil").is_none(), "{origin:?}: {answer:?}");
                    let named = allowed(&answer);
                    assert!(named.is_empty() || named == ["*"], "{origin:?}: {answer:?}");
                }
            }
        }
        let answer = preflight(&server, "/upload", SITE, "POST", "x-a, <script>, x\u{7f}");
        assert!(!answer.all("Access-Control-Allow-Headers").join("").contains(['<', '\u{7f}']), "{answer:?}");
    }
}

#[test]
fn two_origins_are_none() {
    let server = Server::start(LISTED);
    let answer = server.request("GET", IMAGE, &[("Origin", OTHER), ("Origin", SITE)]);
    assert!([200, 400].contains(&answer.status) && !allowed(&answer).contains(&OTHER), "{answer:?}");
}
