use std::string::String;
use std::vec::Vec;
use std::{format, str};

use proptest::prelude::*;

use super::super::{
    Accepted, ClientHandshake, HandshakeError, HeadError, HeadLimits, RequestHead, UpgradeRequest,
};
use super::{answer, request};
use crate::entropy::Entropy;
use crate::error::{SendError, TxFull, UsageError};
use crate::io::{Parse, TxBuf};

/// The nonce of RFC 6455 section 1.2.
const NONCE: &[u8; 16] = b"the sample nonce";

const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

fn sent(handshake: &ClientHandshake<'_>) -> Vec<u8> {
    let mut memory = [0; 1024];
    let mut tx = TxBuf::new(&mut memory);
    let _ = handshake.start(*NONCE, &mut tx).unwrap();
    tx.written().to_vec()
}

fn read<'i>(
    handshake: &ClientHandshake<'_>,
    bytes: &'i [u8],
) -> Result<Parse<Accepted<'i>>, HandshakeError> {
    let mut memory = [0; 1024];
    let awaiting = handshake.start(*NONCE, &mut TxBuf::new(&mut memory)).unwrap();
    awaiting.read_response(bytes, HeadLimits::new())
}

const fn plain() -> ClientHandshake<'static> {
    ClientHandshake::new("server.example.com", 80, "/chat")
}

/// The answer of a server with these lines in place of the usual ones.
fn switching(lines: &str) -> String {
    format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n")
}

const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n";

#[test]
fn the_request_has_what_the_rfc_asks_for() {
    let bytes = sent(&plain());
    let expected = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";
    assert_eq!(str::from_utf8(&bytes).unwrap(), expected);
}

#[test]
fn subprotocols_and_headers_are_added() {
    let handshake = plain().protocols(&["a", "b"]).headers(&[("Origin", "http://x"), ("X-Y", "")]);
    let bytes = sent(&handshake);
    let Parse::Done { value: head, .. } = request(&bytes) else { panic!() };
    assert_eq!(head.header_str("sec-websocket-protocol"), Some("a, b"));
    assert_eq!(head.header_str("x-y"), Some(""));
    let upgrade = UpgradeRequest::from_head(&head).unwrap();
    assert_eq!(upgrade.origin, Some("http://x"));
    assert_eq!(upgrade.protocols().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn fr_026_the_port_is_named_unless_it_is_the_default() {
    let cases = [
        ("example.com", 443, true, "example.com"),
        ("example.com", 80, false, "example.com"),
        ("example.com", 6001, true, "example.com:6001"),
        ("example.com", 443, false, "example.com:443"),
        ("example.com", 80, true, "example.com:80"),
        ("10.0.0.1", 7, false, "10.0.0.1:7"),
        ("10.0.0.1", 65535, false, "10.0.0.1:65535"),
        ("10.0.0.1", 10000, false, "10.0.0.1:10000"),
        ("::1", 6001, false, "[::1]:6001"),
        ("[::1]", 80, false, "[::1]"),
    ];
    for (host, port, secure, expected) in cases {
        let bytes = sent(&ClientHandshake::new(host, port, "/").secure(secure));
        let Parse::Done { value: head, .. } = request(&bytes) else { panic!() };
        assert_eq!(head.header_str("host"), Some(expected));
    }
}

#[test]
fn a_request_that_could_be_misread_is_not_sent() {
    let bad = [
        ClientHandshake::new("", 80, "/"),
        ClientHandshake::new("a b", 80, "/"),
        ClientHandshake::new("a\r\nX: y", 80, "/"),
        ClientHandshake::new("a", 80, ""),
        ClientHandshake::new("a", 80, "app/key"),
        ClientHandshake::new("a", 80, "/ HTTP/1.1\r\nX: y"),
        plain().protocols(&[""]),
        plain().protocols(&["a,b"]),
        plain().headers(&[("X:", "y")]),
        plain().headers(&[("X", "y\r\nZ: z")]),
        plain().headers(&[("", "y")]),
    ];
    let mut memory = [0; 1024];
    let mut tx = TxBuf::new(&mut memory);
    for handshake in bad {
        let refused = SendError::Usage(UsageError::HandshakeField);
        assert_eq!(handshake.start(*NONCE, &mut tx), Err(refused), "{handshake:?}");
    }
    assert!(tx.is_empty());
}

#[test]
fn a_request_that_does_not_fit_is_taken_back() {
    let size = sent(&plain()).len();
    let mut memory = [0; 1024];
    for room in 0..size {
        let mut tx = TxBuf::new(&mut memory[..room]);
        let result = plain().start(*NONCE, &mut tx);
        assert!(matches!(result, Err(SendError::Capacity(_))));
        assert!(tx.is_empty());
    }
    let _ = plain().start(*NONCE, &mut TxBuf::new(&mut memory[..size])).unwrap();
    let _: TxFull = TxBuf::new(&mut []).put(b"x").unwrap_err();
}

#[test]
fn the_nonce_comes_from_the_source_of_entropy() {
    struct Sample;
    impl Entropy for Sample {
        fn fill(&mut self, out: &mut [u8]) {
            out.copy_from_slice(NONCE);
        }
    }
    let mut memory = [0; 512];
    let mut tx = TxBuf::new(&mut memory);
    let _ = plain().start_with(&mut Sample, &mut tx).unwrap();
    assert_eq!(tx.written(), sent(&plain()));
}

#[test]
fn fr_012_bytes_after_the_response_are_frames() {
    let mut bytes = switching(&format!("{UPGRADE}{ACCEPT}")).into_bytes();
    let head = bytes.len();
    bytes.extend_from_slice(b"\x81\x02{}");
    let Parse::Done { consumed, value } = read(&plain(), &bytes).unwrap() else { panic!() };
    assert_eq!((consumed, value.subprotocol, value.head.status), (head, None, 101));
    for cut in 0..head {
        let cut = read(&plain(), &bytes[..cut]).unwrap();
        assert!(matches!(cut, Parse::NeedMore { .. }));
    }
}

#[test]
fn fr_021_the_accept_field_in_any_case_with_any_space() {
    for field in [
        "Sec-Websocket-Accept:   s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \t",
        "sec-websocket-accept:s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    ] {
        let bytes = switching(&format!("{UPGRADE}{field}\r\n"));
        assert!(matches!(read(&plain(), bytes.as_bytes()), Ok(Parse::Done { .. })), "{field}");
    }
    for field in
        ["Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Accept: ", ""]
    {
        let bytes = switching(&format!("{UPGRADE}{ACCEPT}{field}\r\n").replacen(ACCEPT, "", 1));
        assert!(read(&plain(), bytes.as_bytes()).is_err(), "{field}");
    }
}

#[test]
fn each_rule_of_the_response_is_checked() {
    let offering = plain().protocols(&["a", "b"]);
    let cases = [
        (switching(UPGRADE), HandshakeError::AcceptMissing),
        (
            switching(&format!("{UPGRADE}{ACCEPT}Sec-WebSocket-Accept: x\r\n")),
            HandshakeError::AcceptWrong,
        ),
        (switching(&format!("Upgrade: websocket\r\n{ACCEPT}")), HandshakeError::ConnectionMissing),
        (switching(&format!("Connection: upgrade\r\n{ACCEPT}")), HandshakeError::UpgradeMissing),
        (
            switching(&format!(
                "{UPGRADE}{ACCEPT}Sec-WebSocket-Extensions: permessage-deflate\r\n"
            )),
            HandshakeError::ExtensionNotOffered,
        ),
        (
            switching(&format!("{UPGRADE}{ACCEPT}Sec-WebSocket-Protocol: c\r\n")),
            HandshakeError::SubprotocolNotOffered,
        ),
        (
            switching(&format!("{UPGRADE}{ACCEPT}Sec-WebSocket-Protocol: a, b\r\n")),
            HandshakeError::SubprotocolNotOffered,
        ),
        (
            switching(&format!(
                "{UPGRADE}{ACCEPT}Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n"
            )),
            HandshakeError::SubprotocolNotOffered,
        ),
        (
            switching(&format!("{UPGRADE}{ACCEPT}")).replacen("1.1", "1.0", 1),
            HandshakeError::Version,
        ),
        ("HTTP/1.1 403 Forbidden\r\n\r\n".into(), HandshakeError::Status(403)),
        ("HTTP/1.1 301\r\nLocation: /\r\n\r\n".into(), HandshakeError::Status(301)),
        ("HTTP/1.1 200 OK\r\n\r\n".into(), HandshakeError::Status(200)),
        ("\x15\x03\x01\r\n".into(), HandshakeError::Head(HeadError::StatusLine)),
    ];
    for (bytes, expected) in cases {
        assert_eq!(read(&offering, bytes.as_bytes()), Err(expected), "{bytes}");
        assert!(!format!("{expected}").is_empty());
    }
}

#[test]
fn a_subprotocol_that_was_offered_is_told() {
    let bytes = switching(&format!("{UPGRADE}{ACCEPT}Sec-WebSocket-Protocol: b\r\n"));
    let Ok(Parse::Done { value, .. }) = read(&plain().protocols(&["a", "b"]), bytes.as_bytes())
    else {
        panic!()
    };
    assert_eq!(value.subprotocol, Some("b"));
}

#[test]
fn interim_responses_are_passed_over() {
    let bytes = format!(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{}",
        switching(&format!("{UPGRADE}{ACCEPT}"))
    );
    let Ok(Parse::Done { consumed, .. }) = read(&plain(), bytes.as_bytes()) else { panic!() };
    assert_eq!(consumed, bytes.len());
    assert!(matches!(read(&plain(), &bytes.as_bytes()[..40]), Ok(Parse::NeedMore { .. })));
}

proptest! {
    #[test]
    fn what_a_client_sends_a_server_accepts(
        nonce in any::<[u8; 16]>(),
        host in "[a-z0-9.-]{1,30}",
        port in any::<u16>(),
        target in "/[!-~]{0,60}",
        pick in 0_usize..4,
    ) {
        let protocols = ["mqtt", "graphql-ws", "v10.stomp"];
        let handshake = ClientHandshake::new(&host, port, &target).protocols(&protocols);
        let mut memory = [0; 1024];
        let mut tx = TxBuf::new(&mut memory);
        let awaiting = handshake.start(nonce, &mut tx).unwrap();
        let chosen = protocols.get(pick).copied();
        let bytes = answer(tx.written(), chosen);
        let Ok(Parse::Done { value, consumed }) = awaiting.read_response(&bytes, HeadLimits::new()) else {
            panic!()
        };
        prop_assert_eq!(value.subprotocol, chosen);
        prop_assert_eq!(consumed, bytes.len());
        let Ok(Parse::Done { value: head, .. }) = RequestHead::parse(tx.written(), HeadLimits::new())
        else {
            panic!()
        };
        prop_assert_eq!(head.target, &target[..]);
    }

    #[test]
    fn any_bytes_give_a_need_or_an_error(bytes in any::<Vec<u8>>()) {
        let opened = matches!(read(&plain(), &bytes), Ok(Parse::Done { .. }));
        prop_assert!(!opened);
    }
}
