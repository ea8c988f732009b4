//! Close codes, and the body of a close frame.

use core::fmt;

use super::error::PeerError;

/// A status code of the closing handshake (RFC 6455 section 7.4 and its IANA registry).
///
/// Any number can be one; [`is_sendable`](Self::is_sendable) tells those that may be on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: a server goes down or a page is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of data that the receiver does not take.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005: the close frame had no code. Never on the wire.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the stream ended without a close frame. Never on the wire.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: data that is not what its kind says, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a policy forbids it, and no other code fits.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: the message is too big to be handled.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the client needs an extension that the server did not agree to.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: the server met a condition that it did not expect.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the service is overloaded for now.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway had no valid answer from the server behind it.
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015: the TLS handshake failed. Never on the wire.
    pub const TLS_HANDSHAKE: Self = Self(1015);

    /// The code with this number, whether allowed or not.
    #[must_use]
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The number.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// Whether the code may be in a close frame.
    ///
    /// Those are the registered ones from 1000 to 1014 less the reserved 1004 to 1006, and 3000 to 4999,
    /// which are for libraries (3xxx) and for applications (4xxx).
    #[must_use]
    pub const fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

/// Reads the body of a close frame: nothing, or a code and a reason (RFC 6455 section 5.5.1).
pub(crate) fn parse_body(body: &[u8]) -> Result<(Option<CloseCode>, &str), PeerError> {
    let Some((&code, reason)) = body.split_first_chunk::<2>() else {
        return if body.is_empty() { Ok((None, "")) } else { Err(PeerError::CloseCodeTruncated) };
    };
    let code = CloseCode::new(u16::from_be_bytes(code));
    if !code.is_sendable() {
        return Err(PeerError::CloseCodeInvalid);
    }
    match as_reason(reason) {
        Some(reason) => Ok((Some(code), reason)),
        None => Err(PeerError::CloseReasonUtf8),
    }
}

/// The reason, if it is UTF-8.
fn as_reason(reason: &[u8]) -> Option<&str> {
    #[cfg(not(feature = "small"))]
    return core::str::from_utf8(reason).ok();
    // The words are given up, as only the standard library's long check makes text of bytes.
    #[cfg(feature = "small")]
    super::utf8::check(reason).ok().filter(|incomplete| *incomplete == 0).map(|_| "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_may_be_sent_are_the_registered_and_the_private_ones() {
        let allowed = |code: u16| match code {
            1000..=1003 | 1007..=1014 => true,
            _ => (3000..5000).contains(&code),
        };
        for code in 0..=u16::MAX {
            assert_eq!(CloseCode::new(code).is_sendable(), allowed(code), "{code}");
        }
    }

    #[test]
    fn a_body_is_empty_or_starts_with_a_code() {
        assert_eq!(parse_body(b""), Ok((None, "")));
        assert_eq!(parse_body(&[3]), Err(PeerError::CloseCodeTruncated));
        assert_eq!(parse_body(&[3, 0xE8]), Ok((Some(CloseCode::NORMAL), "")));
        let reason = if cfg!(feature = "small") { "" } else { "later" };
        assert_eq!(parse_body(b"\x03\xF4later"), Ok((Some(CloseCode::SERVICE_RESTART), reason)));
        assert_eq!(parse_body(&[3, 0xED]), Err(PeerError::CloseCodeInvalid));
        assert_eq!(parse_body(b"\x03\xE8\xC0\xAF"), Err(PeerError::CloseReasonUtf8));
        assert_eq!(parse_body(b"\x03\xE8\xE2\x82"), Err(PeerError::CloseReasonUtf8));
    }
}
