//! Clients that send or read a byte now and then: each is closed at its deadline, hundreds at once, and nobody waits
//! for them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::server::{Server, n_files, poll};

/// How many at once.
const N_CLIENTS: usize = 300;
const DEADLINES: &str =
    "http: {head-timeout: 2, idle-timeout: 2, write-timeout: 2, min-write-rate: 100000, read-timeout: 2}\n";
/// When the last of them must be closed, on a machine that has much else to do.
const END: Duration = Duration::from_secs(20);

/// Opens the connections, has each go on with `step` ten times a second until the server closes it, and gives what each
/// was told. Meanwhile others are served.
fn outlast(server: &Server, greeting: &str, step: impl Fn(&TcpStream)) -> Vec<Vec<u8>> {
    let start = Instant::now();
    let connect = || {
        let mut stream = server.connect();
        stream.write_all(greeting.as_bytes()).unwrap();
        stream.set_nonblocking(true).unwrap();
        (stream, Vec::new(), true)
    };
    let mut clients: Vec<_> = (0..N_CLIENTS).map(|_| connect()).collect();
    while clients.iter().any(|(_, _, is_open)| *is_open) {
        assert!(start.elapsed() < END, "{} are still open", clients.iter().filter(|client| client.2).count());
        assert_eq!(server.get("/image/w_20/photo.png").status, 200);
        for (stream, told, is_open) in clients.iter_mut().filter(|client| client.2) {
            step(stream);
            *is_open = read_some(stream, told);
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
    clients.into_iter().map(|(_, told, _)| told).collect()
}

/// Takes what is there, a thousand bytes at most; false at the end.
fn read_some(mut stream: &TcpStream, told: &mut Vec<u8>) -> bool {
    let mut room = [0; 1000];
    match stream.read(&mut room) {
        Ok(0) => false,
        Ok(n_read) => {
            told.extend_from_slice(&room[..n_read]);
            true
        }
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}

#[test]
fn a_head_that_trickles_is_given_up() {
    let server = Server::start(DEADLINES);
    let told = outlast(&server, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", |mut stream| {
        // Fails once the server has closed.
        let _ = stream.write(b"x");
    });
    assert!(told.iter().all(|told| told.is_empty() || told.starts_with(b"HTTP/1.1 408 ")));
    assert!(told.iter().filter(|told| !told.is_empty()).count() > N_CLIENTS / 2);
}

#[test]
fn a_body_that_trickles_is_given_up() {
    let server = Server::start(DEADLINES);
    // Nobody wants it: small enough to be skipped, large enough to never come.
    let told = outlast(&server, "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n", |mut stream| {
        let _ = stream.write(b"x");
    });
    assert!(told.iter().all(|told| told.starts_with(b"HTTP/1.1 400 ")));
    // It is wanted.
    let head = "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n";
    let told = outlast(&server, head, |mut stream| {
        let _ = stream.write(b"x");
    });
    assert!(told.iter().all(|told| told.starts_with(b"HTTP/1.1 408 ")));
    assert_eq!(std::fs::read_dir(server.images()).unwrap().count(), 2, "nothing is left of them");
}

#[test]
fn a_body_that_stalls_after_its_refusal_is_given_up() {
    let server = Server::start(DEADLINES);
    let told = outlast(&server, "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n\r\nabc", |_| {});
    assert!(told.iter().all(|told| told.starts_with(b"HTTP/1.1 413 ")));
}

#[test]
fn an_answer_that_is_read_too_slowly_is_given_up() {
    let server = Server::start(&format!("allow-originals: Yes\n{DEADLINES}"));
    let mut large = crate::pictures::png(8, 8);
    large.resize(8 << 20, 0);
    std::fs::write(server.images().join("large.png"), &large).unwrap();
    let before = n_files(&server);
    let ask = || {
        let mut stream = server.connect();
        stream.write_all(b"GET /image/_/large.png HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        stream
    };
    let mut streams: Vec<_> = (0..N_CLIENTS).map(|_| ask()).collect();
    // What the kernel has taken is the clients' to read, whenever they like; what counts is that the server is rid of
    // them.
    let is_rid = || {
        for stream in &mut streams {
            stream.read_exact(&mut [0; 100]).unwrap();
        }
        (n_files(&server) <= before + 8).then_some(())
    };
    assert!(poll(Instant::now() + END, is_rid).is_some(), "{} files, before {before}", n_files(&server));
    for mut stream in streams {
        let mut n_bytes = 0;
        let mut room = vec![0; 1 << 16];
        while let Ok(n_read @ 1..) = stream.read(&mut room) {
            n_bytes += n_read;
        }
        assert!(n_bytes < large.len(), "{n_bytes} bytes came");
    }
}
