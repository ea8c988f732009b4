mod client;
mod head;
mod server;

use std::vec::Vec;

use super::{HeadLimits, HeadScanner, RequestHead, UpgradeRequest};
use crate::io::{Parse, TxBuf};

/// The request of RFC 6455 section 1.2.
const SAMPLE: &[u8] = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// What a server reads when the peer sends `bytes` and no more.
fn request(bytes: &[u8]) -> Parse<RequestHead<'_>> {
    RequestHead::parse(bytes, HeadLimits::new()).unwrap()
}

/// The whole answer of a server to a complete head.
fn answer(bytes: &[u8], subprotocol: Option<&str>) -> Vec<u8> {
    let Parse::Done { value: head, .. } = request(bytes) else { panic!("the head is cut") };
    let mut memory = [0; 1024];
    let mut tx = TxBuf::new(&mut memory);
    match UpgradeRequest::from_head(&head) {
        Ok(upgrade) => upgrade.accept(subprotocol, &mut tx).unwrap(),
        Err(refusal) => refusal.write(&mut tx).unwrap(),
    }
    tx.written().to_vec()
}

/// Feeds a head byte by byte to a scanner, until it gives anything but "more".
fn byte_by_byte(
    bytes: &[u8],
    limits: HeadLimits,
) -> (usize, Result<Parse<RequestHead<'_>>, super::HeadError>) {
    let mut scanner = HeadScanner::new();
    let mut last = Ok(Parse::NeedMore { at_least: 1 });
    for end in 1..=bytes.len() {
        last = scanner.request(&bytes[..end], limits);
        if !matches!(last, Ok(Parse::NeedMore { .. })) {
            return (end, last);
        }
    }
    (bytes.len(), last)
}
