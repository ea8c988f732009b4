use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::auth::{SignedRequest, SigningKey};
use crate::error::{SendError, UsageError};
use crate::io::{Parse, TxBuf};
use crate::json::Raw;
use crate::pusher::{EventData, SocketId};

const NOW: u64 = 1_700_000_000;

fn write(rest: &Rest<'_>, events: &[RestEvent<'_>]) -> Result<String, SendError> {
    let mut memory = vec![0; 4096];
    let mut tx = TxBuf::new(&mut memory);
    match events {
        [event] => rest.encode_publish(event, NOW, &mut tx)?,
        many => rest.encode_batch(many, NOW, &mut tx)?,
    }
    Ok(String::from_utf8(tx.written().to_vec()).unwrap())
}

/// The body of a request that our own server would take.
fn accepted(request: &str, signing: &SigningKey) -> String {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())), "{head}");
    let target = head.strip_prefix("POST ").unwrap().split(' ').next().unwrap();
    let (path, query) = target.split_once('?').unwrap();
    let signed = SignedRequest { method: "POST", path, query, body: body.as_bytes() };
    assert_eq!(signed.verify(signing, "key", "/ws", NOW, 600), Ok(()));
    body.to_string()
}

#[test]
fn a_request_is_signed_and_says_what_to_publish() {
    let signing = SigningKey::new(b"secret");
    let rest = Rest::new("localhost", 6001, "7", "key", &signing);
    let mut event = RestEvent::new("private-a", "e", EventData::Text("say \"hi\""));
    let request = write(&rest, &[event]).unwrap();
    let line =
        "POST /apps/7/events?auth_key=key&auth_timestamp=1700000000&auth_version=1.0&body_md5=";
    assert!(request.starts_with(line), "{request}");
    assert!(request.contains("\r\nHost: localhost:6001\r\nContent-Type: application/json\r\n"));
    assert!(request.contains("\r\nConnection: close\r\n\r\n"));
    let body = r#"{"name":"e","channel":"private-a","data":"say \"hi\""}"#;
    assert_eq!(accepted(&request, &signing), body);

    event.data = EventData::Json(
        Raw::parse_str(r#"{ "n": [1, "é"] }"#, crate::json::Limits::new()).unwrap(),
    );
    event.except = Some(SocketId::new(1, 2));
    let secure = rest.secure(true).path_prefix("/ws").keep_alive(true);
    let request = write(&secure, &[event]).unwrap();
    let body = r#"{"name":"e","channel":"private-a","data":"{\"n\":[1,\"é\"]}","socket_id":"1.2"}"#;
    assert_eq!(accepted(&request, &signing), body);
    assert!(request.starts_with("POST /ws/apps/7/events?") && !request.contains("Connection"));
    assert!(request.contains("\r\nHost: localhost:6001\r\n"));
}

#[test]
fn a_batch_keeps_its_order() {
    let signing = SigningKey::new(b"secret");
    let rest = Rest::new("h", 80, "7", "key", &signing);
    let event = |name| RestEvent::new("a", name, EventData::Text(""));
    let request = write(&rest, &[event("1"), event("2")]).unwrap();
    let body =
        r#"{"batch":[{"name":"1","channel":"a","data":""},{"name":"2","channel":"a","data":""}]}"#;
    assert_eq!(accepted(&request, &signing), body);
    assert!(request.contains("/batch_events?") && request.contains("\r\nHost: h\r\n"));
    assert_eq!(accepted(&write(&rest, &[]).unwrap(), &signing), r#"{"batch":[]}"#);
}

#[test]
fn what_would_break_a_request_is_refused_and_room_is_asked_for() {
    let signing = SigningKey::new(b"secret");
    let event = RestEvent::new("a", "e", EventData::Text(""));
    for (host, id, key, prefix) in [
        ("h h", "1", "k", ""),
        ("h", "1/2", "k", ""),
        ("h", "1", "k&x", ""),
        ("h", "", "k", ""),
        ("h", "1", "k", "/?"),
    ] {
        let rest = Rest::new(host, 80, id, key, &signing).path_prefix(prefix);
        assert_eq!(write(&rest, &[event]), Err(UsageError::HandshakeField.into()));
    }
    let rest = Rest::new("h", 80, "1", "k", &signing);
    let whole = write(&rest, &[event]).unwrap().len();
    for room in 0..whole {
        let mut memory = vec![0; room];
        let mut tx = TxBuf::new(&mut memory);
        assert!(matches!(rest.encode_publish(&event, NOW, &mut tx), Err(SendError::Capacity(_))));
        assert!(tx.is_empty());
    }
}

/// What is read of an answer: status, seconds, body, whether another request may follow, and the bytes it took.
type Read = Result<Option<(u16, Option<u32>, Vec<u8>, bool, usize)>, RestError>;

fn read(input: &[u8], ended: bool) -> Read {
    let mut input = input.to_vec();
    Ok(match RestReader::new().read(&mut input, ended)? {
        Parse::NeedMore { at_least } => {
            assert!(at_least > 0);
            None
        }
        Parse::Done { value, consumed } => {
            let RestAnswer { status, retry_after_s, body, keep_alive } = value;
            Some((status, retry_after_s, body.to_vec(), keep_alive, consumed))
        }
    })
}

#[test]
fn answers_are_read_in_every_framing_and_however_they_are_cut() {
    for (answer, ended, status, seconds, body, keeps) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", false, 200, None, "{}", true),
        (
            "HTTP/1.1 401 No\r\nconnection: close\r\ncontent-length: 3\r\n\r\nwhy",
            false,
            401,
            None,
            "why",
            false,
        ),
        (
            "HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
            false,
            429,
            Some(7),
            "",
            true,
        ),
        (
            "HTTP/1.1 503 No\r\nRetry-After: Mon, 1 Jan\r\nContent-Length: 0\r\n\r\n",
            false,
            503,
            None,
            "",
            true,
        ),
        ("HTTP/1.1 204 No\r\n\r\n", false, 204, None, "", true),
        (
            "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            false,
            200,
            None,
            "x",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\nA;x=y\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
            false,
            200,
            None,
            "{0123456789",
            true,
        ),
        ("HTTP/1.1 200 OK\r\n\r\n{}", true, 200, None, "{}", false),
    ] {
        let bytes = answer.as_bytes();
        let whole = Some((status, seconds, body.as_bytes().to_vec(), keeps, bytes.len()));
        assert_eq!(read(bytes, ended), Ok(whole.clone()), "{answer}");
        for cut in 0..bytes.len() {
            assert_eq!(read(&bytes[..cut], false), Ok(None), "{cut} of {answer}");
            if !ended {
                assert_eq!(read(&bytes[..cut], true), Err(RestError::EndOfStream));
            }
        }
        if !ended {
            assert_eq!(read(&[bytes, b"HTTP/1.1 "].concat(), false), Ok(whole));
        }
    }
}

#[test]
fn an_answer_without_a_length_that_holds_is_refused() {
    for (fields, error) in [
        ("Content-Length: -1", RestError::BodyLength),
        ("Content-Length: 1\r\nContent-Length: 2", RestError::BodyLength),
        ("Content-Length: 99999999999999999999999", RestError::BodyLength),
        ("Transfer-Encoding: gzip", RestError::BodyLength),
        ("Transfer-Encoding: chunked\r\n\r\nzz\r\n", RestError::BodyLength),
        ("Transfer-Encoding: chunked\r\n\r\n1\r\nabc", RestError::BodyLength),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
        assert_eq!(read(answer.as_bytes(), false), Err(error), "{fields}");
    }
    assert!(matches!(read(b"SSH-2.0\r\n", false), Err(RestError::Head(_))));
    assert_eq!(RestError::BodyLength.to_string(), "the server's answer does not tell its length");
}

proptest! {
    #[test]
    fn any_bytes_give_a_need_an_answer_or_an_error(
        tail in prop::collection::vec(any::<u8>(), 0..200),
        chunked in any::<bool>(),
        ended in any::<bool>(),
    ) {
        let head: &[u8] = if chunked {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        } else {
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
        };
        let input = [head, &tail].concat();
        if let Ok(Some((.., consumed))) = read(&input, ended) {
            prop_assert!(consumed <= input.len());
        }
        let _ = read(&tail, ended);
    }

    #[test]
    fn chunks_are_joined_as_they_were_cut(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
    ) {
        let mut input = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for part in &parts {
            input.extend(format!("{:x}\r\n", part.len()).into_bytes());
            input.extend(part);
            input.extend(b"\r\n");
        }
        input.extend(b"0\r\n\r\n");
        let len = input.len();
        prop_assert_eq!(read(&input, false), Ok(Some((200, None, parts.concat(), true, len))));
    }
}
