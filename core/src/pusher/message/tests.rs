use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::error::TxFull;
use crate::io::TxBuf;
use crate::pusher::*;

fn debug(text: &str) -> String {
    let mut text = text.as_bytes().to_vec();
    std::format!("{:?}", ServerMessage::parse(&mut text))
}

/// Event, other members, `data` as a value, and what is read.
const MESSAGES: &[(&str, &str, &str, &str)] = &[
    (
        "pusher:connection_established",
        "",
        r#"{"socket_id":"1.2","activity_timeout":30}"#,
        "Established { socket_id: SocketId { first: 1, second: 2 }, activity_timeout_s: Some(30) }",
    ),
    (
        "pusher:error",
        "",
        r#"{"code":4301,"message":"a \"b\""}"#,
        r#"Error { code: Some(ErrorCode(4301)), message: "a \"b\"" }"#,
    ),
    ("pusher:error", "", r#"{"code":null,"message":"m"}"#, r#"Error { code: None, message: "m" }"#),
    ("pusher:error", "", "{}", r#"Error { code: None, message: "" }"#),
    (
        "pusher:signin_success",
        "",
        r#"{"user_data":"{\"id\":\"1\"}"}"#,
        r#"SignedIn { user_data: "{\"id\":\"1\"}" }"#,
    ),
    (
        "pusher_internal:subscription_succeeded",
        r#""channel":"c","#,
        "{}",
        r#"Subscribed { channel: "c", presence: None }"#,
    ),
    (
        "pusher:subscription_error",
        r#""channel":"c","#,
        r#"{"type":"AuthError","error":"e","status":401}"#,
        r#"SubscriptionError { channel: "c", kind: "AuthError", error: "e", status: Some(401) }"#,
    ),
    (
        "pusher_internal:member_added",
        r#""channel":"c","#,
        r#"{"user_id":"\u0031\u0031","user_info":{"n":1}}"#,
        r#"MemberAdded { channel: "c", user_id: "11", user_info: Some(Raw { text: "{\"n\":1}" }) }"#,
    ),
    (
        "pusher_internal:member_added",
        r#""channel":"c","#,
        r#"{"user_id":12}"#,
        r#"MemberAdded { channel: "c", user_id: "12", user_info: None }"#,
    ),
    (
        "pusher_internal:member_removed",
        r#""channel":"c","#,
        r#"{"user_id":"11"}"#,
        r#"MemberRemoved { channel: "c", user_id: "11" }"#,
    ),
    (
        "pusher_internal:subscription_count",
        r#""channel":"c","#,
        r#"{"subscription_count":7}"#,
        r#"SubscriptionCount { channel: "c", count: 7 }"#,
    ),
    ("pusher:cache_miss", r#""channel":"c","#, "{}", r#"CacheMiss { channel: "c" }"#),
    ("pusher:ping", "", "{}", "Ping"),
    ("pusher:pong", "", "{}", "Pong"),
    ("pusher:new_thing", "", "{}", r#"Ignored { event: "pusher:new_thing" }"#),
    (
        "client-hi",
        r#""channel":"c","user_id":"77","#,
        r#"{"a":1}"#,
        r#"Event { channel: Some("c"), event: "client-hi", data: Some("{\"a\":1}"), user_id: Some("77"), serial: None }"#,
    ),
];

#[test]
fn a_message_means_the_same_with_its_data_as_string_or_value() {
    for (event, channel, value, expected) in MESSAGES {
        let expected = std::format!("Ok({expected})");
        let as_string = serde_json::to_string(value).unwrap();
        for data in [*value, as_string.as_str()] {
            let text = std::format!(r#"{{"event":"{event}",{channel}"data":{data}}}"#);
            assert_eq!(debug(&text), expected, "{text}");
        }
    }
}

/// FR-106: any text is passed on as text.
#[test]
fn a_payload_is_decoded_once() {
    for (data, expected) in [
        (r#""hello""#, Some("hello")),
        (r#""123""#, Some("123")),
        (r#""\"x\"""#, Some("\"x\"")),
        (r#""""#, Some("")),
        ("5", Some("5")),
        ("null", Some("null")),
        (r#"{"a" : "\u00e9"}"#, Some(r#"{"a" : "\u00e9"}"#)),
        (r#""{\"a\":\"\\u00e9\"}""#, Some(r#"{"a":"\u00e9"}"#)),
    ] {
        let mut text = std::format!(r#"{{"event":"e","channel":"c","data":{data}}}"#).into_bytes();
        let Ok(ServerMessage::Event { data, .. }) = ServerMessage::parse(&mut text) else {
            panic!("no event");
        };
        assert_eq!(data, expected);
    }
    let mut text = *br#"{"event":"e"}"#;
    let bare =
        ServerMessage::Event { channel: None, event: "e", data: None, user_id: None, serial: None };
    assert_eq!(ServerMessage::parse(&mut text), Ok(bare));
}

#[test]
fn messages_that_lack_something_are_told_apart() {
    for (text, error) in [
        ("", MessageError::Json(JsonErrorKind::End)),
        ("[]", MessageError::Json(JsonErrorKind::Kind)),
        ("{}", MessageError::EventMissing),
        (r#"{"event":null}"#, MessageError::EventMissing),
        (r#"{"event":"pusher:connection_established"}"#, MessageError::Incomplete),
        (
            r#"{"event":"pusher:connection_established","data":{"socket_id":"x"}}"#,
            MessageError::Incomplete,
        ),
        (r#"{"event":"pusher:connection_established","data":"x"}"#, MessageError::Incomplete),
        (r#"{"event":"pusher:signin_success","data":{}}"#, MessageError::Incomplete),
        (r#"{"event":"pusher:cache_miss","data":"{}"}"#, MessageError::Incomplete),
        (
            r#"{"event":"pusher_internal:member_added","channel":"c","data":"{}"}"#,
            MessageError::Incomplete,
        ),
        (r#"{"event":"pusher_internal:watchlist_events","data":"{}"}"#, MessageError::Incomplete),
    ] {
        assert_eq!(ServerMessage::parse(&mut text.as_bytes().to_vec()), Err(error), "{text}");
    }
}

/// FR-040: no activity timeout, or one of 0, is told as none, so that the client takes its own.
#[test]
fn an_activity_timeout_of_zero_is_none() {
    for (timeout, expected) in [("0", None), ("1", Some(1)), ("-1", None), ("null", None)] {
        let text = std::format!(
            r#"{{"event":"pusher:connection_established","data":{{"socket_id":"1.2","activity_timeout":{timeout}}}}}"#
        );
        let Ok(ServerMessage::Established { activity_timeout_s, .. }) =
            ServerMessage::parse(&mut text.into_bytes())
        else {
            panic!("not established");
        };
        assert_eq!(activity_timeout_s, expected);
    }
}

/// What `encode` writes, without the header.
fn sent(encode: impl Fn(&mut TxBuf<'_>) -> Result<(), TxFull>) -> Vec<u8> {
    let mut memory = std::vec![0; 10_000];
    let mut tx = TxBuf::new(&mut memory);
    encode(&mut tx).unwrap();
    let head = if tx.written()[1] < 126 { 2 } else { 4 };
    tx.written()[head..].to_vec()
}

proptest! {
    #[test]
    fn what_the_server_writes_the_client_reads(
        ids in prop::collection::btree_set("\\PC{1,4}", 0..5), text: String, channel in "[a-z]{1,9}",
    ) {
        let info = serde_json::to_string(&text).unwrap();
        let mut bytes = sent(|tx| {
            let members = ids.iter().map(|id| (id.as_str(), Some(info.as_str())));
            encode_presence_succeeded(tx, &channel, members)
        });
        let Ok(ServerMessage::Subscribed { channel: on, presence: Some(presence) }) =
            ServerMessage::parse(&mut bytes) else { panic!() };
        prop_assert_eq!(on, &channel);
        prop_assert_eq!(presence.count(), ids.len() as u64);
        let read: Vec<String> = presence.members().map(|(id, _)| id.chars().collect()).collect();
        prop_assert!(read.iter().eq(ids.iter()));
        prop_assert!(presence.members().all(|(_, i)| i.as_str_raw().unwrap().unescaped_eq(&text)));

        let mut bytes = sent(|tx| {
            let (online, offline) = (ids.iter().map(String::as_str), [text.as_str()].into_iter());
            encode_watchlist_events(tx, online, offline)
        });
        let Ok(ServerMessage::Watchlist(list)) = ServerMessage::parse(&mut bytes)
            else { panic!() };
        let read: Vec<String> = list.online().map(|id| id.chars().collect()).collect();
        prop_assert!(read.iter().eq(ids.iter()));
        prop_assert!(list.offline().next().unwrap().unescaped_eq(&text));

        let mut bytes = sent(|tx| encode_signin_success(tx, &text));
        let expected = ServerMessage::SignedIn { user_data: &text };
        prop_assert_eq!(ServerMessage::parse(&mut bytes), Ok(expected));

        let name = "e".to_string() + &text;
        let mut bytes = sent(|tx| {
            encode_channel_event(tx, &channel, &name, text.as_str(), Some(&text))
        });
        let expected = ServerMessage::Event {
            channel: Some(&channel), event: &name, data: Some(&text), user_id: Some(&text),
            serial: None,
        };
        prop_assert_eq!(ServerMessage::parse(&mut bytes), Ok(expected));

        let code = Some(ErrorCode::OVER_QUOTA);
        let mut bytes = sent(|tx| encode_error(tx, code, &text));
        let expected = ServerMessage::Error { code, message: &text };
        prop_assert_eq!(ServerMessage::parse(&mut bytes), Ok(expected));
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(mut bytes: Vec<u8>) {
        let _ = ServerMessage::parse(&mut bytes);
    }
}

#[test]
fn sizes_are_pinned() {
    assert!(size_of::<ServerMessage<'_>>() <= 96, "{}", size_of::<ServerMessage<'_>>());
    assert!(size_of::<MessageError>() <= 2);
}
