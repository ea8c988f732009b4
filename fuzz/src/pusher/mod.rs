//! The Pusher protocol: both ends of a connection, and what a client reads.

mod client_session;
mod link;
mod pair;
mod rest_answer;

pub use client_session::client_session;
pub use pair::pair;
pub use rest_answer::rest_answer;

use tidings_core::io::{Parse, Progress, TxBuf};
use tidings_core::json::{Kind, Limits as JsonLimits, Raw};
use tidings_core::limits::{Limits, Oversize};
use tidings_core::pusher::server::{MIN_TX, ServerConfig, ServerConn, ServerEvent, Timeout};
use tidings_core::pusher::{ConnectTarget, ServerMessage, SocketId, check_protocol};
use tidings_core::time::{Deadline, Duration, Instant};
use tidings_core::websocket::{Header, Opcode, encode_frame};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Reads the input as a session, a line an operation, and holds it with a connection twice: with each operation's
/// bytes at once, and cut to as many bytes as the input's first byte says.
///
/// The operations: `t` and a text message; `f`, a digit and a text message in two fragments with a ping between; `b` and
/// a binary message; `p` and a ping; `o` and a pong; `x` and a close frame; `r` and bytes as they are; `w` and a digit:
/// so many minutes pass and the timer is called.
///
/// Invariant: each step uses up input, makes an event, or asks for input; its answer fits the room that steps ask for and
/// is whole unmasked frames whose texts are JSON objects with an event; nothing is sent after a close frame; the connection
/// always has a deadline until it is closed; both ways of cutting give the same events and answers.
pub fn server_session(data: &[u8]) {
    let Some((&cut, lines)) = data.split_first() else { return };
    let cut = usize::from(cut).max(1);
    let whole = Session::hold(lines, usize::MAX);
    let pieces = Session::hold(lines, cut);
    assert_eq!(whole.events, pieces.events);
    assert_eq!(whole.sent, pieces.sent);
}

struct Session {
    conn: ServerConn,
    config: ServerConfig,
    now: Instant,
    unread: Vec<u8>,
    events: Vec<String>,
    sent: Vec<u8>,
    /// A rule was broken, or the connection was given up.
    over: bool,
}

impl Session {
    fn hold(lines: &[u8], cut: usize) -> Self {
        let mut config = ServerConfig::new();
        config.limits = Limits::new().max_message(512).oversize(Oversize::Skip);
        config.max_channel_name = 20;
        config.max_event_name = 20;
        let now = Instant::from_millis(0);
        let conn = ServerConn::new(SocketId::new(1, 2), &config, now);
        let (unread, events, sent) = (Vec::new(), Vec::new(), Vec::new());
        let mut session = Self { conn, config, now, unread, events, sent, over: false };
        session.act(|conn, config, now, tx| conn.establish(config, now, tx).expect("room"));
        for line in lines.split(|byte| *byte == b'\n') {
            session.perform(line, cut);
            if session.over {
                break;
            }
        }
        check_sent(&session.sent);
        session
    }

    fn perform(&mut self, line: &[u8], cut: usize) {
        let Some((op, rest)) = line.split_first() else { return };
        let bytes = match (op, rest) {
            (b't', text) => frame(Opcode::Text, true, text),
            (b'b', bytes) => frame(Opcode::Binary, true, bytes),
            (b'p', bytes) => frame(Opcode::Ping, true, &bytes[..bytes.len().min(125)]),
            (b'o', bytes) => frame(Opcode::Pong, true, &bytes[..bytes.len().min(125)]),
            (b'x', body) => frame(Opcode::Close, true, &body[..body.len().min(125)]),
            (b'f', [at, text @ ..]) => {
                let (first, second) = text.split_at(usize::from(at & 0xf).min(text.len()));
                let mut bytes = frame(Opcode::Text, false, first);
                bytes.extend(frame(Opcode::Ping, true, b"between"));
                bytes.extend(frame(Opcode::Continuation, true, second));
                bytes
            }
            (b'r', bytes) => bytes.to_vec(),
            (b'w', [minutes, ..]) => return self.wait(u32::from(minutes & 0xf) * 60),
            _ => return,
        };
        for piece in bytes.chunks(cut) {
            self.feed(piece);
        }
    }

    /// Lets time pass and calls the timer once.
    fn wait(&mut self, seconds: u32) {
        self.now = self.now.saturating_add(Duration::from_secs(seconds));
        let before = self.conn.poll_timeout(&self.config);
        let now = self.now;
        let timeout =
            self.act(|conn, config, now, tx| conn.handle_timeout(config, now, tx).expect("room"));
        let due = before.is_some_and(|Deadline { at, .. }| at <= now);
        assert_eq!(timeout != Timeout::Early, due);
        self.over |= timeout == Timeout::Drop;
        self.events.push(format!("{timeout:?}"));
    }

    fn feed(&mut self, bytes: &[u8]) {
        let mut input = std::mem::take(&mut self.unread);
        input.extend_from_slice(bytes);
        // A control frame between fragments is an event that uses up nothing; it has two bytes or more.
        let bound = 2 * input.len() + 2;
        for _ in 0..bound {
            if self.over {
                return;
            }
            let mut event = None;
            let (consumed, starved) = self.act(|conn, config, now, tx| {
                match conn.handle_input(config, now, &mut input, tx) {
                    Ok(step) => {
                        if let Progress::Event(ServerEvent::Subscribe { channel, auth, .. }) =
                            step.progress
                        {
                            assert_eq!(channel.needs_auth(), auth.is_some());
                        }
                        event = match step.progress {
                            Progress::Event(event) => Some(format!("{event:?}")),
                            _ => None,
                        };
                        (step.consumed, matches!(step.progress, Progress::NeedInput { .. }))
                    }
                    Err(error) => {
                        conn.fail(error, tx).expect("room");
                        event = Some(format!("{error:?}"));
                        (0, true)
                    }
                }
            });
            let failed = starved && event.is_some();
            self.events.extend(event);
            self.over |= failed;
            input.drain(..consumed);
            if starved {
                assert_eq!(consumed, 0);
                self.unread = input;
                return;
            }
        }
        panic!("{bound} steps did not use up the input");
    }

    /// Calls the connection with exactly the room that it asks for.
    fn act<T>(
        &mut self,
        call: impl FnOnce(&mut ServerConn, &ServerConfig, Instant, &mut TxBuf<'_>) -> T,
    ) -> T {
        let mut memory = [0; MIN_TX];
        let mut tx = TxBuf::new(&mut memory);
        let result = call(&mut self.conn, &self.config, self.now, &mut tx);
        self.sent.extend_from_slice(tx.written());
        let open = self.conn.is_open();
        assert!(!open || self.conn.poll_timeout(&self.config).is_some());
        result
    }
}

fn frame(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut memory = vec![0; payload.len() + Header::MAX_LEN];
    let mut tx = TxBuf::new(&mut memory);
    encode_frame(&mut tx, Some(KEY), opcode, fin, payload).expect("room");
    tx.written().to_vec()
}

fn check_sent(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let Ok(Parse::Done { value: header, consumed }) = Header::parse(bytes) else {
            panic!("no whole header: {bytes:?}");
        };
        assert!(header.fin && header.mask.is_none());
        let end = consumed + usize::try_from(header.len).expect("a length");
        let payload = &bytes[consumed..end];
        bytes = &bytes[end..];
        match header.opcode {
            Opcode::Text => {
                let message = Raw::parse(payload, JsonLimits::new()).expect("JSON");
                let event = message.member("event").expect("an event");
                assert_eq!(event.kind(), Kind::String);
            }
            Opcode::Close => assert!(bytes.is_empty(), "{bytes:?} behind a close frame"),
            _ => {}
        }
    }
}

/// Reads the input as a message from a server.
///
/// Invariant: a message is read exactly if it is a JSON object with an event that has what it needs, so a text without
/// an event never is; reading does not depend on the form of `data`: as a string that holds it or as a value.
pub fn server_message(data: &[u8]) {
    let mut read = data.to_vec();
    let message = ServerMessage::parse(&mut read);
    let Ok(value) = Raw::parse(data, JsonLimits::new()) else {
        return assert!(message.is_err());
    };
    let event = value.member("event").and_then(Raw::as_str_raw);
    assert!(event.is_some() || message.is_err());
    let (Some(event), Ok(message)) = (event, message) else { return };
    match message {
        ServerMessage::Subscribed { presence: Some(presence), .. } => {
            assert!(presence.members().count() <= data.len());
        }
        ServerMessage::Watchlist(list) => {
            assert!(list.online().count() + list.offline().count() <= data.len());
        }
        ServerMessage::Event { event: name, .. } => assert!(event.unescaped_eq(name)),
        _ => {}
    }
    check_forms(value, &message);
}

/// The same message with its `data`, an object, written into a string.
fn check_forms(value: Raw<'_>, message: &ServerMessage<'_>) {
    let Some(data) = value.member("data").filter(|data| data.kind() == Kind::Object) else {
        return;
    };
    let mut other = String::from("{");
    for (name, value) in value.members().filter(|(name, _)| !name.unescaped_eq("data")) {
        other += &format!("\"{}\":{},", name.as_str(), value.text());
    }
    let mut memory = vec![0; 6 * data.text().len()];
    let mut tx = TxBuf::new(&mut memory);
    tidings_core::json::escape_into(&mut tx, data.text()).expect("room");
    let text = core::str::from_utf8(tx.written()).expect("UTF-8");
    other += &format!("\"data\":\"{text}\"}}");
    let mut other = other.into_bytes();
    assert_eq!(ServerMessage::parse(&mut other).as_ref(), Ok(message));
}

/// Reads the input as the target of a connection attempt: without a prefix, and behind one.
///
/// Invariant: what is read has a key without a slash and parameters that are in the text; a prefix before the same path
/// changes nothing; decoding a key gives its bytes.
pub fn connect_target(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let read = ConnectTarget::parse(text, "");
    let behind = format!("/pre/fix/{text}");
    assert_eq!(ConnectTarget::parse(&behind, "pre/fix/").ok(), read.ok());
    let Ok(target) = read else { return };
    let key = target.key.as_encoded();
    assert!(!key.is_empty() && !key.contains(['/', '?', '#']));
    for value in [target.protocol, target.client, target.version].into_iter().flatten() {
        assert!(text.contains(value) && !value.contains(['&', '#']));
    }
    let bytes: Vec<u8> = target.key.bytes().collect();
    let mut buf = vec![0; key.len()];
    let decoded = target.key.decode_into(&mut buf);
    assert_eq!(decoded, core::str::from_utf8(&bytes).ok());
    assert!(decoded.is_none_or(|decoded| target.key.is(decoded)));
    assert_eq!(target.key.as_plain().is_some(), !key.contains('%'));
    let _ = check_protocol(target.protocol);
}
