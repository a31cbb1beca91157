//! Crowds: thousands of clients that idle, dawdle or stall at once, and honest ones between them.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

use crate::client::Client;
use crate::server::{Server, n_files, poll};

const PATIENCE: Duration = Duration::from_secs(30);
/// How long the siege goes on.
const SIEGE: Duration = Duration::from_secs(6);
/// Far above what is measured (a few milliseconds), far below any time-out that a crowd could hide behind.
const HONEST_LATENCY: Duration = Duration::from_secs(1);

/// Files that this process, and so a server that it starts, may open.
fn raise_files() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    limit.current.unwrap_or(u64::MAX)
}

fn n_threads(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap().count()
}

#[test]
fn a_burst_of_connections_is_answered_whole() {
    let n_files = raise_files();
    let server = Server::start("");
    for wanted in [64, 1000] {
        let n = wanted.min(n_files / 4);
        let mut clients: Vec<_> = (0..n).map(|_| Client::new(&server)).collect();
        for round in 0..2 {
            for client in &mut clients {
                client.send("/image/w_20/photo.jpg").unwrap();
            }
            for client in &mut clients {
                assert_eq!(client.receive().unwrap().unwrap().status, 200, "round {round} of {n}");
            }
        }
        assert!(clients.iter_mut().all(|client| client.get("/health").status == 200));
    }
}

/// Connections of one kind, opened in one go.
fn crowd(server: &Server, n: usize, greeting: &str) -> Vec<TcpStream> {
    (0..n)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(greeting.as_bytes()).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect()
}

#[test]
fn a_siege_does_not_shut_honest_clients_out() {
    // The crowd needs as many files in this process as in the server.
    let scale = usize::try_from(raise_files() / 2000).unwrap_or(10).clamp(1, 10);
    let server = Server::start("allow-originals: Yes\n");
    std::fs::write(server.images().join("large.png"), large_png()).unwrap();
    for target in ["/image/w_20/photo.jpg", "/image/_/large.png"] {
        assert_eq!(server.get(target).status, 200);
    }
    let (files_before, kb_before) = (n_files(&server), server.resident_kb());
    let idle = crowd(&server, 500 * scale, "");
    let heads = crowd(&server, 50 * scale, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    let readers = crowd(&server, 20 * scale, "GET /image/_/large.png HTTP/1.1\r\nHost: x\r\n\r\n");
    let refused = format!("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n{}", "x".repeat(1000));
    let refused = crowd(&server, 10 * scale, &refused);
    let stalled = format!(
        "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 5000000\r\n\r\n\
         --b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n{}",
        "x".repeat(1000)
    );
    let stalled = crowd(&server, 20 * scale, &stalled);

    let is_over = AtomicBool::new(false);
    let mut latencies = std::thread::scope(|scope| {
        scope.spawn(|| dawdle(&heads, &readers, &is_over));
        let measured = scope.spawn(|| be_honest(&server));
        let latencies = measured.join();
        is_over.store(true, Ordering::SeqCst);
        latencies.unwrap()
    });
    latencies.sort_unstable();
    let p99 = latencies[latencies.len() * 99 / 100];
    let (threads, kb) = (n_threads(&server), server.resident_kb());
    let n_cores = std::thread::available_parallelism().unwrap().get();
    eprintln!(
        "siege of {} connections: {} honest requests, p50 {:?}, p99 {p99:?}, {threads} threads, {} KB more",
        600 * scale,
        latencies.len(),
        latencies[latencies.len() / 2],
        kb.saturating_sub(kb_before)
    );
    assert!(p99 <= HONEST_LATENCY, "{p99:?}");
    assert!(threads <= 4 * n_cores + 8, "{threads} threads");
    assert!(kb <= kb_before + 80_000, "{kb_before} KB before, {kb} KB");
    check_told(refused, b"HTTP/1.1 413 ");
    check_told(stalled, b"HTTP/1.1 408 ");
    drop((idle, heads, readers));
    let is_freed = || (n_files(&server) <= files_before + 8).then_some(());
    assert!(poll(Instant::now() + PATIENCE, is_freed).is_some(), "{} files, before {files_before}", n_files(&server));
    assert_eq!(server.get("/image/w_20/photo.jpg").status, 200);
}

/// A picture of 3 MB that nobody can compress.
fn large_png() -> Vec<u8> {
    let mut png = crate::pictures::png(8, 8);
    // What follows the end of a PNG belongs to nobody, and an original is served as it is stored.
    png.extend((0..3_000_000_u32).map(|number| u8::try_from(number.wrapping_mul(2_654_435_761) >> 24).unwrap()));
    png
}

/// A byte of a head now and then, a thousand bytes of an answer now and then.
fn dawdle(heads: &[TcpStream], readers: &[TcpStream], is_over: &AtomicBool) {
    let mut room = [0; 1000];
    while !is_over.load(Ordering::SeqCst) {
        for mut stream in heads {
            // Those that were too slow are closed by now.
            let _ = stream.write(b"x");
        }
        for mut stream in readers {
            let _ = stream.read(&mut room);
        }
        std::thread::park_timeout(Duration::from_secs(1));
    }
}

/// A new connection and one that lives, again and again.
fn be_honest(server: &Server) -> Vec<Duration> {
    let mut latencies = Vec::new();
    let mut living = Client::new(server);
    let end = Instant::now() + SIEGE;
    while Instant::now() < end {
        let start = Instant::now();
        assert_eq!(living.get("/image/w_20/photo.jpg").status, 200);
        latencies.push(start.elapsed());
        let start = Instant::now();
        assert_eq!(Client::new(server).get("/health").status, 200);
        latencies.push(start.elapsed());
        std::thread::park_timeout(Duration::from_millis(5));
    }
    latencies
}

/// All uploads were told why they end, and then closed.
fn check_told(uploads: Vec<TcpStream>, status: &[u8]) {
    for mut stream in uploads {
        stream.set_nonblocking(false).unwrap();
        let mut answer = Vec::new();
        let end = stream.read_to_end(&mut answer);
        assert!(answer.starts_with(status), "{end:?} {:?}", String::from_utf8_lossy(&answer));
    }
}

#[test]
fn few_files_are_enough_and_more_are_used_at_once() {
    raise_files();
    let server = Server::start("");
    assert_eq!(server.get("/image/w_20/photo.jpg").status, 200);
    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap());
    // The hard limit stays: only some may raise that again.
    let all = getrlimit(Resource::Nofile);
    let few = Rlimit { current: Some(256), maximum: all.maximum };
    if prlimit(pid, Resource::Nofile, few).is_err() {
        eprintln!("skipped: the limits of another process cannot be set here");
        return;
    }
    let held: Vec<TcpStream> = (0..400).map(|_| server.connect()).collect();
    for _ in 0..50 {
        assert_eq!(Client::new(&server).get("/image/w_20/photo.jpg").status, 200);
    }
    assert!(n_files(&server) <= 256);
    drop(held);
    prlimit(pid, Resource::Nofile, all).unwrap();
    // The server may still think that it has few for a moment.
    let all_live = || {
        let many: Vec<TcpStream> = (0..400).map(|_| server.connect()).collect();
        let is_open = |mut stream: &TcpStream| {
            stream.set_nonblocking(true).unwrap();
            matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
        };
        server.assert_alive("400 connections");
        many.iter().all(is_open).then_some(())
    };
    poll(Instant::now() + PATIENCE, all_live).unwrap();
}
