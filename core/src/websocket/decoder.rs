//! Frames and messages out of the input, in place.

use super::assembler::{Assembler, Delivery, Found, What, told};
use super::close;
use super::error::PeerError;
use super::frame::{Frame, Piece};
use super::opcode::Opcode;
use super::role::Role;
use crate::io::Step;
use crate::limits::Limits;

#[cfg(test)]
mod tests;

/// The decoder of one direction of a connection.
///
/// It unmasks, checks every rule that RFC 6455 has for the peer, and hands out messages and control
/// frames that borrow from the input. It keeps no payload: what is not yet complete stays in the caller's
/// buffer, so until bytes are consumed the caller may append behind them and must alter nothing else.
/// Each payload byte is unmasked and checked once, when it is first seen, however the input is cut.
///
/// Messages come whole ([`new`](Self::new)) or in pieces ([`pieces`](Self::pieces)):
///
/// - **Whole**: fragments are joined in place at the front of the buffer. The buffer must hold the
///   largest message ([`Limits::max_message`]), one header and one control frame; with messages over
///   4,096 bytes an eighth more, for the gaps that headers leave.
/// - **Pieces**: the buffer need only hold a control frame ([`Decoder::MIN_BUFFER`]); messages of any
///   length up to the limit pass through it. Bytes of a character that is not yet complete (at most 3)
///   are held back, so that each text piece is valid on its own.
///
/// A control frame between two fragments is handed out at once; as the bytes before it are still needed,
/// such a step consumes nothing, and its bytes go later.
///
/// ```
/// use tidings_core::io::Progress;
/// use tidings_core::limits::Limits;
/// use tidings_core::websocket::{Decoder, Frame, Role};
///
/// let mut decoder = Decoder::new(Role::Client, Limits::new());
/// let mut input = *b"\x01\x03tid\x89\x01?\x80\x04ings";
/// let mut at = 0;
/// let mut seen = 0;
/// loop {
///     let step = decoder.decode(&mut input[at..]).unwrap();
///     match step.progress {
///         Progress::Event(Frame::Ping(payload)) => assert_eq!(payload, b"?"),
///         Progress::Event(Frame::Data(piece)) => assert_eq!(piece.payload, b"tidings"),
///         Progress::Event(other) => panic!("{other:?}"),
///         Progress::Advanced => {}
///         Progress::NeedInput { .. } | Progress::NeedOutput { .. } => break,
///     }
///     at += step.consumed;
///     seen += 1;
/// }
/// assert!(at == input.len() && seen >= 2);
/// ```
#[derive(Debug)]
pub struct Decoder {
    assembler: Assembler,
    role: Role,
}

impl Decoder {
    /// The least buffer for the delivery in pieces: the longest control frame and the bytes of an
    /// incomplete character before it.
    pub const MIN_BUFFER: usize = 2 + 4 + 125 + 3;

    /// A decoder at `role`'s end, which hands out whole messages.
    #[must_use]
    pub const fn new(role: Role, limits: Limits) -> Self {
        Self { assembler: Assembler::new(limits, Delivery::Whole), role }
    }

    /// A decoder at `role`'s end, which hands out messages in pieces as they arrive.
    #[must_use]
    pub const fn pieces(role: Role, limits: Limits) -> Self {
        Self { assembler: Assembler::new(limits, Delivery::Pieces), role }
    }

    /// Whether messages come whole.
    #[cfg(test)]
    fn hands_out_whole(&self) -> bool {
        self.assembler.hands_out_whole()
    }

    /// Whether no message is under way, as far as the input has been decoded.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.assembler.is_idle()
    }

    /// Decodes at most one frame at the front of `input`.
    ///
    /// Call it with all the bytes that are not yet consumed, until it needs input. It never asks for room
    /// to write.
    ///
    /// # Errors
    /// The rule that the peer broke. It is final: each later call gives the same error.
    #[inline]
    pub fn decode<'i>(&mut self, input: &'i mut [u8]) -> Result<Step<Frame<'i>>, PeerError> {
        #[cfg(not(feature = "small"))]
        if let Some((kind, place)) = self.assembler.take_whole(self.role, input) {
            let consumed = place.end;
            let payload = input.get_mut(place).unwrap_or_default();
            let piece = Piece { kind, offset: 0, last: true, payload };
            return Ok(Step::event(consumed, Frame::Data(piece)));
        }
        self.decode_any(input)
    }

    fn decode_any<'i>(&mut self, input: &'i mut [u8]) -> Result<Step<Frame<'i>>, PeerError> {
        let Found { what, consumed, payload } = self.assembler.take_any(self.role, input)?;
        let payload = input.get_mut(payload).unwrap_or_default();
        let frame = match what {
            What::Need { at_least } => return Ok(Step::need_input(at_least)),
            What::Advanced => return Ok(Step::advanced(consumed)),
            What::Skipped { size } => Frame::Skipped { size: told(size) },
            What::Data { kind, offset, last } => {
                Frame::Data(Piece { kind, offset: told(offset), last, payload })
            }
            What::Control(Opcode::Ping) => Frame::Ping(payload),
            What::Control(Opcode::Pong) => Frame::Pong(payload),
            What::Control(_) => match close::parse_body(payload) {
                Ok((code, reason)) => Frame::Close { code, reason },
                Err(error) => return Err(self.assembler.fail(error)),
            },
        };
        Ok(Step::event(consumed, frame))
    }
}
