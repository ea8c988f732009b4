use critical_section as _; // its implementation for the host is linked in
use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use embassy_futures::block_on;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_io_async::ErrorType;
use tidings_core::auth::{SigningKey, verify_channel};
use tidings_core::channel::ChannelKind;
use tidings_core::error::TxFull;
use tidings_core::io::Parse;
use tidings_core::pusher::client::{ChannelEvent, Client};
use tidings_core::pusher::server::{ServerConfig, ServerConn, ServerEvent};
use tidings_core::pusher::{ErrorCode, encode_channel_event, encode_subscription_succeeded};
use tidings_core::websocket::handshake::{HeadLimits, RequestHead, UpgradeRequest};

use super::*;
use crate::LocalSigner;

const ID: SocketId = SocketId::new(12, 34);

/// A server at the other end of the wire, which hands out `piece` bytes a read and closes after `until` client events.
pub(crate) struct Server {
    conn: ServerConn,
    config: ServerConfig,
    upgraded: bool,
    pub(crate) unread: Vec<u8>,
    pub(crate) to_client: VecDeque<u8>,
    piece: usize,
    until: usize,
    pub(crate) triggered: Vec<String>,
}

struct Wire<'s>(&'s RefCell<Server>);

impl ErrorType for Wire<'_> {
    type Error = Infallible;
}

impl Read for Wire<'_> {
    async fn read(&mut self, out: &mut [u8]) -> Result<usize, Infallible> {
        let mut server = self.0.borrow_mut();
        let count = server.piece.min(out.len()).min(server.to_client.len());
        out.iter_mut().zip(server.to_client.drain(..count)).for_each(|(out, byte)| *out = byte);
        Ok(count) // nothing more means the end: all is said by then
    }
}

impl Write for Wire<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let mut server = self.0.borrow_mut();
        server.unread.extend_from_slice(bytes);
        server.work();
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Server {
    pub(crate) fn new(piece: usize, until: usize) -> RefCell<Self> {
        let config = ServerConfig::new();
        RefCell::new(Self {
            conn: ServerConn::new(ID, &config, Instant::from_millis(0)),
            config,
            upgraded: false,
            unread: vec![],
            to_client: VecDeque::new(),
            piece,
            until,
            triggered: vec![],
        })
    }

    pub(crate) fn write(&mut self, encode: impl FnOnce(&mut TxBuf<'_>) -> Result<(), TxFull>) {
        let mut memory = [0; 1024];
        let mut tx = TxBuf::new(&mut memory);
        encode(&mut tx).unwrap();
        self.to_client.extend(tx.written());
    }

    pub(crate) fn work(&mut self) {
        let now = Instant::from_millis(0);
        let mut memory = [0; 2048];
        if !self.upgraded {
            let mut tx = TxBuf::new(&mut memory);
            let Ok(Parse::Done { value, consumed }) =
                RequestHead::parse(&self.unread, HeadLimits::new())
            else {
                return;
            };
            UpgradeRequest::from_head(&value).unwrap().accept(None, &mut tx).unwrap();
            self.conn.establish(&self.config, now, &mut tx).unwrap();
            self.to_client.extend(tx.written());
            self.unread.drain(..consumed);
            self.upgraded = true;
        }
        let mut input = std::mem::take(&mut self.unread);
        loop {
            let mut tx = TxBuf::new(&mut memory);
            let step = self.conn.handle_input(&self.config, now, &mut input, &mut tx).unwrap();
            self.to_client.extend(tx.written());
            let consumed = step.consumed;
            match step.progress {
                Progress::Event(ServerEvent::Subscribe { channel, auth, channel_data, .. }) => {
                    let (name, kind) = (channel.as_str().to_string(), channel.kind());
                    let key = SigningKey::new(b"secret");
                    if kind != ChannelKind::Public {
                        let id = ID.as_text();
                        let auth = auth.unwrap();
                        verify_channel(&key, "key", &id, &name, channel_data, auth).unwrap();
                    }
                    self.write(|tx| encode_subscription_succeeded(tx, &name));
                    self.write(|tx| encode_channel_event(tx, &name, "led", r#"{"on":true}"#, None));
                }
                Progress::Event(ServerEvent::ClientEvent { channel, event, data }) => {
                    self.triggered.push(format!("{} {event} {data:?}", channel.as_str()));
                    if self.triggered.len() == self.until {
                        let code = ErrorCode::RECONNECT;
                        let mut tx = TxBuf::new(&mut memory);
                        self.conn.close(code, "bye", now, &mut tx).unwrap();
                        self.to_client.extend(tx.written());
                    }
                }
                Progress::Event(_) | Progress::Advanced => {}
                Progress::NeedInput { .. } => break,
                Progress::NeedOutput { .. } => panic!("there is room"),
            }
            input.drain(..consumed);
        }
        self.unread = input;
    }
}

#[derive(Default)]
pub(crate) struct Notes(pub(crate) Vec<String>);

impl Application for Notes {
    fn channel_event(&mut self, channel: &str, event: ChannelEvent<'_>) {
        self.0.push(match event {
            ChannelEvent::Message { event, data, .. } => {
                format!("{channel} {event} {}", data.unwrap_or_default())
            }
            ChannelEvent::Subscribed { .. } => format!("{channel} subscribed"),
            other => format!("{channel} {other:?}"),
        });
    }
}

pub(crate) struct Zeros;

impl Entropy for Zeros {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(0);
    }
}

pub(crate) type TestBox = Outbox<NoopRawMutex, 4, 64>;

fn run<const RX: usize, const TX: usize>(
    server: &RefCell<Server>,
    outbox: &TestBox,
    key: &'static str,
) -> (End, Vec<String>) {
    let config = ClientConfig::new("localhost", 6001, key, 200);
    let mut client = Client::new(Zeros, heapless::Vec::<_, 2>::new());
    client.subscribe("private-a").unwrap();
    client.subscribe("presence-b").unwrap();
    let mut session = Session { client: &mut client, config: &config };
    let mut buffers = Buffers::<RX, TX>::new();
    let mut signer = LocalSigner::new("key", b"secret", r#"{"user_id":"7"}"#);
    let mut notes = Notes::default();
    let (mut reader, mut writer) = (Wire(server), Wire(server));
    let run = session.run(&mut reader, &mut writer, &mut buffers, outbox, &mut signer, &mut notes);
    let end = block_on(run);
    assert!(session.client.is_idle());
    (end, notes.0)
}

#[test]
fn a_session_subscribes_hears_and_sends_what_waited() {
    for piece in [1, 7, 1000] {
        let server = Server::new(piece, 3);
        let outbox = TestBox::new();
        for n in 0..3 {
            outbox.trigger("private-a", "client-n", &n).unwrap();
        }
        let (end, notes) = run::<512, 512>(&server, &outbox, "key");
        assert_eq!(end, End::Closed(Advice::ReconnectNow), "{piece}");
        for channel in ["private-a", "presence-b"] {
            let of: Vec<&String> = notes.iter().filter(|note| note.starts_with(channel)).collect();
            assert_eq!(
                of,
                [&format!("{channel} subscribed"), &format!("{channel} led {{\"on\":true}}")]
            );
        }
        let triggered = &server.borrow().triggered;
        assert_eq!(triggered.len(), 3);
        for (n, text) in triggered.iter().enumerate() {
            assert!(
                text.starts_with("private-a client-n") && text.contains(&n.to_string()),
                "{text}"
            );
        }
        assert_eq!(outbox.waiting(), 0);
    }
}

#[test]
fn what_cannot_be_sent_yet_waits_for_the_next_connection() {
    let server = Server::new(1000, 9);
    let outbox = TestBox::new();
    outbox.trigger("private-elsewhere", "client-n", &1).unwrap();
    let (end, _) = run::<512, 512>(&server, &outbox, "key");
    // The server's end of the wire just stops.
    assert_eq!(end, End::Closed(Advice::BackOff));
    assert_eq!(outbox.waiting(), 1);
}

#[test]
fn too_little_memory_and_a_wrong_configuration_are_told() {
    let outbox = TestBox::new();
    assert_eq!(run::<32, 512>(&Server::new(1000, 1), &outbox, "key").0, End::Memory);
    assert_eq!(run::<512, 256>(&Server::new(1000, 1), &outbox, "a b").0, End::Config);
    assert_eq!(run::<512, 16>(&Server::new(1000, 1), &outbox, "key").0, End::Config);
}
