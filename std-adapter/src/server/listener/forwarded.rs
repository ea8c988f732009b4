//! Whom a proxy speaks for.

use std::net::{IpAddr, SocketAddr};

use tidings_core::websocket::handshake::RequestHead;

use crate::config::Network;

/// The address of the client behind the proxies: going back from `from`, who connected, the first one that is no proxy of
/// ours. What stands before it was written by others, and is not believed.
///
/// `X-Forwarded-For` counts, and `Forwarded` (RFC 7239) when there is none of it.
pub(super) fn client(head: &RequestHead<'_>, from: IpAddr, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(from) {
        return from;
    }
    let mut hops: Vec<Option<IpAddr>> =
        head.header_tokens("x-forwarded-for").map(address).collect();
    if hops.is_empty() {
        hops = head.header_tokens("forwarded").map(forwarded_for).collect();
    }
    let mut client = from;
    for hop in hops.into_iter().rev() {
        // What a proxy did not know, or hides, leaves it at the proxy.
        let Some(hop) = hop else { break };
        client = hop;
        if !is_trusted(hop) {
            break;
        }
    }
    client
}

/// The `for` of one element of `Forwarded`.
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let mut pairs = std::str::from_utf8(element).ok()?.split(';');
    let value = pairs.find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value)
    })?;
    address(value.trim().trim_matches('"').as_bytes())
}

/// An address, with or without a port, of IPv6 with or without brackets.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|found| found.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_core::io::Parse;
    use tidings_core::websocket::handshake::HeadLimits;

    fn found(from: &str, fields: &str) -> String {
        let head = format!("GET / HTTP/1.1\r\n{fields}\r\n\r\n");
        let Ok(Parse::Done { value, .. }) = RequestHead::parse(head.as_bytes(), HeadLimits::new())
        else {
            panic!("{head}");
        };
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        client(&value, from.parse().unwrap(), &trusted).to_string()
    }

    #[test]
    fn the_rightmost_hop_that_is_no_proxy_of_ours_is_the_client() {
        let chain = "X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.0.0.3";
        assert_eq!(found("10.0.0.1", chain), "203.0.113.7");
        assert_eq!(
            found("10.0.0.1", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.7"),
            "203.0.113.7"
        );
        assert_eq!(found("10.0.0.1", "X-Forwarded-For: 10.0.0.9, 10.0.0.3"), "10.0.0.9");
        assert_eq!(found("10.0.0.1", "Host: a"), "10.0.0.1");
    }

    #[test]
    fn who_is_no_proxy_of_ours_is_not_believed() {
        assert_eq!(found("203.0.113.9", "X-Forwarded-For: 1.2.3.4"), "203.0.113.9");
        assert_eq!(found("203.0.113.9", "Forwarded: for=1.2.3.4"), "203.0.113.9");
    }

    #[test]
    fn forwarded_is_read_where_there_is_no_x_forwarded_for() {
        let of = |fields| found("10.0.0.1", fields);
        assert_eq!(of("Forwarded: for=1.1.1.1, For=203.0.113.7;proto=https"), "203.0.113.7");
        assert_eq!(of("Forwarded: proto=https;for=\"[2001:db8::7]:4711\""), "2001:db8::7");
        assert_eq!(of("Forwarded: for=1.1.1.1\r\nX-Forwarded-For: 203.0.113.7"), "203.0.113.7");
    }

    #[test]
    fn ports_and_brackets_do_not_matter_and_what_is_no_address_ends_the_search() {
        let of = |value| found("fd00::1", &format!("X-Forwarded-For: {value}"));
        assert_eq!(of("203.0.113.7:1234"), "203.0.113.7");
        assert_eq!(of("[2001:db8::7]:1"), "2001:db8::7");
        assert_eq!(of("[2001:db8::7]"), "2001:db8::7");
        assert_eq!(of("2001:db8::7"), "2001:db8::7");
        assert_eq!(of("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(of("203.0.113.7, unknown"), "fd00::1");
        assert_eq!(of("203.0.113.7, _hidden, 10.0.0.2"), "10.0.0.2");
    }
}
