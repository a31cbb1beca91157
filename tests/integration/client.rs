//! Clients that keep their connections, and many of them at once.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::server::{Answer, Server};

/// One connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn new(server: &Server) -> Self {
        Self { stream: BufReader::new(server.connect()) }
    }

    /// On a connection that is there already.
    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// As `new`, where the server may be gone.
    pub(crate) fn try_new(server: &Server) -> io::Result<Self> {
        Ok(Self { stream: BufReader::new(server.try_connect()?) })
    }

    /// One request on the connection, written at once.
    pub(crate) fn send(&mut self, target: &str) -> io::Result<()> {
        let head = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
        self.write(head.as_bytes())
    }

    /// Any bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// The next answer; `None` if the connection ends instead.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Answer>> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let damaged = || io::Error::from(ErrorKind::InvalidData);
        let status = line.get(9..12).and_then(|digits| digits.parse().ok()).ok_or_else(damaged)?;
        let mut headers = Vec::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            if line.trim_end().is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(damaged)?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        if status != 304 {
            let length = answer.header("Content-Length").and_then(|length| length.parse().ok());
            answer.body = vec![0; length.ok_or_else(damaged)?];
        }
        self.stream.read_exact(&mut answer.body)?;
        Ok(Some(answer))
    }

    /// One request and its answer, which must come.
    pub(crate) fn get(&mut self, target: &str) -> Answer {
        let answer = self.send(target).and_then(|()| self.receive());
        match answer {
            Ok(Some(answer)) => answer,
            other => panic!("no answer to {target}: {other:?}"),
        }
    }
}

impl Answer {
    /// `hit`, `miss` or `coalesced`.
    pub(crate) fn came(&self) -> &str {
        self.header("X-Cache").unwrap_or("nowhere")
    }
}

/// Says that it is over when it is dropped, also by a failure: who works until then does not work for ever.
pub(crate) struct Until<'a>(pub(crate) &'a AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Does the same with each, all at the same moment.
pub(crate) fn together<I: Send, T: Send>(items: Vec<I>, work: impl Fn(I) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(items.len());
    thread::scope(|scope| {
        let begin = |item| {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                work(item)
            })
        };
        let threads: Vec<_> = items.into_iter().map(begin).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Fetches everything with so many clients, each taking what is next; the answers are in the order of the targets.
pub(crate) fn get_all(server: &Server, n_clients: usize, targets: &[String]) -> Vec<Answer> {
    let next = AtomicUsize::new(0);
    let clients: Vec<Client> = (0..n_clients).map(|_| Client::new(server)).collect();
    let parts = together(clients, |mut client| {
        let mut answers = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            match targets.get(index) {
                Some(target) => answers.push((index, client.get(target))),
                None => return answers,
            }
        }
    });
    let mut answers: Vec<(usize, Answer)> = parts.into_iter().flatten().collect();
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
