//! A server that does what no server should (RFC 8446, by hand).

use std::vec;

use aes_gcm::aead::{AeadInPlace, KeyInit};
use hkdf::Hkdf;
use hkdf::hmac::{Hmac, Mac};
use sha2::Sha256;

use super::*;

/// The keys of the server's side of a handshake, and the hash of what was said until then.
struct Keys {
    secret: [u8; 32],
    transcript: Sha256,
    sent: u64,
}

fn expand<const N: usize>(secret: &[u8], label: &str, context: &[u8]) -> [u8; N] {
    let label = format!("tls13 {label}");
    let mut info = vec![0, N as u8, label.len() as u8];
    info.extend_from_slice(label.as_bytes());
    info.push(context.len() as u8);
    info.extend_from_slice(context);
    let mut out = [0; N];
    Hkdf::<Sha256>::from_prk(secret).unwrap().expand(&info, &mut out).unwrap();
    out
}

impl Keys {
    /// Answers a `ClientHello` with a `ServerHello`.
    async fn agree(stream: &mut TcpStream) -> Self {
        let mut hello = vec![0; 5];
        stream.read_exact(&mut hello).await.unwrap();
        hello = vec![0; usize::from(u16::from_be_bytes([hello[3], hello[4]]))];
        stream.read_exact(&mut hello).await.unwrap();
        // The share: group secp256r1, 65 bytes.
        let at = hello.windows(4).position(|four| four == [0, 23, 0, 65]).unwrap() + 4;
        let theirs = p256::PublicKey::from_sec1_bytes(&hello[at..at + 65]).unwrap();
        let ours = p256::SecretKey::from_slice(&[7; 32]).unwrap();
        let shared = p256::ecdh::diffie_hellman(ours.to_nonzero_scalar(), theirs.as_affine());
        let share = p256::EncodedPoint::from(ours.public_key());
        let mut extensions = vec![0, 43, 0, 2, 3, 4, 0, 51, 0, 69, 0, 23, 0, 65];
        extensions.extend_from_slice(share.as_bytes());
        let mut answer = vec![3, 3];
        answer.extend_from_slice(&[9; 32]);
        answer.extend_from_slice(&[0, 0x13, 0x01, 0, 0, extensions.len() as u8]);
        answer.extend_from_slice(&extensions);
        let answer = message(2, &answer);
        stream.write_all(&[&[22, 3, 3, 0, answer.len() as u8], &*answer].concat()).await.unwrap();

        let transcript = Sha256::new().chain_update(&hello).chain_update(&answer);
        let nothing = Sha256::digest(b"");
        let (early, _) = Hkdf::<Sha256>::extract(None, &[0; 32]);
        let derived: [u8; 32] = expand(&early, "derived", &nothing);
        let (handshake, _) = Hkdf::<Sha256>::extract(Some(&derived), shared.raw_secret_bytes());
        let secret = expand(&handshake, "s hs traffic", &transcript.clone().finalize());
        Self { secret, transcript, sent: 0 }
    }

    /// Sends an encrypted record with this inside.
    async fn send(&mut self, stream: &mut TcpStream, inside: &[u8]) {
        let key: [u8; 16] = expand(&self.secret, "key", b"");
        let mut nonce: [u8; 12] = expand(&self.secret, "iv", b"");
        nonce[11] ^= self.sent as u8;
        self.sent += 1;
        let header = [23, 3, 3, 0, inside.len() as u8 + 16];
        let mut record = inside.to_vec();
        let cipher = aes_gcm::Aes128Gcm::new(&key.into());
        cipher.encrypt_in_place(&nonce.into(), &header, &mut record).unwrap();
        stream.write_all(&[&header, &*record].concat()).await.unwrap();
    }

    /// Extensions and, right after, the end of the handshake: no certificate, no signature.
    fn flight(&mut self) -> Vec<u8> {
        let extensions = message(8, &[0, 0]);
        self.transcript.update(&extensions);
        let key: [u8; 32] = expand(&self.secret, "finished", b"");
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&key).unwrap();
        mac.update(&self.transcript.clone().finalize());
        let finished = message(20, &mac.finalize().into_bytes());
        [extensions, finished, vec![22]].concat()
    }
}

fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 0, 0, content.len() as u8], content].concat()
}

async fn secure(wire: Ends<OwnedReadHalf>) -> Result<(), Failure> {
    let server = Identity::p256();
    let mut tls = Tls { pins: &[server.pin], random: Counter(0) };
    tls.secure(&wire, "localhost", &mut Box::new(Whole::new())).await.map(|_| ())
}

#[test]
fn a_server_that_leaves_its_certificate_out_is_refused() {
    let end = run(async {
        let wire = connect(usize::MAX, async |mut stream| {
            let mut keys = Keys::agree(&mut stream).await;
            let flight = keys.flight();
            keys.send(&mut stream, &flight).await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        secure(wire).await
    });
    assert_eq!(end, Err(Failure::NoProof));
}

#[test]
fn a_record_with_nothing_inside_is_refused_and_not_fatal() {
    let end = run(async {
        let wire = connect(usize::MAX, async |mut stream| {
            let mut keys = Keys::agree(&mut stream).await;
            keys.send(&mut stream, b"").await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        secure(wire).await
    });
    assert_eq!(end, Err(Failure::Protocol));
}
