//! Signatures of the official SDKs, which ours must equal and accept.

use proptest::prelude::*;
use tidings_core::auth::{
    ChannelAuthError, RequestAuthError, SignedRequest, SigningKey, sign_channel, sign_user,
    verify_channel, verify_user, verify_webhook,
};

const APP_KEY: &str = "278d425bdf160c739803";
const SOCKET: &str = "1234.1234";
/// When the requests of the vectors were sent.
const SENT: u64 = 1_353_088_179;
const WINDOW_S: u64 = 600;

fn key() -> SigningKey {
    SigningKey::new(b"7ad3773142a6692b25b8")
}

/// The fields of each line that is no comment.
fn rows<const N: usize>(text: &str) -> Vec<[&str; N]> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let rows: Vec<[&str; N]> = lines
        .map(|line| line.split('\t').collect::<Vec<_>>().try_into().expect("all fields"))
        .collect();
    assert!(!rows.is_empty());
    rows
}

#[test]
fn subscriptions_are_signed_as_the_sdks_sign_them() {
    for [channel, data, signature, origin] in
        rows(include_str!("../vectors/channel_signatures.tsv"))
    {
        let data = Some(data);
        let ours = sign_channel(&key(), SOCKET, channel, data);
        assert_eq!(ours.as_str(), signature, "{channel} {data:?} ({origin})");
        let auth = format!("{APP_KEY}:{signature}");
        assert_eq!(verify_channel(&key(), APP_KEY, SOCKET, channel, data, &auth), Ok(()));
        let other = verify_channel(&key(), APP_KEY, "1234.1235", channel, data, &auth);
        assert_eq!(other, Err(ChannelAuthError::Mismatch));
    }
}

#[test]
fn sign_ins_are_signed_as_the_sdks_sign_them() {
    for [data, signature, origin] in rows(include_str!("../vectors/user_signatures.tsv")) {
        assert_eq!(sign_user(&key(), SOCKET, data).as_str(), signature, "{data} ({origin})");
        let auth = format!("{APP_KEY}:{signature}");
        assert_eq!(verify_user(&key(), APP_KEY, SOCKET, data, &auth), Ok(()));
    }
}

#[test]
fn fr_088_what_is_no_signature_is_told_apart_from_a_wrong_one() {
    let verify = |auth| verify_channel(&key(), APP_KEY, SOCKET, "private-a", None, auth);
    assert_eq!(verify(""), Err(ChannelAuthError::NoColon));
    assert_eq!(verify("{\"auth\""), Err(ChannelAuthError::NoColon));
    assert_eq!(verify("other:00"), Err(ChannelAuthError::Key));
    assert_eq!(verify(&format!("{APP_KEY}:")), Err(ChannelAuthError::Mismatch));
}

#[test]
fn webhooks_are_verified_over_the_raw_body() {
    for [body, signature] in rows(include_str!("../vectors/webhook_signatures.tsv")) {
        assert!(verify_webhook(&key(), body.as_bytes(), signature), "{body}");
        assert!(!verify_webhook(&key(), format!("{body} ").as_bytes(), signature));
    }
}

fn verify(
    method: &str,
    path: &str,
    query: &str,
    body: &str,
    now: u64,
) -> Result<(), RequestAuthError> {
    let request = SignedRequest { method, path, query, body: body.as_bytes() };
    request.verify(&key(), APP_KEY, "", now, WINDOW_S)
}

#[test]
fn requests_are_accepted_as_the_sdks_sign_them() {
    for [method, path, query, body, _, signature, origin] in
        rows(include_str!("../vectors/request_signatures.tsv"))
    {
        let signed = format!("{query}&auth_signature={signature}");
        assert_eq!(verify(method, path, &signed, body, SENT), Ok(()), "{signed} ({origin})");
        // FR-091: the place of a parameter does not matter.
        let elsewhere = format!("auth_signature={signature}&{query}");
        assert_eq!(verify(method, path, &elsewhere, body, SENT), Ok(()), "{elsewhere}");
        let wrong = format!("{query}&auth_signature={}", signature.replace(['0', '1'], "2"));
        assert_eq!(verify(method, path, &wrong, body, SENT), Err(RequestAuthError::Signature));
        let other = verify(method, &format!("{path}x"), &signed, body, SENT);
        assert_eq!(other, Err(RequestAuthError::Signature));
    }
}

#[test]
fn the_documented_form_is_what_we_sign_and_show() {
    let documented = |origin: &str, query: &str| {
        !origin.contains("joined") && !origin.contains("encoded") && !query.starts_with("Info")
    };
    let rows = rows(include_str!("../vectors/request_signatures.tsv"));
    for [method, path, query, body, text, signature, origin] in rows {
        if !documented(origin, query) {
            continue;
        }
        let request = SignedRequest { method, path, query, body: body.as_bytes() };
        assert_eq!(request.sign(&key()).unwrap().as_str(), signature, "{query} ({origin})");
        let mut shown = Vec::new();
        request.text_to_sign(&mut |piece| shown.extend_from_slice(piece));
        assert_eq!(String::from_utf8(shown).unwrap(), format!("{method}\n{path}\n{text}"));
    }
}

/// A request signed by ourselves for GET /apps/3/channels.
fn signed(query: &str) -> String {
    let path = "/apps/3/channels";
    let request = SignedRequest { method: "GET", path, query, body: b"" };
    format!("{query}&auth_signature={}", request.sign(&key()).unwrap())
}

fn get(query: &str, now: u64) -> Result<(), RequestAuthError> {
    verify("GET", "/apps/3/channels", query, "", now)
}

#[test]
fn fr_089_time_has_both_sides_of_its_limit() {
    let query =
        |time: &str| signed(&format!("auth_key={APP_KEY}&auth_timestamp={time}&auth_version=1.0"));
    let at = |time: u64| get(&query(&time.to_string()), SENT);
    for time in [SENT - 600, SENT - 599, SENT, SENT + 599, SENT + 600] {
        assert_eq!(at(time), Ok(()));
    }
    for given in [SENT - 601, SENT + 601, 0, u64::MAX] {
        assert_eq!(at(given), Err(RequestAuthError::TimestampExpired { given, now: SENT }));
    }
    for text in ["abc", "", "-1", "99999999999999999999", "1353088179.5"] {
        assert_eq!(get(&query(text), SENT), Err(RequestAuthError::TimestampMalformed), "{text}");
    }
}

#[test]
fn fr_145_the_check_that_failed_is_named() {
    let good = signed(&format!("auth_key={APP_KEY}&auth_timestamp={SENT}&auth_version=1.0"));
    assert_eq!(get(&good, SENT), Ok(()));
    for name in ["auth_key", "auth_version", "auth_timestamp", "auth_signature"] {
        let without: Vec<&str> = good.split('&').filter(|p| !p.starts_with(name)).collect();
        assert_eq!(get(&without.join("&"), SENT), Err(RequestAuthError::Missing(name)));
    }
    assert_eq!(get(&good.replace("=27", "=28"), SENT), Err(RequestAuthError::Key));
    assert_eq!(get(&good.replace("=1.0", "=1.1"), SENT), Err(RequestAuthError::Version));
    let post = |body| verify("POST", "/apps/3/events", &good, body, SENT);
    assert_eq!(post("{}"), Err(RequestAuthError::Missing("body_md5")));
    let with_digest = format!("{good}&body_md5={}", "0".repeat(32));
    let post = verify("POST", "/apps/3/events", &with_digest, "{}", SENT);
    assert_eq!(post, Err(RequestAuthError::BodyDigest));
    let many = format!("{good}{}", "&a=b".repeat(100));
    assert_eq!(get(&many, SENT), Err(RequestAuthError::TooManyParameters));
}

#[test]
fn a_prefix_may_be_signed_or_not() {
    let query = format!("auth_key={APP_KEY}&auth_timestamp={SENT}&auth_version=1.0");
    for signed_path in ["/ws/apps/3/channels", "/apps/3/channels"] {
        let request = SignedRequest { method: "GET", path: signed_path, query: &query, body: b"" };
        let query = format!("{query}&auth_signature={}", request.sign(&key()).unwrap());
        let path = "/ws/apps/3/channels";
        let received = SignedRequest { method: "GET", path, query: &query, body: b"" };
        assert_eq!(received.verify(&key(), APP_KEY, "/ws", SENT, WINDOW_S), Ok(()));
        let other = received.verify(&key(), APP_KEY, "/other", SENT, WINDOW_S);
        assert_eq!(other.is_ok(), signed_path == path);
    }
}

proptest! {
    #[test]
    fn the_order_of_parameters_does_not_matter(
        parameters in proptest::collection::btree_map("[a-z]{1,6}", "[ -~]{0,8}", 0..10),
        seed in any::<prop::sample::Index>(),
    ) {
        let encode = |text: &str| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
        let mut pairs: Vec<String> = parameters
            .iter()
            .map(|(name, value)| format!("{name}={}", encode(value)))
            .chain([
                format!("auth_key={APP_KEY}"),
                format!("auth_timestamp={SENT}"),
                "auth_version=1.0".to_owned(),
            ])
            .collect();
        let request = SignedRequest {
            method: "GET", path: "/apps/3/channels", query: &pairs.join("&"), body: b"",
        };
        pairs.push(format!("auth_signature={}", request.sign(&key()).unwrap()));
        let at = seed.index(pairs.len());
        pairs.rotate_left(at);
        prop_assert_eq!(get(&pairs.join("&"), SENT), Ok(()));
    }

    #[test]
    fn any_query_gets_an_answer(query in "(auth_|[a-z%=&\\[\\]0-9é]){0,60}", path in "[/a-z%é]{0,12}") {
        let request = SignedRequest { method: "GET", path: &path, query: &query, body: b"" };
        prop_assert!(request.verify(&key(), APP_KEY, "", SENT, WINDOW_S).is_err());
        request.text_to_sign(&mut |_| ());
    }

    #[test]
    fn no_change_of_one_byte_is_accepted(
        socket in "[0-9]{1,9}\\.[0-9]{1,9}", channel in "[a-z-]{1,20}", data in "[ -~]{1,40}",
        at in any::<prop::sample::Index>(), bit in 0_u32..7,
    ) {
        let auth = format!("k:{}", sign_channel(&key(), &socket, &channel, Some(&data)));
        prop_assert_eq!(verify_channel(&key(), "k", &socket, &channel, Some(&data), &auth), Ok(()));
        let mut changed = data.into_bytes();
        let at = at.index(changed.len());
        changed[at] ^= 1 << bit;
        let changed = String::from_utf8(changed).unwrap();
        let verdict = verify_channel(&key(), "k", &socket, &channel, Some(&changed), &auth);
        prop_assert_eq!(verdict, Err(ChannelAuthError::Mismatch));
    }
}
