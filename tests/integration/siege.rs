//! Crowds: many clients that come at once, and fewer files than they would take. What such do who mean no good lasts
//! longer (`endurance/idle.rs`).

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

use crate::client::Client;
use crate::server::{Server, n_files, poll};

const PATIENCE: Duration = Duration::from_secs(30);

/// Files that this process, and so a server that it starts, may open.
pub(crate) fn raise_files() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    limit.current.unwrap_or(u64::MAX)
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
