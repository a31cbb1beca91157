//! What the service tells of objects, in headers and in JSON.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use ureq::http::HeaderMap;

use super::super::{Listed, ObjectError, ObjectState, Page, time};

/// The parts of [`Metadata`].
pub(super) const FIELDS: &str = "generation,size,updated,contentType,contentEncoding,md5Hash";
/// The parts of [`List`].
pub(super) const LIST_FIELDS: &str = "kind,items(name,size,updated),nextPageToken";

/// An object, and the MD5 of its content where there is one: composed objects have none.
pub(super) type Described = (ObjectState, Option<[u8; 16]>);

/// The object of a download, if its headers tell all of it, as those of the service do; emulators may say less.
/// # Errors
/// If the content comes in another way than as it is.
pub(super) fn of_headers(headers: &HeaderMap) -> Result<Option<Described>, ObjectError> {
    let get = |name: &str| headers.get(name)?.to_str().ok();
    for name in ["x-goog-stored-content-encoding", "content-encoding"] {
        check_encoding(get(name).unwrap_or_default())?;
    }
    let tag = get("x-goog-generation");
    let size_bytes = get("content-length").or_else(|| get("x-goog-stored-content-length"));
    let modified = get("last-modified").and_then(|date| httpdate::parse_http_date(date).ok());
    let (Some(tag), Some(Ok(size_bytes)), Some(modified)) = (tag, size_bytes.map(str::parse), modified) else {
        return Ok(None);
    };
    let content_type = get("content-type").unwrap_or_default().to_owned();
    let hashes = headers.get_all("x-goog-hash").iter().filter_map(|value| value.to_str().ok());
    let md5 = hashes.flat_map(|value| value.split(',')).find_map(|hash| hash.trim().strip_prefix("md5="));
    Ok(Some((ObjectState { tag: tag.to_owned(), size_bytes, modified, content_type }, md5.and_then(md5_of))))
}

/// An object as `storage#object` describes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    generation: String,
    size: String,
    updated: String,
    #[serde(default)]
    content_type: String,
    #[serde(default)]
    content_encoding: String,
    #[serde(default)]
    md5_hash: String,
}

impl Metadata {
    /// # Errors
    /// If it is not of an object as it is stored.
    pub(super) fn describe(self) -> Result<Described, ObjectError> {
        check_encoding(&self.content_encoding)?;
        let (size_bytes, modified) = (parse_size(&self.size)?, parse_time(&self.updated)?);
        let Self { generation: tag, content_type, md5_hash, .. } = self;
        Ok((ObjectState { tag, size_bytes, modified, content_type }, md5_of(&md5_hash)))
    }
}

/// Objects as `storage#objects` lists them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    kind: String,
    #[serde(default)]
    items: Vec<Item>,
    #[serde(default)]
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    name: String,
    size: String,
    updated: String,
}

impl List {
    /// # Errors
    /// If it is none: an empty list would be believed.
    pub(super) fn into_page(self) -> Result<Page, ObjectError> {
        if self.kind != "storage#objects" {
            return Err(ObjectError::Failed("the answer is no list of objects".to_owned()));
        }
        let listed = |Item { name, size, updated }| {
            Ok(Listed { name, size_bytes: parse_size(&size)?, modified: parse_time(&updated)? })
        };
        let objects = self.items.into_iter().map(listed).collect::<Result<_, ObjectError>>()?;
        Ok(Page { objects, next: self.next_page_token.filter(|token| !token.is_empty()) })
    }
}

/// What an answer in JSON says.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ObjectError> {
    serde_json::from_slice(body).map_err(|error| ObjectError::Failed(format!("the answer is not as expected: {error}")))
}

/// Cloud Storage, "Transcoding of gzip-compressed files": such content is unpacked on its way, so that size and
/// checksum are those of something else.
fn check_encoding(encoding: &str) -> Result<(), ObjectError> {
    if matches!(encoding, "" | "identity") {
        return Ok(());
    }
    Err(ObjectError::Refused(format!("the object is stored with Content-Encoding {encoding:?}: store it without")))
}

fn parse_size(text: &str) -> Result<u64, ObjectError> {
    text.parse().map_err(|_| ObjectError::Failed("the answer has a size that is none".to_owned()))
}

fn parse_time(text: &str) -> Result<SystemTime, ObjectError> {
    time::parse(text).ok_or_else(|| ObjectError::Failed("the answer has a time that is none".to_owned()))
}

fn md5_of(base64: &str) -> Option<[u8; 16]> {
    STANDARD.decode(base64).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ureq::http::{HeaderName, HeaderValue};

    use super::*;

    /// The headers of a public object, from `curl -D- "https://storage.googleapis.com/storage/v1/b/…?alt=media"`.
    const HEADERS: [(&str, &str); 11] = [
        ("content-type", "application/x-tar"),
        ("content-length", "12888045"),
        ("etag", "COzr6/OhkJQDEAE="),
        ("x-goog-hash", "crc32c=kUU6vA==,md5=/5LbM0aGsC4dHjfQoaBKaQ=="),
        ("x-goog-stored-content-encoding", "identity"),
        ("x-goog-stored-content-length", "12888045"),
        ("x-goog-generation", "1777369647609324"),
        ("x-goog-metageneration", "1"),
        ("x-goog-storage-class", "STANDARD"),
        ("content-disposition", "attachment"),
        ("last-modified", "Tue, 28 Apr 2026 09:47:27 GMT"),
    ];

    fn headers_without(left_out: &[&str]) -> HeaderMap {
        let kept = HEADERS.iter().filter(|(name, _)| !left_out.contains(name));
        kept.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn described(headers: &HeaderMap) -> Described {
        of_headers(headers).unwrap().unwrap()
    }

    #[test]
    fn the_headers_of_a_download_describe_the_object() {
        let expected = ObjectState {
            tag: "1777369647609324".to_owned(),
            size_bytes: 12_888_045,
            modified: SystemTime::UNIX_EPOCH + Duration::from_secs(1_777_369_647),
            content_type: "application/x-tar".to_owned(),
        };
        let (state, md5) = described(&headers_without(&[]));
        assert_eq!(state, expected);
        assert_eq!(md5.unwrap()[..4], [0xff, 0x92, 0xdb, 0x33]);
        // The size of what is stored, where that of the answer is not told.
        assert_eq!(described(&headers_without(&["content-length"])).0, expected);
        // Each hash in a line of its own; or none that is known.
        let mut headers = headers_without(&["x-goog-hash"]);
        assert_eq!(described(&headers).1, None);
        headers.append("x-goog-hash", HeaderValue::from_static("crc32c=kUU6vA=="));
        headers.append("x-goog-hash", HeaderValue::from_static("md5=/5LbM0aGsC4dHjfQoaBKaQ=="));
        assert_eq!(described(&headers).1, md5);
        headers.insert("x-goog-hash", HeaderValue::from_static("md5=AAAA"));
        assert_eq!(described(&headers).1, None);
    }

    #[test]
    fn headers_that_say_too_little_are_told_from_those_of_packed_content() {
        for left_out in ["x-goog-generation", "last-modified"] {
            assert!(of_headers(&headers_without(&[left_out])).unwrap().is_none(), "{left_out}");
        }
        let sizes = ["content-length", "x-goog-stored-content-length"];
        assert!(of_headers(&headers_without(&sizes)).unwrap().is_none());
        for name in ["x-goog-stored-content-encoding", "content-encoding"] {
            let mut headers = headers_without(&[]);
            headers.insert(name, HeaderValue::from_static("gzip"));
            assert!(matches!(of_headers(&headers), Err(ObjectError::Refused(_))));
        }
    }

    #[test]
    fn lists_and_metadata_that_are_none_fail() {
        let page = |text: &str| parse::<List>(text.as_bytes()).and_then(List::into_page);
        assert_eq!(page(r#"{"kind": "storage#objects"}"#).unwrap(), Page::default());
        let text = r#"{"kind": "storage#objects", "items": [{"name": "a", "size": "7", "updated": "1970-01-01T00:00:01.5Z"}], "nextPageToken": "x"}"#;
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        let objects = vec![Listed { name: "a".to_owned(), size_bytes: 7, modified }];
        assert_eq!(page(text).unwrap(), Page { objects, next: Some("x".to_owned()) });
        for text in [
            "",
            "[]",
            "{}",
            "<html>",
            &text.replace("#objects", "#object"),
            &text.replace("\"7\"", "\"-7\""),
            &text.replace("1970", "x"),
        ] {
            assert!(matches!(page(text), Err(ObjectError::Failed(_))), "{text}");
        }
        let metadata = |text: &str| parse::<Metadata>(text.as_bytes()).and_then(Metadata::describe);
        let text = r#"{"generation": "5", "size": "7", "updated": "1970-01-01T00:00:01.5Z"}"#;
        let state = ObjectState { tag: "5".to_owned(), size_bytes: 7, modified, content_type: String::new() };
        assert_eq!(metadata(text).unwrap(), (state, None));
        assert!(matches!(metadata("{}"), Err(ObjectError::Failed(_))));
    }
}
