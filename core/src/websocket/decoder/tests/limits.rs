//! The largest message, and how much buffer a decoder needs.

use std::vec;
use std::vec::Vec;

use super::support::*;
use crate::io::{Progress, Step};
use crate::limits::{Limits, Oversize};
use crate::websocket::{Decoder, Frame, MessageKind, Opcode, PeerError, Role};

/// Decoders of both deliveries that take messages of up to 1,000 bytes.
fn limited(oversize: Oversize) -> [Decoder; 2] {
    let limits = Limits::new().max_message(1000).oversize(oversize);
    [Decoder::new(Role::Client, limits), Decoder::pieces(Role::Client, limits)]
}

fn binary(len: usize) -> Vec<u8> {
    frame(Role::Client, Opcode::Binary, true, &vec![7; len])
}

/// Bytes that differ from their neighbours.
fn pattern(len: usize) -> Vec<u8> {
    (0..=250_u8).cycle().take(len).collect()
}

#[test]
fn fr_109_a_message_of_the_cap_passes_and_one_byte_more_does_not() {
    for decoder in limited(Oversize::Close) {
        let message = Seen::Message(MessageKind::Binary, vec![7; 1000]);
        assert_eq!(decode(decoder, &binary(1000), &[usize::MAX]), (vec![message], None));
    }
    for mut decoder in limited(Oversize::Close) {
        // The header alone is enough.
        assert_eq!(decoder.decode(&mut binary(1001)[..4]), Err(PeerError::MessageTooBig));
    }
}

#[test]
fn fr_109_a_declared_length_of_a_tebibyte_is_refused_from_the_header() {
    let mut header = [0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0];
    for mut decoder in limited(Oversize::Close) {
        assert_eq!(decoder.decode(&mut header), Err(PeerError::MessageTooBig));
    }
}

#[test]
fn a_frame_beyond_4_gib_is_skipped_where_lengths_have_64_bits() {
    let mut header = [0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0];
    for mut decoder in limited(Oversize::Skip) {
        let step = decoder.decode(&mut header);
        if cfg!(feature = "small") {
            assert_eq!(step, Err(PeerError::MessageTooBig));
        } else {
            assert_eq!(step, Ok(Step::advanced(10)));
        }
    }
}

#[test]
fn fr_109_fragments_are_summed_up() {
    let start = frame(Role::Client, Opcode::Binary, false, &[1; 999]);
    let end = |len| frame(Role::Client, Opcode::Continuation, true, &vec![1; len]);
    for decoder in limited(Oversize::Close) {
        let message = Seen::Message(MessageKind::Binary, vec![1; 1000]);
        let wire = [start.clone(), end(1)].concat();
        assert_eq!(decode(decoder, &wire, &[usize::MAX]), (vec![message], None));
    }
    for decoder in limited(Oversize::Close) {
        let wire = [start.clone(), end(2)].concat();
        assert_eq!(decode(decoder, &wire, &[13]), (vec![], Some(PeerError::MessageTooBig)));
    }
}

#[test]
fn fr_109_fragments_without_end_or_content_take_no_memory() {
    let mut wire = frame(Role::Client, Opcode::Text, false, b"ab");
    for i in 0..10_000 {
        wire.extend(frame(Role::Client, Opcode::Continuation, false, b""));
        if i % 100 == 0 {
            wire.extend(frame(Role::Client, Opcode::Ping, true, &[b'p'; 125]));
        }
    }
    wire.extend(frame(Role::Client, Opcode::Continuation, true, b"cd"));
    for (decoder, capacity) in [
        (Decoder::new(Role::Client, Limits::new().max_message(4)), 4 + 131),
        (Decoder::pieces(Role::Client, Limits::new()), Decoder::MIN_BUFFER),
    ] {
        let mut reader = Reader::new(decoder, capacity);
        assert_eq!(reader.feed(&wire, &[capacity]), Ok(()));
        assert_eq!(reader.seen.len(), 101);
        assert_eq!(reader.seen.last(), Some(&text("abcd")));
    }
}

#[test]
fn a_skipped_message_is_reported_once_with_its_size() {
    let mut wire = binary(5000);
    wire.extend(text_fragments(&[&[b'a'; 600], b"", &[b'b'; 600], &[b'c'; 100]]));
    wire.extend(frame(Role::Client, Opcode::Text, true, b"next"));
    for part in [1, 17, 700, usize::MAX] {
        for decoder in limited(Oversize::Skip) {
            let (seen, error) = decode(decoder, &wire, &[part]);
            assert_eq!(seen, [Seen::Skipped(5000), Seen::Skipped(1300), text("next")]);
            assert_eq!(error, None);
        }
    }
}

#[test]
fn control_frames_are_heard_while_a_message_is_skipped() {
    let mut wire = frame(Role::Client, Opcode::Binary, false, &[0; 2000]);
    wire.extend(frame(Role::Client, Opcode::Ping, true, b"still there?"));
    wire.extend(frame(Role::Client, Opcode::Continuation, true, &[0; 3]));
    for decoder in limited(Oversize::Skip) {
        let mut reader = Reader::new(decoder, Decoder::MIN_BUFFER);
        assert_eq!(reader.feed(&wire, &[usize::MAX]), Ok(()));
        assert_eq!(reader.seen, [Seen::Ping(b"still there?".to_vec()), Seen::Skipped(2003)]);
    }
}

#[test]
fn a_skipped_message_still_obeys_the_rules_of_fragments() {
    let mut wire = frame(Role::Client, Opcode::Binary, false, &[0; 2000]);
    wire.extend(frame(Role::Client, Opcode::Text, true, b"new"));
    for decoder in limited(Oversize::Skip) {
        let outcome = decode(decoder, &wire, &[usize::MAX]);
        assert_eq!(outcome, (vec![], Some(PeerError::MessageInterrupted)));
    }
}

#[test]
fn a_message_as_large_as_the_limit_needs_one_control_frame_more() {
    let limits = Limits::new().max_message(4000);
    let payload: Vec<u8> = (b'a'..=b'z').cycle().take(4000).collect();
    for fragment in [1, 2, 125, 1999, 4000] {
        let mut wire = Vec::new();
        let count = payload.chunks(fragment).count();
        for (i, part) in payload.chunks(fragment).enumerate() {
            let opcode = if i == 0 { Opcode::Text } else { Opcode::Continuation };
            wire.extend(frame(Role::Server, opcode, i + 1 == count, part));
            if i + 1 < count {
                wire.extend(frame(Role::Server, Opcode::Pong, true, &[9; 125]));
            }
        }
        for part in [64, usize::MAX] {
            let mut reader = Reader::new(Decoder::new(Role::Server, limits), 4000 + 131);
            assert_eq!(reader.feed(&wire, &[part]), Ok(()));
            assert_eq!(reader.seen.len(), count);
            let message = Seen::Message(MessageKind::Text, payload.clone());
            assert_eq!(reader.seen.last(), Some(&message));
        }
    }
}

#[test]
fn a_large_message_in_tiny_fragments_needs_an_eighth_more() {
    let size = 0x1_0000;
    let payload = pattern(size);
    let mut wire = frame(Role::Server, Opcode::Binary, false, &[]);
    for (i, byte) in payload.iter().enumerate() {
        wire.extend(frame(Role::Server, Opcode::Continuation, i + 1 == size, &[*byte]));
    }
    let limits = Limits::new().max_message(0x1_0000);
    let capacity = size + size / 8 + 131;
    let mut reader = Reader::new(Decoder::new(Role::Server, limits), capacity);
    assert_eq!(reader.feed(&wire, &[1460]), Ok(()));
    assert!(reader.seen == [Seen::Message(MessageKind::Binary, payload)]);
}

#[test]
fn fr_019_a_frame_larger_than_the_buffer_comes_in_pieces() {
    let payload = pattern(5000);
    let wire = frame(Role::Client, Opcode::Binary, true, &payload);
    let mut reader = Reader::new(Decoder::pieces(Role::Client, Limits::new()), 100);
    assert_eq!(reader.feed(&wire, &[usize::MAX]), Ok(()));
    assert_eq!(reader.seen, [Seen::Message(MessageKind::Binary, payload)]);
    assert!(reader.pieces.iter().all(|len| (1..=100).contains(len)));
}

#[test]
fn fr_010_each_piece_tells_its_kind_its_place_and_whether_it_is_the_last() {
    let mut decoder = Decoder::pieces(Role::Client, Limits::new());
    let mut wire = frame(Role::Client, Opcode::Binary, false, &[1; 2000]);
    wire.extend(frame(Role::Client, Opcode::Continuation, true, &[2; 1000]));
    let mut pieces = Vec::new();
    let (mut start, mut end) = (0, 1024);
    while start < wire.len() {
        let step = decoder.decode(&mut wire[start..end]).unwrap();
        start += step.consumed;
        match step.progress {
            Progress::Event(Frame::Data(piece)) => {
                assert_eq!(piece.kind, MessageKind::Binary);
                pieces.push((piece.offset, piece.payload.len(), piece.first(), piece.last));
            }
            Progress::NeedInput { .. } => end = (start + 1024).min(wire.len()),
            other => assert_eq!(other, Progress::Advanced),
        }
    }
    assert_eq!(
        pieces,
        [
            (0, 1020, true, false),
            (1020, 980, false, false),
            (2000, 40, false, false),
            (2040, 960, false, true),
        ]
    );
}
