//! The HTTP client of object storages: blocking, with a limit for everything, and connections that are used again.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::ObjectError;

/// How long a connection may take; so a server that does not answer at all is tried twice in the shortest time allowed.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long nothing may come, or go, in the middle of a body.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a whole body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections that are kept open: as many as threads may use at once.
const MAX_IDLE_CONNECTIONS: usize = 64;
const MAX_IDLE_AGE: Duration = Duration::from_secs(20);
const MAX_HEAD_BYTES: usize = 64 << 10;

/// A client. Answers of any status are answers, redirects too: where an object storage is, is configured.
pub(crate) fn agent() -> Agent {
    let tls = TlsConfig::builder().root_certs(roots()).build();
    Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("pixlserv/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .max_response_header_size(MAX_HEAD_BYTES)
        .max_idle_connections(MAX_IDLE_CONNECTIONS)
        .max_idle_connections_per_host(MAX_IDLE_CONNECTIONS)
        .max_idle_age(MAX_IDLE_AGE)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_resolve(Some(CONNECT_TIMEOUT))
        .timeout_per_read(Some(IDLE_TIMEOUT))
        .timeout_per_write(Some(IDLE_TIMEOUT))
        .timeout_send_body(Some(BODY_TIMEOUT))
        .timeout_recv_body(Some(BODY_TIMEOUT))
        .build()
        .new_agent()
}

/// The authorities that the system trusts, so that a server of one's own can have a certificate of one's own; those that
/// browsers trust where the system has none, as in small containers.
fn roots() -> RootCerts {
    let native = rustls_native_certs::load_native_certs().certs;
    let certificates: Vec<_> = native.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    if certificates.is_empty() { RootCerts::WebPki } else { RootCerts::Specific(Arc::new(certificates)) }
}

/// Why a request came to nothing. Worth another try, all of it.
pub(crate) fn failure(error: &ureq::Error) -> ObjectError {
    use ureq::{Error, Timeout};
    match error {
        Error::Timeout(what @ (Timeout::Resolve | Timeout::Connect)) => {
            ObjectError::Unreachable(format!("cannot be reached in time: {what}"))
        }
        Error::Timeout(what) => ObjectError::TimedOut(format!("no answer in time: {what}")),
        Error::HostNotFound | Error::ConnectionFailed => ObjectError::Unreachable(error.to_string()),
        Error::Io(error) => io_failure(error),
        error => ObjectError::Failed(error.to_string()),
    }
}

/// As `failure`, while a body was read or written.
pub(crate) fn io_failure(error: &io::Error) -> ObjectError {
    use io::ErrorKind;
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        return failure(error);
    }
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => ObjectError::TimedOut("no answer in time".to_owned()),
        ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            ObjectError::Unreachable(error.to_string())
        }
        _ => ObjectError::Failed(error.to_string()),
    }
}
