//! Finds the end of a request head in what has arrived and reads it. Pure: bytes in, a head or a refusal out; the
//! same one however the bytes were split over reads, since each refusal belongs to one position in them.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use super::error::HeadError;
use super::framing::{self, BodyLength};
use super::limits::Limits;
use super::request::{Request, Target};

/// Longer methods than any registered one are answered 501.
const MAX_METHOD_BYTES: usize = 32;
/// What a request line needs beside method and target: two spaces, the version, and room for a version we refuse.
const REQUEST_LINE_EXTRA_BYTES: usize = 32;

/// A whole and valid head.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) body: BodyLength,
    /// Bytes up to and with the empty line; what follows them is body or the next request.
    pub(super) n_bytes: usize,
}

/// How far a head has been looked at, so that no byte is looked at twice.
#[derive(Debug, Default)]
pub(super) struct HeadParser {
    /// The next byte to look at.
    position: usize,
    line_start: usize,
    /// Where the header lines begin, once the request line is read.
    headers_start: usize,
    n_headers: usize,
    n_leading_lines: usize,
    request_line: Option<RequestLine>,
}

#[derive(Clone, Debug)]
struct RequestLine {
    method: Method,
    target: Target,
    version: Version,
}

impl HeadParser {
    /// Looks at what has arrived since the last call. `bytes` begins with the first byte of the head each time.
    /// `None` asks for more.
    pub(super) fn advance(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<Head>, HeadError> {
        while let Some(&byte) = bytes.get(self.position) {
            if self.position >= limits.max_head_bytes {
                return Err(HeadError::TooLarge);
            }
            let after_cr = self.position > self.line_start && bytes[self.position - 1] == b'\r';
            self.position += 1;
            match byte {
                b'\n' if after_cr => {
                    let line = &bytes[self.line_start..self.position - 2];
                    self.line_start = self.position;
                    if self.end_line(line, limits)? {
                        return self.finish(bytes).map(Some);
                    }
                }
                b'\n' | 0 => return Err(HeadError::Line),
                _ if after_cr => return Err(HeadError::Line),
                b'\r' => {}
                _ => self.check_byte(bytes, byte, limits)?,
            }
        }
        Ok(None)
    }

    /// A byte within a line: how long the line may be, and that it continues none.
    fn check_byte(&self, bytes: &[u8], byte: u8, limits: &Limits) -> Result<(), HeadError> {
        let line = &bytes[self.line_start..self.position];
        if self.request_line.is_some() {
            if line.len() > limits.max_line_bytes {
                return Err(HeadError::TooLarge);
            }
            if line.len() == 1 && matches!(byte, b' ' | b'\t') {
                return Err(HeadError::Folded);
            }
        } else if line.len() > MAX_METHOD_BYTES + REQUEST_LINE_EXTRA_BYTES + limits.max_target_bytes {
            let method_ends = line[..=MAX_METHOD_BYTES].contains(&b' ');
            return Err(if method_ends { HeadError::TargetTooLong } else { HeadError::RequestLine });
        }
        Ok(())
    }

    /// Takes one line without its end; true if it ends the head.
    fn end_line(&mut self, line: &[u8], limits: &Limits) -> Result<bool, HeadError> {
        match (&self.request_line, line.is_empty()) {
            (Some(_), true) => return Ok(true),
            (Some(_), false) => {
                self.n_headers += 1;
                if self.n_headers > limits.max_headers {
                    return Err(HeadError::TooLarge);
                }
            }
            (None, true) => {
                self.n_leading_lines += 1;
                if self.n_leading_lines > 1 {
                    return Err(HeadError::LeadingLines);
                }
            }
            (None, false) => {
                self.request_line = Some(RequestLine::parse(line, limits)?);
                self.headers_start = self.position;
            }
        }
        Ok(false)
    }

    fn finish(&mut self, bytes: &[u8]) -> Result<Head, HeadError> {
        let version = self.request_line.as_ref().ok_or(HeadError::RequestLine)?.version;
        let headers = parse_headers(&bytes[self.headers_start..self.position], self.n_headers)?;
        framing::check_host(&headers, version)?;
        let body = framing::body_length(&headers, version)?;
        let RequestLine { method, target, version } = self.request_line.take().ok_or(HeadError::RequestLine)?;
        Ok(Head { method, target, version, headers, body, n_bytes: self.position })
    }

    /// The request of a head that is refused or not whole, without its fields; `None` if not even its line is known.
    pub(super) fn begun(&self, id: u64, peer: Option<IpAddr>) -> Option<Request> {
        let RequestLine { method, target, version } = self.request_line.clone()?;
        Some(Request { id, peer, method, target, version, headers: HeaderMap::new() })
    }
}

impl RequestLine {
    /// Three words with one space between them. The version goes first: a version we do not speak may have targets
    /// we do not know.
    fn parse(line: &[u8], limits: &Limits) -> Result<Self, HeadError> {
        let mut words = line.split(|&byte| byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(HeadError::RequestLine);
        };
        let version = parse_version(version)?;
        let token = Method::from_bytes(method).map_err(|_| HeadError::RequestLine)?;
        if method.len() > MAX_METHOD_BYTES {
            return Err(HeadError::Method);
        }
        if target.len() > limits.max_target_bytes {
            return Err(HeadError::TargetTooLong);
        }
        Ok(Self { method: token, target: Target::parse(target)?, version })
    }
}

fn parse_version(text: &[u8]) -> Result<Version, HeadError> {
    let number = text.strip_prefix(b"HTTP/").ok_or(HeadError::RequestLine)?;
    match number {
        b"1.0" => Ok(Version::HTTP_10),
        b"1.1" => Ok(Version::HTTP_11),
        [major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => Err(HeadError::Version),
        [major] if major.is_ascii_digit() => Err(HeadError::Version),
        _ => Err(HeadError::RequestLine),
    }
}

/// `lines` are whole and end with the empty line. httparse refuses space before the colon, empty names, control
/// characters and folding; line ends, of which it also takes bare LF, are checked before.
fn parse_headers(lines: &[u8], n_headers: usize) -> Result<HeaderMap, HeadError> {
    let mut room = vec![httparse::EMPTY_HEADER; n_headers];
    let fields = match httparse::parse_headers(lines, &mut room) {
        Ok(httparse::Status::Complete((n_bytes, fields))) if n_bytes == lines.len() => fields,
        _ => return Err(HeadError::Header),
    };
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| HeadError::Header)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| HeadError::Header)?;
        headers.try_append(name, value).map_err(|_| HeadError::TooLarge)?;
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(bytes: &[u8]) -> Result<Option<Head>, HeadError> {
        HeadParser::default().advance(bytes, &Limits::default())
    }

    /// `\n` stands for a whole line end.
    fn head(text: &str) -> Vec<u8> {
        text.replace('\n', "\r\n").into_bytes()
    }

    #[test]
    fn a_plain_head_is_read() {
        let mut bytes = head("\nGET /a/b?c HTTP/1.1\nHost: x\nAccept:  a, b \nAccept: \u{e9}\nX-Empty:\n\n");
        let n_bytes = bytes.len();
        bytes.extend_from_slice(b"GET /next");
        let head = parse(&bytes).unwrap().unwrap();
        assert_eq!(head.n_bytes, n_bytes);
        assert_eq!((head.method, head.version), (Method::GET, Version::HTTP_11));
        assert_eq!(head.target, Target { path: "/a/b".into(), query: Some("c".into()) });
        assert_eq!(head.headers.get_all("accept").iter().count(), 2);
        assert_eq!(head.headers["accept"], "a, b");
        assert_eq!(head.headers["x-empty"], "");
        assert_eq!(head.body, BodyLength::Zero);
    }

    #[test]
    fn refusals_have_their_reason() {
        let check = |text: &str, expected: HeadError| {
            assert_eq!(parse(text.as_bytes()).unwrap_err(), expected, "{text:?}");
        };
        check("\r\n\r\nGET / HTTP/1.1\r\n", HeadError::LeadingLines);
        check("\nGET / HTTP/1.1\r\n", HeadError::Line);
        check("GET / HTTP/1.1\n", HeadError::Line);
        check("GET / HTTP/1.1\rHost", HeadError::Line);
        check("GET / HTTP/1.1\r\nHost: x\n\r\n", HeadError::Line);
        check("GET / HTTP/1.1\r\nHost: x\r\r\n", HeadError::Line);
        check("GET / HTTP/1.1\r\nHost: x\0", HeadError::Line);
        check("GET /\0", HeadError::Line);
        check("GET /\r\n", HeadError::RequestLine);
        check("GET / HTTP/1.1 x\r\n", HeadError::RequestLine);
        check("GET  / HTTP/1.1\r\n", HeadError::RequestLine);
        check("GET / HTTP/1.1 \r\n", HeadError::RequestLine);
        check(" GET / HTTP/1.1\r\n", HeadError::RequestLine);
        check("GET\t/\tHTTP/1.1\r\n", HeadError::RequestLine);
        check("G@T / HTTP/1.1\r\n", HeadError::RequestLine);
        check("GET / http/1.1\r\n", HeadError::RequestLine);
        check("GET / HTTP/1.10\r\n", HeadError::RequestLine);
        check("GET / HTTP/11\r\n", HeadError::RequestLine);
        check("GET / HTTP/0.9\r\n", HeadError::Version);
        check("GET / HTTP/1.2\r\n", HeadError::Version);
        check("GET / HTTP/3\r\n", HeadError::Version);
        check("PRI * HTTP/2.0\r\n", HeadError::Version);
        check("OPTIONS * HTTP/1.1\r\n", HeadError::Target);
        check("CONNECT a:80 HTTP/1.1\r\n", HeadError::Target);
        check("GET /\u{7f} HTTP/1.1\r\n", HeadError::Target);
        check("GET / HTTP/1.1\r\n Host: x", HeadError::Folded);
        check("GET / HTTP/1.1\r\nHost: x\r\n\tfolded", HeadError::Folded);
        check("GET / HTTP/1.1\r\nHost : x\r\n\r\n", HeadError::Header);
        check("GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n", HeadError::Header);
        check("GET / HTTP/1.1\r\nHost: x\r\nname\r\n\r\n", HeadError::Header);
        check("GET / HTTP/1.1\r\nHost: x\r\nA: \u{b}\r\n\r\n", HeadError::Header);
        check("GET / HTTP/1.1\r\n\r\n", HeadError::Host);
    }

    #[test]
    fn limits_are_exact() {
        let limits = Limits::default();
        let check = |bytes: &[u8], expected: Option<HeadError>| {
            assert_eq!(parse(bytes).err(), expected, "{} bytes", bytes.len());
        };
        let target = |n: usize| head(&format!("GET /{} HTTP/1.1\nHost: x\n\n", "a".repeat(n - 1)));
        check(&target(limits.max_target_bytes), None);
        check(&target(limits.max_target_bytes + 1), Some(HeadError::TargetTooLong));
        check(&target(1 << 20), Some(HeadError::TargetTooLong));
        let line = |n: usize| head(&format!("GET / HTTP/1.1\nHost: x\nA:{}\n\n", "a".repeat(n - 2)));
        check(&line(limits.max_line_bytes), None);
        check(&line(limits.max_line_bytes + 1), Some(HeadError::TooLarge));
        let fields = |n: usize| head(&format!("GET / HTTP/1.1\nHost: x\n{}\n", "a: b\n".repeat(n - 1)));
        check(&fields(limits.max_headers), None);
        check(&fields(limits.max_headers + 1), Some(HeadError::TooLarge));
        let method = |n: usize| head(&format!("{} / HTTP/1.1\nHost: x\n\n", "M".repeat(n)));
        check(&method(32), None);
        check(&method(33), Some(HeadError::Method));
        check(&method(1 << 16), Some(HeadError::RequestLine));
        let total = |n: usize| {
            let start = "GET / HTTP/1.1\nHost: x\n";
            let two_lines = format!("A:{}\nB:", "a".repeat(8180));
            let fill = n - head(start).len() - head(&two_lines).len() - 4;
            head(&format!("{start}{two_lines}{}\n\n", "b".repeat(fill)))
        };
        assert_eq!(total(limits.max_head_bytes).len(), limits.max_head_bytes);
        check(&total(limits.max_head_bytes), None);
        check(&total(limits.max_head_bytes + 1), Some(HeadError::TooLarge));
    }

    /// Heads and wrecks of heads: pieces that matter to the parser, in any order.
    fn wreck() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"GET / HTTP/1.1\r\nHost: x\r\n".to_vec()),
            Just(b"POST /a?b HTTP/1.0\r\n".to_vec()),
            Just(b"Content-Length: 5\r\n".to_vec()),
            Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"\r".to_vec()),
            Just(b"\n".to_vec()),
            Just(b" ".to_vec()),
            Just(b"a: b\r\n".to_vec()),
            Just(vec![b'x'; 5000]),
            proptest::collection::vec(any::<u8>(), 0..8),
        ];
        proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn a_split_changes_nothing(bytes in wreck(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6)) {
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            ends.push(bytes.len());
            ends.sort_unstable();
            let mut parser = HeadParser::default();
            let mut result = Ok(None);
            for end in ends {
                result = parser.advance(&bytes[..end], &Limits::default());
                if !matches!(result, Ok(None)) {
                    break;
                }
            }
            prop_assert_eq!(result, parse(&bytes));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            if let Ok(Some(head)) = parse(&bytes) {
                prop_assert!(head.n_bytes <= bytes.len());
            }
        }
    }
}
