//! Requests that lie about their length, hide another request, or never end: refused, closed, and cheap.

use std::io::Write;
use std::time::Duration;

use crate::server::{Exchange, Server};

/// What a request that cannot be framed may be told.
const UNFRAMEABLE: [u16; 7] = [400, 411, 413, 414, 431, 501, 505];
/// What a well-framed request may be told that goes nowhere or is too large.
const UNWELCOME: [u16; 9] = [400, 401, 403, 404, 405, 411, 413, 415, 501];
pub(crate) const CLOSING: Duration = Duration::from_secs(8);

/// Runs `pass` until it has warmed the server up, then once more, and holds its growth against that of plain requests.
fn assert_cheap(server: &Server, allowed_kb: u64, pass: impl Fn()) {
    let plain = || (0..100).for_each(|_| server.assert_alive("a plain request"));
    pass();
    plain();
    let start = server.resident_kb();
    plain();
    let noise = server.resident_kb().saturating_sub(start);
    let start = server.resident_kb();
    pass();
    let growth = server.resident_kb().saturating_sub(start);
    assert!(growth <= allowed_kb + noise, "resident set + {growth} KB, allowed: {allowed_kb} + {noise} of noise");
}

fn assert_refused_and_closed(name: &str, exchange: &Exchange, allowed: &[u16]) {
    assert!(exchange.closed, "{name}: the connection stays open: {exchange:?}");
    assert_eq!(exchange.answers.len(), 1, "{name}: one answer, no more: {exchange:?}");
    assert!(allowed.contains(&exchange.answers[0].status), "{name}: {exchange:?}");
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Length {
    Honest,
    Malformed,
    Enormous,
}

pub(crate) const LENGTHS: [(&str, Length); 9] = [
    ("0", Length::Honest),
    ("-1", Length::Malformed),
    ("+3", Length::Malformed),
    ("3,3", Length::Malformed),
    ("x", Length::Malformed),
    ("1000000000000", Length::Enormous),
    ("9223372036854775807", Length::Enormous),
    ("18446744073709551615", Length::Enormous),
    ("18446744073709551616", Length::Enormous),
];

pub(crate) const TARGETS: [&str; 4] = [
    "POST /upload",
    "GET /image/w_10/photo.png",
    "POST /nowhere",
    "GET /0123456789abcdef0123456789abcdef/image/w_10/photo.png",
];

fn declare_length(server: &Server, target: &str, (value, length): (&str, Length), body: &str) {
    let name = format!("{target}, Content-Length: {value}, {} bytes sent", body.len());
    let request =
        format!("{target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {value}\r\n\r\n{body}");
    let exchange = server.exchange_for(request.as_bytes(), CLOSING);
    match length {
        Length::Honest => {
            assert!(exchange.closed, "{name}: {exchange:?}");
            assert!(exchange.statuses().iter().all(|status| *status < 500 || *status == 501), "{name}: {exchange:?}");
        }
        Length::Malformed => assert_refused_and_closed(&name, &exchange, &[400, 411, 413]),
        Length::Enormous => assert_refused_and_closed(&name, &exchange, &UNWELCOME),
    }
}

#[test]
fn a_false_content_length_is_refused_and_costs_nothing() {
    let server = Server::start("");
    let long = "x".repeat(20_000);
    assert_cheap(&server, 1024, || {
        for target in TARGETS {
            for length in LENGTHS {
                for body in ["", "ab", &long] {
                    declare_length(&server, target, length, body);
                }
            }
        }
    });
}

/// A request in the body of another: whoever answers it has been smuggled past.
pub(crate) const HIDDEN: &str = "GET /health HTTP/1.1\r\nHost: hidden\r\n\r\n";

/// Heads that no two readers understand alike; `HIDDEN` follows each of them.
pub(crate) const AMBIGUOUS: [(&str, &str); 57] = [
    ("length and coding", "Content-Length: 41\r\nTransfer-Encoding: chunked\r\n"),
    ("coding and length", "Transfer-Encoding: chunked\r\nContent-Length: 41\r\n"),
    ("length 0 and coding", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
    ("coding in capitals", "Content-Length: 4\r\nTRANSFER-ENCODING: CHUNKED\r\n"),
    ("coding after a tab", "Content-Length: 4\r\nTransfer-Encoding:\tchunked\r\n"),
    ("coding after a vertical tab", "Content-Length: 4\r\nTransfer-Encoding: \x0bchunked\r\n"),
    ("vertical tab alone", "Transfer-Encoding: \x0bchunked\r\n"),
    ("form feed before chunked", "Transfer-Encoding: \x0cchunked\r\n"),
    ("coding with a tail", "Content-Length: 4\r\nTransfer-Encoding: chunked \x0b\r\n"),
    ("unknown coding", "Transfer-Encoding: xchunked\r\n"),
    ("unknown coding and length", "Content-Length: 4\r\nTransfer-Encoding: xchunked\r\n"),
    ("quoted coding", "Transfer-Encoding: \"chunked\"\r\n"),
    ("identity", "Transfer-Encoding: identity\r\n"),
    ("identity and length", "Content-Length: 4\r\nTransfer-Encoding: identity\r\n"),
    ("chunked, identity", "Transfer-Encoding: chunked, identity\r\n"),
    ("identity, chunked", "Content-Length: 4\r\nTransfer-Encoding: identity, chunked\r\n"),
    ("gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n"),
    ("chunked, gzip", "Transfer-Encoding: chunked, gzip\r\n"),
    ("chunked twice in one line", "Transfer-Encoding: chunked, chunked\r\n"),
    ("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    ("chunked, then another", "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n"),
    ("another, then chunked", "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n"),
    ("empty coding", "Transfer-Encoding:\r\n"),
    ("empty coding and length", "Content-Length: 4\r\nTransfer-Encoding:\r\n"),
    ("chunked with a parameter", "Transfer-Encoding: chunked;q=1\r\n"),
    ("chunked with a comma", "Content-Length: 4\r\nTransfer-Encoding: ,chunked\r\n"),
    ("two lengths", "Content-Length: 0\r\nContent-Length: 41\r\n"),
    ("two lengths, other order", "Content-Length: 41\r\nContent-Length: 0\r\n"),
    ("two equal lengths", "Content-Length: 3\r\nContent-Length: 3\r\n"),
    ("length list", "Content-Length: 0, 41\r\n"),
    ("length list of equals", "Content-Length: 3, 3\r\n"),
    ("signed length", "Content-Length: +0\r\n"),
    ("negative length", "Content-Length: -0\r\n"),
    ("hexadecimal length", "Content-Length: 0x29\r\n"),
    ("fraction", "Content-Length: 0.0\r\n"),
    ("exponent", "Content-Length: 4e1\r\n"),
    ("length with a space inside", "Content-Length: 4 1\r\n"),
    ("length with a letter", "Content-Length: 41a\r\n"),
    ("empty length", "Content-Length:\r\n"),
    ("wide digits", "Content-Length: \u{ff14}\u{ff11}\r\n"),
    ("quoted length", "Content-Length: \"0\"\r\n"),
    ("space before the colon of the length", "Content-Length : 41\r\n"),
    ("tab before the colon of the length", "Content-Length\t: 41\r\n"),
    ("space before the colon of the coding", "Content-Length: 4\r\nTransfer-Encoding : chunked\r\n"),
    ("folded line", "X-Long: one\r\n two\r\n"),
    ("folded coding", "Transfer-Encoding:\r\n chunked\r\n"),
    ("folded length", "Content-Length:\r\n\t41\r\n"),
    ("first header begins with a space", " X-First: 1\r\n"),
    ("bare CR in a value", "X-Value: a\rContent-Length: 41\r\n"),
    ("bare CR before a name", "X-Value: a\r\n\rContent-Length: 41\r\n"),
    ("bare LF between headers", "X-Value: a\nContent-Length: 41\r\n"),
    ("NUL in a value", "X-Value: a\0b\r\n"),
    ("NUL in a name", "X\0Value: a\r\n"),
    ("line without a colon", "Content-Length 41\r\n"),
    ("empty name", ": 41\r\n"),
    ("bracket in a name", "X(Value): 41\r\n"),
    ("8-bit name", "X-\u{e4}: 41\r\n"),
];

#[test]
fn a_head_that_two_readers_would_frame_differently_is_refused_and_the_hidden_request_unheard() {
    let server = Server::start("");
    for (name, headers) in AMBIGUOUS {
        for start in ["POST /upload HTTP/1.1", "GET /image/w_10/photo.png HTTP/1.1"] {
            // The zero chunk ends a chunked body, so that for some readers the hidden request comes next.
            let request = format!("{start}\r\nHost: test\r\n{headers}\r\n0\r\n\r\n{HIDDEN}");
            let exchange = server.exchange_for(request.as_bytes(), CLOSING);
            assert_refused_and_closed(&format!("{start}, {name}"), &exchange, &UNFRAMEABLE);
        }
    }
    server.assert_alive("ambiguous heads");
}

/// Whole requests with something wrong in the request line or the line ends.
pub(crate) const MISSHAPEN: [(&str, &str); 18] = [
    ("bare LF throughout", "GET / HTTP/1.1\nHost: test\n\n"),
    ("bare LF after the request line", "GET / HTTP/1.1\nHost: test\r\n\r\n"),
    ("bare CR after the request line", "GET / HTTP/1.1\rHost: test\r\n\r\n"),
    ("HTTP/0.9", "GET /\r\n\r\n"),
    ("no method", " / HTTP/1.1\r\nHost: test\r\n\r\n"),
    ("no target", "GET  HTTP/1.1\r\nHost: test\r\n\r\n"),
    ("text after the version", "GET / HTTP/1.1 x\r\nHost: test\r\n\r\n"),
    ("space in the target", "GET /a b HTTP/1.1\r\nHost: test\r\n\r\n"),
    ("tab for a space", "GET\t/\tHTTP/1.1\r\nHost: test\r\n\r\n"),
    ("NUL in the target", "GET /\0 HTTP/1.1\r\nHost: test\r\n\r\n"),
    ("HTTP/2.0", "GET / HTTP/2.0\r\nHost: test\r\n\r\n"),
    ("HTTP/3.0", "GET / HTTP/3.0\r\nHost: test\r\n\r\n"),
    ("HTTP/1.10", "GET / HTTP/1.10\r\nHost: test\r\n\r\n"),
    ("lower-case version", "GET / http/1.1\r\nHost: test\r\n\r\n"),
    ("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("no Host", "GET / HTTP/1.1\r\nX: y\r\n\r\n"),
    ("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    ("TLS hello", "\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n"),
];

#[test]
fn a_misshapen_request_is_refused_and_closed() {
    let server = Server::start("");
    for (name, request) in MISSHAPEN {
        let exchange = server.exchange_for(format!("{request}{HIDDEN}").as_bytes(), CLOSING);
        assert_refused_and_closed(name, &exchange, &UNFRAMEABLE);
    }
    server.assert_alive("misshapen requests");
}

/// Chunked bodies that end wrongly, or not where a careless reader thinks.
pub(crate) const CHUNKS: [(&str, &str); 16] = [
    ("no size", "\r\nabc\r\n0\r\n\r\n"),
    ("size is no number", "x\r\nabc\r\n0\r\n\r\n"),
    ("negative size", "-3\r\nabc\r\n0\r\n\r\n"),
    ("signed size", "+3\r\nabc\r\n0\r\n\r\n"),
    ("prefixed size", "0x3\r\nabc\r\n0\r\n\r\n"),
    ("space before the size", " 3\r\nabc\r\n0\r\n\r\n"),
    ("underscore in the size", "0_3\r\nabc\r\n0\r\n\r\n"),
    ("size of 2^64", "10000000000000000\r\nabc\r\n0\r\n\r\n"),
    ("size of 2^64 - 1", "ffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
    ("size of 2^64 + 3", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
    ("bare LF after the size", "3\nabc\r\n0\r\n\r\n"),
    ("bare CR after the size", "3\rabc\r\n0\r\n\r\n"),
    ("data longer than said", "3\r\nabcdef\r\n0\r\n\r\n"),
    ("no line end after the data", "3\r\nabc0\r\n\r\n"),
    ("NUL in the extension", "3;a=\0\r\nabc\r\n0\r\n\r\n"),
    ("bare LF in the extension", "3;a\nb\r\nabc\r\n0\r\n\r\n"),
];

#[test]
fn a_damaged_chunked_body_is_refused_and_the_hidden_request_unheard() {
    let server = Server::start("");
    for (name, body) in CHUNKS {
        let request =
            format!("POST /upload HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n{body}{HIDDEN}");
        let exchange = server.exchange_for(request.as_bytes(), CLOSING);
        // A route that takes no body may refuse before it reads the chunks: then it closes without reading on.
        assert_refused_and_closed(name, &exchange, &UNWELCOME);
    }
    server.assert_alive("damaged chunks");
}

#[test]
fn a_request_inside_a_well_framed_body_is_never_answered() {
    let server = Server::start("");
    let chunk = format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len());
    let extended = format!("{:x};name=\"value\"\r\n{HIDDEN}\r\n0\r\nX-Trailer: 1\r\n\r\n", HIDDEN.len());
    let plain = format!("Content-Length: {}\r\n\r\n{HIDDEN}", HIDDEN.len());
    let cases = [
        ("length", plain),
        ("chunk", format!("Transfer-Encoding: chunked\r\n\r\n{chunk}")),
        ("chunk with an extension and a trailer", format!("Transfer-Encoding: chunked\r\n\r\n{extended}")),
    ];
    for (name, rest) in cases {
        for start in ["POST /upload", "POST /nowhere", "GET /image/w_10/missing.png", "GET /image/w_0/photo.png"] {
            let request = format!("{start} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{rest}");
            let exchange = server.exchange_for(request.as_bytes(), CLOSING);
            let statuses = exchange.statuses();
            assert!(statuses.len() <= 1 && !statuses.contains(&200), "{start}, {name}: {exchange:?}");
        }
    }
}

#[test]
fn requests_in_a_row_on_one_connection_are_answered_in_order() {
    let server = Server::start("");
    let request = "GET / HTTP/1.1\r\nHost: test\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: test\r\n\r\n\
                   GET /health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    let exchange = server.exchange(request.as_bytes());
    assert_eq!((exchange.statuses(), exchange.closed), (vec![200, 404, 200], true));
}

pub(crate) fn with_header_line(bytes: usize) -> Vec<u8> {
    let name = "X-Long: ";
    let mut request = format!("GET /health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{name}").into_bytes();
    request.resize(request.len() + bytes - name.len(), b'a');
    request.extend(b"\r\n\r\n");
    request
}

pub(crate) fn with_headers(count: usize) -> Vec<u8> {
    let more = (0..count - 2).fold(String::new(), |text, i| text + &format!("X-{i}: y\r\n"));
    format!("GET /health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{more}\r\n").into_bytes()
}

pub(crate) fn with_target(bytes: usize) -> Vec<u8> {
    let name = "a".repeat(bytes - "/image/w_10/.png".len());
    format!("GET /image/w_10/{name}.png HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").into_bytes()
}

#[test]
fn a_head_of_ordinary_size_is_read() {
    let server = Server::start("");
    for (name, request) in [("a line of 4 KB", with_header_line(4096)), ("32 headers", with_headers(32))] {
        let exchange = server.exchange(&request);
        assert_eq!(exchange.statuses(), [200], "{name}: {exchange:?}");
    }
}

#[test]
fn a_head_at_the_limit_is_read_or_refused_and_nothing_else() {
    let server = Server::start("");
    let lines = [8191, 8192, 8193].map(|n| (format!("a line of {n} bytes"), with_header_line(n), vec![200, 400, 431]));
    let counts = [63, 64, 65].map(|n| (format!("{n} headers"), with_headers(n), vec![200, 400, 431]));
    let targets = [1023, 1024, 1025, 65_536]
        .map(|n| (format!("a target of {n} bytes"), with_target(n), vec![400, 404, 414, 431]));
    for (name, request, allowed) in lines.into_iter().chain(counts).chain(targets) {
        let exchange = server.exchange(&request);
        assert_refused_and_closed(&name, &exchange, &allowed);
    }
    server.assert_alive("heads at the limit");
}

fn assert_heads_refused(server: &Server, heads: &[(&str, Vec<u8>)]) {
    for (name, request) in heads {
        let exchange = server.exchange_for(request, CLOSING);
        assert!(exchange.closed, "{name}: the connection stays open");
        // A reset may overtake the answer where megabytes are still on their way.
        let statuses = exchange.statuses();
        assert!(statuses.iter().all(|status| [400, 408, 414, 431].contains(status)), "{name}: {statuses:?}");
        assert!(statuses.len() <= 1, "{name}: {statuses:?}");
    }
}

#[test]
fn a_head_far_above_the_limit_is_refused_and_costs_nothing() {
    let server = Server::start("");
    let mut endless = b"GET /health".to_vec();
    endless.resize(200_000, b'a');
    let heads = [
        ("a line of 1 MB", with_header_line(1 << 20)),
        ("a line of 100 MB", with_header_line(100 << 20)),
        ("1,000 headers", with_headers(1000)),
        ("200,000 headers", with_headers(200_000)),
        ("a target of 1 MB", with_target(1 << 20)),
        ("no line end", endless),
        ("empty lines", b"\r\n".repeat(100_000)),
    ];
    assert_cheap(&server, 1024, || assert_heads_refused(&server, &heads));
    server.assert_alive("oversized heads");
}

#[test]
fn half_a_head_is_given_up_and_hinders_nobody() {
    let server = Server::start("");
    let mut waiting = server.connect();
    waiting.write_all(b"GET /health HTTP/1.1\r\nHost: te").unwrap();
    server.assert_alive("half a head");
    let exchange = server.exchange_for(b"GET /health HTTP/1.1\r\nHost: te", Duration::from_secs(40));
    assert!(exchange.closed, "half a head is waited for without end");
    assert!(exchange.statuses().iter().all(|status| *status == 408), "{exchange:?}");
}

#[test]
fn a_body_that_never_comes_hinders_nobody() {
    let server = Server::start("");
    let declared = b"POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 10000000\r\n\r\n";
    let stalled: Vec<_> = (0..32)
        .map(|_| {
            let mut connection = server.connect();
            connection.write_all(declared).unwrap();
            connection
        })
        .collect();
    server.assert_alive("32 stalled bodies");
    assert_eq!(server.get("/image/w_10/photo.png").status, 200);
    drop(stalled);
}
