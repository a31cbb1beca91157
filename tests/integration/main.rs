//! The running server, seen from outside: the real program on a free port, raw sockets, temporary directories.
//! Nothing here names the library; what an answer must be stands in the tests themselves.
#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its ground has to stop there")]

mod abuse;
mod methods;
mod parameters;
mod pictures;
mod python;
mod server;
mod serving;
mod traversal;
