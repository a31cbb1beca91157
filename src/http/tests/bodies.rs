//! Request bodies that somebody wants.

use std::io::BufReader;
use std::time::Instant;

use super::*;

fn post(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("POST /body HTTP/1.1\r\nHost: x\r\n{head}\r\n").as_bytes(), body].concat()
}

fn sum(body: &[u8]) -> String {
    format!("{} {}", body.len(), body.iter().map(|byte| u64::from(*byte)).sum::<u64>())
}

fn chunked(body: &[u8], n_bytes: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for chunk in body.chunks(n_bytes) {
        text.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        text.extend_from_slice(chunk);
        text.extend_from_slice(b"\r\n");
    }
    [&text[..], b"0\r\n\r\n"].concat()
}

fn length(body: &[u8]) -> String {
    format!("Content-Length: {}\r\n", body.len())
}

#[test]
fn bodies_come_whole_however_they_are_sent() {
    let server = Server::start(patient());
    let body: Vec<u8> = (0..700_001_u32).map(|number| (number % 251) as u8).collect();
    let mut stream = BufReader::new(server.connect());
    for request in [
        post(&length(&body), &body),
        post(&length(b"a"), b"a"),
        post("Transfer-Encoding: chunked\r\n", &chunked(&body, 99_999)),
        post("Transfer-Encoding: chunked\r\n", &chunked(&body[..5000], 1)),
        post("Transfer-Encoding: chunked\r\n", &chunked(b"", 1)),
        post("", b""),
    ] {
        stream.get_mut().write_all(&request).unwrap();
    }
    // What follows a body is the next request.
    for expected in [sum(&body), sum(b"a"), sum(&body), sum(&body[..5000]), sum(b""), sum(b"")] {
        assert_eq!(read_answer(&mut stream).1, expected);
    }
}

#[test]
fn a_body_that_waits_is_asked_for() {
    let server = Server::start(patient());
    let mut stream = BufReader::new(server.connect());
    stream.get_mut().write_all(&post("Expect: 100-continue\r\nContent-Length: 3\r\n", b"")).unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    stream.read_line(&mut line).unwrap();
    stream.get_mut().write_all(b"abc").unwrap();
    let (head, body) = read_answer(&mut stream);
    assert_eq!(body, sum(b"abc"));
    assert!(!head.contains("connection: close"), "{head}");
    // Who has sent it already is not told to.
    stream.get_mut().write_all(&post("Expect: 100-continue\r\nContent-Length: 3\r\n", b"abc")).unwrap();
    assert_eq!(read_answer(&mut stream).1, sum(b"abc"));
}

#[test]
fn bodies_end_early_where_nobody_wants_more() {
    let server = Server::start(Limits { max_body_bytes: 200_000, ..patient() });
    let large = vec![b'x'; 200_001];
    let check = |request: &[u8], status: u16, text: &str| {
        let answer = server.exchange(request);
        assert!(status_of(&answer) == status && answer.ends_with(text), "{answer}");
    };
    check(&post(&length(&large), b""), 413, "request body too large\n");
    check(
        &post("Transfer-Encoding: chunked\r\nConnection: close\r\n", &chunked(&large, 9000)),
        413,
        "request body too large\n",
    );
    check(&post("Transfer-Encoding: chunked\r\n", b"1\r\nabc"), 400, "bad chunk in the request body\n");
    check(&post("Content-Length: 9\r\nConnection: close\r\n", b"!23456789"), 400, "no more");
    check(&post("Content-Length: 9\r\nConnection: close\r\n", b"?23456789"), 500, "internal error\n");
}

#[test]
fn a_client_that_sends_all_first_reads_the_refusal() {
    let server = Server::start(Limits { max_body_bytes: 1000, ..patient() });
    let large = vec![b'x'; 20 << 20];
    for request in [post(&length(&large), &large), post("Transfer-Encoding: chunked\r\n", &chunked(&large, 1 << 20))] {
        let mut stream = server.connect();
        stream.write_all(&request).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = read_to_end(stream);
        assert_eq!(status_of(&answer), 413, "{answer}");
    }
}

#[test]
fn a_client_that_leaves_or_stalls_is_let_go() {
    let server = Server::start(Limits { read_timeout: Duration::from_millis(50), ..patient() });
    let answer = server.exchange(&post("Content-Length: 9\r\n", b"123"));
    assert!(status_of(&answer) == 408 && answer.ends_with("request body not received in time\n"), "{answer}");
    drop(server);
    let server = Server::start(patient());
    let mut gone = server.connect();
    gone.write_all(&post("Content-Length: 9\r\n", b"123")).unwrap();
    drop(gone);
    assert!(server.exchange(b"GET /health HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 200"), "others are served");
}

#[test]
fn framing_is_no_progress_and_time_has_an_end() {
    let server = Server::start(Limits { read_timeout: Duration::from_millis(200), ..patient() });
    let chunk = format!("1;{}\r\n-\r\n", "x".repeat(2000));
    let answer = server.exchange(&post("Transfer-Encoding: chunked\r\n", chunk.repeat(10).as_bytes()));
    assert_eq!(status_of(&answer), 408, "{answer}");
    let server = Server::start(Limits { body_timeout: Duration::from_millis(50), ..patient() });
    let answer = server.exchange(&post("Content-Length: 200000\r\n", &[b'x'; 100_000]));
    assert_eq!(status_of(&answer), 408, "{answer}");
}

#[test]
fn so_many_bodies_at_once_and_no_more() {
    let server = Server::start(Limits { max_uploads: 1, ..patient() });
    let mut first = BufReader::new(server.connect());
    first.get_mut().write_all(&post("Expect: 100-continue\r\nContent-Length: 3\r\n", b"")).unwrap();
    let mut line = String::new();
    first.read_line(&mut line).unwrap();
    first.read_line(&mut line).unwrap();
    let refused = server.exchange(&post("Content-Length: 3\r\nConnection: close\r\n", b"abc"));
    assert!(status_of(&refused) == 503 && refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    first.get_mut().write_all(b"abc").unwrap();
    assert_eq!(read_answer(&mut first).1, sum(b"abc"));
    let deadline = Instant::now() + PATIENCE;
    while status_of(&server.exchange(&post("Content-Length: 3\r\nConnection: close\r\n", b"abc"))) != 200 {
        assert!(Instant::now() < deadline, "the place is free again");
    }
}
