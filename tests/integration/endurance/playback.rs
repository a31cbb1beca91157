//! Many connections served by one thread, so that whoever measures takes little of the processor: requests come at a
//! fixed rate, whether or not earlier ones have been answered, or as fast as the answers to earlier ones do.

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use super::histogram::Histogram;
use crate::server::Server;

/// How long the last answers may take once no more is asked.
const LAST_ANSWERS: Duration = Duration::from_secs(30);
/// Heads of answers are far smaller.
const MAX_HEAD: usize = 16 << 10;

/// When the next request is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// When the connection has its answer.
    Closed,
    /// So many a second; one that finds no connection waits, and that counts.
    Open(f64),
}

/// A request, and what its answers are counted with.
pub(super) struct Ask {
    pub(super) class: usize,
    pub(super) target: String,
}

/// What became of the requests of one class.
#[derive(Clone, Default)]
pub(super) struct Told {
    pub(super) good: Histogram,
    /// 503, and those of them that say when to come back.
    pub(super) busy: Histogram,
    pub(super) n_retry_after: u64,
    /// Any other status.
    pub(super) others: BTreeMap<u16, u64>,
    /// No whole answer.
    pub(super) n_cut: u64,
    /// Good ones within the time that requests were sent in, after its first fifth.
    n_good_in_time: u64,
}

impl Told {
    pub(super) fn n_errors(&self) -> u64 {
        self.n_cut + self.others.values().sum::<u64>()
    }
}

/// A run: `N` classes of requests over some connections.
pub(super) struct Playback<'a> {
    server: &'a Server,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    idle: VecDeque<usize>,
    room: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    asked: Option<(usize, Instant)>,
    head: Vec<u8>,
    /// The status, and what is still to come of the body, once the head is whole.
    body: Option<(Head, usize)>,
}

#[derive(Clone, Copy)]
struct Head {
    status: u16,
    has_retry_after: bool,
    closes: bool,
}

/// What a run has to say.
pub(super) struct Outcome {
    pub(super) told: Vec<Told>,
    time: Duration,
    /// How late the client itself was, at worst, with a request that had a connection.
    pub(super) lag: Histogram,
}

impl Outcome {
    /// Good answers a second, without the first fifth of the time.
    pub(super) fn rate(&self) -> f64 {
        let n: u64 = self.told.iter().map(|told| told.n_good_in_time).sum();
        n as f64 / (self.time.as_secs_f64() * 0.8)
    }
}

impl<'a> Playback<'a> {
    pub(super) fn new(server: &'a Server, n_connections: usize) -> Self {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let mut this =
            Self { server, epoll, connections: Vec::new(), idle: (0..n_connections).collect(), room: vec![0; 1 << 16] };
        for number in 0..n_connections {
            let connection = this.connect(number);
            this.connections.push(connection);
        }
        this
    }

    fn connect(&self, number: usize) -> Connection {
        let stream = self.server.connect();
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
        let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
        epoll::add(&self.epoll, &stream, epoll::EventData::new_u64(number as u64), flags).unwrap();
        Connection { stream, asked: None, head: Vec::new(), body: None }
    }

    /// Asks for some time, and waits for the last answers; `next` says what for.
    pub(super) fn run(
        &mut self,
        pace: Pace,
        time: Duration,
        n_classes: usize,
        mut next: impl FnMut() -> Ask,
    ) -> Outcome {
        let mut outcome = Outcome { told: vec![Told::default(); n_classes], time, lag: Histogram::default() };
        let start = Instant::now();
        let (end, mut n_sent) = (start + time, 0_u64);
        let due = |n_sent: u64| match pace {
            Pace::Closed => start,
            Pace::Open(per_second) => start + Duration::from_secs_f64(n_sent as f64 / per_second),
        };
        loop {
            let now = Instant::now();
            let is_over = now >= end;
            while !is_over && due(n_sent) <= now {
                let Some(number) = self.idle.pop_front() else { break };
                let since = if matches!(pace, Pace::Closed) { Instant::now() } else { due(n_sent) };
                outcome.lag.add(since.elapsed());
                n_sent += 1;
                self.ask(number, &next(), since, &mut outcome);
            }
            let n_waiting = self.connections.len() - self.idle.len();
            if is_over && (n_waiting == 0 || now >= end + LAST_ANSWERS) {
                break;
            }
            let until = if is_over {
                end + LAST_ANSWERS
            } else if self.idle.is_empty() {
                end
            } else {
                due(n_sent).min(end)
            };
            self.take_events(until, (start, end), &mut outcome);
        }
        self.give_up_the_rest(&mut outcome);
        outcome
    }

    fn ask(&mut self, number: usize, ask: &Ask, since: Instant, outcome: &mut Outcome) {
        let request = format!("GET {} HTTP/1.1\r\nHost: test\r\n\r\n", ask.target);
        let connection = &mut self.connections[number];
        connection.asked = Some((ask.class, since));
        if connection.stream.write_all(request.as_bytes()).is_err() {
            self.cut(number, outcome);
        }
    }

    fn take_events(&mut self, until: Instant, sending: (Instant, Instant), outcome: &mut Outcome) {
        let mut events = Vec::with_capacity(256);
        let timeout = Timespec::try_from(until.saturating_duration_since(Instant::now())).unwrap();
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("epoll: {error}"),
        }
        for event in &events {
            self.read(event.data.u64() as usize, sending, outcome);
        }
    }

    fn read(&mut self, number: usize, (start, end): (Instant, Instant), outcome: &mut Outcome) {
        let connection = &mut self.connections[number];
        let n_read = match connection.stream.read(&mut self.room) {
            Ok(0) => return self.cut(number, outcome),
            Ok(n_read) => n_read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
            Err(_) => return self.cut(number, outcome),
        };
        let Some(head) = connection.take(&self.room[..n_read]) else { return };
        let Some((class, since)) = connection.asked.take() else { panic!("an answer to nothing") };
        let (now, told) = (Instant::now(), &mut outcome.told[class]);
        let took = now.duration_since(since);
        match head.status {
            200 => {
                told.good.add(took);
                told.n_good_in_time += u64::from(now >= start + (end - start) / 5 && now < end);
            }
            503 => {
                told.busy.add(took);
                told.n_retry_after += u64::from(head.has_retry_after);
            }
            status => *told.others.entry(status).or_default() += 1,
        }
        if head.closes {
            self.connections[number] = self.connect(number);
        }
        self.idle.push_back(number);
    }

    /// The connection has ended: with a request, or while it waited for one, which it may.
    fn cut(&mut self, number: usize, outcome: &mut Outcome) {
        if let Some((class, _)) = self.connections[number].asked.take() {
            outcome.told[class].n_cut += 1;
            self.idle.push_back(number);
        }
        self.connections[number] = self.connect(number);
    }

    fn give_up_the_rest(&mut self, outcome: &mut Outcome) {
        for number in 0..self.connections.len() {
            if self.connections[number].asked.is_some() {
                self.cut(number, outcome);
            }
        }
    }
}

impl Connection {
    /// Takes what came; gives the head once the body is whole, too.
    fn take(&mut self, mut bytes: &[u8]) -> Option<Head> {
        if self.body.is_none() {
            let before = self.head.len();
            self.head.extend_from_slice(bytes);
            let end = self.head.windows(4).position(|four| four == b"\r\n\r\n");
            let Some(end) = end else {
                assert!(self.head.len() < MAX_HEAD, "an endless head");
                return None;
            };
            let text = std::str::from_utf8(&self.head[..end]).unwrap();
            let field = |name: &str| {
                let mut fields = text.lines().skip(1).filter_map(|line| line.split_once(": "));
                fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
            };
            let head = Head {
                status: text[9..12].parse().unwrap(),
                has_retry_after: field("Retry-After").is_some_and(|seconds| seconds.parse::<u32>().is_ok()),
                closes: field("Connection") == Some("close"),
            };
            let length = field("Content-Length").map_or(0, |length| length.parse().unwrap());
            bytes = &bytes[end + 4 - before..];
            self.body = Some((head, length));
            self.head.clear();
        }
        let (head, missing) = self.body.as_mut()?;
        assert!(bytes.len() <= *missing, "more than the answer came");
        *missing -= bytes.len();
        let head = *head;
        if *missing > 0 {
            return None;
        }
        self.body = None;
        Some(head)
    }
}

/// Asks the same again and again, so many times a second, over a connection and a thread of its own, until it is over.
pub(super) fn probe(
    server: &Server,
    target: &str,
    per_second: u32,
    is_over: &std::sync::atomic::AtomicBool,
) -> Histogram {
    let mut client = crate::client::Client::new(server);
    let mut times = Histogram::default();
    while !is_over.load(std::sync::atomic::Ordering::SeqCst) {
        let start = Instant::now();
        let answer = client.get(target);
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        let took = start.elapsed();
        times.add(took);
        std::thread::park_timeout((Duration::from_secs(1) / per_second).saturating_sub(took));
    }
    times
}
