//! Where a redis is. The URL may have a password: it is shown by nothing here.

use std::fmt;
use std::str::FromStr;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

/// The end of a URL by which no certificate is checked: some who rent out a redis sign theirs themselves.
const INSECURE: &str = "#insecure";

/// The address of a redis server, with what it takes to be let in.
#[derive(Clone)]
pub struct RedisUrl {
    info: Box<ConnectionInfo>,
    text: String,
}

impl RedisUrl {
    /// A redis on this machine.
    /// # Panics
    /// Never: every port makes a URL.
    #[must_use]
    pub fn local(port: u16) -> Self {
        format!("redis://127.0.0.1:{port}/").parse().expect("the form is right")
    }

    /// What a connection needs.
    pub(super) fn info(&self) -> ConnectionInfo {
        let redis = self.info.redis_settings().clone().set_skip_set_lib_name();
        let tcp = self.info.tcp_settings().clone().set_nodelay(true);
        (*self.info).clone().set_redis_settings(redis).set_tcp_settings(tcp)
    }

    /// Whether the server is believed whatever certificate it has: `#insecure` is at the end.
    #[must_use]
    pub fn is_insecure(&self) -> bool {
        matches!(self.info.addr(), ConnectionAddr::TcpTls { insecure: true, .. })
    }

    /// Whether the connection is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self.info.addr(), ConnectionAddr::TcpTls { .. })
    }
}

/// Host, port and database.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.info.addr(), self.info.redis_settings().db())
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

impl PartialEq for RedisUrl {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for RedisUrl {}

impl FromStr for RedisUrl {
    /// What it must be, without anything of what it is.
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_known = text.starts_with("redis://") || text.starts_with("rediss://");
        // Of fragments, one has a meaning, and with TLS only; a query would choose what is chosen here.
        let plain = if text.starts_with("rediss://") { text.strip_suffix(INSECURE).unwrap_or(text) } else { text };
        if !is_known || plain.contains(['#', '?']) {
            return Err(
                "must be redis://[user:password@]host:port/database, or rediss:// for TLS, with #insecure at the \
                        end to take any certificate; `#` and `?` of a password as %23 and %3F",
            );
        }
        let info = text.into_connection_info();
        let info = info.map_err(|_| "must have a host, a port up to 65535, and a number as its database")?;
        Ok(Self { info: Box::new(info), text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_hide_their_password() {
        for (text, shown) in [
            ("redis://localhost", "localhost:6379/0"),
            ("redis://:hunter2@10.0.0.1:7000/3", "10.0.0.1:7000/3"),
            ("rediss://user:hunter2@cache.example:6380/1", "cache.example:6380/1"),
            ("redis://user:hunter%232@[::1]:6380", "::1:6380/0"),
        ] {
            let url: RedisUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(url.is_encrypted(), text.starts_with("rediss"));
            assert!(!format!("{url:?}").contains("hunter") && !url.is_insecure(), "{url:?}");
        }
        for text in ["rediss://:hunter2@host:1/#insecure", "rediss://host#insecure"] {
            assert!(text.parse::<RedisUrl>().unwrap().is_insecure(), "{text}");
        }
        assert_eq!(RedisUrl::local(6379), "redis://127.0.0.1:6379/".parse().unwrap());
    }

    #[test]
    fn what_is_no_url_is_refused_and_not_repeated() {
        for text in [
            "",
            "http://host",
            "redis://",
            "redis://:hunter2@",
            "redis://:hunter2@host:99999",
            "redis://:hunter2@host/images",
            "redis://:hunter2@host/#insecure",
            "rediss://:hunter2@host/#insecure#insecure",
            "rediss://:hunter2@host/#other",
            "redis://:hunter2@host/?protocol=resp3",
            "unix:/run/redis.sock",
        ] {
            let error = text.parse::<RedisUrl>().unwrap_err();
            assert!(!error.contains("hunter"), "{error}");
        }
    }
}
