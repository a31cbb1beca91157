//! The proxy itself, between a real client and a storage of a few lines.

use std::collections::HashMap;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ureq::Agent;

use super::wire::{Body, Framing, Head, write_end, write_piece};
use super::{Fault, FaultProxy};
use crate::server::{PATIENCE, exchange, poll};

const SHORT: Duration = Duration::from_millis(300);

/// Keeps what is put under a target, gives it back, and tells the `Host` of each request in `X-Host`. Answers below
/// `/chunked` are chunked; of others there are 204 and 304.
fn storage() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let objects = Arc::new(Mutex::new(HashMap::new()));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, objects) = (stream.unwrap(), Arc::clone(&objects));
            std::thread::spawn(move || {
                let mut from = BufReader::new(stream.try_clone().unwrap());
                while let Ok(Some(head)) = Head::read(&mut from) {
                    if store(&head, &mut from, &stream, &objects).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn store(
    head: &Head,
    from: &mut BufReader<TcpStream>,
    mut to: &TcpStream,
    objects: &Mutex<HashMap<String, Vec<u8>>>,
) -> std::io::Result<()> {
    if head.header("Expect").is_some() {
        if head.word(1) == "/refused" {
            return to.write_all(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
        }
        to.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let mut body = Vec::new();
    Body::new(from, head.request_framing()?).read_to_end(&mut body)?;
    let host = head.header("Host").unwrap_or_default();
    let found = objects.lock().unwrap().get(head.word(1)).cloned();
    let (status, content) = match (head.word(0), head.word(1)) {
        ("PUT", target) => {
            objects.lock().unwrap().insert(target.to_owned(), body);
            ("200 OK", Vec::new())
        }
        (_, "/304") => ("304 Not Modified", Vec::new()),
        (_, "/204") => ("204 No Content", Vec::new()),
        (_, _) => found.map_or(("404 Not Found", b"none".to_vec()), |content| ("200 OK", content)),
    };
    let mut answer = format!("HTTP/1.1 {status}\r\nX-Host: {host}\r\n").into_bytes();
    let is_chunked = head.word(1).starts_with("/chunked") && head.word(0) == "GET";
    if is_chunked {
        answer.extend(b"Transfer-Encoding: chunked\r\n\r\n");
        for piece in content.chunks(1000) {
            write_piece(&mut answer, Framing::Chunked, piece)?;
        }
        write_end(&mut answer, Framing::Chunked, b"X-After: 1\r\n")?;
    } else {
        if head.word(1) != "/204" {
            answer.extend(format!("Content-Length: {}\r\n", content.len()).into_bytes());
        }
        answer.extend(b"\r\n");
        if head.word(0) != "HEAD" {
            answer.extend(content);
        }
    }
    to.write_all(&answer)
}

struct Scene {
    proxy: FaultProxy,
    agent: Agent,
}

/// What the client made of an answer.
type Got = Result<(u16, Vec<u8>), String>;

impl Scene {
    fn new() -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .new_agent();
        Self { proxy: FaultProxy::start(storage()), agent }
    }

    fn url(&self, target: &str) -> String {
        self.proxy.endpoint() + target
    }

    fn put(&self, target: &str, content: &[u8]) -> u16 {
        self.agent.put(self.url(target)).send(content).unwrap().status().as_u16()
    }

    fn get(&self, target: &str) -> Got {
        self.get_up_to(target, 1 << 30)
    }

    fn get_up_to(&self, target: &str, n_bytes: u64) -> Got {
        let mut answer = self.agent.get(self.url(target)).call().map_err(|error| error.to_string())?;
        let mut content = Vec::new();
        let read = answer.body_mut().as_reader().take(n_bytes).read_to_end(&mut content);
        read.map_err(|error| error.to_string())?;
        Ok((answer.status().as_u16(), content))
    }
}

#[test]
fn all_passes_unchanged_over_connections_that_stay() {
    let scene = Scene::new();
    let large: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    for (target, content) in
        [("/a%20b?x=1&y", b"some".as_slice()), ("/chunked", &large), ("/large", &large), ("/e", b"")]
    {
        assert_eq!(scene.put(target, content), 200);
        assert_eq!(scene.get(target), Ok((200, content.to_vec())));
    }
    let streamed = ureq::SendBody::from_owned_reader(std::io::Cursor::new(large.clone()));
    scene.agent.put(scene.url("/streamed")).send(streamed).unwrap();
    assert_eq!(scene.get("/streamed"), Ok((200, large.clone())));
    for (target, status) in [("/204", 204), ("/304", 304), ("/none", 404)] {
        assert_eq!(scene.get(target).unwrap().0, status);
    }
    let head = scene.agent.head(scene.url("/large")).call().unwrap();
    assert_eq!(head.headers()["Content-Length"], large.len().to_string().as_str());
    assert_eq!(head.headers()["X-Host"], scene.proxy.address().to_string().as_str());
    assert_eq!(scene.proxy.n_connections(), 1);

    let seen = scene.proxy.requests();
    assert_eq!(seen.len(), 14);
    assert_eq!((seen[0].head.method.as_str(), seen[0].head.target.as_str()), ("PUT", "/a%20b?x=1&y"));
    assert_eq!((seen[0].status, seen[0].request_bytes, seen[0].response_bytes), (Some(200), 4, 0));
    assert_eq!((seen[3].request_bytes, seen[3].response_bytes), (0, large.len() as u64));
    assert_eq!(seen[8].request_bytes, large.len() as u64);
    assert!(seen[8].head.header("transfer-encoding").is_some());
    assert_eq!((seen[12].status, seen[12].response_bytes), (Some(404), 4));
    scene.proxy.clear();
    assert!(scene.proxy.requests().is_empty());
}

#[test]
fn a_client_may_ask_before_it_sends() {
    let scene = Scene::new();
    let ask = |target: &str, body: &str, then: &str| {
        let head = format!("PUT {target} HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
        exchange(scene.proxy.address(), (head + body + then).as_bytes(), SHORT)
    };
    let got = ask("/a", "body", "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!((got.statuses(), got.closed), (vec![100, 200, 200], false));
    assert_eq!(got.answers[2].body, b"body");
    let got = ask("/refused", "", "");
    assert_eq!(got.statuses(), [403]);
    scene.proxy.always(Fault::s3(503, "SlowDown"));
    let got = ask("/a", "", "");
    assert_eq!((got.statuses(), got.closed), (vec![503], true));
}

#[test]
fn answers_are_made_up_or_lost() {
    let scene = Scene::new();
    scene.put("/a", b"first");
    scene.proxy.first(2, Fault::s3(503, "SlowDown"));
    for _ in 0..2 {
        let (status, body) = scene.get("/a").unwrap();
        assert!(status == 503 && String::from_utf8(body).unwrap().contains("<Code>SlowDown</Code>"));
    }
    assert_eq!(scene.get("/a"), Ok((200, b"first".to_vec())));
    scene.proxy.set(|head, number| match (head.method.as_str(), number) {
        ("PUT", 1) => Fault::StatusAfter(500, "lost".to_owned()),
        _ => Fault::Pass,
    });
    assert_eq!(scene.put("/a", b"second"), 500);
    assert_eq!(scene.get("/a"), Ok((200, b"second".to_vec())));
    scene.proxy.always(Fault::Status(500, "x".to_owned()));
    assert_eq!(scene.put("/a", b"third"), 500);
    scene.proxy.always(Fault::gcs(503, "backendError"));
    assert!(String::from_utf8(scene.get("/a").unwrap().1).unwrap().starts_with(r#"{"error":{"code":503"#));
    scene.proxy.always(Fault::StatusWith(429, "Retry-After: 1\r\n".to_owned(), String::new()));
    assert_eq!(scene.agent.get(scene.url("/a")).call().unwrap().headers()["Retry-After"], "1");
    scene.proxy.always(Fault::Redirect("http://elsewhere/".to_owned()));
    let answer = scene.agent.get(scene.url("/a")).call().unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["Location"]), (307, &"http://elsewhere/".parse().unwrap()));
    scene.proxy.always(Fault::Skew(20));
    let request = scene.agent.get(scene.url("/a")).header("x-amz-date", "20240101T000000Z");
    let mut answer = request.call().unwrap();
    let ahead = httpdate::parse_http_date(answer.headers()["Date"].to_str().unwrap()).unwrap();
    let minutes = ahead.duration_since(std::time::SystemTime::now()).unwrap().as_secs_f64() / 60.0;
    assert!((19.9..=20.1).contains(&minutes), "{minutes}");
    let text = answer.body_mut().read_to_string().unwrap();
    assert!(text.contains("<Code>RequestTimeTooSkewed</Code>"), "{text}");
    assert!(text.contains("<RequestTime>20240101T000000Z</RequestTime><ServerTime>20"), "{text}");
    scene.proxy.heal();
    assert_eq!(scene.get("/a"), Ok((200, b"second".to_vec())), "neither 500 nor 429 came to the storage");
    assert_eq!(scene.proxy.n_connections(), 1);
}

#[test]
fn connections_end_stay_silent_or_are_late() {
    let scene = Scene::new();
    scene.put("/a", b"content");
    let request = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
    let read = |fault| {
        scene.proxy.always(fault);
        let mut stream = TcpStream::connect(scene.proxy.address()).unwrap();
        stream.set_read_timeout(Some(SHORT)).unwrap();
        stream.write_all(request).unwrap();
        let mut bytes = Vec::new();
        (stream.read_to_end(&mut bytes).map_err(|error| error.kind()), bytes)
    };
    assert_eq!(read(Fault::Refuse), (Ok(0), Vec::new()));
    assert_eq!(read(Fault::Reset), (Err(ErrorKind::ConnectionReset), Vec::new()));
    assert_eq!(read(Fault::ResetAfter), (Err(ErrorKind::ConnectionReset), Vec::new()));
    assert_eq!(read(Fault::Stall), (Err(ErrorKind::WouldBlock), Vec::new()));
    assert_eq!(read(Fault::Raw(b"what?".to_vec())), (Ok(5), b"what?".to_vec()));
    assert_eq!(read(Fault::Delay(Duration::from_secs(60))), (Err(ErrorKind::WouldBlock), Vec::new()));
    let (ended, bytes) = read(Fault::StallBody(3));
    assert!(ended == Err(ErrorKind::WouldBlock) && bytes.ends_with(b"\r\n\r\ncon"));
    let (ended, bytes) = read(Fault::LieLength(1));
    assert!(ended == Err(ErrorKind::WouldBlock) && bytes.ends_with(b"Content-Length: 8\r\n\r\ncontent"));
    let start = Instant::now();
    scene.proxy.always(Fault::Delay(SHORT));
    assert_eq!(scene.get("/a"), Ok((200, b"content".to_vec())));
    assert!(start.elapsed() >= SHORT);
    scene.proxy.always(Fault::ResetAfter);
    assert!(scene.agent.put(scene.url("/a")).send("second").is_err());
    scene.proxy.heal();
    assert_eq!(scene.get("/a"), Ok((200, b"second".to_vec())));
}

#[test]
fn bodies_are_damaged() {
    let scene = Scene::new();
    let content: Vec<u8> = (0..100_000).map(|index: u32| index as u8).collect();
    let mut corrupt = content.clone();
    for target in ["/a", "/chunked"] {
        scene.put(target, &content);
        scene.proxy.always(Fault::CutBody(70_000));
        scene.get(target).unwrap_err();
        scene.proxy.always(Fault::SlowBody(200_000));
        let start = Instant::now();
        assert_eq!(scene.get(target), Ok((200, content.clone())));
        assert!(start.elapsed() > SHORT, "{:?}", start.elapsed());
        scene.proxy.always(Fault::Endless);
        let (_, endless) = scene.get_up_to(target, 500_000).unwrap();
        assert!(endless.len() == 500_000 && endless.starts_with(&content));
        scene.proxy.heal();
        assert_eq!(scene.get(target), Ok((200, content.clone())));
    }
    scene.proxy.always(Fault::CorruptBody);
    corrupt[50_000] ^= 1;
    assert_eq!(scene.get("/a"), Ok((200, corrupt.clone())));
    scene.proxy.always(Fault::ShortBody);
    assert_eq!(scene.get("/a"), Ok((200, content[..50_000].to_vec())));
    assert_eq!(scene.get("/chunked"), Ok((200, Vec::new())));
    scene.proxy.always(Fault::LieLength(-10));
    assert_eq!(scene.get("/a"), Ok((200, content[..99_990].to_vec())));
    scene.proxy.always(Fault::CorruptRequest);
    assert_eq!(scene.put("/a", &content), 200);
    scene.proxy.heal();
    assert_eq!(scene.get("/a"), Ok((200, corrupt)));
    scene.proxy.always(Fault::Overflow);
    let mut stream = TcpStream::connect(scene.proxy.address()).unwrap();
    stream.write_all(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut bytes = vec![0; 1_000_000];
    stream.read_exact(&mut bytes).unwrap();
    assert!(bytes.ends_with(b"xxx"));
}

#[test]
fn the_storage_goes_and_comes_back_on_the_same_port() {
    let scene = Scene::new();
    scene.put("/a", b"content");
    scene.proxy.always(Fault::Stall);
    let stalled = std::thread::scope(|scope| {
        let stalled = scope.spawn(|| scene.get("/a"));
        poll(Instant::now() + PATIENCE, || (scene.proxy.requests().len() == 2).then_some(())).unwrap();
        scene.proxy.stop_listening();
        stalled.join().unwrap()
    });
    stalled.unwrap_err();
    scene.proxy.heal();
    let refused = TcpStream::connect(scene.proxy.address()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    poll(Instant::now() + PATIENCE, || (scene.proxy.n_connections() == 0).then_some(())).unwrap();
    for _ in 0..3 {
        scene.proxy.listen_again();
        assert_eq!(scene.get("/a"), Ok((200, b"content".to_vec())));
        scene.proxy.stop_listening();
        scene.get("/a").unwrap_err();
    }
    scene.proxy.listen_again();
    assert_eq!(scene.put("/b", b"more"), 200);
    scene.proxy.end_connections();
    assert_eq!(poll(Instant::now() + PATIENCE, || scene.get("/b").ok()), Some((200, b"more".to_vec())));
}
