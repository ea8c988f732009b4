//! Whether a server is the one whose key is pinned.

use embedded_tls::{
    Aes128GcmSha256, CertificateEntryRef, CertificateRef, CertificateVerifyRef, CryptoProvider,
    Sha256, SignatureScheme, TlsError, TlsVerifier,
};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::signature::digest::Digest as _;
use rand_core::{CryptoRng, CryptoRngCore, RngCore};
use tidings_core::entropy::Entropy;

use super::{Failure, Pin};

/// A `SubjectPublicKeyInfo` up to the point, for an uncompressed one on P-256 (RFC 5480).
const P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A,
    0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The same for Ed25519 (RFC 8410).
#[cfg(feature = "tls-ed25519")]
const ED25519: &[u8] = &[0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00];
/// What a server's signature begins with (RFC 8446, section 4.4.3), after 64 spaces.
const CONTEXT: &[u8] = b"TLS 1.3, server CertificateVerify\0";

/// A public key that a signature can be checked against.
enum Key {
    #[cfg(feature = "tls-ed25519")]
    Ed25519([u8; 32]),
    P256([u8; 65]),
}

impl Key {
    fn read(info: &[u8]) -> Option<Self> {
        #[cfg(feature = "tls-ed25519")]
        if let Some(key) = info.strip_prefix(ED25519) {
            return key.try_into().ok().map(Self::Ed25519);
        }
        info.strip_prefix(P256)?.try_into().ok().map(Self::P256)
    }

    fn has_signed(&self, message: &[u8], proof: &CertificateVerifyRef<'_>) -> Option<()> {
        match (self, proof.signature_scheme) {
            #[cfg(feature = "tls-ed25519")]
            (Self::Ed25519(key), SignatureScheme::Ed25519) => {
                let key = ed25519_dalek::VerifyingKey::from_bytes(key).ok()?;
                let signature = ed25519_dalek::Signature::from_slice(proof.signature).ok()?;
                key.verify_strict(message, &signature).ok()
            }
            (Self::P256(point), SignatureScheme::EcdsaSecp256r1Sha256) => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
                let signature = p256::ecdsa::Signature::from_der(proof.signature).ok()?;
                key.verify(message, &signature).ok()
            }
            _ => None,
        }
    }
}

/// How far the server has come with proving who it is.
enum Proof {
    Awaited,
    /// It showed a pinned key; the hash is that of the handshake until then.
    Shown(Key, [u8; 32]),
    /// It signed this handshake with it.
    Given,
    Failed(Failure),
}

/// Checks one handshake. The engine calls it for what the server sends, and it may leave out what it likes: only
/// [`outcome`](Self::outcome) says whether the server is the pinned one.
pub(super) struct Checker<'p, E> {
    pins: &'p [Pin],
    random: E,
    proof: Proof,
}

impl<'p, E> Checker<'p, E> {
    pub(super) const fn new(pins: &'p [Pin], random: E) -> Self {
        Self { pins, random, proof: Proof::Awaited }
    }

    /// Whether the server has proved that it has a pinned key; asked when the handshake is over.
    pub(super) const fn outcome(&self) -> Result<(), Failure> {
        match self.proof {
            Proof::Given => Ok(()),
            Proof::Failed(failure) => Err(failure),
            Proof::Awaited | Proof::Shown(..) => Err(Failure::NoProof),
        }
    }

    /// Why the verifier refused, when it did.
    pub(super) const fn refusal(&self) -> Option<Failure> {
        match self.proof {
            Proof::Failed(failure) => Some(failure),
            Proof::Awaited | Proof::Given | Proof::Shown(..) => None,
        }
    }

    fn fail(&mut self, failure: Failure) -> TlsError {
        self.proof = Proof::Failed(failure);
        TlsError::InvalidCertificate
    }
}

impl<E> TlsVerifier<Aes128GcmSha256> for Checker<'_, E> {
    fn set_hostname_verification(&mut self, _: &str) -> Result<(), TlsError> {
        // The key says who the server is, whatever name it has.
        Ok(())
    }

    fn verify_certificate(
        &mut self,
        transcript: &Sha256,
        chain: CertificateRef<'_>,
    ) -> Result<(), TlsError> {
        if !matches!(self.proof, Proof::Awaited) {
            return Err(self.fail(Failure::Protocol));
        }
        let info = match chain.entries.first() {
            Some(CertificateEntryRef::X509(certificate)) => public_key_info(certificate),
            _ => None,
        };
        let Some(info) = info else { return Err(self.fail(Failure::Certificate)) };
        let pin = Pin::new(Sha256::digest(info).into());
        if !pin.is_one_of(self.pins) {
            return Err(self.fail(Failure::WrongKey(pin)));
        }
        match Key::read(info) {
            Some(key) => {
                self.proof = Proof::Shown(key, transcript.clone().finalize().into());
                Ok(())
            }
            None => Err(self.fail(Failure::UnknownKind(pin))),
        }
    }

    fn verify_signature(&mut self, proof: CertificateVerifyRef<'_>) -> Result<(), TlsError> {
        let Proof::Shown(key, transcript) = &self.proof else {
            return Err(self.fail(Failure::Protocol));
        };
        let mut message = [b' '; 64 + CONTEXT.len() + 32];
        let (_, signed) = message.split_at_mut(64);
        for (to, from) in signed.iter_mut().zip(CONTEXT.iter().chain(transcript)) {
            *to = *from;
        }
        match key.has_signed(&message, &proof) {
            Some(()) => {
                self.proof = Proof::Given;
                Ok(())
            }
            None => Err(self.fail(Failure::ForgedProof)),
        }
    }
}

impl<E: Entropy> CryptoProvider for Checker<'_, E> {
    type CipherSuite = Aes128GcmSha256;
    // The device has no certificate of its own.
    type Signature = [u8; 0];

    fn rng(&mut self) -> impl CryptoRngCore {
        Random(&mut self.random)
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Aes128GcmSha256>, TlsError> {
        Ok(self)
    }
}

/// The application's source of chance, as the engine asks for it.
struct Random<'e, E>(&'e mut E);

impl<E: Entropy> RngCore for Random<'_, E> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_ne_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_ne_bytes(bytes)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rand_core::Error> {
        self.0.fill(out);
        Ok(())
    }
}

impl<E: Entropy> CryptoRng for Random<'_, E> {}

/// One element of DER (X.690, section 8.1): its tag, its content, all of it, and what comes after.
struct Element<'d> {
    tag: u8,
    content: &'d [u8],
    whole: &'d [u8],
    rest: &'d [u8],
}

impl<'d> Element<'d> {
    fn read(input: &'d [u8]) -> Option<Self> {
        let (&[tag, first], mut after) = input.split_first_chunk::<2>()?;
        let mut length = usize::from(first);
        if first & 0x80 != 0 {
            // A certificate's lengths take two bytes at most.
            let count = usize::from(first & 0x7F);
            if count == 0 || count > 2 {
                return None;
            }
            let (digits, content) = after.split_at_checked(count)?;
            length = digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit));
            after = content;
        }
        let (content, rest) = after.split_at_checked(length)?;
        let whole = input.get(..input.len().checked_sub(rest.len())?)?;
        Some(Self { tag, content, whole, rest })
    }

    fn sequence(input: &'d [u8]) -> Option<Self> {
        Self::read(input).filter(|element| element.tag == 0x30)
    }
}

/// The `SubjectPublicKeyInfo` of a certificate (RFC 5280, section 4.1), as DER.
fn public_key_info(certificate: &[u8]) -> Option<&[u8]> {
    let mut rest = Element::sequence(Element::sequence(certificate)?.content)?.content;
    let first = Element::read(rest)?;
    // The version may be left out.
    if first.tag == 0xA0 {
        rest = first.rest;
    }
    // Serial number, signature's algorithm, issuer, validity, subject.
    for tag in [0x02, 0x30, 0x30, 0x30, 0x30] {
        let element = Element::read(rest).filter(|element| element.tag == tag)?;
        rest = element.rest;
    }
    Element::sequence(rest).map(|info| info.whole)
}

#[cfg(test)]
#[path = "verifier/tests.rs"]
mod tests;
