//! The opening handshake, from both ends.

use tidings_core::io::{Parse, TxBuf};
use tidings_core::websocket::handshake::{
    ClientHandshake, HandshakeError, HeadError, HeadLimits, HeadScanner, RequestHead,
    UpgradeRequest, Version,
};

/// Fields that both parsers are given room for.
const MAX_FIELDS: usize = 16;

fn limits() -> HeadLimits {
    HeadLimits::new().max_bytes(4096).max_fields(MAX_FIELDS)
}

/// Reads the input as the head of a request.
///
/// Invariant: what is read as a head, `httparse` reads alike, to the byte; a head that arrives byte by byte gives the same as
/// the whole; a request for a WebSocket is accepted or refused with a whole answer.
pub fn handshake_request(data: &[u8]) {
    let whole = RequestHead::parse(data, limits());
    if let Ok(Parse::Done { value: head, consumed }) = whole {
        same_as_httparse(&head, data.get(..consumed).expect("within the input"));
        answer(&head);
    }
    let mut scanner = HeadScanner::new();
    for end in 1..=data.len().min(512) {
        let Some(part) = data.get(..end) else { return };
        match scanner.request(part, limits()) {
            Ok(Parse::NeedMore { at_least }) => assert!(at_least > 0),
            Ok(done) => return assert_eq!(Ok(done), whole, "the same head at {end}"),
            // Which mistake is seen first depends on how much is there.
            Err(_) => return assert!(whole.is_err(), "{whole:?} after a mistake at {end}"),
        }
    }
}

fn same_as_httparse(head: &RequestHead<'_>, bytes: &[u8]) {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut theirs = httparse::Request::new(&mut fields);
    let read = match theirs.parse(bytes) {
        // It knows the minor versions 0 and 1 alone; RFC 9110 section 2.5 lets later ones be read like 1.
        Err(httparse::Error::Version) if head.version == Version::Http11 => return,
        read => read.expect("httparse takes what we take"),
    };
    assert_eq!(read, httparse::Status::Complete(bytes.len()));
    assert_eq!((theirs.method, theirs.path), (Some(head.method), Some(head.target)));
    let ours = head.headers().map(|field| (field.name, field.value));
    let theirs = theirs.headers.iter().map(|field| (field.name, field.value.trim_ascii()));
    assert!(ours.eq(theirs), "{head:?}");
}

fn answer(head: &RequestHead<'_>) {
    let mut memory = [0; 1024];
    let mut tx = TxBuf::new(&mut memory);
    match UpgradeRequest::from_head(head) {
        Ok(request) => {
            assert!(head.wants_upgrade());
            request.accept(None, &mut tx).expect("room");
            assert!(tx.written().starts_with(b"HTTP/1.1 101 "));
        }
        Err(refusal) => {
            refusal.write(&mut tx).expect("room");
            assert!(
                tx.written().starts_with(b"HTTP/1.1 4") || tx.written().starts_with(b"HTTP/1.1 5")
            );
        }
    }
    assert!(tx.written().windows(4).any(|w| w == b"\r\n\r\n"));
}

/// Reads the input as the answer to a client's handshake.
///
/// Invariant: nothing but a 101 with the right proof opens a connection, and then the rest of the input is left; a server's
/// real answer does open one, whatever follows it.
pub fn handshake_response(data: &[u8]) {
    let mut memory = [0; 512];
    let mut tx = TxBuf::new(&mut memory);
    let handshake = ClientHandshake::new("localhost", 6001, "/app/key").protocols(&["a", "b"]);
    let awaiting = handshake.start([7; 16], &mut tx).expect("room");
    match awaiting.read_response(data, limits()) {
        Ok(Parse::Done { value, consumed }) => {
            assert!(consumed <= data.len());
            assert_eq!(value.head.status, 101);
            assert!(value.subprotocol.is_none_or(|name| ["a", "b"].contains(&name)));
        }
        Ok(Parse::NeedMore { at_least }) => assert!(at_least > 0),
        Err(HandshakeError::Status(status)) => assert_ne!(status, 101),
        Err(HandshakeError::Head(HeadError::TooLarge)) => assert!(data.len() >= 4096),
        Err(_) => {}
    }
    let Ok(Parse::Done { value: head, .. }) = RequestHead::parse(tx.written(), limits()) else {
        panic!("our own request is one");
    };
    let mut memory = [0; 512];
    let mut answer = TxBuf::new(&mut memory);
    let request = UpgradeRequest::from_head(&head).expect("our own request is for a WebSocket");
    request.accept(Some("b"), &mut answer).expect("room");
    let input = [answer.written(), data].concat();
    let Ok(Parse::Done { value, consumed }) = awaiting.read_response(&input, limits()) else {
        panic!("our own answer opens the connection");
    };
    assert_eq!((value.subprotocol, consumed), (Some("b"), answer.len()));
}
