//! How many requests an address may make, and who says which address it is.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType};

use crate::api_keys::Key;
use crate::client::Client;
use crate::pictures::{noise, png};
use crate::server::{Answer, PATIENCE, Server, answers, poll};
use crate::upload_form::{Told, folder, form_of, stored_path, upload_request};

/// So many at once, then one in three seconds; a busy machine may see one more.
const RATE: usize = 20;
const IMAGE: &str = "/image/w_10/photo.png";

fn configuration(more: &str) -> String {
    format!("throttling-rate: {RATE}\n{more}")
}

/// What became of requests in a row.
struct Burst {
    n_good: usize,
    refused: Option<Answer>,
    time: Duration,
}

impl Burst {
    /// Asks, and counts what is not refused.
    fn of(n: usize, ask: impl FnMut(usize) -> Answer) -> Self {
        let start = Instant::now();
        let answers: Vec<Answer> = (0..n).map(ask).collect();
        let time = start.elapsed();
        let (good, refused): (Vec<Answer>, Vec<Answer>) = answers.into_iter().partition(|answer| answer.status != 429);
        Self { n_good: good.len(), refused: refused.into_iter().next(), time }
    }

    /// Exactly, but for one, and for what came back meanwhile.
    fn assert_limit(&self, expected: usize, what: &str) {
        let most = expected + 1 + self.time.as_secs() as usize * RATE / 60;
        assert!((expected..=most).contains(&self.n_good), "{what}: {} answered, allowed: {expected}", self.n_good);
    }
}

/// So many requests on one connection.
fn burst(server: &Server, n: usize, target: &str) -> Burst {
    let mut client = Client::new(server);
    Burst::of(n, |_| client.get(target))
}

fn assert_told_when(answer: &Answer) {
    let seconds: u64 = answer.header("Retry-After").unwrap_or_default().parse().unwrap_or(0);
    assert!((1..=3).contains(&seconds), "{answer:?}");
}

#[test]
fn so_many_requests_are_answered_and_the_others_told_when_to_come() {
    for target in [IMAGE, "/", "/nowhere", "/image/w_10/missing.png", "/image/w_0/photo.png"] {
        let server = Server::start(&configuration(""));
        let burst = burst(&server, 25, target);
        burst.assert_limit(RATE, target);
        let refused = burst.refused.unwrap();
        refused.assert_reason(target);
        assert_told_when(&refused);
    }
}

#[test]
fn uploads_count_and_are_refused_in_json_before_they_are_read() {
    let server = Server::start(&configuration(""));
    let request = upload_request("/upload", &form_of(&png(9, 9)));
    let burst = Burst::of(25, |_| {
        let answer = server.exchange(&request).answers.remove(0);
        assert!([200, 429].contains(&Told::of(&answer).status), "{answer:?}");
        answer
    });
    burst.assert_limit(RATE, "uploads");
    assert_told_when(&burst.refused.unwrap());
}

#[test]
fn questions_for_health_and_what_the_client_has_already_do_not_count() {
    let server = Server::start(&configuration(""));
    let tag = server.get(IMAGE).header("ETag").unwrap().to_owned();
    for _ in 0..40 {
        assert_eq!(server.get("/health").status, 200);
        assert_eq!(server.get("/ready").status, 200);
        assert_eq!(server.request("GET", IMAGE, &[("If-None-Match", &tag)]).status, 304);
    }
    let burst = burst(&server, 25, IMAGE);
    // The first request took one, which may have come back.
    assert!((RATE - 1..=RATE + 3).contains(&burst.n_good), "{}", burst.n_good);
    assert_eq!(server.request("GET", IMAGE, &[("If-None-Match", &tag)]).status, 304, "over the limit");
    assert_eq!(server.get("/health").status, 200, "over the limit");
    assert_eq!(server.get("/ready").status, 200, "over the limit");
}

#[test]
fn keys_and_failures_are_no_way_around() {
    let server = Server::start(&configuration("authorisation: {get: Yes}\n"));
    let key = Key::add(&server);
    // Tried with other keys, as somebody does who is looking for one.
    let target =
        |number| if number % 3 == 0 { key.image_target("w_10/photo.png") } else { format!("/k{number}{IMAGE}") };
    Burst::of(30, |number| server.get(&target(number))).assert_limit(RATE, "keys");
}

#[test]
fn no_rate_is_no_limit() {
    let server = Server::start("");
    assert_eq!(burst(&server, 300, IMAGE).n_good, 300);
}

/// Whom the server takes clients for.
struct Proxy<'a> {
    server: &'a Server,
    /// Of the proxy itself.
    address: &'a str,
}

impl Proxy<'_> {
    /// One request with these values of X-Forwarded-For.
    fn ask(&self, forwarded: &[String]) -> Answer {
        let mut head = format!("GET {IMAGE} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
        for value in forwarded {
            write!(head, "X-Forwarded-For: {value}\r\n").unwrap();
        }
        let mut client = Client::over(connect_from(self.address, self.server));
        client.write((head + "\r\n").as_bytes()).unwrap();
        let answer = client.receive().unwrap().unwrap();
        assert!([200, 429].contains(&answer.status), "{answer:?}");
        answer
    }

    fn passes(&self, forwarded: &str) -> bool {
        self.ask(&[forwarded.to_owned()]).status == 200
    }

    fn burst(&self, forwarded: impl Fn(usize) -> Vec<String>) -> Burst {
        Burst::of(25, |number| self.ask(&forwarded(number)))
    }

    /// Whether what is used up by one is used up for the other.
    fn counts_together(&self, forwarded: &str, other: &str) -> bool {
        self.burst(|_| vec![forwarded.to_owned()]);
        !self.passes(other)
    }
}

/// A connection that comes from a local address of our choice.
fn connect_from(address: &str, server: &Server) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let from: IpAddr = address.parse().unwrap();
    rustix::net::bind(&socket, &std::net::SocketAddr::new(from, 0)).unwrap();
    rustix::net::connect(&socket, &server.address()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn other_addresses_are_not_concerned() {
    let server = Server::start(&configuration(""));
    for address in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
        Proxy { server: &server, address }.burst(|_| vec![]).assert_limit(RATE, address);
    }
}

#[test]
fn nobody_is_believed_who_is_no_trusted_proxy() {
    for trusted in ["", "trusted-proxies: [127.0.0.1]\n", "trusted-proxies: [10.0.0.0/8, \"::1\", 127.0.0.3]\n"] {
        let server = Server::start(&configuration(trusted));
        let stranger = Proxy { server: &server, address: "127.0.0.2" };
        stranger.burst(|number| vec![format!("198.51.100.{number}")]).assert_limit(RATE, trusted);
        // Nor can they use up what is another's.
        let server = Server::start(&configuration(trusted));
        Proxy { server: &server, address: "127.0.0.2" }.burst(|_| vec!["127.0.0.9".to_owned()]);
        assert_eq!(Proxy { server: &server, address: "127.0.0.9" }.ask(&[]).status, 200, "{trusted}");
    }
}

#[test]
fn a_trusted_proxy_is_believed_about_the_last_address_that_it_names() {
    let server = Server::start(&configuration("trusted-proxies: [127.0.0.1, 10.0.0.0/8]\n"));
    let proxy = Proxy { server: &server, address: "127.0.0.1" };
    proxy.burst(|_| vec!["198.51.100.1".to_owned()]).assert_limit(RATE, "one client");
    assert!(proxy.passes("198.51.100.2"), "another client");
    assert_eq!(proxy.ask(&[]).status, 200, "the proxy itself");
    // What a client says itself stands before what the proxy adds.
    let forged = |number: usize| vec![format!("203.0.113.{number}, 198.51.100.3")];
    proxy.burst(forged).assert_limit(RATE, "a forged address before");
    assert!(proxy.passes("203.0.113.1"), "whose it is");
    let in_two_lines = |number: usize| vec![format!("203.0.113.{number}"), "198.51.100.4".to_owned()];
    proxy.burst(in_two_lines).assert_limit(RATE, "a forged line before");
    let by_two = |number: usize| vec![format!("203.0.113.{number}, 198.51.100.5, 10.1.2.{number}")];
    proxy.burst(by_two).assert_limit(RATE, "through two proxies");
    // The client is the last one that is no proxy, however it calls itself.
    for other in [
        "10.0.0.7, 198.51.100.1",
        "127.0.0.1, 198.51.100.1",
        "rubbish, 198.51.100.1",
        "198.51.100.1:4711",
        "::ffff:198.51.100.1",
        " 198.51.100.1 ",
    ] {
        assert!(proxy.counts_together("198.51.100.1", other), "{other}");
    }
}

#[test]
fn rubbish_from_a_trusted_proxy_is_the_proxy() {
    let server = Server::start(&configuration("trusted-proxies: [127.0.0.1]\n"));
    let proxy = Proxy { server: &server, address: "127.0.0.1" };
    let words = ["", "unknown", "_hidden", "1.2.3", "198.51.100.1 198.51.100.2", "localhost", ",,,"];
    proxy.burst(|number| vec![words[number % words.len()].to_owned()]).assert_limit(RATE, "rubbish");
}

#[test]
fn a_network_of_ipv6_is_one_address() {
    let server = Server::start(&configuration("trusted-proxies: [127.0.0.1]\n"));
    let proxy = Proxy { server: &server, address: "127.0.0.1" };
    proxy.burst(|number| vec![format!("2001:db8:1:2:{number:x}::{number:x}")]).assert_limit(RATE, "one /64");
    assert!(proxy.counts_together("2001:db8:1:2::1", "[2001:db8:1:2:ffff::1]:443"));
    assert!(!proxy.counts_together("2001:db8:1:2::1", "2001:db8:1:3::1"));
    let others = |number: usize| vec![format!("2001:db8:1:{:x}::1", number + 4)];
    assert_eq!(proxy.burst(others).n_good, 25, "other networks");
}

#[test]
fn whoever_comes_through_a_unix_socket_is_a_proxy() {
    let folder = tempfile::TempDir::new().unwrap();
    let socket = folder.path().join("socket");
    let listen = format!("listen: [\"127.0.0.1:0\", \"unix:{}\"]\n", socket.display());
    let server = Server::start(&configuration(&listen));
    // The log may speak of the socket after the address.
    poll(Instant::now() + PATIENCE, || socket.exists().then_some(())).unwrap();
    let ask = |forwarded: String| {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("GET {IMAGE} HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: {forwarded}\r\n");
        stream.write_all((head + "Connection: close\r\n\r\n").as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        answers(&bytes).remove(0)
    };
    Burst::of(25, |_| ask("198.51.100.1".to_owned())).assert_limit(RATE, "one client");
    let forged = |number| ask(format!("203.0.113.{number}, 198.51.100.2"));
    Burst::of(25, forged).assert_limit(RATE, "a forged address before");
    assert_eq!(Burst::of(25, |number| ask(format!("192.0.2.{number}"))).n_good, 25, "many clients");
    // Through the other door nobody is believed.
    let stranger = Proxy { server: &server, address: "127.0.0.1" };
    stranger.burst(|number| vec![format!("192.0.2.{number}")]).assert_limit(RATE, "the other door");
}

#[test]
fn a_refusal_costs_no_connection_and_no_image() {
    let server = Server::start(&configuration(""));
    burst(&server, 25, IMAGE);
    let two = "GET /image/w_11/photo.png HTTP/1.1\r\nHost: test\r\n\r\n".repeat(2);
    let last = "GET /health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    let exchange = server.exchange((two + last).as_bytes());
    let statuses = exchange.statuses();
    assert!(statuses.len() == 3 && statuses[1..] == [429, 200] && exchange.closed, "{exchange:?}");
}

#[test]
fn an_upload_over_the_limit_stores_nothing() {
    let server = Server::start(&configuration(""));
    stored_path(&server, &png(9, 9));
    burst(&server, 25, IMAGE);
    let images = folder(&server.images()).len();
    let request = upload_request("/upload", &form_of(&noise(500, 500)));
    let n_stored = Burst::of(3, |_| server.exchange(&request).answers.remove(0)).n_good;
    assert!(n_stored < 3 && folder(&server.images()).len() == images + n_stored, "{n_stored}");
}
