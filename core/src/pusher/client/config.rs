//! What a client connects to, and its bounds.

use crate::limits::{Limits, Oversize};
use crate::time::Duration;
use crate::websocket::handshake::HeadLimits;

const ACTIVITY_TIMEOUT_S: u16 = 120;
const PONG_TIMEOUT_S: u16 = 30;
const HANDSHAKE_TIMEOUT_S: u16 = 15;
const CLOSE_TIMEOUT_S: u16 = 5;

/// What a [`Client`](super::Client) connects to, and its bounds. It can stand in flash.
///
/// A time of 0 means its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientConfig<'a> {
    /// The server's name or address, as it stands in the request.
    pub host: &'a str,
    /// The server's port.
    pub port: u16,
    /// Whether the transport is TLS.
    pub secure: bool,
    /// A path before `/app/KEY`, such as `/ws`; empty, or beginning with `/` and ending without one.
    pub path_prefix: &'a str,
    /// The app's key.
    pub key: &'a str,
    /// Further header fields of the opening request, as names and values.
    pub headers: &'a [(&'a str, &'a str)],
    /// The longest message; a longer one is skipped and reported, or ends the connection. It must fit the input buffer,
    /// with 14 bytes of header.
    pub limits: Limits,
    /// After how many seconds of silence the server is asked whether it is there (default 120). The server may ask
    /// for less.
    pub activity_timeout_s: u16,
    /// Seconds for its answer (default 30).
    pub pong_timeout_s: u16,
    /// Seconds from the opening request to `pusher:connection_established` (default 15).
    pub handshake_timeout_s: u16,
    /// Seconds for the server's part of the closing handshake (default 5).
    pub close_timeout_s: u16,
}

impl<'a> ClientConfig<'a> {
    /// The app with this key on a server, without TLS, with Pusher's times and messages of up to `max_message` bytes.
    #[must_use]
    pub const fn new(host: &'a str, port: u16, key: &'a str, max_message: u32) -> Self {
        Self {
            host,
            port,
            secure: false,
            path_prefix: "",
            key,
            headers: &[],
            limits: Limits::new().max_message(max_message).oversize(Oversize::Skip),
            activity_timeout_s: 0,
            pong_timeout_s: 0,
            handshake_timeout_s: 0,
            close_timeout_s: 0,
        }
    }

    /// Says that the transport is TLS.
    #[must_use]
    pub const fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// The silence after which to ask, when the server has announced `announced_s`.
    pub(super) const fn activity_timeout(&self, announced_s: u16) -> Duration {
        let own = or_default(self.activity_timeout_s, ACTIVITY_TIMEOUT_S);
        seconds(if announced_s != 0 && announced_s < own { announced_s } else { own })
    }

    pub(super) const fn pong_timeout(&self) -> Duration {
        seconds(or_default(self.pong_timeout_s, PONG_TIMEOUT_S))
    }

    pub(super) const fn handshake_timeout(&self) -> Duration {
        seconds(or_default(self.handshake_timeout_s, HANDSHAKE_TIMEOUT_S))
    }

    pub(super) const fn close_timeout(&self) -> Duration {
        seconds(or_default(self.close_timeout_s, CLOSE_TIMEOUT_S))
    }

    pub(super) const fn head_limits() -> HeadLimits {
        HeadLimits::new()
    }
}

const fn or_default(value: u16, default: u16) -> u16 {
    if value == 0 { default } else { value }
}

const fn seconds(value: u16) -> Duration {
    Duration::from_secs(value as u32)
}
