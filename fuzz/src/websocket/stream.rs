//! A stream of frames through the decoder.

use tidings_core::io::{Progress, Step};
use tidings_core::websocket::{Decoder, Frame, MessageKind, Piece, Role};

use super::cuts::Cuts;
use super::limits;
use super::model::{self, Reading, Seen};

/// The first two bytes of the input choose role, limits, delivery and how the rest is cut; the rest is the stream.
///
/// Invariant: whatever the cuts, the decoder reports what a straightforward reading of all bytes at once reports; it
/// consumes what is there, never reports more than it was given, and comes to an end.
pub fn frame_stream(data: &[u8]) {
    let Some((&[settings, cuts], stream)) = data.split_first_chunk::<2>() else { return };
    let role = if settings & 1 == 0 { Role::Server } else { Role::Client };
    let limits = limits(settings);
    let decoder =
        if settings & 16 == 0 { Decoder::new(role, limits) } else { Decoder::pieces(role, limits) };
    assert_eq!(decode(decoder, stream, Cuts::new(cuts)), model::read(role, limits, stream));
}

/// Decodes a stream that arrives in these cuts, up to a close frame, an error or the end.
fn decode(mut decoder: Decoder, mut stream: &[u8], mut cuts: Cuts) -> Reading {
    let mut reading = Reading::default();
    let mut pieces = Pieces::default();
    let mut buffer = Vec::new();
    let mut needed = 0;
    // A step takes a frame or what there is of one, so a read makes few of them.
    let mut steps = 16 + 4 * stream.len();
    loop {
        steps = steps.checked_sub(1).expect("the decoder to make progress");
        let before = buffer.len();
        let Step { consumed, progress } = match decoder.decode(&mut buffer) {
            Ok(step) => step,
            Err(error) => {
                assert_eq!(decoder.decode(&mut buffer), Err(error), "the first error is the last");
                reading.error = Some(error);
                return reading;
            }
        };
        assert!(consumed <= before);
        let starved = matches!(progress, Progress::NeedInput { .. });
        match progress {
            Progress::Event(frame) => {
                assert!(
                    before >= needed,
                    "an event before the {needed} bytes that it was said to need"
                );
                let event = pieces.see(frame);
                let last = matches!(event, Some(Seen::Close(..)));
                reading.seen.extend(event);
                if last {
                    return reading;
                }
            }
            Progress::Advanced => {}
            Progress::NeedInput { at_least } => {
                assert!(at_least >= 1);
                needed = before.saturating_add(at_least);
            }
            Progress::NeedOutput { .. } => panic!("a decoder writes nothing"),
        }
        buffer.drain(..consumed);
        needed = if starved { needed.saturating_sub(consumed) } else { 0 };
        if starved {
            if stream.is_empty() {
                return reading;
            }
            buffer.extend_from_slice(cuts.take(&mut stream));
        }
    }
}

/// The pieces of the message under way.
#[derive(Debug, Default)]
struct Pieces {
    kind: Option<MessageKind>,
    payload: Vec<u8>,
}

impl Pieces {
    /// What a frame adds to what is seen.
    fn see(&mut self, frame: Frame<'_>) -> Option<Seen> {
        Some(match frame {
            Frame::Data(piece) => return self.join(piece),
            Frame::Ping(payload) => Seen::Ping(payload.to_vec()),
            Frame::Pong(payload) => Seen::Pong(payload.to_vec()),
            Frame::Close { code, reason } => {
                Seen::Close(code.map(|code| code.as_u16()), reason.to_owned())
            }
            Frame::Skipped { size } => {
                *self = Self::default();
                Seen::Skipped(size)
            }
            other => panic!("{other:?}"),
        })
    }

    fn join(&mut self, piece: Piece<'_>) -> Option<Seen> {
        assert_eq!(piece.offset, self.payload.len() as u64);
        assert!(piece.last || !piece.payload.is_empty());
        assert_eq!(*self.kind.get_or_insert(piece.kind), piece.kind);
        if piece.kind == MessageKind::Text {
            str::from_utf8(piece.payload).expect("text");
        }
        self.payload.extend_from_slice(piece.payload);
        piece.last.then(|| {
            let whole = std::mem::take(self);
            Seen::Message(piece.kind, whole.payload)
        })
    }
}
