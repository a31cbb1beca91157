//! The bounds of the front door, in one struct. What each means is told here; the modules that hold to it say how.

use std::time::Duration;

/// The bounds of the front door. Every field has a documented default in `impl Default`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections open at once; lowered at start if the process may not open so many files.
    pub max_connections: usize,
    /// Connections open at once from one address (IPv6: from one /64); 0 is no limit.
    pub max_connections_per_address: usize,
    /// How long a connection must have waited for a request before a new one may take its place.
    pub eviction_age: Duration,
    /// Bytes of a head, from its first byte to the empty line.
    pub max_head_bytes: usize,
    /// Bytes of one header line, without its end.
    pub max_line_bytes: usize,
    /// Header lines of one head.
    pub max_headers: usize,
    /// Bytes of a request target: path, question mark and query.
    pub max_target_bytes: usize,
    /// The largest body a request may declare.
    pub max_body_bytes: u64,
    /// From the first byte of a head to its last.
    pub head_timeout: Duration,
    /// How long a connection may stay without sending the first byte of a request.
    pub idle_timeout: Duration,
    /// The stretch of time in which a client must take a part of its answer.
    pub write_timeout: Duration,
    /// What a client must take on average in each stretch of `write_timeout`; at least one byte.
    pub min_write_bytes_per_second: u64,
    /// The stretch of time in which a client must send a part of its body.
    pub read_timeout: Duration,
    /// What a client must send on average in each stretch of `read_timeout`; at least one byte.
    pub min_read_bytes_per_second: u64,
    /// How long all of a body may take.
    pub body_timeout: Duration,
    /// Bodies that are received at once; more are answered 503. At least 1.
    pub max_uploads: usize,
    /// Bytes of answers that wait for slow clients; above, the slowest are closed.
    pub max_unsent_bytes: u64,
    /// An unread body up to this length is skipped and the connection lives; above, it is closed.
    pub max_skip_bytes: u64,
    /// How long an unread body is waited for.
    pub skip_timeout: Duration,
    /// Bytes read and thrown away before a close, so that the answer is not lost to a reset.
    pub max_linger_bytes: u64,
    /// How long a close waits for the client's own, or for more of what it sends; half a minute in all.
    pub linger_timeout: Duration,
    /// How long running requests may take to finish after the stop.
    pub stop_timeout: Duration,
    /// Requests that a handler has or that wait for one; more are answered 503 at once. At least 1. Handlers leave
    /// fast, so this may be many: `request_timeout` is what bounds the wait.
    pub max_requests: usize,
    /// A request whose work has not begun after this time is answered 503, and the work need not begin.
    pub request_timeout: Duration,
    /// Whether every request is logged.
    pub access_log: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_connections_per_address: 0,
            eviction_age: Duration::from_secs(1),
            max_head_bytes: 16 * 1024,
            max_line_bytes: 8 * 1024,
            max_headers: 64,
            max_target_bytes: 4096,
            max_body_bytes: 1 << 30,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(15),
            write_timeout: Duration::from_secs(10),
            min_write_bytes_per_second: 2048,
            read_timeout: Duration::from_secs(10),
            min_read_bytes_per_second: 2048,
            body_timeout: Duration::from_secs(600),
            max_uploads: 512,
            max_unsent_bytes: 256 << 20,
            max_skip_bytes: 64 * 1024,
            skip_timeout: Duration::from_secs(1),
            max_linger_bytes: 64 << 20,
            linger_timeout: Duration::from_secs(1),
            stop_timeout: Duration::from_secs(30),
            max_requests: 10_000,
            request_timeout: Duration::from_secs(15),
            access_log: true,
        }
    }
}
