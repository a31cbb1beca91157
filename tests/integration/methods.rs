//! Methods, versions and forms of the request line.

use crate::server::{Answer, Server};

const IMAGE: &str = "/image/w_10/photo.png";

#[test]
fn head_equals_get_without_the_body() {
    let server = Server::start("");
    for target in ["/", "/health", IMAGE, "/image/w_10/photo.jpg", "/nowhere", "/image/w_0/photo.png"] {
        let (get, head) = (server.get(target), server.request("HEAD", target, &[]));
        let told = |answer: &Answer| {
            let names = ["Content-Type", "Content-Length", "ETag", "Last-Modified", "Cache-Control"];
            (answer.status, names.map(|name| answer.header(name).map(str::to_string)))
        };
        assert_eq!(told(&head), told(&get), "{target}");
        assert!(head.body.is_empty() && !get.body.is_empty(), "{target}: {head:?}");
    }
}

#[test]
fn a_known_path_names_the_methods_it_takes() {
    let server = Server::start("");
    for target in ["/", "/health", IMAGE] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"] {
            let answer = server.request(method, target, &[]);
            let what = format!("{method} {target}: {answer:?}");
            assert_eq!(answer.status, 405, "{what}");
            let allowed = answer.header("Allow").unwrap_or_default();
            assert!(allowed.contains("GET") && allowed.contains("HEAD"), "{what}");
            answer.assert_reason(&what);
        }
    }
}

#[test]
fn methods_that_nobody_knows_are_refused() {
    let server = Server::start("");
    let long = "M".repeat(4096);
    for method in ["get", "Get", "CONNECT", "GETT", "FOO", "X-Y", long.as_str()] {
        let answer = server.request(method, IMAGE, &[]);
        assert!([400, 405, 414, 431, 501].contains(&answer.status), "{method}: {answer:?}");
    }
    server.assert_alive("unknown methods");
}

#[test]
fn a_path_that_nobody_knows_is_not_found() {
    let server = Server::start("");
    for target in
        ["/nowhere", "/image", "/image/", "/images/w_10/photo.png", "/Image/w_10/photo.png", "/health/x", "/a/b/c"]
    {
        for method in ["GET", "POST", "DELETE"] {
            let answer = server.request(method, target, &[]);
            assert!([404, 405].contains(&answer.status), "{method} {target}: {answer:?}");
            answer.assert_reason(target);
        }
        assert!([400, 404].contains(&server.get(target).status), "{target}");
    }
}

#[test]
fn old_and_absolute_requests_are_understood_or_refused() {
    let server = Server::start("");
    let cases: [(&str, &[u16]); 6] = [
        ("GET /health HTTP/1.0\r\n\r\n", &[200]),
        ("GET /health HTTP/1.0\r\nHost: test\r\n\r\n", &[200]),
        ("GET http://test/health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", &[200, 400]),
        ("GET health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", &[400, 404]),
        ("GET * HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", &[400, 404]),
        ("OPTIONS * HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", &[200, 204, 400, 404, 405]),
    ];
    for (request, allowed) in cases {
        let exchange = server.exchange(request.as_bytes());
        assert!(exchange.closed && exchange.answers.len() == 1, "{request:?}: {exchange:?}");
        assert!(allowed.contains(&exchange.answers[0].status), "{request:?}: {exchange:?}");
    }
}
