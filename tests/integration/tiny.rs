//! The loop of tiny_http serves the same: a look at each kind of answer.

use crate::server::{PATIENCE, Server, exchange};

fn server() -> Server {
    Server::start("http: {loop: tiny-http}\n")
}

#[test]
fn the_same_service_runs_on_it() {
    let mut server = server();
    let image = server.get("/image/w_20/photo.png");
    assert_eq!((image.status, image.header("Content-Type")), (200, Some("image/png")));
    assert!(image.body.starts_with(b"\x89PNG"));
    for _ in 0..64 {
        let again = server.get("/image/w_20/photo.png");
        assert!(again.status == 200 && again.body == image.body && again.header("X-Cache") == Some("hit"));
    }
    let known = server.request("GET", "/image/w_20/photo.png", &[("If-None-Match", image.header("ETag").unwrap())]);
    assert_eq!((known.status, known.body.len()), (304, 0));
    let head = server.request("HEAD", "/image/w_20/photo.png", &[]);
    assert_eq!((head.status, head.body.len(), head.header("Content-Length")), (200, 0, image.header("Content-Length")));
    let part = server.request("GET", "/image/w_20/photo.png", &[("Range", "bytes=1-3")]);
    assert_eq!((part.status, &part.body[..]), (206, &b"PNG"[..]));
    for (method, target, status) in [
        ("GET", "/health", 200),
        ("GET", "/ready", 200),
        ("GET", "/nowhere", 404),
        ("GET", "/image/w_0/photo.png", 400),
        ("GET", "/image/w_20/missing.png", 404),
        ("POST", "/image/w_20/photo.png", 405),
    ] {
        let answer = server.request(method, target, &[]);
        assert_eq!((answer.status, answer.header("X-Content-Type-Options")), (status, Some("nosniff")), "{target}");
    }
    let log = server.stop();
    assert!(log.contains("behind nginx only") && log.contains("stopped: 1 made"), "{log}");
}

#[test]
fn a_body_that_nobody_could_hold_does_not_end_it() {
    let server = server();
    for length in ["1000000000000", "18446744073709551615", "99999999999"] {
        let request = format!("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\nabc");
        let answers = exchange(server.address(), request.as_bytes(), PATIENCE / 20);
        assert!(answers.statuses().iter().all(|status| [400, 413].contains(status)), "{answers:?}");
        server.assert_alive(length);
    }
}
