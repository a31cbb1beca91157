//! The index in a redis that several servers share.
//!
//! # What is where
//!
//! API keys lie where the Go server had them (`keys`). All else is under `pixlserv:`, as `lua/records.lua` and
//! `lua/generations.lua` say: records in one hash, sorted sets for their orders, totals, purges by source. Names of
//! sources are values in there, never part of the name of a key. A redis that makes room must leave these keys alone:
//! `maxmemory-policy` is to be `noeviction`, or one of the `volatile-` ones.
//!
//! # When redis is away
//!
//! A thread, the watcher, looks at redis five times a second. What a request waits for takes 250 ms at most. Once a
//! connection fails, nobody waits any more: all calls fail at once (`circuit`) until the watcher has got an answer.
//!
//! # Purges
//!
//! The generation is in microseconds since 1970, or one above the last if that is more, so that it grows also where
//! redis has lost its data. Servers know it by their leases (`view`); a purge waits until those from before it are
//! over.

mod circuit;
mod jobs;
mod keys;
mod packed;
mod pool;
mod rates;
mod records;
mod scripts;
mod shared;
#[cfg(test)]
pub(super) mod tests;
mod url;
mod view;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use redis::{Connection, ConnectionInfo, RedisError, RedisResult};

use super::{Index, IndexError, Rates};
use circuit::Circuit;
use pool::{CONNECT_TIMEOUT, Patience, Pool};
use view::{Memory, View};

pub use url::RedisUrl;

/// What the watcher may wait for an answer: as long as a request may.
const LOOK_TIMEOUT: Duration = Duration::from_millis(200);

/// How long a start waits for the first look: connecting has its own limit, looking a name up has none.
const FIRST_TIMEOUT: Duration = Duration::from_secs(3);

/// The times of leases. All servers of a redis have the same.
#[derive(Clone, Copy, Debug)]
struct Timing {
    /// How often the watcher looks.
    interval: Duration,
    /// How long what it has seen counts, from the start of the look.
    lease: Duration,
    /// A purge waits for longer than the lease: for threads that were about to answer.
    margin: Duration,
}

impl Timing {
    const DEFAULT: Self = Self {
        interval: Duration::from_millis(200),
        lease: Duration::from_millis(500),
        margin: Duration::from_millis(100),
    };
}

/// The index in a redis.
pub struct RedisIndex {
    shared: Arc<Shared>,
    watcher: Option<JoinHandle<()>>,
}

/// What the watcher has, too.
struct Shared {
    info: ConnectionInfo,
    timing: Timing,
    circuit: Arc<Circuit>,
    pool: Pool,
    view: View,
    is_over: AtomicBool,
}

impl RedisIndex {
    /// Begins to use a redis. It need not be there yet: until it is, calls fail.
    /// # Errors
    /// If there is no thread to be had.
    pub fn open(url: &RedisUrl) -> Result<Self, IndexError> {
        Self::open_with(url, Timing::DEFAULT)
    }

    fn open_with(url: &RedisUrl, timing: Timing) -> Result<Self, IndexError> {
        if url.is_encrypted() {
            // Fails where somebody else has chosen already, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let circuit = Arc::new(Circuit::new(url.to_string()));
        let shared = Arc::new(Shared {
            info: url.info(),
            timing,
            pool: Pool::new(url.info(), Arc::clone(&circuit)),
            circuit,
            view: View::new(timing.lease),
            is_over: AtomicBool::new(false),
        });
        let mut watcher = Watcher { shared: Arc::clone(&shared), connection: None, is_refused: false };
        let (sender, looked) = sync_channel(1);
        let watch = move || {
            watcher.look();
            // Whoever waits for it may have stopped.
            let _ = sender.send(());
            watcher.watch();
        };
        let watcher = thread::Builder::new().name("redis".to_owned()).spawn(watch);
        let watcher = watcher.map_err(|source| IndexError::Open { path: url.to_string(), source })?;
        if looked.recv_timeout(FIRST_TIMEOUT).is_err() {
            shared.circuit.open(0, "its name is not found in time");
        }
        Ok(Self { watcher: Some(watcher), shared })
    }
}

impl Index for RedisIndex {
    fn n_returns(&self) -> u64 {
        self.shared.circuit.n_returns()
    }

    fn can_be_away(&self) -> bool {
        true
    }

    fn shared_rates(&self) -> Option<&dyn Rates> {
        Some(self)
    }

    fn shared(&self) -> Option<&dyn super::Shared> {
        Some(self)
    }
}

impl fmt::Debug for RedisIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisIndex({})", self.shared.circuit.address())
    }
}

impl Drop for RedisIndex {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        if let Some(watcher) = &self.watcher {
            watcher.thread().unpark();
        }
    }
}

impl Shared {
    /// A look at the generation by whoever needs it now.
    fn look(&self) -> Result<(), IndexError> {
        let memory = self.pool.call(Patience::Request, |connection| self.view.look(connection))?;
        self.note(memory);
        Ok(())
    }

    fn note(&self, memory: Memory) {
        if memory == Memory::Lost {
            tracing::warn!(
                "redis at {} has lost data: what it had of the cache is found out anew",
                self.circuit.address()
            );
            self.circuit.count_return();
        }
    }
}

/// Looks at redis again and again, with a connection of its own.
struct Watcher {
    shared: Arc<Shared>,
    connection: Option<Connection>,
    /// Whether redis answers, but with an error.
    is_refused: bool,
}

impl Watcher {
    fn watch(mut self) {
        while !self.shared.is_over.load(Ordering::Acquire) {
            thread::park_timeout(self.shared.timing.interval);
            self.look();
        }
    }

    fn look(&mut self) {
        let era = self.shared.circuit.era();
        match self.try_look() {
            Ok(memory) => {
                self.is_refused = false;
                self.shared.circuit.close();
                self.shared.note(memory);
            }
            Err(error) if self.connection.is_none() || pool::is_loss(&error) => {
                self.connection = None;
                self.shared.circuit.open(era, &pool::describe(&error));
            }
            Err(error) => self.complain(&error),
        }
    }

    fn try_look(&mut self) -> RedisResult<Memory> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(pool::connect(&self.shared.info, CONNECT_TIMEOUT)?),
        };
        pool::limit(connection, LOOK_TIMEOUT)?;
        self.shared.view.look(connection)
    }

    /// Says once what redis refuses: a password that is missing, rights, a key of another kind.
    fn complain(&mut self, error: &RedisError) {
        if !self.is_refused {
            self.is_refused = true;
            tracing::error!("redis at {} refuses: {}", self.shared.circuit.address(), pool::describe(error));
        }
    }
}
