//! What is said to nginx and not meant for it: whatever nginx makes of a request, we never see more of them than it
//! does, and nothing of ours fails. The tables are those of the direct tests.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::abuse::{
    AMBIGUOUS, CHUNKS, HIDDEN, LENGTHS, MISSHAPEN, TARGETS, with_header_line, with_headers, with_target,
};
use crate::nginx::{Nginx, Passing};
use crate::server::{Exchange, Server, exchange, poll, try_connect};

/// nginx waits for a body up to its own time-out; these tests need not.
const PATIENCE: Duration = Duration::from_millis(400);

/// Says each request to nginx, in both forms, on a connection of its own.
fn say_all(requests: &[(String, Vec<u8>)], check: impl Fn(&str, &Exchange) + Sync) {
    for passing in [Passing::Raw, Passing::Normalised] {
        let server = Server::start("");
        let Some(nginx) = Nginx::start(&server, passing) else {
            return;
        };
        // Those that nginx waits with are many, and wait for nothing together.
        std::thread::scope(|scope| {
            for part in requests.chunks(requests.len().div_ceil(16)) {
                let (nginx, check) = (&nginx, &check);
                scope.spawn(move || {
                    for (name, request) in part {
                        let answers = exchange(nginx.address(), request, PATIENCE);
                        let statuses = answers.statuses();
                        // What nginx does not speak, it says so itself; a 502 would be ours.
                        let is_fine = |status: &u16| *status < 500 || [501, 505].contains(status);
                        assert!(statuses.iter().all(is_fine), "{name} {passing:?}: {statuses:?}");
                        check(name, &answers);
                    }
                });
            }
        });
        server.assert_alive("all of it");
        let seen = server.log().lines().filter(|line| line.contains(" request ")).count();
        // Our own look at the end is one that nginx has not seen; it writes its log when it is done with a client.
        let has_seen_them = || (seen <= nginx.access_log().len() + 1).then_some(());
        let passed_on = poll(Instant::now() + PATIENCE * 20, has_seen_them);
        assert!(passed_on.is_some(), "{passing:?}: nginx has seen {} requests, we {seen}", nginx.access_log().len());
    }
}

#[test]
fn lengths_that_lie() {
    let long = "x".repeat(20_000);
    let mut requests = Vec::new();
    for target in TARGETS {
        for (value, _) in LENGTHS {
            for body in ["", "ab", &long] {
                let head = format!("{target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {value}");
                requests
                    .push((format!("{target} {value} {}", body.len()), format!("{head}\r\n\r\n{body}").into_bytes()));
            }
        }
    }
    say_all(&requests, |name, answers| assert!(answers.answers.len() <= 1, "{name}: {answers:?}"));
}

#[test]
fn heads_that_two_readers_frame_differently() {
    let mut requests = Vec::new();
    for (name, headers) in AMBIGUOUS {
        for start in ["POST /upload HTTP/1.1", "GET /image/w_10/photo.png HTTP/1.1"] {
            let request = format!("{start}\r\nHost: test\r\n{headers}\r\n0\r\n\r\n{HIDDEN}");
            requests.push((format!("{start}, {name}"), request.into_bytes()));
        }
    }
    // nginx speaks HTTP/0.9, which has no status to look at.
    for (name, request) in MISSHAPEN.into_iter().filter(|(name, _)| *name != "HTTP/0.9") {
        requests.push((name.to_owned(), format!("{request}{HIDDEN}").into_bytes()));
    }
    for (name, body) in CHUNKS {
        let head = "POST /upload HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
        requests.push((name.to_owned(), format!("{head}{body}{HIDDEN}").into_bytes()));
    }
    say_all(&requests, |_, _| {});
}

#[test]
fn heads_at_and_above_the_limits() {
    let lines = [4096, 8191, 8192, 8193, 1 << 20].map(|n| (format!("a line of {n} bytes"), with_header_line(n)));
    let counts = [32, 63, 64, 65, 1000].map(|n| (format!("{n} headers"), with_headers(n)));
    let targets = [1023, 1024, 1025, 65_536].map(|n| (format!("a target of {n} bytes"), with_target(n)));
    let requests: Vec<_> = lines.into_iter().chain(counts).chain(targets).collect();
    say_all(&requests, |name, answers| {
        let statuses = answers.statuses();
        let is_known = statuses.iter().all(|status| [200, 400, 404, 414, 431].contains(status));
        assert!(statuses.len() <= 1 && is_known, "{name}: {statuses:?}");
    });
}

#[test]
fn methods_versions_and_forms() {
    let mut requests = Vec::new();
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "X-Y", "GETT"]
    {
        for target in ["/", "/health", "/image/w_10/photo.png", "/nowhere"] {
            let request = format!("{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
            requests.push((format!("{method} {target}"), request.into_bytes()));
        }
    }
    let forms = [
        "GET /health HTTP/1.0\r\n\r\n",
        "GET /health HTTP/0.9\r\n\r\n",
        "GET /health HTTP/2.0\r\nHost: test\r\n\r\n",
        "GET http://test/health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
        "GET /\u{e4}\u{f6} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
        "GET /image/w_10/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
        "GET /image/w_10/a%2f..%2f..%2fetc HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
        "GET /image/w_10/%252e%252e/photo.png HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
        "GET /image/w_10//photo.png HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
        "GET /image/w_10/photo.png%0d%0aX: HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
    ];
    requests.extend(forms.map(|request| (request.to_owned(), request.as_bytes().to_vec())));
    say_all(&requests, |name, answers| assert!(answers.answers.len() <= 1, "{name}: {answers:?}"));
}

/// nginx keeps slow clients to itself: we never hear of them, and others are served meanwhile.
#[test]
fn clients_that_trickle_their_head_or_body() {
    for passing in [Passing::Raw, Passing::Normalised] {
        let server = Server::start("");
        let Some(nginx) = Nginx::start(&server, passing) else {
            return;
        };
        let greetings = [
            "GET /image/w_20/photo.png HTTP/1.1\r\nHost: x\r\nX-Slow: ",
            "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n",
        ];
        let mut clients: Vec<_> = (0..200)
            .map(|number| {
                let mut stream = try_connect(nginx.address()).unwrap();
                stream.write_all(greetings[number % 2].as_bytes()).unwrap();
                stream
            })
            .collect();
        for _ in 0..10 {
            for client in &mut clients {
                client.write_all(b"x").unwrap();
            }
            assert_eq!(nginx.get("/image/w_20/photo.jpg").status, 200);
        }
        assert_eq!(
            server.log().lines().filter(|line| line.contains("photo.png") || line.contains("upload")).count(),
            0
        );
        // A body that stalls after its refusal is told so, and then closed.
        let refused = exchange(
            nginx.address(),
            b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n\r\nabc",
            PATIENCE,
        );
        assert_eq!(refused.statuses(), [413]);
    }
}
