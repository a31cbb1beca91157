//! Uploads that are taken: every way to send a form that others understand, and what is stored of it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::client::Client;
use crate::pictures::{jpeg, noise, png};
use crate::server::{PATIENCE, Server, poll};
use crate::upload_form::{
    BOUNDARY, Form, Told, chunked_request, folder, form_of, media_type, parts_of, post, stored_path, told, upload,
    upload_request,
};

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Checks that an upload was stored as it was sent, under a name of ours, and is served.
fn assert_stored(server: &Server, what: &str, told: &Told, content: &[u8]) {
    assert_eq!(told.status, 200, "{what}: {told:?}\n{}", server.log_of_events());
    let (_, _, extension) = parts_of(&told.path);
    let (expected, media_type) =
        if content.starts_with(b"\x89PNG") { ("png", "image/png") } else { ("jpg", "image/jpeg") };
    assert_eq!(extension, expected, "{what}: {told:?}");
    let stored = std::fs::read(server.images().join(&told.path)).unwrap();
    assert!(stored == content, "{what}: {} bytes stored, {} sent", stored.len(), content.len());
    let answer = server.get(&format!("/image/w_10/{}", told.path));
    assert_eq!((answer.status, answer.header("Content-Type")), (200, Some(media_type)), "{what}: {answer:?}");
}

#[test]
fn an_image_is_stored_byte_for_byte_as_what_its_bytes_are() {
    let server = Server::start("");
    let start = now_s();
    for (name, declared) in [
        ("photo.jpg", "image/jpeg"),
        ("photo.png", "image/png"),
        ("photo.gif", "image/gif"),
        ("photo", "text/html"),
        ("photo.exe", "application/x-msdownload"),
        ("", "nonsense"),
        ("b\u{fc}cher \u{1f4f7}.php", "multipart/mixed"),
        (".htaccess", "image/svg+xml"),
    ] {
        for content in [jpeg(64, 48), png(48, 32)] {
            let told = upload(&server, "/upload", &Form::new().file(name, declared, &content).end());
            assert_stored(&server, &format!("{name:?} as {declared}"), &told, &content);
            let (time, ..) = parts_of(&told.path);
            assert!((start..=now_s()).contains(&time), "{told:?}");
        }
    }
}

#[test]
fn metadata_and_bytes_after_the_end_of_a_picture_are_kept() {
    let server = Server::start("allow-originals: Yes\n");
    let mut content = jpeg(64, 48);
    let comment = b"\xff\xfe\x00\x0athe note";
    content.splice(2..2, comment.iter().copied());
    content.extend(b"\r\nappended\0by a camera\r\n");
    let path = stored_path(&server, &content);
    assert!(server.get(&format!("/image/_/{path}")).body == content);
}

#[test]
fn a_body_in_chunks_of_any_size_is_one_upload() {
    let server = Server::start("");
    let (small, large) = (png(20, 10), noise(900, 900));
    assert!(large.len() > 300_000);
    for (content, n_bytes) in [(&small, 1), (&small, 3), (&small, 100), (&large, 1000), (&large, 65_537)] {
        let told = told(&server, &chunked_request("/upload", &form_of(content), n_bytes));
        assert_stored(&server, &format!("chunks of {n_bytes}"), &told, content);
    }
    let told = told(&server, &chunked_request("/upload", &form_of(&large), 1 << 24));
    assert_stored(&server, "one chunk", &told, &large);
}

#[test]
fn a_body_that_comes_byte_by_byte_is_one_upload() {
    let server = Server::start("");
    let content = png(20, 10);
    let request = upload_request("/upload", &form_of(&content));
    let mut stream = server.connect();
    stream.set_nodelay(true).unwrap();
    for byte in request {
        stream.write_all(&[byte]).unwrap();
    }
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
}

#[test]
fn a_client_that_waits_to_be_asked_is_asked_once() {
    let server = Server::start("");
    let content = jpeg(64, 48);
    let headers = format!("Expect: 100-continue\r\nConnection: close\r\n{}", media_type(BOUNDARY));
    let request = post("/upload", &headers, &form_of(&content));
    let end = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let mut stream = BufReader::new(server.connect());
    stream.get_mut().write_all(&request[..end]).unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    stream.read_line(&mut line).unwrap();
    stream.get_mut().write_all(&request[end..]).unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.starts_with("HTTP/1.1 200 OK\r\n") && !rest.contains("100 Continue"), "{rest}");
    // Who does not wait gets the same in the end.
    let exchange = server.exchange(&request);
    let last = exchange.answers.last().unwrap();
    assert_stored(&server, "impatient", &Told::of(last), &content);
}

#[test]
fn a_client_that_waits_and_may_not_is_told_instead_of_asked() {
    let server = Server::start("authorisation: {upload: Yes}\n");
    let headers = format!("Expect: 100-continue\r\nContent-Length: 100000\r\n{}", media_type(BOUNDARY));
    let request = format!("POST /upload HTTP/1.1\r\nHost: test\r\n{headers}\r\n");
    let exchange = server.exchange(request.as_bytes());
    assert!(exchange.closed);
    assert_eq!(Told::only(&exchange, "not asked").status, 401);
}

#[test]
fn forms_may_be_written_in_many_ways() {
    let server = Server::start("");
    let content = jpeg(64, 48);
    let nested = "Content-Disposition: form-data; name=\"more\"\r\nContent-Type: multipart/mixed; boundary=inner";
    let forms = [
        ("image first", Form::new().image(&content).text("timestamp", "1").text("signature", "x").end()),
        ("image last", Form::new().text("signature", "x").text("timestamp", "1").image(&content).end()),
        ("image between", Form::new().text("timestamp", "1").image(&content).text("sha256", "").end()),
        ("unknown fields", Form::new().text("title", "A\r\nB").image(&content).text("x", "").text("x", "y").end()),
        ("a field without a name", Form::new().part("Content-Disposition: form-data", b"?").image(&content).end()),
        ("a nested form", Form::new().part(nested, b"--inner\r\n\r\nx\r\n--inner--").image(&content).end()),
        ("no file name", Form::new().part("Content-Disposition: form-data; name=\"image\"", &content).end()),
        (
            "header names in any case, other headers",
            Form::new()
                .part(
                    "CONTENT-TYPE: image/jpeg\r\ncontent-disposition: form-data; filename=a.jpg; name=image\r\nX-Y: z",
                    &content,
                )
                .end(),
        ),
        (
            "an encoded file name",
            Form::new()
                .part(
                    "Content-Disposition: form-data; name=\"image\"; filename*=UTF-8''%2e%2e%2fa.jpg; filename=\"a\"",
                    &content,
                )
                .end(),
        ),
        ("an epilogue", [Form::new().image(&content).end(), b"and more\r\n--x--\r\n".to_vec()].concat()),
        ("no line end at the end", {
            let mut body = form_of(&content);
            body.truncate(body.len() - 2);
            body
        }),
    ];
    for (what, body) in forms {
        assert_stored(&server, what, &upload(&server, "/upload", &body), &content);
    }
}

#[test]
fn boundaries_of_one_to_seventy_characters_are_understood() {
    let server = Server::start("");
    let content = png(20, 10);
    let longest = "b".repeat(70);
    for (boundary, written) in [
        ("x", "x".to_owned()),
        (&*longest, longest.clone()),
        ("0'()+_,-./:=?", "\"0'()+_,-./:=?\"".to_owned()),
        ("two words", "\"two words\"".to_owned()),
        (BOUNDARY, format!("{BOUNDARY}; charset=utf-8")),
    ] {
        let body = Form::bounded_by(boundary).text("a", "b").image(&content).end();
        let request = post("/upload", &format!("Connection: close\r\n{}", media_type(&written)), &body);
        assert_stored(&server, boundary, &told(&server, &request), &content);
    }
}

#[test]
fn a_client_of_http_1_0_may_upload() {
    let server = Server::start("");
    let content = jpeg(64, 48);
    let body = form_of(&content);
    let head = format!("POST /upload HTTP/1.0\r\n{}Content-Length: {}\r\n\r\n", media_type(BOUNDARY), body.len());
    let exchange = server.exchange(&[head.as_bytes(), &body].concat());
    assert!(exchange.closed);
    assert_stored(&server, "HTTP/1.0", &Told::only(&exchange, "HTTP/1.0"), &content);
}

#[test]
fn requests_after_an_upload_on_its_connection_are_answered_in_order() {
    let server = Server::start("");
    let (first, second) = (jpeg(64, 48), png(48, 32));
    let mut bytes = post("/upload", &media_type(BOUNDARY), &form_of(&first));
    bytes.extend(b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n");
    bytes.extend(upload_request("/upload", &form_of(&second)));
    let exchange = server.exchange(&bytes);
    assert_eq!(exchange.statuses(), [200, 200, 200], "{exchange:?}");
    assert_eq!(exchange.answers[1].text(), "ok");
    assert_stored(&server, "first", &Told::of(&exchange.answers[0]), &first);
    assert_stored(&server, "second", &Told::of(&exchange.answers[2]), &second);
}

#[test]
fn one_connection_may_upload_again_and_again() {
    let server = Server::start("");
    let mut client = Client::new(&server);
    for number in 1..=30 {
        let content = png(number, 7);
        client.write(&post("/upload", &media_type(BOUNDARY), &form_of(&content))).unwrap();
        let answer = client.receive().unwrap().unwrap();
        assert_stored(&server, &format!("number {number}"), &Told::of(&answer), &content);
    }
}

#[test]
fn an_upload_at_its_limits_is_taken() {
    let (content, limit) = (png(100, 50), 100_000);
    let server = Server::start(&format!("upload-max-pixels: 5000\nupload-max-file-size: {limit}\n"));
    assert_stored(&server, "pixels", &upload(&server, "/upload", &form_of(&content)), &content);
    let mut full = jpeg(64, 48);
    full.resize(limit, b'x');
    for request in [
        upload_request("/upload", &form_of(&full)),
        upload_request("/upload", &Form::new().image(&full).text("padding", &"y".repeat(60_000)).end()),
        chunked_request("/upload", &form_of(&full), 5000),
    ] {
        assert_stored(&server, "bytes", &told(&server, &request), &full);
    }
}

#[test]
fn an_asynchronous_upload_is_stored_soon() {
    let server = Server::start("async-uploads: Yes\n");
    let before = folder(&server.images());
    let contents: Vec<Vec<u8>> = (1..=20).map(|number| png(number, 9)).collect();
    let mut expected: BTreeMap<String, Vec<u8>> = before;
    for content in &contents {
        expected.insert(stored_path(&server, content), content.clone());
    }
    let stored = poll(Instant::now() + PATIENCE, || (folder(&server.images()) == expected).then_some(()));
    assert!(stored.is_some(), "{:?}\n{}", folder(&server.images()).keys(), server.log_of_events());
    let unsound = upload(&server, "/upload", &form_of(&jpeg(64, 48)[..400]));
    assert_eq!(unsound.status, 422, "what is no image is known before the answer: {unsound:?}");
}

#[test]
fn an_asynchronous_upload_outlives_a_stop() {
    let mut server = Server::start("async-uploads: Yes\n");
    let content = noise(900, 900);
    let path = stored_path(&server, &content);
    server.stop();
    assert!(std::fs::read(server.images().join(path)).unwrap() == content);
}

#[test]
fn an_upload_that_is_under_way_outlives_a_stop() {
    let mut server = Server::start("");
    let content = noise(900, 900);
    let request = upload_request("/upload", &form_of(&content));
    let mut stream = server.connect();
    let half = request.len() / 2;
    stream.write_all(&request[..half]).unwrap();
    server.assert_alive("half an upload");
    server.terminate();
    let stopping = poll(Instant::now() + PATIENCE, || server.log().contains("stopping").then_some(()));
    assert!(stopping.is_some(), "{}", server.log());
    stream.write_all(&request[half..]).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert_eq!(server.wait(Duration::from_secs(20)).and_then(|status| status.code()), Some(0));
    assert!(folder(&server.images()).values().any(|stored| *stored == content));
}
