//! A redis of one's own: the real server on a port of this machine, which can be killed, frozen and started again. Unit
//! tests use this file, too.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const START: Duration = Duration::from_secs(20);
/// Below what the system gives out by itself, so that nobody else gets the port while the server is down.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// Whether what was written survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    Memory,
    Disk,
}

/// A running redis; it ends with this value.
pub(crate) struct RedisServer {
    child: Child,
    port: u16,
    storage: Storage,
    directory: TempDir,
}

impl RedisServer {
    /// Starts a redis; `None`, and a line that says so, where there is none.
    pub(crate) fn start(storage: Storage) -> Option<Self> {
        if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            eprintln!("skipped: redis-server is not installed");
            return None;
        }
        // If another takes the port meanwhile, the next one is tried.
        (0..10).find_map(|_| {
            let (port, directory) = (free_port(), TempDir::new().unwrap());
            let mut server = Self { child: spawn(port, storage, &directory), port, storage, directory };
            server.is_up().then_some(server)
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Ends it as a power cut does, only that the system lives.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after `kill`, on the same port.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(self.port, self.storage, &self.directory);
        assert!(self.is_up(), "redis does not start again");
    }

    /// It takes connections, and says nothing.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    /// A connection to look or to write at what lies there.
    pub(crate) fn connect(&self) -> redis::Connection {
        redis::Client::open(self.url()).unwrap().get_connection_with_timeout(START).unwrap()
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Waits until it answers; false if it has ended.
    fn is_up(&mut self) -> bool {
        let deadline = Instant::now() + START;
        while self.child.try_wait().unwrap().is_none() {
            let client = redis::Client::open(self.url()).unwrap();
            let answers = |mut connection| redis::cmd("PING").exec(&mut connection).is_ok();
            if client.get_connection_with_timeout(START).is_ok_and(answers) {
                return true;
            }
            assert!(Instant::now() < deadline, "redis neither answers nor ends");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, storage: Storage, directory: &TempDir) -> Child {
    let log = File::options().create(true).append(true).open(directory.path().join("log")).unwrap();
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(directory.path());
    command.args(["--appendonly", if storage == Storage::Disk { "yes" } else { "no" }]);
    command.stdin(Stdio::null()).stdout(log).stderr(Stdio::null()).spawn().unwrap()
}

pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = u32::from(PORTS.end - PORTS.start);
    loop {
        // Processes of tests that run side by side begin at different places.
        let number = std::process::id().wrapping_mul(37) + u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + u16::try_from(number % span).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
