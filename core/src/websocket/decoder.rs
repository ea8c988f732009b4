//! Frames and messages out of the input, in place.

use core::ops::Range;

use super::close;
use super::encoder::move_within;
use super::error::PeerError;
use super::frame::{Frame, Piece};
use super::header::Header;
use super::mask::Mask;
use super::opcode::{MessageKind, Opcode};
use super::role::Role;
use super::utf8;
use crate::io::{Parse, Step};
use crate::limits::{Limits, Oversize};

#[cfg(test)]
mod tests;

/// Up to this length, what is joined of a message is moved for any gap, so that a small device's buffer
/// loses no room to headers.
const ALWAYS_MOVED: usize = 4096;
/// Beyond it, a gap is closed once it has this part (an eighth) of what must be moved for it: each byte
/// of a gap pays for at most 8 bytes moved, so that all moving is linear in the input.
const GAP_SHARE: usize = 8;

/// How messages are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    /// Each message at once, its fragments joined in the caller's buffer.
    Whole,
    /// What is there, as soon as it is there.
    Pieces,
}

/// The message that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    None,
    Text,
    Binary,
    /// One over the limit, which passes by.
    Oversized,
    /// None, and none to come: the first error is the last.
    Failed(PeerError),
}

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
    limits: Limits,
    /// Bytes at the front of the input that are unmasked, checked and not yet handed out.
    joined: usize,
    /// Bytes behind them that are done with; 0 when nothing is joined.
    gap: usize,
    /// Payload bytes of the frame under way that have not been seen; 0 between frames.
    remaining: u64,
    /// The length of the message under way, as far as its headers have told.
    size: u64,
    /// The mask of the frame under way, if it has one.
    mask: Option<Mask>,
    open: Open,
    /// Whether the frame under way ends the message.
    fin: bool,
    /// How many bytes at the end of what is joined belong to a character that is not yet complete.
    tail: u8,
    delivery: Delivery,
    role: Role,
}

/// What was found, as places in the input.
enum Found {
    Need { at_least: usize },
    Advanced { consumed: usize },
    Data { kind: MessageKind, offset: u64, last: bool, payload: Range<usize>, consumed: usize },
    Control { opcode: Opcode, payload: Range<usize>, consumed: usize },
    Skipped { size: u64, consumed: usize },
}

impl Decoder {
    /// The least buffer for the delivery in pieces: the longest control frame and the bytes of an
    /// incomplete character before it.
    pub const MIN_BUFFER: usize = 2 + 4 + 125 + 3;

    /// A decoder at `role`'s end, which hands out whole messages.
    #[must_use]
    pub const fn new(role: Role, limits: Limits) -> Self {
        Self {
            limits,
            joined: 0,
            gap: 0,
            remaining: 0,
            size: 0,
            mask: None,
            open: Open::None,
            fin: false,
            tail: 0,
            delivery: Delivery::Whole,
            role,
        }
    }

    /// A decoder at `role`'s end, which hands out messages in pieces as they arrive.
    #[must_use]
    pub const fn pieces(role: Role, limits: Limits) -> Self {
        let mut decoder = Self::new(role, limits);
        decoder.hand_out_pieces();
        decoder
    }

    /// From here on, hands out what there is.
    pub(crate) const fn hand_out_pieces(&mut self) {
        self.delivery = Delivery::Pieces;
    }

    /// Whether no message and no frame is under way, as far as the input has been decoded.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        matches!(self.open, Open::None)
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
        let Some((kind, place)) = self.take_whole(input) else {
            return self.decode_any(input);
        };
        let consumed = place.end;
        let payload = input.get_mut(place).unwrap_or_default();
        Ok(Step::event(consumed, Frame::Data(Piece { kind, offset: 0, last: true, payload })))
    }

    /// The short way for the most frequent case: a message that is one frame and all there. `None` for
    /// everything else, and then no byte has been touched, or the error is noted.
    #[inline(always)]
    pub(crate) fn take_whole(&mut self, input: &mut [u8]) -> Option<(MessageKind, Range<usize>)> {
        let Ok(Parse::Done { value: header, consumed: head }) = Header::parse(input) else {
            return None;
        };
        let expected = header.fin && header.mask.is_some() == (self.role == Role::Server);
        let fits = header.len <= u64::from(self.limits.max_message);
        if self.open != Open::None || !expected || !fits {
            return None;
        }
        let end = head.checked_add(usize::try_from(header.len).ok()?)?;
        let payload = input.get_mut(head..end)?;
        let mask = header.mask.map(Mask::new);
        let kind = match header.opcode {
            Opcode::Text => {
                let ascii = mask.is_some_and(|mask| mask.unmask_text(payload));
                if !ascii && let Err(error) = utf8::check_whole(payload) {
                    self.open = Open::Failed(error);
                    return None;
                }
                MessageKind::Text
            }
            Opcode::Binary => {
                if let Some(mut mask) = mask {
                    mask.apply(payload);
                }
                MessageKind::Binary
            }
            Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => return None,
        };
        Some((kind, head..end))
    }

    /// The way for every case.
    #[inline(never)]
    pub(crate) fn decode_any<'i>(
        &mut self,
        input: &'i mut [u8],
    ) -> Result<Step<Frame<'i>>, PeerError> {
        if let Open::Failed(error) = self.open {
            return Err(error);
        }
        let step = self.find(input).and_then(|found| found.resolve(input));
        if let Err(error) = step {
            self.open = Open::Failed(error);
        }
        step
    }

    fn find(&mut self, input: &mut [u8]) -> Result<Found, PeerError> {
        if self.remaining > 0 {
            return self.take_payload(input);
        }
        let at = self.joined.saturating_add(self.gap);
        let unread = input.get_mut(at..).unwrap_or_default();
        let (header, head) = match Header::parse(unread)? {
            Parse::Done { value, consumed } => (value, consumed),
            Parse::NeedMore { at_least } => return Ok(self.starve(input, at_least)),
        };
        match (self.role, header.mask) {
            (Role::Server, None) => return Err(PeerError::MaskMissing),
            (Role::Client, Some(_)) => return Err(PeerError::MaskUnexpected),
            (Role::Server, Some(_)) | (Role::Client, None) => {}
        }
        if header.opcode.is_control() {
            return Ok(self.take_control(input, at, head, &header));
        }
        self.begin_frame(&header)?;
        self.gap = self.gap.saturating_add(head);
        self.take_payload(input)
    }

    /// Checks a data frame's header against the message under way and the limit, and makes it the frame
    /// under way.
    fn begin_frame(&mut self, header: &Header) -> Result<(), PeerError> {
        let first = match header.opcode {
            Opcode::Text => Some(Open::Text),
            Opcode::Binary => Some(Open::Binary),
            Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => None,
        };
        match (first, self.open) {
            (Some(open), Open::None) => {
                self.open = open;
                self.size = 0;
            }
            (None, Open::Text | Open::Binary | Open::Oversized) => {}
            (Some(_), Open::Text | Open::Binary | Open::Oversized) => {
                return Err(PeerError::MessageInterrupted);
            }
            (None, Open::None) => return Err(PeerError::ContinuationUnexpected),
            (_, Open::Failed(error)) => return Err(error),
        }
        self.size = self.size.saturating_add(header.len);
        if self.size > u64::from(self.limits.max_message) {
            match self.limits.oversize {
                Oversize::Close => return Err(PeerError::MessageTooBig),
                Oversize::Skip => {
                    self.open = Open::Oversized;
                    // What was joined of it is of no use; it leaves with the header.
                    self.gap = self.gap.saturating_add(self.joined);
                    self.joined = 0;
                    self.tail = 0;
                }
            }
        }
        self.remaining = header.len;
        self.fin = header.fin;
        self.mask = header.mask.map(Mask::new);
        Ok(())
    }

    /// A control frame, once all of it is there.
    fn take_control(&mut self, input: &mut [u8], at: usize, head: usize, header: &Header) -> Found {
        let start = at.saturating_add(head);
        let Some(end) = usize::try_from(header.len).ok().and_then(|len| start.checked_add(len))
        else {
            return Found::Need { at_least: usize::MAX };
        };
        let missing = end.saturating_sub(input.len());
        let Some(payload) = input.get_mut(start..end) else {
            return self.starve(input, missing.max(1));
        };
        if let Some(key) = header.mask {
            Mask::new(key).apply(payload);
        }
        let consumed = if self.joined == 0 {
            end
        } else {
            self.gap = end.saturating_sub(self.joined);
            0
        };
        Found::Control { opcode: header.opcode, payload: start..end, consumed }
    }

    /// The part of the frame's payload that is there.
    fn take_payload(&mut self, input: &mut [u8]) -> Result<Found, PeerError> {
        let at = self.joined.saturating_add(self.gap);
        let unread = input.len().saturating_sub(at);
        let fresh = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(unread);
        self.remaining = self.remaining.saturating_sub(fresh as u64);
        let complete = self.remaining == 0 && self.fin;
        let kind = match self.open {
            Open::Text => MessageKind::Text,
            Open::Binary => MessageKind::Binary,
            Open::None | Open::Oversized | Open::Failed(_) => {
                return Ok(self.skip(at.saturating_add(fresh), complete));
            }
        };
        let base = self.join(input, at, fresh, kind)?;

        let end = base.saturating_add(self.joined);
        if complete {
            if self.tail != 0 {
                return Err(PeerError::TextTruncated);
            }
            let offset = self.size.saturating_sub(self.joined as u64);
            let consumed = end.saturating_add(self.gap);
            self.joined = 0;
            self.gap = 0;
            self.open = Open::None;
            return Ok(Found::Data { kind, offset, last: true, payload: base..end, consumed });
        }
        let ready = self.joined.saturating_sub(usize::from(self.tail));
        if self.delivery == Delivery::Pieces && ready > 0 {
            let offset =
                self.size.saturating_sub(self.remaining).saturating_sub(self.joined as u64);
            let end = base.saturating_add(ready);
            self.joined = usize::from(self.tail);
            let mut consumed = end;
            if self.joined == 0 {
                consumed = consumed.saturating_add(self.gap);
                self.gap = 0;
            }
            return Ok(Found::Data { kind, offset, last: false, payload: base..end, consumed });
        }
        if self.remaining == 0 || base > 0 {
            return Ok(Found::Advanced { consumed: base });
        }
        let at_least = match self.delivery {
            Delivery::Whole => usize::try_from(self.remaining).unwrap_or(usize::MAX),
            Delivery::Pieces => 1,
        };
        Ok(self.starve(input, at_least))
    }

    /// Unmasks and checks `fresh` bytes of payload at `at` and joins them to what there is of the message.
    /// Returns where what is joined starts; the bytes before that are done with.
    fn join(
        &mut self,
        input: &mut [u8],
        at: usize,
        fresh: usize,
        kind: MessageKind,
    ) -> Result<usize, PeerError> {
        let end = at.saturating_add(fresh);
        let payload = input.get_mut(at..end).unwrap_or_default();
        let mut known_ascii = false;
        if let Some(mask) = &mut self.mask {
            match kind {
                MessageKind::Text => known_ascii = mask.apply_and_see_ascii(payload),
                MessageKind::Binary => mask.apply(payload),
            }
        }

        // The gap goes before the message or behind it, whichever moves less.
        let mut base = 0;
        if self.joined <= fresh {
            if self.gap > 0 && self.joined > 0 {
                move_within(input, 0, self.gap, self.joined);
            }
            base = self.gap;
            self.gap = 0;
        } else if self.gap > 0 {
            move_within(input, at, self.joined, fresh);
        }
        let joined_end = base.saturating_add(self.joined);
        self.joined = self.joined.saturating_add(fresh);

        if kind == MessageKind::Text && !(known_ascii && self.tail == 0) {
            let from = joined_end.saturating_sub(usize::from(self.tail));
            let to = joined_end.saturating_add(fresh);
            self.tail = utf8::check(input.get(from..to).unwrap_or_default())?;
        }
        Ok(base)
    }

    /// Lets the payload of an oversized message pass, up to `end`.
    fn skip(&mut self, end: usize, complete: bool) -> Found {
        self.gap = 0;
        if complete {
            self.open = Open::None;
            return Found::Skipped { size: self.size, consumed: end };
        }
        if end > 0 {
            return Found::Advanced { consumed: end };
        }
        Found::Need { at_least: 1 }
    }

    /// Nothing more can be done with the input: gives the gap's room back if that is worth the move, else
    /// asks for input.
    #[cold]
    fn starve(&mut self, input: &mut [u8], at_least: usize) -> Found {
        let worth = self.joined <= ALWAYS_MOVED || self.gap >= self.joined / GAP_SHARE;
        if self.gap > 0 && worth && move_within(input, 0, self.gap, self.joined).is_some() {
            let consumed = self.gap;
            self.gap = 0;
            return Found::Advanced { consumed };
        }
        Found::Need { at_least }
    }
}

impl Found {
    /// Turns places into borrows.
    #[inline]
    fn resolve(self, input: &mut [u8]) -> Result<Step<Frame<'_>>, PeerError> {
        Ok(match self {
            Self::Need { at_least } => Step::need_input(at_least),
            Self::Advanced { consumed } => Step::advanced(consumed),
            Self::Skipped { size, consumed } => Step::event(consumed, Frame::Skipped { size }),
            Self::Data { kind, offset, last, payload, consumed } => {
                let payload = input.get_mut(payload).unwrap_or_default();
                Step::event(consumed, Frame::Data(Piece { kind, offset, last, payload }))
            }
            Self::Control { opcode, payload, consumed } => {
                let payload = input.get(payload).unwrap_or_default();
                let frame = match opcode {
                    Opcode::Ping => Frame::Ping(payload),
                    Opcode::Pong => Frame::Pong(payload),
                    Opcode::Close | Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                        let (code, reason) = close::parse_body(payload)?;
                        Frame::Close { code, reason }
                    }
                };
                Step::event(consumed, frame)
            }
        })
    }
}
