//! The rules of RFC 6455 that a peer can break.

use core::fmt;

use super::close::CloseCode;

/// The rule that the peer broke.
///
/// The connection cannot go on: answer with [`Connection::fail`](super::Connection::fail), which sends
/// [`close_code`](Self::close_code) and [`reason`](Self::reason), flush, and end the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerError {
    /// A close frame carries a code that must not be on the wire (RFC 6455 section 7.4).
    // So that the state of an assembler without an error is zeros, which cost no flash in a static.
    CloseCodeInvalid = 4,
    /// A close frame has a body of one byte, half of a code (RFC 6455 section 5.5.1).
    CloseCodeTruncated,
    /// The reason in a close frame is not UTF-8 (RFC 6455 section 5.5.1).
    CloseReasonUtf8,
    /// A continuation frame came while no message was under way (RFC 6455 section 5.4).
    ContinuationUnexpected,
    /// A control frame is fragmented (RFC 6455 section 5.5).
    ControlFragmented,
    /// A control frame has more than 125 bytes of payload (RFC 6455 section 5.5).
    ControlTooLong,
    /// The stream ended without a closing handshake (RFC 6455 section 7.1.5). There is nobody left to
    /// tell, so its close code is the local-only 1006.
    EndOfStream,
    /// A length is written in a longer form than it needs (RFC 6455 section 5.2).
    LengthNotMinimal,
    /// A 64-bit length has its top bit set (RFC 6455 section 5.2).
    LengthTopBit,
    /// The server received a frame that is not masked (RFC 6455 section 5.1).
    MaskMissing,
    /// The client received a masked frame (RFC 6455 section 5.1).
    MaskUnexpected,
    /// A new message began before the one under way was finished (RFC 6455 section 5.4).
    MessageInterrupted,
    /// The message is larger than [`Limits::max_message`](crate::limits::Limits::max_message)
    /// (RFC 6455 sections 7.4.1 and 10.4).
    MessageTooBig,
    /// A reserved bit is set though no extension was agreed on (RFC 6455 section 5.2).
    ReservedBits,
    /// The opcode is a reserved one (RFC 6455 section 5.2).
    ReservedOpcode,
    /// A text message holds bytes that are not UTF-8 (RFC 6455 section 8.1).
    TextInvalid,
    /// A text message ends in the middle of a character (RFC 6455 section 8.1).
    TextTruncated,
}

impl PeerError {
    /// The code for the close frame (RFC 6455 section 7.4.1).
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::CloseReasonUtf8 | Self::TextInvalid | Self::TextTruncated => {
                CloseCode::INVALID_PAYLOAD
            }
            Self::EndOfStream => CloseCode::ABNORMAL,
            Self::MessageTooBig => CloseCode::MESSAGE_TOO_BIG,
            Self::CloseCodeInvalid
            | Self::CloseCodeTruncated
            | Self::ContinuationUnexpected
            | Self::ControlFragmented
            | Self::ControlTooLong
            | Self::LengthNotMinimal
            | Self::LengthTopBit
            | Self::MaskMissing
            | Self::MaskUnexpected
            | Self::MessageInterrupted
            | Self::ReservedBits
            | Self::ReservedOpcode => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// What a close frame says of it.
    pub(super) const fn close_reason(self) -> &'static str {
        if cfg!(feature = "small") { "" } else { self.reason() }
    }

    /// The rule in words: what [`Display`](fmt::Display) shows and what the close frame gives as reason.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::CloseCodeInvalid => "close code not allowed",
            Self::CloseCodeTruncated => "close code cut short",
            Self::CloseReasonUtf8 => "close reason is not utf-8",
            Self::ContinuationUnexpected => "continuation without a message",
            Self::ControlFragmented => "control frame is fragmented",
            Self::ControlTooLong => "control frame over 125 bytes",
            Self::EndOfStream => "stream ended without a close frame",
            Self::LengthNotMinimal => "length is not in its shortest form",
            Self::LengthTopBit => "length has its top bit set",
            Self::MaskMissing => "client frame is not masked",
            Self::MaskUnexpected => "server frame is masked",
            Self::MessageInterrupted => "new message before the last one ended",
            Self::MessageTooBig => "message too big",
            Self::ReservedBits => "reserved bit set",
            Self::ReservedOpcode => "reserved opcode",
            Self::TextInvalid => "text is not utf-8",
            Self::TextTruncated => "text ends within a character",
        }
    }
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl core::error::Error for PeerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_fits_a_register() {
        assert_eq!(size_of::<PeerError>(), 1);
        assert_eq!(size_of::<Option<PeerError>>(), 1);
    }
}
