//! Forms with pictures in them, byte by byte, and what the server tells of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use crate::server::{Answer, Exchange, PATIENCE, Server, poll};

pub(crate) const BOUNDARY: &str = "----TestFormBoundary7MA4YWxk";

/// A `multipart/form-data` body that is being written.
#[derive(Clone)]
pub(crate) struct Form {
    boundary: String,
    body: Vec<u8>,
}

impl Form {
    pub(crate) fn new() -> Self {
        Self::bounded_by(BOUNDARY)
    }

    pub(crate) fn bounded_by(boundary: &str) -> Self {
        Self { boundary: boundary.to_owned(), body: Vec::new() }
    }

    /// A part with these header lines.
    pub(crate) fn part(mut self, headers: &str, content: &[u8]) -> Self {
        self.body.extend(format!("--{}\r\n{headers}\r\n\r\n", self.boundary).into_bytes());
        self.body.extend(content);
        self.body.extend(b"\r\n");
        self
    }

    pub(crate) fn text(self, name: &str, value: &str) -> Self {
        self.part(&format!("Content-Disposition: form-data; name=\"{name}\""), value.as_bytes())
    }

    pub(crate) fn image(self, content: &[u8]) -> Self {
        self.file("picture", "application/octet-stream", content)
    }

    /// The image by a name and a type that its sender gives it.
    pub(crate) fn file(self, file_name: &str, media_type: &str, content: &[u8]) -> Self {
        let disposition = format!("Content-Disposition: form-data; name=\"image\"; filename=\"{file_name}\"");
        self.part(&format!("{disposition}\r\nContent-Type: {media_type}"), content)
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.body.extend(format!("--{}--\r\n", self.boundary).into_bytes());
        self.body
    }

    /// Without its last boundary.
    pub(crate) fn unfinished(self) -> Vec<u8> {
        self.body
    }
}

/// The body of an upload of nothing but an image.
pub(crate) fn form_of(content: &[u8]) -> Vec<u8> {
    Form::new().image(content).end()
}

/// `Content-Type` of a form.
pub(crate) fn media_type(boundary: &str) -> String {
    format!("Content-Type: multipart/form-data; boundary={boundary}\r\n")
}

/// A request with these header lines beside `Host`, and a body of known length.
pub(crate) fn post(target: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST {target} HTTP/1.1\r\nHost: test\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// A whole request that ends its connection.
pub(crate) fn upload_request(target: &str, body: &[u8]) -> Vec<u8> {
    post(target, &format!("Connection: close\r\n{}", media_type(BOUNDARY)), body)
}

/// The same in chunks of so many bytes.
pub(crate) fn chunked_request(target: &str, body: &[u8], n_bytes: usize) -> Vec<u8> {
    let head = format!("POST {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{}", media_type(BOUNDARY));
    let mut request = (head + "Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(n_bytes) {
        request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    request
}

/// What an answer to an upload says.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) message: String,
    /// Of the stored image; empty if there is none.
    pub(crate) path: String,
}

impl Told {
    /// Reads an answer, which has the three fields and no others.
    pub(crate) fn of(answer: &Answer) -> Self {
        assert_eq!(answer.header("Content-Type"), Some("application/json"), "{answer:?}");
        let fields: BTreeMap<String, String> =
            serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        let names: Vec<&str> = fields.keys().map(String::as_str).collect();
        assert_eq!(names, ["errorMessage", "imagePath", "status"], "{answer:?}");
        let (message, path) = (fields["errorMessage"].clone(), fields["imagePath"].clone());
        let is_ok = answer.status == 200;
        assert_eq!(fields["status"], if is_ok { "ok" } else { "error" }, "{answer:?}");
        assert_eq!(path.is_empty(), !is_ok, "{answer:?}");
        assert_eq!(message.is_empty(), is_ok, "{answer:?}");
        assert!(!message.contains('\n'), "{answer:?}");
        Self { status: answer.status, message, path }
    }

    /// Reads the one answer of a connection.
    pub(crate) fn only(exchange: &Exchange, what: &str) -> Self {
        assert_eq!(exchange.answers.len(), 1, "{what}: {exchange:?}");
        Self::of(&exchange.answers[0])
    }
}

/// Sends a request that ends its connection.
pub(crate) fn told(server: &Server, request: &[u8]) -> Told {
    let what = String::from_utf8_lossy(&request[..request.len().min(200)]).into_owned();
    Told::only(&server.exchange(request), &what)
}

/// Uploads a form.
pub(crate) fn upload(server: &Server, target: &str, body: &[u8]) -> Told {
    told(server, &upload_request(target, body))
}

/// Uploads an image, which must be taken; gives its path.
pub(crate) fn stored_path(server: &Server, content: &[u8]) -> String {
    let told = upload(server, "/upload", &form_of(content));
    assert_eq!(told.status, 200, "{told:?}\n{}", server.log_of_events());
    told.path
}

/// The time of a name of ours, its random part and its extension.
pub(crate) fn parts_of(path: &str) -> (u64, &str, &str) {
    let (stem, extension) = path.split_once('.').unwrap_or_else(|| panic!("no extension: {path}"));
    let (time, random) = stem.split_once('-').unwrap_or_else(|| panic!("no time: {path}"));
    let is_hex = random.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    assert!(is_hex && random.len() >= 24, "fewer than 96 random bits: {path}");
    (time.parse().unwrap(), random, extension)
}

/// All that lies in a folder and those below, hidden files too.
pub(crate) fn folder(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().unwrap().is_dir() {
            found
                .extend(folder(&entry.path()).into_iter().map(|(below, content)| (format!("{name}/{below}"), content)));
        } else {
            found.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
    found
}

/// What the server has open, but for its index: of that it opens more for many who ask at once, and keeps it.
fn open_files(server: &Server) -> Vec<String> {
    let entries = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().flatten();
    let links = entries.filter_map(|entry| Some(std::fs::read_link(entry.path()).ok()?.display().to_string()));
    links.filter(|link| !link.contains("/index.sqlite")).collect()
}

/// What a server has before it is tried, and should have afterwards.
pub(crate) struct Before {
    images: BTreeMap<String, Vec<u8>>,
    n_files: usize,
}

impl Before {
    /// Of a server that has everything open that it needs for an upload.
    pub(crate) fn of(server: &Server) -> Self {
        let path = stored_path(server, &crate::pictures::png(5, 5));
        assert_eq!(server.get(&format!("/image/w_4/{path}")).status, 200);
        // What the last connections had open is closed in a moment.
        let mut n = open_files(server).len();
        poll(Instant::now() + std::time::Duration::from_millis(300), || {
            n = n.min(open_files(server).len());
            None::<()>
        });
        Self { images: folder(&server.images()), n_files: n }
    }

    /// The image folder is as it was, to the byte.
    pub(crate) fn assert_nothing_stored(&self, server: &Server, what: &str) {
        let images = folder(&server.images());
        if images != self.images {
            let names: Vec<&String> = images.keys().filter(|name| !self.images.contains_key(*name)).collect();
            panic!("{what}: left behind: {names:?}");
        }
    }

    /// No file is open that was not open before.
    pub(crate) fn assert_all_closed(&self, server: &Server, what: &str) {
        let closed = poll(Instant::now() + PATIENCE, || (open_files(server).len() <= self.n_files).then_some(()));
        assert!(closed.is_some(), "{what}: before: {} open files, now {:#?}", self.n_files, open_files(server));
    }
}
