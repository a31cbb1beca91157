//! Where a bucket is, and the key to it.

use std::fmt;

use http::Uri;
use http::uri::Scheme;
use rusoto_core::Region;

use super::ObjectError;

const MAX_REGION_BYTES: usize = 64;

/// Where a bucket is, and the key to it.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Options {
    /// As "eu-central-1".
    pub region: String,
    /// The address of a server that is not Amazon's: `http://` or `https://`, a host, perhaps a port and a path.
    pub endpoint: Option<String>,
    /// Name of the bucket.
    pub bucket: String,
    /// Names the key.
    pub access_key_id: String,
    /// The key itself; no message shows it.
    pub secret_access_key: String,
}

impl fmt::Debug for S3Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { region, endpoint, bucket, access_key_id, secret_access_key: _ } = self;
        f.debug_struct("S3Options")
            .field("region", region)
            .field("endpoint", endpoint)
            .field("bucket", bucket)
            .field("access_key_id", access_key_id)
            .finish_non_exhaustive()
    }
}

impl S3Options {
    /// The address as rusoto takes it, if every option can be right.
    pub(super) fn checked(&self) -> Result<Region, ObjectError> {
        self.address().map_err(ObjectError::Refused)
    }

    fn address(&self) -> Result<Region, String> {
        let region = &self.region;
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if region.is_empty() || region.len() > MAX_REGION_BYTES || !region.bytes().all(is_token) {
            return Err(format!("{region:?} is no region: one is like \"eu-central-1\""));
        }
        if !is_bucket(&self.bucket) {
            return Err(format!(
                "{:?} is no name of a bucket: 3 to 63 letters, digits, dots, hyphens and underscores, a letter or digit \
                 at either end, no two dots in a row",
                self.bucket
            ));
        }
        for (name, value) in
            [("AWS_ACCESS_KEY_ID", &self.access_key_id), ("AWS_SECRET_ACCESS_KEY", &self.secret_access_key)]
        {
            if value.is_empty() {
                return Err(format!("{name} is empty"));
            }
            if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!("{name} has characters that no key has, perhaps a line end"));
            }
        }
        let endpoint = match &self.endpoint {
            Some(endpoint) => parse_endpoint(endpoint)?,
            None if region.starts_with("cn-") => format!("https://s3.{region}.amazonaws.com.cn"),
            None => format!("https://s3.{region}.amazonaws.com"),
        };
        Ok(Region::Custom { name: region.clone(), endpoint })
    }
}

/// S3's rules, and upper case and underscores, which other servers allow, and S3 itself once did.
fn is_bucket(name: &str) -> bool {
    let bytes = name.as_bytes();
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(byte))
        && is_end(bytes.first())
        && is_end(bytes.last())
        && !name.contains("..")
}

/// The address without a slash at its end.
fn parse_endpoint(text: &str) -> Result<String, String> {
    // Not the text itself: a password may stand before the host.
    let wrong = |what: &str| Err(format!("the endpoint of Amazon S3 {what}: it is like \"https://s3.example.org\""));
    let Ok(uri) = text.parse::<Uri>() else {
        return wrong("is no URL");
    };
    let scheme = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => "http",
        Some(scheme) if *scheme == Scheme::HTTPS => "https",
        _ => return wrong("begins neither with http:// nor https://"),
    };
    let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
        return wrong("has no host");
    };
    if authority.as_str().contains('@') {
        return wrong("has a user before its host");
    }
    if text.contains(['?', '#']) {
        return wrong("has a query or a fragment");
    }
    if !uri.path().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte)) {
        return wrong("has a path with other characters than letters, digits and -._~/");
    }
    Ok(format!("{scheme}://{authority}{}", uri.path().trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> S3Options {
        S3Options {
            region: "eu-central-1".to_owned(),
            endpoint: None,
            bucket: "pictures".to_owned(),
            access_key_id: "AKIA".to_owned(),
            secret_access_key: "hush".to_owned(),
        }
    }

    fn address(options: &S3Options) -> Result<String, String> {
        match options.address()? {
            Region::Custom { endpoint, .. } => Ok(endpoint),
            region => panic!("{region:?}"),
        }
    }

    #[test]
    fn an_endpoint_is_an_address_of_http() {
        assert_eq!(address(&options()).unwrap(), "https://s3.eu-central-1.amazonaws.com");
        let chinese = S3Options { region: "cn-north-1".to_owned(), ..options() };
        assert_eq!(address(&chinese).unwrap(), "https://s3.cn-north-1.amazonaws.com.cn");
        for (endpoint, expected) in [
            ("http://127.0.0.1:9000", Ok("http://127.0.0.1:9000")),
            ("HTTPS://s3.example.org/", Ok("https://s3.example.org")),
            ("http://[::1]:9000/store/", Ok("http://[::1]:9000/store")),
            ("s3.example.org", Err("begins neither")),
            ("ftp://s3.example.org", Err("begins neither")),
            ("https://", Err("is no URL")),
            ("https://:443", Err("")),
            ("https://user:hush@host", Err("has a user")),
            ("https://host/?a=b", Err("has a query")),
            ("https://host/#a", Err("has a query")),
            ("https://host/%41", Err("has a path")),
            ("", Err("is no URL")),
            ("a b", Err("is no URL")),
        ] {
            let result = address(&S3Options { endpoint: Some(endpoint.to_owned()), ..options() });
            match expected {
                Ok(expected) => assert_eq!(result.unwrap(), expected),
                Err(expected) => {
                    let error = result.expect_err(endpoint);
                    assert!(error.contains(expected) && !error.contains("hush"), "{endpoint}: {error}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_right_is_refused_and_the_secret_is_not_told() {
        for name in ["abc", "my.bucket-1", "Old_Bucket"] {
            assert!(is_bucket(name), "{name}");
        }
        for name in ["ab", "-abc", "abc.", "a..b", "a/b", "a b", "", "äöü", &"a".repeat(64)] {
            assert!(!is_bucket(name), "{name}");
        }
        for region in ["", "eu central", "eu/1", &"a".repeat(65)] {
            assert!(address(&S3Options { region: region.to_owned(), ..options() }).is_err(), "{region}");
        }
        for secret in ["", "hush\n"] {
            let error = address(&S3Options { secret_access_key: secret.to_owned(), ..options() }).unwrap_err();
            assert!(error.contains("AWS_SECRET_ACCESS_KEY") && !error.contains("hush"), "{error}");
        }
        assert!(address(&S3Options { access_key_id: "a b".to_owned(), ..options() }).is_err());
        assert!(!format!("{:?}", options()).contains("hush"));
    }
}
