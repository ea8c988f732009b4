//! The server's connection against what real clients send, however the bytes are cut.

use proptest::prelude::*;
use tidings_core::limits::{Limits, Oversize};
use tidings_core::pusher::server::ServerConfig;
use tidings_core::websocket::Opcode;
use tidings_tests::session::{Conversation, Frame, Server, client_frame, server_frames};

const PUSHER_JS: &str = include_str!("../vectors/pusher-js.session");
const DIALECTS: &str = include_str!("../vectors/pusher-dialects.session");

/// Feeds `bytes` in parts that end at `cuts`.
fn run(config: ServerConfig, bytes: &[u8], cuts: &[usize]) -> Server {
    let mut server = Server::new(config);
    let mut from = 0;
    for &cut in cuts.iter().chain([&bytes.len()]) {
        server.feed(&bytes[from..cut]);
        from = cut;
    }
    server
}

fn byte_wise(bytes: &[u8]) -> Vec<usize> {
    (1..bytes.len()).collect()
}

/// The frames without a close frame's code and reason, which the files leave out.
fn shown(bytes: &[u8]) -> Vec<Frame> {
    let mut frames = server_frames(bytes);
    for frame in frames.iter_mut().filter(|frame| frame.opcode == Opcode::Close) {
        frame.text.clear();
    }
    frames
}

fn assert_same(one: &Server, other: &Server) {
    assert_eq!(one.events, other.events);
    assert_eq!(one.sent, other.sent);
    assert_eq!(one.relayed, other.relayed);
}

#[test]
fn each_known_client_is_understood_and_answered_byte_for_byte() {
    for text in [PUSHER_JS, DIALECTS] {
        let expected = Conversation::parse(text);
        let server = run(ServerConfig::new(), &expected.client_bytes(), &[]);
        assert_eq!(shown(&server.sent), expected.to_client);
        assert_eq!(shown(&server.relayed), expected.to_others);
        assert!(expected.to_client.len() > 5 && expected.to_others.len() > 3);
    }
}

#[test]
fn a_conversation_is_the_same_byte_by_byte() {
    for text in [PUSHER_JS, DIALECTS] {
        let bytes = Conversation::parse(text).client_bytes();
        let whole = run(ServerConfig::new(), &bytes, &[]);
        assert_same(&whole, &run(ServerConfig::new(), &bytes, &byte_wise(&bytes)));
    }
}

/// Frames that a client may send, whole or in two fragments with a ping between.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let name =
        prop_oneof!["[a-z]{1,5}", "(private|presence|cache|#server-to-user|client)-[a-z]{0,4}"];
    let message = (name, any::<String>()).prop_flat_map(|(name, text)| {
        let text = format!("{text:?}");
        prop_oneof![
            Just(format!(
                r#"{{"event":"pusher:subscribe","data":{{"channel":"{name}","auth":"k:s"}}}}"#
            )),
            Just(format!(r#"{{"event":"pusher:unsubscribe","data":{{"channel":"{name}"}}}}"#)),
            Just(format!(r#"{{"event":"client-x","channel":"{name}","data":{text}}}"#)),
            Just(r#"{"event":"pusher:ping"}"#.to_owned()),
            Just(format!(r#"{{"event":{text}}}"#)),
            Just(text),
        ]
    });
    let message =
        (message, any::<prop::sample::Index>(), any::<bool>()).prop_map(|(text, at, cut)| {
            let whole = client_frame(Opcode::Text, text.as_bytes());
            if !cut {
                return whole;
            }
            let (first, second) = text.as_bytes().split_at(at.index(text.len()));
            let mut frames = client_frame(Opcode::Text, first);
            frames[0] &= 0x7f;
            frames.extend(client_frame(Opcode::Ping, b"between"));
            frames.extend(client_frame(Opcode::Continuation, second));
            frames
        });
    let frame = prop_oneof![
        8 => message,
        1 => Just(client_frame(Opcode::Ping, b"p")),
        1 => Just(client_frame(Opcode::Binary, b"\x00")),
        1 => Just(client_frame(Opcode::Close, b"\x03\xe8")),
        1 => prop::collection::vec(any::<u8>(), 1..20),
    ];
    prop::collection::vec(frame, 1..8).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn cuts_change_neither_events_nor_answers(
        bytes in frames(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6), skip: bool,
    ) {
        let mut config = ServerConfig::new();
        let oversize = if skip { Oversize::Skip } else { Oversize::Close };
        config.limits = Limits::new().max_message(60).oversize(oversize);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        let whole = run(config, &bytes, &[]);
        assert_same(&whole, &run(config, &bytes, &cuts));
        assert_same(&whole, &run(config, &bytes, &byte_wise(&bytes)));
    }
}
