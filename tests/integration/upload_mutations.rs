//! Forms that nobody wrote on purpose: valid ones, damaged in many ways by a seeded generator. Each gets an answer.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::pictures::{jpeg, png};
use crate::server::Server;
use crate::upload_form::{BOUNDARY, Before, Form, Told, chunked_request, folder, media_type, upload_request};

/// How many forms; this variable may ask for more.
const CASES: (&str, u64) = ("PIXLSERV_FORM_MUTATIONS", 320);
const N_CLIENTS: u64 = 8;
/// What an answer may take, with the second that the server waits for what does not come.
const PATIENCE: Duration = Duration::from_secs(5);

/// xorshift64*.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, which may be 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end.max(1)
    }

    /// A piece of so many bytes at most.
    fn range(&mut self, length: usize, max: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..(start + 1 + self.below(max)).min(length)
    }
}

fn valid(random: &mut Random) -> Vec<u8> {
    let picture = match random.below(3) {
        0 => jpeg(40, 30),
        1 => png(24, 16),
        _ => png(3, 2),
    };
    match random.below(4) {
        0 => Form::new().image(&picture),
        1 => Form::new().text("timestamp", "1795451763").text("signature", "00ff").image(&picture),
        2 => Form::new().image(&picture).text("title", "a b").text("sha256", ""),
        _ => Form::new().text("x", "").part("Content-Disposition: form-data; name=image", &picture),
    }
    .end()
}

/// A place where forms are most easily broken: beside a line end, a hyphen or a quote; or any.
fn place(random: &mut Random, body: &[u8]) -> usize {
    let edges: Vec<usize> = (0..body.len()).filter(|at| matches!(body[*at], b'\r' | b'\n' | b'"')).collect();
    if random.below(3) == 0 || edges.is_empty() { random.below(body.len()) } else { edges[random.below(edges.len())] }
}

fn mutate(random: &mut Random, body: &mut Vec<u8>) {
    const TOKENS: [&[u8]; 12] = [
        b"\r\n",
        b"\r",
        b"\n",
        b"--",
        b"\r\n\r\n",
        b"\0",
        b"\"",
        b"\r\n------TestFormBoundary7MA4YWxk",
        b"\r\n------TestFormBoundary7MA4YWxk--",
        b"\r\n------TestFormBoundary7MA4YWxk\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n",
        b"\xff\xfe\xff",
        b": ; = ,",
    ];
    let at = place(random, body);
    let piece = random.range(body.len(), 200);
    match random.below(8) {
        0 => body.truncate(at),
        1 => {
            let copy = body[piece].to_vec();
            body.splice(at..at, copy);
        }
        2 if at < body.len() => body[at] ^= 1 << random.below(8),
        3 => drop(body.drain(at..(at + 1 + random.below(8)).min(body.len()))),
        4 => drop(body.drain(piece)),
        5 => drop(body.splice(at..at, TOKENS[random.below(TOKENS.len())].iter().copied())),
        6 => body[piece].reverse(),
        _ => {
            let noise: Vec<u8> = (0..random.below(40)).map(|_| random.next() as u8).collect();
            body.splice(at..at, noise);
        }
    }
}

/// A request, and whether its client ends its side of the connection after it.
fn request(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut body = valid(&mut random);
    for _ in 0..=random.below(3) {
        mutate(&mut random, &mut body);
    }
    match random.below(10) {
        0 => chunked_request("/upload", &body, 1 + random.below(300)),
        1 | 2 => {
            // A length that is not the body's.
            let length = (body.len() + 20).saturating_sub(random.below(60));
            let head = format!("POST /upload HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{}", media_type(BOUNDARY));
            [format!("{head}Content-Length: {length}\r\n\r\n").as_bytes(), &body].concat()
        }
        _ => upload_request("/upload", &body),
    }
}

/// What the server says to a request; the connection has to end.
fn answer(server: &Server, seed: u64) -> Told {
    let start = Instant::now();
    let exchange = server.exchange_for(&request(seed), PATIENCE);
    assert!(exchange.closed, "seed {seed}: no end after {:?}: {exchange:?}", start.elapsed());
    Told::only(&exchange, &format!("seed {seed}"))
}

#[test]
fn a_damaged_form_is_answered_and_leaves_a_sound_picture_or_nothing() {
    let n_cases = std::env::var(CASES.0).map_or(CASES.1, |text| text.parse().unwrap());
    let server = Server::start("http: {read-timeout: 1}\n");
    let before = Before::of(&server);
    let start = folder(&server.images());
    let clients = (0..N_CLIENTS).collect();
    let stored = crate::client::together(clients, |client| {
        let mut stored = Vec::new();
        for seed in (client..n_cases).step_by(N_CLIENTS as usize) {
            let told = answer(&server, seed);
            if told.status == 200 {
                let shown = server.get(&format!("/image/w_7,h_5/{}", told.path));
                assert_eq!(shown.status, 200, "seed {seed}: {told:?}, {shown:?}");
                stored.push(told.path);
            } else {
                assert!((400..500).contains(&told.status), "seed {seed}: {told:?}\n{}", server.log_of_events());
            }
        }
        stored
    });
    let mut expected: Vec<String> = stored.into_iter().flatten().chain(start.into_keys()).collect();
    expected.sort_unstable();
    assert_eq!(folder(&server.images()).into_keys().collect::<Vec<_>>(), expected);
    // Some damage hurts nothing that matters.
    assert!(expected.len() > 10 && (expected.len() as u64) < n_cases / 2, "{} of {n_cases}", expected.len());
    before.assert_all_closed(&server, "damaged forms");
    assert!(!server.log().contains("panic"), "{}", server.log_of_events());
}

#[test]
fn noise_after_a_good_head_is_answered_and_leaves_nothing() {
    let server = Server::start("http: {read-timeout: 1}\n");
    let before = Before::of(&server);
    let mut random = Random::new(77);
    for number in 0..100 {
        let noise: Vec<u8> = (0..random.below(3000)).map(|_| random.next() as u8).collect();
        let request = upload_request("/upload", &noise);
        assert_eq!(Told::only(&server.exchange_for(&request, PATIENCE), "noise").status, 400, "number {number}");
        let mut stream = server.connect();
        // Chunks that are none; the server may be gone before all of it is sent.
        let head = "POST /upload HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n";
        let _ = stream.write_all(&[head.as_bytes(), b"g", &noise].concat());
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        assert!(bytes.starts_with(b"HTTP/1.1 400"), "number {number}: {}", String::from_utf8_lossy(&bytes));
    }
    before.assert_nothing_stored(&server, "noise");
    before.assert_all_closed(&server, "noise");
}
