//! The stop: what ends, what finishes, and how long that may take.

use std::time::Instant;

use super::*;

#[test]
fn the_stop_lets_requests_finish_and_nobody_in() {
    let (handler, started, gate) = holding();
    let mut server = Server::with(patient(), 2, handler);
    let idle = server.connect();
    let mut held = server.connect();
    held.write_all(&get("/hold")).unwrap();
    started.recv_timeout(PATIENCE).unwrap();
    server.stop.request();
    assert_eq!(read_to_end(idle), "", "an idle connection ends at once");
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(server.address).is_ok() {
        assert!(Instant::now() < deadline, "the listener stays open");
        thread::yield_now();
    }
    gate.wait();
    let answer = read_to_end(held);
    assert!(answer.contains("\r\nconnection: close\r\n") && answer.ends_with("GET /hold"), "{answer}");
    server.join();
}

#[test]
fn the_stop_does_not_wait_for_ever() {
    let (handler, started, gate) = holding();
    let mut server = Server::with(Limits { stop_timeout: Duration::from_millis(20), ..patient() }, 2, handler);
    let mut held = server.connect();
    held.write_all(&get("/hold")).unwrap();
    started.recv_timeout(PATIENCE).unwrap();
    server.join();
    assert_eq!(read_to_end(held), "");
    gate.wait();
}

#[test]
fn the_stop_waits_for_a_head_that_has_begun() {
    let mut server = Server::start(patient());
    let mut begun = server.connect();
    begun.write_all(b"GET /a HTTP/1.1\r\n").unwrap();
    server.stop.request();
    begun.write_all(b"Host: x\r\n\r\n").unwrap();
    let answer = read_to_end(begun);
    assert!(answer.contains("\r\nconnection: close\r\n") && answer.ends_with("GET /a"), "{answer}");
    server.join();
}
