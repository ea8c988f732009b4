//! What all connections of a server share.

use crate::channel::DEFAULT_MAX_LEN;
use crate::limits::Limits;
use crate::time::Duration;

/// Bounds and times of a connection.
///
/// It is passed to each call instead of being kept, so that a connection stays small. Calls of one connection
/// take the same configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The bounds on messages.
    pub limits: Limits,
    /// The longest channel name in bytes, prefix included (default 200).
    pub max_channel_name: u16,
    /// The longest name of a client event in characters (default 200).
    pub max_event_name: u16,
    /// After how many seconds without any input the client is pinged (default 120). Clients are told this time and
    /// ping by themselves after it. 0 stands for the default: a client told 0 would give up.
    pub activity_timeout_s: u16,
    /// How many seconds later a client that stays silent is given up (default 30; 0 stands for the default).
    pub pong_timeout_s: u16,
    /// How many seconds the client's answer to a close frame is awaited (default 5; 0 stands for the default).
    pub close_timeout_s: u16,
}

const ACTIVITY_TIMEOUT_S: u16 = 120;
const PONG_TIMEOUT_S: u16 = 30;
const CLOSE_TIMEOUT_S: u16 = 5;

impl ServerConfig {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            limits: Limits::new(),
            max_channel_name: DEFAULT_MAX_LEN,
            max_event_name: 200,
            activity_timeout_s: ACTIVITY_TIMEOUT_S,
            pong_timeout_s: PONG_TIMEOUT_S,
            close_timeout_s: CLOSE_TIMEOUT_S,
        }
    }

    /// The activity timeout in effect, as it is announced to clients: never 0.
    #[must_use]
    pub const fn effective_activity_timeout_s(&self) -> u16 {
        or_default(self.activity_timeout_s, ACTIVITY_TIMEOUT_S)
    }

    pub(super) const fn activity_timeout(&self) -> Duration {
        seconds(self.effective_activity_timeout_s())
    }

    pub(super) const fn pong_timeout(&self) -> Duration {
        seconds(or_default(self.pong_timeout_s, PONG_TIMEOUT_S))
    }

    pub(super) const fn close_timeout(&self) -> Duration {
        seconds(or_default(self.close_timeout_s, CLOSE_TIMEOUT_S))
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self::new()
    }
}

const fn or_default(value: u16, default: u16) -> u16 {
    if value == 0 { default } else { value }
}

const fn seconds(value: u16) -> Duration {
    Duration::from_secs(value as u32)
}
