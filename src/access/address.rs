//! What counts as one address, and which addresses are meant by a range.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// What counts as one address: an IPv4 address, or the /64 that one IPv6 customer gets.
#[must_use]
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

/// Addresses that share their first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    network: IpAddr,
    n_bits: u8,
}

impl AddressRange {
    /// Whether an address is one of them. An IPv4 address counts as itself also where IPv6 wraps it
    /// (`::ffff:10.0.0.1`).
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= u32::from(self.n_bits)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= u32::from(self.n_bits)
            }
            _ => false,
        }
    }
}

/// `10.0.0.0/8`, `fd00::/8`, or one address.
impl FromStr for AddressRange {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("must be an IP address or a range such as 10.0.0.0/8 or fd00::/8, got {text:?}");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(parse_bits(bits).ok_or_else(wrong)?)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().map_err(|_| wrong())?;
        let max_bits = if network.is_ipv4() { 32 } else { 128 };
        let n_bits = bits.unwrap_or(max_bits);
        if n_bits > max_bits {
            return Err(wrong());
        }
        let start = match network {
            IpAddr::V4(ip) => {
                IpAddr::V4((ip.to_bits() & u32::MAX.checked_shl(32 - u32::from(n_bits)).unwrap_or(0)).into())
            }
            IpAddr::V6(ip) => {
                IpAddr::V6((ip.to_bits() & u128::MAX.checked_shl(128 - u32::from(n_bits)).unwrap_or(0)).into())
            }
        };
        if start != network {
            return Err(format!("must be the first address of its range, {start}/{n_bits}, got {text:?}"));
        }
        Ok(Self { network, n_bits })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.n_bits)
    }
}

/// Digits only, so that `+8` is none.
fn parse_bits(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ipv6_customer_is_one_address() {
        let check = |left: &str, right: &str, expected: bool| {
            let (left, right) = (left.parse().unwrap(), right.parse().unwrap());
            assert_eq!(network_of(left) == network_of(right), expected, "{left} {right}");
        };
        check("2001:db8::1", "2001:db8::ffff:1", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
    }

    #[track_caller]
    fn check_range(range: &str, address: &str, expected: Option<bool>) {
        let found = range.parse::<AddressRange>().ok().map(|range| range.contains(address.parse().unwrap()));
        assert_eq!(found, expected, "{address} in {range}");
    }

    #[test]
    fn ranges_hold_what_shares_their_first_bits() {
        check_range("10.0.0.0/8", "10.255.0.1", Some(true));
        check_range("10.0.0.0/8", "11.0.0.1", Some(false));
        check_range("10.0.0.0/8", "::ffff:10.1.2.3", Some(true));
        check_range("10.0.0.0/8", "fd00::1", Some(false));
        check_range("0.0.0.0/0", "8.8.8.8", Some(true));
        check_range("::/0", "fd00::1", Some(true));
        check_range("127.0.0.1", "127.0.0.1", Some(true));
        check_range("127.0.0.1", "127.0.0.2", Some(false));
        check_range("fd00::/8", "fd12::1", Some(true));
        for wrong in ["", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "::/129", "10.0.0.0/256", "a", "10.0.0.0/-1"] {
            check_range(wrong, "10.0.0.1", None);
        }
    }
}
