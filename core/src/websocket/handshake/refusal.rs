//! The answer to a request that gets no WebSocket.

use core::fmt;

use super::head::HeadError;
use super::put_all;
use crate::error::TxFull;
use crate::io::TxBuf;

/// A request that is refused: a whole HTTP response with a line of plain text, after which the connection closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// What is wrong, and what to do about it.
    pub reason: &'static str,
    /// Whether the request was a HEAD, whose answer has no body.
    pub head_only: bool,
}

impl Refusal {
    /// A refusal with this status, 400 to 599, and this text.
    #[must_use]
    pub const fn new(status: u16, reason: &'static str) -> Self {
        Self { status, reason, head_only: false }
    }

    /// Appends the whole response.
    ///
    /// # Errors
    /// [`TxFull`] when it doesn't fit; nothing was written.
    pub fn write(&self, tx: &mut TxBuf<'_>) -> Result<(), TxFull> {
        let digit = |n: u16| b'0'.wrapping_add((n % 10).to_le_bytes()[0]);
        let status = [digit(self.status / 100), digit(self.status / 10), digit(self.status)];
        // A reason is a sentence: far below 1000 bytes.
        let len = u16::try_from(self.reason.len()).unwrap_or(999).min(999).saturating_add(1);
        let content_length = [digit(len / 1000), digit(len / 100), digit(len / 10), digit(len)];
        let zeros = content_length.iter().take_while(|d| **d == b'0').count();
        let body = self.reason.get(..usize::from(len).saturating_sub(1)).unwrap_or_default();
        let parts: [&[u8]; 10] = [
            b"HTTP/1.1 ",
            &status,
            b" ",
            phrase(self.status).as_bytes(),
            fields(self.status).as_bytes(),
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: ",
            content_length.get(zeros..).unwrap_or_default(),
            b"\r\n\r\n",
            if self.head_only { b"" } else { body.as_bytes() },
            if self.head_only { b"" } else { b"\n" },
        ];
        put_all(tx, &parts)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.reason)
    }
}

impl core::error::Error for Refusal {}

impl From<HeadError> for Refusal {
    fn from(error: HeadError) -> Self {
        Self::new(error.status(), error.reason())
    }
}

/// The fields that depend on the status, with the ends of lines round them.
const fn fields(status: u16) -> &'static str {
    match status {
        405 => "\r\nAllow: GET\r\nConnection: close\r\n",
        // RFC 9110 section 15.5.22 and RFC 6455 section 4.4.
        426 => {
            "\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade, close\r\n"
        }
        _ => "\r\nConnection: close\r\n",
    }
}

const fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Refused",
    }
}
