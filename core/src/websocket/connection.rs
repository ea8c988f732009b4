//! One end of an open WebSocket: decoder, encoder and closing handshake together.

use super::assembler::{Assembler, Delivery, Found, What, told};
use super::close::{self, CloseCode};
use super::encoder::{encode_control, encode_frame, write_frame};
use super::error::PeerError;
use super::frame::Piece;
use super::header::MAX_CONTROL;
use super::mask::Mask;
use super::opcode::{MessageKind, Opcode};
use super::role::Masking;
use crate::error::{SendError, TxFull, UsageError};
use crate::io::{Step, TxBuf};
use crate::limits::Limits;

#[cfg(test)]
mod tests;

/// The room in the output buffer that a step asks for: the longest answer, a masked control frame.
pub const MIN_TX: usize = 2 + 4 + MAX_CONTROL;

/// The longest reason in a close frame: a control frame's payload less the code.
const MAX_REASON: usize = MAX_CONTROL - 2;

/// What happened on a connection. It borrows from the input.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'i> {
    /// A whole message; a text one is valid UTF-8.
    Message {
        /// Text or binary.
        kind: MessageKind,
        /// The payload, unmasked and joined; to be changed in place at will.
        payload: &'i mut [u8],
    },
    /// The next piece of a message, on a connection that hands out [pieces](Connection::pieces). A message
    /// that is all there at once is a [`Message`](Self::Message) there too.
    Piece(Piece<'i>),
    /// A ping. Its pong is already written.
    Ping(&'i [u8]),
    /// A pong, asked for or not.
    Pong(&'i [u8]),
    /// A message over the limit has passed by ([`Oversize::Skip`](crate::limits::Oversize::Skip)).
    Skipped {
        /// Its payload in bytes.
        size: u64,
    },
    /// The peer's close frame; the last event. The answer is already written, unless the peer's frame was
    /// itself the answer to [`Connection::close`].
    Closed {
        /// The peer's code, if it gave one.
        code: Option<CloseCode>,
        /// The peer's reason, at most 123 bytes; may be empty.
        reason: &'i str,
    },
}

/// Where the closing handshake stands (RFC 6455 section 7).
///
/// ```text
///         close()                     the peer's close frame
///  Open ───────────▶ LocalClosing ──────────────────────────────▶ Closed
///   │                     └── end of stream, fail() ─────────────▶ ▲
///   │ the peer's close frame (the answer is written)               │
///   ├──────────────▶ RemoteClosing ── end of stream ───────────────┤
///   │ fail() (a close frame is written), end of stream             │
///   └──────────────────────────────────────────────────────────────┘
/// ```
///
/// In `Open` alone is anything sent. In `LocalClosing` messages that still arrive are thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Messages flow both ways.
    Open,
    /// Our close frame is written and the peer's is awaited. The adapter puts a limit on the wait.
    LocalClosing,
    /// The peer's close frame came and its answer is written: flush, then a server ends the transport, and
    /// a client waits a little for the server to do so (RFC 6455 section 7.1.1).
    RemoteClosing,
    /// Nothing more comes or goes: flush and end the transport.
    Closed,
}

/// One end of a connection whose opening handshake is done. Its role is its type:
/// [`ServerRole`](super::ServerRole) or [`ClientRole`](super::ClientRole).
///
/// No buffers inside: a server's is at most 80 bytes. See the [module](super) for the loop around it.
#[derive(Debug)]
pub struct Connection<M> {
    assembler: Assembler,
    /// The kind of the message that is being sent in fragments.
    sending: Option<MessageKind>,
    state: State,
    role: M,
}

impl<M: Masking> Connection<M> {
    /// An open connection that hands out whole messages.
    ///
    /// The input buffer must have the size that [`Decoder`](super::Decoder) asks for.
    pub const fn new(role: M, limits: Limits) -> Self {
        Self::with(role, limits, Delivery::Whole)
    }

    /// An open connection that hands out [`Event::Piece`] as payload arrives; for messages larger than the
    /// buffer.
    pub const fn pieces(role: M, limits: Limits) -> Self {
        Self::with(role, limits, Delivery::Pieces)
    }

    const fn with(role: M, limits: Limits, delivery: Delivery) -> Self {
        Self {
            assembler: Assembler::new(limits, delivery),
            sending: None,
            state: State::Open,
            role,
        }
    }

    /// Makes it a new connection, for the next transport.
    #[cfg(feature = "client-basic")]
    pub(crate) fn reset(&mut self, limits: Limits) {
        self.assembler = Assembler::new(limits, Delivery::Whole);
        self.sending = None;
        self.state = State::Open;
    }

    /// The key for a frame that is encoded elsewhere.
    #[cfg(feature = "client-basic")]
    pub(crate) fn next_key(&mut self) -> Option<[u8; 4]> {
        self.role.next_key()
    }

    /// The mask for the next frame.
    #[inline(always)]
    fn next_mask(&mut self) -> Option<Mask> {
        self.role.next_key().map(Mask::new)
    }

    /// Where the closing handshake stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Works on at most one frame at the front of `input`; see [`Decoder`](super::Decoder) for the contract on it.
    ///
    /// While the connection is open, a step asks for [`MIN_TX`] bytes of room before it does anything.
    ///
    /// # Errors
    /// The rule that the peer broke: call [`fail`](Self::fail) with it, flush and end the transport.
    #[inline]
    pub fn handle_input<'i>(
        &mut self,
        input: &'i mut [u8],
        tx: &mut TxBuf<'_>,
    ) -> Result<Step<Event<'i>>, PeerError> {
        #[cfg(not(feature = "small"))]
        if self.state == State::Open
            && tx.remaining() >= MIN_TX
            && let Some((kind, place)) = self.assembler.take_whole(M::ROLE, input)
        {
            let consumed = place.end;
            let payload = input.get_mut(place).unwrap_or_default();
            return Ok(Step::event(consumed, Event::Message { kind, payload }));
        }
        self.handle_any(input, tx)
    }

    /// A step in any state, for any frame.
    #[inline(never)]
    fn handle_any<'i>(
        &mut self,
        input: &'i mut [u8],
        tx: &mut TxBuf<'_>,
    ) -> Result<Step<Event<'i>>, PeerError> {
        match self.state {
            State::Open if tx.remaining() < MIN_TX => return Ok(Step::need_output(MIN_TX)),
            State::Open | State::LocalClosing => {}
            State::RemoteClosing | State::Closed => return Ok(discard(input.len())),
        }
        let open = self.state == State::Open;
        let Found { what, consumed, payload } = self.assembler.take_any(M::ROLE, input)?;
        let payload = input.get_mut(payload).unwrap_or_default();
        let event = match what {
            What::Need { at_least } => return Ok(Step::need_input(at_least)),
            What::Control(Opcode::Close) => {
                let (code, reason) =
                    close::parse_body(payload).map_err(|error| self.assembler.fail(error))?;
                if open {
                    // The code alone is sent back.
                    let code = payload.get(..2).unwrap_or_default();
                    self.answer(tx, Opcode::Close, code);
                    self.state = State::RemoteClosing;
                } else {
                    self.state = State::Closed;
                }
                Event::Closed { code, reason }
            }
            What::Advanced => return Ok(Step::advanced(consumed)),
            // Behind our close frame only the peer's matters, and nothing is sent.
            _ if !open => return Ok(Step::advanced(consumed)),
            What::Data { kind, offset: 0, last: true } => Event::Message { kind, payload },
            What::Data { kind, offset, last } => {
                Event::Piece(Piece { kind, offset: told(offset), last, payload })
            }
            What::Control(Opcode::Ping) => {
                self.answer(tx, Opcode::Pong, payload);
                Event::Ping(payload)
            }
            What::Control(_) => Event::Pong(payload),
            What::Skipped { size } => Event::Skipped { size: told(size) },
        };
        Ok(Step::event(consumed, event))
    }

    /// Writes an answer for which there is room.
    fn answer(&mut self, tx: &mut TxBuf<'_>, opcode: Opcode, payload: &[u8]) {
        let written = encode_control(tx, self.next_mask(), opcode, payload, &[]);
        debug_assert!(written.is_ok(), "room was checked before the step");
    }

    /// The transport has ended.
    ///
    /// # Errors
    /// [`PeerError::EndOfStream`] when it ended before the peer's close frame: what was under way is lost.
    pub fn handle_eof(&mut self) -> Result<(), PeerError> {
        let state = core::mem::replace(&mut self.state, State::Closed);
        match state {
            State::Open | State::LocalClosing => Err(PeerError::EndOfStream),
            State::RemoteClosing | State::Closed => Ok(()),
        }
    }

    /// Ends the connection because of an error: writes a close frame that says why, unless one was written
    /// before or the stream has ended. Flush and end the transport afterwards (RFC 6455 section 7.1.7).
    ///
    /// # Errors
    /// [`TxFull`] when the frame does not fit; nothing changed. Right after the step that gave the error
    /// there is room for it.
    pub fn fail(&mut self, error: PeerError, tx: &mut TxBuf<'_>) -> Result<(), TxFull> {
        if self.state == State::Open && error.close_code().is_sendable() {
            let code = error.close_code().as_u16().to_be_bytes();
            let reason = error.close_reason().as_bytes();
            encode_control(tx, self.next_mask(), Opcode::Close, &code, reason)?;
        }
        self.state = State::Closed;
        Ok(())
    }

    /// Begins the closing handshake: writes the close frame, behind which nothing more is sent.
    ///
    /// Messages that still arrive are thrown away; the handshake ends with [`Event::Closed`].
    ///
    /// # Errors
    /// [`UsageError::NotOpen`], [`UsageError::CloseCode`] for a code that must not be sent,
    /// [`UsageError::ReasonTooLong`] over 123 bytes, or [`TxFull`].
    pub fn close(
        &mut self,
        code: CloseCode,
        reason: &str,
        tx: &mut TxBuf<'_>,
    ) -> Result<(), SendError> {
        self.check_open()?;
        if !code.is_sendable() {
            return Err(UsageError::CloseCode.into());
        }
        if reason.len() > MAX_REASON {
            return Err(UsageError::ReasonTooLong.into());
        }
        let code = code.as_u16().to_be_bytes();
        encode_control(tx, self.next_mask(), Opcode::Close, &code, reason.as_bytes())?;
        self.state = State::LocalClosing;
        // What still comes is thrown away, so it need not be joined.
        self.assembler.hand_out_pieces();
        Ok(())
    }

    /// Sends a whole message as one frame. A text payload must be UTF-8, which is not checked here;
    /// [`send_text`](Self::send_text) takes a `str`.
    ///
    /// # Errors
    /// [`UsageError::NotOpen`], [`UsageError::MessageUnfinished`] between the fragments of another
    /// message, or [`TxFull`].
    #[inline]
    pub fn send(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        tx: &mut TxBuf<'_>,
    ) -> Result<(), SendError> {
        self.check_between_messages()?;
        Ok(encode_frame(tx, self.role.next_key(), kind.opcode(), true, payload)?)
    }

    /// Sends a text message as one frame.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_text(&mut self, text: &str, tx: &mut TxBuf<'_>) -> Result<(), SendError> {
        self.send(MessageKind::Text, text.as_bytes(), tx)
    }

    /// Sends a whole message as one frame whose payload `write` makes in place; see [`write_frame`].
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_with(
        &mut self,
        kind: MessageKind,
        tx: &mut TxBuf<'_>,
        write: impl FnOnce(&mut TxBuf<'_>) -> Result<(), TxFull>,
    ) -> Result<(), SendError> {
        self.check_between_messages()?;
        Ok(write_frame(tx, self.role.next_key(), kind, write)?)
    }

    /// Sends the next fragment of a message; the first call starts it and the one with `fin` ends it. So a
    /// long message goes through a small output buffer, flushed between the calls. Control frames may go
    /// between the fragments.
    ///
    /// Text fragments need not end between characters (RFC 6455 section 5.6).
    ///
    /// # Errors
    /// [`UsageError::NotOpen`], [`UsageError::MessageUnfinished`] when `kind` is not that of the message
    /// under way, or [`TxFull`].
    pub fn send_fragment(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        fin: bool,
        tx: &mut TxBuf<'_>,
    ) -> Result<(), SendError> {
        self.check_open()?;
        let opcode = match self.sending {
            None => kind.opcode(),
            Some(under_way) if under_way == kind => Opcode::Continuation,
            Some(_) => return Err(UsageError::MessageUnfinished.into()),
        };
        encode_frame(tx, self.role.next_key(), opcode, fin, payload)?;
        self.sending = if fin { None } else { Some(kind) };
        Ok(())
    }

    /// Sends a ping with at most 125 bytes of payload.
    ///
    /// # Errors
    /// [`UsageError::NotOpen`], [`UsageError::ControlTooLong`], or [`TxFull`].
    pub fn ping(&mut self, payload: &[u8], tx: &mut TxBuf<'_>) -> Result<(), SendError> {
        self.send_control(Opcode::Ping, payload, tx)
    }

    /// Sends a pong that nobody asked for, a sign of life that needs no answer (RFC 6455 section 5.5.3).
    /// Pings are answered without it.
    ///
    /// # Errors
    /// As [`ping`](Self::ping).
    pub fn pong(&mut self, payload: &[u8], tx: &mut TxBuf<'_>) -> Result<(), SendError> {
        self.send_control(Opcode::Pong, payload, tx)
    }

    fn send_control(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        tx: &mut TxBuf<'_>,
    ) -> Result<(), SendError> {
        self.check_open()?;
        if payload.len() > MAX_CONTROL {
            return Err(UsageError::ControlTooLong.into());
        }
        Ok(encode_control(tx, self.next_mask(), opcode, payload, &[])?)
    }

    fn check_open(&self) -> Result<(), UsageError> {
        match self.state {
            State::Open => Ok(()),
            State::LocalClosing | State::RemoteClosing | State::Closed => Err(UsageError::NotOpen),
        }
    }

    fn check_between_messages(&self) -> Result<(), UsageError> {
        self.check_open()?;
        match self.sending {
            None => Ok(()),
            Some(_) => Err(UsageError::MessageUnfinished),
        }
    }
}

#[cfg(feature = "client-basic")]
impl<E> Connection<super::role::ClientRole<E>> {
    /// The source of the masking keys.
    pub(crate) const fn entropy(&mut self) -> &mut E {
        &mut self.role.0
    }
}

/// A step behind the end: what comes is thrown away.
const fn discard<'i>(len: usize) -> Step<Event<'i>> {
    if len == 0 { Step::need_input(1) } else { Step::advanced(len) }
}
