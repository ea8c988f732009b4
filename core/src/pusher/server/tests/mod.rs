use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::*;
use crate::channel::NameError;
use crate::error::{SendError, TxFull, UsageError};
use crate::io::{Parse, Progress, TxBuf};
use crate::limits::{Limits, Oversize};
use crate::pusher::{ClientData, Closed, ErrorCode, Initiator, SocketId};
use crate::time::{Deadline, Instant, Timer};
use crate::websocket::{Header, Opcode, PeerError, encode_frame};

const ID: SocketId = SocketId::new(1001, 2001);

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

mod life;
mod reading;
mod timers;

/// A connection with a buffer for what it sends.
struct Peer {
    conn: ServerConn,
    config: ServerConfig,
    out: Vec<u8>,
}

impl Peer {
    /// An established connection.
    fn new(config: ServerConfig) -> Self {
        let mut peer = Self { conn: ServerConn::new(ID, &config, at(0)), config, out: vec![] };
        peer.write(|conn, config, tx| conn.establish(config, at(0), tx)).unwrap();
        peer.out.clear();
        peer
    }

    fn write<T>(
        &mut self,
        act: impl FnOnce(&mut ServerConn, &ServerConfig, &mut TxBuf<'_>) -> T,
    ) -> T {
        let mut memory = vec![0; 4096];
        let mut tx = TxBuf::new(&mut memory);
        let result = act(&mut self.conn, &self.config, &mut tx);
        self.out.extend_from_slice(tx.written());
        result
    }

    /// Feeds bytes until they are used up; events as their debug text.
    fn feed(&mut self, now: Instant, mut bytes: Vec<u8>) -> Result<Vec<String>, PeerError> {
        let mut events = vec![];
        loop {
            let (step, event) = self.write(|conn, config, tx| {
                let step = conn.handle_input(config, now, &mut bytes, tx)?;
                let event = match step.progress {
                    Progress::Event(event) => Some(format!("{event:?}")),
                    _ => None,
                };
                Ok((step.consumed, (event, matches!(step.progress, Progress::NeedInput { .. }))))
            })?;
            bytes.drain(..step);
            let (event, starved) = event;
            events.extend(event);
            if starved {
                assert!(bytes.is_empty(), "{} bytes are left", bytes.len());
                return Ok(events);
            }
        }
    }

    /// Sends one text message; what came of it, and the texts that were answered.
    fn say(&mut self, text: &str) -> (Vec<String>, Vec<String>) {
        self.out.clear();
        let events = self.feed(at(0), client_frame(Opcode::Text, text.as_bytes())).unwrap();
        (events, texts(&self.out))
    }
}

fn client_frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut memory = vec![0; payload.len() + Header::MAX_LEN];
    let mut tx = TxBuf::new(&mut memory);
    encode_frame(&mut tx, Some([0x37, 0xfa, 0x21, 0x3d]), opcode, true, payload).unwrap();
    tx.written().to_vec()
}

/// The frames in `bytes`.
fn frames(mut bytes: &[u8]) -> Vec<(Opcode, Vec<u8>)> {
    let mut frames = vec![];
    while !bytes.is_empty() {
        let Parse::Done { value, consumed } = Header::parse(bytes).unwrap() else {
            panic!("a header is cut: {bytes:?}");
        };
        assert!(value.mask.is_none() && value.fin);
        let end = consumed + usize::try_from(value.len).unwrap();
        frames.push((value.opcode, bytes[consumed..end].to_vec()));
        bytes = &bytes[end..];
    }
    frames
}

/// The text frames in `bytes`, which hold no others.
fn texts(bytes: &[u8]) -> Vec<String> {
    let text = |(opcode, payload)| {
        assert_eq!(opcode, Opcode::Text);
        String::from_utf8(payload).unwrap()
    };
    frames(bytes).into_iter().map(text).collect()
}

fn error(code: &str, message: &str) -> String {
    format!(r#"{{"event":"pusher:error","data":{{"code":{code},"message":"{message}"}}}}"#)
}

#[test]
fn sizes_are_pinned() {
    assert!(size_of::<ServerConn>() <= 128, "{}", size_of::<ServerConn>());
    assert!(size_of::<ServerEvent<'_>>() <= 96, "{}", size_of::<ServerEvent<'_>>());
    assert!(size_of::<Fault>() <= 16, "{}", size_of::<Fault>());
    assert!(size_of::<SendError>() <= 16);
    assert!(size_of::<PeerError>() <= 16);
}
