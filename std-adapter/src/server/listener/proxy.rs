//! The PROXY protocol, versions 1 and 2: who connected to the proxy, told before anything else.

use std::net::IpAddr;

use proxy_header::{Error, ParseConfig, ProxyHeader};

/// The longest header that is read: an address takes 232 bytes at most, the rest is for what is passed over.
pub(crate) const MAX_HEADER: usize = 4096;

/// What the front of a connection says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// Not all of it has come.
    NeedMore,
    /// The header takes `len` bytes; `None` when the proxy speaks for itself, as to see whether the server is there.
    For { client: Option<IpAddr>, len: usize },
    /// No header.
    Nothing,
}

/// Reads a header at the front of `input`.
pub(crate) fn parse(input: &[u8]) -> Said {
    let config = ParseConfig { include_tlvs: false, allow_v1: true, allow_v2: true };
    match ProxyHeader::parse(input, config) {
        Ok((header, len)) => {
            let client = header.proxied_address().map(|told| told.source.ip().to_canonical());
            Said::For { client, len }
        }
        Err(Error::BufferTooShort) if input.len() < MAX_HEADER => Said::NeedMore,
        Err(_) => Said::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proxy_header::ProxiedAddress;
    use std::net::SocketAddr;

    fn written(source: SocketAddr, version: u8) -> Vec<u8> {
        let destination = match source {
            SocketAddr::V4(_) => "192.0.2.1:443".parse().unwrap(),
            SocketAddr::V6(_) => "[2001:db8::1]:443".parse().unwrap(),
        };
        let header = ProxyHeader::with_address(ProxiedAddress::stream(source, destination));
        let mut memory = vec![0; 300];
        let written = match version {
            1 => header.encode_to_slice_v1(&mut memory),
            _ => header.encode_to_slice_v2(&mut memory),
        };
        memory.truncate(written.unwrap());
        memory
    }

    proptest! {
        #[test]
        fn a_header_is_read_whatever_follows_and_never_before_it_is_whole(
            address: IpAddr,
            port: u16,
            version in 1u8..=2,
            rest: Vec<u8>,
        ) {
            let header = written(SocketAddr::new(address, port), version);
            for part in 0..header.len() {
                prop_assert_eq!(parse(&header[..part]), Said::NeedMore);
            }
            let client = Some(address.to_canonical());
            let expected = Said::For { client, len: header.len() };
            prop_assert_eq!(parse(&[&header[..], &rest].concat()), expected);
        }

        #[test]
        fn any_bytes_give_an_answer_and_no_end_of_waiting_beyond_the_bound(input: Vec<u8>, head: bool) {
            let start: &[u8] = if head { b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff" } else { b"" };
            let mut input = [start, &input].concat();
            if let Said::For { len, .. } = parse(&input) {
                prop_assert!(len <= input.len());
            }
            input.resize(MAX_HEADER, 0);
            prop_assert_ne!(parse(&input), Said::NeedMore);
        }
    }

    #[test]
    fn a_proxy_that_speaks_for_itself_is_heard() {
        let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
        assert_eq!(parse(local), Said::For { client: None, len: 16 });
        assert_eq!(parse(b"PROXY UNKNOWN\r\nGET"), Said::For { client: None, len: 15 });
    }

    #[test]
    fn http_and_tls_are_no_headers() {
        for input in
            [&b"GET / HTTP/1.1\r\n"[..], b"POST / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01"]
        {
            assert_eq!(parse(input), Said::Nothing);
        }
    }
}
