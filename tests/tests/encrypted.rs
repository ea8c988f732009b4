//! Encrypted channels: the official SDKs' secrets and payloads, which ours must equal and open.

use proptest::prelude::*;
use tidings_core::auth::{KeyError, MasterKey, OpenError, SharedSecret};
use tidings_core::error::TxFull;
use tidings_core::io::TxBuf;
use tidings_core::pusher::{encode_encrypted, open_encrypted};

const MASTER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NONCE: &str = "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZX";
const CHANNEL: &str = "private-encrypted-foobar";

fn nonce() -> [u8; 24] {
    core::array::from_fn(|at| 0x40 + u8::try_from(at).unwrap())
}

fn secret(channel: &str) -> SharedSecret {
    MasterKey::from_base64(MASTER).unwrap().shared_secret(channel)
}

fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split('\t').collect()).collect();
    assert!(!rows.is_empty());
    rows
}

fn encode(secret: &SharedSecret, nonce: [u8; 24], payload: &str) -> String {
    let mut memory = vec![0; payload.len() * 2 + 200];
    let mut tx = TxBuf::new(&mut memory);
    encode_encrypted(&mut tx, secret, nonce, payload).unwrap();
    String::from_utf8(tx.written().to_vec()).unwrap()
}

fn open(secret: &SharedSecret, data: &str) -> Result<String, OpenError> {
    let mut data = data.as_bytes().to_vec();
    let place = open_encrypted(secret, &mut data)?;
    Ok(String::from_utf8(data[place].to_vec()).unwrap())
}

#[test]
fn secrets_are_those_of_the_sdks() {
    for row in rows(include_str!("../vectors/shared_secrets.tsv")) {
        let ours = secret(row[0]);
        assert_eq!(ours.to_base64(&mut [0; 44]), row[1], "{}", row[0]);
        assert_eq!(SharedSecret::from_base64(row[1]), Ok(ours));
    }
}

#[test]
fn payloads_are_sealed_and_opened_as_by_nacl() {
    let secret = secret(CHANNEL);
    for row in rows(include_str!("../vectors/encrypted_payloads.tsv")) {
        let data = format!(r#"{{"nonce":"{NONCE}","ciphertext":"{}"}}"#, row[1]);
        assert_eq!(encode(&secret, nonce(), row[0]), data);
        assert_eq!(open(&secret, &data).as_deref(), Ok(row[0]));
        // Another order, white space, and the escaped slashes of PHP.
        let other = format!(
            "{{ \"ciphertext\": \"{}\",\n\"nonce\":\"{NONCE}\", \"more\": 1}}",
            row[1].replace('/', "\\/")
        );
        assert_eq!(open(&secret, &other).as_deref(), Ok(row[0]));
    }
}

#[test]
fn what_was_not_sealed_with_the_secret_is_refused() {
    let data = encode(&secret(CHANNEL), nonce(), r#"{"n":1}"#);
    assert_eq!(open(&secret("private-encrypted-other"), &data), Err(OpenError));
    for (from, to) in [(NONCE, "Q"), (NONCE, "*"), ("nonce", "n"), ("ciphertext", "c"), ("{", "[")]
    {
        assert_eq!(open(&secret(CHANNEL), &data.replacen(from, to, 1)), Err(OpenError), "{to}");
    }
    let short = format!(r#"{{"nonce":"{NONCE}","ciphertext":"AAAA"}}"#);
    assert_eq!(open(&secret(CHANNEL), &short), Err(OpenError));
    assert_eq!(open(&secret(CHANNEL), ""), Err(OpenError));
}

#[test]
fn keys_that_are_no_keys_are_refused_and_no_key_is_shown() {
    for text in [
        "",
        "AAEC",
        "not base64!",
        &MASTER[..43],
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gAAAA",
    ] {
        assert_eq!(MasterKey::from_base64(text).err(), Some(KeyError), "{text}");
        assert_eq!(SharedSecret::from_base64(text), Err(KeyError), "{text}");
    }
    let key = MasterKey::from_base64(MASTER).unwrap();
    assert_eq!(
        format!("{key:?} {:?}", key.shared_secret("c")),
        "MasterKey([redacted]) SharedSecret([redacted])"
    );
    assert_eq!(KeyError.to_string(), "a key of an encrypted channel is the base64 of 32 bytes");
}

proptest! {
    #[test]
    fn what_is_sealed_opens_and_fits_the_room_that_was_asked_for(
        bytes in any::<[u8; 32]>(),
        nonce in any::<[u8; 24]>(),
        payload in ".{0,80}",
        flip in any::<prop::sample::Index>(),
    ) {
        let secret = SharedSecret::new(bytes);
        let data = encode(&secret, nonce, &payload);
        prop_assert_eq!(open(&secret, &data), Ok(payload.clone()));

        let mut memory = vec![0; data.len()];
        let mut tx = TxBuf::new(&mut memory[..data.len() - 1]);
        let full = encode_encrypted(&mut tx, &secret, nonce, &payload);
        prop_assert_eq!(full, Err(TxFull { at_least: data.len() }));
        prop_assert!(tx.is_empty());
        encode_encrypted(&mut TxBuf::new(&mut memory), &secret, nonce, &payload).unwrap();

        // One bit is enough to be noticed.
        let mut sealed = payload.clone().into_bytes();
        let tag = secret.seal_in_place(&nonce, &mut sealed);
        let mut sealed = [&tag[..], &sealed].concat();
        let at = flip.index(sealed.len() * 8);
        sealed[at / 8] ^= 1 << (at % 8);
        prop_assert_eq!(secret.open_in_place(&nonce, &mut sealed), Err(OpenError));
    }
}
