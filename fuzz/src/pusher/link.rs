//! One connection of the pair: the bytes that are under way, and the server at its end.

use std::collections::BTreeSet;

use tidings_core::channel::ChannelKind;
use tidings_core::io::{Parse, Progress, TxBuf};
use tidings_core::pusher::server::{ServerConfig, ServerConn, ServerEvent, Timeout};
use tidings_core::pusher::{
    ErrorCode, SocketId, encode_channel_event, encode_presence_succeeded,
    encode_subscription_succeeded,
};
use tidings_core::time::{Duration, Instant};
use tidings_core::websocket::handshake::{HeadLimits, RequestHead, UpgradeRequest};

pub(super) struct Link {
    pub(super) socket_id: SocketId,
    conn: ServerConn,
    config: ServerConfig,
    upgraded: bool,
    since: Instant,
    unread: Vec<u8>,
    /// What the server holds as subscribed.
    pub(super) subscribed: BTreeSet<String>,
    /// Client events that have come.
    pub(super) triggered: u32,
    pub(super) to_server: Vec<u8>,
    pub(super) to_client: Vec<u8>,
    /// The server's end is alive.
    pub(super) open: bool,
    /// The client's end is.
    pub(super) attached: bool,
    /// Nothing goes through any more, and nobody is told.
    pub(super) stalled: bool,
}

/// What stands for a signature: it belongs to one socket and one channel.
pub(super) fn signature(socket_id: SocketId, channel: &str) -> String {
    format!("key:{}/{channel}", socket_id.as_text())
}

impl Link {
    pub(super) fn new(serial: u64, now: Instant) -> Self {
        let (config, socket_id) = (ServerConfig::new(), SocketId::new(serial, 1));
        Self {
            socket_id,
            conn: ServerConn::new(socket_id, &config, now),
            config,
            upgraded: false,
            since: now,
            unread: Vec::new(),
            subscribed: BTreeSet::new(),
            triggered: 0,
            to_server: Vec::new(),
            to_client: Vec::new(),
            open: true,
            attached: true,
            stalled: false,
        }
    }

    fn write<T>(
        &mut self,
        act: impl FnOnce(&mut ServerConn, &ServerConfig, &mut TxBuf<'_>) -> T,
    ) -> T {
        let mut memory = [0; 2048];
        let mut tx = TxBuf::new(&mut memory);
        let result = act(&mut self.conn, &self.config, &mut tx);
        if self.attached {
            self.to_client.extend_from_slice(tx.written());
        }
        result
    }

    /// Lets so many bytes reach the server.
    pub(super) fn deliver(&mut self, count: usize, now: Instant) {
        if self.stalled || !self.open {
            return;
        }
        let count = count.min(self.to_server.len());
        self.unread.extend(self.to_server.drain(..count));
        if !self.upgraded && !self.upgrade(now) {
            return;
        }
        let mut input = std::mem::take(&mut self.unread);
        loop {
            let (consumed, progress) = self.write(|conn, config, tx| {
                let step =
                    conn.handle_input(config, now, &mut input, tx).expect("a client of ours");
                let asked = match step.progress {
                    Progress::Event(event) => Asked::of(event),
                    Progress::Advanced => Asked::Nothing,
                    Progress::NeedInput { .. } => Asked::Input,
                    Progress::NeedOutput { .. } => panic!("there is room"),
                };
                (step.consumed, asked)
            });
            input.drain(..consumed);
            match progress {
                Asked::Input => break,
                Asked::Nothing => {}
                Asked::End => self.open = false,
                Asked::Subscribe(channel, kind, auth) => self.subscribe(&channel, kind, auth),
                Asked::Unsubscribe(channel) => {
                    assert!(self.subscribed.remove(&channel), "{channel} was not subscribed to");
                }
                Asked::Trigger(channel) => {
                    assert!(self.subscribed.contains(&channel), "{channel} is not subscribed to");
                    self.triggered += 1;
                }
            }
        }
        self.unread = input;
    }

    /// Answers the opening request, once it is whole.
    fn upgrade(&mut self, now: Instant) -> bool {
        let mut memory = [0; 512];
        let mut tx = TxBuf::new(&mut memory);
        match RequestHead::parse(&self.unread, HeadLimits::new()).expect("a request of ours") {
            Parse::NeedMore { .. } => return false,
            Parse::Done { value, consumed } => {
                let request = UpgradeRequest::from_head(&value).expect("for a websocket");
                request.accept(None, &mut tx).expect("room");
                self.unread.drain(..consumed);
            }
        }
        if self.attached {
            self.to_client.extend_from_slice(tx.written());
        }
        self.write(|conn, config, tx| conn.establish(config, now, tx)).expect("room");
        self.upgraded = true;
        true
    }

    fn subscribe(&mut self, channel: &str, kind: ChannelKind, auth: Option<String>) {
        if kind.needs_auth() {
            assert_eq!(auth, Some(signature(self.socket_id, channel)), "a stale signature");
        }
        assert!(self.subscribed.insert(channel.to_owned()), "{channel} is subscribed to twice");
        self.write(|_, _, tx| {
            if kind == ChannelKind::Presence {
                encode_presence_succeeded(tx, channel, [("me", None)].into_iter())
            } else {
                encode_subscription_succeeded(tx, channel)
            }
        })
        .expect("room");
    }

    pub(super) fn publish(&mut self, channel: &str, number: u32) {
        if self.open && self.conn.is_open() && self.subscribed.contains(channel) {
            let data = number.to_string();
            self.write(|_, _, tx| encode_channel_event(tx, channel, "e", data.as_str(), None))
                .expect("room");
        }
    }

    /// The server closes the connection.
    pub(super) fn close(&mut self, code: u16, now: Instant) {
        if self.open && self.conn.is_open() {
            self.write(|conn, _, tx| conn.close(ErrorCode::new(code), "test", now, tx))
                .expect("room");
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if !self.upgraded {
            // The adapter of a server has a limit of its own on the opening.
            self.open &= now.saturating_since(self.since) < Duration::from_secs(10);
        }
        if !self.open {
            return;
        }
        let timeout = self.write(|conn, config, tx| conn.handle_timeout(config, now, tx));
        match timeout.expect("room") {
            Timeout::Drop => self.open = false,
            Timeout::Closing => self.subscribed.clear(),
            Timeout::Early | Timeout::Pinged => {}
        }
    }
}

/// What the client asks of the server.
enum Asked {
    End,
    Input,
    Nothing,
    Subscribe(String, ChannelKind, Option<String>),
    Trigger(String),
    Unsubscribe(String),
}

impl Asked {
    fn of(event: ServerEvent<'_>) -> Self {
        match event {
            ServerEvent::Subscribe { channel, auth, .. } => Self::Subscribe(
                channel.as_str().to_owned(),
                channel.kind(),
                auth.map(ToOwned::to_owned),
            ),
            ServerEvent::Unsubscribe { channel } => Self::Unsubscribe(channel.as_str().to_owned()),
            ServerEvent::ClientEvent { channel, .. } => Self::Trigger(channel.as_str().to_owned()),
            ServerEvent::Closed(_) => Self::End,
            other => panic!("the client sent {other:?}"),
        }
    }
}
