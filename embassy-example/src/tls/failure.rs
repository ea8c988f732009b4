//! What can go wrong with TLS.

use core::fmt;

use embedded_io_async::ErrorKind;
use embedded_tls::TlsError;

use super::Pin;

/// Why a connection could not be secured, or did not stay so. None of it is final: a server may be mended, so attempts go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The server refused with this alert (RFC 8446, section 6).
    Alert(u8),
    /// The server's certificate cannot be read.
    Certificate,
    /// The signature is not one of the pinned key: whoever answered has the server's certificate, and not its key.
    ForgedProof,
    /// The server ended the handshake without proving that it has the key.
    NoProof,
    /// The server broke the protocol, or speaks a part of it that the device does not know.
    Protocol,
    /// What the server said first is no TLS.
    NotTls,
    /// The server sent a record of this many bytes, more than the memory for one.
    RecordTooLong(u16),
    /// The handshake took too long.
    TimedOut,
    /// The transport broke.
    Transport(ErrorKind),
    /// The key is pinned, but of a kind that the device cannot check.
    UnknownKind(Pin),
    /// The server has another key than those pinned: this one.
    WrongKey(Pin),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = if cfg!(feature = "tls-ed25519") { "P-256 or Ed25519" } else { "P-256" };
        match self {
            Self::Alert(40) => write!(
                f,
                "the server finds nothing in common: it needs TLS 1.3 with TLS_AES_128_GCM_SHA256, the group secp256r1 and \
                 a key of {kinds}"
            ),
            Self::Alert(70) => f.write_str("the server has no TLS 1.3: switch it on there"),
            Self::Alert(alert) => write!(f, "the server refused TLS with alert {alert}: see its log"),
            Self::Certificate => f.write_str("the server's certificate cannot be read: make a new one"),
            Self::ForgedProof => {
                f.write_str("the server shows the pinned key and does not have it: someone is in between")
            }
            Self::NoProof => {
                f.write_str("the server does not prove that it has the pinned key: someone is in between")
            }
            Self::Protocol => f.write_str(
                "the server broke TLS 1.3, or its certificates take more than one record: send the server's alone",
            ),
            Self::NotTls => f.write_str("what answers is no TLS: is it the right port?"),
            Self::RecordTooLong(length) => write!(
                f,
                "the server sent a record of {length} bytes: enlarge the memory for one, or limit the server's records"
            ),
            Self::TimedOut => f.write_str("the TLS handshake took too long"),
            Self::Transport(error) => write!(f, "the connection broke: {error:?}"),
            Self::UnknownKind(pin) => {
                write!(f, "the server's key {pin} is pinned and not of {kinds}: give the server one")
            }
            Self::WrongKey(pin) => write!(f, "the server's key is not pinned; if it should be, its pin is {pin}"),
        }
    }
}

impl core::error::Error for Failure {}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::HandshakeAborted(_, alert) => Self::Alert(alert as u8),
            TlsError::Io(error) => Self::Transport(error),
            TlsError::IoError | TlsError::ConnectionClosed => {
                Self::Transport(ErrorKind::ConnectionReset)
            }
            _ => Self::Protocol,
        }
    }
}
