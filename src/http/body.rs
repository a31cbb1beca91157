//! Finds the end of a request body in what has arrived, and takes its framing off (RFC 9112 §6.3, §7.1). Pure: bytes
//! in, bytes out; the same ones however they were split over reads. Strict, as heads are: what another server could
//! read in another way is refused.

use super::framing::BodyLength;

/// A chunk size of more digits is beyond every limit.
const MAX_SIZE_DIGITS: u32 = 8;
/// Bytes of one chunk extension or of all trailer lines; both are read over.
const MAX_EXTRA_BYTES: u32 = 4096;

/// Where a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyReader {
    /// So many bytes are to come, at least 1.
    Known(u64),
    /// Within the chunked coding.
    Chunked(Chunk),
    /// All of it was read.
    Whole,
}

/// The next byte of the chunked coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// A digit of a chunk's size, or what follows them.
    Size { size: u64, n_digits: u32 },
    /// Of an extension.
    Extension { size: u64, n_bytes: u32 },
    /// The LF after a chunk's size.
    SizeEnd { size: u64 },
    /// So many bytes of data, at least 1.
    Data(u64),
    /// The CR after data.
    DataCr,
    /// The LF after data.
    DataLf,
    /// Of a trailer line of which so many bytes have come; and of all of them.
    Trailer { in_line: u32, n_bytes: u32 },
    /// The LF after a trailer line, or after the empty one.
    TrailerEnd { is_last: bool, n_bytes: u32 },
}

/// The framing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadChunk;

impl BodyReader {
    pub(super) fn new(length: BodyLength) -> Self {
        match length {
            BodyLength::Zero => Self::Whole,
            BodyLength::Known(length) => Self::Known(length),
            BodyLength::Chunked => Self::Chunked(Chunk::START),
        }
    }

    /// What is still to come.
    pub(super) fn rest(self) -> BodyLength {
        match self {
            Self::Whole => BodyLength::Zero,
            Self::Known(length) => BodyLength::Known(length),
            Self::Chunked(_) => BodyLength::Chunked,
        }
    }

    pub(super) fn is_whole(self) -> bool {
        self == Self::Whole
    }

    /// Takes what belongs to the body from the start of `bytes`, and puts its content into `content`. Returns how much
    /// it took: all, if the body is not whole then.
    pub(super) fn advance(&mut self, bytes: &[u8], content: &mut Vec<u8>) -> Result<usize, BadChunk> {
        let mut position = 0;
        while position < bytes.len() && !self.is_whole() {
            let rest = &bytes[position..];
            position += match self {
                Self::Whole => 0,
                Self::Known(length) => {
                    let n_bytes = take(rest, *length, content);
                    *self = match *length - n_bytes as u64 {
                        0 => Self::Whole,
                        left => Self::Known(left),
                    };
                    n_bytes
                }
                Self::Chunked(Chunk::Data(left)) => {
                    let n_bytes = take(rest, *left, content);
                    *self = Self::Chunked(match *left - n_bytes as u64 {
                        0 => Chunk::DataCr,
                        left => Chunk::Data(left),
                    });
                    n_bytes
                }
                Self::Chunked(chunk) => {
                    *self = chunk.after(rest[0])?.map_or(Self::Whole, Self::Chunked);
                    1
                }
            };
        }
        Ok(position)
    }
}

/// Appends up to `max` bytes.
fn take(bytes: &[u8], max: u64, content: &mut Vec<u8>) -> usize {
    let n_bytes = usize::try_from(max).map_or(bytes.len(), |max| max.min(bytes.len()));
    content.extend_from_slice(&bytes[..n_bytes]);
    n_bytes
}

impl Chunk {
    const START: Self = Self::Size { size: 0, n_digits: 0 };

    /// What follows a byte that is no data; `None` at the end.
    fn after(self, byte: u8) -> Result<Option<Self>, BadChunk> {
        let next = match (self, byte) {
            (Self::Size { size, n_digits }, _) if byte.is_ascii_hexdigit() && n_digits < MAX_SIZE_DIGITS => {
                let digit = char::from(byte).to_digit(16).ok_or(BadChunk)?;
                Self::Size { size: size * 16 + u64::from(digit), n_digits: n_digits + 1 }
            }
            (Self::Size { size, n_digits: 1.. }, b'\r') | (Self::Extension { size, .. }, b'\r') => {
                Self::SizeEnd { size }
            }
            (Self::Size { size, n_digits: 1.. }, b';') => Self::Extension { size, n_bytes: 0 },
            (Self::Extension { size, n_bytes }, _) if is_text(byte) && n_bytes < MAX_EXTRA_BYTES => {
                Self::Extension { size, n_bytes: n_bytes + 1 }
            }
            (Self::SizeEnd { size: 0 }, b'\n') => Self::Trailer { in_line: 0, n_bytes: 0 },
            (Self::SizeEnd { size }, b'\n') => Self::Data(size),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::START,
            (Self::Trailer { in_line, n_bytes }, b'\r') => Self::TrailerEnd { is_last: in_line == 0, n_bytes },
            (Self::Trailer { in_line, n_bytes }, _) if is_text(byte) && n_bytes < MAX_EXTRA_BYTES => {
                Self::Trailer { in_line: in_line + 1, n_bytes: n_bytes + 1 }
            }
            (Self::TrailerEnd { is_last: true, .. }, b'\n') => return Ok(None),
            (Self::TrailerEnd { n_bytes, .. }, b'\n') => Self::Trailer { in_line: 0, n_bytes },
            _ => return Err(BadChunk),
        };
        Ok(Some(next))
    }
}

/// What may stand in an extension or a trailer line.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(length: BodyLength, bytes: &[u8]) -> Result<(Vec<u8>, usize, bool), BadChunk> {
        let (mut reader, mut content) = (BodyReader::new(length), Vec::new());
        let n_bytes = reader.advance(bytes, &mut content)?;
        Ok((content, n_bytes, reader.is_whole()))
    }

    #[test]
    fn a_known_length_is_all() {
        assert_eq!(read(BodyLength::Known(3), b"abcd"), Ok((b"abc".to_vec(), 3, true)));
        assert_eq!(read(BodyLength::Known(3), b"ab"), Ok((b"ab".to_vec(), 2, false)));
        assert_eq!(read(BodyLength::Zero, b"ab"), Ok((vec![], 0, true)));
    }

    #[test]
    fn chunks_are_put_together() {
        let check = |text: &str, content: &str, rest: &str| {
            let whole = format!("{text}{rest}");
            let expected = (content.as_bytes().to_vec(), text.len(), true);
            assert_eq!(read(BodyLength::Chunked, whole.as_bytes()), Ok(expected), "{text:?}");
        };
        check("0\r\n\r\n", "", "GET /");
        check("3\r\nabc\r\n0\r\n\r\n", "abc", "");
        check("1\r\na\r\n0000000A;x=\"y\"\r\n0123456789\r\n00\r\nA: b\r\nC: d\r\n\r\n", "a0123456789", "\r\n");
    }

    #[test]
    fn bad_chunks_are_refused() {
        for bad in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "+1\r\n",
            " 1\r\n",
            "1 \r\n",
            "0x1\r\n",
            "1\n",
            "1\r\r",
            "000000001\r\n",
            "1\r\nab",
            "1\r\na\n",
            "1\r\na\r\r",
            "1;\n",
            "1;\0\r\n",
            "0\r\n\n",
            "0\r\n\0",
            "0\r\nA\n",
            "1\r\na\r\n\r\n",
        ] {
            assert_eq!(read(BodyLength::Chunked, bad.as_bytes()), Err(BadChunk), "{bad:?}");
        }
        let long = format!("1;{}", "a".repeat(5000));
        assert_eq!(read(BodyLength::Chunked, long.as_bytes()), Err(BadChunk));
        let long = format!("0\r\n{}", "a: b\r\n".repeat(1500));
        assert_eq!(read(BodyLength::Chunked, long.as_bytes()), Err(BadChunk));
    }

    proptest! {
        #[test]
        fn a_split_changes_nothing(
            pieces in proptest::collection::vec(prop_oneof![
                Just(&b"3\r\nabc\r\n"[..]), Just(&b"0\r\n\r\n"[..]), Just(&b"1f;x\r\n"[..]), Just(&b"\r\n"[..]),
                Just(&b"abcdefghijklmnop"[..]), Just(&b"0\r\n"[..]), Just(&b"\n"[..]),
            ], 0..8),
            n_bytes in 1..20_usize,
        ) {
            let bytes = pieces.concat();
            let (mut reader, mut content, mut position) = (BodyReader::new(BodyLength::Chunked), Vec::new(), 0);
            let mut result = Ok(());
            for piece in bytes.chunks(n_bytes) {
                match reader.advance(piece, &mut content) {
                    Ok(n_taken) => position += n_taken,
                    Err(error) => {
                        result = Err(error);
                        break;
                    }
                }
                if reader.is_whole() {
                    break;
                }
            }
            let whole = read(BodyLength::Chunked, &bytes);
            prop_assert_eq!(result.map(|()| (content, position, reader.is_whole())), whole);
        }
    }
}
