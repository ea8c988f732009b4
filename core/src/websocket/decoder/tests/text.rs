//! UTF-8 over fragments, pieces and cuts.

use std::string::String;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::support::*;
use crate::io::{Progress, Step};
use crate::limits::Limits;
use crate::websocket::{Decoder, MessageKind, Opcode, PeerError, Role};

const GREEK: &str = "\u{3ba}\u{1f79}\u{3c3}\u{3bc}\u{3b5}";

#[test]
fn fr_008_a_word_in_one_byte_fragments_is_whole_again() {
    let bytes: Vec<&[u8]> = GREEK.as_bytes().chunks(1).collect();
    assert_eq!(bytes.len(), 11);
    let mut wires = vec![text_fragments(&bytes)];
    for cut in 0..=11 {
        let (left, right) = GREEK.as_bytes().split_at(cut);
        wires.push(text_fragments(&[left, right]));
    }
    for wire in wires {
        for decoder in [Decoder::new, Decoder::pieces] {
            for part in [1, 3, usize::MAX] {
                let decoder = decoder(Role::Client, Limits::new());
                assert_eq!(decode(decoder, &wire, &[part]), (vec![text(GREEK)], None));
            }
        }
    }
}

#[test]
fn fr_006_a_character_across_the_end_of_a_read_is_held_back() {
    let message = "0123456789 123\u{1F600}!";
    let wire = text_fragments(&[message.as_bytes()]);
    for first in 3..wire.len() {
        let decoder = Decoder::pieces(Role::Client, Limits::new());
        let mut reader = Reader::new(decoder, usize::MAX / 2);
        reader.feed(&wire, &[first, usize::MAX]).unwrap();
        assert_eq!(reader.seen, [text(message)]);
        let whole_characters = (0..=first - 2).rev().find(|&at| message.is_char_boundary(at));
        assert_eq!(Some(reader.pieces[0]), whole_characters);
    }
}

/// Feeds text byte by byte and tells after how many the decoder gives up.
fn fails_after(payload: &[u8]) -> Option<usize> {
    let mut decoder = client();
    assert_eq!(decoder.decode(&mut [0x01, 125]), Ok(Step::advanced(2)));
    let mut text = Vec::new();
    for (i, byte) in payload.iter().enumerate() {
        text.push(*byte);
        match decoder.decode(&mut text) {
            Ok(step) => assert!(matches!(step.progress, Progress::NeedInput { .. })),
            Err(error) => {
                assert_eq!(error, PeerError::TextInvalid);
                return Some(i + 1);
            }
        }
    }
    None
}

#[test]
fn fr_007_text_fails_at_its_first_bad_byte_and_not_at_its_end() {
    assert_eq!(fails_after(b"ok\xC0\xAF"), Some(3));
    assert_eq!(fails_after(b"\xED\xA0\x80"), Some(2));
    assert_eq!(fails_after(b"\xF4\x90\x80\x80"), Some(2));
    assert_eq!(fails_after(b"\xF5"), Some(1));
    assert_eq!(fails_after(b"\xE0\x80"), Some(2));
    assert_eq!(fails_after(b"\xF0\x80"), Some(2));
    assert_eq!(fails_after(b"\xE2\x82A"), Some(3));
    assert_eq!(fails_after(b"\x80"), Some(1));
    assert_eq!(fails_after("\u{7FF}\u{FFFF}\u{10FFFF}\u{D7FF}".as_bytes()), None);
}

/// The table of RFC 3629 section 4: which bytes may follow those of the character so far.
fn may_follow(so_far: &[u8], next: u8) -> bool {
    match so_far {
        [] => matches!(next, 0..=0x7F | 0xC2..=0xF4),
        [0xE0] => matches!(next, 0xA0..=0xBF),
        [0xED] => matches!(next, 0x80..=0x9F),
        [0xF0] => matches!(next, 0x90..=0xBF),
        [0xF4] => matches!(next, 0x80..=0x8F),
        _ => matches!(next, 0x80..=0xBF),
    }
}

#[test]
fn every_pair_of_first_bytes_is_judged_by_the_table() {
    for first in 0..=0xFF_u8 {
        for second in 0..=0xFF_u8 {
            let so_far: &[u8] = if first < 0x80 { &[] } else { &[first] };
            let expected = if !may_follow(&[], first) {
                Some(1)
            } else if !may_follow(so_far, second) {
                Some(2)
            } else {
                None
            };
            assert_eq!(fails_after(&[first, second]), expected, "{first:x} {second:x}");
        }
    }
}

#[test]
fn a_message_cannot_end_within_a_character() {
    for end in [&b"\xC3"[..], b"\xE2\x82", b"\xF0\x9F\x98"] {
        let wire = text_fragments(&[b"ok", end]);
        assert_eq!(
            decode(client(), &wire, &[usize::MAX]),
            (vec![], Some(PeerError::TextTruncated))
        );
    }
}

#[test]
fn binary_takes_any_bytes() {
    let wire = frame(Role::Client, Opcode::Binary, true, b"\xC0\xAF\xFF");
    let message = Seen::Message(MessageKind::Binary, b"\xC0\xAF\xFF".to_vec());
    assert_eq!(decode(client(), &wire, &[1]), (vec![message], None));
}

proptest! {
    #[test]
    fn text_is_accepted_exactly_when_it_is_utf8(
        mut payload in "\\PC{0,40}".prop_map(String::into_bytes),
        change in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        parts in prop::collection::vec(1_usize..20, 1..8),
        masked: bool,
    ) {
        if let Some((at, byte)) = change && !payload.is_empty() {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        let role = if masked { Role::Server } else { Role::Client };
        let wire = frame(role, Opcode::Text, true, &payload);
        let valid = std::str::from_utf8(&payload).is_ok();
        for whole in [true, false] {
            let decoder = if whole { Decoder::new } else { Decoder::pieces };
            let (seen, error) = decode(decoder(role, Limits::new()), &wire, &parts);
            prop_assert_eq!(error.is_none(), valid);
            if valid {
                prop_assert_eq!(seen, [Seen::Message(MessageKind::Text, payload.clone())]);
            } else {
                prop_assert!(seen.is_empty());
            }
        }
    }
}
