//! The end that a system asks for: whoever has asked before it gets an answer.

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::pictures::noise;
use crate::server::{Answer, Server};

/// How many servers are stopped; this variable may ask for more.
const ROUNDS: (&str, usize) = ("PIXLSERV_STOP_ROUNDS", 50);

/// Idle connections are kept for this long after the stop, and after the last answer.
const GRACE: Duration = Duration::from_secs(1);

fn n_rounds() -> usize {
    std::env::var(ROUNDS.0).map_or(ROUNDS.1, |text| text.parse().unwrap())
}

/// Sends one request and takes its answer; `begun` is when the connection last had a reason to live.
fn ask(client: &mut Client, target: &str, begun: Instant) -> Option<Answer> {
    let sent = client.send(target);
    let waited = begun.elapsed();
    match sent.and_then(|()| client.receive()) {
        Ok(Some(answer)) => {
            assert!(answer.status == 200, "{target}: {answer:?}");
            Some(answer)
        }
        // A test that gets no processor for so long has nothing to complain about.
        _ if waited >= GRACE => None,
        other => panic!("{target}, sent {waited:?} after the last answer, has none: {other:?}"),
    }
}

/// Keeps a connection as long as the server does.
fn stay(mut client: Client, number: usize) -> usize {
    let mut begun = Instant::now();
    for count in 0.. {
        // Some are made anew, some are hits.
        let target = format!("/image/w_{},h_{}/noise.jpg", 20 + number, 10 + count % 50);
        let Some(answer) = ask(&mut client, &target, begun) else {
            return count;
        };
        begun = Instant::now();
        if answer.header("Connection") == Some("close") {
            return count + 1;
        }
    }
    0
}

/// Comes with a new connection each time, until nobody listens any more.
fn come_again(server: &Server, number: usize, is_stopping: &AtomicBool) -> usize {
    for count in 0.. {
        let begun = Instant::now();
        let mut client = match Client::try_new(server) {
            Ok(client) => client,
            Err(error) => {
                assert!(is_stopping.load(Ordering::SeqCst), "before the stop: {error}");
                return count;
            }
        };
        let target = format!("/image/w_{},h_{}/noise.jpg", 30 + number, 10 + count % 50);
        if !is_stopping.load(Ordering::SeqCst) {
            if ask(&mut client, &target, begun).is_none() {
                return count;
            }
            continue;
        }
        // The listener may close with this connection in its queue; but one that is taken is answered.
        match client.send(&target).and_then(|()| client.receive()) {
            Ok(Some(answer)) => assert_eq!(answer.status, 200, "{answer:?}"),
            Ok(None) => assert!(begun.elapsed() >= GRACE, "taken after the stop, and not answered"),
            Err(error) => assert!(is_reset(&error), "{error}"),
        }
    }
    0
}

fn is_reset(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

#[test]
fn whoever_has_asked_before_the_stop_is_answered() {
    let first = Server::start("");
    std::fs::write(first.images().join("noise.jpg"), noise(300, 200)).unwrap();
    let mut n_answers = 0;
    for round in 0..n_rounds() {
        // A server that starts from what others have kept, or with nothing.
        let mut server = first.again(if round % 2 == 0 { "" } else { "cache: {enabled: No}\n" });
        let is_stopping = AtomicBool::new(false);
        n_answers += thread::scope(|scope| {
            let server = &server;
            let clients: Vec<Client> = (0..6).map(|_| Client::new(server)).collect();
            let stay = |(number, client)| scope.spawn(move || stay(client, number));
            let staying: Vec<_> = clients.into_iter().enumerate().map(stay).collect();
            let is_stopping = &is_stopping;
            let coming: Vec<_> =
                (0..3).map(|number| scope.spawn(move || come_again(server, number, is_stopping))).collect();
            thread::park_timeout(Duration::from_millis((round * 37 % 101) as u64));
            is_stopping.store(true, Ordering::SeqCst);
            server.terminate();
            staying.into_iter().chain(coming).map(|client| client.join().unwrap()).sum::<usize>()
        });
        let status = server.wait(Duration::from_secs(10)).expect("the server still runs");
        assert_eq!(status.code(), Some(0), "{}", server.log_of_events());
        assert!(!server.log().contains("WARN") && !server.log().contains("ERROR"), "{}", server.log_of_events());
    }
    assert!(n_answers > 10 * n_rounds(), "only {n_answers} answers");
}
