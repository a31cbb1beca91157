//! HTTP/1.1 on a connection, as far as a proxy has to understand it: heads, and where bodies end.

use std::io::{self, BufRead, ErrorKind, Read, Write};

const MAX_HEAD_BYTES: usize = 64 << 10;

/// The head of a request or of an answer, byte by byte as it came.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) raw: Vec<u8>,
    /// The request line or the status line.
    pub(crate) first: String,
    pub(crate) headers: Vec<(String, String)>,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

impl Head {
    /// The next head; `None` if the connection ends before it.
    pub(crate) fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut raw = Vec::new();
        loop {
            let start = raw.len();
            from.by_ref().take((MAX_HEAD_BYTES - start) as u64).read_until(b'\n', &mut raw)?;
            match &raw[start..] {
                [] if start == 0 => return Ok(None),
                [.., b'\n'] => {}
                _ => return Err(damaged("the head does not end")),
            }
            if matches!(&raw[start..], b"\r\n" | b"\n") {
                return Self::parse(raw).map(Some);
            }
        }
    }

    fn parse(raw: Vec<u8>) -> io::Result<Self> {
        let text = std::str::from_utf8(&raw).map_err(|_| damaged("the head is not UTF-8"))?;
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or_else(|| damaged("a header without a colon"))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(Self { raw, first, headers })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The word of this number in the first line.
    pub(crate) fn word(&self, index: usize) -> &str {
        self.first.split(' ').nth(index).unwrap_or_default()
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> io::Result<u16> {
        self.word(1).parse().map_err(|_| damaged("an answer without a status"))
    }

    /// Whether the connection ends after this message.
    pub(crate) fn is_last(&self) -> bool {
        self.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// How the body of a request is framed.
    pub(crate) fn request_framing(&self) -> io::Result<Framing> {
        Ok(self.declared()?.unwrap_or(Framing::None))
    }

    /// How the body of an answer to a request of this method is framed.
    pub(crate) fn answer_framing(&self, method: &str) -> io::Result<Framing> {
        if method == "HEAD" || matches!(self.status()?, 100..=199 | 204 | 304) {
            return Ok(Framing::None);
        }
        Ok(self.declared()?.unwrap_or(Framing::UntilClose))
    }

    fn declared(&self) -> io::Result<Option<Framing>> {
        if self.header("Transfer-Encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return Ok(Some(Framing::Chunked));
        }
        let Some(length) = self.header("Content-Length") else { return Ok(None) };
        length.parse().map(|length| Some(Framing::Length(length))).map_err(|_| damaged("a length that is no number"))
    }

    /// The bytes of this head, but with another framing of the body.
    pub(crate) fn reframed(&self, framing: Framing) -> Vec<u8> {
        let mut raw = format!("{}\r\n", self.first);
        for (name, value) in &self.headers {
            if !["Content-Length", "Transfer-Encoding"].iter().any(|framed| name.eq_ignore_ascii_case(framed)) {
                raw += &format!("{name}: {value}\r\n");
            }
        }
        match framing {
            Framing::Length(length) => raw += &format!("Content-Length: {length}\r\n"),
            Framing::Chunked => raw += "Transfer-Encoding: chunked\r\n",
            Framing::None | Framing::UntilClose => {}
        }
        (raw + "\r\n").into_bytes()
    }
}

/// A body on its way, without its framing.
pub(crate) struct Body<'a, R> {
    from: &'a mut R,
    framing: Framing,
    /// Bytes left of the body, or of the chunk.
    n_left: u64,
    is_over: bool,
    /// What a chunked body has between its last chunk and its last line.
    pub(crate) trailer: Vec<u8>,
}

impl<'a, R: BufRead> Body<'a, R> {
    pub(crate) fn new(from: &'a mut R, framing: Framing) -> Self {
        let n_left = if let Framing::Length(length) = framing { length } else { 0 };
        let is_over = matches!(framing, Framing::None | Framing::Length(0));
        Self { from, framing, n_left, is_over, trailer: Vec::new() }
    }

    /// Begins the next chunk, or ends the body.
    fn begin_chunk(&mut self) -> io::Result<()> {
        let size = self.line()?;
        let digits = size.split(';').next().unwrap_or_default().trim();
        self.n_left = u64::from_str_radix(digits, 16).map_err(|_| damaged("a chunk without a size"))?;
        if self.n_left > 0 {
            return Ok(());
        }
        loop {
            let line = self.line()?;
            if line.trim_end().is_empty() {
                break;
            }
            self.trailer.extend_from_slice(line.as_bytes());
        }
        self.is_over = true;
        Ok(())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.from.by_ref().take(MAX_HEAD_BYTES as u64).read_line(&mut line)?;
        if line.ends_with('\n') { Ok(line) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }
}

impl<R: BufRead> Read for Body<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.framing == Framing::Chunked && self.n_left == 0 && !self.is_over {
            self.begin_chunk()?;
        }
        if self.is_over || buffer.is_empty() {
            return Ok(0);
        }
        if self.framing == Framing::UntilClose {
            return self.from.read(buffer);
        }
        let n_wanted = usize::try_from(self.n_left).unwrap_or(usize::MAX).min(buffer.len());
        let n_read = self.from.read(&mut buffer[..n_wanted])?;
        if n_read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.n_left -= n_read as u64;
        if self.n_left == 0 {
            match self.framing {
                Framing::Chunked => _ = self.line()?,
                _ => self.is_over = true,
            }
        }
        Ok(n_read)
    }
}

/// Writes some of a body, which are at least one byte.
pub(crate) fn write_piece(to: &mut impl Write, framing: Framing, piece: &[u8]) -> io::Result<()> {
    if framing != Framing::Chunked {
        return to.write_all(piece);
    }
    // At once: small writes on their own would wait for each other.
    let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
    chunk.extend_from_slice(piece);
    chunk.extend_from_slice(b"\r\n");
    to.write_all(&chunk)
}

/// Ends a body.
pub(crate) fn write_end(to: &mut impl Write, framing: Framing, trailer: &[u8]) -> io::Result<()> {
    if framing != Framing::Chunked {
        return Ok(());
    }
    to.write_all(&[b"0\r\n", trailer, b"\r\n"].concat())
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}
