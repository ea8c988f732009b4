//! What a decoder finds: messages, pieces of them, control frames.

use super::close::CloseCode;
use super::opcode::MessageKind;

/// What a decoder finds in the input.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame<'i> {
    /// A message, or the next piece of one.
    Data(Piece<'i>),
    /// A ping, to be answered by a pong with the same payload (RFC 6455 section 5.5.2).
    Ping(&'i [u8]),
    /// A pong, asked for or not.
    Pong(&'i [u8]),
    /// A close frame, its body checked; nothing valid comes behind it.
    Close {
        /// The peer's code, if it gave one.
        code: Option<CloseCode>,
        /// The peer's reason, at most 123 bytes.
        reason: &'i str,
    },
    /// A message over the limit has passed by ([`Oversize::Skip`](crate::limits::Oversize::Skip)); pieces of it that came before are void.
    Skipped {
        /// Its payload in bytes, over all fragments.
        size: u64,
    },
}

/// A message or a piece of one.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece<'i> {
    /// The kind of the message.
    pub kind: MessageKind,
    /// Where in the message the payload starts.
    pub offset: u64,
    /// Whether the message ends with it.
    pub last: bool,
    /// Payload, unmasked; each text piece is UTF-8 on its own. Only a last piece can be empty.
    pub payload: &'i mut [u8],
}

impl Piece<'_> {
    /// Whether the message starts with it.
    #[must_use]
    pub const fn first(&self) -> bool {
        self.offset == 0
    }
}
