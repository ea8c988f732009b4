//! Keys, known by their fingerprints.

use core::fmt;

use subtle::ConstantTimeEq;

/// The SHA-256 of a server's public key (its `SubjectPublicKeyInfo`, as DER): what a device knows its server by.
///
/// It stays the same when the certificate is renewed with the same key. Of a server that runs:
///
/// ```sh
/// openssl s_client -connect HOST:PORT </dev/null 2>/dev/null | openssl x509 -noout -pubkey |
///   openssl pkey -pubin -outform der | openssl dgst -sha256 -r
/// ```
///
/// Of a key that is still to be used, for a second pin: `openssl pkey -in key.pem -pubout -outform der | openssl dgst -sha256 -r`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pin([u8; 32]);

impl Pin {
    /// The pin with these bytes.
    #[must_use]
    pub const fn new(sha256: [u8; 32]) -> Self {
        Self(sha256)
    }

    /// Reads 64 hexadecimal digits; `None` when it is anything else. In a `const` a mistake shows when the program is built:
    ///
    /// ```
    /// # use tidings_embassy::tls::Pin;
    /// const SERVER: Pin =
    ///     Pin::from_hex("8d02fbc8a8eb2fd1d3f1c7d0e8c6a6a9c2b3f7d5e1a0b9c8d7e6f5a4b3c2d1e0").unwrap();
    /// assert_eq!(SERVER.to_string().len(), 64);
    /// ```
    #[must_use]
    pub const fn from_hex(text: &str) -> Option<Self> {
        let mut rest = text.as_bytes();
        let mut bytes = [0; 32];
        let mut left: &mut [u8] = &mut bytes;
        while let (Some((byte, after)), Some((&[high, low], unread))) =
            (left.split_first_mut(), rest.split_first_chunk::<2>())
        {
            let (Some(high), Some(low)) = (digit(high), digit(low)) else { return None };
            *byte = high << 4 | low;
            (left, rest) = (after, unread);
        }
        if rest.is_empty() && text.len() == 64 { Some(Self(bytes)) } else { None }
    }

    /// The bytes of the SHA-256.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether it is one of `pins`.
    pub(crate) fn is_one_of(&self, pins: &[Self]) -> bool {
        pins.iter().any(|pin| self.0.ct_eq(&pin.0).into())
    }
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    const TEXT: &str = "00ff10a5c3d2e1f00123456789abcdef00112233445566778899aabbccddeeff";

    #[test]
    fn a_pin_is_read_as_it_is_shown_and_nothing_else_is() {
        let pin = Pin::from_hex(TEXT).unwrap();
        assert_eq!(pin.as_bytes().first_chunk(), Some(&[0, 0xFF, 0x10, 0xA5]));
        assert_eq!(pin.to_string(), TEXT);
        assert_eq!(Pin::from_hex(&TEXT.to_uppercase()), Some(pin));
        for wrong in
            ["", &TEXT[2..], &TEXT[1..], &std::format!("{TEXT}00"), &TEXT.replace('a', "g")]
        {
            assert_eq!(Pin::from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn one_of_several_pins_is_enough_and_none_never_is() {
        let (a, b) = (Pin::new([1; 32]), Pin::new([2; 32]));
        assert!(b.is_one_of(&[a, b]));
        assert!(!b.is_one_of(&[a]));
        assert!(!b.is_one_of(&[]));
    }
}
