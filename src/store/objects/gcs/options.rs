//! Where the bucket is, and who asks for it.

use std::fmt;

use http::Uri;

const ENDPOINT: &str = "https://storage.googleapis.com";
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// A bucket of Google Cloud Storage, and the service account that uses it.
#[derive(Clone, PartialEq, Eq)]
pub struct GcsOptions {
    /// The account's address: `GCS_ISS`.
    pub issuer: String,
    /// The account's private key, in PEM: `GCS_KEY`.
    pub key: String,
    /// The bucket's name.
    pub bucket: String,
    /// Where the storage is, if it is not Google's.
    pub endpoint: Option<String>,
    /// Who gives out tokens, if that is not Google.
    pub token_url: Option<String>,
}

impl fmt::Debug for GcsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { issuer, key: _, bucket, endpoint, token_url } = self;
        f.debug_struct("GcsOptions")
            .field("issuer", issuer)
            .field("key", &"(secret)")
            .field("bucket", bucket)
            .field("endpoint", endpoint)
            .field("token_url", token_url)
            .finish()
    }
}

impl GcsOptions {
    pub(super) fn valid_endpoint(&self) -> Result<String, String> {
        let endpoint = self.endpoint.as_deref().unwrap_or(ENDPOINT);
        valid_url(endpoint).map_err(|why| format!("PIXLSERV_GCS_ENDPOINT {why}"))
    }

    pub(super) fn valid_token_url(&self) -> Result<String, String> {
        let token_url = self.token_url.as_deref().unwrap_or(TOKEN_URL);
        valid_url(token_url).map_err(|why| format!("PIXLSERV_GCS_TOKEN_URL {why}"))
    }

    /// Cloud Storage, "Bucket names": domains may have up to 222 characters. What else is wrong, the service tells.
    pub(super) fn valid_bucket(&self) -> Result<&str, String> {
        let is_allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        let is_right = (3..=222).contains(&self.bucket.len()) && self.bucket.bytes().all(is_allowed);
        is_right.then_some(self.bucket.as_str()).ok_or_else(|| {
            "PIXLSERV_GCS_BUCKET is no name of a bucket: 3 to 222 of a-z, 0-9, \"-\", \"_\" and \".\"".to_owned()
        })
    }

    pub(super) fn valid_issuer(&self) -> Result<&str, String> {
        let issuer = self.issuer.trim();
        let is_right = !issuer.is_empty() && !issuer.chars().any(|c| c.is_control() || c.is_whitespace());
        is_right.then_some(issuer).ok_or_else(|| "GCS_ISS is no address of a service account".to_owned())
    }
}

/// The URL without slashes at its end.
fn valid_url(text: &str) -> Result<String, String> {
    let url: Uri = text.parse().map_err(|_| "is no URL".to_owned())?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err("must begin with http:// or https://".to_owned());
    }
    let authority = url.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err("must have no user and no password".to_owned());
    }
    if url.host().is_none_or(str::is_empty) || authority.ends_with(':') {
        return Err("needs a host, and a port only if it has one".to_owned());
    }
    if url.query().is_some() || text.contains('#') {
        return Err("must have no \"?\" and no \"#\"".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_of_http_and_have_a_host_and_no_query() {
        for (text, expected) in [
            ("https://storage.googleapis.com", Ok("https://storage.googleapis.com")),
            ("http://127.0.0.1:4443/", Ok("http://127.0.0.1:4443")),
            ("http://[::1]:4443/a/b//", Ok("http://[::1]:4443/a/b")),
            ("storage.googleapis.com", Err("must begin")),
            ("ftp://host", Err("must begin")),
            ("/path", Err("must begin")),
            ("http://", Err("is no URL")),
            ("http:///path", Err("is no URL")),
            ("http://:80/", Err("needs a host")),
            ("http://host:/", Err("needs a host")),
            ("http://user:secret@host", Err("must have no user")),
            ("http://host/?a=b", Err("must have no \"?\"")),
            ("http://host/#a", Err("must have no \"?\"")),
            ("http://ho st", Err("is no URL")),
            ("", Err("is no URL")),
        ] {
            match (valid_url(text), expected) {
                (Ok(url), Ok(expected)) => assert_eq!(url, expected),
                (Err(why), Err(expected)) => assert!(why.starts_with(expected), "{text}: {why}"),
                (result, _) => panic!("{text}: {result:?}"),
            }
        }
    }

    #[test]
    fn names_of_buckets_and_accounts_are_checked_and_the_key_is_never_shown() {
        let options = |issuer: &str, bucket: &str| GcsOptions {
            issuer: issuer.to_owned(),
            key: "hidden".to_owned(),
            bucket: bucket.to_owned(),
            endpoint: None,
            token_url: None,
        };
        for bucket in ["abc", "my-images_2.example.com"] {
            assert_eq!(options("a@b", bucket).valid_bucket().unwrap(), bucket);
        }
        for bucket in ["", "ab", "Images", "a/b", "a b c", "bücket", &"x".repeat(223)] {
            assert!(options("a@b", bucket).valid_bucket().is_err(), "{bucket}");
        }
        assert_eq!(options(" a@b\n", "abc").valid_issuer().unwrap(), "a@b");
        for issuer in ["", " ", "a b", "a\u{7}b"] {
            assert!(options(issuer, "abc").valid_issuer().is_err());
        }
        let shown = format!("{:?}", options("a@b", "abc"));
        assert!(shown.contains("a@b") && !shown.contains("hidden"), "{shown}");
    }
}
