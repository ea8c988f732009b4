//! The client's side of the opening handshake.

use core::{fmt, str};

use super::accept::{Accept, key_text};
use super::fields::has_token;
use super::head::{HeadError, HeadLimits, ResponseHead, Version};
#[cfg(feature = "small")]
use super::lines::parse_response;
use super::put_all;
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
        let [first, second, third, fourth] = self.target;
        // An IPv6 address stands in brackets (RFC 9110 section 7.2).
        let bare_ipv6 = self.host.bytes().any(|byte| byte == b':') && !self.host.starts_with('[');
        let (open, close): (&[u8], &[u8]) = if bare_ipv6 { (b"[", b"]") } else { (b"", b"") };
        let mut port = [0; 6];
        put_all(
            tx,
            &[
                b"GET ",
                first.as_bytes(),
                second.as_bytes(),
                third.as_bytes(),
                fourth.as_bytes(),
                b" HTTP/1.1\r\nHost: ",
                open,
                self.host.as_bytes(),
                close,
                self.port_text(&mut port),
                b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ",
                key,
                b"\r\nSec-WebSocket-Version: 13\r\n",
            ],
        )?;
        let mut before = "Sec-WebSocket-Protocol: ";
        for protocol in self.protocols {
            put_all(tx, &[before.as_bytes(), protocol.as_bytes()])?;
            before = ", ";
        }
        if !self.protocols.is_empty() {
            tx.put(b"\r\n")?;
        }
        for (name, value) in self.headers {
            put_all(tx, &[name.as_bytes(), b": ", value.as_bytes(), b"\r\n"])?;
        }
        tx.put(b"\r\n")
    }

    /// The port after its colon, unless it is the default one (RFC 9110 section 7.2).
    fn port_text<'t>(&self, text: &'t mut [u8; 6]) -> &'t [u8] {
        let mut rest = self.port;
        if rest == if self.secure { 443 } else { 80 } {
            return b"";
        }
        let mut start = text.len();
        for place in text.iter_mut().rev() {
            start = start.wrapping_sub(1);
            if rest == 0 && start < 5 {
                *place = b':';
                break;
            }
            *place = b'0' | (rest % 10).to_le_bytes()[0];
            rest /= 10;
        }
        text.get(start..).unwrap_or_default()
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
            let mut found = Found::default();
            match self.parse(rest, limits, &mut found)? {
                Parse::NeedMore { at_least } => return Ok(Parse::NeedMore { at_least }),
                Parse::Done { value, consumed } => {
                    rest = rest.get(consumed..).unwrap_or_default();
                    if !matches!(value.status, 100 | 102..=199) {
                        let value = self.check(value, &found)?;
                        let consumed = input.len().saturating_sub(rest.len());
                        return Ok(Parse::Done { value, consumed });
                    }
                }
            }
        }
    }

    /// Reads one head and notes what its fields say.
    #[cfg(feature = "small")]
    fn parse<'i>(
        &self,
        input: &'i [u8],
        limits: HeadLimits,
        found: &mut Found<'i>,
    ) -> Result<Parse<ResponseHead<'i>>, HeadError> {
        parse_response(input, limits, &mut |name, value| {
            found.note(name, value, self.accept.as_bytes());
        })
    }

    /// Reads one head and notes what its fields say.
    #[cfg(not(feature = "small"))]
    fn parse<'i>(
        &self,
        input: &'i [u8],
        limits: HeadLimits,
        found: &mut Found<'i>,
    ) -> Result<Parse<ResponseHead<'i>>, HeadError> {
        let parsed = ResponseHead::parse(input, limits)?;
        if let Parse::Done { value, .. } = &parsed {
            let mut fields = value.fields.iter();
            while let Some((name, value)) = fields.next_bytes() {
                found.note(name, value, self.accept.as_bytes());
            }
        }
        Ok(parsed)
    }

    fn check<'i>(
        &self,
        head: ResponseHead<'i>,
        found: &Found<'i>,
    ) -> Result<Accepted<'i>, HandshakeError> {
        if head.status != 101 {
            return Err(HandshakeError::Status(head.status));
        }
        if head.version < Version::Http11 {
            return Err(HandshakeError::Version);
        }
        if !found.upgrade {
            return Err(HandshakeError::UpgradeMissing);
        }
        if !found.connection {
            return Err(HandshakeError::ConnectionMissing);
        }
        if !found.accept {
            return Err(HandshakeError::AcceptMissing);
        }
        if found.accept_wrong {
            return Err(HandshakeError::AcceptWrong);
        }
        if found.extension {
            return Err(HandshakeError::ExtensionNotOffered);
        }
        Ok(Accepted { subprotocol: self.subprotocol(found)?, head })
    }

    fn subprotocol<'i>(&self, found: &Found<'i>) -> Result<Option<&'i str>, HandshakeError> {
        let Some(chosen) = found.protocol else { return Ok(None) };
        let offered = self.protocols.iter().any(|name| name.as_bytes() == chosen);
        if !offered || found.protocols {
            return Err(HandshakeError::SubprotocolNotOffered);
        }
        str::from_utf8(chosen).map(Some).map_err(|_| HandshakeError::SubprotocolNotOffered)
    }
}

/// What one walk over the fields finds.
#[derive(Default)]
struct Found<'i> {
    upgrade: bool,
    connection: bool,
    accept: bool,
    accept_wrong: bool,
    extension: bool,
    /// The first subprotocol, and whether there is another.
    protocol: Option<&'i [u8]>,
    protocols: bool,
}

impl<'i> Found<'i> {
    #[inline(never)]
    fn note(&mut self, name: &[u8], value: &'i [u8], accept: &[u8]) {
        // Chosen by its length first: most fields are none of these.
        let (known, which) = match name.len() {
            7 => ("upgrade", 0),
            10 => ("connection", 1),
            20 => ("sec-websocket-accept", 2),
            22 => ("sec-websocket-protocol", 3),
            24 => ("sec-websocket-extensions", 4),
            _ => return,
        };
        if !name.eq_ignore_ascii_case(known.as_bytes()) {
            return;
        }
        match which {
            0 => self.upgrade |= has_token(value, "websocket"),
            1 => self.connection |= has_token(value, "upgrade"),
            2 => {
                self.accept = true;
                self.accept_wrong |= value != accept;
            }
            3 if self.protocol.is_none() => self.protocol = Some(value),
            3 => self.protocols = true,
            _ => self.extension |= value.iter().any(|b| !matches!(b, b',' | b' ' | b'\t')),
        }
    }
}
