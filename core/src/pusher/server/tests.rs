use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::*;
use crate::channel::NameError;
use crate::error::{SendError, TxFull, UsageError};
use crate::io::{Parse, Progress, TxBuf};
use crate::limits::{Limits, Oversize};
use crate::pusher::{ClientData, Closed, ErrorCode, Initiator, SocketId};
use crate::time::{Deadline, Instant, Timer};
use crate::websocket::{Header, Opcode, PeerError, encode_frame};

const ID: SocketId = SocketId::new(1001, 2001);

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

/// A connection with a buffer for what it sends.
struct Peer {
    conn: ServerConn,
    config: ServerConfig,
    out: Vec<u8>,
}

impl Peer {
    /// An established connection.
    fn new(config: ServerConfig) -> Self {
        let mut peer = Self { conn: ServerConn::new(ID, &config, at(0)), config, out: vec![] };
        peer.write(|conn, config, tx| conn.establish(config, at(0), tx)).unwrap();
        peer.out.clear();
        peer
    }

    fn write<T>(
        &mut self,
        act: impl FnOnce(&mut ServerConn, &ServerConfig, &mut TxBuf<'_>) -> T,
    ) -> T {
        let mut memory = vec![0; 4096];
        let mut tx = TxBuf::new(&mut memory);
        let result = act(&mut self.conn, &self.config, &mut tx);
        self.out.extend_from_slice(tx.written());
        result
    }

    /// Feeds bytes until they are used up; events as their debug text.
    fn feed(&mut self, now: Instant, mut bytes: Vec<u8>) -> Result<Vec<String>, PeerError> {
        let mut events = vec![];
        loop {
            let (step, event) = self.write(|conn, config, tx| {
                let step = conn.handle_input(config, now, &mut bytes, tx)?;
                let event = match step.progress {
                    Progress::Event(event) => Some(format!("{event:?}")),
                    _ => None,
                };
                Ok((step.consumed, (event, matches!(step.progress, Progress::NeedInput { .. }))))
            })?;
            bytes.drain(..step);
            let (event, starved) = event;
            events.extend(event);
            if starved {
                assert!(bytes.is_empty(), "{} bytes are left", bytes.len());
                return Ok(events);
            }
        }
    }

    /// Sends one text message; what came of it, and the texts that were answered.
    fn say(&mut self, text: &str) -> (Vec<String>, Vec<String>) {
        self.out.clear();
        let events = self.feed(at(0), client_frame(Opcode::Text, text.as_bytes())).unwrap();
        (events, texts(&self.out))
    }
}

fn client_frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut memory = vec![0; payload.len() + Header::MAX_LEN];
    let mut tx = TxBuf::new(&mut memory);
    encode_frame(&mut tx, Some([0x37, 0xfa, 0x21, 0x3d]), opcode, true, payload).unwrap();
    tx.written().to_vec()
}

/// The frames in `bytes`.
fn frames(mut bytes: &[u8]) -> Vec<(Opcode, Vec<u8>)> {
    let mut frames = vec![];
    while !bytes.is_empty() {
        let Parse::Done { value, consumed } = Header::parse(bytes).unwrap() else {
            panic!("a header is cut: {bytes:?}");
        };
        assert!(value.mask.is_none() && value.fin);
        let end = consumed + usize::try_from(value.len).unwrap();
        frames.push((value.opcode, bytes[consumed..end].to_vec()));
        bytes = &bytes[end..];
    }
    frames
}

/// The text frames in `bytes`, which hold no others.
fn texts(bytes: &[u8]) -> Vec<String> {
    let text = |(opcode, payload)| {
        assert_eq!(opcode, Opcode::Text);
        String::from_utf8(payload).unwrap()
    };
    frames(bytes).into_iter().map(text).collect()
}

fn error(code: &str, message: &str) -> String {
    format!(r#"{{"event":"pusher:error","data":{{"code":{code},"message":"{message}"}}}}"#)
}

#[test]
fn the_first_frame_is_connection_established() {
    let config = ServerConfig::new();
    let mut peer = Peer { conn: ServerConn::new(ID, &config, at(0)), config, out: vec![] };
    assert_eq!(peer.feed(at(0), vec![]), Ok(vec![]));
    peer.write(|conn, config, tx| conn.establish(config, at(5), tx)).unwrap();
    assert_eq!(
        texts(&peer.out),
        [
            r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1001.2001\",\"activity_timeout\":120}"}"#
        ]
    );
    let twice = peer.write(|conn, config, tx| conn.establish(config, at(5), tx));
    assert_eq!(twice, Err(SendError::Usage(UsageError::NotOpen)));
    assert!(peer.conn.is_open());
    assert_eq!(peer.conn.socket_id(), ID);
}

#[test]
fn nothing_is_read_before_the_connection_is_established() {
    let config = ServerConfig::new();
    let mut conn = ServerConn::new(ID, &config, at(0));
    let mut memory = [0; 2048];
    let mut tx = TxBuf::new(&mut memory);
    let mut input = client_frame(Opcode::Text, br#"{"event":"pusher:ping","data":{}}"#);
    let before = input.clone();
    let step = conn.handle_input(&config, at(0), &mut input, &mut tx).unwrap();
    assert_eq!((step.consumed, step.progress), (0, Progress::NeedInput { at_least: 1 }));
    assert_eq!((conn.poll_timeout(&config), tx.len()), (None, 0));
    assert_eq!(input, before);
}

#[test]
fn a_refusal_is_an_error_event_and_a_close_frame_with_one_code() {
    let config = ServerConfig::new();
    let mut peer = Peer { conn: ServerConn::new(ID, &config, at(0)), config, out: vec![] };
    peer.write(|conn, _, tx| conn.refuse(ErrorCode::APP_UNKNOWN, "no app", at(0), tx)).unwrap();
    let sent = frames(&peer.out);
    assert_eq!(sent[0], (Opcode::Text, error("4001", "no app").into_bytes()));
    assert_eq!(sent[1], (Opcode::Close, b"\x0f\xa1no app".to_vec()));
    assert_eq!(sent.len(), 2);

    // The client's echo ends it, and it was the server that began.
    let events = peer.feed(at(1), client_frame(Opcode::Close, &4001u16.to_be_bytes())).unwrap();
    let closed = Closed { by: Initiator::Local, code: Some(4001) };
    assert_eq!(events, [format!("{:?}", ServerEvent::Closed(closed))]);
    assert_eq!(peer.conn.poll_timeout(&peer.config), None);
}

#[test]
fn a_long_message_is_cut_between_characters_in_the_close_frame_alone() {
    for (message, kept) in [("é".repeat(100), 122), ("e".repeat(123), 123), ("e".repeat(124), 123)]
    {
        let mut peer = Peer::new(ServerConfig::new());
        peer.write(|conn, _, tx| conn.close(ErrorCode::RECONNECT, &message, at(0), tx)).unwrap();
        let sent = frames(&peer.out);
        assert_eq!(sent[0].1, error("4200", &message).into_bytes());
        assert_eq!(&sent[1].1[2..], &message.as_bytes()[..kept]);
    }
}

#[test]
fn a_close_that_does_not_fit_changes_nothing_and_tells_a_room_that_suffices() {
    let mut peer = Peer::new(ServerConfig::new());
    let message = "x".repeat(60);
    for room in 0..400 {
        let mut memory = vec![0; room];
        let mut tx = TxBuf::new(&mut memory);
        match peer.conn.close(ErrorCode::OVER_CAPACITY, &message, at(0), &mut tx) {
            Ok(()) => {
                assert_eq!(frames(tx.written()).len(), 2);
                return;
            }
            Err(SendError::Capacity(crate::error::CapacityError::Tx(TxFull { at_least }))) => {
                assert!(tx.is_empty() && peer.conn.is_open());
                assert!(at_least > room && at_least < 300, "{at_least} for {room}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("400 bytes were not enough");
}

#[test]
fn codes_that_must_not_close_are_refused_and_those_of_websocket_come_without_an_event() {
    let mut peer = Peer::new(ServerConfig::new());
    for code in [4300, 4301, 5000, 1005, 1006, 0, 999] {
        let result = peer.write(|conn, _, tx| conn.close(ErrorCode::new(code), "", at(0), tx));
        assert_eq!(result, Err(SendError::Usage(UsageError::CloseCode)), "{code}");
        assert!(peer.conn.is_open() && peer.out.is_empty());
    }
    peer.write(|conn, _, tx| conn.close(ErrorCode::new(1001), "bye", at(0), tx)).unwrap();
    assert_eq!(frames(&peer.out), [(Opcode::Close, b"\x03\xe9bye".to_vec())]);
    let again = peer.write(|conn, _, tx| conn.close(ErrorCode::RECONNECT, "", at(0), tx));
    assert_eq!(again, Err(SendError::Usage(UsageError::NotOpen)));
}

#[test]
fn the_clients_close_frame_is_answered_and_reported() {
    for (body, code) in [(&b"\x03\xe8bye"[..], Some(1000)), (&b""[..], None)] {
        let mut peer = Peer::new(ServerConfig::new());
        let events = peer.feed(at(0), client_frame(Opcode::Close, body)).unwrap();
        let closed = Closed { by: Initiator::Peer, code };
        assert_eq!(events, [format!("{:?}", ServerEvent::Closed(closed))]);
        assert_eq!(frames(&peer.out)[0].0, Opcode::Close);
        assert!(!peer.conn.is_open());
        assert_eq!(peer.conn.poll_timeout(&peer.config), None);
    }
}

#[test]
fn the_end_of_the_transport_tells_who_began_to_close() {
    let mut peer = Peer::new(ServerConfig::new());
    assert_eq!(peer.conn.handle_eof(), Closed { by: Initiator::Peer, code: None });
    let mut peer = Peer::new(ServerConfig::new());
    peer.write(|conn, _, tx| conn.close(ErrorCode::RECONNECT, "", at(0), tx)).unwrap();
    assert_eq!(peer.conn.handle_eof(), Closed { by: Initiator::Local, code: None });
}

#[test]
fn a_broken_frame_ends_the_connection_with_its_close_code() {
    let mut peer = Peer::new(ServerConfig::new());
    let mut unmasked = client_frame(Opcode::Text, b"{}");
    unmasked[1] &= 0x7f;
    let broken = peer.feed(at(0), unmasked).unwrap_err();
    assert_eq!(broken, PeerError::MaskMissing);
    peer.write(|conn, _, tx| conn.fail(broken, tx)).unwrap();
    assert_eq!(frames(&peer.out)[0].1[..2], 1002u16.to_be_bytes());
    assert!(!peer.conn.is_open());
}

/// FR-033: whatever a client sends shows that it lives.
#[test]
fn every_kind_of_input_is_activity_and_pings_are_answered() {
    for (frame, answer) in [
        (client_frame(Opcode::Ping, b"x"), Some((Opcode::Pong, b"x".to_vec()))),
        (client_frame(Opcode::Pong, b""), None),
        (client_frame(Opcode::Text, br#"{"event":"pusher:pong","data":{}}"#), None),
        (
            client_frame(Opcode::Text, br#"{"event": "pusher:ping"}"#),
            Some((Opcode::Text, br#"{"event":"pusher:pong","data":{}}"#.to_vec())),
        ),
    ] {
        let mut peer = Peer::new(ServerConfig::new());
        let ping = peer.write(|conn, config, tx| conn.handle_timeout(config, at(120_000), tx));
        assert_eq!(ping, Ok(Timeout::Pinged));
        peer.out.clear();
        assert_eq!(peer.feed(at(149_999), frame), Ok(vec![]));
        assert_eq!(frames(&peer.out), Vec::from_iter(answer));
        let next = Deadline { at: at(149_999 + 120_000), timer: Timer::Activity };
        assert_eq!(peer.conn.poll_timeout(&peer.config), Some(next));
    }
}

/// FR-034: silence, ping, silence, 4201, silence, drop; each at its time and not before.
#[test]
fn a_silent_client_is_pinged_then_closed_then_dropped() {
    let mut peer = Peer::new(ServerConfig::new());
    for (due, timer, outcome) in [
        (120_000, Timer::Activity, Timeout::Pinged),
        (150_000, Timer::Pong, Timeout::Closing),
        (155_000, Timer::Close, Timeout::Drop),
    ] {
        assert_eq!(peer.conn.poll_timeout(&peer.config), Some(Deadline { at: at(due), timer }));
        peer.out.clear();
        let mut tick = |now| peer.write(|conn, config, tx| conn.handle_timeout(config, now, tx));
        assert_eq!(tick(at(due - 1)), Ok(Timeout::Early));
        assert_eq!(tick(at(due)), Ok(outcome));
        let sent = frames(&peer.out);
        match outcome {
            Timeout::Pinged => assert_eq!(sent, [(Opcode::Ping, vec![])]),
            Timeout::Closing => {
                let text = "Pong reply not received in time";
                assert_eq!(sent[0].1, error("4201", text).into_bytes());
                assert_eq!(sent[1].1[..2], 4201u16.to_be_bytes());
            }
            Timeout::Drop | Timeout::Early => assert_eq!(sent, []),
        }
    }
    assert_eq!(peer.conn.poll_timeout(&peer.config), None);
    let late = peer.write(|conn, config, tx| conn.handle_timeout(config, at(u64::MAX), tx));
    assert_eq!(late, Ok(Timeout::Early));
}

/// FR-040: a timeout of 0 is the default, never a busy loop and never off.
#[test]
fn zero_seconds_stand_for_the_defaults() {
    let mut config = ServerConfig::new();
    (config.activity_timeout_s, config.pong_timeout_s, config.close_timeout_s) = (0, 0, 0);
    let mut peer = Peer::new(config);
    for due in [120_000, 150_000, 155_000] {
        assert_eq!(peer.conn.poll_timeout(&config).map(|deadline| deadline.at), Some(at(due)));
        let tick = peer.write(|conn, config, tx| conn.handle_timeout(config, at(due), tx));
        assert_ne!(tick, Ok(Timeout::Early));
    }
    assert_eq!(config.effective_activity_timeout_s(), 120);
    config.activity_timeout_s = 1;
    assert_eq!(config.effective_activity_timeout_s(), 1);
}

/// FR-038: after a suspension the client still has its whole time to answer.
#[test]
fn a_late_timer_pings_before_it_gives_up() {
    let mut peer = Peer::new(ServerConfig::new());
    let tick = peer.write(|conn, config, tx| conn.handle_timeout(config, at(900_000), tx));
    assert_eq!(tick, Ok(Timeout::Pinged));
    let next = Deadline { at: at(930_000), timer: Timer::Pong };
    assert_eq!(peer.conn.poll_timeout(&peer.config), Some(next));
}

#[test]
fn a_timer_without_room_stays_due() {
    let mut peer = Peer::new(ServerConfig::new());
    let mut none = TxBuf::new(&mut []);
    let config = peer.config;
    let full = peer.conn.handle_timeout(&config, at(120_000), &mut none);
    assert_eq!(full, Err(TxFull { at_least: 2 }));
    assert_eq!(peer.conn.poll_timeout(&config).unwrap().timer, Timer::Activity);
}

#[test]
fn input_after_the_close_frame_does_not_delay_the_end() {
    let mut peer = Peer::new(ServerConfig::new());
    peer.write(|conn, _, tx| conn.close(ErrorCode::RECONNECT, "", at(10), tx)).unwrap();
    peer.out.clear();
    let frame = client_frame(Opcode::Text, br#"{"event":"pusher:ping"}"#);
    assert_eq!(peer.feed(at(4000), frame), Ok(vec![]));
    assert_eq!(peer.out, b"");
    let next = Deadline { at: at(5010), timer: Timer::Close };
    assert_eq!(peer.conn.poll_timeout(&peer.config), Some(next));
}

#[test]
fn a_step_without_room_changes_nothing() {
    let config = ServerConfig::new();
    let mut peer = Peer::new(config);
    let mut memory = vec![0; MIN_TX - 1];
    let mut tx = TxBuf::new(&mut memory);
    let mut input = client_frame(Opcode::Text, br#"{"event":"pusher:ping"}"#);
    let before = input.clone();
    let step = peer.conn.handle_input(&config, at(99), &mut input, &mut tx).unwrap();
    assert_eq!((step.consumed, step.progress), (0, Progress::NeedOutput { at_least: MIN_TX }));
    assert_eq!(input, before);
    assert_eq!(peer.conn.poll_timeout(&config).unwrap().at, at(120_000));
    assert_eq!(peer.feed(at(99), input), Ok(vec![]));
}

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

#[test]
fn what_cannot_be_acted_on_is_answered_and_the_connection_goes_on() {
    let long = "client-".to_string() + &"é".repeat(194);
    for (text, fault, code, message) in [
        ("", Fault::Json(crate::json::JsonErrorKind::End), "null", "Received invalid JSON"),
        (
            "not json",
            Fault::Json(crate::json::JsonErrorKind::Kind),
            "null",
            "Received invalid JSON",
        ),
        ("[]", Fault::Json(crate::json::JsonErrorKind::Kind), "null", "Received invalid JSON"),
        ("{}", Fault::EventMissing, "null", "Missing parameter: event"),
        (r#"{"event":5}"#, Fault::EventMissing, "null", "Missing parameter: event"),
        (
            r#"{"event":"pusher:subscribe"}"#,
            Fault::DataMissing,
            "null",
            "Missing parameter: data, an object",
        ),
        (
            r#"{"event":"pusher:subscribe","data":"no object"}"#,
            Fault::DataMissing,
            "null",
            "Missing parameter: data, an object",
        ),
        (
            r#"{"event":"pusher:subscribe","data":{}}"#,
            Fault::ChannelMissing,
            "null",
            "Missing parameter: data.channel",
        ),
        (
            r#"{"event":"pusher:unsubscribe","data":{"channel":null}}"#,
            Fault::ChannelMissing,
            "null",
            "Missing parameter: data.channel",
        ),
        (
            r#"{"event":"pusher:signin","data":{"user_data":"{}"}}"#,
            Fault::SignInAuthMissing,
            "null",
            "Missing parameter: data.auth",
        ),
        (
            r#"{"event":"pusher:signin","data":{"auth":"k:s"}}"#,
            Fault::SignInUserDataMissing,
            "null",
            "Missing parameter: data.user_data",
        ),
        (
            r#"{"event":"client-x","data":{}}"#,
            Fault::ClientEventIncomplete,
            "null",
            "Invalid client event (must contain channel and data)",
        ),
        (
            &format!(r#"{{"event":"{long}","channel":"private-x"}}"#),
            Fault::EventTooLong { len: 201, max: 200 },
            "4301",
            "Event name has 201 characters, the limit is 200",
        ),
    ] {
        let mut peer = Peer::new(ServerConfig::new());
        let (events, answers) = peer.say(text);
        assert_eq!(events, [format!("{:?}", ServerEvent::Malformed(fault))], "{text}");
        assert_eq!(answers, [error(code, message)], "{text}");
        assert!(peer.conn.is_open());
    }
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

#[test]
fn sizes_are_pinned() {
    assert!(size_of::<ServerConn>() <= 128, "{}", size_of::<ServerConn>());
    assert!(size_of::<ServerEvent<'_>>() <= 96, "{}", size_of::<ServerEvent<'_>>());
    assert!(size_of::<Fault>() <= 16, "{}", size_of::<Fault>());
    assert!(size_of::<SendError>() <= 16);
    assert!(size_of::<PeerError>() <= 16);
}
