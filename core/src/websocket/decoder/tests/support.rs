//! A decoder in a bounded buffer, fed in parts, and frames to feed it with.

use crate::io::{Progress, TxBuf};
use crate::limits::Limits;
use crate::websocket::{
    CloseCode, Decoder, Frame, Header, MessageKind, Opcode, PeerError, Piece, Role, encode_frame,
};
use std::string::String;
use std::vec;
use std::vec::Vec;

/// A [`Frame`] that outlives its input; pieces of a message are put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Message(MessageKind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    Skipped(u64),
}

/// A decoder with its caller's buffer.
pub(super) struct Reader {
    pub(super) decoder: Decoder,
    whole: bool,
    buffer: Vec<u8>,
    capacity: usize,
    /// The pieces of the message under way.
    partial: Option<(MessageKind, Vec<u8>)>,
    /// The lengths of all pieces.
    pub(super) pieces: Vec<usize>,
    pub(super) seen: Vec<Seen>,
}

impl Reader {
    pub(super) fn new(decoder: Decoder, capacity: usize) -> Self {
        Self {
            whole: decoder.hands_out_whole(),
            decoder,
            buffer: Vec::new(),
            capacity,
            partial: None,
            pieces: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// Feeds `wire` in parts of these lengths (the last one repeats) and steps until each is used up.
    /// Panics when the decoder stands still with a full buffer.
    pub(super) fn feed(&mut self, wire: &[u8], parts: &[usize]) -> Result<(), PeerError> {
        let mut lengths = parts.iter().copied().chain(std::iter::repeat(*parts.last().unwrap()));
        let mut wire = wire;
        while !wire.is_empty() {
            let room = self.capacity - self.buffer.len();
            assert!(room > 0, "stuck with {} bytes", self.buffer.len());
            let part = lengths.next().unwrap().clamp(1, room).min(wire.len());
            self.buffer.extend_from_slice(&wire[..part]);
            wire = &wire[part..];
            self.drain()?;
        }
        Ok(())
    }

    /// Steps until the decoder needs input.
    fn drain(&mut self) -> Result<(), PeerError> {
        let most = 4 * self.buffer.len() + 4;
        let mut at = 0;
        for _ in 0..most {
            let whole = self.whole;
            let step = self.decoder.decode(&mut self.buffer[at..])?;
            let consumed = step.consumed;
            match step.progress {
                Progress::Event(Frame::Data(piece)) => {
                    assert!(
                        !whole || (piece.last && piece.first()),
                        "a whole message was asked for"
                    );
                    take_piece(piece, &mut self.partial, &mut self.pieces, &mut self.seen);
                }
                Progress::Event(Frame::Ping(p)) => self.seen.push(Seen::Ping(p.to_vec())),
                Progress::Event(Frame::Pong(p)) => self.seen.push(Seen::Pong(p.to_vec())),
                Progress::Event(Frame::Close { code, reason }) => {
                    self.seen.push(Seen::Close(code.map(CloseCode::as_u16), reason.into()));
                }
                Progress::Event(Frame::Skipped { size }) => {
                    self.partial = None;
                    self.seen.push(Seen::Skipped(size));
                }
                Progress::Advanced => {}
                Progress::NeedInput { at_least } => {
                    assert!(at_least >= 1);
                    assert_eq!(consumed, 0);
                    self.buffer.drain(..at);
                    return Ok(());
                }
                Progress::NeedOutput { .. } => panic!("a decoder writes nothing"),
            }
            at += consumed;
            assert!(at <= self.buffer.len(), "consumed more than there is");
        }
        panic!("{most} steps without an end");
    }
}

/// Puts a piece behind those before it.
fn take_piece(
    piece: Piece<'_>,
    partial: &mut Option<(MessageKind, Vec<u8>)>,
    pieces: &mut Vec<usize>,
    seen: &mut Vec<Seen>,
) {
    let Piece { kind, offset, last, payload } = piece;
    assert!(last || !payload.is_empty(), "an empty piece says nothing");
    if kind == MessageKind::Text {
        std::str::from_utf8(payload).expect("each piece is valid by itself");
    }
    pieces.push(payload.len());
    let (under_way, joined) = partial.get_or_insert((kind, Vec::new()));
    assert_eq!((*under_way, joined.len() as u64), (kind, offset));
    joined.extend_from_slice(payload);
    if last {
        let (kind, joined) = partial.take().unwrap();
        seen.push(Seen::Message(kind, joined));
    }
}

/// What the decoder sees when `wire` comes in these parts.
pub(super) fn decode(
    decoder: Decoder,
    wire: &[u8],
    parts: &[usize],
) -> (Vec<Seen>, Option<PeerError>) {
    let mut reader = Reader::new(decoder, usize::MAX / 2);
    let error = reader.feed(wire, parts).err();
    (reader.seen, error)
}

/// A decoder at the server's end, so that frames are masked.
pub(super) fn server() -> Decoder {
    Decoder::new(Role::Server, Limits::new())
}

/// A decoder at the client's end.
pub(super) fn client() -> Decoder {
    Decoder::new(Role::Client, Limits::new())
}

/// One frame, as the other end of `role` sends it.
pub(super) fn frame(role: Role, opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mask = match role {
        Role::Server => Some([0xA5, 0x3C, 0x81, 0x7E]),
        Role::Client => None,
    };
    let mut memory = vec![0; payload.len() + Header::MAX_LEN];
    let mut tx = TxBuf::new(&mut memory);
    encode_frame(&mut tx, mask, opcode, fin, payload).unwrap();
    tx.written().to_vec()
}

/// A text message in these fragments, as a server sends it.
pub(super) fn text_fragments(parts: &[&[u8]]) -> Vec<u8> {
    let mut wire = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let opcode = if i == 0 { Opcode::Text } else { Opcode::Continuation };
        wire.extend(frame(Role::Client, opcode, i + 1 == parts.len(), part));
    }
    wire
}

pub(super) fn text(text: &str) -> Seen {
    Seen::Message(MessageKind::Text, text.as_bytes().to_vec())
}
