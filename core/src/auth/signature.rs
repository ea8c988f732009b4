//! The signature itself.

use core::fmt;

#[cfg(not(feature = "small"))]
use ::hmac::{Hmac, KeyInit, Mac};
#[cfg(not(feature = "small"))]
use sha2::Sha256;
use subtle::ConstantTimeEq;

#[cfg(feature = "small")]
use super::hmac::Key;

/// An app's secret, ready to sign with. Neither `Debug` nor an error shows it.
///
/// The part of the work that depends on the secret alone is done once, here.
#[derive(Clone)]
pub struct SigningKey {
    #[cfg(feature = "small")]
    key: Key,
    /// `None` stands for a secret that the algorithm refuses. It refuses none.
    #[cfg(not(feature = "small"))]
    hmac: Option<Hmac<Sha256>>,
}

/// A signature: 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    digits: [u8; 64],
}

#[cfg(not(feature = "small"))]
impl SigningKey {
    /// Takes the secret as it is configured, as bytes.
    #[must_use]
    #[inline(never)] // its stack is not under that of the caller's other work
    pub fn new(secret: &[u8]) -> Self {
        Self { hmac: Hmac::new_from_slice(secret).ok() }
    }

    /// Signs what `write` passes on, piece by piece.
    pub fn sign_with(&self, write: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Signature {
        let digest = self.hmac.clone().map(|mut hmac| {
            write(&mut |piece| hmac.update(piece));
            hmac.finalize().into_bytes().into()
        });
        Signature::of(digest)
    }

    /// Signs the pieces, one after the other.
    #[must_use]
    pub fn sign(&self, pieces: &[&[u8]]) -> Signature {
        Signature::of(self.mac(pieces))
    }

    #[inline(never)] // as above
    fn mac(&self, pieces: &[&[u8]]) -> Option<[u8; 32]> {
        let mut hmac = self.hmac.clone()?;
        pieces.iter().for_each(|piece| hmac.update(piece));
        Some(hmac.finalize().into_bytes().into())
    }
}

#[cfg(feature = "small")]
impl SigningKey {
    /// Takes the secret as it is configured, as bytes.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self { key: Key::new(secret) }
    }

    /// Signs what `write` passes on, piece by piece.
    pub fn sign_with(&self, write: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Signature {
        Signature::of(Some(self.key.mac(|hash| write(&mut |piece| hash.update(piece)))))
    }

    /// Signs the pieces, one after the other.
    #[must_use]
    pub fn sign(&self, pieces: &[&[u8]]) -> Signature {
        self.sign_with(|put| pieces.iter().for_each(|piece| put(piece)))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([redacted])")
    }
}

impl Signature {
    /// The digits of a digest; without one, what no signature that anybody sends can be.
    #[cfg_attr(not(feature = "small"), inline(never))]
    fn of(digest: Option<[u8; 32]>) -> Self {
        let mut digits = [b'-'; 64];
        if let Some(digest) = digest {
            hex(&digest, &mut digits);
        }
        Self { digits }
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.digits).unwrap_or_default()
    }

    /// Whether `received` is this signature; the time that it takes does not tell how much of it is right.
    ///
    /// Digits in upper case are no match: no SDK writes them.
    #[must_use]
    pub fn matches(&self, received: &str) -> bool {
        self.digits.ct_eq(received.as_bytes()).into()
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Writes `bytes` as lower-case hexadecimal digits, as far as `out` reaches.
pub(super) fn hex(bytes: &[u8], out: &mut [u8]) {
    let digit =
        |nibble: u8| if nibble < 10 { b'0' | nibble } else { nibble.wrapping_add(b'a' - 10) };
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        if let [high, low] = pair {
            *high = digit(byte >> 4);
            *low = digit(byte & 15);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_does_not_show() {
        let key = SigningKey::new(b"hunter2");
        assert_eq!(std::format!("{key:?}"), "SigningKey([redacted])");
    }

    #[test]
    fn pieces_are_signed_as_one_text() {
        let key = SigningKey::new(b"secret");
        assert_eq!(key.sign(&[b"a", b"", b"bc"]), key.sign(&[b"abc"]));
    }

    #[test]
    fn only_the_whole_signature_matches() {
        let signature = SigningKey::new(b"secret").sign(&[b"abc"]);
        let text = std::string::String::from(signature.as_str());
        assert!(signature.matches(&text));
        assert!(!signature.matches(&text[1..]));
        assert!(!signature.matches(&text.to_uppercase()));
        for at in 0..64 {
            let mut other = text.clone().into_bytes();
            other[at] ^= 1;
            assert!(!signature.matches(core::str::from_utf8(&other).unwrap()), "digit {at}");
        }
    }
}
