//! The program with a redis that is reached by TLS, and signs its certificate itself.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use tempfile::TempDir;

use crate::redis_server::free_port;
use crate::server::{PATIENCE, Server, poll, program};

/// A redis that ends with this value.
struct TlsRedis {
    child: Child,
    port: u16,
    _directory: TempDir,
}

impl TlsRedis {
    /// `None`, and a line that says so, where redis or openssl is missing, or that redis has no TLS.
    fn start() -> Option<Self> {
        let directory = TempDir::new().unwrap();
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(&directory)
            .stderr(Stdio::null())
            .status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("skipped: openssl is not installed");
            return None;
        }
        let port = free_port();
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--tls-port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-auth-clients", "no"]);
        let child = command.current_dir(&directory).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let Ok(mut child) = child else {
            eprintln!("skipped: redis-server is not installed");
            return None;
        };
        let up = || match child.try_wait().unwrap() {
            Some(_) => Some(false),
            None => std::net::TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(true),
        };
        if poll(Instant::now() + PATIENCE, up) != Some(true) {
            eprintln!("skipped: this redis-server has no TLS");
            return None;
        }
        Some(Self { child, port, _directory: directory })
    }
}

impl Drop for TlsRedis {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_certificate_is_checked_unless_the_url_says_otherwise() {
    let Some(redis) = TlsRedis::start() else { return };
    let serve = |end: &str| {
        let mut command = program();
        command.env("PIXLSERV_REDIS_URL", format!("rediss://127.0.0.1:{}/{end}", redis.port));
        let directory = Arc::new(TempDir::new().unwrap());
        let images = directory.path().join("images");
        Server::start_as(command, directory, &images, "")
    };
    let strict = serve("");
    assert_eq!(strict.get("/ready").status, 503);
    let said = poll(Instant::now() + PATIENCE, || strict.log().contains("certificate").then_some(()));
    said.unwrap_or_else(|| panic!("it is not said why: {}", strict.log()));
    let lenient = serve("#insecure");
    let ready = poll(Instant::now() + PATIENCE, || (lenient.get("/ready").status == 200).then_some(()));
    ready.unwrap_or_else(|| panic!("it is never ready: {}", lenient.log()));
    assert!(lenient.log().contains("with any certificate (#insecure)"), "{}", lenient.log());
}
