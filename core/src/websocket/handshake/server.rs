//! The server's side of the opening handshake.

use core::str;

use super::accept::{Accept, is_key};
use super::fields::{Field, Fields, tokens};
use super::head::{RequestHead, Version};
use super::put_all;
use super::refusal::Refusal;
use crate::error::{SendError, UsageError};
use crate::io::TxBuf;

/// A request for a WebSocket that keeps the rules of RFC 6455 section 4.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpgradeRequest<'i> {
    /// The target: path and query.
    pub target: &'i str,
    /// The Host field, empty when the client could not tell.
    pub host: &'i str,
    /// The Origin field, which every browser sends.
    pub origin: Option<&'i str>,
    /// The text of the Sec-WebSocket-Key field.
    pub key: &'i [u8],
    fields: Fields<'i>,
}

/// What one walk over the fields finds.
#[derive(Default)]
struct Found<'i> {
    upgrade: bool,
    connection: bool,
    version: Option<bool>,
    key: Option<&'i [u8]>,
    host: Option<&'i [u8]>,
    origin: Option<&'i str>,
    twice: bool,
    body: bool,
}

impl<'i> UpgradeRequest<'i> {
    /// Checks that a request asks for a WebSocket in the right way.
    ///
    /// Names, and the tokens of Upgrade and Connection, are compared without regard to case, and lists may be
    /// spread over several fields. Extensions that the client offers are left unanswered, which declines them.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with: 426 for a request that is not for a WebSocket or asks for a version other
    /// than 13, else 400.
    pub fn from_head(head: &RequestHead<'i>) -> Result<Self, Refusal> {
        let head_only = head.method == "HEAD";
        check(head).map_err(|refusal| Refusal { head_only, ..refusal })
    }

    /// The subprotocols that the client offers, in its order of preference.
    pub fn protocols(&self) -> impl Iterator<Item = &'i str> + use<'i> {
        self.fields.tokens("sec-websocket-protocol").filter_map(|token| str::from_utf8(token).ok())
    }

    /// Appends the whole answer that opens the WebSocket.
    ///
    /// # Errors
    /// [`UsageError::SubprotocolNotOffered`] when the client did not offer `subprotocol`, and
    /// [`CapacityError`](crate::error::CapacityError) when the answer doesn't fit; nothing was written.
    pub fn accept(&self, subprotocol: Option<&str>, tx: &mut TxBuf<'_>) -> Result<(), SendError> {
        if subprotocol.is_some_and(|chosen| self.protocols().all(|offered| offered != chosen)) {
            return Err(UsageError::SubprotocolNotOffered.into());
        }
        let accept = Accept::of(self.key);
        let (field, protocol) = match subprotocol {
            Some(protocol) => ("\r\nSec-WebSocket-Protocol: ", protocol),
            None => ("", ""),
        };
        let parts: [&[u8]; 5] = [
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
            accept.as_bytes(),
            field.as_bytes(),
            protocol.as_bytes(),
            b"\r\n\r\n",
        ];
        Ok(put_all(tx, &parts)?)
    }
}

impl<'i> Found<'i> {
    /// Takes note of one field, choosing by the length of its name first: most fields are none of these.
    fn note(&mut self, field: Field<'i>) {
        let has =
            |token: &str| tokens(field.value).any(|t| t.eq_ignore_ascii_case(token.as_bytes()));
        match field.name.len() {
            4 if field.is("host") => self.twice |= self.host.replace(field.value).is_some(),
            6 if field.is("origin") => self.origin = str::from_utf8(field.value).ok(),
            7 if field.is("upgrade") => self.upgrade |= has("websocket"),
            10 if field.is("connection") => self.connection |= has("upgrade"),
            14 if field.is("content-length") => self.body |= field.value != b"0",
            17 if field.is("sec-websocket-key") => {
                self.twice |= self.key.replace(field.value).is_some();
            }
            17 if field.is("transfer-encoding") => self.body = true,
            21 if field.is("sec-websocket-version") => {
                self.version = Some(self.version.unwrap_or(true) && field.value == b"13");
            }
            _ => {}
        }
    }
}

fn check<'i>(head: &RequestHead<'i>) -> Result<UpgradeRequest<'i>, Refusal> {
    let bad = |reason| Err(Refusal::new(400, reason));
    let mut found = Found::default();
    head.fields.iter().for_each(|field| found.note(field));
    if !found.upgrade {
        return Err(Refusal::new(
            426,
            "this address speaks WebSocket: connect with a WebSocket client; \
             a proxy in front must pass on the Upgrade and Connection headers",
        ));
    }
    if head.method != "GET" {
        return bad("a WebSocket is opened by a GET request");
    }
    if head.version < Version::Http11 {
        return bad("a WebSocket needs HTTP/1.1: set the proxy in front to speak it");
    }
    if !found.connection {
        return bad("the Connection header lacks Upgrade: a proxy in front must pass it on");
    }
    if found.twice {
        return bad("the Host and Sec-WebSocket-Key headers must stand once each");
    }
    if found.body {
        return bad("the request has a body: send frames only after the answer");
    }
    if found.version != Some(true) {
        return Err(Refusal::new(426, "the header Sec-WebSocket-Version must be 13"));
    }
    let Some(key) = found.key.filter(|key| is_key(key)) else {
        return bad("the header Sec-WebSocket-Key must be 16 bytes in base64");
    };
    let Some(host) = found.host.and_then(|host| str::from_utf8(host).ok()) else {
        return bad("the header Host is missing or malformed");
    };
    Ok(UpgradeRequest { target: head.target, host, origin: found.origin, key, fields: head.fields })
}
