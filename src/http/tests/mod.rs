//! The front door from outside: a real server on a port of its own, raw sockets, and a handler that does what the
//! path says. Here is what all tests share.

use std::io::{self, BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use http::StatusCode;

use crate::service::Live;

use super::{Handlers, Limits, Listener, Receiver, Reply, Request, Response, Stop, serve};

mod bodies;
mod bounds;
mod exchange;
mod framing;
mod stop;

/// Long enough for any machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

const LARGE: &[u8] = &[b'x'; 32 << 20];

/// A running server; stopped and waited for when dropped.
struct Server {
    address: SocketAddr,
    stop: Stop,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Server {
    fn start(limits: Limits) -> Self {
        Self::with(limits, 2, answer)
    }

    fn with(limits: Limits, n_threads: usize, queued: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let listener = Listener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_address().unwrap();
        let (stop, thread) = run(listener, limits, n_threads, queued);
        Self { address, stop, thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// All that comes for `request`, until the server closes.
    fn exchange(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may close before it has read all.
        let _ = stream.write_all(request);
        read_to_end(stream)
    }

    fn join(&mut self) {
        self.stop.request();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.join();
    }
}

fn run(
    listener: Listener,
    limits: Limits,
    n_threads: usize,
    queued: impl Fn(&Request) -> Response + Send + Sync + 'static,
) -> (Stop, JoinHandle<io::Result<()>>) {
    let stop = Stop::new().unwrap();
    let handlers = Handlers {
        instant: Arc::new(health),
        queued: Arc::new(move |request, reply| match request.target.path.as_str() {
            "/body" => reply.receive(Box::new(Sum::default())),
            _ => {
                // Work has begun with it.
                let _ = reply.claim().take();
                reply.send(queued(&request));
            }
        }),
        dresser: Arc::new(|_, response| response),
        threads: Arc::new(rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap()),
        pulse: Arc::default(),
        is_counted: true,
    };
    let thread = thread::spawn({
        let stop = stop.clone();
        move || serve(vec![listener], &Live::new(limits), &stop, handlers)
    });
    (stop, thread)
}

fn health(request: &Request) -> Option<Response> {
    match request.target.path.as_str() {
        "/health" => Some(Response::text(StatusCode::OK, "alive")),
        "/instant-panic" => panic!("secret"),
        _ => None,
    }
}

fn answer(request: &Request) -> Response {
    match request.target.path.as_str() {
        "/panic" => panic!("secret of request {}", request.id),
        "/large" => Response::bytes("application/octet-stream", LARGE),
        "/missing" => Response::text(StatusCode::NOT_FOUND, "not found\n"),
        path => Response::text(StatusCode::OK, format!("{} {path}", request.method)),
    }
}

/// Takes a body, and answers how long it was and what its bytes are together.
#[derive(Default)]
struct Sum {
    n_bytes: u64,
    sum: u64,
}

impl Receiver for Sum {
    fn take(&mut self, piece: Vec<u8>) -> ControlFlow<Response> {
        self.n_bytes += piece.len() as u64;
        self.sum += piece.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        match &piece[..] {
            b"!23456789" => ControlFlow::Break(Response::text(StatusCode::BAD_REQUEST, "no more")),
            b"?23456789" => panic!("a piece"),
            _ => ControlFlow::Continue(()),
        }
    }

    fn end(self: Box<Self>, reply: Reply) {
        reply.send(Response::text(StatusCode::OK, format!("{} {}", self.n_bytes, self.sum)));
    }
}

/// Limits of a server whose every wait is too long for a test to meet by accident.
fn patient() -> Limits {
    let wait = PATIENCE;
    Limits { head_timeout: wait, idle_timeout: wait, request_timeout: wait, read_timeout: wait, ..Limits::default() }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn read_to_end(mut stream: impl Read) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// One answer with a body by its length: head and body.
fn read_answer(stream: &mut impl BufRead) -> (String, String) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(stream.read_line(&mut head).unwrap(), 0, "closed within {head:?}");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
}

fn status_of(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// A handler that waits on `/hold` until let go; also what tells that it waits.
fn holding() -> (impl Fn(&Request) -> Response + Send + Sync, mpsc::Receiver<()>, Arc<Barrier>) {
    let (sender, started) = mpsc::channel();
    let gate = Arc::new(Barrier::new(2));
    let handler = {
        let gate = Arc::clone(&gate);
        move |request: &Request| {
            if request.target.path == "/hold" {
                sender.send(()).unwrap();
                gate.wait();
            }
            answer(request)
        }
    };
    (handler, started, gate)
}
