//! Lists of objects: the XML of ListObjectsV2.

use percent_encoding::percent_decode_str;

use super::super::{Listed, Page, time};
use super::xml;

/// [`Page::next`] is S3's token behind this, or a name behind the other, where a server gives no token.
const TOKEN: &str = "token:";
const NAME: &str = "name:";

/// Token and name to begin after.
pub(super) fn place(after: Option<&str>) -> (Option<String>, Option<String>) {
    let behind = |prefix| after.and_then(|after| after.strip_prefix(prefix)).map(str::to_owned);
    (behind(TOKEN), behind(NAME))
}

/// What is told of an object, and of the list.
#[derive(Default)]
struct Told {
    name: String,
    size: String,
    modified: String,
}

#[derive(Default)]
struct List {
    objects: Vec<Told>,
    encoding: String,
    is_truncated: bool,
    token: String,
}

/// # Errors
/// What cannot be read.
pub(super) fn read(text: &[u8]) -> Result<Page, String> {
    let list = parse(text)?;
    let is_encoded = list.encoding == "url";
    let objects = list.objects.into_iter().map(|told| told.object(is_encoded)).collect::<Result<Vec<_>, _>>()?;
    let next = match (list.is_truncated, list.token.as_str(), objects.last()) {
        (false, ..) => None,
        (true, "", Some(last)) => Some(format!("{NAME}{}", last.name)),
        (true, "", None) => return Err("a list without objects and without an end".to_owned()),
        (true, token, _) => Some(format!("{TOKEN}{token}")),
    };
    Ok(Page { objects, next })
}

fn parse(text: &[u8]) -> Result<List, String> {
    let (mut list, mut told, mut is_list) = (List::default(), Told::default(), false);
    xml::walk(text, |path, text| {
        let text = text.to_owned();
        match path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["ListBucketResult"] => is_list = true,
            ["ListBucketResult", "EncodingType"] => list.encoding = text,
            ["ListBucketResult", "IsTruncated"] => list.is_truncated = text.trim() == "true",
            ["ListBucketResult", "NextContinuationToken"] => list.token = text,
            ["ListBucketResult", "Contents"] => list.objects.push(std::mem::take(&mut told)),
            ["ListBucketResult", "Contents", "Key"] => told.name = text,
            ["ListBucketResult", "Contents", "Size"] => told.size = text,
            ["ListBucketResult", "Contents", "LastModified"] => told.modified = text,
            _ => {}
        }
    })?;
    if is_list { Ok(list) } else { Err("something else than a list".to_owned()) }
}

impl Told {
    fn object(self, is_encoded: bool) -> Result<Listed, String> {
        Ok(Listed {
            name: if is_encoded { decode(&self.name)? } else { self.name },
            size_bytes: self.size.trim().parse().map_err(|_| "a size that is no number".to_owned())?,
            modified: time::parse(self.modified.trim()).ok_or_else(|| "a time that is none".to_owned())?,
        })
    }
}

/// S3 writes a space as `+`, and `+` as `%2B`.
fn decode(name: &str) -> Result<String, String> {
    let name = name.replace('+', " ");
    let decoded = percent_decode_str(&name).decode_utf8().map_err(|_| "a name that is not UTF-8".to_owned())?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn list(inner: &str) -> Result<Page, String> {
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/\
             2006-03-01/\"><Name>b</Name>{inner}</ListBucketResult>"
        );
        read(text.as_bytes())
    }

    fn object(name: &str) -> String {
        format!(
            "<Contents><Key>{name}</Key><LastModified>1970-01-02T00:00:01.000Z</LastModified><ETag>&quot;x&quot;</ETag>\
             <Size>5</Size><Owner><Key>no</Key></Owner></Contents>"
        )
    }

    #[test]
    fn lists_are_read_whatever_the_names() {
        for (name, encoding, expected) in [
            ("a+b%2Bc%25%C3%A4%01", "<EncodingType>url</EncodingType>", "a b+c%ä\u{1}"),
            ("a+b%2Bc &amp; d", "", "a+b%2Bc & d"),
        ] {
            let page = list(&format!("{}{encoding}<IsTruncated>false</IsTruncated>", object(name))).unwrap();
            let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(86_401);
            assert_eq!(
                page,
                Page { objects: vec![Listed { name: expected.to_owned(), size_bytes: 5, modified }], next: None }
            );
        }
        assert_eq!(list("").unwrap(), Page::default());
    }

    #[test]
    fn what_comes_next_is_a_token_or_a_name() {
        let page = |token| list(&format!("<IsTruncated>true</IsTruncated>{}{token}", object("a")));
        let next = page("<NextContinuationToken>t=</NextContinuationToken>").unwrap().next;
        assert_eq!(place(next.as_deref()), (Some("t=".to_owned()), None));
        assert_eq!(place(page("").unwrap().next.as_deref()), (None, Some("a".to_owned())));
        assert_eq!(place(None), (None, None));
        assert!(list("<IsTruncated>true</IsTruncated>").is_err(), "it would never end");
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        for text in ["", "<html><body>Sign in</body></html>", "<ListBucketResult>", "<Error><Code>X</Code></Error>"] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        for (from, to) in [("<Size>5", "<Size>-5"), ("<Size>5", "<Size>"), ("1970", "x"), ("-02T", "-42T")] {
            assert!(list(&object("a").replace(from, to)).is_err(), "{to}");
        }
        assert!(list(&format!("{}<EncodingType>url</EncodingType>", object("%ff"))).is_err());
    }
}
