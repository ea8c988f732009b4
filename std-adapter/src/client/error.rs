//! Why there is no connection, and why something cannot be done.

use std::io;
use std::sync::Arc;

use tidings_core::channel::NameError;
use tidings_core::error::UsageError;
use tidings_core::pusher::ErrorCode;
use tidings_core::time::Timer;
use tidings_core::websocket::PeerError;
use tidings_core::websocket::handshake::HandshakeError;

/// Why a connection ended, or could not be made. It can be cloned, since several may want to know.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server ended the connection.
    #[error("{host} closed the connection{}", closed(*.code, .message))]
    Closed {
        /// Host and port.
        host: Arc<str>,
        /// The close code, or that of the last error that ends connections.
        code: Option<ErrorCode>,
        /// What the server said about it, perhaps nothing.
        message: Arc<str>,
    },
    /// The transport could not be connected.
    #[error("cannot connect to {host}: {source}; check that the server runs and the port is right")]
    Connect {
        /// Host and port.
        host: Arc<str>,
        /// The system's reason.
        source: Arc<io::Error>,
    },
    /// The transport broke.
    #[error("the connection to {host} broke: {source}")]
    Io {
        /// Host and port.
        host: Arc<str>,
        /// The system's reason.
        source: Arc<io::Error>,
    },
    /// The proxy did not make a way to the server.
    #[error("the proxy {proxy} does not connect: {source}")]
    Proxy {
        /// The proxy's host and port.
        proxy: Arc<str>,
        /// The reason.
        source: Arc<io::Error>,
    },
    /// The server broke a rule of the protocol.
    #[error("{host} does not keep to the WebSocket protocol: {error}")]
    Protocol {
        /// Host and port.
        host: Arc<str>,
        /// The rule.
        error: PeerError,
    },
    /// What answers is no such server, or a proxy whose server is away.
    #[error("{host} did not open a WebSocket: {error}{}", refused(.error))]
    Refused {
        /// Host and port.
        host: Arc<str>,
        /// What it answered.
        error: HandshakeError,
    },
    /// There is no TLS with this server, or it is not trusted.
    #[error(
        "no TLS with {host}: {reason}; if its certificate is from a private authority, trust that \
         authority's root"
    )]
    Tls {
        /// Host and port.
        host: Arc<str>,
        /// The reason.
        reason: Arc<str>,
    },
    /// The server did not answer in time.
    #[error("{host} {}", timed_out(*.timer))]
    TimedOut {
        /// Host and port.
        host: Arc<str>,
        /// What was waited for.
        timer: Timer,
    },
}

impl ClientError {
    /// The code that the server closed with, such as 4001 for an unknown key.
    #[must_use]
    pub const fn code(&self) -> Option<ErrorCode> {
        if let Self::Closed { code, .. } = self { *code } else { None }
    }
}

fn closed(code: Option<ErrorCode>, message: &str) -> String {
    let mut text = code.map(|code| format!(" with {code}")).unwrap_or_default();
    if !message.is_empty() {
        text.push_str(": ");
        text.push_str(message);
    }
    text.push_str(match code.map_or(0, ErrorCode::as_u16) {
        4000 => "; use TLS",
        4001 => "; check the key, the host and, with Pusher, the cluster",
        4003 => "; enable the app on the server",
        4004 => "; raise the app's quota of connections",
        4005 => "; check the path prefix",
        4009 => "; check the secret and what the authoriser signs",
        _ => "",
    });
    text
}

const fn refused(error: &HandshakeError) -> &'static str {
    match error {
        HandshakeError::Status(404) => "; check host, port and path prefix",
        HandshakeError::Status(301 | 302 | 307 | 308) => "; use the address that it redirects to",
        HandshakeError::Head(_) => "; if it speaks TLS, turn TLS on",
        _ => "",
    }
}

const fn timed_out(timer: Timer) -> &'static str {
    match timer {
        Timer::Close => "did not answer the close frame in time",
        Timer::Activity | Timer::Pong => "has been silent for too long",
        _ => "did not open the connection in time; check that a Pusher server listens there",
    }
}

/// What is wrong with the options of a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A part of the opening request has characters that would break it.
    #[error(
        "the key, the host, the path prefix or a header has characters that a request must not have: {0}"
    )]
    Request(UsageError),
    /// There is nobody to trust.
    #[error(transparent)]
    Tls(#[from] crate::outbound::TlsError),
    /// An option has a value that it cannot have.
    #[error("{option} is {value}: {hint}")]
    Value {
        /// The option's name.
        option: &'static str,
        /// Its value.
        value: Box<str>,
        /// What it takes.
        hint: &'static str,
    },
}

/// Why a channel cannot be subscribed to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// There is a subscription already.
    #[error("{0} is subscribed to already: share that subscription, or drop it first")]
    Already(Box<str>),
    /// The name is not that of a channel.
    #[error("{name}: {error}")]
    Name {
        /// The name.
        name: Box<str>,
        /// The rule that it breaks.
        error: NameError,
    },
    /// The client has stopped; [`Client::state`](super::Client::state) tells why.
    #[error("the client has stopped: make another one")]
    Stopped,
    /// There are 65,535 channels.
    #[error("one client has at most 65,535 channels")]
    TooMany,
}

/// Why an event was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TriggerError {
    /// The payload cannot be written as JSON.
    #[error("the payload is no JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// The channel or the event's name does not allow it, or the subscription is not in force.
    #[error("the event was not sent: {}{}", .0, not_sent(*.0))]
    NotSent(UsageError),
    /// The payload is longer than can be sent.
    #[error("the event needs {size} bytes to send, the limit is {max}: send less at once")]
    TooLarge {
        /// Bytes of the frame.
        size: usize,
        /// The limit.
        max: usize,
    },
}

const fn not_sent(error: UsageError) -> &'static str {
    match error {
        UsageError::NotSubscribed => ": wait for `Subscription::ready`",
        _ => "",
    }
}

/// Why a subscription is not ready.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum NotReady {
    /// It was refused.
    #[error("the subscription was refused: {0}")]
    Rejected(super::Rejection),
    /// The client has stopped.
    #[error("{}", match .0 {
        Some(error) => format!("the client has stopped: {error}"),
        None => "the client was closed".to_owned(),
    })]
    Stopped(Option<ClientError>),
}
