//! A bucket that is reached by TLS, as all public ones are: nginx, with a certificate of the test's own, in front of it.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use tempfile::TempDir;

use crate::bucket_world::BucketWorld;
use crate::nginx::find_nginx;
use crate::pictures::jpeg;
use crate::server::{PATIENCE, Server, poll};
use crate::upload_form::stored_path;

/// Ends TLS in front of a server; it ends with this value.
struct TlsFront {
    child: Child,
    port: u16,
    directory: TempDir,
}

impl TlsFront {
    /// `None`, and a line that says so, where nginx or openssl is missing.
    fn start(world: &BucketWorld) -> Option<Self> {
        let program = find_nginx()?;
        let directory = TempDir::new().unwrap();
        if !makes_certificate(directory.path()) {
            eprintln!("skipped: openssl is not installed");
            return None;
        }
        (0..10).find_map(|_| {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
            let configuration = format!(
                "{user} pid nginx.pid; error_log error.log; events {{}} http {{ access_log off; client_max_body_size 0;
                 client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path a; uwsgi_temp_path b; scgi_temp_path c;
                 server {{ listen 127.0.0.1:{port} ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem;
                 location / {{ proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_pass http://{}; }} }} }}",
                world.proxy.address()
            );
            std::fs::write(directory.path().join("nginx.conf"), configuration).unwrap();
            let mut command = Command::new(&program);
            command.arg("-p").arg(directory.path()).arg("-c").arg(directory.path().join("nginx.conf"));
            command.args(["-g", "daemon off; master_process off;"]).stdin(Stdio::null());
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let up = || match child.try_wait().unwrap() {
                Some(_) => Some(false),
                None => TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(true),
            };
            let is_up = poll(Instant::now() + PATIENCE, up).expect("nginx neither serves nor ends");
            is_up.then_some((child, port))
        })
        .map(|(child, port)| Self { child, port, directory })
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A certificate for "localhost" that is no authority's but trusted by itself.
fn makes_certificate(folder: &Path) -> bool {
    let configuration = "[req]\nprompt = no\ndistinguished_name = name\nx509_extensions = more\n[name]\nCN = localhost\n\
                         [more]\nsubjectAltName = DNS:localhost\nbasicConstraints = critical, CA:FALSE\n";
    std::fs::write(folder.join("openssl.conf"), configuration).unwrap();
    let status = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-config", "openssl.conf"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

#[test]
fn a_bucket_behind_tls_is_used_if_its_certificate_is_trusted() {
    let world = BucketWorld::start();
    let Some(front) = TlsFront::start(&world) else { return };
    let serve = |authorities: Option<&Path>| {
        let mut command = world.program(None);
        command.env("PIXLSERV_S3_ENDPOINT", format!("https://localhost:{}", front.port));
        if let Some(authorities) = authorities {
            command.env("SSL_CERT_FILE", authorities);
        }
        let directory = Arc::new(TempDir::new().unwrap());
        let images = directory.path().join("none");
        Server::start_as(command, directory, &images, "")
    };
    let server = serve(Some(&front.directory.path().join("cert.pem")));
    let mut large = jpeg(64, 48);
    large.resize(300_000, 7);
    for content in [jpeg(64, 48), large] {
        let path = stored_path(&server, &content);
        assert_eq!(world.stored(&path), Some(content));
        assert_eq!(server.get(&format!("/image/w_20/{path}")).status, 200, "{}", server.log_of_events());
    }
    let distrustful = serve(None);
    assert_eq!(distrustful.get("/image/w_20/cat.jpg").status, 502);
    let said = || distrustful.log().contains("certificate").then_some(());
    poll(Instant::now() + PATIENCE, said).unwrap_or_else(|| panic!("it is not said why: {}", distrustful.log()));
}
