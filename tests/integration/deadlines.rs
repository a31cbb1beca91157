//! Work that begins too late, or for nobody: it is answered 503 in time, and not done. Nor is what would take more memory than
//! there is.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::metrics::{metrics, value};
use crate::pictures::noise;
use crate::server::{PATIENCE, Server, poll};
use crate::upload_form::{form_of, upload_request};

const ABANDONED: &str = "pixlserv_images_abandoned_total";
const TIMED_OUT: &str = r#"pixlserv_shed_total{reason="request-timeout"}"#;

/// A server that makes one image at a time, of a picture that takes a while.
fn slow_server(configuration: &str) -> Server {
    let server = Server::start(&format!("pixel-threads: 1\nupload-max-pixels: 9000000\n{configuration}"));
    std::fs::write(server.images().join("large.jpg"), noise(2400, 1800)).unwrap();
    server
}

#[test]
fn work_that_has_not_begun_in_time_is_dropped() {
    let server = slow_server("http: {request-timeout: 1, queue-timeout: 3600, max-queue: 1000}\n");
    let mut clients: Vec<Client> = (0..150).map(|_| Client::new(&server)).collect();
    let start = Instant::now();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&format!("/image/w_{}/large.jpg", 1000 + number)).unwrap();
    }
    let upload = upload_request("/upload", &form_of(&noise(300, 200)));
    let mut uploading = Client::new(&server);
    uploading.write(&upload).unwrap();
    let answers: Vec<_> = clients.iter_mut().map(|client| client.receive().unwrap().unwrap()).collect();
    let took = start.elapsed();
    let (made, late): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert!(!made.is_empty() && late.len() >= 20, "{} made, {} late, in {took:?}", made.len(), late.len());
    for answer in &late {
        assert_eq!((answer.status, answer.header("Retry-After")), (503, Some("1")), "{answer:?}");
    }
    assert!([200, 503].contains(&uploading.receive().unwrap().unwrap().status));
    // The same connections go on, and nobody gets the answer of a request that is over.
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.get(&format!("/health?{number}")).text(), "ok");
    }
    assert_eq!(server.get("/image/w_20/photo.jpg").status, 200);
    let text = metrics(&server);
    assert!(value(&text, TIMED_OUT) >= late.len() as f64, "{text}");
    let is_dropped = || (value(&metrics(&server), ABANDONED) >= late.len() as f64).then_some(());
    poll(Instant::now() + PATIENCE, is_dropped).expect("what is over is done all the same");
}

/// Whoever joins what has begun may wait for it, however long that takes.
#[test]
fn what_has_begun_is_waited_for() {
    let server = slow_server("http: {request-timeout: 1, queue-timeout: 3600}\nmax-output-side: 9000\nmax-scale: 5\n");
    let target = "/image/w_9000,h_6700/large.jpg";
    let mut clients: Vec<Client> = (0..3).map(|_| Client::new(&server)).collect();
    for client in &mut clients {
        client.send(target).unwrap();
    }
    for client in &mut clients {
        let answer = client.receive().unwrap().unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert!(value(&metrics(&server), TIMED_OUT) < 0.5);
}

#[test]
fn what_nobody_waits_for_is_not_begun() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let server = slow_server(&format!("listen: [\"127.0.0.1:0\", \"unix:{}\"]\n", socket.display()));
    let mut held = Client::new(&server);
    held.send("/image/w_1999/large.jpg").unwrap();
    for number in 0..100 {
        let mut stream = UnixStream::connect(&socket).unwrap();
        write!(stream, "GET /image/w_{}/large.jpg HTTP/1.1\r\nHost: x\r\n\r\n", 1000 + number).unwrap();
        // Who is gone before the request is read has asked for nothing.
        std::thread::park_timeout(Duration::from_millis(1));
    }
    assert_eq!(held.receive().unwrap().unwrap().status, 200);
    assert_eq!(server.get("/image/w_1998/large.jpg").status, 200, "the queue is free again");
    let n_abandoned = value(&metrics(&server), ABANDONED);
    assert!(n_abandoned >= 20.0, "{n_abandoned} of 100");
    let n_gone = server.log().lines().filter(|line| line.contains("status=499")).count();
    assert!(n_gone >= 20, "that they asked is told: {n_gone}");
}

/// A limit of memory that one image alone would break ends that request, not the process.
#[test]
fn what_needs_more_memory_than_there_is_is_refused() {
    let server = Server::start("memory-limit: 134217728\nmax-output-side: 20000\n");
    let large = "/image/w_9000,h_6000/photo.jpg";
    let refused = server.get(large);
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.text().contains("MB of memory, allowed: 48 MB"), "{refused:?}");
    assert_eq!(server.get("/image/w_900,h_600/photo.jpg").status, 200);
    let text = metrics(&server);
    assert!(
        value(&text, r#"pixlserv_limit{key="memory-limit"}"#) > 1e8 && server.peak_kb() < 80_000,
        "{}",
        server.peak_kb()
    );
}
