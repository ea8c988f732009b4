use std::string::String;
use std::vec::Vec;

use super::*;

fn certificate(kind: &'static rcgen::SignatureAlgorithm) -> (Vec<u8>, Vec<u8>) {
    let key = rcgen::KeyPair::generate_for(kind).unwrap();
    let names = [String::from("localhost"), "x".repeat(200)];
    let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    let info = rcgen::PublicKeyData::subject_public_key_info(&key);
    (certificate.der().to_vec(), info)
}

#[test]
fn the_public_key_of_a_certificate_is_found() {
    for kind in
        [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519]
    {
        let (certificate, info) = certificate(kind);
        assert_eq!(public_key_info(&certificate), Some(&*info));
    }
}

#[test]
fn a_certificate_that_is_cut_or_changed_gives_another_key_or_none_and_no_harm() {
    let (certificate, info) = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
    for end in 0..certificate.len() {
        assert_eq!(public_key_info(&certificate[..end]), None, "{end}");
    }
    let mut found = 0;
    for at in 0..certificate.len() {
        for change in [0x01, 0x80, 0xFF] {
            let mut changed = certificate.clone();
            changed[at] ^= change;
            if let Some(other) = public_key_info(&changed) {
                assert!(changed.windows(other.len()).any(|part| part == other));
                found += usize::from(other == info);
            }
        }
    }
    // The signature, for one, is not looked at.
    assert!(found > 3 * 64, "{found}");
}

#[test]
fn lengths_beyond_a_certificate_are_refused() {
    let long = [0x30, 0x83, 0, 0, 0];
    for bytes in
        [&[0x30][..], &[0x30, 0x80], &[0x30, 0x82, 1], &[0x30, 2, 0], &long, &[0x30, 0xFF, 0]]
    {
        assert!(Element::read(bytes).is_none(), "{bytes:?}");
    }
    let element = Element::read(&[0x30, 0x81, 1, 7, 9]).unwrap();
    assert_eq!(
        (element.content, element.whole, element.rest),
        (&[7][..], &[0x30, 0x81, 1, 7][..], &[9][..])
    );
}
