use std::format;
use std::vec::Vec;

use proptest::prelude::*;

use super::super::{HeadError, HeadLimits, HeadScanner, RequestHead, ResponseHead, Version};
use super::{SAMPLE, byte_by_byte, request};
use crate::io::Parse;

fn error(bytes: &[u8]) -> HeadError {
    RequestHead::parse(bytes, HeadLimits::new()).unwrap_err()
}

fn waits<T>(outcome: &Result<Parse<T>, HeadError>) -> bool {
    matches!(outcome, Ok(Parse::NeedMore { .. }))
}

fn response(bytes: &[u8]) -> Result<Parse<ResponseHead<'_>>, HeadError> {
    ResponseHead::parse(bytes, HeadLimits::new())
}

#[test]
fn the_sample_of_the_rfc_is_read() {
    let Parse::Done { value: head, consumed } = request(SAMPLE) else { panic!() };
    assert_eq!(consumed, SAMPLE.len());
    assert_eq!((head.method, head.target, head.version), ("GET", "/chat", Version::Http11));
    assert_eq!(head.headers().count(), 7);
    assert_eq!(head.header_str("host"), Some("server.example.com"));
    assert_eq!(head.header("SEC-WEBSOCKET-VERSION"), Some(&b"13"[..]));
    assert_eq!(head.header("cookie"), None);
    assert!(head.wants_upgrade());
    let offered: Vec<_> = head.header_tokens("sec-websocket-protocol").collect();
    assert_eq!(offered, [&b"chat"[..], b"superchat"]);
}

#[test]
fn fr_013_bytes_after_the_head_stay_with_the_caller() {
    let mut bytes = SAMPLE.to_vec();
    bytes.extend_from_slice(b"\x81\x80\0\0\0\0\r\n\r\n");
    let Parse::Done { consumed, .. } = request(&bytes) else { panic!() };
    assert_eq!(&bytes[consumed..], b"\x81\x80\0\0\0\0\r\n\r\n");
}

#[test]
fn fr_017_a_body_in_the_next_segment_is_awaited_by_its_length() {
    let bytes = b"POST /apps/1/events HTTP/1.1\r\ncontent-length:363 \r\nHost:\r\n\r\n";
    let Parse::Done { value: head, consumed } = request(bytes) else { panic!() };
    assert_eq!(consumed, bytes.len());
    assert_eq!(head.header_str("Content-Length"), Some("363"));
    assert_eq!(head.header("Host"), Some(&b""[..]));
}

#[test]
fn fr_016_every_cut_of_a_head_waits_for_the_rest() {
    let mut whole = b"\r\n".to_vec();
    whole.extend_from_slice(SAMPLE);
    for cut in 0..whole.len() {
        let Parse::NeedMore { at_least } = request(&whole[..cut]) else { panic!("cut at {cut}") };
        assert!((1..=whole.len() - cut).contains(&at_least), "cut at {cut}: {at_least}");
        let mut scanner = HeadScanner::new();
        let limits = HeadLimits::new();
        assert!(matches!(scanner.request(&whole[..cut], limits), Ok(Parse::NeedMore { .. })));
        assert_eq!(scanner.request(&whole, limits), RequestHead::parse(&whole, limits));
    }
    assert_eq!(byte_by_byte(&whole, HeadLimits::new()), (whole.len(), Ok(request(&whole))));
}

#[test]
fn each_mistake_has_its_error_and_status() {
    let cases: &[(&[u8], HeadError, u16)] = &[
        (b"GET / HTTP/1.1\nHost: a\r\n\r\n", HeadError::BareLf, 400),
        (b"GET / HTTP/1.1\r\nHost: a\n", HeadError::BareLf, 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\n", HeadError::BareLf, 400),
        (b"GET /\n", HeadError::BareLf, 400),
        (b"\nGET / HTTP/1.1\r\n\r\n", HeadError::BareLf, 400),
        (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", HeadError::EmptyLine, 400),
        (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", HeadError::FieldFolded, 400),
        (b"GET / HTTP/1.1\r\n\tA: b\r\n\r\n", HeadError::FieldFolded, 400),
        (b"GET / HTTP/1.1\r\nA : b\r\n\r\n", HeadError::FieldName, 400),
        (b"GET / HTTP/1.1\r\n: b\r\n\r\n", HeadError::FieldName, 400),
        (b"GET / HTTP/1.1\r\nA\r\n\r\n", HeadError::FieldName, 400),
        (b"GET / HTTP/1.1\r\nA(): b\r\n\r\n", HeadError::FieldName, 400),
        (b"GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", HeadError::FieldValue, 400),
        (b"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", HeadError::FieldValue, 400),
        (b"GET / HTTP/1.1\r\nA: b\x7F\r\n\r\n", HeadError::FieldValue, 400),
        (b"\x16\x03\x01\x02\0", HeadError::Method, 400),
        (b" GET / HTTP/1.1\r\n\r\n", HeadError::Method, 400),
        (b"GET\r\n\r\n", HeadError::Method, 400),
        (b"GET  / HTTP/1.1\r\n\r\n", HeadError::Target, 400),
        (b"GET /\0 HTTP/1.1\r\n\r\n", HeadError::Target, 400),
        (b"GET /\xFF HTTP/1.1\r\n\r\n", HeadError::Target, 400),
        (b"GET /\r\n", HeadError::Version, 400),
        (b"GET / b HTTP/1.1\r\n\r\n", HeadError::Version, 400),
        (b"GET / HTTP/1.1 \r\n\r\n", HeadError::Version, 400),
        (b"GET / http/1.1\r\n\r\n", HeadError::Version, 400),
        (b"GET / HTTP/1.\r\n\r\n", HeadError::Version, 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HeadError::VersionNotSupported, 505),
    ];
    for (bytes, expected, status) in cases {
        assert_eq!(error(bytes), *expected, "{}", bytes.escape_ascii());
        assert_eq!(expected.status(), *status);
        assert_eq!(format!("{expected}"), expected.reason());
        let (_, drip) = byte_by_byte(bytes, HeadLimits::new());
        assert_eq!(drip, Err(*expected), "{} byte by byte", bytes.escape_ascii());
    }
}

#[test]
fn a_later_minor_version_reads_as_1_1() {
    let Parse::Done { value: head, .. } = request(b"GET * HTTP/1.2\r\n\r\n") else { panic!() };
    assert_eq!(head.version, Version::Http11);
    let Parse::Done { value: head, .. } = request(b"GET * HTTP/1.0\r\n\r\n") else { panic!() };
    assert_eq!(head.version, Version::Http10);
    assert_eq!(head.headers().next(), None);
}

#[test]
fn values_keep_what_is_inside_and_lose_the_space_round_it() {
    let bytes = "GET /ü HTTP/1.1\r\nA:\t b\t: ü  c \t\r\nB:\r\n\r\n".as_bytes();
    let Parse::Done { value: head, .. } = request(bytes) else { panic!() };
    assert_eq!(head.target, "/ü");
    assert_eq!(head.header_str("a"), Some("b\t: ü  c"));
    assert_eq!(head.header_str("b"), Some(""));
}

#[test]
fn a_value_in_another_encoding_is_no_error() {
    let Parse::Done { value: head, .. } = request(b"GET / HTTP/1.1\r\nCookie: \xFC\r\n\r\n") else {
        panic!()
    };
    assert_eq!(head.header("cookie"), Some(&b"\xFC"[..]));
    assert_eq!(head.header_str("cookie"), None);
}

#[test]
fn fr_023_a_head_is_capped_at_the_byte() {
    let line = b"GET / HTTP/1.1\r\n";
    for (size, expected) in [(100, None), (101, Some(HeadError::TooLarge))] {
        let mut bytes = line.to_vec();
        bytes.extend_from_slice(b"A: ");
        bytes.resize(size - 4, b'x');
        bytes.extend_from_slice(b"\r\n\r\n");
        let limits = HeadLimits::new().max_bytes(100);
        assert_eq!(RequestHead::parse(&bytes, limits).err(), expected);
        assert_eq!(byte_by_byte(&bytes, limits).1.err(), expected);
    }
    assert_eq!(HeadError::TooLarge.status(), 431);
}

#[test]
fn fr_023_a_value_without_end_is_refused_at_the_cap() {
    let mut bytes = b"GET / HTTP/1.1\r\nA: ".to_vec();
    bytes.resize(20_000_000, b'x');
    assert_eq!(error(&bytes), HeadError::TooLarge);
    assert_eq!(byte_by_byte(&bytes, HeadLimits::new()), (8192, Err(HeadError::TooLarge)));
}

#[test]
fn a_first_line_that_fills_the_head_is_too_long() {
    let mut bytes = b"GET /".to_vec();
    bytes.resize(8192, b'x');
    assert_eq!(error(&bytes), HeadError::TargetTooLong);
    assert_eq!(HeadError::TargetTooLong.status(), 414);
}

#[test]
fn fr_024_the_number_of_fields_is_capped() {
    for (count, expected) in [(100, None), (101, Some(HeadError::TooManyFields))] {
        let mut bytes = b"GET / HTTP/1.1\r\n".to_vec();
        bytes.extend_from_slice(&b"A: b\r\n".repeat(count));
        bytes.extend_from_slice(b"\r\n");
        assert_eq!(RequestHead::parse(&bytes, HeadLimits::new()).err(), expected);
    }
    let limits = HeadLimits::new().max_bytes(usize::MAX);
    let many = [b"GET / HTTP/1.1\r\n", &b"A: b\r\n".repeat(2000)[..], b"\r\n"].concat();
    assert_eq!(RequestHead::parse(&many, limits), Err(HeadError::TooManyFields));
    assert_eq!(HeadError::TooManyFields.status(), 431);
}

#[test]
fn a_status_line_may_lack_its_phrase() {
    let cases: [(&[u8], &[u8]); 3] = [
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"Switching Protocols"),
        (b"HTTP/1.1 101 \r\n\r\n", b""),
        (b"HTTP/1.0 101\r\n\r\n", b""),
    ];
    for (bytes, phrase) in cases {
        let Ok(Parse::Done { value: head, consumed }) = response(bytes) else { panic!() };
        assert_eq!((head.status, head.phrase, consumed), (101, phrase, bytes.len()));
    }
}

#[test]
fn a_malformed_status_line_is_refused() {
    for bytes in [
        &b"HTTP/1.1 99 \r\n\r\n"[..],
        b"HTTP/1.1 099\r\n\r\n",
        b"HTTP/1.1 1010\r\n\r\n",
        b"HTTP/1.1 101x\r\n\r\n",
        b"HTTP/1.1 101 a\0b\r\n\r\n",
        b"HTTP/1.1  101\r\n\r\n",
        b"HTTP 101\r\n\r\n",
        b"\x15\x03\x01",
        b"SSH-2.0-OpenSSH\r\n",
    ] {
        assert_eq!(response(bytes), Err(HeadError::StatusLine), "{}", bytes.escape_ascii());
    }
    assert_eq!(response(b"HTTP/2.0 101\r\n\r\n"), Err(HeadError::VersionNotSupported));
    assert_eq!(response(b"HTTP/1.1 101 ok\n"), Err(HeadError::BareLf));
}

/// A head that the parser takes: first line and fields from the wire's alphabets.
fn any_head() -> impl Strategy<Value = Vec<u8>> {
    let field = ("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}", "[ \t]{0,2}", "[ -~\t]{0,40}");
    ("[A-Z]{1,8}", "[!-~]{1,60}", prop::collection::vec(field, 0..12)).prop_map(
        |(method, target, fields)| {
            let mut head = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
            for (name, space, value) in fields {
                head.extend_from_slice(format!("{name}:{space}{value}\r\n").as_bytes());
            }
            head.extend_from_slice(b"\r\n");
            head
        },
    )
}

proptest! {
    #[test]
    fn every_cut_of_any_head_needs_more(head in any_head(), tail in any::<Vec<u8>>()) {
        for cut in 0..head.len() {
            prop_assert!(waits(&Ok(request(&head[..cut]))));
        }
        let whole = [&head[..], &tail].concat();
        let Parse::Done { value, consumed } = request(&whole) else { panic!() };
        prop_assert_eq!(consumed, head.len());
        prop_assert_eq!(byte_by_byte(&whole, HeadLimits::new()).1, Ok(Parse::Done { value, consumed }));
    }

    #[test]
    fn any_bytes_end_alike_however_they_are_cut(
        bytes in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b':'), any::<u8>()], 0..80),
        after_first_line in any::<bool>(),
    ) {
        let limits = HeadLimits::new().max_bytes(60).max_fields(3);
        let start: &[u8] = if after_first_line { b"GET / HTTP/1.1\r\n" } else { b"" };
        let bytes = [start, &bytes].concat();
        let whole = RequestHead::parse(&bytes, limits);
        let (seen, drip) = byte_by_byte(&bytes, limits);
        match whole {
            Ok(Parse::NeedMore { .. }) => prop_assert!(waits(&drip)),
            Ok(Parse::Done { consumed, .. }) => {
                prop_assert_eq!(drip, whole);
                prop_assert_eq!(seen, consumed);
            }
            // The scanner may notice late, but then finds the same mistake.
            Err(error) => prop_assert!(waits(&drip) || drip == Err(error)),
        }
        let _ = ResponseHead::parse(&bytes, limits);
    }
}
