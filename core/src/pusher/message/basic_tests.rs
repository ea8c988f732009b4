//! What a basic client reads, and what it does not look at.

use std::vec::Vec;

use super::{MessageError, ServerMessage};

fn read(text: &str, judge: impl FnOnce(Result<ServerMessage<'_>, MessageError>)) {
    let mut text: Vec<u8> = text.into();
    judge(ServerMessage::parse(&mut text));
}

#[test]
fn members_are_found_in_any_order_and_behind_anything() {
    for text in [
        r#"{"event":"e","channel":"c","data":"{\"a\":[1,\"}\"]}"}"#,
        r#" { "x" : [ { "event" : "no" } , "\"]" , -1.5e3 ] , "data" : "{\"a\":[1,\"}\"]}" , "channel":"c" , "event" : "e" } "#,
        "{\"event\":\"first\",\"event\":\"e\",\"n\":null,\"channel\":\"c\"\n,\t\"data\":{\"a\":[1,\"}\"]}}",
    ] {
        read(text, |message| {
            let Ok(ServerMessage::Event { channel, event, data, .. }) = message else {
                panic!("{text}: {message:?}")
            };
            assert_eq!((channel, event, data), (Some("c"), "e", Some(r#"{"a":[1,"}"]}"#)));
        });
    }
}

#[test]
fn what_cannot_be_an_object_is_refused() {
    for text in [
        "",
        " ",
        "[]",
        "\"event\"",
        "{",
        "{\"event\"",
        "{\"event\":",
        "{\"event\":\"e\"",
        "{\"event\":\"e",
        "{\"event\":\"e\\\"}",
        "{\"event\" \"e\"}",
        "{\"event\":}",
        "{\"event\":\"e\" \"x\":1}",
        "{event:1}",
        "{\"a\":[1}",
    ] {
        read(text, |message| assert!(matches!(message, Err(MessageError::Json(_))), "{text}"));
    }
    read("{}", |message| assert_eq!(message, Err(MessageError::EventMissing)));
}

#[test]
fn what_keeps_a_connection_going_is_read_and_the_rest_is_ignored() {
    let hello = r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.2\",\"activity_timeout\":30}"}"#;
    read(hello, |message| {
        assert!(matches!(
            message,
            Ok(ServerMessage::Established { activity_timeout_s: Some(30), .. })
        ));
    });
    read(r#"{"event":"pusher:error","data":{"code":4200,"message":"bye"}}"#, |message| {
        assert!(matches!(message, Ok(ServerMessage::Error { message: "bye", .. })));
    });
    read(r#"{"event":"pusher:ping"}"#, |message| assert_eq!(message, Ok(ServerMessage::Ping)));
    let presence = r#"{"event":"pusher_internal:subscription_succeeded","channel":"presence-c","data":"{\"presence\":{\"count\":1,\"hash\":{\"u\":1}}}"}"#;
    read(presence, |message| {
        assert_eq!(
            message,
            Ok(ServerMessage::Subscribed { channel: "presence-c", presence: None })
        );
    });
    for event in ["pusher:cache_miss", "pusher:signin_success", "pusher_internal:member_added"] {
        let text = std::format!(r#"{{"event":"{event}","channel":"c","data":{{"user_id":"u"}}}}"#);
        read(&text, |message| assert_eq!(message, Ok(ServerMessage::Ignored { event })));
    }
}
