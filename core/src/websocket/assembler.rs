//! Frames put together into messages, in the caller's buffer: what is found is told as places in it.

use core::ops::Range;

use super::error::PeerError;
use super::header::Header;
use super::mask::Mask;
use super::opcode::{MessageKind, Opcode};
use super::role::Role;
use super::utf8;
use crate::io::{Parse, move_within};
use crate::limits::{Limits, Oversize};

/// Up to this length, what is joined of a message is moved for any gap, so that a small device's buffer
/// loses no room to headers.
const ALWAYS_MOVED: usize = 4096;
/// Beyond it, a gap is closed once it has this part (an eighth) of what must be moved for it: each byte
/// of a gap pays for at most 8 bytes moved, so that all moving is linear in the input.
const GAP_SHARE: usize = 8;

/// The length of a frame or a message. Small devices do without the half that no message of theirs reaches: there a frame or
/// a message of 4 GiB always ends the connection.
#[cfg(not(feature = "small"))]
pub(super) type Size = u64;
#[cfg(feature = "small")]
pub(super) type Size = u32;

/// The length as it is told.
#[cfg(not(feature = "small"))]
pub(super) const fn told(size: Size) -> u64 {
    size
}
#[cfg(feature = "small")]
pub(super) const fn told(size: Size) -> u64 {
    size as u64
}

/// The length of a part of a message: no longer than the message.
#[inline]
fn size_of_part(bytes: usize) -> Size {
    Size::try_from(bytes).unwrap_or(Size::MAX)
}

/// How messages are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
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

/// What was found.
pub(super) struct Found {
    pub(super) what: What,
    /// Bytes to drop from the front of the input.
    pub(super) consumed: usize,
    /// The place in the input of what was found.
    pub(super) payload: Range<usize>,
}

/// What a step finds.
pub(super) enum What {
    /// Nothing more is to be had from so little input.
    Need {
        at_least: usize,
    },
    Advanced,
    Data {
        kind: MessageKind,
        offset: Size,
        last: bool,
    },
    Control(Opcode),
    Skipped {
        size: Size,
    },
}

impl Found {
    const fn without_payload(what: What, consumed: usize) -> Self {
        Self { what, consumed, payload: 0..0 }
    }
}

/// The state between two steps.
///
/// The input is always laid out as: what is joined of the message under way; a gap of bytes that are done with;
/// what has not been seen. Sums of places in it wrap, as they cannot overflow while the caller keeps to the contract;
/// when it does not, they name places that are not there, which is no worse than other wrong ones.
///
/// The role is an argument: where a program has one role only, the compiler leaves the other's code out.
#[derive(Debug)]
pub(super) struct Assembler {
    limits: Limits,
    /// Bytes at the front of the input that are unmasked, checked and not yet handed out.
    joined: usize,
    /// Bytes behind them that are done with; 0 when nothing is joined.
    gap: usize,
    /// Payload bytes of the frame under way that have not been seen; 0 between frames.
    remaining: Size,
    /// The length of the message under way, as far as its headers have told.
    size: Size,
    /// The mask of the frame under way, if it has one.
    mask: Option<Mask>,
    open: Open,
    /// Whether the frame under way ends the message.
    fin: bool,
    /// How many bytes at the end of what is joined belong to a character that is not yet complete.
    tail: u8,
    delivery: Delivery,
}

impl Assembler {
    pub(super) const fn new(limits: Limits, delivery: Delivery) -> Self {
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
            delivery,
        }
    }

    /// From here on, hands out what there is.
    pub(super) const fn hand_out_pieces(&mut self) {
        self.delivery = Delivery::Pieces;
    }

    #[cfg(test)]
    pub(super) fn hands_out_whole(&self) -> bool {
        self.delivery == Delivery::Whole
    }

    /// Whether no message is under way.
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.open, Open::None)
    }

    /// Makes `error` the last word.
    pub(super) const fn fail(&mut self, error: PeerError) -> PeerError {
        self.open = Open::Failed(error);
        error
    }

    /// The short way for the most frequent case: a message that is one frame and all there. `None` for
    /// everything else, and then no byte has been touched, or the error is noted.
    #[cfg(not(feature = "small"))]
    #[inline(always)]
    pub(super) fn take_whole(
        &mut self,
        role: Role,
        input: &mut [u8],
    ) -> Option<(MessageKind, Range<usize>)> {
        let Ok(Parse::Done { value: header, consumed: head }) = Header::parse(input) else {
            return None;
        };
        let expected = header.fin && header.mask.is_some() == (role == Role::Server);
        let fits = header.len <= u64::from(self.limits.max_message);
        if self.open != Open::None || !expected || !fits {
            return None;
        }
        let end = head.checked_add(usize::try_from(header.len).ok()?)?;
        let payload = input.get_mut(head..end)?;
        let kind = match header.opcode {
            Opcode::Text => MessageKind::Text,
            Opcode::Binary => MessageKind::Binary,
            Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => return None,
        };
        let ascii = unmask(role, header.mask.map(Mask::new).as_mut(), payload);
        if kind == MessageKind::Text
            && !ascii
            && let Err(error) = utf8::check_whole(payload)
        {
            self.fail(error);
            return None;
        }
        Some((kind, head..end))
    }

    /// The way for every case.
    #[cfg_attr(not(feature = "small"), inline(never))]
    #[cfg_attr(feature = "small", inline(always))]
    pub(super) fn take_any(&mut self, role: Role, input: &mut [u8]) -> Result<Found, PeerError> {
        if let Open::Failed(error) = self.open {
            return Err(error);
        }
        self.take(role, input).map_err(|error| self.fail(error))
    }

    fn take(&mut self, role: Role, input: &mut [u8]) -> Result<Found, PeerError> {
        if self.remaining == 0 {
            let at = self.joined.wrapping_add(self.gap);
            let unread = input.get_mut(at..).unwrap_or_default();
            let (header, head) = match Header::parse(unread)? {
                Parse::Done { value, consumed } => (value, consumed),
                Parse::NeedMore { at_least } => return Ok(self.starve(input, at_least)),
            };
            match (role, header.mask) {
                (Role::Server, None) => return Err(PeerError::MaskMissing),
                (Role::Client, Some(_)) => return Err(PeerError::MaskUnexpected),
                (Role::Server, Some(_)) | (Role::Client, None) => {}
            }
            if header.opcode.is_control() {
                return Ok(self.take_control(role, input, at.wrapping_add(head), &header));
            }
            self.begin_frame(&header)?;
            self.gap = self.gap.wrapping_add(head);
        }
        self.take_payload(role, input)
    }

    /// Checks a data frame's header against the message under way and the limit, and makes it the frame
    /// under way.
    fn begin_frame(&mut self, header: &Header) -> Result<(), PeerError> {
        let first = match header.opcode {
            Opcode::Text => Some(Open::Text),
            Opcode::Binary => Some(Open::Binary),
            Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => None,
        };
        match (first, self.is_idle()) {
            (Some(open), true) => {
                self.open = open;
                self.size = 0;
            }
            (None, false) => {}
            (Some(_), false) => return Err(PeerError::MessageInterrupted),
            (None, true) => return Err(PeerError::ContinuationUnexpected),
        }
        let len = Size::try_from(header.len).map_err(|_| PeerError::MessageTooBig)?;
        self.size = self.size.checked_add(len).ok_or(PeerError::MessageTooBig)?;
        if self.size > Size::from(self.limits.max_message) {
            match self.limits.oversize {
                Oversize::Close => return Err(PeerError::MessageTooBig),
                Oversize::Skip => {
                    self.open = Open::Oversized;
                    // What was joined of it is of no use; it leaves with the header.
                    self.gap = self.gap.wrapping_add(self.joined);
                    self.joined = 0;
                    self.tail = 0;
                }
            }
        }
        self.remaining = len;
        self.fin = header.fin;
        self.mask = header.mask.map(Mask::new);
        Ok(())
    }

    /// A control frame with its payload at `start`, once all of it is there.
    fn take_control(
        &mut self,
        role: Role,
        input: &mut [u8],
        start: usize,
        header: &Header,
    ) -> Found {
        // At most 125, as the header was parsed.
        let [.., len] = header.len.to_be_bytes();
        let end = start.wrapping_add(usize::from(len));
        let there = input.len();
        let Some(payload) = input.get_mut(start..end) else {
            return self.starve(input, end.saturating_sub(there).max(1));
        };
        unmask(role, header.mask.map(Mask::new).as_mut(), payload);
        let consumed = if self.joined == 0 {
            end
        } else {
            self.gap = end.wrapping_sub(self.joined);
            0
        };
        Found { what: What::Control(header.opcode), consumed, payload: start..end }
    }

    /// The part of the frame's payload that is there.
    fn take_payload(&mut self, role: Role, input: &mut [u8]) -> Result<Found, PeerError> {
        let at = self.joined.wrapping_add(self.gap);
        let unread = input.len().saturating_sub(at);
        let fresh = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(unread);
        self.remaining = self.remaining.wrapping_sub(size_of_part(fresh));
        let complete = self.remaining == 0 && self.fin;
        let kind = match self.open {
            Open::Text => MessageKind::Text,
            Open::Binary => MessageKind::Binary,
            Open::None | Open::Oversized | Open::Failed(_) => {
                return Ok(self.skip(at.wrapping_add(fresh), complete));
            }
        };
        let base = self.join(role, input, at, fresh, kind)?;

        if complete && self.tail != 0 {
            return Err(PeerError::TextTruncated);
        }
        let ready = self.joined.wrapping_sub(usize::from(self.tail));
        if complete || (self.delivery == Delivery::Pieces && ready > 0) {
            let seen = self.size.wrapping_sub(self.remaining);
            let offset = seen.wrapping_sub(size_of_part(self.joined));
            let end = base.wrapping_add(ready);
            let mut consumed = end;
            self.joined = usize::from(self.tail);
            if self.joined == 0 {
                consumed = consumed.wrapping_add(self.gap);
                self.gap = 0;
            }
            if complete {
                self.open = Open::None;
            }
            let what = What::Data { kind, offset, last: complete };
            return Ok(Found { what, consumed, payload: base..end });
        }
        if self.remaining == 0 || base > 0 {
            return Ok(Found::without_payload(What::Advanced, base));
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
        role: Role,
        input: &mut [u8],
        at: usize,
        fresh: usize,
        kind: MessageKind,
    ) -> Result<usize, PeerError> {
        let payload = input.get_mut(at..at.wrapping_add(fresh)).unwrap_or_default();
        let ascii = unmask(role, self.mask.as_mut(), payload);

        // The gap goes before the message or behind it, whichever moves less.
        let mut base = 0;
        let (mut from, mut to, mut len) = (at, self.joined, fresh);
        if self.joined <= fresh {
            base = core::mem::take(&mut self.gap);
            (from, to, len) = (0, base, self.joined);
        }
        move_within(input, from, to, len);
        let joined_end = base.wrapping_add(self.joined);
        self.joined = self.joined.wrapping_add(fresh);

        if kind == MessageKind::Text && !(ascii && self.tail == 0) {
            let from = joined_end.wrapping_sub(usize::from(self.tail));
            let to = joined_end.wrapping_add(fresh);
            self.tail = utf8::check(input.get(from..to).unwrap_or_default())?;
        }
        Ok(base)
    }

    /// Lets the payload of an oversized message pass, up to `end`.
    fn skip(&mut self, end: usize, complete: bool) -> Found {
        self.gap = 0;
        if complete {
            self.open = Open::None;
            return Found::without_payload(What::Skipped { size: self.size }, end);
        }
        let what = if end > 0 { What::Advanced } else { What::Need { at_least: 1 } };
        Found::without_payload(what, end)
    }

    /// Nothing more can be done with the input: gives the gap's room back if that is worth the move, else
    /// asks for input.
    #[inline(always)]
    fn starve(&mut self, input: &mut [u8], at_least: usize) -> Found {
        let consumed = self.close_gap(input);
        let what = if consumed > 0 { What::Advanced } else { What::Need { at_least } };
        Found::without_payload(what, consumed)
    }

    /// Moves what is joined up to what has not been seen, if that is worth it, and tells by how much.
    #[cold]
    #[inline(never)]
    fn close_gap(&mut self, input: &mut [u8]) -> usize {
        let gap = self.gap;
        if self.joined > ALWAYS_MOVED && gap < self.joined / GAP_SHARE {
            return 0;
        }
        self.gap = 0;
        move_within(input, 0, gap, self.joined);
        gap
    }
}

/// Unmasks what the other end has sent; tells whether the outcome is known to be all ASCII.
#[inline]
fn unmask(role: Role, mask: Option<&mut Mask>, payload: &mut [u8]) -> bool {
    match (role, mask) {
        (Role::Server, Some(mask)) => mask.apply_and_see_ascii(payload),
        (Role::Server, None) | (Role::Client, _) => false,
    }
}
