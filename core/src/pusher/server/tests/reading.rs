use super::*;
use crate::json::JsonErrorKind;

/// FR-109, FR-110: over the limit the connection ends at the header, or the message passes by and is answered.
#[test]
fn a_message_over_the_limit_is_told_by_limit_and_size() {
    let mut config = ServerConfig::new();
    config.limits = Limits::new().max_message(100).oversize(Oversize::Skip);
    let mut peer = Peer::new(config);
    let padded = |len: usize| format!(r#"{{"event":"pusher:ping"{}}}"#, " ".repeat(len - 23));
    let (events, answers) = peer.say(&padded(100));
    assert_eq!((events.len(), answers.len()), (0, 1));
    let (events, answers) = peer.say(&padded(101));
    let fault = Fault::TooLarge { size: 101, max: 100 };
    assert_eq!(events, [format!("{:?}", ServerEvent::Malformed(fault))]);
    assert_eq!(answers, [error("null", "Message has 101 bytes, the limit is 100")]);
    assert!(peer.conn.is_open());

    config.limits = Limits::new().max_message(100);
    let mut peer = Peer::new(config);
    let head = client_frame(Opcode::Text, &[b' '; 101])[..8].to_vec();
    assert_eq!(peer.feed(at(0), head), Err(PeerError::MessageTooBig));
}

#[test]
fn a_binary_message_is_an_error_that_leaves_the_connection_open() {
    let mut peer = Peer::new(ServerConfig::new());
    let events = peer.feed(at(0), client_frame(Opcode::Binary, b"\x00\x01")).unwrap();
    assert_eq!(events, [format!("{:?}", ServerEvent::Malformed(Fault::Binary))]);
    let text = "Received a binary message: send JSON as text";
    assert_eq!(texts(&peer.out), [error("null", text)]);
    assert!(peer.conn.is_open());
}

/// FR-062, FR-088: each is answered by an error of that channel that says what was expected, without the secret.
#[test]
fn auth_of_a_wrong_shape_is_a_subscription_error() {
    let missing = "This channel needs auth, the text KEY:SIGNATURE";
    let shape = "auth must be a string KEY:SIGNATURE, without JSON around it";
    let data = "channel_data must be a string: the text that was signed, not its object";
    for (members, fault, text) in [
        ("", Fault::AuthMissing, missing),
        (r#""auth":null,"#, Fault::AuthMissing, missing),
        (r#""auth":"","#, Fault::AuthMissing, missing),
        (r#""auth":5,"#, Fault::AuthShape, shape),
        (r#""auth":{"auth":"k:s3cret"},"#, Fault::AuthShape, shape),
        (r#""auth":"no colon","#, Fault::AuthShape, shape),
        (r#""auth":"{\"auth\":\"k:s3cret\"}","#, Fault::AuthShape, shape),
        (r#""auth":"k:s","channel_data":{"user_id":1},"#, Fault::ChannelDataShape, data),
        (r#""auth":"k:s","channel_data":7,"#, Fault::ChannelDataShape, data),
    ] {
        for channel in ["private-x", "presence-x", "private-encrypted-x", "private-cache-x"] {
            let mut peer = Peer::new(ServerConfig::new());
            let (events, answers) = peer.say(&format!(
                r#"{{"event":"pusher:subscribe","data":{{{members}"channel":"{channel}"}}}}"#
            ));
            assert_eq!(events, [format!("{:?}", ServerEvent::Malformed(fault))], "{members}");
            assert_eq!(
                answers,
                [format!(
                    r#"{{"event":"pusher:subscription_error","channel":"{channel}","data":{{"type":"AuthError","error":"{text}","status":401}}}}"#
                )]
            );
            assert!(peer.conn.is_open());
        }
    }
}

#[test]
fn auth_is_ignored_where_it_means_nothing() {
    for channel in ["my-channel", "cache-x", "#server-to-user-12345"] {
        for auth in [r#""auth":"","#, "", r#""auth":5,"#, r#""auth":"k:s","channel_data":{},"#] {
            let mut peer = Peer::new(ServerConfig::new());
            let (events, answers) = peer.say(&format!(
                r#"{{"event":"pusher:subscribe","data":{{{auth}"channel":"{channel}"}}}}"#
            ));
            assert_eq!(answers, Vec::<String>::new());
            assert!(events[0].contains("auth: None, channel_data: None"), "{events:?}");
        }
    }
}

#[test]
fn a_bad_channel_name_is_answered_with_the_rule_and_the_value_seen() {
    let mut config = ServerConfig::new();
    config.max_channel_name = 20;
    let long = "a".repeat(21);
    for (name, error, kind, text, status) in [
        (
            long.as_str(),
            NameError::TooLong { len: 21, max: 20 },
            "LimitReached",
            "channel name has 21 bytes, the limit is 20",
            4009,
        ),
        (
            "a b",
            NameError::Character { at: 1 },
            "NameError",
            "channel name has a character outside A-Za-z0-9_-=@,.; at byte 1",
            4300,
        ),
        ("#x", NameError::Reserved, "NameError", "channel names with # are reserved", 4300),
        ("", NameError::Empty, "NameError", "channel name is empty", 4300),
    ] {
        let mut peer = Peer::new(config);
        let (events, answers) =
            peer.say(&format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{name}"}}}}"#));
        let fault = Fault::ChannelName(error);
        assert_eq!(events, [format!("{:?}", ServerEvent::Malformed(fault))]);
        assert_eq!(
            answers,
            [format!(
                r#"{{"event":"pusher:subscription_error","channel":"{name}","data":{{"type":"{kind}","error":"{text}","status":{status}}}}}"#
            )]
        );
    }
    config.max_channel_name = 21;
    let (_, answers) = Peer::new(config)
        .say(&format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{long}"}}}}"#));
    assert_eq!(answers, Vec::<String>::new());
}

#[test]
fn a_wish_to_resume_is_read_on_channels_of_every_kind() {
    for (fields, read) in [
        (r#""channel":"a","resume_from":"ab-\u0037""#, r#"resume_from: Some("ab-7")"#),
        (r#""channel":"private-a","auth":"k:s","resume_from":"x""#, r#"resume_from: Some("x")"#),
        (r#""channel":"a","resume_from":"""#, "resume_from: None"),
        (r#""channel":"a","resume_from":7"#, "resume_from: None"),
        (r#""channel":"a""#, "resume_from: None"),
    ] {
        let text = format!(r#"{{"event":"pusher:subscribe","data":{{{fields}}}}}"#);
        let (events, answers) = Peer::new(ServerConfig::new()).say(&text);
        assert!(events[0].contains(read), "{events:?}");
        assert_eq!(answers, Vec::<String>::new());
    }
}

#[test]
fn a_name_of_any_length_and_kind_is_repeated_within_the_room_of_a_step() {
    for name in
        ["a".repeat(100_000), "é".repeat(50_000), r"\u0001".repeat(10_000), "\\\"".repeat(9000)]
    {
        for text in [
            format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{name}"}}}}"#),
            format!(r#"{{"event":"{name}","data":{{}}}}"#),
            format!(r#"{{"event":"client-x","channel":"{name}","data":{{}}}}"#),
            format!(r#"{{"event":"pusher:unsubscribe","data":{{"channel":"{name}"}}}}"#),
        ] {
            let mut config = ServerConfig::new();
            config.limits = Limits::new().max_message(1 << 20);
            let mut peer = Peer::new(config);
            let (events, answers) = peer.say(&text);
            assert!(events[0].starts_with("Malformed"), "{events:?}");
            assert!(answers.len() == 1 && answers[0].len() + 4 <= MIN_TX, "{}", answers[0].len());
            serde_json::from_str::<serde_json::Value>(&answers[0]).unwrap();
        }
    }
}

/// What a client sends, what is wrong with it, and what the client is told.
const FAULTS: &[(&str, Fault, &str)] = &[
    ("", Fault::Json(JsonErrorKind::End), "Received invalid JSON"),
    ("not json", Fault::Json(JsonErrorKind::Kind), "Received invalid JSON"),
    (r#"{"event":"pusher:ping"} x"#, Fault::Json(JsonErrorKind::Trailing), "Received invalid JSON"),
    ("[]", Fault::Json(JsonErrorKind::Kind), "Received invalid JSON"),
    ("{}", Fault::EventMissing, "Missing parameter: event"),
    (r#"{"event":5}"#, Fault::EventMissing, "Missing parameter: event"),
    (r#"{"event":"pusher:subscribe"}"#, Fault::DataMissing, "Missing parameter: data, an object"),
    (
        r#"{"event":"pusher:subscribe","data":[]}"#,
        Fault::DataMissing,
        "Missing parameter: data, an object",
    ),
    (
        r#"{"event":"pusher:subscribe","data":"no object"}"#,
        Fault::DataMissing,
        "Missing parameter: data, an object",
    ),
    (
        r#"{"event":"pusher:subscribe","data":{}}"#,
        Fault::ChannelMissing,
        "Missing parameter: data.channel",
    ),
    (
        r#"{"event":"pusher:unsubscribe","data":{"channel":null}}"#,
        Fault::ChannelMissing,
        "Missing parameter: data.channel",
    ),
    (
        r#"{"event":"pusher:signin","data":{"user_data":"{}"}}"#,
        Fault::SignInAuthMissing,
        "Missing parameter: data.auth",
    ),
    (
        r#"{"event":"pusher:signin","data":{"auth":"k:s"}}"#,
        Fault::SignInUserDataMissing,
        "Missing parameter: data.user_data",
    ),
    (
        r#"{"event":"client-x","data":{}}"#,
        Fault::ClientEventIncomplete,
        "Invalid client event (must contain channel and data)",
    ),
    (
        r##"{"event":"client-x","channel":"#x"}"##,
        Fault::ChannelName(NameError::Reserved),
        "channel names with # are reserved",
    ),
];

#[test]
fn what_cannot_be_acted_on_is_answered_and_the_connection_goes_on() {
    for (text, fault, message) in FAULTS {
        let mut peer = Peer::new(ServerConfig::new());
        let (events, answers) = peer.say(text);
        assert_eq!(events, [format!("{:?}", ServerEvent::Malformed(*fault))], "{text}");
        assert_eq!(answers, [error("null", message)], "{text}");
        assert!(peer.conn.is_open());
    }
}

/// FR-113: the limit counts characters; the answer names it and what was seen.
#[test]
fn an_event_name_at_the_limit_passes_and_one_more_character_does_not() {
    let mut peer = Peer::new(ServerConfig::new());
    let frame = |len: usize| {
        let name = "client-".to_string() + &"é".repeat(len - 7);
        format!(r#"{{"event":"{name}","channel":"private-x"}}"#)
    };
    let (events, answers) = peer.say(&frame(200));
    assert!(events[0].starts_with("ClientEvent") && answers.is_empty());
    let (events, answers) = peer.say(&frame(201));
    let fault = Fault::EventTooLong { len: 201, max: 200 };
    assert_eq!(events, [format!("{:?}", ServerEvent::Malformed(fault))]);
    let message = "Event name has 201 characters, the limit is 200";
    assert_eq!(answers, [error("4301", message)]);
}

#[test]
fn no_client_sends_an_event_of_the_protocol_or_of_the_application() {
    for name in [
        "pusher:error",
        "pusher:connection_established",
        "pusher_internal:member_added",
        "pusher_internal:subscription_succeeded",
        "hello",
        "x-client-y",
        "client",
        "Client-x",
        "pusher:client-x",
        "",
    ] {
        let mut peer = Peer::new(ServerConfig::new());
        let (events, answers) =
            peer.say(&format!(r#"{{"event":"{name}","channel":"private-x","data":{{}}}}"#));
        assert_eq!(events, [format!("{:?}", ServerEvent::Malformed(Fault::EventUnsupported))]);
        let message = format!("Unsupported event received on socket: {name}");
        assert_eq!(answers, [error("null", &message)]);
    }
}

#[test]
fn a_clients_user_id_is_not_taken_over() {
    let mut peer = Peer::new(ServerConfig::new());
    let (events, _) = peer.say(
        r#"{"event":"client-x","channel":"presence-x","data":"d","user_id":"root","userId":"root"}"#,
    );
    assert!(events[0].starts_with("ClientEvent") && !events[0].contains("root"), "{events:?}");
}

#[test]
fn of_a_member_that_is_there_twice_the_last_counts() {
    let mut peer = Peer::new(ServerConfig::new());
    let (events, _) = peer.say(
        r#"{"event":"pusher:ping","data":{"channel":"a"},"data":{"channel":"b","channel":"c"},"event":"pusher:unsubscribe"}"#,
    );
    assert!(events[0].contains(r#"Unsubscribe { channel: ChannelName { name: "c""#), "{events:?}");
}

#[test]
fn a_client_events_payload_keeps_its_form() {
    let read = |text: &str| {
        let config = ServerConfig::new();
        let mut peer = Peer::new(config);
        let mut input = client_frame(Opcode::Text, text.as_bytes());
        let mut memory = [0; 2048];
        let mut tx = TxBuf::new(&mut memory);
        let step = peer.conn.handle_input(&config, at(0), &mut input, &mut tx).unwrap();
        match step.progress {
            Progress::Event(ServerEvent::ClientEvent { data, .. }) => match data {
                ClientData::Absent => "absent".to_string(),
                ClientData::Json(value) => format!("json {}", value.text()),
                ClientData::String(data) => format!("string {}", data.as_str()),
            },
            other => panic!("{other:?}"),
        }
    };
    for (data, kept) in [
        ("", "absent"),
        (r#","data":null"#, "json null"),
        (r#","data":5"#, "json 5"),
        (r#","data":{"a": [1]}"#, r#"json {"a": [1]}"#),
        (r#","data":"""#, "string "),
        (r#","data":"a\u00e9\/\n""#, r"string a\u00e9\/\n"),
    ] {
        assert_eq!(read(&format!(r#"{{"event":"client-e","channel":"private-c"{data}}}"#)), kept);
    }
}
