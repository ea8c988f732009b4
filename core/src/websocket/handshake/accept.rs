//! The proof that a server understood the handshake (RFC 6455 section 4.2.2, item 5.4).

use super::digest::base64;
use crate::hash::Hash;

/// The value of Sec-WebSocket-Accept for the text of a Sec-WebSocket-Key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Accept([u8; 28]);

impl Accept {
    pub(super) fn of(key: &[u8]) -> Self {
        let (mut digest, mut text) = ([0; 20], [0; 28]);
        Hash::sha1(|hash| {
            hash.update(key);
            hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
            hash.finish(&mut digest);
        });
        base64(&digest, &mut text);
        Self(text)
    }

    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The text of a Sec-WebSocket-Key.
#[cfg(feature = "client-basic")]
pub(super) fn key_text(nonce: [u8; 16]) -> [u8; 24] {
    let mut text = [0; 24];
    base64(&nonce, &mut text);
    text
}

/// The value of Sec-WebSocket-Accept that answers the text of a Sec-WebSocket-Key (RFC 6455 section 4.2.2), `None`
/// when the text is not 16 bytes in base64. For a server whose HTTP library reads the heads.
#[cfg(feature = "server")]
#[must_use]
pub fn accept_key(key: &[u8]) -> Option<[u8; 28]> {
    is_key(key).then(|| Accept::of(key).0)
}

/// Whether `key` has the form of 16 bytes in base64.
///
/// The two bits that the last character has too many may be anything: the example in RFC 6455 section 4.1 has
/// one of them set.
#[cfg(feature = "server")]
pub(super) fn is_key(key: &[u8]) -> bool {
    let Some((text, b"==")) = key.split_at_checked(22) else { return false };
    text.iter().all(|b| matches!(b, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/'))
}
