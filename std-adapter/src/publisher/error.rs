//! Why something was not published, asked or verified.

use std::time::Duration;

/// Why a request has not succeeded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The server cannot be reached. Nothing was done.
    #[error("cannot connect to {host}: {reason}; check that the server runs, host, port and TLS")]
    Connect {
        /// Host and port.
        host: Box<str>,
        /// The reason.
        reason: Box<str>,
    },
    /// The request contradicts itself, so it was not sent.
    #[error("{0}")]
    Invalid(Box<str>),
    /// The server's answer makes no sense.
    #[error("{host} answered what is not of this API: {reason}; check host, port and path prefix")]
    Answer {
        /// Host and port.
        host: Box<str>,
        /// What is wrong with it.
        reason: Box<str>,
    },
    /// The server refuses.
    #[error("{host} answered {status}: {message}{}", next_step(*.status))]
    Status {
        /// Host and port.
        host: Box<str>,
        /// The status, such as 401.
        status: u16,
        /// The server's text.
        message: Box<str>,
        /// How long the server wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// There was no answer in time. Whether an event was published is not known.
    #[error("{host} did not answer within {patience:?}; the request may have been carried out")]
    TimedOut {
        /// Host and port.
        host: Box<str>,
        /// How long was waited.
        patience: Duration,
    },
    /// The connection broke. Whether an event was published is not known.
    #[error("the connection to {host} broke: {reason}; the request may have been carried out")]
    Transport {
        /// Host and port.
        host: Box<str>,
        /// The reason.
        reason: Box<str>,
    },
}

impl PublishError {
    /// The status that the server refused with.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        if let Self::Status { status, .. } = self { Some(*status) } else { None }
    }
}

const fn next_step(status: u16) -> &'static str {
    match status {
        400 => "",
        401 => "; check key and secret, and this machine's clock",
        403 => "; check that the app is enabled and within its quota",
        404 => "; check the app id, the path prefix and, with Pusher, the cluster",
        413 => "; send less at once",
        301 | 302 | 307 | 308 => "; use the address that it redirects to",
        429 | 503 => "; try again later",
        500..=599 => "; see the server's log",
        _ => "",
    }
}

/// Why a webhook is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// It was signed correctly, but is no webhook.
    #[error("the webhook's body cannot be read: {0}")]
    Body(Box<str>),
    /// `X-Pusher-Key` is not the app's key.
    #[error("the webhook is for another app: X-Pusher-Key is not this app's key")]
    Key,
    /// `X-Pusher-Signature` is not that of the body.
    #[error(
        "the webhook's signature is wrong: check the secret, and that the body is verified as it came, before it is parsed"
    )]
    Signature,
}
