//! The environment, read once: which storage and index to use, and where to listen when the file does not say.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use super::error::ConfigError;
use super::network::{ListenAddress, parse_bare_host, parse_port};
use crate::index::RedisUrl;
use crate::store::objects::{GcsOptions, S3Options};

const DEFAULT_PORT: u16 = 3000;
/// The Go server's.
const DEFAULT_S3_REGION: &str = "eu-west-1";

/// The variables that matter; empty ones count as unset.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<&'static str, Secret>,
    /// What the system allows the process to take.
    pub(super) memory_limit: Option<u64>,
    /// Threads that run at once; 0 if that is not known.
    pub(super) n_cores: usize,
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

const S3: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "PIXLSERV_S3_BUCKET"];
const GCS: [&str; 3] = ["GCS_ISS", "GCS_KEY", "PIXLSERV_GCS_BUCKET"];
const OTHERS: [&str; 9] = [
    "PIXLSERV_S3_REGION",
    "PIXLSERV_S3_ENDPOINT",
    "PIXLSERV_GCS_ENDPOINT",
    "PIXLSERV_GCS_TOKEN_URL",
    "PIXLSERV_REDIS_URL",
    "PIXLSERV_REDIS_PORT",
    "PIXLSERV_SIMD",
    "HOST",
    "PORT",
];

/// Where images are kept, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageChoice {
    /// Amazon S3 or a compatible server.
    S3(S3Options),
    /// Google Cloud Storage.
    Gcs(GcsOptions),
    /// The folder `local-path`.
    Local,
}

impl StorageChoice {
    /// Name and place of the bucket; `None` if images are on the local disk.
    #[must_use]
    pub fn bucket(&self) -> Option<String> {
        let (bucket, place) = match self {
            Self::Local => return None,
            Self::S3(S3Options { bucket, endpoint: Some(endpoint), .. }) => {
                (bucket, format!("the S3 server at {}", shown(endpoint)))
            }
            Self::S3(S3Options { bucket, region, .. }) => (bucket, format!("Amazon S3 in {region}")),
            Self::Gcs(GcsOptions { bucket, endpoint: Some(endpoint), .. }) => {
                (bucket, format!("the Google Cloud Storage at {}", shown(endpoint)))
            }
            Self::Gcs(GcsOptions { bucket, .. }) => (bucket, "Google Cloud Storage".to_owned()),
        };
        Some(format!("{bucket} of {place}"))
    }
}

/// Where keys and cache records are kept, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexChoice {
    /// A redis server.
    Redis(RedisUrl),
    /// The store that is part of the program.
    Embedded,
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Self {
            memory_limit: super::memory::of_cgroup(),
            n_cores: std::thread::available_parallelism().map_or(0, usize::from),
            ..Self::new(std::env::vars_os().filter_map(text))
        }
    }

    /// An environment of these variables.
    #[must_use]
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let known = |name: &str| S3.iter().chain(&GCS).chain(&OTHERS).copied().find(|known| *known == name);
        let variables = variables
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(name, value)| Some((known(&name)?, Secret(value))))
            .collect();
        Self { variables, memory_limit: None, n_cores: 0 }
    }

    /// The same where the system sets another limit of memory, or none.
    #[must_use]
    pub fn with_memory_limit(self, memory_limit: Option<u64>) -> Self {
        Self { memory_limit, ..self }
    }

    /// The name of the instruction set that is asked for: `PIXLSERV_SIMD`.
    #[must_use]
    pub fn simd(&self) -> Option<&str> {
        self.get("PIXLSERV_SIMD")
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(Secret::reveal)
    }

    fn missing(&self, names: [&'static str; 3]) -> Vec<&'static str> {
        names.into_iter().filter(|name| self.get(name).is_none()).collect()
    }

    /// The storage that the variables select, and a sentence that says why.
    #[must_use]
    pub fn storage(&self, local_path: &Path) -> (StorageChoice, String) {
        let in_bucket = |choice: StorageChoice, [a, b, c]: [&str; 3]| {
            let reason = format!("bucket {}, because {a}, {b} and {c} are set", choice.bucket().unwrap_or_default());
            (choice, reason)
        };
        if let Some(options) = self.s3() {
            return in_bucket(StorageChoice::S3(options), S3);
        }
        if let Some(options) = self.gcs() {
            return in_bucket(StorageChoice::Gcs(options), GCS);
        }
        let partly = [S3, GCS].into_iter().find(|names| self.missing(*names).len() < names.len());
        let reason = match partly {
            Some(names) => format!("{} not set, though others of its group are", self.missing(names).join(" and ")),
            None => "no variables of Amazon S3 or Google Cloud Storage are set".to_owned(),
        };
        (StorageChoice::Local, format!("local disk at {}, because {reason}", local_path.display()))
    }

    fn s3(&self) -> Option<S3Options> {
        let [access_key_id, secret_access_key, bucket] = S3.map(|name| self.get(name).map(str::to_owned));
        Some(S3Options {
            region: self.get("PIXLSERV_S3_REGION").unwrap_or(DEFAULT_S3_REGION).to_owned(),
            endpoint: self.get("PIXLSERV_S3_ENDPOINT").map(str::to_owned),
            bucket: bucket?,
            access_key_id: access_key_id?,
            secret_access_key: secret_access_key?,
        })
    }

    fn gcs(&self) -> Option<GcsOptions> {
        let [issuer, key, bucket] = GCS.map(|name| self.get(name).map(str::to_owned));
        Some(GcsOptions {
            issuer: issuer?,
            key: key?,
            bucket: bucket?,
            endpoint: self.get("PIXLSERV_GCS_ENDPOINT").map(str::to_owned),
            token_url: self.get("PIXLSERV_GCS_TOKEN_URL").map(str::to_owned),
        })
    }

    /// The index that the variables select, and a sentence that says why.
    /// # Errors
    /// If a variable of redis cannot be meant so.
    pub fn index(&self) -> Result<(IndexChoice, String), ConfigError> {
        let wrong = |variable, message: &str| ConfigError::Environment { variable, message: message.to_owned() };
        if let Some(url) = self.get("PIXLSERV_REDIS_URL") {
            let url: RedisUrl = url.parse().map_err(|message| wrong("PIXLSERV_REDIS_URL", message))?;
            let unchecked = if url.is_insecure() { " with any certificate (#insecure)" } else { "" };
            let reason = format!("redis at {url}{unchecked}, because PIXLSERV_REDIS_URL is set");
            return Ok((IndexChoice::Redis(url), reason));
        }
        if let Some(port) = self.get("PIXLSERV_REDIS_PORT") {
            let port = parse_port(port)
                .filter(|port| *port > 0)
                .ok_or_else(|| wrong("PIXLSERV_REDIS_PORT", "must be a port, 1 to 65535"))?;
            let url = RedisUrl::local(port);
            let reason = format!("redis at {url}, because PIXLSERV_REDIS_PORT is set");
            return Ok((IndexChoice::Redis(url), reason));
        }
        let reason = "embedded store, because neither PIXLSERV_REDIS_URL nor PIXLSERV_REDIS_PORT is set";
        Ok((IndexChoice::Embedded, reason.to_owned()))
    }

    /// The address of `HOST` and `PORT`.
    /// # Errors
    /// If one of them cannot be meant so.
    pub fn listen(&self) -> Result<ListenAddress, ConfigError> {
        let wrong = |variable, message: String| ConfigError::Environment { variable, message };
        let host = match self.get("HOST") {
            Some(host) => parse_bare_host(host)
                .ok_or_else(|| wrong("HOST", format!("must be an IP address or localhost, got {host:?}")))?,
            None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        let port = match self.get("PORT") {
            Some(port) => {
                parse_port(port).ok_or_else(|| wrong("PORT", format!("must be a port, 0 to 65535, got {port:?}")))?
            }
            None => DEFAULT_PORT,
        };
        Ok(ListenAddress::Tcp(SocketAddr::new(host, port)))
    }
}

/// An address as it may be shown: what stands before an `@` may be a password.
fn shown(endpoint: &str) -> String {
    match endpoint.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => endpoint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[track_caller]
    fn check_storage(variables: &[(&str, &str)], choice: StorageChoice, reason: &str) {
        assert_eq!(environment(variables).storage(Path::new("images")), (choice, reason.to_owned()));
    }

    #[test]
    fn variables_choose_the_storage_and_say_why() {
        let none = "local disk at images, because no variables of Amazon S3 or Google Cloud Storage are set";
        check_storage(&[], StorageChoice::Local, none);
        let s3 = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("PIXLSERV_S3_BUCKET", "c")];
        let mut options = S3Options {
            region: "eu-west-1".to_owned(),
            endpoint: None,
            bucket: "c".to_owned(),
            access_key_id: "a".to_owned(),
            secret_access_key: "b".to_owned(),
        };
        let because = "because AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and PIXLSERV_S3_BUCKET are set";
        let reason = format!("bucket c of Amazon S3 in eu-west-1, {because}");
        check_storage(&s3, StorageChoice::S3(options.clone()), &reason);
        let other = [("PIXLSERV_S3_REGION", "x"), ("PIXLSERV_S3_ENDPOINT", "http://h:1")];
        (options.region, options.endpoint) = ("x".to_owned(), Some("http://h:1".to_owned()));
        let reason = format!("bucket c of the S3 server at http://h:1, {because}");
        check_storage(&[&s3[..], &other[..]].concat(), StorageChoice::S3(options), &reason);
        let gcs = [("GCS_ISS", "a"), ("GCS_KEY", "b"), ("PIXLSERV_GCS_BUCKET", "c")];
        let options = GcsOptions {
            issuer: "a".to_owned(),
            key: "b".to_owned(),
            bucket: "c".to_owned(),
            endpoint: None,
            token_url: None,
        };
        let reason = "bucket c of Google Cloud Storage, because GCS_ISS, GCS_KEY and PIXLSERV_GCS_BUCKET are set";
        check_storage(&gcs, StorageChoice::Gcs(options), reason);
        let partly = "local disk at images, because PIXLSERV_S3_BUCKET not set, though others of its group are";
        check_storage(&s3[..2], StorageChoice::Local, partly);
    }

    #[test]
    fn variables_choose_the_index_and_are_checked() {
        assert_eq!(environment(&[]).index().unwrap().0, IndexChoice::Embedded);
        let url = |text: &str| IndexChoice::Redis(text.parse().unwrap());
        let (choice, reason) = environment(&[("PIXLSERV_REDIS_PORT", "6379")]).index().unwrap();
        assert_eq!(choice, url("redis://127.0.0.1:6379/"));
        assert_eq!(reason, "redis at 127.0.0.1:6379/0, because PIXLSERV_REDIS_PORT is set");
        let both = [("PIXLSERV_REDIS_URL", "rediss://u:hunter2@h:1/2"), ("PIXLSERV_REDIS_PORT", "6379")];
        let (choice, reason) = environment(&both).index().unwrap();
        assert_eq!(choice, url("rediss://u:hunter2@h:1/2"));
        assert_eq!(reason, "redis at h:1/2, because PIXLSERV_REDIS_URL is set");
        assert!(!format!("{choice:?}").contains("hunter2"));
        for wrong in [
            ("PIXLSERV_REDIS_PORT", "0"),
            ("PIXLSERV_REDIS_PORT", "x"),
            ("PIXLSERV_REDIS_URL", "http://a"),
            ("PIXLSERV_REDIS_URL", "redis://:hunter2@host:port/"),
        ] {
            let message = environment(&[wrong]).index().unwrap_err().to_string();
            assert!(message.contains(wrong.0) && !message.contains(wrong.1), "{message}");
        }
    }

    #[test]
    fn host_and_port_make_an_address() {
        let address = |variables: &[(&str, &str)]| environment(variables).listen().map(|address| address.to_string());
        assert_eq!(address(&[]).unwrap(), "0.0.0.0:3000");
        assert_eq!(address(&[("PORT", "8080")]).unwrap(), "0.0.0.0:8080");
        assert_eq!(address(&[("HOST", "::1"), ("PORT", "80")]).unwrap(), "[::1]:80");
        assert!(address(&[("PORT", "99999")]).is_err());
        assert!(address(&[("HOST", "nowhere.example")]).is_err());
    }

    #[test]
    fn the_file_of_the_service_names_every_variable() {
        let file = include_str!("../../config/pixlserv.env");
        for name in S3.iter().chain(&GCS).chain(&OTHERS) {
            assert!(file.contains(&format!("\n#{name}=")), "{name}");
        }
    }

    #[test]
    fn secrets_are_never_shown() {
        let shown = format!("{:?}", environment(&[("AWS_SECRET_ACCESS_KEY", "hunter2")]));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
