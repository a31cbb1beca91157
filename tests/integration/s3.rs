//! Amazon S3 as a storage, over the wire: names, contents, lists, and what is said of what is refused.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use pixlserv::store::objects::{
    Content, Fetched, InMemory, Listed, MAX_NAME_BYTES, ObjectError, ObjectState, Objects, S3Options, Sink, s3,
};

use crate::s3_server::S3Server;

const TIMEOUT: Duration = Duration::from_secs(10);

fn options(server: &S3Server) -> S3Options {
    at(server, &server.endpoint())
}

/// What the program is told in its environment.
fn at(server: &S3Server, endpoint: &str) -> S3Options {
    let environment: HashMap<_, _> = server.environment(endpoint).into();
    let variable = |name| environment[name].clone();
    S3Options {
        region: variable("PIXLSERV_S3_REGION"),
        endpoint: Some(variable("PIXLSERV_S3_ENDPOINT")),
        bucket: variable("PIXLSERV_S3_BUCKET"),
        access_key_id: variable("AWS_ACCESS_KEY_ID"),
        secret_access_key: variable("AWS_SECRET_ACCESS_KEY"),
    }
}

fn open(options: &S3Options) -> Arc<dyn Objects> {
    s3(options, TIMEOUT).unwrap()
}

fn bytes(bytes: &[u8]) -> Content {
    Content::Bytes(Arc::new(bytes.to_vec()))
}

fn fetch(objects: &dyn Objects, name: &str) -> Result<(Vec<u8>, ObjectState), ObjectError> {
    let mut sink = InMemory::new(u64::MAX >> 1);
    match objects.get(name, None, &mut sink)? {
        Fetched::Whole(state) => Ok((sink.bytes, state)),
        Fetched::Unchanged => panic!("nobody asked for a tag"),
    }
}

fn listed(objects: &dyn Objects, prefix: &str, limit: usize) -> Vec<Listed> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = objects.list(prefix, after.as_deref(), limit).unwrap();
        assert!(page.objects.len() <= limit);
        all.extend(page.objects);
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

fn hard_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "a",
        "a/b",
        "a/b/",
        "a//b",
        "/a",
        "../a",
        "a/./b",
        "a/../../b",
        " a b ",
        "a+b",
        "a%2Bb",
        "a%20b",
        "a%",
        "100%25",
        "ä/ö",
        "a\u{308}",
        "日本語/😀.jpg",
        "a?b=c&d#e",
        "a&amp;<b>\"'",
        "~!@$^*()_-=[]{}|\\;:,.`",
        "*",
        "a\u{a0}b\u{feff}",
    ]
    .map(str::to_owned)
    .into();
    names.push("é".repeat(MAX_NAME_BYTES / 2));
    names.push(format!("long/{}", "x".repeat(MAX_NAME_BYTES - 5)));
    names.sort();
    names
}

#[test]
fn names_arrive_byte_for_byte() {
    let server = S3Server::start();
    let objects = open(&options(&server));
    let names = hard_names();
    for name in &names {
        objects.put(name, &bytes(name.as_bytes()), "image/png").unwrap();
    }
    for name in &names {
        let (content, state) = fetch(&*objects, name).unwrap();
        assert_eq!(content, name.as_bytes(), "{name}");
        assert_eq!(objects.head(name).unwrap(), state, "{name}");
        assert_eq!((state.size_bytes, state.content_type.as_str()), (name.len() as u64, "image/png"));
    }
    for limit in [1, 7, 1000] {
        let listed = listed(&*objects, "", limit);
        assert_eq!(listed.iter().map(|object| &object.name).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
        assert!(listed.iter().all(|object| object.size_bytes == object.name.len() as u64));
        let age = |object: &Listed| SystemTime::now().duration_since(object.modified).unwrap();
        assert!(listed.iter().all(|object| age(object) < Duration::from_secs(60)));
    }
    let under = listed(&*objects, "a%", 2);
    assert_eq!(under.iter().map(|object| object.name.as_str()).collect::<Vec<_>>(), ["a%", "a%20b", "a%2Bb"]);
    for name in &names {
        objects.delete(name).unwrap();
        assert!(matches!(objects.head(name), Err(ObjectError::Missing)), "{name}");
    }
    assert!(listed(&*objects, "", 1000).is_empty());
}

#[test]
fn contents_are_replaced_and_removed() {
    let server = S3Server::start();
    let objects = open(&options(&server));
    assert!(matches!(fetch(&*objects, "a"), Err(ObjectError::Missing)));
    assert!(matches!(objects.head("a"), Err(ObjectError::Missing)));
    objects.delete("a").unwrap();
    // Several pieces, and one of the sizes that ask before they send.
    let large: Vec<u8> = (0..3 << 20).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut tags = Vec::new();
    for content in [&b"first"[..], b"", &large[..64 << 10], &large] {
        objects.put("a", &bytes(content), "image/jpeg").unwrap();
        let (fetched, state) = fetch(&*objects, "a").unwrap();
        assert!(fetched == content, "{} bytes", content.len());
        assert_eq!(state.size_bytes, content.len() as u64);
        assert!(!state.tag.contains('"') && !tags.contains(&state.tag), "{}", state.tag);
        let mut sink = InMemory::new(0);
        assert_eq!(objects.get("a", Some(&state.tag), &mut sink).unwrap(), Fetched::Unchanged);
        tags.push(state.tag);
    }
    let mut sink = InMemory::new(u64::MAX >> 1);
    assert!(matches!(objects.get("a", Some(&tags[0]), &mut sink).unwrap(), Fetched::Whole(_)));
    objects.delete("a").unwrap();
    objects.delete("a").unwrap();
    assert!(matches!(fetch(&*objects, "a"), Err(ObjectError::Missing)));
    objects.check().unwrap();
}

#[test]
fn a_file_is_sent_from_the_disk_and_its_end_is_checked() {
    let server = S3Server::start();
    let objects = open(&options(&server));
    let path = server.folder().join("upload");
    std::fs::write(&path, vec![7; 300 << 10]).unwrap();
    let file = Arc::new(std::fs::File::open(&path).unwrap());
    let content = |n_bytes| Content::File { file: file.clone(), n_bytes };
    objects.put("a", &content(200 << 10), "image/png").unwrap();
    assert_eq!(fetch(&*objects, "a").unwrap().0, vec![7; 200 << 10]);
    let error = objects.put("a", &content(400 << 10), "image/png").unwrap_err();
    assert!(matches!(&error, ObjectError::Content(error) if error.kind() == io::ErrorKind::UnexpectedEof), "{error:?}");
    assert_eq!(fetch(&*objects, "a").unwrap().0, vec![7; 200 << 10], "the old one is there still");
}

/// Takes nothing.
struct Full;

impl Sink for Full {
    fn begin(&mut self, _: &ObjectState) -> io::Result<()> {
        Ok(())
    }

    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }
}

#[test]
fn damage_on_the_way_or_at_home_is_noticed() {
    let server = S3Server::start();
    let objects = open(&options(&server));
    objects.put("a", &bytes(b"whole"), "image/png").unwrap();
    let error = objects.get("a", None, &mut Full).unwrap_err();
    assert!(matches!(error, ObjectError::Content(_)), "{error:?}");
    std::fs::write(server.file("a").unwrap(), b"whale").unwrap();
    let error = fetch(&*objects, "a").unwrap_err();
    assert!(matches!(&error, ObjectError::Broken(reason) if reason.contains("MD5")), "{error:?}");
}

/// Every call; each is refused with what it is allowed by.
fn calls(objects: &dyn Objects) -> [(&'static str, Result<(), ObjectError>); 6] {
    let large = vec![0; 5 << 20];
    [
        ("GetObject", fetch(objects, "a").map(drop)),
        ("GetObject", objects.head("a").map(drop)),
        ("PutObject", objects.put("a", &bytes(b"new"), "image/png")),
        ("PutObject", objects.put("a", &bytes(&large), "image/png")),
        ("DeleteObject", objects.delete("a")),
        ("ListBucket", objects.list("", None, 10).map(drop)),
    ]
}

#[track_caller]
fn refusal(server: &S3Server, result: Result<(), ObjectError>) -> String {
    let error = result.unwrap_err();
    let reason = error.to_string();
    assert!(matches!(error, ObjectError::Refused(_)), "{error:?}");
    assert!(!format!("{error:?}").contains(&server.secret), "{error:?}");
    reason
}

#[test]
fn a_wrong_key_is_told_from_a_wrong_secret() {
    let server = S3Server::start();
    let right = options(&server);
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEX".to_owned();
    for (wrong, expected) in [
        (S3Options { access_key_id: "AKIAOTHER".to_owned(), ..right.clone() }, "AWS_ACCESS_KEY_ID is not known there"),
        (
            S3Options { secret_access_key: secret.clone(), ..right.clone() },
            "AWS_SECRET_ACCESS_KEY does not fit AWS_ACCESS_KEY_ID",
        ),
        (S3Options { bucket: "paintings".to_owned(), ..right.clone() }, "there is no bucket paintings"),
        (
            S3Options { region: "us-west-2".to_owned(), ..right.clone() },
            "the bucket pictures is in the region eu-central-1, not in us-west-2",
        ),
    ] {
        let objects = open(&wrong);
        for (at, (action, result)) in calls(&*objects).into_iter().enumerate() {
            // The answer to a HEAD has no body to tell it, but its region.
            if at == 1 && !expected.contains("region") {
                match result {
                    Err(ObjectError::Missing) => assert!(expected.contains("bucket")),
                    result => assert_eq!(refusal(&server, result), "s3:GetObject on pictures is refused (403)"),
                }
                continue;
            }
            let reason = refusal(&server, result);
            assert_eq!(reason, expected, "{action}");
            assert!(!reason.contains(&secret));
        }
        let reason = refusal(&server, open(&wrong).check());
        assert_eq!(reason, expected);
        assert!(!format!("{objects:?} {wrong:?}").contains(&wrong.secret_access_key), "{objects:?}");
    }
}

#[test]
fn a_permission_that_is_missing_is_named() {
    let server = S3Server::start();
    let objects = open(&options(&server));
    objects.put("a", &bytes(b"old"), "image/png").unwrap();
    server.deny(&["GetObject", "PutObject", "DeleteObject", "ListBucket"]);
    for (at, (action, result)) in calls(&*objects).into_iter().enumerate() {
        let reason = refusal(&server, result);
        let expected = match at {
            1 => "s3:GetObject on pictures is refused (403)".to_owned(),
            _ => format!("the key has no permission for s3:{action} on pictures"),
        };
        assert_eq!(reason, expected);
    }
    server.deny(&["ListBucket"]);
    assert_eq!(fetch(&*objects, "a").unwrap().0, b"old");
    // S3 tells nobody that an object is missing who may not list them.
    let reason = refusal(&server, fetch(&*objects, "b").map(drop));
    assert!(reason.contains("s3:GetObject"), "{reason}");
    server.deny(&[]);
    assert!(matches!(fetch(&*objects, "b"), Err(ObjectError::Missing)));
}

/// Options for a server that looks at no key.
fn keyless(listener: &TcpListener) -> S3Options {
    S3Options {
        region: "eu-central-1".to_owned(),
        endpoint: Some(format!("http://{}", listener.local_addr().unwrap())),
        bucket: "pictures".to_owned(),
        access_key_id: "AKIA".to_owned(),
        secret_access_key: "hush".to_owned(),
    }
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// The head of a request to store this, which a server answers that knows nothing of 100 (Continue).
fn head_of_put(name: &str, content: &[u8]) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let options = keyless(&listener);
    let n_bytes = content.len();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (head, mut body) = (read_head(&mut stream), vec![0; n_bytes]);
        stream.read_exact(&mut body).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        (head, body)
    });
    open(&options).put(name, &bytes(content), "image/png").unwrap();
    let (head, body) = server.join().unwrap();
    assert!(body == content);
    head
}

#[test]
fn what_is_sent_is_what_is_signed() {
    let head = head_of_put("a b+%/ä//../c", b"hello");
    assert!(head.starts_with("PUT /pictures/a%20b%2B%25/%C3%A4//../c HTTP/1.1\r\n"), "{head}");
    for line in [
        "content-length: 5",
        "content-type: image/png",
        "content-md5: XUFAKrxLKna5cZ2REBfFkg==",
        "x-amz-content-sha256: UNSIGNED-PAYLOAD",
        concat!("user-agent: pixlserv/", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(head.lines().any(|found| found == line), "no {line} in {head}");
    }
    assert!(head.contains("SignedHeaders=content-md5;content-type;host;x-amz-content-sha256;x-amz-date,"), "{head}");
    assert!(!head.contains("hush") && !head.contains("transfer-encoding") && !head.contains("expect"), "{head}");
    assert!(head_of_put("large", &[1; 100 << 10]).contains("expect: 100-continue\r\n"));
}

/// Answers every request with the same bytes, and closes; says nothing at all without any. Ends with the process.
fn canned(answer: Vec<u8>) -> Arc<dyn Objects> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let options = keyless(&listener);
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().flatten() {
            read_head(&mut stream);
            // The client need not listen to the end.
            let _ = stream.write_all(&answer);
            if answer.is_empty() {
                open.push(stream);
            }
        }
    });
    s3(&options, Duration::from_secs(1)).unwrap()
}

#[test]
fn whatever_comes_is_an_error_at_once_and_no_panic() {
    let html = b"HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n<html><br>Sign in</html";
    let headers: [&[u8]; 6] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: \xff\xfe\r\nLast-Modified: \xe4\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1x\r\nETag: \"a\"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx-amz-missing-meta: no\r\nx-amz-delete-marker: perhaps\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
        b"\0\0\0\0 what?\r\n\r\n",
        html,
    ];
    for answer in headers {
        let text = String::from_utf8_lossy(answer);
        let objects = canned(answer.to_vec());
        let started = Instant::now();
        assert!(fetch(&*objects, "a").is_err(), "{text}");
        assert!(started.elapsed() < Duration::from_secs(4), "{text}");
    }
    // rusoto's own reading of this never ends.
    assert!(matches!(canned(html.to_vec()).list("", None, 1), Err(ObjectError::Failed(_))));
}

#[test]
fn redirects_are_not_followed_and_errors_not_read_for_ever() {
    let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    target.set_nonblocking(true).unwrap();
    let address = target.local_addr().unwrap();
    let moved = format!("HTTP/1.1 307 Moved\r\nLocation: http://{address}/\r\nContent-Length: 0\r\n\r\n");
    let error = fetch(&*canned(moved.into_bytes()), "a").unwrap_err();
    let expected = format!("the bucket pictures has another address: http://{address}/ (307)");
    assert!(matches!(&error, ObjectError::Refused(reason) if *reason == expected), "{error:?}");
    assert!(target.accept().is_err(), "nobody came");
    let mut endless = b"HTTP/1.1 403 Forbidden\r\n\r\n<Error><Code>AccessDenied</Code><Message>".to_vec();
    endless.resize(32 << 20, b'x');
    let error = fetch(&*canned(endless), "a").unwrap_err();
    assert_eq!(error.to_string(), "the key has no permission for s3:GetObject on pictures");
}

#[test]
fn a_server_that_says_nothing_is_left_in_time() {
    let objects = canned(Vec::new());
    let started = Instant::now();
    let error = fetch(&*objects, "a").unwrap_err();
    assert!(matches!(error, ObjectError::TimedOut(_)), "{error:?}");
    assert!((Duration::from_millis(900)..Duration::from_secs(3)).contains(&started.elapsed()));
}
