//! Too much, too slow, too many: what each client may take.

use std::io::BufReader;
use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

#[test]
fn slow_heads_end_and_silence_ends_silently() {
    let limits = Limits { head_timeout: Duration::from_millis(50), ..patient() };
    let server = Server::start(limits);
    let answer = server.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n");
    assert_eq!(status_of(&answer), 408, "{answer}");
    let limits = Limits { idle_timeout: Duration::from_millis(50), ..patient() };
    let server = Server::start(limits);
    assert_eq!(server.exchange(b""), "");
    let answer = server.exchange(&get("/a"));
    assert!(answer.ends_with("GET /a"), "{answer}");
}

#[test]
fn a_stalled_body_holds_nobody_for_long() {
    let limits = Limits { skip_timeout: Duration::from_millis(20), ..patient() };
    let server = Server::start(limits);
    let answer = server.exchange(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1234");
    assert!(answer.ends_with("POST /a"), "{answer}");
}

#[test]
fn a_full_queue_says_so_and_health_passes_it() {
    let (handler, started, gate) = holding();
    let server = Server::with(Limits { max_requests: 1, ..patient() }, 1, handler);
    let mut held = BufReader::new(server.connect());
    held.get_mut().write_all(&get("/hold")).unwrap();
    started.recv_timeout(PATIENCE).unwrap();
    let mut other = BufReader::new(server.connect());
    other.get_mut().write_all(&get("/a")).unwrap();
    let (head, _) = read_answer(&mut other);
    assert!(status_of(&head) == 503 && head.contains("\r\nretry-after: 1\r\n"), "{head}");
    other.get_mut().write_all(&get("/health")).unwrap();
    assert_eq!(read_answer(&mut other).1, "alive");
    gate.wait();
    assert_eq!(read_answer(&mut held).1, "GET /hold");
    other.get_mut().write_all(&get("/a")).unwrap();
    assert_eq!(read_answer(&mut other).1, "GET /a");
}

#[test]
fn nobody_waits_for_a_thread_for_long() {
    let (handler, started, gate) = holding();
    let limits = Limits { request_timeout: Duration::from_millis(20), ..patient() };
    let server = Server::with(limits, 1, handler);
    let mut held = BufReader::new(server.connect());
    held.get_mut().write_all(&get("/hold")).unwrap();
    started.recv_timeout(PATIENCE).unwrap();
    // A second `/hold` that ran would tell so, and wait for a gate that nobody opens.
    let answer = server.exchange(b"GET /hold HTTP/1.0\r\n\r\n");
    assert!(status_of(&answer) == 503 && answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
    gate.wait();
    assert_eq!(read_answer(&mut held).1, "GET /hold", "one that runs may take its time");
    held.get_mut().write_all(&get("/a")).unwrap();
    assert_eq!(read_answer(&mut held).1, "GET /a");
    assert!(started.try_recv().is_err());
}

#[test]
fn a_full_house_closes_who_waited_longest() {
    let limits = Limits { max_connections: 3, eviction_age: Duration::from_millis(100), ..patient() };
    let server = Server::start(limits);
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = BufReader::new(server.connect());
        stream.get_mut().write_all(&get("/a")).unwrap();
        assert_eq!(read_answer(&mut stream).1, "GET /a");
        held.push(stream);
    }
    let mut late = BufReader::new(server.connect());
    late.get_mut().write_all(&get("/late")).unwrap();
    assert_eq!(read_answer(&mut late).1, "GET /late");
    assert_eq!(read_to_end(held.remove(0)), "", "the oldest is closed");
    held[0].get_mut().write_all(&get("/b")).unwrap();
    assert_eq!(read_answer(&mut held[0]).1, "GET /b", "the others live");
}

#[test]
fn one_address_gets_its_share() {
    let server = Server::start(Limits { max_connections_per_address: 2, ..patient() });
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = BufReader::new(server.connect());
        stream.get_mut().write_all(&get("/a")).unwrap();
        read_answer(&mut stream);
        held.push(stream);
    }
    assert_eq!(status_of(&read_to_end(server.connect())), 503);
    held[0].get_mut().write_all(&get("/a")).unwrap();
    assert_eq!(read_answer(&mut held[0]).1, "GET /a");
}

#[test]
fn a_client_that_does_not_read_is_closed() {
    let limits = Limits { write_timeout: Duration::from_millis(100), ..patient() };
    let server = Server::start(limits);
    let mut slow = server.connect();
    slow.write_all(&get("/large").repeat(100)).unwrap();
    let mut other = BufReader::new(server.connect());
    other.get_mut().write_all(&get("/a")).unwrap();
    assert_eq!(read_answer(&mut other).1, "GET /a");
    // Joining shows that the server gave the connection up, since nothing was read of it by then.
    drop(server);
    let mut n_bytes = 0;
    let mut room = vec![0; 1 << 16];
    while let Ok(n_read @ 1..) = slow.read(&mut room) {
        n_bytes += n_read;
    }
    assert!(n_bytes < LARGE.len(), "{n_bytes} bytes were waiting");
}

#[test]
fn answers_for_slow_clients_have_a_bound() {
    let answer = |_: &Request| Response::bytes("image/png", vec![0_u8; 16 << 20]);
    let server = Server::with(Limits { max_unsent_bytes: 40 << 20, ..patient() }, 2, answer);
    let ask = || {
        let mut stream = server.connect();
        stream.write_all(&get("/a")).unwrap();
        // Its first byte shows that it is on its way.
        stream.read_exact(&mut [0]).unwrap();
        stream
    };
    let streams: Vec<TcpStream> = (0..4).map(|_| ask()).collect();
    let whole = |mut stream: TcpStream| {
        let mut room = vec![0; 1 << 20];
        let mut n_bytes = 1;
        while n_bytes < 16 << 20 {
            match stream.read(&mut room) {
                Ok(n_read @ 1..) => n_bytes += n_read,
                _ => return false,
            }
        }
        true
    };
    let is_whole: Vec<bool> = streams.into_iter().map(whole).collect();
    assert_eq!(is_whole, [false, false, true, true], "who began first is closed first");
}

/// Says to the copy of this program below that it is the copy.
const CHILD: &str = "PIXLSERV_TEST_FEW_FILES";

/// The limit on open files is the process's own, so the server of this test is another process: this program, asked
/// for this one test.
#[test]
fn running_out_of_files_is_survived() {
    if std::env::var_os(CHILD).is_some() {
        return serve_with_few_files();
    }
    let name = "http::tests::bounds::running_out_of_files_is_survived";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Held to the end: the child says more when it is done.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.find_map(|line| line.rsplit_once("address ")?.1.parse().ok()).unwrap();
    let held: Vec<TcpStream> = (0..80).map(|_| connect(address)).collect();
    let mut late = connect(address);
    late.write_all(b"GET /a HTTP/1.0\r\n\r\n").unwrap();
    assert!(read_to_end(late).ends_with("GET /a"));
    drop(held);
    drop(child.stdin.take());
    lines.for_each(drop);
    assert!(child.wait().unwrap().success());
}

fn serve_with_few_files() {
    let limits = Limits { eviction_age: Duration::ZERO, ..patient() };
    let server = Server::start(limits);
    // The first answer shows that the server has read the limit, as it was.
    assert!(server.exchange(b"GET /a HTTP/1.0\r\n\r\n").ends_with("GET /a"));
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(40), maximum: before.maximum }).unwrap();
    println!("address {}", server.address);
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}
