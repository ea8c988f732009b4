//! What an application wants to be told, and where.

use std::fmt;
use std::str::FromStr;

use http::header::{
    ACCEPT, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

/// A kind of event that webhooks and the feed tell. The names are Pusher's, but for the last two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum WebhookEvent {
    /// `cache_miss`: somebody has subscribed to a cache channel that holds no event.
    CacheMiss,
    /// `channel_occupied`: a channel has its first subscriber.
    ChannelOccupied,
    /// `channel_vacated`: a channel has lost its last subscriber, and nobody came back in time.
    ChannelVacated,
    /// `client_event`: a client sent an event to others.
    ClientEvent,
    /// `member_added`: a user has joined a presence channel with a first socket.
    MemberAdded,
    /// `member_removed`: a user has left a presence channel with the last socket, and did not come back
    /// in time.
    MemberRemoved,
    /// `subscription_count`: the number of a channel's subscribers has changed.
    SubscriptionCount,
    /// `connected`: a socket has been accepted. Pusher has no such event, so it must be asked for.
    Connected,
    /// `disconnected`: a socket has ended. Pusher has no such event, so it must be asked for.
    Disconnected,
}

impl WebhookEvent {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::CacheMiss,
        Self::ChannelOccupied,
        Self::ChannelVacated,
        Self::ClientEvent,
        Self::MemberAdded,
        Self::MemberRemoved,
        Self::SubscriptionCount,
        Self::Connected,
        Self::Disconnected,
    ];

    /// The name, as it is on the wire and in a configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CacheMiss => "cache_miss",
            Self::ChannelOccupied => "channel_occupied",
            Self::ChannelVacated => "channel_vacated",
            Self::ClientEvent => "client_event",
            Self::MemberAdded => "member_added",
            Self::MemberRemoved => "member_removed",
            Self::SubscriptionCount => "subscription_count",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
        }
    }
}

/// A name that is none of [`WebhookEvent`]'s.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no event type `{0}`: the types are {types}", types = Kinds::ALL)]
pub struct UnknownEvent(Box<str>);

impl FromStr for WebhookEvent {
    type Err = UnknownEvent;

    fn from_str(name: &str) -> Result<Self, UnknownEvent> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == name);
        known.ok_or_else(|| UnknownEvent(name.into()))
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kinds(u16);

impl Kinds {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ALL: Self = Self((1 << WebhookEvent::ALL.len()) - 1);

    pub(crate) const fn of(kind: WebhookEvent) -> Self {
        Self(1 << kind as u16)
    }

    /// The kinds of Pusher: what an endpoint gets that asks for nothing in particular.
    pub(crate) const fn pusher() -> Self {
        let beyond = Self::of(WebhookEvent::Connected).0 | Self::of(WebhookEvent::Disconnected).0;
        Self(Self::ALL.0 & !beyond)
    }

    pub(crate) const fn bits(self) -> u16 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    pub(crate) const fn contains(self, kind: WebhookEvent) -> bool {
        self.0 & Self::of(kind).0 != 0
    }

    pub(crate) fn with(self, kind: WebhookEvent) -> Self {
        Self(self.0 | Self::of(kind).0)
    }

    /// Whoever wants one of a pair must also see the other, as the two cancel each other out.
    pub(crate) fn with_partners(self) -> Self {
        let pairs = [
            (WebhookEvent::ChannelOccupied, WebhookEvent::ChannelVacated),
            (WebhookEvent::MemberAdded, WebhookEvent::MemberRemoved),
        ];
        pairs.into_iter().fold(self, |kinds, (came, left)| {
            if kinds.contains(came) || kinds.contains(left) {
                kinds.with(came).with(left)
            } else {
                kinds
            }
        })
    }
}

impl FromIterator<WebhookEvent> for Kinds {
    fn from_iter<I: IntoIterator<Item = WebhookEvent>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = WebhookEvent::ALL.into_iter().filter(|kind| self.contains(*kind));
        for (at, kind) in kinds.enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{}", kind.name())?;
        }
        Ok(())
    }
}

/// An endpoint of an application that is told what happens in an app, by POST.
///
/// Each request is signed with the app's secret (`X-Pusher-Key`, `X-Pusher-Signature`), so that the SDKs of
/// Pusher verify it. Redirects are not followed. `Debug` output shows neither the headers' values nor
/// what a URL may hide in its query.
///
/// ```
/// use tidings::{Webhook, WebhookEvent};
///
/// let mut app = tidings::App::new("shop", "shop-key", "a long random secret");
/// let mut webhook = Webhook::new("https://shop.example/hooks");
/// webhook.event_types = vec![WebhookEvent::ChannelOccupied, WebhookEvent::ChannelVacated];
/// webhook.channel_name_starts_with = Some("order-".into());
/// app.webhooks.push(webhook);
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Webhook {
    /// Where to send: an `http` or `https` URL without user and password.
    pub url: Box<str>,
    /// What to send; empty (the default) is every event of Pusher's, that is all but
    /// [`Connected`](WebhookEvent::Connected) and [`Disconnected`](WebhookEvent::Disconnected).
    pub event_types: Vec<WebhookEvent>,
    /// Only channels whose names begin so. Events without a channel are not concerned.
    pub channel_name_starts_with: Option<Box<str>>,
    /// Only channels whose names end so. Events without a channel are not concerned.
    pub channel_name_ends_with: Option<Box<str>>,
    /// More headers for each request, names and values. `X-Pusher-…` and those that HTTP needs for
    /// itself are refused.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// Whether several events may share a request; `None` (the default) is what
    /// [`ServerConfig::webhook_batching`](crate::ServerConfig) says.
    pub batching: Option<bool>,
}

impl Webhook {
    /// An endpoint that gets every event of Pusher's.
    #[must_use]
    pub fn new(url: impl Into<Box<str>>) -> Self {
        Self {
            url: url.into(),
            event_types: Vec::new(),
            channel_name_starts_with: None,
            channel_name_ends_with: None,
            headers: Vec::new(),
            batching: None,
        }
    }

    /// What it wants, as a set.
    pub(super) fn kinds(&self) -> Kinds {
        if self.event_types.is_empty() {
            return Kinds::pusher();
        }
        self.event_types.iter().copied().collect()
    }

    /// Whether its filter lets a channel through.
    pub(super) fn lets_through(&self, channel: Option<&[u8]>) -> bool {
        let Some(channel) = channel else { return true };
        let starts = self.channel_name_starts_with.as_deref().unwrap_or_default();
        let ends = self.channel_name_ends_with.as_deref().unwrap_or_default();
        channel.starts_with(starts.as_bytes()) && channel.ends_with(ends.as_bytes())
    }

    /// The URL, if it is one that can be sent to.
    pub(super) fn uri(&self) -> Result<Uri, &'static str> {
        let uri: Uri = self.url.parse().map_err(|_| "it is no URL")?;
        let Some(authority) = uri.authority() else { return Err("it has no host") };
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err("its scheme is neither http nor https");
        }
        if authority.as_str().contains('@') {
            return Err("it holds a user: put `Authorization` into its headers instead");
        }
        Ok(uri)
    }

    /// The headers that are the same for each request.
    pub(super) fn header_map(&self) -> Result<HeaderMap, &'static str> {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().map_err(|_| "a header's name is not valid")?;
            let own = [
                ACCEPT,
                CONNECTION,
                CONTENT_ENCODING,
                CONTENT_LENGTH,
                CONTENT_TYPE,
                HOST,
                TE,
                TRAILER,
                TRANSFER_ENCODING,
                UPGRADE,
            ];
            if own.contains(&name) || name.as_str().starts_with("x-pusher-") {
                return Err("a header is one that the server sets itself");
            }
            let mut value: HeaderValue =
                value.parse().map_err(|_| "a header's value is not valid")?;
            value.set_sensitive(true);
            map.append(name, value);
        }
        Ok(map)
    }
}

/// A URL without what may be secret in it, for logs.
pub(super) fn shown(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Webhook")
            .field("url", &shown(&self.url))
            .field("event_types", &self.event_types)
            .field("channel_name_starts_with", &self.channel_name_starts_with)
            .field("channel_name_ends_with", &self.channel_name_ends_with)
            .field("headers", &names)
            .field("batching", &self.batching)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_unknown_ones_are_told_the_known() {
        for kind in WebhookEvent::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        let error = "channel_existence".parse::<WebhookEvent>().unwrap_err().to_string();
        assert!(
            error.contains("channel_existence") && error.contains("channel_vacated"),
            "{error}"
        );
    }

    #[test]
    fn what_pusher_does_not_have_must_be_asked_for() {
        let mut webhook = Webhook::new("http://x/");
        assert!(webhook.kinds().contains(WebhookEvent::SubscriptionCount));
        assert!(!webhook.kinds().contains(WebhookEvent::Connected));
        webhook.event_types = vec![WebhookEvent::Disconnected];
        assert!(webhook.kinds().contains(WebhookEvent::Disconnected));
        assert!(!webhook.kinds().contains(WebhookEvent::ClientEvent));
    }

    #[test]
    fn a_filter_is_about_both_ends_of_a_channels_name() {
        let mut webhook = Webhook::new("http://x/");
        webhook.channel_name_starts_with = Some("a".into());
        webhook.channel_name_ends_with = Some("z".into());
        let through = |name: &str| webhook.lets_through(Some(name.as_bytes()));
        assert!(through("abcz") && through("az"));
        assert!(!through("abc") && !through("xaz"));
        assert!(webhook.lets_through(None));
    }

    #[test]
    fn urls_that_cannot_be_sent_to_are_refused() {
        for good in ["http://127.0.0.1:80/hook?x=1", "https://shop.example"] {
            assert!(Webhook::new(good).uri().is_ok(), "{good}");
        }
        for bad in ["", "/hook", "ftp://x/", "shop.example", "http://u:p@x/", "http:///x"] {
            assert!(Webhook::new(bad).uri().is_err(), "{bad}");
        }
    }

    #[test]
    fn headers_of_the_protocol_cannot_be_set() {
        let with = |name: &str, value: &str| {
            let mut webhook = Webhook::new("http://x/");
            webhook.headers.push((name.into(), value.into()));
            webhook.header_map()
        };
        assert_eq!(with("X-A", "b").unwrap().len(), 1);
        for name in ["X-Pusher-Signature", "content-type", "Host", "Transfer-Encoding", "a b"] {
            assert!(with(name, "b").is_err(), "{name}");
        }
        assert!(with("X-A", "a\r\nX-B: c").is_err());
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let mut webhook = Webhook::new("https://x/hook?token=hunter2");
        webhook.headers.push(("Authorization".into(), "hunter3".into()));
        let text = format!("{webhook:?}");
        assert!(!text.contains("hunter") && text.contains("Authorization"), "{text}");
    }
}
