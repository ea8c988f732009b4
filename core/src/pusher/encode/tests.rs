use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::error::TxFull;
use crate::io::{Parse, TxBuf};
use crate::json::{EscapedJson, Limits, Raw};
use crate::pusher::{ErrorCode, SocketId};
use crate::websocket::{Header, Mask, Opcode};

type Encode<'a> = &'a dyn Fn(&mut TxBuf<'_>) -> Result<(), TxFull>;

/// The payload of the one frame that `encode` writes, unmasked.
///
/// On the way: the frame is one whole text frame, and any smaller buffer stays empty and is told the exact need.
fn payload(encode: Encode<'_>) -> String {
    let mut memory = std::vec![0; 200_000];
    let mut tx = TxBuf::new(&mut memory);
    encode(&mut tx).unwrap();
    let frame = tx.written().to_vec();
    let Parse::Done { value: header, consumed } = Header::parse(&frame).unwrap() else {
        panic!("the header is cut");
    };
    assert!(header.fin && header.opcode == Opcode::Text);
    assert_eq!(header.len, (frame.len() - consumed) as u64);

    for room in [0, 1, frame.len() / 2, frame.len() - 1] {
        let mut small = std::vec![0; room];
        let mut tx = TxBuf::new(&mut small);
        assert_eq!(encode(&mut tx), Err(TxFull { at_least: frame.len() }));
        assert!(tx.is_empty());
    }

    let mut payload = frame[consumed..].to_vec();
    if let Some(key) = header.mask {
        Mask::new(key).apply(&mut payload);
    }
    String::from_utf8(payload).unwrap()
}

fn escaped(text: &str) -> EscapedJson<'_> {
    EscapedJson::parse(text).unwrap()
}

fn raw(text: &str) -> Raw<'_> {
    Raw::parse_str(text, Limits::new()).unwrap()
}

/// Each is what existing clients read, byte for byte.
fn check(cases: &[(Encode<'_>, &str)]) {
    for (encode, expected) in cases {
        assert_eq!(payload(encode), *expected);
        serde_json::from_str::<Value>(expected).unwrap();
    }
}

#[test]
fn the_connections_own_messages() {
    check(&[
        (
            &|tx| encode_connection_established(tx, SocketId::new(123_456, 7_890_123), 120),
            r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"123456.7890123\",\"activity_timeout\":120}"}"#,
        ),
        (&|tx| encode_ping(tx, None), r#"{"event":"pusher:ping","data":{}}"#),
        (&|tx| encode_pong(tx, None), r#"{"event":"pusher:pong","data":{}}"#),
        (
            &|tx| {
                encode_error(
                    tx,
                    Some(ErrorCode::CLIENT_EVENT_REJECTED),
                    &"Client event rejected due to rate limit",
                )
            },
            r#"{"event":"pusher:error","data":{"code":4301,"message":"Client event rejected due to rate limit"}}"#,
        ),
        (
            &|tx| encode_error(tx, None, &format_args!("Existing subscription to channel {}", "x")),
            r#"{"event":"pusher:error","data":{"code":null,"message":"Existing subscription to channel x"}}"#,
        ),
        (
            &|tx| encode_signin_success(tx, r#"{"id":"12345","user_info":{"name":"x"}}"#),
            r#"{"event":"pusher:signin_success","data":"{\"user_data\":\"{\\\"id\\\":\\\"12345\\\",\\\"user_info\\\":{\\\"name\\\":\\\"x\\\"}}\"}"}"#,
        ),
    ]);
}

#[test]
fn the_answers_to_a_subscription() {
    use SubscriptionErrorKind::{Auth, Limit};
    check(&[
        (
            &|tx| encode_subscription_succeeded(tx, "my-channel"),
            r#"{"event":"pusher_internal:subscription_succeeded","channel":"my-channel","data":"{}"}"#,
        ),
        (
            &|tx| {
                let error = "The connection is unauthorized.";
                encode_subscription_error(tx, "private-foobar", Auth, &error, 401)
            },
            r#"{"event":"pusher:subscription_error","channel":"private-foobar","data":{"type":"AuthError","error":"The connection is unauthorized.","status":401}}"#,
        ),
        (
            &|tx| encode_subscription_error(tx, "presence-x", Limit, &"full", 4100),
            r#"{"event":"pusher:subscription_error","channel":"presence-x","data":{"type":"LimitReached","error":"full","status":4100}}"#,
        ),
        (
            &|tx| encode_subscription_count(tx, "my-channel", 7),
            r#"{"event":"pusher_internal:subscription_count","channel":"my-channel","data":"{\"subscription_count\":7}"}"#,
        ),
        (
            &|tx| encode_cache_miss(tx, "cache-x"),
            r#"{"event":"pusher:cache_miss","channel":"cache-x","data":"{}"}"#,
        ),
    ]);
}

#[test]
fn the_lists_and_changes_of_members() {
    check(&[
        (
            &|tx| {
                let members = [("10", Some(r#"{"name":"Mr. Channels"}"#)), ("11", None)];
                encode_presence_succeeded(tx, "presence-foobar", members.into_iter())
            },
            r#"{"event":"pusher_internal:subscription_succeeded","channel":"presence-foobar","data":"{\"presence\":{\"ids\":[\"10\",\"11\"],\"hash\":{\"10\":{\"name\":\"Mr. Channels\"},\"11\":null},\"count\":2}}"}"#,
        ),
        (
            &|tx| encode_presence_succeeded(tx, "presence-x", core::iter::empty()),
            r#"{"event":"pusher_internal:subscription_succeeded","channel":"presence-x","data":"{\"presence\":{\"ids\":[],\"hash\":{},\"count\":0}}"}"#,
        ),
        (
            &|tx| encode_member_added(tx, "presence-foobar", "11", Some(r#"{"name":"Ann"}"#)),
            r#"{"event":"pusher_internal:member_added","channel":"presence-foobar","data":"{\"user_id\":\"11\",\"user_info\":{\"name\":\"Ann\"}}"}"#,
        ),
        (
            &|tx| encode_member_added(tx, "presence-foobar", "12", None),
            r#"{"event":"pusher_internal:member_added","channel":"presence-foobar","data":"{\"user_id\":\"12\"}"}"#,
        ),
        (
            &|tx| encode_member_removed(tx, "presence-foobar", "11"),
            r#"{"event":"pusher_internal:member_removed","channel":"presence-foobar","data":"{\"user_id\":\"11\"}"}"#,
        ),
        (
            &|tx| encode_watchlist_events(tx, ["u2"].into_iter(), ["u3"].into_iter()),
            r#"{"event":"pusher_internal:watchlist_events","data":"{\"events\":[{\"name\":\"online\",\"user_ids\":[\"u2\"]},{\"name\":\"offline\",\"user_ids\":[\"u3\"]}]}"}"#,
        ),
        (
            &|tx| encode_watchlist_events(tx, core::iter::empty(), ["a", "b"].into_iter()),
            r#"{"event":"pusher_internal:watchlist_events","data":"{\"events\":[{\"name\":\"offline\",\"user_ids\":[\"a\",\"b\"]}]}"}"#,
        ),
    ]);
}

#[test]
fn the_events_of_a_channel() {
    check(&[
        (
            &|tx| {
                let data = escaped(r#"{\"hello\":\"world\"}"#);
                encode_channel_event(tx, "my-channel", "my-event", data, None)
            },
            r#"{"event":"my-event","channel":"my-channel","data":"{\"hello\":\"world\"}"}"#,
        ),
        (
            &|tx| {
                let data = escaped(r#"{\"a\":1}"#);
                encode_channel_event(tx, "presence-foobar", "client-typing", data, Some("10"))
            },
            r#"{"event":"client-typing","channel":"presence-foobar","data":"{\"a\":1}","user_id":"10"}"#,
        ),
    ]);
}

#[test]
fn the_client_writes_the_bytes_of_the_official_client() {
    let key = "278d425bdf160c739803";
    let mask = [0x12, 0x34, 0x56, 0x78];
    let user = r#"{"id":"12345","user_info":{"name":"x"},"watchlist":["u2"]}"#;
    let member = r#"{"user_id":10,"user_info":{"name":"Mr. Channels"}}"#;
    check(&[
        (
            &|tx| encode_subscribe(tx, mask, "my-channel", None, None, None),
            r#"{"event":"pusher:subscribe","data":{"auth":"","channel":"my-channel"}}"#,
        ),
        (
            &|tx| encode_subscribe(tx, mask, "presence-foobar", Some(key), Some(member), None),
            r#"{"event":"pusher:subscribe","data":{"auth":"278d425bdf160c739803","channel_data":"{\"user_id\":10,\"user_info\":{\"name\":\"Mr. Channels\"}}","channel":"presence-foobar"}}"#,
        ),
        (
            &|tx| encode_subscribe(tx, mask, "my-channel", None, None, Some("latest")),
            r#"{"event":"pusher:subscribe","data":{"auth":"","resume_from":"latest","channel":"my-channel"}}"#,
        ),
        (
            &|tx| encode_unsubscribe(tx, mask, "my-channel"),
            r#"{"event":"pusher:unsubscribe","data":{"channel":"my-channel"}}"#,
        ),
        (
            &|tx| encode_signin(tx, mask, key, user),
            r#"{"event":"pusher:signin","data":{"auth":"278d425bdf160c739803","user_data":"{\"id\":\"12345\",\"user_info\":{\"name\":\"x\"},\"watchlist\":[\"u2\"]}"}}"#,
        ),
        (
            &|tx| {
                let data = TriggerData::Json(raw(r#"{ "a" : 1, "b":"é\"x"}"#));
                encode_trigger(tx, mask, "private-foobar", "client-typing", Some(data))
            },
            r#"{"event":"client-typing","data":{"a":1,"b":"é\"x"},"channel":"private-foobar"}"#,
        ),
        (
            &|tx| {
                let data = TriggerData::Text("plain text");
                encode_trigger(tx, mask, "private-foobar", "client-str", Some(data))
            },
            r#"{"event":"client-str","data":"plain text","channel":"private-foobar"}"#,
        ),
        (
            &|tx| encode_trigger(tx, mask, "private-foobar", "client-undef", None),
            r#"{"event":"client-undef","channel":"private-foobar"}"#,
        ),
        (
            &|tx| {
                let data = TriggerData::Json(Raw::NULL);
                encode_trigger(tx, mask, "private-foobar", "client-null", Some(data))
            },
            r#"{"event":"client-null","data":null,"channel":"private-foobar"}"#,
        ),
        (&|tx| encode_ping(tx, Some(mask)), r#"{"event":"pusher:ping","data":{}}"#),
        (&|tx| encode_pong(tx, Some(mask)), r#"{"event":"pusher:pong","data":{}}"#),
    ]);
}

/// FR-105, FR-106: the payload is passed on as the publisher wrote it, whatever it looks like.
#[test]
fn a_publishers_string_is_passed_on_byte_for_byte() {
    for data in [
        r#"{\"a\":1}"#,
        "hello",
        "123",
        r#"\"x\""#,
        "",
        r"\u00e9\/\ud83d\ude00\ud800",
        "é🎉",
        r"{\u0022a\u0022:1}",
        "true",
        "{}",
    ] {
        let text = payload(&|tx| encode_channel_event(tx, "c", "e", escaped(data), None));
        assert_eq!(text, std::format!(r#"{{"event":"e","channel":"c","data":"{data}"}}"#));
    }
}

/// FR-107: event names of any characters come out equal after decoding.
#[test]
fn event_names_of_any_characters_survive() {
    for name in [r"App\Events\OrderShipped", "a\"b", ".x.y", "a:b", "é🎉", "a\tb", ""] {
        let text = payload(&|tx| encode_channel_event(tx, "c", name, "d", None));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value, json!({"event": name, "channel": "c", "data": "d"}));
    }
    let text = payload(&|tx| encode_channel_event(tx, "c", r"App\Events\X", "d", None));
    assert!(text.starts_with(r#"{"event":"App\\Events\\X","#));
}

#[test]
fn a_clients_value_of_any_kind_is_passed_on_as_a_string() {
    for (data, relayed) in [
        (ClientData::Absent, "{}"),
        (ClientData::Json(raw("null")), "null"),
        (ClientData::Json(raw("5")), "5"),
        (ClientData::Json(raw("[1, 2]")), "[1,2]"),
        (ClientData::Json(raw(r#"{ "a" : "b \" c" }"#)), r#"{"a":"b \" c"}"#),
        (ClientData::String(escaped("plain text")), "plain text"),
        (ClientData::String(escaped(r"\u00e9")), "é"),
        (ClientData::String(escaped("")), ""),
    ] {
        let text = payload(&|tx| encode_channel_event(tx, "private-c", "client-e", data, None));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["data"], relayed, "{text}");
        assert_eq!(data.unescaped_len(), relayed.len(), "{text}");
    }
}

#[test]
fn a_handshake_never_announces_no_activity_timeout() {
    let text = payload(&|tx| encode_connection_established(tx, SocketId::new(1, 2), 0));
    assert!(text.contains(r#"\"activity_timeout\":1}"#), "{text}");
}

#[test]
fn the_three_header_lengths_are_announced_exactly() {
    for len in [0, 60, 100, 125, 126, 65_000, 65_535, 65_536, 100_000] {
        let data = "x".repeat(len);
        let text = payload(&|tx| encode_channel_event(tx, "c", "e", data.as_str(), None));
        assert!(text.len() > len);
    }
}

proptest! {
    #[test]
    fn whatever_is_written_reads_back(
        channel: String,
        event: String,
        id in any::<Option<String>>(),
        text: String,
        users: Vec<String>,
    ) {
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let nested = |value: &Value| read(value["data"].as_str().unwrap());

        let value = read(&payload(&|tx| {
            encode_channel_event(tx, &channel, &event, text.as_str(), id.as_deref())
        }));
        prop_assert_eq!(&value["event"], &event);
        prop_assert_eq!(&value["channel"], &channel);
        prop_assert_eq!(&value["data"], &text);
        prop_assert_eq!(value.get("user_id").and_then(Value::as_str), id.as_deref());

        let value = read(&payload(&|tx| encode_error(tx, None, &text)));
        prop_assert_eq!(value, json!({
            "event": "pusher:error", "data": {"code": null, "message": text},
        }));

        let value = nested(&read(&payload(&|tx| encode_signin_success(tx, &text))));
        prop_assert_eq!(value, json!({"user_data": text}));

        let info = Value::from(text.as_str()).to_string();
        let value = nested(&read(&payload(&|tx| {
            encode_member_added(tx, &channel, &event, Some(&info))
        })));
        prop_assert_eq!(value, json!({"user_id": event, "user_info": text}));

        let value = nested(&read(&payload(&|tx| {
            let members = users.iter().map(|id| (id.as_str(), Some(info.as_str())));
            encode_presence_succeeded(tx, &channel, members)
        })));
        prop_assert_eq!(&value["presence"]["ids"], &json!(users));
        prop_assert_eq!(&value["presence"]["count"], &json!(users.len()));
        for id in &users {
            prop_assert_eq!(&value["presence"]["hash"][id], &text);
        }

        let value = read(&payload(&|tx| {
            encode_subscribe(tx, [9, 8, 7, 6], &channel, id.as_deref(), Some(&text), None)
        }));
        prop_assert_eq!(value, json!({"event": "pusher:subscribe", "data": {
            "auth": id.unwrap_or_default(), "channel_data": text, "channel": channel.to_string(),
        }}));
    }
}
