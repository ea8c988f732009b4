use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, str};

use super::super::{HeadError, HeadLimits, Refusal, RequestHead, UpgradeRequest, accept_key};
use super::{SAMPLE, answer, request};
use crate::error::{SendError, TxFull, UsageError};
use crate::io::{Parse, TxBuf};

/// The sample with one line replaced; an empty replacement leaves the line out.
fn with(name: &str, line: &str) -> Vec<u8> {
    let text = str::from_utf8(SAMPLE).unwrap();
    let lines = text.split_inclusive("\r\n").map(|old| match (old.starts_with(name), line) {
        (true, "") => String::new(),
        (true, line) => format!("{line}\r\n"),
        (false, _) => old.to_string(),
    });
    lines.collect::<String>().into_bytes()
}

fn status_of(bytes: &[u8]) -> u16 {
    let text = answer(bytes, None);
    str::from_utf8(&text[9..12]).unwrap().parse().unwrap()
}

#[test]
fn the_answer_is_that_of_the_rfc() {
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    assert_eq!(answer(SAMPLE, None), expected.as_bytes());
}

#[test]
fn a_key_alone_is_answered_when_it_is_one() {
    let accept = accept_key(b"dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(accept, Some(*b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(accept_key(b"dGhlIHNhbXBsZSBub25jZQ="), None);
}

#[test]
fn the_request_tells_what_a_server_wants_to_know() {
    let Parse::Done { value: head, .. } = request(SAMPLE) else { panic!() };
    let upgrade = UpgradeRequest::from_head(&head).unwrap();
    assert_eq!((upgrade.target, upgrade.host), ("/chat", "server.example.com"));
    assert_eq!(upgrade.origin, Some("http://example.com"));
    assert_eq!(upgrade.key, b"dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(upgrade.protocols().collect::<Vec<_>>(), ["chat", "superchat"]);
}

#[test]
fn a_chosen_subprotocol_is_named_in_the_answer() {
    let text = answer(SAMPLE, Some("superchat"));
    let text = str::from_utf8(&text).unwrap();
    assert!(text.ends_with("\r\nSec-WebSocket-Protocol: superchat\r\n\r\n"), "{text}");
}

#[test]
fn a_subprotocol_that_was_not_offered_cannot_be_chosen() {
    let Parse::Done { value: head, .. } = request(SAMPLE) else { panic!() };
    let upgrade = UpgradeRequest::from_head(&head).unwrap();
    let mut memory = [0; 512];
    let mut tx = TxBuf::new(&mut memory);
    for wrong in ["", "chat, superchat", "Chat", "chat\r\nX: y"] {
        let refused = Err(SendError::Usage(UsageError::SubprotocolNotOffered));
        assert_eq!(upgrade.accept(Some(wrong), &mut tx), refused);
    }
    assert!(tx.is_empty());
}

#[test]
fn an_answer_that_does_not_fit_is_not_begun() {
    let Parse::Done { value: head, .. } = request(SAMPLE) else { panic!() };
    let upgrade = UpgradeRequest::from_head(&head).unwrap();
    let size = answer(SAMPLE, None).len();
    let mut memory = [0; 512];
    let mut tx = TxBuf::new(&mut memory[..size - 1]);
    assert_eq!(upgrade.accept(None, &mut tx), Err(TxFull { at_least: size }.into()));
    assert!(tx.is_empty());
    let mut tx = TxBuf::new(&mut memory[..20]);
    assert!(Refusal::new(404, "no such path").write(&mut tx).is_err());
    assert!(tx.is_empty());
}

#[test]
fn fr_020_names_and_tokens_in_any_case_and_over_several_lines() {
    for lines in [
        "Connection: keep-alive, Upgrade",
        "Connection: keep-alive\r\nConnection: Upgrade",
        "Connection: Upgrade\r\nConnection: keep-alive",
        "connection: upgrade",
        "CONNECTION:,,keep-alive ,\t UPGRADE,",
    ] {
        assert_eq!(status_of(&with("Connection", lines)), 101, "{lines}");
    }
    for lines in
        ["Upgrade: WebSocket", "upgrade: h2c, websocket", "Upgrade: h2c\r\nUpgrade: WEBSOCKET"]
    {
        assert_eq!(status_of(&with("Upgrade", lines)), 101, "{lines}");
    }
    assert_eq!(
        status_of(&with("Sec-WebSocket-Key", "sec-websocket-KEY:AQIDBAUGBwgJCgsMDQ4PEC==")),
        101
    );
}

#[test]
fn fr_022_a_request_for_no_websocket_is_refused_cleanly() {
    let text = answer(b"GET /app/KEY HTTP/1.1\r\nHost: a\r\n\r\n", None);
    let text = str::from_utf8(&text).unwrap();
    assert!(text.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{text}");
    assert!(text.contains("\r\nUpgrade: websocket\r\n"), "{text}");
    assert!(text.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{text}");
    assert_eq!(status_of(b"POST /app/KEY HTTP/1.1\r\nHost: a\r\n\r\n"), 426);
    assert_eq!(status_of(&with("GET", "POST /chat HTTP/1.1")), 400);
}

#[test]
fn fr_022_the_answer_to_head_has_no_body() {
    let text = answer(b"HEAD /app/KEY HTTP/1.1\r\nHost: a\r\n\r\n", None);
    assert!(text.starts_with(b"HTTP/1.1 426 ") && text.ends_with(b"\r\n\r\n"));
}

#[test]
fn each_rule_of_the_request_is_checked() {
    let cases = [
        ("GET", "PUT /chat HTTP/1.1", 400),
        ("GET", "GET /chat HTTP/1.0", 400),
        ("Host", "", 400),
        ("Host", "Host: a\r\nHost: b", 400),
        ("Host", "Host: \u{FC}\r\nHost: b", 400),
        ("Upgrade", "", 426),
        ("Upgrade", "Upgrade: web socket", 426),
        ("Connection", "", 400),
        ("Connection", "Connection: keep-alive", 400),
        ("Sec-WebSocket-Key", "", 400),
        ("Sec-WebSocket-Key", "Sec-WebSocket-Key:", 400),
        ("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=", 400),
        ("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===", 400),
        ("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZVE==", 400),
        ("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-Q==", 400),
        (
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            400,
        ),
        ("Sec-WebSocket-Version", "", 426),
        ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8", 426),
        ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 8", 426),
        ("Origin", "Content-Length: 5", 400),
        ("Origin", "Transfer-Encoding: chunked", 400),
        ("Origin", "Content-Length: 0", 101),
        ("Origin", "", 101),
        ("Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions: permessage-deflate", 101),
    ];
    for (name, line, status) in cases {
        assert_eq!(status_of(&with(name, line)), status, "{name} replaced by {line:?}");
    }
}

#[test]
fn a_refusal_is_a_whole_response() {
    let mut memory = [0; 512];
    let mut tx = TxBuf::new(&mut memory);
    Refusal::new(503, "the server shuts down: come back later").write(&mut tx).unwrap();
    let expected = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Length: 39\r\n\r\n\
        the server shuts down: come back later\n";
    assert_eq!(str::from_utf8(tx.written()).unwrap(), expected);
    assert_eq!(format!("{}", Refusal::new(403, "no")), "403: no");
}

#[test]
fn the_length_of_a_refusal_is_that_of_its_body() {
    for reason in
        ["", "ninechars", "exactly ten", &"x".repeat(98), &"x".repeat(99), &"x".repeat(998)]
    {
        let reason: &'static str = std::boxed::Box::leak(reason.to_string().into_boxed_str());
        let mut memory = [0; 2048];
        let mut tx = TxBuf::new(&mut memory);
        Refusal::new(405, reason).write(&mut tx).unwrap();
        let text = str::from_utf8(tx.written()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("\r\nAllow: GET\r\n"), "{head}");
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
        assert_eq!(body.len(), reason.len() + 1);
    }
}

#[test]
fn a_malformed_head_becomes_a_refusal() {
    let refused = RequestHead::parse(b"GET / HTTP/2.0\r\n\r\n", HeadLimits::new());
    let refusal = Refusal::from(refused.unwrap_err());
    assert_eq!(refusal, Refusal::new(505, HeadError::VersionNotSupported.reason()));
}
