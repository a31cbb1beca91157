//! Requests and their answers: connections that live and end, bodies, HEAD, panics, unix sockets.

use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[test]
fn a_connection_serves_many_requests_in_order() {
    let server = Server::start(patient());
    let mut stream = BufReader::new(server.connect());
    for index in 0..3 {
        stream.get_mut().write_all(&get(&format!("/{index}"))).unwrap();
        let (head, body) = read_answer(&mut stream);
        assert!(!head.contains("connection:") && head.contains("\r\ndate: "), "{head}");
        assert_eq!(body, format!("GET /{index}"));
    }
    let pipelined: Vec<u8> = (0..200).flat_map(|index| get(&format!("/{index}"))).collect();
    stream.get_mut().write_all(&pipelined).unwrap();
    for index in 0..200 {
        assert_eq!(read_answer(&mut stream).1, format!("GET /{index}"));
    }
}

#[test]
fn versions_and_options_decide_over_the_connection() {
    let server = Server::start(patient());
    let check = |request: &str, closing: &str| {
        let answer = server.exchange(request.as_bytes());
        assert_eq!(status_of(&answer), 200, "{request:?}");
        assert!(answer.contains(closing) && answer.ends_with("GET /a"), "{answer}");
    };
    check("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "\r\nconnection: close\r\n");
    check("GET /a HTTP/1.0\r\n\r\n", "\r\nconnection: close\r\n");
    check("\r\nGET http://x/a HTTP/1.0\r\n\r\n", "\r\nconnection: close\r\n");
    let mut stream = BufReader::new(server.connect());
    for _ in 0..2 {
        stream.get_mut().write_all(b"GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").unwrap();
        assert!(read_answer(&mut stream).0.contains("\r\nconnection: keep-alive\r\n"));
    }
}

#[test]
fn head_is_get_without_the_body() {
    let server = Server::start(patient());
    let ask = |method: &str| {
        let request = format!("{method} /missing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = server.exchange(request.as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head: Vec<_> = head.lines().filter(|line| !line.starts_with("date")).map(str::to_owned).collect();
        (head, body.to_owned())
    };
    let ((get_head, get_body), (head, body)) = (ask("GET"), ask("HEAD"));
    assert_eq!((get_head, get_body.as_str(), body.as_str()), (head, "not found\n", ""));
}

#[test]
fn short_bodies_are_skipped_and_long_ones_end_the_connection() {
    let server = Server::start(patient());
    let mut stream = BufReader::new(server.connect());
    for body in ["12345".to_owned(), "x".repeat(60_000), "GET /no HTTP/1.1\r\n\r\n".to_owned()] {
        let head = format!("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.get_mut().write_all(head.as_bytes()).unwrap();
        let (head, answer) = read_answer(&mut stream);
        assert!(answer == "POST /a" && !head.contains("connection"), "answered before the body came");
        stream.get_mut().write_all(body.as_bytes()).unwrap();
        stream.get_mut().write_all(&get("/b")).unwrap();
        assert_eq!(read_answer(&mut stream).1, "GET /b");
    }
    let check = |fields: &str, body: &str| {
        let request = format!("POST /a HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n{body}");
        let answer = server.exchange(request.as_bytes());
        assert!(answer.contains("\r\nconnection: close\r\n") && answer.ends_with("POST /a"), "{answer}");
    };
    check("Content-Length: 200000", &"x".repeat(200_000));
    check("Content-Length: 200000", "");
    check("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n");
    check("Content-Length: 5\r\nExpect: 100-continue", "");
    check("Content-Length: 5\r\nConnection: close", "12345");
}

#[test]
fn panics_stay_within_their_request() {
    let server = Server::start(patient());
    let mut stream = BufReader::new(server.connect());
    for path in ["/panic", "/instant-panic"].repeat(5) {
        stream.get_mut().write_all(&get(path)).unwrap();
        let (head, body) = read_answer(&mut stream);
        assert_eq!((status_of(&head), body.as_str()), (500, "internal error\n"));
        stream.get_mut().write_all(&get("/next")).unwrap();
        assert_eq!(read_answer(&mut stream).1, "GET /next");
    }
}

#[test]
fn large_answers_arrive_whole() {
    let server = Server::start(patient());
    let answer = server.exchange(b"GET /large HTTP/1.0\r\n\r\n");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(body.as_bytes() == LARGE);
}

#[test]
fn unix_sockets_serve_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = Listener::bind(&format!("unix:{}", path.display())).unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    let handler = {
        let seen = Arc::clone(&seen);
        move |request: &Request| {
            seen.fetch_add(usize::from(request.peer.is_none()), Ordering::SeqCst);
            answer(request)
        }
    };
    let (stop, thread) = run(listener, patient(), 2, handler);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET /a HTTP/1.0\r\n\r\n").unwrap();
    assert!(read_to_end(stream).ends_with("GET /a"));
    stop.request();
    thread.join().unwrap().unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 1);
    assert!(!path.exists());
}
