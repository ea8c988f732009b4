//! A network by its address and the length of its prefix.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// Addresses that begin alike, such as `10.0.0.0/8`, `2001:db8::/32` or the single `192.0.2.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

/// The text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no network: write an address such as 192.0.2.1, or a prefix such as 10.0.0.0/8 or fd00::/8"
)]
pub struct NetworkError(Box<str>);

impl Network {
    /// Whether an address lies in it. An IPv4 address in the clothes of IPv6 is the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let text = text.trim();
        let single = |_| text.parse::<IpAddr>().map(IpNet::from);
        text.parse::<IpNet>().or_else(single).map(Self).map_err(|_| NetworkError(text.into()))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_prefix_or_one_address() {
        let contains = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains(" 192.0.2.1 ", "192.0.2.1"));
        assert!(!contains("192.0.2.1", "192.0.2.2"));
        assert!(contains("2001:db8::/32", "2001:db8:1::1"));
        assert!(!contains("::/0", "192.0.2.1"));
        for bad in ["", "10.0.0.0/33", "localhost", "10.0.0"] {
            let error = bad.parse::<Network>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{bad}`")), "{error}");
        }
    }
}
