//! HMAC-SHA256 (RFC 2104) over the small SHA-256: a third of the flash that the crates take.

use crate::hash::Hash;

const BLOCK: usize = 64;

/// A key, as the states of both hashes behind their first block.
#[derive(Clone)]
pub(super) struct Key {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl Key {
    #[inline(never)] // its stack is not under that of the caller's other work
    pub(super) fn new(secret: &[u8]) -> Self {
        let mut digest = [0; 32];
        let mut secret = secret;
        if secret.len() > BLOCK {
            Hash::sha256(|hash| {
                hash.update(secret);
                hash.finish(&mut digest);
            });
            secret = &digest;
        }
        Self { inner: padded(secret, 0x36), outer: padded(secret, 0x5c) }
    }

    /// The code of the message that `write` passes on.
    pub(super) fn mac(&self, write: impl FnOnce(&mut Hash)) -> [u8; 32] {
        let mut digest = [0; 32];
        Hash::sha256_behind_a_block(&self.inner, |hash| {
            write(hash);
            hash.finish(&mut digest);
        });
        Hash::sha256_behind_a_block(&self.outer, |hash| {
            hash.update(&digest);
            hash.finish(&mut digest);
        });
        digest
    }
}

/// The state behind a block of the secret, filled up with zeros, each byte of it xor `pad`.
#[inline(never)]
fn padded(secret: &[u8], pad: u8) -> [u32; 8] {
    Hash::sha256(|hash| {
        let mut secret = secret.iter();
        for _ in 0..BLOCK {
            hash.push(secret.next().copied().unwrap_or_default() ^ pad);
        }
        *hash.state()
    })
}

#[cfg(test)]
mod tests {
    use ::hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use sha2::Sha256;

    use super::*;

    proptest! {
        #[test]
        fn a_mac_is_that_of_the_crate(
            secret in prop::collection::vec(any::<u8>(), 0..150),
            message in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let theirs = Hmac::<Sha256>::new_from_slice(&secret).unwrap().chain_update(&message);
            let ours = Key::new(&secret).mac(|hash| hash.update(&message));
            prop_assert_eq!(ours, <[u8; 32]>::from(theirs.finalize().into_bytes()));
        }
    }
}
