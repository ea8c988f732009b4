//! The names of the events that a server sends.

use super::WHOLE;

/// What the name of an event stands for.
pub(super) enum Name {
    Application,
    Protocol(Protocol),
    Unknown,
}

/// The events that have a meaning of their own.
#[derive(Clone, Copy)]
pub(super) enum Protocol {
    CacheMiss,
    Error,
    Established,
    MemberAdded,
    MemberRemoved,
    Ping,
    Pong,
    #[cfg(feature = "resume")]
    Resumed,
    SignedIn,
    Subscribed,
    SubscriptionCount,
    SubscriptionError,
    Watchlist,
}

/// Their names behind `pusher:`.
static PUBLIC: &[(&str, Protocol)] = &[
    ("connection_established", Protocol::Established),
    ("error", Protocol::Error),
    ("ping", Protocol::Ping),
    ("pong", Protocol::Pong),
    ("subscription_error", Protocol::SubscriptionError),
];

/// Their names behind `pusher_internal:`.
static INTERNAL: &[(&str, Protocol)] = &[
    #[cfg(feature = "resume")]
    ("resumed", Protocol::Resumed),
    ("subscription_error", Protocol::SubscriptionError),
    ("subscription_succeeded", Protocol::Subscribed),
];

/// Those that a basic client does not read.
static MORE_PUBLIC: &[(&str, Protocol)] =
    &[("cache_miss", Protocol::CacheMiss), ("signin_success", Protocol::SignedIn)];

/// As above.
static MORE_INTERNAL: &[(&str, Protocol)] = &[
    ("member_added", Protocol::MemberAdded),
    ("member_removed", Protocol::MemberRemoved),
    ("subscription_count", Protocol::SubscriptionCount),
    ("watchlist_events", Protocol::Watchlist),
];

pub(super) fn classify(event: &str) -> Name {
    let (rest, names, more) = if let Some(rest) = event.strip_prefix("pusher:") {
        (rest, PUBLIC, MORE_PUBLIC)
    } else if let Some(rest) = event.strip_prefix("pusher_internal:") {
        (rest, INTERNAL, MORE_INTERNAL)
    } else {
        return Name::Application;
    };
    let named = |names: &[(&str, Protocol)]| {
        names.iter().find(|(name, _)| *name == rest).map(|(_, meaning)| *meaning)
    };
    let more = || if WHOLE { named(more) } else { None };
    named(names).or_else(more).map_or(Name::Unknown, Name::Protocol)
}
