//! Signed requests and data.

use tidings_core::auth::{
    ChannelAuthError, PresenceData, RequestAuthError, SignedRequest, SigningKey, UserData,
    parameter, sign_channel, verify_channel,
};

const NOW: u64 = 1_353_088_179;

/// Reads the input as the path and query of a request, and as data that is signed.
///
/// Invariant: nothing unsigned is let in; what is signed by its documented form is, wherever the signature stands; the text to
/// sign has no parameter `auth_signature`.
pub fn auth_query(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let (path, query) = text.split_once('?').unwrap_or(("/apps/1/events", text));
    let key = SigningKey::new(b"secret");
    let request = SignedRequest { method: "GET", path, query, body: b"" };
    assert!(request.verify(&key, "key", "", NOW, 600).is_err(), "{text:?} is not signed");

    let own = "auth_key=key&auth_timestamp=1353088179&auth_version=1.0";
    let clash = ["auth_key", "auth_timestamp", "auth_version", "auth_signature", "body_md5"];
    if clash.iter().any(|name| parameter(query, name).is_some()) {
        return;
    }
    let query = format!("{own}&{query}");
    let request = SignedRequest { method: "GET", path, query: &query, body: b"" };
    let signature = match request.sign(&key) {
        Ok(signature) => signature,
        Err(error) => return assert_eq!(error, RequestAuthError::TooManyParameters),
    };
    for query in [
        format!("{query}&auth_signature={signature}"),
        format!("auth_signature={signature}&{query}"),
    ] {
        let request = SignedRequest { method: "GET", path, query: &query, body: b"" };
        assert_eq!(request.verify(&key, "key", "", NOW, 600), Ok(()), "{query:?}");
        let mut shown = Vec::new();
        request.text_to_sign(&mut |piece| shown.extend_from_slice(piece));
        assert!(!shown.windows(64).any(|w| w == signature.as_str().as_bytes()));
    }
    subscription(&key, path, text);
}

/// A subscription's signature holds for its own text alone; whatever the text is, reading it ends.
fn subscription(key: &SigningKey, channel: &str, data: &str) {
    let signature = sign_channel(key, "1.2", channel, Some(data));
    let auth = format!("key:{signature}");
    assert_eq!(verify_channel(key, "key", "1.2", channel, Some(data), &auth), Ok(()));
    let other = format!("{data} ");
    let verdict = verify_channel(key, "key", "1.2", channel, Some(&other), &auth);
    assert_eq!(verdict, Err(ChannelAuthError::Mismatch));
    if let Ok(member) = PresenceData::parse(data) {
        assert!(!member.user_id.as_str().is_empty());
    }
    if let Ok(user) = UserData::parse(data) {
        assert!(!user.id.as_str().is_empty());
    }
}
