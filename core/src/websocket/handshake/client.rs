//! The client's side of the opening handshake.

use core::{fmt, str};

use super::accept::{Accept, key_text};
use super::head::{HeadError, HeadLimits, ResponseHead, Version};
use super::scan::{is_text_only, is_token_only, target_len};
use crate::entropy::Entropy;
use crate::error::{SendError, TxFull, UsageError};
use crate::io::{Parse, TxBuf};

/// What to ask a server for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a handshake begins with `start`"]
pub struct ClientHandshake<'a> {
    host: &'a str,
    port: u16,
    secure: bool,
    /// Path and query, in pieces.
    target: [&'a str; 4],
    protocols: &'a [&'a str],
    headers: &'a [(&'a str, &'a str)],
}

impl<'a> ClientHandshake<'a> {
    /// A handshake with the server of that name (or address) and port for `target`, which is path and query.
    pub const fn new(host: &'a str, port: u16, target: &'a str) -> Self {
        Self::with_target(host, port, [target, "", "", ""])
    }

    /// As [`new`](Self::new) with a target in pieces, for whom cannot join them.
    pub(crate) const fn with_target(host: &'a str, port: u16, target: [&'a str; 4]) -> Self {
        Self { host, port, secure: false, target, protocols: &[], headers: &[] }
    }

    /// Says that the transport is TLS, whose default port is 443 in place of 80.
    pub const fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Offers subprotocols, the preferred one first.
    pub const fn protocols(mut self, protocols: &'a [&'a str]) -> Self {
        self.protocols = protocols;
        self
    }

    /// Adds header fields, as names and values.
    pub const fn headers(mut self, headers: &'a [(&'a str, &'a str)]) -> Self {
        self.headers = headers;
        self
    }

    /// As [`start`](Self::start) with a nonce from `entropy`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(
        &self,
        entropy: &mut impl Entropy,
        tx: &mut TxBuf<'_>,
    ) -> Result<AwaitingResponse<'a>, SendError> {
        let mut nonce = [0; 16];
        entropy.fill(&mut nonce);
        self.start(nonce, tx)
    }

    /// Appends the whole request. Each connection needs a fresh random `nonce` (RFC 6455 section 4.1).
    ///
    /// # Errors
    /// [`UsageError::HandshakeField`] when a part of the request would break its form, and
    /// [`CapacityError`](crate::error::CapacityError) when it doesn't fit; nothing was written.
    pub fn start(
        &self,
        nonce: [u8; 16],
        tx: &mut TxBuf<'_>,
    ) -> Result<AwaitingResponse<'a>, SendError> {
        if !self.is_well_formed() {
            return Err(UsageError::HandshakeField.into());
        }
        let key = key_text(nonce);
        let start = tx.len();
        if let Err(full) = self.write(&key, tx) {
            tx.truncate(start);
            return Err(full.into());
        }
        Ok(AwaitingResponse { accept: Accept::of(&key), protocols: self.protocols })
    }

    fn is_well_formed(&self) -> bool {
        let visible = |text: &str| target_len(text.as_bytes()) == text.len();
        let first = self.target.iter().find(|piece| !piece.is_empty());
        !self.host.is_empty()
            && visible(self.host)
            && self.target.iter().all(|piece| visible(piece))
            && first.is_some_and(|piece| piece.starts_with('/'))
            && self.protocols.iter().all(|name| is_token_only(name.as_bytes()))
            && self.headers.iter().all(|(name, value)| {
                is_token_only(name.as_bytes()) && is_text_only(value.as_bytes())
            })
    }

    fn write(&self, key: &[u8], tx: &mut TxBuf<'_>) -> Result<(), TxFull> {
        tx.put(b"GET ")?;
        self.target.iter().try_for_each(|piece| tx.put(piece.as_bytes()))?;
        tx.put(b" HTTP/1.1\r\nHost: ")?;
        self.write_host(tx)?;
        tx.put(b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ")?;
        tx.put(key)?;
        tx.put(b"\r\nSec-WebSocket-Version: 13\r\n")?;
        let mut before = "Sec-WebSocket-Protocol: ";
        for protocol in self.protocols {
            tx.put(before.as_bytes())?;
            tx.put(protocol.as_bytes())?;
            before = ", ";
        }
        if !self.protocols.is_empty() {
            tx.put(b"\r\n")?;
        }
        for (name, value) in self.headers {
            tx.put(name.as_bytes())?;
            tx.put(b": ")?;
            tx.put(value.as_bytes())?;
            tx.put(b"\r\n")?;
        }
        tx.put(b"\r\n")
    }

    /// The host, an IPv6 address in brackets, and the port unless it is the default one (RFC 9110 section 7.2).
    fn write_host(&self, tx: &mut TxBuf<'_>) -> Result<(), TxFull> {
        let bare_ipv6 = self.host.contains(':') && !self.host.starts_with('[');
        tx.put(if bare_ipv6 { b"[" } else { b"" })?;
        tx.put(self.host.as_bytes())?;
        tx.put(if bare_ipv6 { b"]" } else { b"" })?;
        if self.port == if self.secure { 443 } else { 80 } {
            return Ok(());
        }
        tx.put(b":")?;
        let mut scale = 10_000;
        while scale > 1 && self.port < scale {
            scale /= 10;
        }
        while scale > 0 {
            let digit = self.port.checked_div(scale).unwrap_or_default() % 10;
            tx.put(&[b'0'.wrapping_add(digit.to_le_bytes()[0])])?;
            scale /= 10;
        }
        Ok(())
    }
}

/// A client that has sent its request.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use = "the WebSocket is open once the response is read"]
pub struct AwaitingResponse<'a> {
    accept: Accept,
    protocols: &'a [&'a str],
}

/// A WebSocket that the server has opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted<'i> {
    /// The subprotocol that the server chose from the offered ones.
    pub subprotocol: Option<&'i str>,
    /// The whole head.
    pub head: ResponseHead<'i>,
}

/// Why the response opens no WebSocket; close the transport (RFC 6455 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Sec-WebSocket-Accept is missing.
    AcceptMissing,
    /// Sec-WebSocket-Accept is not the answer to this request's key.
    AcceptWrong,
    /// The Connection field lacks `upgrade`.
    ConnectionMissing,
    /// The server chose an extension; none was offered.
    ExtensionNotOffered,
    /// The response is not HTTP as it should be.
    Head(HeadError),
    /// The server answered with this status in place of 101: a redirect, or why it refuses.
    Status(u16),
    /// The server chose a subprotocol that was not offered, or more than one.
    SubprotocolNotOffered,
    /// The Upgrade field is not `websocket`.
    UpgradeMissing,
    /// The response is HTTP/1.0.
    Version,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AcceptMissing => "the server's answer lacks Sec-WebSocket-Accept",
            Self::AcceptWrong => "the server's Sec-WebSocket-Accept does not fit the key",
            Self::ConnectionMissing => "the server's answer lacks Connection: Upgrade",
            Self::ExtensionNotOffered => "the server chose an extension that was not offered",
            Self::Head(error) => return error.fmt(f),
            Self::Status(status) => {
                return write!(f, "the server answered with status {status} in place of 101");
            }
            Self::SubprotocolNotOffered => "the server chose a subprotocol that was not offered",
            Self::UpgradeMissing => "the server's answer lacks Upgrade: websocket",
            Self::Version => "the server answered in HTTP/1.0",
        })
    }
}

impl core::error::Error for HandshakeError {}

impl From<HeadError> for HandshakeError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

impl fmt::Debug for AwaitingResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwaitingResponse")
            .field("protocols", &self.protocols)
            .finish_non_exhaustive()
    }
}

impl AwaitingResponse<'_> {
    /// The same without the subprotocols that were offered, so that the choice of any is a mistake.
    pub(crate) const fn detached(self) -> AwaitingResponse<'static> {
        AwaitingResponse { accept: self.accept, protocols: &[] }
    }

    /// Reads the response at the front of `input`; bytes after it are the first frames. Interim responses (1xx
    /// other than 101) are passed over.
    ///
    /// # Errors
    /// [`HandshakeError`] when the server refuses or breaks a rule of RFC 6455 section 4.2.2.
    pub fn read_response<'i>(
        &self,
        input: &'i [u8],
        limits: HeadLimits,
    ) -> Result<Parse<Accepted<'i>>, HandshakeError> {
        let mut rest = input;
        loop {
            match ResponseHead::parse(rest, limits)? {
                Parse::NeedMore { at_least } => return Ok(Parse::NeedMore { at_least }),
                Parse::Done { value, consumed } => {
                    rest = rest.get(consumed..).unwrap_or_default();
                    if !matches!(value.status, 100 | 102..=199) {
                        let value = self.check(value)?;
                        let consumed = input.len().saturating_sub(rest.len());
                        return Ok(Parse::Done { value, consumed });
                    }
                }
            }
        }
    }

    fn check<'i>(&self, head: ResponseHead<'i>) -> Result<Accepted<'i>, HandshakeError> {
        let fields = head.fields;
        if head.status != 101 {
            return Err(HandshakeError::Status(head.status));
        }
        if head.version < Version::Http11 {
            return Err(HandshakeError::Version);
        }
        if !fields.has_token("upgrade", "websocket") {
            return Err(HandshakeError::UpgradeMissing);
        }
        if !fields.has_token("connection", "upgrade") {
            return Err(HandshakeError::ConnectionMissing);
        }
        if fields.first("sec-websocket-accept").is_none() {
            return Err(HandshakeError::AcceptMissing);
        }
        if fields.all("sec-websocket-accept").any(|value| value != self.accept.as_bytes()) {
            return Err(HandshakeError::AcceptWrong);
        }
        if fields.tokens("sec-websocket-extensions").next().is_some() {
            return Err(HandshakeError::ExtensionNotOffered);
        }
        Ok(Accepted { subprotocol: self.subprotocol(&head)?, head })
    }

    fn subprotocol<'i>(&self, head: &ResponseHead<'i>) -> Result<Option<&'i str>, HandshakeError> {
        let mut chosen = head.fields.all("sec-websocket-protocol");
        let Some(first) = chosen.next() else { return Ok(None) };
        let offered = self.protocols.iter().any(|name| name.as_bytes() == first);
        if !offered || chosen.next().is_some() {
            return Err(HandshakeError::SubprotocolNotOffered);
        }
        str::from_utf8(first).map(Some).map_err(|_| HandshakeError::SubprotocolNotOffered)
    }
}
