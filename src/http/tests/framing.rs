//! Heads that are refused.

use super::*;

#[test]
fn bad_framing_is_refused_and_closed() {
    let server = Server::start(patient());
    let check = |fields: &str, expected: u16| {
        let request = format!("POST /a HTTP/1.1\r\n{fields}\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = server.exchange(request.as_bytes());
        assert_eq!(status_of(&answer), expected, "{fields:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{fields:?}");
        for field in ["connection: close", "cache-control: no-store", "x-content-type-options: nosniff"] {
            assert!(answer.contains(&format!("\r\n{field}\r\n")), "{answer}");
        }
        assert!(answer.contains("\r\ncontent-type: text/plain; charset=utf-8\r\n"));
        assert!(answer.contains("\r\ncontent-security-policy: default-src 'none'; sandbox\r\n"));
        assert!(!answer.contains("/a") && !answer.contains("server:"));
    };
    check("Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked", 400);
    check("Host: x\r\nContent-Length: 5\r\nContent-Length: 5", 400);
    for length in ["-1", "+3", "3,3", "x", "", "18446744073709551615", "18446744073709551616"] {
        check(&format!("Host: x\r\nContent-Length: {length}"), 400);
    }
    check("Host: x\r\nContent-Length: 1000000000000", 413);
    check("Host: x\r\nContent-Length: 9223372036854775807", 413);
    check("Host: x\r\nTransfer-Encoding: identity", 501);
    check("Host: x\r\nTransfer-Encoding: gzip, chunked", 501);
    check("Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400);
    check("Host: x\r\n folded: y", 400);
    check("Host : x", 400);
    check("Accept: x", 400);
    check("Host: x\r\nHost: x", 400);
    check("Host: x\r\nA: b\nC: d", 400);
}

#[test]
fn request_lines_and_sizes_are_held_to() {
    let server = Server::start(patient());
    let check = |start: &str, fields: &str, expected: u16| {
        let answer = server.exchange(format!("{start}\r\nHost: x\r\n{fields}\r\n").as_bytes());
        assert_eq!(status_of(&answer), expected, "{:.80} {:.80}: {answer}", start, fields);
    };
    check("GET /", "", 400);
    check("GET / HTTP/1.1 more", "", 400);
    check("GET / HTTP/2.0", "", 505);
    check("OPTIONS * HTTP/1.1", "", 400);
    check("CONNECT x:80 HTTP/1.1", "", 400);
    check("BREW /a HTTP/1.1", "Connection: close\r\n", 200);
    check(&format!("{} / HTTP/1.1", "M".repeat(4096)), "", 501);
    check(&format!("GET /{} HTTP/1.1", "a".repeat(1 << 16)), "", 414);
    check("GET / HTTP/1.1", &format!("A: {}\r\n", "a".repeat(1 << 20)), 431);
    check("GET / HTTP/1.1", &"a: b\r\n".repeat(64), 431);
    check("GET / HTTP/1.1", &("a: b\r\n".repeat(62) + "Connection: close\r\n"), 200);
    check("GET / HTTP/1.1", &"a: b\r\n".repeat(200_000), 431);
}
