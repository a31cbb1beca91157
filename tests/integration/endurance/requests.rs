//! Requests of all kinds, good ones and others, in an order that a seed determines.

use crate::pictures::{jpeg, noise, png};
use crate::upload_form::{BOUNDARY, Form, chunked_request, form_of, media_type, post};

/// Numbers that look random and are the same for one seed (SplitMix64).
#[derive(Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// The dice of one of several who share a seed.
    pub(super) fn new(seed: u64, number: u64) -> Self {
        Self(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From zero on, and less than `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(super) fn one_of<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    pub(super) fn is_one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// What may be answered to a request; a 503 always may.
pub(super) type Allowed = &'static [u16];

/// Whatever a picture may be: good, damaged, too large, of a kind that is not read, of a shape whose other side would be
/// too long.
pub(super) const ANY_PICTURE: Allowed = &[200, 400, 415, 422];
const REFUSED: Allowed = &[400, 403, 404, 405, 413, 414, 431];
const UPLOADED: Allowed = &[200, 400, 413, 415, 422];

/// The bytes of one request, and what may come back.
pub(super) struct Request {
    pub(super) what: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) allowed: Allowed,
    /// Whether the server may close the connection after its answer, or before all of the request is sent.
    pub(super) may_close: bool,
}

impl Request {
    fn get(what: &'static str, target: &str, headers: &str, allowed: Allowed) -> Self {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: test\r\n{headers}\r\n").into_bytes();
        Self { what, bytes, allowed, may_close: false }
    }
}

/// A target for an image that exists, with parameters that are right.
pub(super) fn good_target(dice: &mut Dice, name: &str) -> String {
    let mut parts = Vec::new();
    let which = dice.below(3);
    // One size in three is asked for again and again.
    let side = |dice: &mut Dice| if dice.is_one_in(3) { 64 } else { 1 + dice.below(600) };
    if which != 1 {
        parts.push(format!("w_{}", side(dice)));
    }
    if which != 0 {
        parts.push(format!("h_{}", side(dice)));
    }
    if dice.is_one_in(2) {
        parts.push(format!("c_{}", dice.one_of(&["e", "a", "p", "k"])));
        parts.push(format!("g_{}", dice.one_of(&["n", "ne", "e", "se", "s", "sw", "w", "nw", "c"])));
    }
    if dice.is_one_in(4) {
        parts.push("f_grayscale".to_owned());
    }
    let parameters = if dice.is_one_in(10) { "t_marked".to_owned() } else { parts.join(",") };
    format!("/image/{parameters}/{}", scaled(dice, name))
}

/// The name, at times with a scale.
fn scaled(dice: &mut Dice, name: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) if dice.is_one_in(10) => format!("{stem}@{}x.{extension}", 1 + dice.below(3)),
        _ => name.to_owned(),
    }
}

/// An image, asked for as browsers do.
pub(super) fn good_image(dice: &mut Dice, name: &str) -> Request {
    let target = good_target(dice, name);
    match dice.below(8) {
        0 => {
            let range = dice.one_of(&[
                "0-0",
                "0-99",
                "100-",
                "-50",
                "50-20",
                "0-10,20-30",
                "99999999-",
                "x",
                "0-18446744073709551616",
            ]);
            let allowed: Allowed = &[200, 206, 400, 415, 416, 422];
            Request::get("a range", &target, &format!("Range: bytes={range}\r\n"), allowed)
        }
        1 => {
            let condition = dice.one_of(&[
                "If-None-Match: *",
                "If-None-Match: \"x\", W/\"y\"",
                "If-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT",
                "If-Modified-Since: yesterday",
                "If-Match: \"x\"",
                "If-Range: \"x\"\r\nRange: bytes=0-9",
            ]);
            let allowed: Allowed = &[200, 206, 304, 400, 412, 415, 416, 422];
            Request::get("a condition", &target, &format!("{condition}\r\n"), allowed)
        }
        2 => Request::get("an original", &format!("/image/_/{name}"), "", ANY_PICTURE),
        _ => Request::get("an image", &target, "", ANY_PICTURE),
    }
}

/// What is no request for an image, or for none that there is.
pub(super) fn bad_target(dice: &mut Dice, name: &str) -> Request {
    let parameters = [
        "w_0",
        "w_-1",
        "w_99999999999999999999",
        "w",
        "w_10,w_10",
        "x_1",
        "c_p",
        "",
        ",",
        "w_10,g_x",
        "t_none",
        "w_9000",
    ];
    let paths = [
        "../config.yaml",
        "%2e%2e/%2e%2e/etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%252e%252e/x.png",
        "a%00.png",
        "/etc/passwd",
        "a//b.png",
        "missing.png",
        "%ff%fe.jpg",
        "a%0d%0aX: y.png",
        ".",
        "cache/x.png",
    ];
    let target = match dice.below(4) {
        0 => format!("/image/{}/{name}", dice.one_of(&parameters)),
        1 => format!("/image/w_10/{}", dice.one_of(&paths)),
        2 => format!("/image/w_10/{}.png", "x".repeat(dice.below(6000))),
        _ => dice.one_of(&["/nowhere", "/image", "/upload/x", "//", "/image/w_10/"]).to_owned(),
    };
    Request { may_close: true, ..Request::get("a bad target", &target, "", REFUSED) }
}

/// What breaks the rules of HTTP; the connection ends with it.
pub(super) fn bad_framing(dice: &mut Dice) -> Request {
    let requests = [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
        "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n",
        "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET /image/w_10/a b.png HTTP/1.1\r\nHost: x\r\n\r\n",
        "BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
    ];
    let allowed: Allowed = &[400, 404, 405, 411, 413, 415, 431, 501, 505];
    Request { what: "bad framing", bytes: dice.one_of(&requests).into(), allowed, may_close: true }
}

/// An upload: of a file of the corpus, whole or broken, of one that is too large, of none at all.
pub(super) fn upload(dice: &mut Dice, file: &[u8]) -> Request {
    let mut content = match dice.below(4) {
        0 => jpeg(20 + dice.below(200) as u16, 30),
        1 => png(20 + dice.below(200) as u16, 30),
        2 => noise(100 + dice.below(400) as u16, 200),
        _ => file.to_vec(),
    };
    match dice.below(6) {
        0 => content.truncate(content.len() * dice.below(100) / 100),
        1 if !content.is_empty() => {
            let at = dice.below(content.len());
            content[at] ^= 1 << dice.below(8);
        }
        2 if dice.is_one_in(4) => content.resize(super::soak::MAX_UPLOAD + 1 + dice.below(1_000_000), 7),
        _ => {}
    }
    let form = match dice.below(10) {
        0 => Form::new().text("something", "else").end(),
        1 => Form::new().image(&content).unfinished(),
        _ => form_of(&content),
    };
    let bytes = match dice.below(5) {
        0 => chunked_request("/upload", &form, 1 + dice.below(20_000)),
        _ => post("/upload", &media_type(BOUNDARY), &form),
    };
    Request { what: "an upload", bytes, allowed: UPLOADED, may_close: true }
}
