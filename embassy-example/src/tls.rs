//! TLS 1.3 between the transport and the session, by embedded-tls, without a heap; the server is known by its key.
//!
//! A device pins the public key of its server: one [`Pin`] or, so that a key can be replaced, several. The server must show a
//! pinned key *and* sign the handshake with it. What that protects:
//!
//! - **A pinned key**: against everybody who has not the server's key, whoever has signed certificates for its name. The
//!   certificate is not looked at otherwise: not its name, its dates, its issuer, nor whether it was revoked. A key that
//!   is lost is replaced by the next pin, which therefore belongs into the device from the start.
//! - **No check at all** is not offered: it would hide what is said from those who only listen, and from nobody else. To
//!   learn a server's key, connect without one that fits: [`Failure::WrongKey`] shows it.
//! - **A certificate authority** is not offered: the `rustpki` of embedded-tls 0.19 accepts a certificate that was signed by
//!   any other certificate of the authority, so that whoever has one for their own host could be any host; and the engine
//!   accepts a server that leaves its certificate out, which only this module notices.
//!
//! # What the server must have
//! TLS 1.3 with `TLS_AES_128_GCM_SHA256` and the group `secp256r1`, and a key on P-256 (or, with the feature `tls-ed25519`,
//! Ed25519). RSA keys can't be checked without a heap, and P-384 is left out for its size. Its certificates must fit into
//! one record: have it send its own alone.
//!
//! # Memory
//! A record may be 16,640 bytes long and must be held whole, in [`RecordBuffers`]. A smaller buffer will do when the
//! *server* is told to send smaller records, as servers take no wish in this from the device (OpenSSL does; rustls and Go
//! do not): `max_fragment_size` of rustls, `ssl_buffer_size` of nginx, `tune.ssl.maxrecord` of `HAProxy`,
//! `setMaxSendFragment` of Node; add 22 bytes. A longer record ends the connection with [`Failure::RecordTooLong`].
//!
//! The handshake is arithmetic of some seconds on a slow device, and needs more stack than all else. A server that has the pinned key could still make
//! embedded-tls 0.19 panic, by a message after the handshake that no server sends unasked (a late request for a
//! certificate); nobody else can, since [`Wire`] withholds the records with which anybody in between could.

mod failure;
mod pin;
mod records;
mod verifier;

use embassy_time::{Duration, with_timeout};
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use embedded_tls::{
    Aes128GcmSha256, FlushPolicy, TlsConfig, TlsConnection, TlsContext, TlsError, TlsReader,
    TlsWriter,
};
use tidings_core::entropy::Entropy;

pub use failure::Failure;
pub use pin::Pin;
pub use records::Wire;

use records::Hold;
use verifier::Checker;

/// How long a handshake may take; a slow device needs seconds for its arithmetic.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// What the device says first must fit.
const SHORTEST_WRITE: usize = 512;

/// What a device knows its server by, and its source of chance.
#[derive(Debug)]
pub struct Tls<'p, E> {
    /// The server's key is one of these. Without a pin no server is right.
    pub pins: &'p [Pin],
    /// A *cryptographic* source, such as a hardware generator: who can guess its bytes can read and write everything.
    pub random: E,
}

/// The memory for records: `READ` bounds those that come and should be 16,640, see the [module](self); `WRITE`, at least 512, is
/// how much is encrypted at once, with 128 bytes for what belongs to a record.
#[derive(Debug)]
pub struct RecordBuffers<const READ: usize, const WRITE: usize> {
    read: [u8; READ],
    write: [u8; WRITE],
}

impl<const READ: usize, const WRITE: usize> RecordBuffers<READ, WRITE> {
    /// Empty memory; too little of it does not compile.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(READ >= 1024, "a server's certificate takes about that much") };
        const { assert!(WRITE >= SHORTEST_WRITE, "what the device says first takes that much") };
        Self { read: [0; READ], write: [0; WRITE] }
    }
}

impl<const READ: usize, const WRITE: usize> Default for RecordBuffers<READ, WRITE> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Entropy> Tls<'_, E> {
    /// Secures a wire. `name` is told to the server, which may have several certificates.
    ///
    /// # Errors
    /// A [`Failure`]; the wire is of no more use.
    pub async fn secure<'w, R: Read, W: Write, const READ: usize, const WRITE: usize>(
        &mut self,
        wire: &'w Wire<R, W>,
        name: &str,
        buffers: &'w mut RecordBuffers<READ, WRITE>,
    ) -> Result<Secured<'w, R, W>, Failure> {
        wire.limit(READ);
        // An address is no server's name (RFC 6066, section 3).
        let config = match name.parse::<core::net::IpAddr>() {
            Ok(_) => TlsConfig::new(),
            Err(_) => TlsConfig::new().with_server_name(name),
        };
        let mut checker = Checker::new(self.pins, &mut self.random);
        let RecordBuffers { read, write } = buffers;
        let mut connection = TlsConnection::new(Hold(wire), read, write);
        // The session says itself when nothing more is to come, and need not wait for the network each time.
        connection.set_flush_policy(FlushPolicy::Relaxed);
        let handshake = connection.open(TlsContext::new(&config, &mut checker));
        match with_timeout(HANDSHAKE_TIMEOUT, handshake).await {
            Err(_) => return Err(Failure::TimedOut),
            Ok(Err(error)) => {
                let known = checker.refusal().or_else(|| wire.failure());
                return Err(known.unwrap_or_else(|| error.into()));
            }
            Ok(Ok(())) => checker.outcome()?,
        }
        wire.secured();
        Ok(Secured { connection, wire })
    }
}

/// A wire over which only the device and its server understand each other. What is said last is the session's farewell; TLS
/// adds none.
pub struct Secured<'w, R: Read, W: Write> {
    connection: TlsConnection<'w, Hold<'w, R, W>, Aes128GcmSha256>,
    wire: &'w Wire<R, W>,
}

impl<'w, R: Read, W: Write> Secured<'w, R, W> {
    /// The two directions. A read that is given up loses what has come of a record: let it be the end of the connection.
    pub fn split(&mut self) -> (SecuredReader<'_, 'w, R, W>, SecuredWriter<'_, 'w, R, W>) {
        let (reader, writer) = self.connection.split();
        (SecuredReader(reader), SecuredWriter(writer))
    }

    /// What of TLS ended the connection, when it was that.
    #[must_use]
    pub const fn failure(&self) -> Option<Failure> {
        self.wire.failure()
    }
}

impl<R: Read, W: Write> core::fmt::Debug for Secured<'_, R, W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Secured").field("failure", &self.failure()).finish_non_exhaustive()
    }
}

/// What the server says.
pub struct SecuredReader<'c, 'w, R: Read, W: Write>(TlsReader<'c, Hold<'w, R, W>, Aes128GcmSha256>);

impl<R: Read, W: Write> core::fmt::Debug for SecuredReader<'_, '_, R, W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SecuredReader")
    }
}

impl<R: Read, W: Write> ErrorType for SecuredReader<'_, '_, R, W> {
    type Error = ErrorKind;
}

impl<'c, 'w: 'c, R: Read, W: Write> Read for SecuredReader<'c, 'w, R, W> {
    async fn read(&mut self, out: &mut [u8]) -> Result<usize, ErrorKind> {
        match self.0.read(out).await {
            Ok(count) => Ok(count),
            // The farewell, or none: the messages inside say whether anything is missing.
            Err(TlsError::ConnectionClosed | TlsError::IoError) => Ok(0),
            Err(TlsError::Io(error)) => Err(error),
            Err(_) => Err(ErrorKind::InvalidData),
        }
    }
}

/// What is said to the server.
pub struct SecuredWriter<'c, 'w, R: Read, W: Write>(TlsWriter<'c, Hold<'w, R, W>, Aes128GcmSha256>);

impl<R: Read, W: Write> core::fmt::Debug for SecuredWriter<'_, '_, R, W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SecuredWriter")
    }
}

impl<R: Read, W: Write> ErrorType for SecuredWriter<'_, '_, R, W> {
    type Error = ErrorKind;
}

impl<'c, 'w: 'c, R: Read, W: Write> Write for SecuredWriter<'c, 'w, R, W> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.0.write(bytes).await.map_err(kind)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.0.flush().await.map_err(kind)
    }
}

const fn kind(error: TlsError) -> ErrorKind {
    match error {
        TlsError::Io(error) => error,
        TlsError::MissingHandshake => ErrorKind::NotConnected, // after the server's farewell
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests;
