//! Conversations with the server's connection: read from files, and held with a server that accepts everything.

use std::collections::BTreeMap;

use tidings_core::channel::ChannelKind;
use tidings_core::error::TxFull;
use tidings_core::io::{Parse, Progress, TxBuf};
use tidings_core::json::{self, Raw};
use tidings_core::pusher::server::{ServerConfig, ServerConn, ServerEvent};
use tidings_core::pusher::{self, SocketId};
use tidings_core::time::Instant;
use tidings_core::websocket::{Header, Opcode, encode_frame};

/// A frame of a conversation, its payload as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Text, or a control frame.
    pub opcode: Opcode,
    /// Empty in a control frame.
    pub text: String,
}

/// One conversation: what the client sends, what it gets, and what the other subscribers get.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    /// `C>S`
    pub from_client: Vec<Frame>,
    /// `S>C`
    pub to_client: Vec<Frame>,
    /// `S>*`
    pub to_others: Vec<Frame>,
}

impl Conversation {
    /// Reads a `.session` file.
    ///
    /// # Panics
    /// At a line of another form.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut conversation = Self::default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (side, text) = line.split_once(' ').unwrap_or((line, ""));
            let frame = match text {
                "<close>" => Frame { opcode: Opcode::Close, text: String::new() },
                "<ping>" => Frame { opcode: Opcode::Ping, text: String::new() },
                "<pong>" => Frame { opcode: Opcode::Pong, text: String::new() },
                _ => Frame { opcode: Opcode::Text, text: text.to_owned() },
            };
            match side {
                "C>S" => conversation.from_client.push(frame),
                "S>C" => conversation.to_client.push(frame),
                "S>*" => conversation.to_others.push(frame),
                _ => panic!("no such line: {line}"),
            }
        }
        conversation
    }

    /// The client's side as bytes.
    #[must_use]
    pub fn client_bytes(&self) -> Vec<u8> {
        let frames = self.from_client.iter();
        frames.flat_map(|frame| client_frame(frame.opcode, frame.text.as_bytes())).collect()
    }
}

/// One masked frame.
///
/// # Panics
/// Never: the buffer has room.
#[must_use]
pub fn client_frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut memory = vec![0; payload.len() + Header::MAX_LEN];
    let mut tx = TxBuf::new(&mut memory);
    let key = Some([0x37, 0xfa, 0x21, 0x3d]);
    encode_frame(&mut tx, key, opcode, true, payload).expect("room");
    tx.written().to_vec()
}

/// The whole frames in `bytes`, all of them unmasked and unfragmented.
///
/// # Panics
/// When there is anything else.
#[must_use]
pub fn server_frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let Ok(Parse::Done { value: header, consumed }) = Header::parse(bytes) else {
            panic!("no whole header: {bytes:?}");
        };
        assert!(header.fin && header.mask.is_none(), "{header:?}");
        let end = consumed + usize::try_from(header.len).expect("a length");
        let text = String::from_utf8(bytes[consumed..end].to_vec()).expect("UTF-8");
        frames.push(Frame { opcode: header.opcode, text });
        bytes = &bytes[end..];
    }
    frames
}

/// One connection of a server that accepts every signature and grants every client event.
#[derive(Debug)]
pub struct Server {
    conn: ServerConn,
    config: ServerConfig,
    unread: Vec<u8>,
    /// Channel to the subscriber's user id, which is empty where there is none.
    subscriptions: BTreeMap<String, String>,
    /// What happened, as text.
    pub events: Vec<String>,
    /// What the client gets.
    pub sent: Vec<u8>,
    /// What the other subscribers get.
    pub relayed: Vec<u8>,
}

impl Server {
    /// An established connection with socket id 1001.2001.
    ///
    /// # Panics
    /// Never: the buffer has room.
    #[must_use]
    pub fn new(config: ServerConfig) -> Self {
        let mut server = Self {
            conn: ServerConn::new(SocketId::new(1001, 2001), &config, now()),
            config,
            unread: Vec::new(),
            subscriptions: BTreeMap::new(),
            events: Vec::new(),
            sent: Vec::new(),
            relayed: Vec::new(),
        };
        let mut memory = [0; 256];
        let mut tx = TxBuf::new(&mut memory);
        server.conn.establish(&config, now(), &mut tx).expect("room");
        server.sent.extend_from_slice(tx.written());
        server
    }

    /// Takes bytes from the client and does what can be done with them.
    ///
    /// # Panics
    /// When a step makes no progress, or leaves more unread than one message.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut unread = std::mem::take(&mut self.unread);
        unread.extend_from_slice(bytes);
        let mut memory = vec![0; 64 * 1024];
        // Each step uses up a byte or asks for more, a control frame between fragments aside.
        let bound = 2 * unread.len() + 2;
        let mut steps = 0;
        loop {
            let mut tx = TxBuf::new(&mut memory);
            let step = match self.conn.handle_input(&self.config, now(), &mut unread, &mut tx) {
                Ok(step) => step,
                Err(error) => {
                    self.conn.fail(error, &mut tx).expect("room");
                    self.events.push(format!("{error:?}"));
                    self.sent.extend_from_slice(tx.written());
                    return;
                }
            };
            let consumed = step.consumed;
            match step.progress {
                Progress::Event(event) => {
                    self.events.push(format!("{event:?}"));
                    act(event, &mut self.subscriptions, &mut self.relayed, &mut tx);
                }
                Progress::Advanced => {}
                Progress::NeedInput { at_least } => {
                    assert!(at_least > 0 && tx.is_empty() && consumed == 0);
                    break;
                }
                Progress::NeedOutput { .. } => panic!("64 KiB are not enough"),
            }
            self.sent.extend_from_slice(tx.written());
            unread.drain(..consumed);
            steps += 1;
            assert!(steps <= bound, "no end with {} bytes unread", unread.len());
        }
        self.unread = unread;
    }
}

fn now() -> Instant {
    Instant::from_millis(0)
}

/// Does what an event asks for.
fn act(
    event: ServerEvent<'_>,
    subscriptions: &mut BTreeMap<String, String>,
    relayed: &mut Vec<u8>,
    tx: &mut TxBuf<'_>,
) {
    match event {
        ServerEvent::Subscribe { channel, channel_data, .. } => {
            let name = channel.as_str();
            if channel.kind() != ChannelKind::Presence {
                subscriptions.insert(name.to_owned(), String::new());
                return pusher::encode_subscription_succeeded(tx, name).expect("room");
            }
            let data = channel_data.unwrap_or("{}").as_bytes();
            let data = Raw::parse(data, json::Limits::new()).unwrap_or(Raw::EMPTY_OBJECT);
            let id = data.member("user_id").map_or_else(String::new, |id| match id.as_str_raw() {
                Some(text) => text.chars().collect(),
                None => id.text().to_owned(),
            });
            let info = data.member("user_info").map(Raw::text);
            let member = [(id.as_str(), info)];
            pusher::encode_presence_succeeded(tx, name, member.into_iter()).expect("room");
            subscriptions.insert(name.to_owned(), id);
        }
        ServerEvent::Unsubscribe { channel } => {
            subscriptions.remove(channel.as_str());
        }
        ServerEvent::ClientEvent { channel, event, data } => {
            let name = channel.as_str();
            let Some(id) = subscriptions.get(name) else { return };
            if channel.kind().takes_client_events() {
                let id = (channel.kind() == ChannelKind::Presence).then_some(id.as_str());
                append(relayed, |tx| pusher::encode_channel_event(tx, name, event, data, id));
            }
        }
        ServerEvent::SignIn { user_data, .. } => {
            pusher::encode_signin_success(tx, user_data).expect("room");
        }
        _ => {}
    }
}

/// Appends what `encode` writes, giving it the room that it asks for.
fn append(out: &mut Vec<u8>, encode: impl Fn(&mut TxBuf<'_>) -> Result<(), TxFull>) {
    let mut memory = Vec::new();
    for _ in 0..2 {
        let mut tx = TxBuf::new(&mut memory);
        match encode(&mut tx) {
            Ok(()) => return out.extend_from_slice(tx.written()),
            Err(TxFull { at_least }) => memory.resize(at_least, 0),
        }
    }
    panic!("the room that was asked for is not enough");
}
