use std::vec;
use std::vec::Vec;

use super::*;
use crate::error::CapacityError;
use crate::io::Progress;
use crate::websocket::{ClientRole, Decoder, Frame, ServerRole};

mod any;

/// Masking keys that a test can foretell.
struct Counter(u8);

impl crate::entropy::Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

fn server() -> Connection<ServerRole> {
    Connection::new(ServerRole, Limits::new())
}

fn client() -> Connection<ClientRole<Counter>> {
    Connection::new(ClientRole(Counter(0)), Limits::new())
}

/// A frame from a client, with a zero key so that the payload can be read.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

/// One step with room for anything; the written bytes are returned.
fn step<'i, M: Masking>(
    connection: &mut Connection<M>,
    input: &'i mut [u8],
) -> (Result<Step<Event<'i>>, PeerError>, Vec<u8>) {
    let mut memory = [0; 256];
    let mut tx = TxBuf::new(&mut memory);
    let step = connection.handle_input(input, &mut tx);
    (step, tx.written().to_vec())
}

#[test]
fn a_servers_connection_is_small() {
    assert!(size_of::<Connection<ServerRole>>() <= 80, "{}", size_of::<Connection<ServerRole>>());
}

#[test]
fn fr_002_a_pong_carries_the_unmasked_payload_and_is_itself_unmasked() {
    for len in [2_u8, 125] {
        let payload: Vec<u8> = (0..len).collect();
        let mut frame = vec![0x89, 0x80 | len, 1, 2, 3, 4];
        frame.extend(payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(p, k)| p ^ k));

        let mut server = server();
        let (step, written) = step(&mut server, &mut frame);

        assert_eq!(step.unwrap(), Step::event(6 + usize::from(len), Event::Ping(&payload)));
        let mut pong = vec![0x8A, len];
        pong.extend_from_slice(&payload);
        assert_eq!(written, pong);
    }
}

#[test]
fn fr_003_every_frame_of_a_client_has_a_fresh_masking_key() {
    let mut client = client();
    let mut memory = [0; 512];
    let mut tx = TxBuf::new(&mut memory);

    let mut ping = *b"\x89\x02hi";
    assert_eq!(client.handle_input(&mut ping, &mut tx), Ok(Step::event(4, Event::Ping(b"hi"))));
    client.send_text("text", &mut tx).unwrap();
    client.send_fragment(MessageKind::Binary, b"a", false, &mut tx).unwrap();
    client.ping(b"", &mut tx).unwrap();
    client.send_fragment(MessageKind::Binary, b"b", true, &mut tx).unwrap();
    client.close(CloseCode::NORMAL, "bye", &mut tx).unwrap();

    let mut decoder = Decoder::new(crate::websocket::Role::Server, Limits::new());
    let mut keys = Vec::new();
    let mut wire = tx.written();
    while let crate::io::Parse::Done { value, consumed } =
        crate::websocket::Header::parse(wire).unwrap()
    {
        keys.push(value.mask.expect("a client masks"));
        wire = &wire[consumed + usize::try_from(value.len).unwrap()..];
    }
    assert!(wire.is_empty());
    assert_eq!(keys.len(), 6);
    keys.dedup();
    assert_eq!(keys.len(), 6);
    let pong = decoder.decode(tx.written_mut(0)).unwrap();
    assert_eq!(pong.progress, Progress::Event(Frame::Pong(b"hi")));
}

#[test]
fn fr_003_a_server_that_gets_an_unmasked_frame_closes_with_1002() {
    let mut server = server();
    let mut frame = *b"\x81\x02hi";
    let (result, written) = step(&mut server, &mut frame);
    let error = result.unwrap_err();
    assert_eq!(error, PeerError::MaskMissing);
    assert!(written.is_empty());

    let mut memory = [0; 256];
    let mut tx = TxBuf::new(&mut memory);
    server.fail(error, &mut tx).unwrap();
    let close: &[u8] = if cfg!(feature = "small") {
        b"\x88\x02\x03\xEA"
    } else {
        b"\x88\x1C\x03\xEAclient frame is not masked"
    };
    assert_eq!(tx.written(), close);
    assert_eq!(server.state(), State::Closed);
}

#[test]
fn a_step_without_room_for_an_answer_changes_nothing() {
    let mut server = server();
    let mut frame = masked(0x89, b"x");
    let before = frame.clone();
    let mut memory = [0; MIN_TX - 1];
    let mut tx = TxBuf::new(&mut memory);
    assert_eq!(server.handle_input(&mut frame, &mut tx), Ok(Step::need_output(MIN_TX)));
    assert_eq!(frame, before);
    assert!(tx.is_empty());
    let (step, written) = step(&mut server, &mut frame);
    assert_eq!(step.unwrap().progress, Progress::Event(Event::Ping(b"x")));
    assert_eq!(written, b"\x8A\x01x");
}

#[test]
fn fr_028_the_peers_close_is_answered_with_its_code() {
    let mut server = server();
    let mut frame = masked(0x88, b"\x0F\xA1no more");
    let (result, written) = step(&mut server, &mut frame);
    let reason = if cfg!(feature = "small") { "" } else { "no more" };
    let closed = Event::Closed { code: Some(CloseCode::new(4001)), reason };
    assert_eq!(result.unwrap(), Step::event(15, closed));
    assert_eq!(written, b"\x88\x02\x0F\xA1");
    assert_eq!(server.state(), State::RemoteClosing);
    let mut memory = [0; 64];
    let late = server.send_text("late", &mut TxBuf::new(&mut memory));
    assert_eq!(late, Err(SendError::Usage(UsageError::NotOpen)));
    assert_eq!(server.handle_eof(), Ok(()));
    assert_eq!(server.state(), State::Closed);
}

#[test]
fn a_close_without_a_code_is_answered_without_one() {
    let mut server = server();
    let mut frame = masked(0x88, b"");
    let (result, written) = step(&mut server, &mut frame);
    assert_eq!(result.unwrap().progress, Progress::Event(Event::Closed { code: None, reason: "" }));
    assert_eq!(written, b"\x88\x00");
}

#[test]
fn fr_029_nothing_is_sent_behind_our_close_frame() {
    let mut server = server();
    let mut memory = [0; 256];
    let mut tx = TxBuf::new(&mut memory);
    server.close(CloseCode::GOING_AWAY, "restart", &mut tx).unwrap();
    assert_eq!(tx.written(), b"\x88\x09\x03\xE9restart");
    assert_eq!(server.state(), State::LocalClosing);
    tx.clear();

    let mut input = masked(0x01, b"half");
    input.extend(masked(0x89, b"ping"));
    input.extend(masked(0x80, b"rest"));
    input.extend(masked(0x88, b"\x03\xE9"));
    let mut at = 0;
    let closed = loop {
        let step = server.handle_input(&mut input[at..], &mut tx).unwrap();
        at += step.consumed;
        match step.progress {
            Progress::Advanced => {}
            other => break other,
        }
    };
    let code = Some(CloseCode::GOING_AWAY);
    assert_eq!(closed, Progress::Event(Event::Closed { code, reason: "" }));
    assert_eq!(at, input.len());
    assert_eq!(server.state(), State::Closed);

    let not_open = Err(SendError::Usage(UsageError::NotOpen));
    assert_eq!(server.send_text("late", &mut tx), not_open);
    assert_eq!(server.send_with(MessageKind::Text, &mut tx, |_| Ok(())), not_open);
    assert_eq!(server.send_fragment(MessageKind::Text, b"", true, &mut tx), not_open);
    assert_eq!(server.ping(b"", &mut tx), not_open);
    assert_eq!(server.close(CloseCode::NORMAL, "", &mut tx), not_open);
    server.fail(PeerError::ReservedBits, &mut tx).unwrap();
    assert!(tx.is_empty());
}

#[test]
fn what_comes_behind_the_peers_close_is_thrown_away() {
    let mut server = server();
    let mut input = masked(0x88, b"");
    input.extend(masked(0x81, b"late"));
    let (result, _) = step(&mut server, &mut input);
    let consumed = result.unwrap().consumed;
    let (result, written) = step(&mut server, &mut input[consumed..]);
    assert_eq!(result, Ok(Step::advanced(10)));
    assert!(written.is_empty());
    assert_eq!(step(&mut server, &mut []).0, Ok(Step::need_input(1)));
}

#[test]
fn close_refuses_what_must_not_be_sent() {
    let mut server = server();
    let mut memory = [0; 128];
    let mut tx = TxBuf::new(&mut memory);
    for code in [CloseCode::NO_STATUS, CloseCode::ABNORMAL, CloseCode::new(1004)] {
        let refused = server.close(code, "", &mut tx);
        assert_eq!(refused, Err(SendError::Usage(UsageError::CloseCode)));
    }
    let long = "x".repeat(124);
    let refused = server.close(CloseCode::NORMAL, &long, &mut tx);
    assert_eq!(refused, Err(SendError::Usage(UsageError::ReasonTooLong)));
    assert_eq!(server.state(), State::Open);
    server.close(CloseCode::NORMAL, &long[..123], &mut tx).unwrap();
    assert_eq!(tx.len(), 127);
}

#[test]
fn fr_001_a_message_larger_than_the_output_goes_in_fragments() {
    let message: Vec<u8> = (0..2500).map(|i| b'a' + u8::try_from(i % 26).unwrap()).collect();
    let mut client = client();
    let mut memory = [0; 1024];
    let mut tx = TxBuf::new(&mut memory);
    let too_long = client.send(MessageKind::Text, &message, &mut tx);
    assert_eq!(too_long, Err(SendError::Capacity(CapacityError::Tx(TxFull { at_least: 2508 }))));

    let mut wire = Vec::new();
    for (i, part) in message.chunks(1000).enumerate() {
        client.send_fragment(MessageKind::Text, part, i == 2, &mut tx).unwrap();
        wire.extend_from_slice(tx.written());
        tx.clear();
    }

    let firsts: Vec<u8> = [0, 1008, 2016].iter().map(|&at| wire[at]).collect();
    assert_eq!(firsts, [0x01, 0x00, 0x80]);
    let mut decoder = Decoder::new(crate::websocket::Role::Server, Limits::new());
    let mut at = 0;
    loop {
        let step = decoder.decode(&mut wire[at..]).unwrap();
        at += step.consumed;
        match step.progress {
            Progress::Event(Frame::Data(piece)) => {
                assert_eq!(piece.kind, MessageKind::Text);
                assert_eq!(piece.payload, message);
                break;
            }
            Progress::Advanced => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_second_message_waits_for_the_fragmented_one() {
    let mut server = server();
    let mut memory = [0; 128];
    let mut tx = TxBuf::new(&mut memory);
    let unfinished = Err(SendError::Usage(UsageError::MessageUnfinished));
    server.send_fragment(MessageKind::Text, b"a", false, &mut tx).unwrap();
    assert_eq!(server.send_text("b", &mut tx), unfinished);
    assert_eq!(server.send_fragment(MessageKind::Binary, b"b", true, &mut tx), unfinished);
    server.ping(b"", &mut tx).unwrap();
    server.send_fragment(MessageKind::Text, b"b", true, &mut tx).unwrap();
    server.send_text("c", &mut tx).unwrap();
    assert_eq!(tx.written(), b"\x01\x01a\x89\x00\x80\x01b\x81\x01c");
}

#[test]
fn a_ping_has_at_most_125_bytes() {
    let mut server = server();
    let mut memory = [0; 256];
    let mut tx = TxBuf::new(&mut memory);
    let refused = server.ping(&[0; 126], &mut tx);
    assert_eq!(refused, Err(SendError::Usage(UsageError::ControlTooLong)));
    server.pong(&[0; 125], &mut tx).unwrap();
    assert_eq!(tx.len(), 127);
}

#[test]
fn fr_015_a_stream_that_ends_within_a_frame_is_an_error_and_no_short_message() {
    let mut client = client();
    let mut frame = *b"\x81\x08four";
    let (result, _) = step(&mut client, &mut frame);
    assert_eq!(result, Ok(Step::advanced(2)));
    let (result, _) = step(&mut client, &mut frame[2..]);
    assert_eq!(result, Ok(Step::need_input(4)));
    let error = client.handle_eof().unwrap_err();
    assert_eq!(error, PeerError::EndOfStream);

    let mut memory = [0; 128];
    let mut tx = TxBuf::new(&mut memory);
    client.fail(error, &mut tx).unwrap();
    assert!(tx.is_empty());
}

#[test]
fn fr_142_sending_between_two_halves_of_a_frame_disturbs_nothing() {
    let mut client = client();
    let mut input = b"\x81\x03abc".to_vec();
    let mut memory = [0; 256];
    let mut tx = TxBuf::new(&mut memory);
    assert_eq!(client.handle_input(&mut input[..1], &mut tx), Ok(Step::need_input(1)));
    for _ in 0..5 {
        client.send_text("out", &mut tx).unwrap();
    }
    client.pong(b"", &mut tx).unwrap();
    let step = client.handle_input(&mut input, &mut tx).unwrap();
    let message = Event::Message { kind: MessageKind::Text, payload: &mut b"abc".to_vec() };
    assert_eq!(step, Step::event(5, message));
}

#[test]
fn a_failed_connection_stays_failed() {
    let mut server = server();
    let mut input = masked(0x81, b"\xC0\xAF");
    assert_eq!(step(&mut server, &mut input).0, Err(PeerError::TextInvalid));
    assert_eq!(step(&mut server, &mut input).0, Err(PeerError::TextInvalid));
}
