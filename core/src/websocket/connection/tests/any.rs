//! Whatever comes: the same events and answers however it is cut, answers within their bound, and sound frames.

use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::super::*;
use super::Counter;
use crate::io::Progress;
use crate::websocket::{ClientRole, Decoder, Frame, Role, ServerRole};

/// All that can be seen of a connection from outside.
#[derive(Debug, PartialEq)]
struct Outcome {
    events: Vec<String>,
    output: Vec<u8>,
    error: Option<PeerError>,
    state: State,
}

/// Feeds `wire` in parts of these lengths, the last one repeated; closes first if asked to.
fn run<M: Masking>(
    mut connection: Connection<M>,
    wire: &[u8],
    parts: &[usize],
    close_first: bool,
) -> Outcome {
    let mut outcome =
        Outcome { events: vec![], output: vec![], error: None, state: connection.state() };
    let mut memory = [0; MIN_TX];
    if close_first {
        let mut tx = TxBuf::new(&mut memory);
        connection.close(CloseCode::GOING_AWAY, "", &mut tx).unwrap();
        outcome.output.extend_from_slice(tx.written());
    }
    let mut parts = parts.iter().copied().chain(std::iter::repeat(*parts.last().unwrap()));
    let (mut buffer, mut wire) = (Vec::new(), wire);
    while !wire.is_empty() && outcome.error.is_none() {
        let (part, rest) = wire.split_at(parts.next().unwrap().min(wire.len()));
        buffer.extend_from_slice(part);
        wire = rest;
        let most = 4 * buffer.len() + 4;
        let needed_input = (0..most).any(|_| {
            // A buffer with just the room that a step may ask for: an answer cannot exceed it.
            let mut tx = TxBuf::new(&mut memory);
            let mut consumed = 0;
            let mut starved = false;
            match connection.handle_input(&mut buffer, &mut tx) {
                Ok(step) => {
                    consumed = step.consumed;
                    match step.progress {
                        Progress::Event(event) => outcome.events.push(format!("{event:?}")),
                        Progress::Advanced => {}
                        Progress::NeedInput { at_least } => starved = at_least > 0,
                        Progress::NeedOutput { .. } => panic!("there was room"),
                    }
                }
                Err(error) => {
                    assert!(tx.is_empty(), "a step that fails has written nothing");
                    connection.fail(error, &mut tx).unwrap();
                    outcome.error = Some(error);
                    starved = true;
                }
            }
            outcome.output.extend_from_slice(tx.written());
            buffer.drain(..consumed);
            starved
        });
        assert!(needed_input, "{most} steps without an end");
    }
    outcome.state = connection.state();
    outcome
}

/// The frames of an output, of which a close frame must be the last.
fn opcodes(output: &[u8], reader: Role) -> String {
    let mut decoder = Decoder::new(reader, Limits::new());
    let (mut output, mut at, mut seen) = (output.to_vec(), 0, String::new());
    while at < output.len() {
        assert!(!seen.ends_with('C'), "frames behind the close frame");
        let step = decoder.decode(&mut output[at..]).expect("what is sent keeps the rules");
        at += step.consumed;
        match step.progress {
            Progress::Event(Frame::Pong(_)) => seen.push('P'),
            Progress::Event(Frame::Close { .. }) => seen.push('C'),
            other => panic!("{other:?} is no answer"),
        }
    }
    seen
}

/// Frames that mostly keep the rules, so that they get far.
fn frames() -> impl Strategy<Value = Vec<(Opcode, bool, Vec<u8>)>> {
    let control = prop_oneof![Just(Opcode::Ping), Just(Opcode::Pong)];
    let frame = prop_oneof![
        (Just(Opcode::Text), any::<bool>(), prop::collection::vec(b'a'..=b'z', 0..40)),
        (Just(Opcode::Continuation), any::<bool>(), prop::collection::vec(b'a'..=b'z', 0..40)),
        (control, Just(true), prop::collection::vec(any::<u8>(), 0..126)),
        (Just(Opcode::Close), Just(true), Just(b"\x03\xE8bye".to_vec())),
    ];
    prop::collection::vec(frame, 0..12)
}

fn wire_of(frames: &[(Opcode, bool, Vec<u8>)], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut memory = [0; 4096];
    let mut tx = TxBuf::new(&mut memory);
    for (opcode, fin, payload) in frames {
        encode_frame(&mut tx, mask, *opcode, *fin, payload).unwrap();
    }
    tx.written().to_vec()
}

fn check(wire: &[u8], parts: &[usize], server: bool, close_first: bool) {
    let limits = Limits::new().max_message(100);
    let outcomes = [&[usize::MAX][..], &[1], parts].map(|parts| {
        if server {
            run(Connection::new(ServerRole, limits), wire, parts, close_first)
        } else {
            run(Connection::new(ClientRole(Counter(0)), limits), wire, parts, close_first)
        }
    });
    assert_eq!(outcomes[0], outcomes[1]);
    assert_eq!(outcomes[0], outcomes[2]);

    let [outcome, ..] = outcomes;
    let sent = opcodes(&outcome.output, if server { Role::Client } else { Role::Server });
    let pings = outcome.events.iter().filter(|event| event.starts_with("Ping")).count();
    assert_eq!(sent.matches('P').count(), pings);
    assert_eq!(sent.ends_with('C'), outcome.state != State::Open);
    if let Some(error) = outcome.error {
        assert_ne!(error, PeerError::EndOfStream);
        assert_eq!(outcome.state, State::Closed);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_answered_alike_however_they_are_cut(
        wire in prop::collection::vec(any::<u8>(), 0..300),
        parts in prop::collection::vec(1_usize..60, 1..20),
        server: bool,
        close_first: bool,
    ) {
        check(&wire, &parts, server, close_first);
    }

    #[test]
    fn any_frames_are_answered_alike_however_they_are_cut(
        frames in frames(),
        parts in prop::collection::vec(1_usize..60, 1..20),
        server: bool,
        close_first: bool,
    ) {
        let mask = server.then_some([3, 1, 4, 1]);
        check(&wire_of(&frames, mask), &parts, server, close_first);
    }
}
