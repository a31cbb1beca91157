//! A proxy between the program and an object storage, in the process of the test: it passes everything on, remembers
//! it, and does what networks and storages do on their bad days.

mod connection;
mod fault;
mod tests;
pub(crate) mod wire;

use std::collections::HashMap;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt};

pub(crate) use fault::Fault;
use wire::Head;

/// The head of a request that passes.
#[derive(Clone, Debug)]
pub(crate) struct SeenHead {
    pub(crate) method: String,
    /// As it was written, with its query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl SeenHead {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// A request that has passed, or still passes.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) head: SeenHead,
    /// Of the answer that the client got, if it got any.
    pub(crate) status: Option<u16>,
    /// Bytes of the body that went to the storage.
    pub(crate) request_bytes: u64,
    /// Bytes of the body that went to the client.
    pub(crate) response_bytes: u64,
}

type Choose = dyn Fn(&SeenHead, u64) -> Fault + Send + Sync;

/// A running proxy; it ends with this value.
pub(crate) struct FaultProxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// Has the port, but does not listen: so nobody else gets it while the proxy is away.
    _port: OwnedFd,
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

pub(in crate::fault_proxy) struct Shared {
    upstream: SocketAddr,
    state: Mutex<State>,
    /// Told when all connections are ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    choose: Option<Arc<Choose>>,
    /// Requests since the choice was made.
    n_chosen: u64,
    n_requests: u64,
    seen: Vec<(u64, Seen)>,
    n_connections: u64,
    /// Both ends of every connection, to end it from outside.
    open: HashMap<u64, Vec<TcpStream>>,
    is_stopped: bool,
    /// How often all connections were ended.
    n_ends: u64,
}

impl FaultProxy {
    /// Listens on a free port of this machine, and passes on to `upstream`.
    pub(crate) fn start(upstream: SocketAddr) -> Self {
        let port = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        sockopt::set_socket_reuseaddr(&port, true).unwrap();
        bind(&port, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = getsockname(&port).unwrap().try_into().unwrap();
        let shared = Arc::new(Shared { upstream, state: Mutex::default(), ended: Condvar::new() });
        let proxy = Self { shared, address, _port: port, acceptor: Mutex::new(None) };
        proxy.listen_again();
        proxy
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as the endpoint of an object storage.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on this decides what becomes of a request, by its head and its number since now: 1, 2 and so on.
    pub(crate) fn set(&self, choose: impl Fn(&SeenHead, u64) -> Fault + Send + Sync + 'static) {
        let mut state = self.shared.lock();
        state.choose = Some(Arc::new(choose));
        state.n_chosen = 0;
    }

    /// From now on this happens to all requests.
    pub(crate) fn always(&self, fault: Fault) {
        self.set(move |_, _| fault.clone());
    }

    /// This happens to the next `n_requests`, then nothing.
    pub(crate) fn first(&self, n_requests: u64, fault: Fault) {
        self.set(move |_, number| if number <= n_requests { fault.clone() } else { Fault::Pass });
    }

    /// From now on everything passes.
    pub(crate) fn heal(&self) {
        self.shared.lock().choose = None;
    }

    /// What has passed since the start, or since `clear`; in the order of its heads.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.shared.lock().seen.iter().map(|(_, seen)| seen.clone()).collect()
    }

    pub(crate) fn clear(&self) {
        self.shared.lock().seen.clear();
    }

    /// Connections that are open now.
    pub(crate) fn n_connections(&self) -> usize {
        self.shared.lock().open.len()
    }

    /// Ends all connections; new ones are refused.
    pub(crate) fn stop_listening(&self) {
        self.shared.lock().is_stopped = true;
        if let Some(acceptor) = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // One more connection, for which it wakes up.
            let _ = TcpStream::connect(self.address);
            let _ = acceptor.join();
        }
        self.end_connections();
    }

    /// Ends all connections, also those in use; new ones are taken.
    pub(crate) fn end_connections(&self) {
        let mut state = self.shared.lock();
        for stream in state.open.values().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        state.n_ends += 1;
        self.shared.ended.notify_all();
    }

    /// Listens on the same port as before.
    pub(crate) fn listen_again(&self) {
        let listener = TcpListener::bind(self.address).unwrap();
        self.shared.lock().is_stopped = false;
        let shared = Arc::clone(&self.shared);
        *self.acceptor.lock().unwrap() = Some(std::thread::spawn(move || shared.accept(&listener)));
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.stop_listening();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        loop {
            let Ok((client, _)) = listener.accept() else { return };
            let mut state = self.lock();
            if state.is_stopped {
                return;
            }
            state.n_connections += 1;
            let id = state.n_connections;
            state.open.insert(id, vec![client.try_clone().unwrap()]);
            drop(state);
            let shared = Arc::clone(self);
            std::thread::spawn(move || {
                // What fails here is a connection that ended, at one of its ends.
                let _ = connection::serve(&shared, id, client);
                shared.lock().open.remove(&id);
            });
        }
    }

    /// Has a connection to the storage end together with that of the client.
    fn note_upstream(&self, id: u64, upstream: &TcpStream) -> std::io::Result<()> {
        let copy = upstream.try_clone()?;
        if let Some(streams) = self.lock().open.get_mut(&id) {
            streams.truncate(1);
            streams.push(copy);
        }
        Ok(())
    }

    /// Remembers a request; gives its number, and what shall become of it.
    fn begin(&self, head: &Head) -> (u64, Fault) {
        let head = SeenHead {
            method: head.word(0).to_owned(),
            target: head.word(1).to_owned(),
            headers: head.headers.clone(),
        };
        let mut state = self.lock();
        state.n_requests += 1;
        state.n_chosen += 1;
        let (request, number, choose) = (state.n_requests, state.n_chosen, state.choose.clone());
        let seen = Seen { head: head.clone(), status: None, request_bytes: 0, response_bytes: 0 };
        state.seen.push((request, seen));
        drop(state);
        (request, choose.map_or(Fault::Pass, |choose| choose(&head, number)))
    }

    /// Changes what is remembered of a request, unless that was forgotten meanwhile.
    fn note(&self, request: u64, change: impl FnOnce(&mut Seen)) {
        if let Some((_, seen)) = self.lock().seen.iter_mut().rev().find(|(id, _)| *id == request) {
            change(seen);
        }
    }

    /// Waits for so long, but not beyond the end of connections; tells whether the time is over.
    fn pause(&self, time: Duration) -> bool {
        let state = self.lock();
        let n_ends = state.n_ends;
        let waited = self.ended.wait_timeout_while(state, time, |state| state.n_ends == n_ends);
        waited.is_ok_and(|(_, result)| result.timed_out())
    }
}
