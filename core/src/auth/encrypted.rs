//! Payloads that only the subscribers of a channel can read.
//!
//! The application has a master key that no server knows; a channel's secret is made from it and handed to whoever may
//! subscribe. Payloads are sealed by the `secretbox` of `NaCl`: XSalsa20-Poly1305 with a nonce of 24 bytes.

use core::fmt;

use base64ct::{Base64, Encoding};
use crypto_secretbox::aead::{AeadInPlace, KeyInit};
use crypto_secretbox::{Nonce, Tag, XSalsa20Poly1305};
use sha2::{Digest, Sha256};

/// The bytes of a nonce.
pub const NONCE_LEN: usize = 24;

/// The bytes that a sealed payload is longer than the plain one.
pub const TAG_LEN: usize = 16;

/// The key that all secrets of an application's encrypted channels come from: 32 bytes, which no server needs to know.
///
/// Neither `Debug` nor an error shows it.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

/// The secret of one encrypted channel. Neither `Debug` nor an error shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedSecret([u8; 32]);

/// A key or secret that is not the base64 of 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyError;

/// A payload that was not sealed with this secret, or was changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpenError;

impl MasterKey {
    /// The key of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the key as applications configure it, in base64 with padding.
    ///
    /// # Errors
    /// [`KeyError`] when it is not 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        read_base64(text).map(Self)
    }

    /// The secret of the channel with this name.
    #[must_use]
    pub fn shared_secret(&self, channel: &str) -> SharedSecret {
        SharedSecret(Sha256::new().chain_update(channel).chain_update(self.0).finalize().into())
    }
}

impl SharedSecret {
    /// The secret of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the secret as the authorisation endpoint answers it: `shared_secret`, in base64 with padding.
    ///
    /// # Errors
    /// [`KeyError`] when it is not 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        read_base64(text).map(Self)
    }

    /// Writes the secret for an authorisation endpoint's answer.
    pub fn to_base64<'o>(&self, out: &'o mut [u8; 44]) -> &'o str {
        Base64::encode(&self.0, out).unwrap_or_default()
    }

    /// Encrypts `payload` where it stands. The tag goes before it on the wire. No two payloads may have one nonce.
    #[must_use]
    pub fn seal_in_place(&self, nonce: &[u8; NONCE_LEN], payload: &mut [u8]) -> [u8; TAG_LEN] {
        let nonce = Nonce::from_slice(nonce);
        let sealed = self.cipher().encrypt_in_place_detached(nonce, &[], payload);
        sealed.map(Into::into).unwrap_or_default() // refused are payloads of 2^64 bytes and more alone
    }

    /// Decrypts a payload, tag and text, where it stands, and returns the text. On an error the contents are of no use.
    ///
    /// # Errors
    /// [`OpenError`] when the payload was not sealed with this secret and nonce.
    pub fn open_in_place<'p>(
        &self,
        nonce: &[u8; NONCE_LEN],
        payload: &'p mut [u8],
    ) -> Result<&'p mut [u8], OpenError> {
        let (tag, text) = payload.split_at_mut_checked(TAG_LEN).ok_or(OpenError)?;
        let (nonce, tag) = (Nonce::from_slice(nonce), Tag::from_slice(tag));
        let opened = self.cipher().decrypt_in_place_detached(nonce, &[], text, tag);
        opened.map(|()| text).map_err(|_| OpenError)
    }

    fn cipher(&self) -> XSalsa20Poly1305 {
        XSalsa20Poly1305::new(&self.0.into())
    }
}

fn read_base64(text: &str) -> Result<[u8; 32], KeyError> {
    let mut bytes = [0; 32];
    match Base64::decode(text, &mut bytes) {
        Ok(read) if read.len() == 32 => Ok(bytes),
        Ok(_) | Err(_) => Err(KeyError),
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey([redacted])")
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret([redacted])")
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key of an encrypted channel is the base64 of 32 bytes")
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the payload was not sealed with this channel's secret")
    }
}

impl core::error::Error for KeyError {}
impl core::error::Error for OpenError {}
