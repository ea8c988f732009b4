//! Each rule, broken once; and no bytes that break the decoder.

use proptest::prelude::*;

use super::support::*;
use crate::io::{Progress, Step};
use crate::limits::{Limits, Oversize};
use crate::websocket::{CloseCode, Decoder, Frame, MessageKind, Opcode, PeerError, Role};

/// The error that ends the input, and that it is the same in every delivery and cut.
#[track_caller]
fn error_of(role: Role, wire: &[u8]) -> PeerError {
    let limits = Limits::new().max_message(1000);
    let (seen, error) = decode(Decoder::new(role, limits), wire, &[usize::MAX]);
    let error = error.expect("the input breaks a rule");
    for decoder in [Decoder::new, Decoder::pieces] {
        for part in [1, 2, 7, usize::MAX] {
            let outcome = decode(decoder(role, limits), wire, &[part]);
            assert_eq!(outcome, (seen.clone(), Some(error)), "in parts of {part}");
        }
    }
    error
}

#[test]
fn each_rule_has_its_error() {
    use PeerError::*;
    use Role::{Client, Server};
    let cases: &[(Role, &[u8], PeerError, u16)] = &[
        (Client, b"\x88\x02\x03\xED", CloseCodeInvalid, 1002),
        (Client, b"\x88\x01\x03", CloseCodeTruncated, 1002),
        (Client, b"\x88\x04\x03\xE8\xC0\xAF", CloseReasonUtf8, 1007),
        (Client, b"\x80\x01x", ContinuationUnexpected, 1002),
        (Client, b"\x09\x00", ControlFragmented, 1002),
        (Client, b"\x89\x7E\x00\x7E", ControlTooLong, 1002),
        (Client, b"\x82\x7E\x00\x7D", LengthNotMinimal, 1002),
        (Client, b"\x82\x7F\x80\0\0\0\0\0\0\0", LengthTopBit, 1002),
        (Server, b"\x81\x02hi", MaskMissing, 1002),
        (Server, b"\x89\x00", MaskMissing, 1002),
        (Client, b"\x81\x82\0\0\0\0hi", MaskUnexpected, 1002),
        (Client, b"\x8A\x80\0\0\0\0", MaskUnexpected, 1002),
        (Client, b"\x01\x01a\x81\x01b", MessageInterrupted, 1002),
        (Client, b"\x01\x01a\x02\x01b", MessageInterrupted, 1002),
        (Client, b"\x82\x7E\x03\xE9", MessageTooBig, 1009),
        (Client, b"\xC1\x00", ReservedBits, 1002),
        (Client, b"\x83\x00", ReservedOpcode, 1002),
        (Client, b"\x01\x04ok\xC0\xAF", TextInvalid, 1007),
        (Client, b"\x81\x02\xE2\x82", TextTruncated, 1007),
    ];
    for &(role, wire, error, code) in cases {
        assert_eq!(error_of(role, wire), error, "{wire:x?}");
        assert_eq!(error.close_code(), CloseCode::new(code));
    }
}

#[test]
fn fr_009_kinds_are_kept_and_a_lone_continuation_is_refused() {
    let wire = b"\x01\x01a\x80\x01b\x02\x01\xFF\x80\x01\xFE\x80\x01c";
    assert_eq!(error_of(Role::Client, wire), PeerError::ContinuationUnexpected);
    let (seen, _) = decode(client(), wire, &[usize::MAX]);
    assert_eq!(seen, [text("ab"), Seen::Message(MessageKind::Binary, [0xFF, 0xFE].into())]);
}

#[test]
fn fr_114_without_an_agreed_extension_a_compressed_frame_is_refused() {
    assert_eq!(error_of(Role::Client, b"\xC1\x03\x00\x00\x00"), PeerError::ReservedBits);
}

#[test]
fn an_error_is_final() {
    let mut decoder = client();
    assert_eq!(decoder.decode(&mut [0xC1, 0]), Err(PeerError::ReservedBits));
    assert_eq!(decoder.decode(&mut [0x81, 1, b'a']), Err(PeerError::ReservedBits));
}

#[test]
fn a_close_frame_is_judged_by_the_codes_that_may_be_sent() {
    for code in 0..=u16::MAX {
        let [high, low] = code.to_be_bytes();
        let mut wire = [0x88, 2, high, low];
        let outcome = client().decode(&mut wire).map(|step| step.progress);
        let expected = if CloseCode::new(code).is_sendable() {
            Ok(Progress::Event(Frame::Close { code: Some(CloseCode::new(code)), reason: "" }))
        } else {
            Err(PeerError::CloseCodeInvalid)
        };
        assert_eq!(outcome, expected, "{code}");
    }
}

#[test]
fn a_caller_that_takes_bytes_away_is_asked_for_them() {
    let mut decoder = client();
    let mut wire = *b"\x01\x06abcd";
    assert_eq!(decoder.decode(&mut wire), Ok(Step::advanced(2)));
    assert_eq!(decoder.decode(&mut wire[2..]), Ok(Step::need_input(2)));
    assert_eq!(decoder.decode(&mut wire[2..3]), Ok(Step::need_input(2)));
    assert_eq!(decoder.decode(&mut []), Ok(Step::need_input(2)));
}

proptest! {
    #[test]
    fn any_bytes_give_events_a_need_or_an_error_however_they_are_cut(
        wire in prop::collection::vec(any::<u8>(), 0..400),
        parts in prop::collection::vec(1_usize..60, 1..20),
        masked: bool,
    ) {
        let role = if masked { Role::Server } else { Role::Client };
        for decoder in [Decoder::new, Decoder::pieces] {
            for oversize in [Oversize::Close, Oversize::Skip] {
                let limits = Limits::new().max_message(100).oversize(oversize);
                let whole = decode(decoder(role, limits), &wire, &[usize::MAX]);
                let cut = decode(decoder(role, limits), &wire, &parts);
                prop_assert_eq!(whole, cut);
            }
        }
    }

    /// Bytes that are mostly frames get further than random ones.
    #[test]
    fn any_frames_give_events_a_need_or_an_error_however_they_are_cut(
        frames in prop::collection::vec(
            (0..3_u8, any::<bool>(), prop::collection::vec(97..=255_u8, 0..20)),
            0..30,
        ),
        parts in prop::collection::vec(1_usize..60, 1..20),
    ) {
        let mut wire = std::vec::Vec::new();
        for (opcode, fin, payload) in &frames {
            let opcode = Opcode::from_bits(*opcode).unwrap();
            wire.extend(frame(Role::Server, opcode, *fin, payload));
        }
        for decoder in [Decoder::new, Decoder::pieces] {
            let limits = Limits::new().max_message(64).oversize(Oversize::Skip);
            let whole = decode(decoder(Role::Server, limits), &wire, &[usize::MAX]);
            let cut = decode(decoder(Role::Server, limits), &wire, &parts);
            prop_assert_eq!(whole, cut);
        }
    }
}
