//! The loop that takes connections in. It ends when asked to, and for no other reason.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::connection::{Connection, Shared, turn_away};
use super::connections::Connections;
use super::listener::Listener;
use super::pool::overloaded;
use super::socket::{Socket, after, poll_until};

/// Enough for a head, an answer's head and two reads; handlers run on other threads.
const STACK_BYTES: usize = 256 * 1024;
/// How long the loop pauses when the system has no more to give.
const PAUSE: Duration = Duration::from_millis(10);
/// How often the same trouble is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(60);
/// Without anything to do the loop looks around this often; nothing depends on it.
const ROUND: Duration = Duration::from_secs(60);
/// Open files kept for everything but connections.
const RESERVED_FILES: u64 = 128;

/// The state of the loop.
pub(super) struct Accept {
    shared: Arc<Shared>,
    connections: Arc<Connections>,
    max_connections: usize,
    last_logged: Option<Instant>,
}

impl Accept {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let max_connections = allowed_connections(shared.limits.max_connections.max(1));
        Self { shared, connections: Arc::default(), max_connections, last_logged: None }
    }

    /// Takes connections until the stop, then waits for the open ones to end.
    pub(super) fn run(mut self, listeners: Vec<Listener>) {
        while !self.shared.stop.is_requested() {
            let has_room = self.connections.has_room(self.max_connections);
            let done = if has_room { self.take_ready(&listeners) } else { self.make_room(&listeners) };
            if let Err(error) = done {
                self.log(&error);
                thread::sleep(PAUSE);
            }
        }
        self.take_backlog(&listeners);
        drop(listeners);
        let n_cut = self.connections.drain(self.shared.limits.stop_timeout);
        if n_cut > 0 {
            tracing::warn!(connections = n_cut, "requests were still running at the end of the stop");
        }
    }

    /// Waits for connections or the stop, and takes one from each listener that has some.
    fn take_ready(&mut self, listeners: &[Listener]) -> io::Result<()> {
        for index in self.ready(listeners, ROUND)? {
            if self.connections.has_room(self.max_connections) {
                self.take(&listeners[index]);
            }
        }
        Ok(())
    }

    /// Once somebody waits outside, ends the connection that can best be spared.
    fn make_room(&mut self, listeners: &[Listener]) -> io::Result<()> {
        if !self.ready(listeners, PAUSE)?.is_empty() {
            self.connections.evict(self.shared.limits.eviction_age);
            self.connections.wait_for_room(self.max_connections, PAUSE);
        }
        Ok(())
    }

    /// Which listeners have connections waiting; none if `timeout` or the stop comes first.
    fn ready(&self, listeners: &[Listener], timeout: Duration) -> io::Result<Vec<usize>> {
        let mut waiters: Vec<_> = listeners.iter().map(|listener| PollFd::new(listener, PollFlags::IN)).collect();
        waiters.push(PollFd::new(&self.shared.stop, PollFlags::IN));
        poll_until(&mut waiters, after(timeout))?;
        let (waiters, _) = waiters.split_at(listeners.len());
        Ok((0..waiters.len()).filter(|&index| !waiters[index].revents().is_empty()).collect())
    }

    /// Takes in those that connected before the stop: they may have sent a request already.
    fn take_backlog(&mut self, listeners: &[Listener]) {
        for listener in listeners {
            while self.connections.has_room(self.max_connections) && self.take(listener) {}
        }
    }

    /// Takes one connection; false if there was none to take.
    fn take(&mut self, listener: &Listener) -> bool {
        match listener.accept() {
            Ok((socket, peer)) => {
                self.admit(Arc::new(socket), peer);
                true
            }
            Err(error) if is_passing(&error) => false,
            Err(error) => {
                self.log(&error);
                self.connections.evict(self.shared.limits.eviction_age);
                thread::sleep(PAUSE);
                false
            }
        }
    }

    fn admit(&mut self, socket: Arc<Socket>, peer: Option<IpAddr>) {
        let max = self.shared.limits.max_connections_per_address;
        if max > 0 && peer.is_some_and(|peer| self.connections.count_from(peer) >= max) {
            return turn_away(&socket, overloaded());
        }
        let slot = self.connections.enter(Arc::clone(&socket), peer);
        let connection = Connection { socket: Arc::clone(&socket), peer, slot, buffer: Vec::new() };
        let shared = Arc::clone(&self.shared);
        let spawned = thread::Builder::new()
            .name("connection".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || connection.run(&shared));
        if let Err(error) = spawned {
            self.log(&error);
            turn_away(&socket, overloaded());
        }
    }

    /// Trouble that may come a thousand times a second is logged once a minute.
    fn log(&mut self, error: &io::Error) {
        if self.last_logged.is_none_or(|last| last.elapsed() >= LOG_INTERVAL) {
            self.last_logged = Some(Instant::now());
            tracing::error!(%error, "cannot take a connection; going on");
        }
    }
}

/// Whether only the one connection failed: the client left before we came, or another listener took it.
fn is_passing(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED | Errno::CONNRESET | Errno::PROTO))
}

/// As many as wanted, if the process may open that many files and some more.
fn allowed_connections(wanted: usize) -> usize {
    let Some(files) = getrlimit(Resource::Nofile).current else {
        return wanted;
    };
    let allowed = usize::try_from(files.saturating_sub(RESERVED_FILES).max(files / 2)).unwrap_or(usize::MAX).max(1);
    if allowed < wanted {
        tracing::warn!(wanted, allowed, "fewer connections, since the process may open only {files} files");
    }
    wanted.min(allowed)
}
