//! The same frames, cut in every way, are the same events.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::support::*;
use crate::limits::Limits;
use crate::websocket::{Decoder, MessageKind, Opcode, Role};

#[test]
fn fr_005_a_long_message_and_a_ping_come_out_in_that_order_however_they_are_read() {
    let payload: Vec<u8> = (0..=250_u8).cycle().take(70_000).collect();
    for role in [Role::Server, Role::Client] {
        let mut wire = frame(role, Opcode::Binary, true, &payload);
        wire.extend(frame(role, Opcode::Ping, true, b"now"));
        for part in [7, 4096] {
            let (seen, error) = decode(Decoder::new(role, Limits::new()), &wire, &[part]);
            assert_eq!(error, None);
            let message = Seen::Message(MessageKind::Binary, payload.clone());
            assert!(seen == [message, Seen::Ping(b"now".to_vec())]);
        }
        let parts: Vec<usize> = std::iter::repeat_n(1, wire.len()).collect();
        let (seen, _) = decode(Decoder::new(role, Limits::new()), &wire, &parts);
        assert!(matches!(&seen[..], [Seen::Message(..), Seen::Ping(_)]));
    }
}

#[test]
fn fr_011_two_fragments_are_one_message() {
    let wire = text_fragments(&[&[b'a'; 1016], &[b'a'; 48]]);
    let message = Seen::Message(MessageKind::Text, vec![b'a'; 1064]);
    assert_eq!(decode(client(), &wire, &[usize::MAX]), (vec![message], None));
}

#[test]
fn fr_014_a_frame_in_two_reads_is_one_message() {
    let wire = frame(Role::Client, Opcode::Text, true, &[b'x'; 1439]);
    assert_eq!(wire.len(), 1443);
    let message = Seen::Message(MessageKind::Text, vec![b'x'; 1439]);
    assert_eq!(decode(client(), &wire, &[1436, 7]), (vec![message], None));
}

#[test]
fn fr_018_every_frame_of_a_read_comes_out_without_more_input() {
    for (count, len) in [(3, 5), (40, 95)] {
        let wire = frame(Role::Server, Opcode::Text, true, &vec![b'm'; len]).repeat(count);
        let message = Seen::Message(MessageKind::Text, vec![b'm'; len]);
        assert_eq!(decode(server(), &wire, &[usize::MAX]), (vec![message; count], None));
    }
}

#[test]
fn a_control_frame_between_fragments_comes_out_before_the_message() {
    let mut wire = frame(Role::Server, Opcode::Text, false, b"one");
    wire.extend(frame(Role::Server, Opcode::Ping, true, b"p"));
    wire.extend(frame(Role::Server, Opcode::Pong, true, b""));
    wire.extend(frame(Role::Server, Opcode::Continuation, true, b"two"));
    let expected = [Seen::Ping(b"p".to_vec()), Seen::Pong(vec![]), text("onetwo")];
    for part in 1..wire.len() {
        assert_eq!(decode(server(), &wire, &[part]).0, expected);
    }
}

/// A stream with each form of header, fragments, control frames between them, and an end.
fn sample(role: Role) -> (Vec<u8>, Vec<Seen>) {
    let mut wire = Vec::new();
    let mut put = |opcode, fin, payload: &[u8]| wire.extend(frame(role, opcode, fin, payload));
    let long = "\u{e9}".repeat(100);
    let longest = "z".repeat(65_536);
    put(Opcode::Text, true, b"");
    put(Opcode::Text, true, long.as_bytes());
    put(Opcode::Binary, false, &[0xFF, 0xFE]);
    put(Opcode::Ping, true, b"between");
    put(Opcode::Continuation, false, b"");
    put(Opcode::Pong, true, &[1; 125]);
    put(Opcode::Continuation, true, &[0xFD]);
    put(Opcode::Text, false, &long.as_bytes()[..33]);
    put(Opcode::Continuation, true, &long.as_bytes()[33..]);
    put(Opcode::Text, true, longest.as_bytes());
    put(Opcode::Close, true, b"\x03\xE8end");
    let seen = vec![
        text(""),
        text(&long),
        Seen::Ping(b"between".to_vec()),
        Seen::Pong(vec![1; 125]),
        Seen::Message(MessageKind::Binary, vec![0xFF, 0xFE, 0xFD]),
        text(&long),
        text(&longest),
        Seen::Close(Some(1000), if cfg!(feature = "small") { "" } else { "end" }.into()),
    ];
    (wire, seen)
}

#[test]
fn every_frame_can_be_cut_at_every_octet() {
    for role in [Role::Server, Role::Client] {
        let (wire, expected) = sample(role);
        // In the middle of the longest payload one cut is like the next.
        let tail = wire.len() - 40;
        for cut in (1..1000).chain((1000..tail).step_by(4001)).chain(tail..wire.len()) {
            for whole in [true, false] {
                let decoder = if whole { Decoder::new } else { Decoder::pieces };
                let (seen, error) = decode(decoder(role, Limits::new()), &wire, &[cut, usize::MAX]);
                assert_eq!(error, None);
                assert!(seen == expected, "cut at {cut}");
            }
        }
    }
}

/// A message, where it is cut into fragments, and the control frames before them.
#[derive(Debug, Clone)]
struct Sent {
    kind: MessageKind,
    payload: Vec<u8>,
    cuts: Vec<prop::sample::Index>,
    control: Vec<(bool, Vec<u8>)>,
}

fn any_message() -> impl Strategy<Value = Sent> {
    let text = "\\PC{0,60}".prop_map(|text| (MessageKind::Text, text.into_bytes()));
    let binary = prop::collection::vec(any::<u8>(), 0..300)
        .prop_map(|payload| (MessageKind::Binary, payload));
    let control = (any::<bool>(), prop::collection::vec(any::<u8>(), 0..126));
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..6);
    (prop_oneof![text, binary], cuts, prop::collection::vec(control, 0..4))
        .prop_map(|((kind, payload), cuts, control)| Sent { kind, payload, cuts, control })
}

/// The frames of the messages, and what is to be seen of them.
fn wire_of(role: Role, messages: &[Sent]) -> (Vec<u8>, Vec<Seen>) {
    let (mut wire, mut seen) = (Vec::new(), Vec::new());
    for Sent { kind, payload, cuts, control } in messages {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
        ends.push(payload.len());
        ends.sort_unstable();
        let mut control = control.iter();
        let mut start = 0;
        for (i, &end) in ends.iter().enumerate() {
            if let Some((ping, body)) = control.next() {
                let opcode = if *ping { Opcode::Ping } else { Opcode::Pong };
                wire.extend(frame(role, opcode, true, body));
                seen.push(if *ping { Seen::Ping(body.clone()) } else { Seen::Pong(body.clone()) });
            }
            let opcode = if i == 0 { kind.opcode() } else { Opcode::Continuation };
            wire.extend(frame(role, opcode, i + 1 == ends.len(), &payload[start..end]));
            start = end;
        }
        seen.push(Seen::Message(*kind, payload.clone()));
    }
    (wire, seen)
}

proptest! {
    #[test]
    fn any_messages_come_out_as_they_were_sent_however_they_are_cut(
        messages in prop::collection::vec(any_message(), 0..6),
        parts in prop::collection::vec(1_usize..200, 1..30),
        masked: bool,
    ) {
        let role = if masked { Role::Server } else { Role::Client };
        let (wire, expected) = wire_of(role, &messages);
        for parts in [&[usize::MAX][..], &[1], &parts] {
            for (decoder, capacity) in [
                (Decoder::new(role, Limits::new().max_message(2000)), 2000 + 131),
                (Decoder::pieces(role, Limits::new()), Decoder::MIN_BUFFER),
            ] {
                let mut reader = Reader::new(decoder, capacity);
                prop_assert_eq!(reader.feed(&wire, parts), Ok(()));
                prop_assert_eq!(&reader.seen, &expected);
                prop_assert!(reader.decoder.is_idle());
            }
        }
    }
}
