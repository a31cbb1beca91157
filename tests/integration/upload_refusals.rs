//! Uploads that are refused: each with its status and a reason in JSON, and without a trace on the disk.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use crate::abuse::CLOSING;
use crate::client::together;
use crate::pictures::{jpeg, noise, png};
use crate::server::{Server, poll};
use crate::upload_form::{
    BOUNDARY, Before, Form, Told, chunked_request, folder, form_of, media_type, parts_of, post, told, upload,
    upload_request,
};

/// A request, the statuses that it may be told, and what the reason has to contain.
struct Case {
    what: String,
    request: Vec<u8>,
    statuses: Vec<u16>,
    reason: &'static str,
}

fn case(what: &str, request: Vec<u8>, status: u16, reason: &'static str) -> Case {
    Case { what: what.to_owned(), request, statuses: vec![status], reason }
}

/// The same for a body that nothing else is wrong with.
fn of_body(what: &str, body: &[u8], status: u16, reason: &'static str) -> Case {
    case(what, upload_request("/upload", body), status, reason)
}

/// Sends each, and checks that nothing remains of any.
fn check(server: &Server, cases: &[Case]) {
    let before = Before::of(server);
    for Case { what, request, statuses, reason } in cases {
        let exchange = server.exchange_for(request, CLOSING);
        assert!(exchange.closed, "{what}: the connection stays open: {exchange:?}");
        let told = Told::only(&exchange, what);
        assert!(statuses.contains(&told.status), "{what}: {statuses:?}, got {told:?}");
        assert!(told.message.contains(reason), "{what}: {reason:?}, got {told:?}");
        before.assert_nothing_stored(server, what);
    }
    before.assert_all_closed(server, "all of them");
    server.assert_alive("refused uploads");
}

fn with_media_type(headers: &str, body: &[u8]) -> Vec<u8> {
    post("/upload", &format!("Connection: close\r\n{headers}"), body)
}

#[test]
fn a_body_that_is_no_form_is_refused() {
    let server = Server::start("");
    let (image, body) = (jpeg(64, 48), form_of(&jpeg(64, 48)));
    let long = "b".repeat(71);
    let types = [
        ("no media type", String::new()),
        ("no boundary", "Content-Type: multipart/form-data\r\n".to_owned()),
        ("an empty boundary", "Content-Type: multipart/form-data; boundary=\r\n".to_owned()),
        ("an empty quoted boundary", "Content-Type: multipart/form-data; boundary=\"\"\r\n".to_owned()),
        ("another parameter", format!("Content-Type: multipart/form-data; border={BOUNDARY}\r\n")),
        ("another kind of parts", format!("Content-Type: multipart/mixed; boundary={BOUNDARY}\r\n")),
        ("a form of another kind", "Content-Type: application/x-www-form-urlencoded\r\n".to_owned()),
        ("an image alone", "Content-Type: image/jpeg\r\n".to_owned()),
        ("another boundary", "Content-Type: multipart/form-data; boundary=another\r\n".to_owned()),
        ("no media type at all", "Content-Type: ;;;\r\n".to_owned()),
    ];
    let mut cases: Vec<Case> = types
        .map(|(what, headers)| {
            let mut case = case(what, with_media_type(&headers, &body), 400, "");
            case.statuses.push(415);
            case
        })
        .into();
    let long_body = Form::bounded_by(&long).image(&image).end();
    cases.push(case("a boundary of 71", with_media_type(&media_type(&long), &long_body), 400, "boundary"));
    cases.push(of_body("an empty body", b"", 400, ""));
    cases.push(of_body("a picture for a form", &image, 400, ""));
    cases.push(of_body("NULs", &[0; 5000], 400, ""));
    check(&server, &cases);
}

/// The same with bare line feeds around and in the part.
fn with_line_feeds(image: &[u8]) -> Vec<u8> {
    let disposition = "Content-Disposition: form-data; name=\"image\"; filename=\"a\"";
    let head = format!("--{BOUNDARY}\n{disposition}\n\n");
    [head.as_bytes(), image, format!("\n--{BOUNDARY}--\n").as_bytes()].concat()
}

#[test]
fn a_form_that_is_cut_or_ambiguous_is_refused() {
    let server = Server::start("");
    let image = jpeg(64, 48);
    let form = || Form::new().image(&image);
    let disposition = "Content-Disposition: form-data; name=\"image\"; filename=\"a\"";
    let inside = [&image[..300], format!("\r\n--{BOUNDARY}\r\n").as_bytes(), &image[300..]].concat();
    let ends_inside = [&image[..300], format!("\r\n--{BOUNDARY}--\r\n").as_bytes(), &image[300..]].concat();
    let mut cut_in_headers = form().unfinished();
    cut_in_headers.truncate(60);
    let mut cut_in_file = form().unfinished();
    cut_in_file.truncate(400);
    let mut cut_in_boundary = form().end();
    cut_in_boundary.truncate(cut_in_boundary.len() - 8);
    let empty = Form::new().part(disposition, b"").end();
    check(
        &server,
        &[
            of_body("no last boundary", &form().unfinished(), 400, ""),
            of_body("cut in the headers of a part", &cut_in_headers, 400, ""),
            of_body("cut in the file", &cut_in_file, 400, ""),
            of_body("cut in the last boundary", &cut_in_boundary, 400, ""),
            of_body("line feeds alone", &with_line_feeds(&image), 400, ""),
            of_body("two images", &form().image(&png(9, 9)).end(), 400, "image"),
            of_body("the same image twice", &form().image(&image).end(), 400, "image"),
            of_body("two timestamps", &form().text("timestamp", "1").text("timestamp", "1").end(), 400, "timestamp"),
            of_body("two signatures", &form().text("signature", "a").text("signature", "b").end(), 400, "signature"),
            of_body("the boundary inside the file", &form_of(&inside), 400, ""),
            of_body("an end inside the file", &form_of(&ends_inside), 422, ""),
            of_body("a file of no bytes", &form_of(b""), 415, ""),
            of_body("an image without headers", &Form::new().part("X: y", &image).end(), 400, "missing image field"),
            of_body("a file without a type and bytes", &empty, 415, ""),
            of_body("no image", &Form::new().text("title", "x").end(), 400, "missing image field"),
            of_body("no part", &Form::new().end(), 400, "missing image field"),
            of_body("an endless text", &form().text("timestamp", &"1".repeat(100_000)).end(), 400, "timestamp"),
        ],
    );
}

#[test]
fn more_parts_and_headers_than_any_form_has_are_refused() {
    let server = Server::start("");
    let image = png(9, 9);
    let disposition = "Content-Disposition: form-data; name=\"image\"; filename=\"a\"";
    let many = (0..10_000).fold(Form::new(), |form, number| form.text(&format!("f{number}"), "x"));
    let empty = (0..10_000).fold(Form::new(), |form, _| form.part("", b""));
    let long_header = format!("{disposition}\r\nX-Long: {}", "a".repeat(1 << 20));
    let long_name = format!("Content-Disposition: form-data; name=\"image\"; filename=\"{}\"", "a".repeat(1 << 20));
    let many_headers = format!("{disposition}{}", "\r\nX-Header: value".repeat(65_536));
    let preamble = [vec![b'x'; 1 << 20], form_of(&image)].concat();
    let cases = [
        of_body("10,000 parts, then an image", &many.image(&image).end(), 400, ""),
        of_body("10,000 empty parts", &empty.end(), 400, ""),
        of_body("a header of 1 MB", &Form::new().part(&long_header, &image).end(), 400, ""),
        of_body("a file name of 1 MB", &Form::new().part(&long_name, &image).end(), 400, ""),
        of_body("65,536 headers", &Form::new().part(&many_headers, &image).end(), 400, ""),
        of_body("1 MB before the form", &preamble, 400, ""),
    ];
    check(&server, &cases);
    let before = server.resident_kb();
    check(&server, &cases);
    let growth = server.resident_kb().saturating_sub(before);
    assert!(growth < 2048, "{growth} KB remain of it");
}

#[test]
fn what_is_no_sound_jpeg_or_png_is_refused() {
    let server = Server::start("");
    let (jpeg, png) = (jpeg(64, 48), png(48, 32));
    let mut damaged = png.clone();
    damaged[100] ^= 0x55;
    let lossy_webp = b"RIFF\x1a\0\0\0WEBPVP8 \x0e\0\0\0\x30\x01\0\x9d\x01\x2a\x01\0\x01\0\x02\0\x34\x25\xa4\0\x03\x70\0\xfe\xfb\xfd\x50\0";
    let gif =
        b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    let encoded = Form::new().part(
        "Content-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\nContent-Transfer-Encoding: base64",
        b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
    );
    let named = |content: &[u8]| Form::new().file("photo.jpg", "image/jpeg", content).end();
    let mut cases = vec![
        of_body("a GIF", &named(gif), 415, ""),
        of_body("a WebP", &named(lossy_webp), 415, ""),
        of_body("an SVG", &named(svg), 415, ""),
        of_body("a text", &named(b"This is a text, and no picture at all."), 415, ""),
        of_body("a script with a late JPEG", &named(&[&b"<?php "[..], &jpeg].concat()), 415, ""),
        of_body("an encoded file", &encoded.end(), 415, ""),
        of_body("one byte", &named(b"\xff"), 415, ""),
        of_body("damaged PNG data", &named(&damaged), 422, ""),
        of_body("a PNG without pixels", &named(&png[..33]), 422, ""),
    ];
    for (what, file) in [("JPEG", &jpeg), ("PNG", &png)] {
        for n_bytes in [file.len() / 2, file.len() / 3 * 2] {
            let body = named(&file[..n_bytes]);
            cases.push(of_body(&format!("{n_bytes} bytes of a {what} of {}", file.len()), &body, 422, ""));
        }
    }
    check(&server, &cases);
}

#[test]
fn more_pixels_than_allowed_are_refused_by_the_header() {
    let server = Server::start("upload-max-pixels: 5000\n");
    let reason = "too many pixels: 5100, allowed: 5000";
    let mut bomb = png(9, 9);
    bomb[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    let checksum = crc32fast::hash(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&checksum.to_be_bytes());
    check(
        &server,
        &[
            of_body("a JPEG", &form_of(&jpeg(102, 50)), 400, reason),
            of_body("a PNG", &form_of(&png(50, 102)), 400, reason),
            of_body("a PNG cut after its header", &form_of(&png(50, 102)[..60]), 400, reason),
            of_body("a bomb", &form_of(&bomb), 400, "too many pixels: 4294836225, allowed: 5000"),
        ],
    );
}

#[test]
fn a_file_above_the_limit_is_refused_however_it_comes() {
    let server = Server::start("upload-max-file-size: 100000\n");
    let mut over = jpeg(64, 48);
    over.resize(100_001, b'x');
    let mut far_over = noise(2000, 2000);
    far_over.resize(3_000_000, b'x');
    let mut cases = vec![
        of_body("one byte more", &form_of(&over), 413, ""),
        case("one byte more, in chunks", chunked_request("/upload", &form_of(&over), 7000), 413, ""),
        of_body("thirty times, by its length", &form_of(&far_over), 413, ""),
        case("thirty times, in chunks", chunked_request("/upload", &form_of(&far_over), 7000), 413, ""),
        case("thirty times, in one chunk", chunked_request("/upload", &form_of(&far_over), 1 << 24), 413, ""),
    ];
    let huge_field = Form::new().image(&png(9, 9)).text("title", &"x".repeat(3_000_000)).end();
    cases.push(of_body("another field, by its length", &huge_field, 413, ""));
    cases.push(case("another field, in chunks", chunked_request("/upload", &huge_field, 7000), 413, ""));
    let announced = format!(
        "POST /upload HTTP/1.1\r\nHost: test\r\nConnection: close\r\nExpect: 100-continue\r\n{}Content-Length: 3000000\r\n\r\n",
        media_type(BOUNDARY)
    );
    cases.push(case("only announced", announced.into_bytes(), 413, ""));
    check(&server, &cases);
}

#[test]
fn names_that_lead_elsewhere_lead_nowhere() {
    let server = Server::start("");
    let image = png(9, 9);
    let outside = || folder(server.directory()).into_keys().filter(|name| !is_data(name));
    let is_ours = |name: &String| name.starts_with("images/");
    let before: Vec<String> = outside().filter(|name| !is_ours(name)).collect();
    for name in [
        "../../x.png",
        "/etc/passwd",
        "..\\..\\x.png",
        "a/b/c.png",
        ".pixlserv-1",
        "x\0.png",
        "photo.png",
        "%2e%2e%2fx",
        "con",
        "-rf",
    ] {
        let told = upload(&server, "/upload", &Form::new().file(name, "image/png", &image).end());
        // Nobody has to understand a NUL.
        if told.status == 200 {
            parts_of(&told.path);
            assert!(std::fs::read(server.images().join(&told.path)).unwrap() == image, "{name:?}");
        } else {
            assert!(name.contains('\0') && told.status == 400, "{name:?}: {told:?}");
        }
    }
    let after: Vec<String> = outside().filter(|name| !is_ours(name)).collect();
    assert_eq!(after, before);
    let photo = std::fs::read(server.images().join("photo.png")).unwrap();
    assert!(photo == png(48, 32), "written over");
    for field in ["image\0", "im\0age", "Image", "image[]", " image"] {
        let disposition = format!("Content-Disposition: form-data; name=\"{field}\"; filename=\"a\"");
        let told = upload(&server, "/upload", &Form::new().part(&disposition, &image).end());
        assert_eq!(told.status, 400, "{field:?}: {told:?}");
    }
}

/// Of the server's own folder, which changes by itself.
fn is_data(name: &str) -> bool {
    name.starts_with("data/")
}

#[test]
fn other_methods_are_told_which_one_uploads() {
    let server = Server::start("");
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        for target in ["/upload", "/0123456789abcdef0123456789abcdef/upload"] {
            let answer = server.request(method, target, &[]);
            assert_eq!((answer.status, answer.header("Allow")), (405, Some("POST")), "{method} {target}: {answer:?}");
            if method != "HEAD" {
                Told::of(&answer);
            }
        }
    }
}

#[test]
fn a_damaged_chunk_is_refused() {
    let server = Server::start("");
    let body = form_of(&png(20, 10));
    let whole = chunked_request("/upload", &body, 100);
    let start = whole.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let damage = |at: usize, bytes: &[u8]| {
        let mut request = whole.clone();
        request[at..at + bytes.len()].copy_from_slice(bytes);
        request
    };
    check(
        &server,
        &[
            case("a size that is none", damage(start, b"xx"), 400, "chunk"),
            case("a negative size", damage(start, b"-1"), 400, "chunk"),
            case("a size too small", damage(start, b"10"), 400, "chunk"),
            case("a bare line feed", damage(start + 2, b"\n\n"), 400, "chunk"),
            case("a later chunk", damage(start + 106, b"zz"), 400, "chunk"),
        ],
    );
}

#[test]
fn a_client_that_stalls_is_told_in_time() {
    let server = Server::start("http: {read-timeout: 1}\n");
    let before = Before::of(&server);
    let image = noise(600, 600);
    let length = upload_request("/upload", &form_of(&image));
    let chunks = chunked_request("/upload", &form_of(&image), 10_000);
    let head_of = |request: &[u8]| request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let cuts = [
        ("after the head", &length[..head_of(&length)]),
        ("in the headers of the part", &length[..head_of(&length) + 50]),
        ("in the file", &length[..100_000]),
        ("before the last byte", &length[..length.len() - 1]),
        ("before the first chunk", &chunks[..head_of(&chunks)]),
        ("in a chunk", &chunks[..100_000]),
        ("before the last chunk", &chunks[..chunks.len() - 5]),
    ];
    together(cuts.into(), |(what, request)| {
        let start = Instant::now();
        let exchange = server.exchange(request);
        assert!(exchange.closed && start.elapsed() < Duration::from_secs(6), "{what}: {:?}", start.elapsed());
        assert_eq!(Told::only(&exchange, what).status, 408, "{what}: {exchange:?}");
    });
    before.assert_nothing_stored(&server, "stalled");
    before.assert_all_closed(&server, "stalled");
}

#[test]
fn a_client_that_crawls_is_told_in_time() {
    let server = Server::start("http: {read-timeout: 1}\n");
    let before = Before::of(&server);
    let request = upload_request("/upload", &form_of(&noise(600, 600)));
    let mut stream = server.connect();
    stream.write_all(&request[..1000]).unwrap();
    // A byte at a time is progress, but too little of it.
    let refused = poll(Instant::now() + Duration::from_secs(10), || {
        let _ = stream.write_all(b"x");
        server.log().contains("status=408").then_some(())
    });
    assert!(refused.is_some(), "{}", server.log());
    drop(stream);
    before.assert_nothing_stored(&server, "crawling");
    before.assert_all_closed(&server, "crawling");
}

#[test]
fn a_client_that_leaves_leaves_nothing() {
    let server = Server::start("");
    let before = Before::of(&server);
    let request = upload_request("/upload", &form_of(&noise(900, 900)));
    for round in 0..40 {
        let mut stream = server.connect();
        stream.write_all(&request[..request.len() * round / 40]).unwrap();
        if round % 2 == 0 {
            stream.shutdown(Shutdown::Write).unwrap();
        }
    }
    before.assert_all_closed(&server, "gone clients");
    before.assert_nothing_stored(&server, "gone clients");
}

#[test]
fn only_so_many_uploads_are_received_at_once() {
    let server = Server::start("http: {max-uploads: 3}\n");
    let before = Before::of(&server);
    let headers = format!("Connection: close\r\nExpect: 100-continue\r\n{}", media_type(BOUNDARY));
    let request = post("/upload", &headers, &form_of(&noise(300, 300)));
    let head_end = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let begun: Vec<_> = (0..3)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(&request[..head_end]).unwrap();
            // Who is asked for the body has a place.
            let mut asked = [0; 25];
            stream.read_exact(&mut asked).unwrap();
            assert!(asked.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&asked));
            stream
        })
        .collect();
    let exchange = server.exchange(&upload_request("/upload", &form_of(&png(9, 9))));
    let refusal = Told::only(&exchange, "a fourth");
    assert!(refusal.status == 503 && exchange.answers[0].header("Retry-After").is_some(), "{exchange:?}");
    for mut stream in begun {
        stream.write_all(&request[head_end..]).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert!(bytes.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&bytes));
    }
    assert_eq!(told(&server, &upload_request("/upload", &form_of(&png(9, 9)))).status, 200);
    before.assert_all_closed(&server, "three uploads");
}

#[test]
fn a_head_that_cannot_be_read_is_answered_in_json_too() {
    let server = Server::start("");
    let before = Before::of(&server);
    for (fields, status) in [
        ("Content-Length: x\r\n", 400),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: gzip\r\n", 501),
        ("Name : x\r\n", 400),
    ] {
        let request = format!("POST /upload HTTP/1.1\r\nHost: test\r\n{fields}\r\n");
        let told = told(&server, request.as_bytes());
        assert!(told.status == status && !told.message.is_empty(), "{fields:?}: {told:?}");
    }
    before.assert_nothing_stored(&server, "unreadable heads");
}
