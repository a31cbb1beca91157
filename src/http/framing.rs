//! Where a message ends and whether its connection lives on, told from the head alone (RFC 9112 §6, §9.3). Whatever
//! two servers could read in two ways is refused: a proxy in front must never see other requests than we do.

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Version};

use super::error::HeadError;
use super::request::{Request, is_host};

/// How much follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyLength {
    /// Nothing: the next byte begins the next request.
    Zero,
    /// This many bytes, at least 1.
    Known(u64),
    /// Chunks, of unknown length.
    Chunked,
}

/// The body that `headers` announce.
pub(super) fn body_length(headers: &HeaderMap, version: Version) -> Result<BodyLength, HeadError> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (codings.next(), lengths.next()) {
        (None, None) => Ok(BodyLength::Zero),
        (Some(_), Some(_)) => Err(HeadError::ContentLength),
        (Some(coding), None) => {
            if version == Version::HTTP_10 || codings.next().is_some() {
                return Err(HeadError::TransferEncoding);
            }
            if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
                return Err(HeadError::TransferCoding);
            }
            Ok(BodyLength::Chunked)
        }
        (None, Some(length)) => {
            if lengths.next().is_some() {
                return Err(HeadError::ContentLength);
            }
            match parse_length(length.as_bytes()).ok_or(HeadError::ContentLength)? {
                0 => Ok(BodyLength::Zero),
                length => Ok(BodyLength::Known(length)),
            }
        }
    }
}

/// Refuses a body of which it is known that it is too large.
pub(super) fn check_body(body: BodyLength, max_bytes: u64) -> Result<(), HeadError> {
    match body {
        BodyLength::Known(length) if length > max_bytes => Err(HeadError::BodyTooLarge),
        _ => Ok(()),
    }
}

/// 1 to 19 digits, up to `i64::MAX`: what every other server can count too.
fn parse_length(text: &[u8]) -> Option<u64> {
    if !(1..=19).contains(&text.len()) {
        return None;
    }
    let length = text
        .iter()
        .try_fold(0_u64, |length, byte| byte.is_ascii_digit().then(|| length * 10 + u64::from(byte - b'0')))?;
    i64::try_from(length).is_ok().then_some(length)
}

/// One valid Host, which only HTTP/1.0 may lack (RFC 9112 §3.2).
pub(super) fn check_host(headers: &HeaderMap, version: Version) -> Result<(), HeadError> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::HTTP_10 => Ok(()),
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        _ => Err(HeadError::Host),
    }
}

/// Whether the client wants another request on this connection: HTTP/1.1 unless it says `close`, HTTP/1.0 only if it
/// says `keep-alive` and not `close`.
pub(super) fn wants_keep_alive(headers: &HeaderMap, version: Version) -> bool {
    !has_option(headers, b"close") && (version != Version::HTTP_10 || has_option(headers, b"keep-alive"))
}

fn has_option(headers: &HeaderMap, option: &[u8]) -> bool {
    headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .any(|word| word.trim_ascii().eq_ignore_ascii_case(option))
}

/// Whether the client holds its body back until told to go on. HTTP/1.0 does not know of it.
pub(super) fn expects_continue(request: &Request) -> bool {
    let mut expectations = request.headers.get_all(EXPECT).iter();
    request.version != Version::HTTP_10
        && expectations.any(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let mut headers = HeaderMap::new();
        for (name, value) in fields.iter().map(field) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn lengths_are_digits_and_countable() {
        let check = |text: &'static str, expected: Result<BodyLength, HeadError>| {
            let headers = map(&[("content-length", text)]);
            assert_eq!(body_length(&headers, Version::HTTP_11), expected, "{text:?}");
        };
        check("0", Ok(BodyLength::Zero));
        check("0000000000000000005", Ok(BodyLength::Known(5)));
        check("1000000000000", Ok(BodyLength::Known(1_000_000_000_000)));
        check("9223372036854775807", Ok(BodyLength::Known(i64::MAX as u64)));
        let bad = ["", "-1", "+3", "3,3", "3 3", "x", "0x5", "1e3", "5.", "9223372036854775808"];
        for text in bad.into_iter().chain(["18446744073709551615", "18446744073709551616", "00000000000000000005"]) {
            check(text, Err(HeadError::ContentLength));
        }
    }

    #[test]
    fn codings_are_chunked_alone() {
        let check = |fields: &[(&'static str, &'static str)], version, expected| {
            assert_eq!(body_length(&map(fields), version), expected, "{fields:?} {version:?}");
        };
        let coding = "transfer-encoding";
        check(&[(coding, "chunked")], Version::HTTP_11, Ok(BodyLength::Chunked));
        check(&[(coding, "Chunked")], Version::HTTP_11, Ok(BodyLength::Chunked));
        check(&[(coding, "chunked")], Version::HTTP_10, Err(HeadError::TransferEncoding));
        check(&[(coding, "chunked"), (coding, "chunked")], Version::HTTP_11, Err(HeadError::TransferEncoding));
        for other in ["", "identity", "gzip, chunked", "chunked, identity", "chunked;q=1", "xchunked", "chunked,"] {
            check(&[(coding, other)], Version::HTTP_11, Err(HeadError::TransferCoding));
        }
        let length = "content-length";
        check(&[(coding, "chunked"), (length, "5")], Version::HTTP_11, Err(HeadError::ContentLength));
        check(&[(coding, "x"), (length, "0")], Version::HTTP_10, Err(HeadError::ContentLength));
        check(&[(length, "5"), (length, "5")], Version::HTTP_11, Err(HeadError::ContentLength));
    }

    #[test]
    fn a_body_may_be_so_large() {
        for (body, expected) in [
            (BodyLength::Known(9), Ok(())),
            (BodyLength::Known(10), Err(HeadError::BodyTooLarge)),
            (BodyLength::Chunked, Ok(())),
            (BodyLength::Zero, Ok(())),
        ] {
            assert_eq!(check_body(body, 9), expected, "{body:?}");
        }
    }

    #[test]
    fn one_host_is_asked_for() {
        let check = |fields: &[(&'static str, &'static str)], version, expected: bool| {
            assert_eq!(check_host(&map(fields), version).is_ok(), expected, "{fields:?}");
        };
        check(&[("host", "a")], Version::HTTP_11, true);
        check(&[], Version::HTTP_11, false);
        check(&[], Version::HTTP_10, true);
        check(&[("host", "a"), ("host", "a")], Version::HTTP_10, false);
        check(&[("host", "a b")], Version::HTTP_10, false);
    }

    #[test]
    fn connections_live_as_asked() {
        let check = |value: &'static str, version, expected: bool| {
            let headers = map(&[("connection", value)]);
            assert_eq!(wants_keep_alive(&headers, version), expected, "{value:?} {version:?}");
        };
        check("", Version::HTTP_11, true);
        check("", Version::HTTP_10, false);
        check("Keep-Alive", Version::HTTP_10, true);
        check("x, Close", Version::HTTP_11, false);
        check("close, keep-alive", Version::HTTP_10, false);
        check("closed", Version::HTTP_11, true);
        assert!(!wants_keep_alive(&map(&[("connection", "x"), ("connection", " close ")]), Version::HTTP_11));
    }
}
