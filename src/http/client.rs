//! Who a request comes from. What a proxy says of its client counts only where the proxy is trusted.

use std::net::{IpAddr, SocketAddr};

use http::HeaderName;

use super::request::Request;
use crate::access::AddressRange;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that a request counts for: the peer, or what trusted proxies say instead. Each adds the address that it
/// sees at the end of `X-Forwarded-For`; so the last one that is no trusted proxy itself is the client, and what stands
/// before it is the client's word. Who may use a unix-domain socket is trusted. `None` if nobody has said anything.
pub(super) fn client_address(request: &Request, trusted: &[AddressRange]) -> Option<IpAddr> {
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
    let mut client = request.peer;
    if client.is_some_and(|peer| !is_trusted(peer)) {
        return client;
    }
    let fields: Vec<_> = request.headers.get_all(X_FORWARDED_FOR).iter().collect();
    let entries = fields.iter().rev().flat_map(|field| field.as_bytes().rsplit(|byte| *byte == b','));
    for entry in entries {
        let Some(address) = parse(entry) else {
            break;
        };
        client = Some(address);
        if !is_trusted(address) {
            break;
        }
    }
    client
}

/// An address, also with a port, as some proxies write it.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse().ok().map(|with_port: SocketAddr| with_port.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Method, Version};

    use super::super::request::Target;
    use super::*;

    #[track_caller]
    fn check(peer: Option<&str>, fields: &[&'static str], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_static(field));
        }
        let request = Request {
            id: 1,
            peer: peer.map(|peer| peer.parse().unwrap()),
            method: Method::GET,
            target: Target { path: "/".into(), query: None },
            version: Version::HTTP_11,
            headers,
        };
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let expected = expected.map(|address| address.parse().unwrap());
        assert_eq!(client_address(&request, &trusted), expected, "{peer:?} {fields:?}");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        check(Some("192.0.2.1"), &["198.51.100.7"], Some("192.0.2.1"));
        check(Some("10.0.0.1"), &["198.51.100.7"], Some("198.51.100.7"));
        check(Some("10.0.0.1"), &[], Some("10.0.0.1"));
        check(Some("fd12::1"), &["203.0.113.5, 198.51.100.7"], Some("198.51.100.7"));
        check(Some("10.0.0.1"), &["203.0.113.5, 198.51.100.7 ,10.9.9.9"], Some("198.51.100.7"));
        check(Some("10.0.0.1"), &["203.0.113.5", "198.51.100.7", "10.9.9.9"], Some("198.51.100.7"));
        check(Some("10.0.0.1"), &["10.1.1.1, 10.2.2.2"], Some("10.1.1.1"));
        check(Some("10.0.0.1"), &["198.51.100.7, rubbish"], Some("10.0.0.1"));
        check(Some("10.0.0.1"), &["rubbish, 10.9.9.9"], Some("10.9.9.9"));
        check(Some("10.0.0.1"), &["198.51.100.7:443"], Some("198.51.100.7"));
        check(Some("10.0.0.1"), &["[2001:db8::1]:443"], Some("2001:db8::1"));
        check(Some("10.0.0.1"), &["[2001:db8::1]"], Some("2001:db8::1"));
        check(Some("10.0.0.1"), &["::ffff:198.51.100.7"], Some("198.51.100.7"));
        check(Some("10.0.0.1"), &[""], Some("10.0.0.1"));
        check(None, &["198.51.100.7"], Some("198.51.100.7"));
        check(None, &[], None);
    }
}
