//! Connections to redis, and the time that a call may take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use r2d2::{ManageConnection, NopErrorHandler};
use redis::{
    Client, Connection, ConnectionInfo, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind, Value,
};

use super::super::IndexError;
use super::circuit::Circuit;
use super::packed::unexpected;
use crate::metrics::metrics;

/// Connections at most, and at least, so that the first request need not wait for one.
const MAX_CONNECTIONS: u32 = 16;
const MIN_CONNECTIONS: u32 = 2;
/// How long the pool tries to connect.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that was idle for longer is tried before it is used: redis, or what lies between, may have closed it.
const TRIED_AFTER: Duration = Duration::from_secs(1);
/// What that trial may take.
const TRIAL_TIMEOUT: Duration = Duration::from_millis(100);

/// Who waits for a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    /// A request does: 250 ms at most, with what is done besides.
    Request,
    /// A thread in the background, or the command line.
    Background,
}

impl Patience {
    fn limit(self) -> Duration {
        match self {
            Self::Request => Duration::from_millis(200),
            Self::Background => Duration::from_secs(2),
        }
    }
}

/// A connection of the pool.
pub(super) struct Link {
    connection: Connection,
    era: u64,
    used: Instant,
    is_broken: bool,
}

/// Connects, with a limit of time; r2d2 calls it in threads of its own.
struct Manager {
    info: ConnectionInfo,
    circuit: Arc<Circuit>,
}

/// Connections, used only while the circuit is closed.
pub(super) struct Pool {
    links: r2d2::Pool<Manager>,
    circuit: Arc<Circuit>,
}

impl Pool {
    pub(super) fn new(info: ConnectionInfo, circuit: Arc<Circuit>) -> Self {
        let builder = r2d2::Pool::builder()
            .max_size(MAX_CONNECTIONS)
            .min_idle(Some(MIN_CONNECTIONS))
            .test_on_check_out(true)
            .idle_timeout(Some(Duration::from_secs(60)))
            .error_handler(Box::new(NopErrorHandler))
            // Half of it is the longest pause between attempts.
            .connection_timeout(Duration::from_millis(500));
        let links = builder.build_unchecked(Manager { info, circuit: Arc::clone(&circuit) });
        Self { links, circuit }
    }

    /// Asks redis; the answer must be what it should be.
    pub(super) fn ask<T: FromRedisValue>(
        &self,
        patience: Patience,
        question: impl FnOnce(&mut Connection) -> RedisResult<Value>,
    ) -> Result<T, IndexError> {
        redis::from_redis_value(self.call(patience, question)?).map_err(|_| unexpected("an answer"))
    }

    /// Does something with a connection.
    pub(super) fn call<T>(
        &self,
        patience: Patience,
        work: impl FnOnce(&mut Connection) -> RedisResult<T>,
    ) -> Result<T, IndexError> {
        self.circuit.permit()?;
        let deadline = Instant::now() + patience.limit();
        // That no connection was made so soon may be due to a long way: the watcher has more patience, and decides.
        let mut link = self.links.get_timeout(patience.limit()).map_err(|_| self.circuit.unreachable())?;
        self.circuit.permit()?;
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let result = limit(&link.connection, left).and_then(|()| work(&mut link.connection));
        link.used = Instant::now();
        result.map_err(|error| {
            if !is_loss(&error) {
                metrics().index_errors.with_label_values(&["failed"]).inc();
                return failed(&error);
            }
            metrics().index_errors.with_label_values(&["unreachable"]).inc();
            link.is_broken = true;
            self.circuit.open(link.era, &describe(&error));
            self.circuit.unreachable()
        })
    }
}

impl ManageConnection for Manager {
    type Connection = Link;
    type Error = RedisError;

    fn connect(&self) -> RedisResult<Link> {
        let era = self.circuit.era();
        let connection = connect(&self.info, CONNECT_TIMEOUT)?;
        Ok(Link { connection, era, used: Instant::now(), is_broken: false })
    }

    fn is_valid(&self, link: &mut Link) -> RedisResult<()> {
        if link.era != self.circuit.era() {
            return Err((ErrorKind::Client, "it is of an era before").into());
        }
        if link.used.elapsed() < TRIED_AFTER {
            return Ok(());
        }
        limit(&link.connection, TRIAL_TIMEOUT)?;
        let trial = redis::cmd("PING").exec(&mut link.connection);
        // One that was closed is replaced; if there is silence, the others are not tried one after the other.
        if let Err(error) = &trial
            && error.is_timeout()
        {
            self.circuit.open(link.era, &describe(error));
        }
        trial
    }

    fn has_broken(&self, link: &mut Link) -> bool {
        link.is_broken || link.era != self.circuit.era()
    }
}

/// A new connection, which must be there within `timeout`.
pub(super) fn connect(info: &ConnectionInfo, timeout: Duration) -> RedisResult<Connection> {
    Client::open(info.clone())?.get_connection_with_timeout(timeout)
}

/// Bounds what the next call on a connection may take.
pub(super) fn limit(connection: &Connection, timeout: Duration) -> RedisResult<()> {
    connection.set_read_timeout(Some(timeout))?;
    connection.set_write_timeout(Some(timeout))
}

/// Whether an error means that redis cannot be reached, rather than that it refuses something. One that is still
/// reading its data counts as not reached.
pub(super) fn is_loss(error: &RedisError) -> bool {
    error.is_io_error() || matches!(error.kind(), ErrorKind::Parse | ErrorKind::Server(ServerErrorKind::BusyLoading))
}

/// What an error reply means for the caller.
pub(super) fn failed(error: &RedisError) -> IndexError {
    IndexError::Redis { message: describe(error) }
}

/// What an error says, but for the arguments of a command, which redis repeats where it does not know the command:
/// there may be secrets among them.
pub(super) fn describe(error: &RedisError) -> String {
    let text = error.to_string();
    let end = text.find(", with args beginning with").unwrap_or(text.len());
    text[..end].to_owned()
}
