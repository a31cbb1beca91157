//! Addresses of the configuration: where to listen, whom to trust, who may read answers. Nothing is opened or resolved
//! here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use super::value::quoted;

/// Longest path of a unix socket, `sun_path` without its closing NUL.
const MAX_SOCKET_PATH_BYTES: usize = 107;

/// Where connections come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// `127.0.0.1:3000`, `[::1]:3000`, `localhost:3000`, `:3000` (every IPv4 address) or `unix:/run/pixlserv.sock`.
impl FromStr for ListenAddress {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("must be address:port, such as 127.0.0.1:3000 or [::1]:3000, or unix:path, got {}", quoted(text))
        };
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.len() {
                0 => Err(wrong()),
                1..=MAX_SOCKET_PATH_BYTES => Ok(Self::Unix(PathBuf::from(path))),
                _ => Err(format!("must not have a socket path of more than {MAX_SOCKET_PATH_BYTES} bytes")),
            };
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let ip = parse_host(host).ok_or_else(wrong)?;
        let port = parse_port(port).ok_or_else(wrong)?;
        Ok(Self::Tcp(SocketAddr::new(ip, port)))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Which loop takes connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Loop {
    /// Our own.
    #[default]
    Epoll,
    /// That of tiny_http, in a build with the feature of that name.
    TinyHttp,
}

impl Loop {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Epoll => "epoll",
            Self::TinyHttp => "tiny-http",
        }
    }
}

impl FromStr for Loop {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "epoll" => Ok(Self::Epoll),
            "tiny-http" if cfg!(feature = "tiny_http") => Ok(Self::TinyHttp),
            "tiny-http" => Err("needs a program that was built with `cargo build --features tiny_http`".to_owned()),
            _ => Err(format!("must be epoll or tiny-http, got {}", quoted(text))),
        }
    }
}

/// The path of a folder in URLs, such as `/pixlserv-cache/`: begins and ends with a slash, of letters, digits and
/// `/._-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlFolder(String);

impl UrlFolder {
    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UrlFolder {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
        if is_plain && text.len() > 1 && text.starts_with('/') && text.ends_with('/') && !text.contains("//") {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("must be a URL path with a slash at both ends, such as /pixlserv-cache/, got {}", quoted(text)))
    }
}

/// An IPv4 address, `localhost`, or nothing for every IPv4 address.
fn parse_host(text: &str) -> Option<IpAddr> {
    match text {
        "" => Some(Ipv4Addr::UNSPECIFIED.into()),
        "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        _ => text.parse().ok().filter(IpAddr::is_ipv4),
    }
}

/// `HOST` of the environment: an address with or without brackets, or `localhost`.
pub(super) fn parse_bare_host(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if inner == "localhost" { parse_host(inner) } else { inner.parse().ok() }
}

/// Digits only, so that `+80` is none.
pub(super) fn parse_port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A web site whose scripts may read answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `*`: every one.
    Any,
    /// `scheme://host[:port]` in lower case, as browsers send it.
    Site(String),
}

impl FromStr for Origin {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let wrong =
            || format!("must be \"*\" or an origin such as https://example.com, without a path, got {}", quoted(text));
        let (scheme, host) = text.split_once("://").ok_or_else(wrong)?;
        let is_scheme = matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https");
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
            _ => (host, None),
        };
        let is_port = port.is_none_or(|port| !port.is_empty() && parse_port(port).is_some());
        if is_scheme && is_port && is_host(name) { Ok(Self::Site(text.to_ascii_lowercase())) } else { Err(wrong()) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Site(site) => f.write_str(site),
        }
    }
}

/// A name of letters, digits, dots and hyphens, or an IPv6 address in brackets.
pub(super) fn is_host(text: &str) -> bool {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_listen(text: &str, expected: Option<&str>) {
        let found = text.parse::<ListenAddress>().ok().map(|address| address.to_string());
        assert_eq!(found.as_deref(), expected, "{text}");
    }

    #[test]
    fn addresses_have_a_port_and_sockets_a_path() {
        check_listen("127.0.0.1:3000", Some("127.0.0.1:3000"));
        check_listen("[::1]:80", Some("[::1]:80"));
        check_listen("localhost:0", Some("127.0.0.1:0"));
        check_listen(":8080", Some("0.0.0.0:8080"));
        check_listen("unix:/run/a b.sock", Some("unix:/run/a b.sock"));
        let too_long = format!("unix:{}", "a".repeat(108));
        for wrong in
            ["", "3000", "unix:", "::1:80", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:+1", "a.b:80", &too_long]
        {
            check_listen(wrong, None);
        }
    }

    #[test]
    fn origins_are_sites_without_a_path() {
        assert_eq!("*".parse(), Ok(Origin::Any));
        assert_eq!("HTTPS://Example.com:8443".parse(), Ok(Origin::Site("https://example.com:8443".to_owned())));
        assert!("http://[::1]:3000".parse::<Origin>().is_ok());
        for wrong in
            ["", "example.com", "https://", "https://a/", "https://a:", "ftp://a", "https://*.a", "https://a b"]
        {
            assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
        }
    }
}
