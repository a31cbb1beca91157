//! A siege: thousands of clients that idle, dawdle or stall at once, each of them back as soon as it is closed, and
//! honest ones between them.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::histogram::Histogram;
use super::trend::Trend;
use super::{Length, assert_ends_well, report};
use crate::client::{Client, Until};
use crate::server::{Server, n_files, poll};
use crate::siege::raise_files;

const PATIENCE: Duration = Duration::from_secs(30);
/// Far above what is measured (a few milliseconds), far below any time-out that a crowd could hide behind.
const HONEST_LATENCY: Duration = Duration::from_secs(1);
/// What a crowd may cost in memory.
const ALLOWED_KB: u64 = 80_000;

/// What those of a crowd do once they have said their greeting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Habit {
    Wait,
    /// A byte now and then.
    Send,
    /// A thousand bytes now and then.
    Read,
}

/// Connections of one kind.
struct Crowd {
    greeting: String,
    habit: Habit,
    /// What all are told before they are closed; `None` if they need not be told anything.
    farewell: Option<&'static str>,
    members: Vec<Member>,
    n_closed: usize,
}

struct Member {
    stream: TcpStream,
    /// What it was told, as far as it counts.
    told: Vec<u8>,
}

impl Member {
    fn new(server: &Server, greeting: &str) -> Self {
        let mut stream = server.connect();
        stream.write_all(greeting.as_bytes()).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self { stream, told: Vec::new() }
    }

    /// Does what it does; false once it is closed.
    fn go_on(&mut self, habit: Habit) -> bool {
        if habit == Habit::Send {
            // Fails once the server has closed, which reading finds out.
            let _ = self.stream.write(b"x");
        }
        let mut room = [0; 1000];
        match self.stream.read(&mut room) {
            Ok(0) => false,
            Ok(n_read) => {
                self.told.extend(&room[..n_read.min(100 - self.told.len().min(100))]);
                true
            }
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }
}

impl Crowd {
    fn new(server: &Server, n: usize, greeting: &str, habit: Habit, farewell: Option<&'static str>) -> Self {
        let members = (0..n).map(|_| Member::new(server, greeting)).collect();
        Self { greeting: greeting.to_owned(), habit, farewell, members, n_closed: 0 }
    }

    /// A round: all do what they do, and those who were closed come back.
    fn go_on(&mut self, server: &Server) {
        for member in &mut self.members {
            if !member.go_on(self.habit) {
                check_farewell(self.farewell, &member.told);
                *member = Member::new(server, &self.greeting);
                self.n_closed += 1;
            }
        }
    }

    /// Waits until those are closed who have to be told why.
    fn leave(self) {
        for member in self.members {
            if self.farewell.is_some() {
                let Member { mut stream, mut told } = member;
                stream.set_nonblocking(false).unwrap();
                let end = stream.read_to_end(&mut told);
                assert!(end.is_ok() || !told.is_empty(), "{end:?}");
                check_farewell(self.farewell, &told);
            }
        }
    }
}

fn check_farewell(farewell: Option<&str>, told: &[u8]) {
    let told = String::from_utf8_lossy(told);
    assert!(farewell.is_none_or(|farewell| told.starts_with(farewell)), "wanted {farewell:?}, told {told:?}");
}

/// All that come, by tenths of 600.
fn crowds(server: &Server, scale: usize) -> Vec<Crowd> {
    let refused = format!("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n{}", "x".repeat(1000));
    let begun = format!(
        "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 5000000\r\n\r\n\
         --b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n{}",
        "x".repeat(1000)
    );
    let crowd = |n, greeting: &str, habit, farewell| Crowd::new(server, n * scale, greeting, habit, farewell);
    vec![
        crowd(500, "", Habit::Wait, None),
        crowd(50, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", Habit::Send, None),
        crowd(20, "GET /image/_/large.png HTTP/1.1\r\nHost: x\r\n\r\n", Habit::Read, None),
        crowd(10, &refused, Habit::Wait, Some("HTTP/1.1 413 ")),
        crowd(10, &begun, Habit::Wait, Some("HTTP/1.1 408 ")),
        crowd(10, &begun, Habit::Send, Some("HTTP/1.1 408 ")),
    ]
}

#[test]
fn a_siege_does_not_shut_honest_clients_out() {
    // The crowd needs as many files in this process as in the server.
    let scale = usize::try_from(raise_files() / 2000).unwrap_or(10).clamp(1, 10);
    let length = Length::of(Duration::from_secs(6));
    let server = Server::start("allow-originals: Yes\nhttp: {access-log: No}\n");
    std::fs::write(server.images().join("large.png"), large_png()).unwrap();
    for target in ["/image/w_20/photo.jpg", "/image/_/large.png"] {
        assert_eq!(server.get(target).status, 200);
    }
    let (files_before, kb_before) = (n_files(&server), server.resident_kb());
    let mut crowds = crowds(&server, scale);
    let is_over = AtomicBool::new(false);
    let (honest, trend, n_threads) = thread::scope(|scope| {
        scope.spawn(|| besiege(&server, &mut crowds, &is_over));
        let trend = scope.spawn(|| Trend::watch(&server, &is_over));
        let until = Until(&is_over);
        let honest = be_honest(&server, length.time);
        let n_threads = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap().count();
        drop(until);
        (honest, trend.join().unwrap(), n_threads)
    });
    let n_cores = thread::available_parallelism().unwrap().get();
    report(
        "idle",
        format_args!(
            "siege of {} connections for {:?}, {} of them closed and back: honest {honest}, {n_threads} threads, {trend}",
            600 * scale,
            length.time,
            crowds.iter().map(|crowd| crowd.n_closed).sum::<usize>(),
        ),
    );
    assert!(honest.p99() <= HONEST_LATENCY, "{honest}");
    assert!(n_threads <= 4 * n_cores + 8, "{n_threads} threads");
    assert!(trend.peak_kb() <= kb_before + ALLOWED_KB, "{kb_before} KB before, {} KB", trend.peak_kb());
    crowds.into_iter().for_each(Crowd::leave);
    let is_freed = || (n_files(&server) <= files_before + 8).then_some(());
    assert!(poll(Instant::now() + PATIENCE, is_freed).is_some(), "{} files, before {files_before}", n_files(&server));
    assert_eq!(server.get("/image/w_20/photo.jpg").status, 200);
    assert_ends_well(server);
}

/// A picture of 3 MB that nobody can compress.
fn large_png() -> Vec<u8> {
    let mut png = crate::pictures::png(8, 8);
    // What follows the end of a PNG belongs to nobody, and an original is served as it is stored.
    png.extend((0..3_000_000_u32).map(|number| u8::try_from(number.wrapping_mul(2_654_435_761) >> 24).unwrap()));
    png
}

fn besiege(server: &Server, crowds: &mut [Crowd], is_over: &AtomicBool) {
    while !is_over.load(Ordering::SeqCst) {
        for crowd in &mut *crowds {
            crowd.go_on(server);
        }
        thread::park_timeout(Duration::from_secs(1));
    }
}

/// A new connection and one that lives, again and again.
fn be_honest(server: &Server, time: Duration) -> Histogram {
    let mut latencies = Histogram::default();
    let mut living = Client::new(server);
    let end = Instant::now() + time;
    while Instant::now() < end {
        let start = Instant::now();
        assert_eq!(living.get("/image/w_20/photo.jpg").status, 200);
        latencies.add(start.elapsed());
        let start = Instant::now();
        assert_eq!(Client::new(server).get("/health").status, 200);
        latencies.add(start.elapsed());
        thread::park_timeout(Duration::from_millis(5));
    }
    latencies
}
