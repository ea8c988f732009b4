//! Requests that publish.

use crate::auth::{SigningKey, body_md5};
use crate::error::{SendError, TxFull, UsageError};
use crate::io::TxBuf;
use crate::json::{compact, decimal, escape};
use crate::pusher::{EventData, SocketId};

/// An application of a server, and the right to publish for it.
#[derive(Debug, Clone, Copy)]
pub struct Rest<'a> {
    host: &'a str,
    port: u16,
    secure: bool,
    path_prefix: &'a str,
    app_id: &'a str,
    key: &'a str,
    signing: &'a SigningKey,
    keep_alive: bool,
}

/// One event to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestEvent<'a> {
    /// The channel.
    pub channel: &'a str,
    /// The event's name.
    pub event: &'a str,
    /// The payload.
    pub data: EventData<'a>,
    /// A connection that does not get it.
    pub except: Option<SocketId>,
}

/// Passes on the pieces of a body; called twice, it must do the same each time.
type Body<'f> = dyn Fn(&mut dyn FnMut(&[u8])) + 'f;

impl<'a> RestEvent<'a> {
    /// An event for all subscribers.
    #[must_use]
    pub const fn new(channel: &'a str, event: &'a str, data: EventData<'a>) -> Self {
        Self { channel, event, data, except: None }
    }

    fn write(&self, mut out: &mut dyn FnMut(&[u8])) {
        out(br#"{"name":""#);
        escape(self.event.as_bytes(), &mut out);
        out(br#"","channel":""#);
        escape(self.channel.as_bytes(), &mut out);
        out(br#"","data":""#);
        match self.data {
            EventData::Escaped(text) => out(text.as_str().as_bytes()),
            EventData::Json(value) => compact(value, &mut |piece| escape(piece, &mut out)),
            EventData::Text(text) => escape(text.as_bytes(), &mut out),
        }
        out(b"\"");
        if let Some(socket_id) = self.except {
            out(br#","socket_id":""#);
            out(socket_id.as_text().as_bytes());
            out(b"\"");
        }
        out(b"}");
    }
}

impl<'a> Rest<'a> {
    /// The app with this id and key, on the server of that name (or address) and port, without TLS. The connection is
    /// closed after the answer.
    #[must_use]
    pub const fn new(
        host: &'a str,
        port: u16,
        app_id: &'a str,
        key: &'a str,
        signing: &'a SigningKey,
    ) -> Self {
        Self { host, port, secure: false, path_prefix: "", app_id, key, signing, keep_alive: false }
    }

    /// Says that the transport is TLS.
    #[must_use]
    pub const fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Sets a path before `/apps`, such as `/ws`.
    #[must_use]
    pub const fn path_prefix(mut self, prefix: &'a str) -> Self {
        self.path_prefix = prefix;
        self
    }

    /// Asks the server to keep the connection for another request.
    #[must_use]
    pub const fn keep_alive(mut self, keep: bool) -> Self {
        self.keep_alive = keep;
        self
    }

    /// Writes the request that publishes one event. `now` is in seconds since 1970; servers refuse a request that is ten
    /// minutes off.
    ///
    /// # Errors
    /// [`UsageError::HandshakeField`] when host, prefix, id or key have characters that break a request, or [`TxFull`].
    /// Nothing is written then.
    pub fn encode_publish(
        &self,
        event: &RestEvent<'_>,
        now: u64,
        tx: &mut TxBuf<'_>,
    ) -> Result<(), SendError> {
        self.encode("/events", now, tx, &|out| event.write(out))
    }

    /// Writes the request that publishes several events in order, usually at most 10.
    ///
    /// # Errors
    /// As [`encode_publish`](Self::encode_publish).
    pub fn encode_batch(
        &self,
        events: &[RestEvent<'_>],
        now: u64,
        tx: &mut TxBuf<'_>,
    ) -> Result<(), SendError> {
        self.encode("/batch_events", now, tx, &|out| {
            let mut before: &[u8] = br#"{"batch":["#;
            for event in events {
                out(before);
                event.write(out);
                before = b",";
            }
            out(if events.is_empty() { br#"{"batch":[]}"# } else { b"]}" });
        })
    }

    fn encode(
        &self,
        endpoint: &str,
        now: u64,
        tx: &mut TxBuf<'_>,
        body: &Body<'_>,
    ) -> Result<(), SendError> {
        let plain = |text: &str| text.bytes().all(|byte| is_plain(byte) || byte == b'/');
        let named = |text: &str| !text.is_empty() && text.bytes().all(is_plain);
        let host = |byte| is_plain(byte) || matches!(byte, b':' | b'[' | b']');
        if !plain(self.path_prefix)
            || !named(self.app_id)
            || !named(self.key)
            || !self.host.bytes().all(host)
        {
            return Err(UsageError::HandshakeField.into());
        }
        let start = tx.len();
        self.write(endpoint, now, tx, body).map_err(|full| {
            tx.truncate(start);
            full.into()
        })
    }

    fn write(
        &self,
        endpoint: &str,
        now: u64,
        tx: &mut TxBuf<'_>,
        body: &Body<'_>,
    ) -> Result<(), TxFull> {
        let mut length = 0usize;
        body(&mut |piece| length = length.saturating_add(piece.len()));
        let path = [self.path_prefix, "/apps/", self.app_id, endpoint];
        let mut digits = [0; 20];
        let now = decimal(now, &mut digits);
        let parameters: [&[u8]; 5] = [
            b"auth_key=",
            self.key.as_bytes(),
            b"&auth_timestamp=",
            now,
            b"&auth_version=1.0&body_md5=",
        ];
        tx.put(b"POST ")?;
        path.iter().try_for_each(|piece| tx.put(piece.as_bytes()))?;
        tx.put(b"?")?;
        parameters.iter().try_for_each(|piece| tx.put(piece))?;
        // The digest and the signature come in when the body is there.
        let digest_at = tx.len();
        tx.put(&[b'0'; 32])?;
        tx.put(b"&auth_signature=")?;
        let signature_at = tx.len();
        tx.put(&[b'0'; 64])?;
        self.write_fields(length, tx)?;
        let body_at = tx.len();
        let mut written = Ok(());
        body(&mut |piece| written = written.and_then(|()| tx.put(piece)));
        written?;
        let digest = body_md5(tx.written_mut(body_at));
        let signature = self.signing.sign_with(|out| {
            out(b"POST\n");
            path.iter().for_each(|piece| out(piece.as_bytes()));
            out(b"\n");
            parameters.iter().for_each(|piece| out(piece));
            out(digest.as_str().as_bytes());
        });
        for (at, text) in [(digest_at, digest.as_str()), (signature_at, signature.as_str())] {
            if let Some(place) = tx.written_mut(at).get_mut(..text.len()) {
                place.copy_from_slice(text.as_bytes());
            }
        }
        Ok(())
    }

    fn write_fields(&self, length: usize, tx: &mut TxBuf<'_>) -> Result<(), TxFull> {
        let mut digits = [0; 20];
        tx.put(b" HTTP/1.1\r\nHost: ")?;
        tx.put(self.host.as_bytes())?;
        if self.port != if self.secure { 443 } else { 80 } {
            tx.put(b":")?;
            tx.put(decimal(u64::from(self.port), &mut digits))?;
        }
        tx.put(b"\r\nContent-Type: application/json\r\nContent-Length: ")?;
        tx.put(decimal(length as u64, &mut digits))?;
        tx.put(if self.keep_alive { b"\r\n\r\n" } else { b"\r\nConnection: close\r\n\r\n" })
    }
}

/// Bytes that stand for themselves in a path, a query and a header field.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}
