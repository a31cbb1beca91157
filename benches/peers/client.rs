//! A blocking client that keeps its connections: each thread asks, waits for the whole answer, and asks again.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// What came of a slice of work.
pub(crate) struct Played {
    pub(crate) wall: Duration,
    /// Of each answer of 200, from the first byte sent to the last received.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) n_errors: usize,
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        Ok(Self(BufReader::new(stream)))
    }

    fn get(&mut self, target: &str) -> io::Result<Answer> {
        write!(self.0.get_mut(), "GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n")?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let status = line.split_ascii_whitespace().nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status: {line:?}")))?;
        let mut n_bytes = None;
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                n_bytes = value.trim().parse().ok();
            }
        }
        let n_bytes = n_bytes.ok_or_else(|| io::Error::other("an answer without a length"))?;
        let mut body = vec![0; n_bytes];
        self.0.read_exact(&mut body)?;
        Ok(Answer { status, body })
    }
}

/// One request on a connection of its own.
pub(crate) fn get(address: &str, target: &str) -> io::Result<Answer> {
    Connection::open(address)?.get(target)
}

/// Asks for all targets, in their order, over so many connections at once. `pin` is run in each thread first.
pub(crate) fn play(address: &str, targets: &[String], n_connections: usize, pin: impl Fn() + Sync) -> Played {
    let waiting = Mutex::new(targets.iter());
    let next = || waiting.lock().expect("no client panics with it").next();
    let client = || {
        pin();
        let mut played = Played { wall: Duration::ZERO, latencies: Vec::new(), n_errors: 0 };
        let mut connection = None;
        while let Some(target) = next() {
            let start = Instant::now();
            let answer = match connection.take().map_or_else(|| Connection::open(address), Ok) {
                Ok(mut open) => open.get(target).inspect(|_| connection = Some(open)),
                Err(error) => Err(error),
            };
            match answer {
                Ok(Answer { status: 200, .. }) => played.latencies.push(start.elapsed()),
                _ => played.n_errors += 1,
            }
        }
        played
    };
    let start = Instant::now();
    let clients: Vec<Played> = thread::scope(|scope| {
        let threads: Vec<_> = (0..n_connections).map(|_| scope.spawn(client)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a client")).collect()
    });
    let wall = start.elapsed();
    Played {
        wall,
        n_errors: clients.iter().map(|client| client.n_errors).sum(),
        latencies: clients.into_iter().flat_map(|client| client.latencies).collect(),
    }
}
