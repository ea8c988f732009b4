//! Bounds of an app, and what it uses of those that all shards share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Bounds on what an app's clients and publishers may send. The defaults are Pusher's.
///
/// Lengths of names and ids are in characters (for channels and user ids that is bytes too), sizes
/// in bytes of UTF-8 after JSON escapes are undone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppLimits {
    /// Characters of a channel's name, its prefix included (default 200: what every SDK accepts,
    /// where Pusher's documentation says 164).
    pub max_channel_name: u32,
    /// Characters of an event's name (default 200).
    pub max_event_name: u32,
    /// Bytes of one event's data, published or sent by a client (default 10,240).
    pub max_event_bytes: u32,
    /// Channels that one publish may name (default 100).
    pub max_channels_per_event: u32,
    /// Events in one batch (default 10).
    pub max_batch: u32,
    /// Users in one presence channel; a user with several connections counts once (default 100).
    pub max_presence_members: u32,
    /// Bytes of the user object, that is the `channel_data` of a presence subscription
    /// (default 1,024).
    pub max_presence_user_bytes: u32,
    /// Characters of a user id (default 128).
    pub max_user_id: u32,
    /// Users that one connection may watch (default 100); a longer watchlist is cut.
    pub max_watchlist: u32,
    /// Channels that one connection may be subscribed to at once (default 1,000). Pusher states
    /// no bound; this one keeps a single client from filling the server's tables.
    pub max_channels_per_connection: u32,
    /// Cache channels whose last event is kept at once (default 10,000). The one that was published
    /// longest ago goes first.
    pub max_cached_events: u32,
    /// Bytes that these events may take together (default 64 MiB).
    pub max_cached_bytes: u32,
}

impl Default for AppLimits {
    fn default() -> Self {
        Self {
            max_channel_name: 200,
            max_event_name: 200,
            max_event_bytes: 10_240,
            max_channels_per_event: 100,
            max_batch: 10,
            max_presence_members: 100,
            max_presence_user_bytes: 1_024,
            max_user_id: 128,
            max_watchlist: 100,
            max_channels_per_connection: 1_000,
            max_cached_events: 10_000,
            max_cached_bytes: 64 * 1024 * 1024,
        }
    }
}

/// What an app keeps of its channels' events for clients that were away, and for the HTTP API.
///
/// Off unless `max_events` is set. Kept events carry one more member, `serial`, which other clients ignore; what
/// clients send each other is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct History {
    /// Events that are kept of one channel (default 0, which keeps none).
    pub max_events: u32,
    /// Bytes that all kept events of the app may take (default 64 MiB). The channel that was used longest ago
    /// loses its events first.
    pub max_bytes: u32,
    /// How long an event is kept (default two minutes).
    pub max_age: Duration,
    /// The channels whose events are kept: those whose names begin with one of these; all when there is none.
    pub prefixes: Vec<Box<str>>,
}

impl Default for History {
    fn default() -> Self {
        let max_age = Duration::from_secs(120);
        Self { max_events: 0, max_bytes: 64 * 1024 * 1024, max_age, prefixes: Vec::new() }
    }
}

impl History {
    /// Whether events of this channel are kept.
    pub(crate) fn keeps(&self, channel: &[u8]) -> bool {
        self.max_events > 0
            && (self.prefixes.is_empty()
                || self.prefixes.iter().any(|prefix| channel.starts_with(prefix.as_bytes())))
    }
}

/// What an app's kept events take, counted over all shards.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    events: AtomicUsize,
    bytes: AtomicUsize,
}

impl Usage {
    pub(crate) fn add(&self, bytes: usize) {
        self.events.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn take(&self, bytes: usize) {
        self.events.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self, max_events: u32, max_bytes: u32) -> bool {
        self.events.load(Ordering::Relaxed) > max_events as usize
            || self.bytes.load(Ordering::Relaxed) > max_bytes as usize
    }
}
