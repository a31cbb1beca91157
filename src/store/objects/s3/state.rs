//! What the headers of an answer tell of an object. They come from outside: nothing here may panic on them.

use http::HeaderMap;

use super::super::{ObjectError, ObjectState};

/// State and MD5. The tag of an object is its MD5, unless it came in parts, or is encrypted under a key of its own.
pub(super) fn read(headers: &HeaderMap) -> Result<(ObjectState, Option<[u8; 16]>), ObjectError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let missing = |name: &str| ObjectError::Failed(format!("Amazon S3 answers without {name}"));
    let tag = text("etag").map(opaque_tag).filter(|tag| !tag.is_empty()).ok_or_else(|| missing("ETag"))?;
    let size = text("content-length").and_then(|size| size.parse().ok());
    let modified = text("last-modified").and_then(|date| httpdate::parse_http_date(date).ok());
    let state = ObjectState {
        tag: tag.to_owned(),
        size_bytes: size.ok_or_else(|| missing("Content-Length"))?,
        modified: modified.ok_or_else(|| missing("Last-Modified"))?,
        content_type: text("content-type").unwrap_or_default().to_owned(),
    };
    let has_own_key = text("x-amz-server-side-encryption").is_some_and(|kind| kind.starts_with("aws:"))
        || headers.contains_key("x-amz-server-side-encryption-customer-algorithm");
    let md5 = if has_own_key { None } else { parse_md5(tag) };
    Ok((state, md5))
}

/// `"tag"` without its quotation marks. A proxy may have made it a weak one: `W/"tag"`.
fn opaque_tag(tag: &str) -> &str {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag)
}

fn parse_md5(tag: &str) -> Option<[u8; 16]> {
    let (digits, []) = tag.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let digits: &[[u8; 2]; 16] = digits.try_into().ok()?;
    let mut md5 = [0; 16];
    for (byte, &[high, low]) in md5.iter_mut().zip(digits) {
        let value = char::from(high).to_digit(16)? * 16 + char::from(low).to_digit(16)?;
        *byte = u8::try_from(value).ok()?;
    }
    Some(md5)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::HeaderValue;

    use super::*;

    const MD5: &str = "\"000102030405060708090a0b0c0d0eFf\"";

    fn headers(etag: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("etag", HeaderValue::from_static(etag));
        headers.insert("content-length", HeaderValue::from_static("12"));
        headers.insert("last-modified", HeaderValue::from_static("Thu, 01 Jan 1970 00:00:07 GMT"));
        headers
    }

    #[test]
    fn a_tag_is_an_md5_if_it_can_be_one() {
        let mut headers = headers(MD5);
        headers.insert("content-type", HeaderValue::from_static("image/png"));
        let (state, md5) = read(&headers).unwrap();
        assert_eq!(
            state,
            ObjectState {
                tag: MD5.trim_matches('"').to_owned(),
                size_bytes: 12,
                modified: SystemTime::UNIX_EPOCH + Duration::from_secs(7),
                content_type: "image/png".to_owned(),
            }
        );
        assert_eq!(md5.unwrap(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]);
        headers.insert("x-amz-server-side-encryption", HeaderValue::from_static("AES256"));
        assert!(read(&headers).unwrap().1.is_some());
        headers.insert("x-amz-server-side-encryption", HeaderValue::from_static("aws:kms"));
        assert_eq!(read(&headers).unwrap().1, None);
        headers.remove("x-amz-server-side-encryption");
        headers.insert("x-amz-server-side-encryption-customer-algorithm", HeaderValue::from_static("AES256"));
        assert_eq!(read(&headers).unwrap().1, None);
    }

    #[test]
    fn other_tags_are_only_tags() {
        for (etag, expected) in [
            ("\"000102030405060708090a0b0c0d0e0f-2\"", "000102030405060708090a0b0c0d0e0f-2"),
            ("\"00010203\"", "00010203"),
            ("W/\"x\"", "x"),
            ("bare", "bare"),
            ("\"", "\""),
            ("\"zz0102030405060708090a0b0c0d0e0f\"", "zz0102030405060708090a0b0c0d0e0f"),
        ] {
            let (state, md5) = read(&headers(etag)).unwrap();
            assert_eq!((state.tag.as_str(), md5), (expected, None));
        }
    }

    #[test]
    fn headers_that_tell_nothing_are_a_failure_and_no_panic() {
        for name in ["etag", "content-length", "last-modified"] {
            for value in [&b"\xff\xfe"[..], b"", b"-1", b"99999999999999999999999"] {
                let mut headers = headers(MD5);
                headers.insert(name, HeaderValue::from_bytes(value).unwrap());
                let is_tag = name == "etag" && value.is_ascii() && !value.is_empty();
                assert_eq!(read(&headers).is_ok(), is_tag, "{name}: {value:?}");
            }
            let mut headers = headers(MD5);
            headers.remove(name);
            assert!(matches!(read(&headers), Err(ObjectError::Failed(_))), "{name}");
        }
    }
}
