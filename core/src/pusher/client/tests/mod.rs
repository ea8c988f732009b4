use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::entropy::Entropy;
use crate::error::{CapacityError, SendError, TxFull, UsageError};
use crate::io::{Parse, Progress, TxBuf};
use crate::pusher::*;
use crate::time::{Deadline, Instant, Timer};
use crate::websocket::handshake::{HandshakeError, HeadLimits, RequestHead, UpgradeRequest};
use crate::websocket::{Header, Opcode, PeerError, encode_frame};

mod channels;
mod life;
#[cfg(feature = "serde")]
mod payload;
#[cfg(feature = "resume")]
mod resume;
mod splits;

const ID: SocketId = SocketId::new(1001, 2001);

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

/// Keys that can be told from each other and foreseen.
struct Counter(u8);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

type TestClient = FixedClient<&'static str, Counter, 4>;

/// A client, with what it has sent and not been asked about.
struct Session {
    client: TestClient,
    config: ClientConfig<'static>,
    out: Vec<u8>,
}

impl Session {
    /// A client without a connection.
    fn new() -> Self {
        let config = ClientConfig::new("localhost", 6001, "app-key", 512);
        Self { client: Client::new(Counter(0), heapless::Vec::new()), config, out: vec![] }
    }

    /// A client that is online.
    fn online(channels: &[&'static str]) -> Self {
        let mut session = Self::new();
        for name in channels {
            session.client.subscribe(name).unwrap();
        }
        session.connect(at(0));
        session
    }

    fn write<T>(&mut self, act: impl FnOnce(&mut TestClient, &mut TxBuf<'_>) -> T) -> T {
        let mut memory = vec![0; 2048];
        let mut tx = TxBuf::new(&mut memory);
        let result = act(&mut self.client, &mut tx);
        self.out.extend_from_slice(tx.written());
        result
    }

    /// Opens a connection and returns the events up to the first question or need.
    fn connect(&mut self, now: Instant) -> Vec<String> {
        self.upgrade(now);
        self.feed(now, established(ID, 120))
    }

    /// Opens a connection up to the server's 101.
    fn upgrade(&mut self, now: Instant) {
        let config = self.config;
        self.write(|client, tx| client.open(&config, now, tx)).unwrap();
        let answer = accept(&std::mem::take(&mut self.out));
        assert_eq!(self.feed(now, answer), [""; 0]);
    }

    /// Feeds bytes until they are used up; events as their debug text.
    fn feed(&mut self, now: Instant, bytes: Vec<u8>) -> Vec<String> {
        self.try_feed(now, bytes).unwrap()
    }

    fn try_feed(&mut self, now: Instant, mut bytes: Vec<u8>) -> Result<Vec<String>, PeerError> {
        let mut events = vec![];
        loop {
            let (consumed, more, event) = self.write(|client, tx| {
                let step = client.handle_input(now, &mut bytes, tx)?;
                Ok(match step.progress {
                    Progress::Event(event) => (step.consumed, true, Some(format!("{event:?}"))),
                    Progress::Advanced => (step.consumed, true, None),
                    Progress::NeedInput { .. } => (step.consumed, false, None),
                    Progress::NeedOutput { .. } => panic!("there is room"),
                })
            })?;
            bytes.drain(..consumed);
            events.extend(event);
            if !more {
                return Ok(events);
            }
        }
    }

    /// The messages sent since the last call, as text.
    fn sent(&mut self) -> Vec<String> {
        let bytes = std::mem::take(&mut self.out);
        frames(&bytes).into_iter().map(|(_, text)| String::from_utf8(text).unwrap()).collect()
    }
}

/// The server's answer to an opening request.
fn accept(request: &[u8]) -> Vec<u8> {
    let Ok(Parse::Done { value: head, .. }) = RequestHead::parse(request, HeadLimits::new()) else {
        panic!("a whole request");
    };
    let mut memory = vec![0; 512];
    let mut tx = TxBuf::new(&mut memory);
    UpgradeRequest::from_head(&head).unwrap().accept(None, &mut tx).unwrap();
    tx.written().to_vec()
}

/// The bytes that an encoder of the server writes.
fn server(encode: impl FnOnce(&mut TxBuf<'_>) -> Result<(), TxFull>) -> Vec<u8> {
    let mut memory = vec![0; 4096];
    let mut tx = TxBuf::new(&mut memory);
    encode(&mut tx).unwrap();
    tx.written().to_vec()
}

fn established(id: SocketId, activity_s: u16) -> Vec<u8> {
    server(|tx| encode_connection_established(tx, id, activity_s))
}

fn succeeded(channel: &str) -> Vec<u8> {
    server(|tx| encode_subscription_succeeded(tx, channel))
}

fn event(channel: &str, event: &str, data: &str) -> Vec<u8> {
    server(|tx| encode_channel_event(tx, channel, event, data, None))
}

/// An unmasked frame, as a server sends it.
fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    server(|tx| encode_frame(tx, None, opcode, true, payload))
}

/// The client's frames, unmasked; each must have a key of its own.
fn frames(mut bytes: &[u8]) -> Vec<(Opcode, Vec<u8>)> {
    let mut frames = vec![];
    let mut keys = vec![];
    while !bytes.is_empty() {
        let Ok(Parse::Done { value, consumed }) = Header::parse(bytes) else { panic!("a header") };
        let key = value.mask.expect("a client masks");
        assert!(!keys.contains(&key), "a key is used twice");
        keys.push(key);
        let end = consumed + usize::try_from(value.len).unwrap();
        let payload = bytes[consumed..end].iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k);
        frames.push((value.opcode, payload.collect()));
        bytes = &bytes[end..];
    }
    frames
}

#[test]
fn the_machines_are_small() {
    // A secret takes 33 bytes of each place.
    let secrets = if cfg!(feature = "encrypted") { 8 * 40 } else { 0 };
    let positions = if cfg!(feature = "resume") { 8 * 16 } else { 0 };
    assert!(size_of::<FixedClient<&str, Counter, 8>>() <= 512 + secrets + positions);
    assert!(size_of::<ClientEvent<'_>>() <= 96);
    assert!(size_of::<Slot<&str>>() <= 24 + (secrets + positions) / 8);
}
