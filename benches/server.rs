//! Whole requests to a running server over one keep-alive connection: what a cold image, an answer of 304, the
//! index page and the health check cost from end to end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

struct Server {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("bench.yaml");
        let images = concat!(env!("CARGO_MANIFEST_DIR"), "/config/images");
        let text = format!(
            "local-path: {images}\ndata-path: {}\nlisten: 127.0.0.1:0\ncache: {{enabled: No}}\nthrottling-rate: 0\n",
            folder.path().display()
        );
        std::fs::write(&config, text).expect("a configuration");
        let mut child = Command::new(env!("CARGO_BIN_EXE_pixlserv"))
            .arg("run")
            .arg(&config)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut log = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let address = log
            .find_map(|line| {
                line.expect("a line").split_once("listening on http://").map(|(_, rest)| rest.trim().to_owned())
            })
            .expect("the server tells its address");
        std::thread::spawn(move || log.for_each(drop));
        Self { child, address, _folder: folder }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing is left to do if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(connection: &mut BufReader<TcpStream>, path: &str, extra: &str) -> (u16, String) {
    write!(connection.get_mut(), "GET {path} HTTP/1.1\r\nHost: bench\r\n{extra}\r\n").expect("a request is sent");
    let (mut status, mut length, mut etag) = (0, 0, String::new());
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).expect("a header line");
        let line = line.trim_end().to_ascii_lowercase();
        match line.split_once(": ") {
            _ if line.is_empty() => break,
            Some(("content-length", value)) => length = value.parse().expect("a length"),
            Some(("etag", value)) => value.clone_into(&mut etag),
            None => status = line.split(' ').nth(1).expect("a status line").parse().expect("a status"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).expect("the body");
    (status, etag)
}

fn requests(criterion: &mut Criterion) {
    let server = Server::start();
    let stream = TcpStream::connect(&server.address).expect("a connection");
    stream.set_nodelay(true).expect("a socket option");
    let mut connection = BufReader::new(stream);
    let (status, etag) = get(&mut connection, "/image/w_400/mountains.jpg", "");
    assert_eq!(status, 200);
    let known = format!("If-None-Match: {etag}\r\n");
    let mut group = criterion.benchmark_group("request");
    let cases = [
        ("health", "/health", "", 200),
        ("index", "/", "", 200),
        ("304", "/image/w_400/mountains.jpg", known.as_str(), 304),
        ("JPEG w_400", "/image/w_400/mountains.jpg", "", 200),
        ("PNG w_400", "/image/w_400/badge.png", "", 200),
    ];
    for (name, path, extra, expected) in cases {
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert_eq!(get(&mut connection, path, extra).0, expected));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2));
    targets = requests
}
criterion_main!(benches);
