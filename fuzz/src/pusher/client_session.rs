//! A client's connection, fed by a server that says anything.

use tidings_core::entropy::Entropy;
use tidings_core::io::{Parse, Progress, TxBuf};
use tidings_core::pusher::client::{
    Client, ClientConfig, ClientEvent, FixedClient, MIN_TX, Position, Timeout,
};
use tidings_core::time::{Duration, Instant};
use tidings_core::websocket::handshake::{HeadLimits, RequestHead, UpgradeRequest};
use tidings_core::websocket::{Header, Opcode, encode_frame};

/// Reads the input as what a server sends, a line an operation, and holds it with a client twice: with each operation's
/// bytes at once, and cut to as many bytes as the input's first byte says.
///
/// The operations: `t` and a text message; `p` and a ping; `x` and a close frame; `r` and bytes as they are; `w` and a
/// digit: so many minutes pass and the timer is called. A first line `!` leaves the opening to the input as well.
///
/// Invariant: each step uses up input, makes an event, writes, or asks for input; what is written are whole masked frames,
/// none after a close frame; a connection that has not ended has a deadline; both ways of cutting give the same events and
/// the same frames.
pub fn client_session(data: &[u8]) {
    let Some((&cut, lines)) = data.split_first() else { return };
    let whole = Session::hold(lines, usize::MAX);
    let pieces = Session::hold(lines, usize::from(cut).max(1));
    assert_eq!(whole.events, pieces.events);
    assert_eq!(whole.sent, pieces.sent);
}

struct Zeros;

impl Entropy for Zeros {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(0);
    }
}

struct Session {
    client: FixedClient<&'static str, Zeros, 3>,
    config: ClientConfig<'static>,
    now: Instant,
    unread: Vec<u8>,
    events: Vec<String>,
    sent: Vec<u8>,
}

impl Session {
    fn hold(lines: &[u8], cut: usize) -> Self {
        let mut session = Self {
            client: Client::new(Zeros, Default::default()),
            config: ClientConfig::new("localhost", 6001, "key", 512),
            now: Instant::from_millis(0),
            unread: Vec::new(),
            events: Vec::new(),
            sent: Vec::new(),
        };
        for name in ["a", "private-b", "presence-c"] {
            session.client.subscribe(name).expect("room");
        }
        let resuming = session.client.find("a").expect("it is there");
        session.client.resume(resuming, Position::Latest).expect("it is there");
        let (config, now) = (session.config, session.now);
        session.act(|client, tx| client.open(&config, now, tx)).expect("an idle client");
        let request = std::mem::take(&mut session.sent);
        let mut lines = lines.split(|byte| *byte == b'\n').peekable();
        if lines.next_if(|line| *line == b"!").is_none() {
            session.feed(&accept(&request));
        }
        for line in lines {
            session.perform(line, cut);
        }
        check_sent(&session.sent);
        session
    }

    fn perform(&mut self, line: &[u8], cut: usize) {
        let Some((op, rest)) = line.split_first() else { return };
        let bytes = match (op, rest) {
            (b't', text) => frame(Opcode::Text, text),
            (b'p', bytes) => frame(Opcode::Ping, &bytes[..bytes.len().min(125)]),
            (b'x', body) => frame(Opcode::Close, &body[..body.len().min(125)]),
            (b'r', bytes) => [bytes, b"\n"].concat(),
            (b'w', [minutes, ..]) => return self.wait(u32::from(minutes & 0xf) * 60),
            _ => return,
        };
        for piece in bytes.chunks(cut) {
            self.feed(piece);
        }
    }

    fn wait(&mut self, seconds: u32) {
        self.now = self.now.saturating_add(Duration::from_secs(seconds));
        assert_eq!(self.client.poll_timeout(&self.config).is_none(), self.client.is_idle());
        let (config, now) = (self.config, self.now);
        let timeout = self.act(|client, tx| client.handle_timeout(&config, now, tx)).expect("room");
        self.events.push(format!("{timeout:?}"));
        if matches!(timeout, Timeout::Drop { .. }) {
            assert!(self.client.is_idle());
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let mut input = std::mem::take(&mut self.unread);
        input.extend_from_slice(bytes);
        // Beside the input there are three subscriptions to make.
        let bound = 2 * input.len() + 8;
        for _ in 0..bound {
            let now = self.now;
            let (mut event, mut question) = (None, None);
            let (consumed, starved) =
                self.act(|client, tx| match client.handle_input(now, &mut input, tx) {
                    Ok(step) => {
                        if let Progress::Event(happened) = step.progress {
                            event = Some(format!("{happened:?}"));
                            if let ClientEvent::Authorize { channel, socket_id } = happened {
                                question = Some((channel, socket_id));
                            }
                        }
                        assert!(!matches!(step.progress, Progress::NeedOutput { .. }));
                        (step.consumed, matches!(step.progress, Progress::NeedInput { .. }))
                    }
                    Err(error) => {
                        client.fail(error, tx).expect("room");
                        event = Some(format!("{error:?}"));
                        (0, false)
                    }
                });
            self.events.extend(event);
            if let Some((channel, socket_id)) = question {
                self.act(|client, tx| client.authorize(channel, socket_id, "k:s", None, tx))
                    .expect("an answer in time");
            }
            input.drain(..consumed);
            if starved {
                // Without a connection what comes is thrown away.
                assert!(consumed == 0 || self.client.is_idle());
                self.unread = input;
                return;
            }
        }
        panic!("{bound} steps did not use up the input");
    }

    fn act<T>(
        &mut self,
        call: impl FnOnce(&mut FixedClient<&'static str, Zeros, 3>, &mut TxBuf<'_>) -> T,
    ) -> T {
        let mut memory = [0; MIN_TX + 128];
        let mut tx = TxBuf::new(&mut memory);
        let result = call(&mut self.client, &mut tx);
        self.sent.extend_from_slice(tx.written());
        result
    }
}

fn accept(request: &[u8]) -> Vec<u8> {
    let Ok(Parse::Done { value: head, .. }) = RequestHead::parse(request, HeadLimits::new()) else {
        panic!("a whole request");
    };
    let mut memory = [0; 512];
    let mut tx = TxBuf::new(&mut memory);
    let request = UpgradeRequest::from_head(&head).expect("for a websocket");
    request.accept(None, &mut tx).expect("room");
    tx.written().to_vec()
}

fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut memory = vec![0; payload.len() + 14];
    let mut tx = TxBuf::new(&mut memory);
    encode_frame(&mut tx, None, opcode, true, payload).expect("room");
    tx.written().to_vec()
}

/// What the client sends is whole masked frames, none behind a close frame.
fn check_sent(mut bytes: &[u8]) {
    let mut closed = false;
    while !bytes.is_empty() {
        assert!(!closed, "something is sent after the close frame");
        let Ok(Parse::Done { value, consumed }) = Header::parse(bytes) else { panic!("a header") };
        assert_eq!(value.mask, Some([0; 4]));
        closed = value.opcode == Opcode::Close;
        let len = usize::try_from(value.len).expect("a length");
        let payload = bytes.get(consumed..consumed + len).expect("a whole frame");
        if value.opcode == Opcode::Text {
            let text = core::str::from_utf8(payload).expect("UTF-8");
            let message: serde_json::Value = serde_json::from_str(text).expect("JSON");
            assert!(message["event"].is_string());
        }
        bytes = &bytes[consumed + len..];
    }
}
