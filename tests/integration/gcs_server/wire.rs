//! As much of HTTP as the front needs: whole requests and answers in memory.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

const MAX_HEADERS: usize = 64;

pub(crate) type Headers = Vec<(String, String)>;

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names and values as they were written.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    /// Sent in chunks, so that nobody knows its size before the end.
    pub(crate) is_chunked: bool,
}

pub(crate) fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

impl Request {
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let value = &self.query.iter().find(|(known, _)| known == name)?.1;
        Some(percent_encoding::percent_decode_str(value).decode_utf8().unwrap().into_owned())
    }

    /// The next request of a connection; `None` where it ends or nothing good comes.
    pub(crate) fn read(reader: &mut BufReader<&TcpStream>) -> Option<Self> {
        let head = read_head(reader)?;
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(&head).ok()?;
        let (path, query) = request.path?.split_once('?').unwrap_or((request.path?, ""));
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let headers = owned(request.headers);
        let n_bytes = header(&headers, "content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = Vec::new();
        reader.take(n_bytes).read_to_end(&mut body).ok()?;
        (body.len() as u64 == n_bytes).then(|| Self {
            method: request.method.unwrap().to_owned(),
            path: path.to_owned(),
            query: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            headers,
            body,
        })
    }
}

impl Response {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Self { status, headers, body: body.into(), is_chunked: false }
    }

    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json; charset=UTF-8", value.to_string())
    }

    pub(crate) fn write(&self, date: &str, mut to: &TcpStream) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {} -\r\nDate: {date}\r\nServer: UploadServer\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.is_chunked {
            to.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes())?;
            for chunk in self.body.chunks(1000) {
                write!(to, "{:x}\r\n", chunk.len())?;
                to.write_all(chunk)?;
                to.write_all(b"\r\n")?;
            }
            return to.write_all(b"0\r\n\r\n");
        }
        if !matches!(self.status, 204 | 304) {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        to.write_all(format!("{head}\r\n").as_bytes())?;
        to.write_all(&self.body)
    }
}

/// Asks a server that ends its answer by closing.
pub(crate) fn exchange(server: SocketAddr, method: &str, target: &str, content_type: &str, body: &[u8]) -> Response {
    let mut stream = TcpStream::connect(server).unwrap();
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.0\r\nHost: {server}\r\nContent-Type: {content_type}\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut reader = BufReader::new(&stream);
    let head = read_head(&mut reader).unwrap();
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(&head).unwrap();
    let mut body = Vec::new();
    reader.read_to_end(&mut body).unwrap();
    Response { status: response.code.unwrap(), headers: owned(response.headers), body, is_chunked: false }
}

fn read_head(reader: &mut BufReader<&TcpStream>) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    loop {
        let n_read = reader.read_until(b'\n', &mut head).ok()?;
        if n_read == 0 {
            return None;
        }
        if head.ends_with(b"\r\n\r\n") {
            return Some(head);
        }
    }
}

fn owned(headers: &[httparse::Header<'_>]) -> Headers {
    let owned = |header: &httparse::Header<'_>| (header.name.to_owned(), String::from_utf8_lossy(header.value).into());
    headers.iter().map(owned).collect()
}
