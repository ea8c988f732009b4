//! Apps: who may connect and publish, and within which limits.

mod apps;
mod error;
mod limits;
mod live;
mod rate;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Origin;
use crate::server::webhook::{Outlet, Webhook};
use tidings_core::auth::SigningKey;

pub(crate) use apps::AppsNow;
pub use apps::{AppChanges, Apps};
pub(crate) use apps::{AppSlot, Withdrawn, is_plain};
pub use error::AppError;
pub(crate) use limits::Usage;
pub use limits::{AppLimits, History};
pub(crate) use live::Live;
pub(crate) use rate::{Rate, Standing};

/// One app: an id and a key that are public, a secret that signs, and what its clients may do.
///
/// The *key* names the app on a socket (`/app/KEY`), the *id* names it in the HTTP API
/// (`/apps/ID/events`), as Pusher Channels has it. The secret never appears in `Debug` output, in a
/// log line or in an answer.
///
/// ```
/// let mut app = tidings::App::new("shop", "shop-key", "a long random secret");
/// app.client_events = true;
/// app.max_connections = Some(500);
/// assert!(!format!("{app:?}").contains("random"));
/// ```
pub struct App {
    /// Names the app in the HTTP API's paths.
    pub id: Box<str>,
    /// Names the app in a socket's path and in signatures. Public.
    pub key: Box<str>,
    /// Whether clients may connect and the application may publish; a client of a disabled app is
    /// closed with 4003, a publisher gets 403.
    pub enabled: bool,
    /// Whether clients may send `client-…` events to each other (default off, as with Pusher).
    pub client_events: bool,
    /// How many connections the app may have at once; a further one is closed with 4004. `None`
    /// (the default) is no quota.
    pub max_connections: Option<u32>,
    /// How many client events one connection may send in a second (default 10, as with Pusher); a
    /// further one is answered with 4301 and the connection stays. `None` is no limit.
    pub max_client_events_per_second: Option<u32>,
    /// How many events the application may publish over the HTTP API in a second, an event for several channels
    /// counted for each (default `None`, no limit); a request that is too much is answered with 429 and
    /// publishes nothing. Each server counts for itself.
    pub max_backend_events_per_second: Option<u32>,
    /// How many questions of the HTTP API are answered in a second (default `None`, no limit); a further one is
    /// answered with 429.
    pub max_read_requests_per_second: Option<u32>,
    /// Whether a connection must prove itself (sign in, or subscribe to a private or presence
    /// channel) within [`ServerConfig::user_authentication_timeout`](crate::ServerConfig); one that
    /// does not is closed with 4009. Default off. Signing in is possible either way.
    pub user_authentication: bool,
    /// The pages that may connect and read answers of the HTTP API, in place of
    /// [`ServerConfig::allowed_origins`](crate::ServerConfig) (default none: those of the server).
    pub allowed_origins: Vec<Origin>,
    /// Endpoints of the application that are told what happens (default: none).
    pub webhooks: Vec<Webhook>,
    /// Whether subscribers of every channel but presence channels are told how many they are
    /// (default off): at each change up to 100, at most every five seconds beyond.
    pub subscription_count: bool,
    /// Whether a signed-in user may watch others come and go, by the `watchlist` that the application
    /// signed (default off).
    pub watchlists: bool,
    /// How long a cache channel keeps its last event for whoever subscribes later (default 30
    /// minutes, as with Pusher). Zero keeps none, so that every subscriber is told of a miss.
    pub cache_ttl: Duration,
    /// What is kept of events for clients that were away (default: nothing).
    pub history: History,
    /// Bounds on names, events and presence.
    pub limits: AppLimits,
    /// The app's place in [`Apps`].
    index: u32,
    secret: Secret,
    signing: SigningKey,
    /// A secret that is on its way out, whose signatures are still taken.
    previous: Option<Box<(Secret, SigningKey)>>,
    outlet: Outlet,
    /// Takes every signature for right, as apps of dev mode do.
    trusts_all: bool,
    /// What goes on when the app's settings change.
    live: Arc<Live>,
}

impl App {
    /// An enabled app with Pusher's limits, no client events and no connection quota.
    #[must_use]
    pub fn new(
        id: impl Into<Box<str>>,
        key: impl Into<Box<str>>,
        secret: impl Into<Box<str>>,
    ) -> Self {
        let secret = Secret(secret.into());
        Self {
            id: id.into(),
            key: key.into(),
            enabled: true,
            client_events: false,
            max_connections: None,
            max_client_events_per_second: Some(10),
            max_backend_events_per_second: None,
            max_read_requests_per_second: None,
            user_authentication: false,
            allowed_origins: Vec::new(),
            webhooks: Vec::new(),
            subscription_count: false,
            watchlists: false,
            cache_ttl: Duration::from_secs(30 * 60),
            history: History::default(),
            limits: AppLimits::default(),
            outlet: Outlet::default(),
            trusts_all: false,
            index: 0,
            signing: SigningKey::new(secret.0.as_bytes()),
            secret,
            previous: None,
            live: Arc::default(),
        }
    }

    /// Lets signatures made with another secret count as well, so that a secret can be changed while the
    /// application's own servers still use the old one. The server itself signs (webhooks) with the new one.
    ///
    /// To change a secret: give the server the new one and this; then give the new one to each publisher and each
    /// auth endpoint; then leave this out. An empty text leaves it out.
    ///
    /// ```
    /// let app = tidings::App::new("shop", "shop-key", "the new secret").previous_secret("the old secret");
    /// assert!(!format!("{app:?}").contains("old"));
    /// ```
    #[must_use]
    pub fn previous_secret(mut self, secret: impl Into<Box<str>>) -> Self {
        let secret = Secret(secret.into());
        let signing = SigningKey::new(secret.0.as_bytes());
        self.previous = (!secret.0.is_empty()).then(|| Box::new((secret, signing)));
        self
    }

    /// The app that a server without configuration has: `app-id`, `app-key`, `app-secret` (the
    /// defaults of Soketi), with client events. Its secret is known to everyone, so it belongs on a
    /// loopback address only.
    #[must_use]
    pub fn development() -> Self {
        Self { client_events: true, ..Self::new("app-id", "app-key", "app-secret") }
    }

    /// An app of dev mode: its id is its key, and it trusts everybody.
    pub(crate) fn trusting(key: &str, index: u32) -> Self {
        Self { client_events: true, trusts_all: true, index, ..Self::new(key, key, "") }
    }

    pub(crate) const fn trusts_all(&self) -> bool {
        self.trusts_all
    }

    /// Counts one more connection, or returns `false` when the quota is reached.
    ///
    /// Each `true` needs one [`App::disconnect`] later.
    #[must_use]
    pub fn try_connect(&self) -> bool {
        self.live.try_connect(self.max_connections.unwrap_or(u32::MAX))
    }

    /// Counts one connection less.
    pub fn disconnect(&self) {
        self.live.disconnect();
    }

    /// How many connections the app has now on this server.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.live.connections()
    }

    /// What does not change with the app's settings.
    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    /// Where what happens in the app is told; ready once the app is one of [`Apps`].
    pub(crate) const fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    /// The place of the app in its list.
    pub(crate) const fn index(&self) -> u32 {
        self.index
    }

    /// Makes the outlet for the endpoints that the app has now.
    fn ready(&mut self) -> Result<(), AppError> {
        self.outlet = Outlet::new(&self.webhooks).map_err(|(url, reason)| AppError::Webhook {
            id: self.id.clone(),
            url,
            reason,
        })?;
        Ok(())
    }

    /// Uses some of the events that may be published in this second; `None` when there is no bound.
    pub(crate) fn take_backend_events(
        &self,
        count: u32,
        now_ms: impl FnOnce() -> u64,
    ) -> Option<Standing> {
        let max = self.max_backend_events_per_second?;
        Some(self.live.backend_events.take(count, max, now_ms()))
    }

    /// Uses one of the questions that are answered in this second; `None` when there is no bound.
    pub(crate) fn take_read_request(&self, now_ms: impl FnOnce() -> u64) -> Option<Standing> {
        let max = self.max_read_requests_per_second?;
        Some(self.live.read_requests.take(1, max, now_ms()))
    }

    /// What the app's kept history takes, over all shards.
    pub(crate) fn logged(&self) -> &Usage {
        &self.live.logged
    }

    /// What the app's cached events take, over all shards.
    pub(crate) fn cached(&self) -> &Usage {
        &self.live.cached
    }

    #[cfg(test)]
    pub(crate) fn secret(&self) -> &[u8] {
        self.secret.0.as_bytes()
    }

    /// Signs with the app's secret.
    pub(crate) const fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// Checks a signature against each secret that the app has now; the error is that of the first.
    pub(crate) fn verified<T, E>(
        &self,
        verify: impl Fn(&SigningKey) -> Result<T, E>,
    ) -> Result<T, E> {
        verify(&self.signing).or_else(|error| match &self.previous {
            Some(previous) => verify(&previous.1).map_err(|_| error),
            None => Err(error),
        })
    }

    /// Whether two apps are configured alike, whatever has happened to them since.
    fn is_configured_as(&self, other: &Self) -> bool {
        // Every field is named, so that none is forgotten.
        let Self {
            id,
            key,
            enabled,
            allowed_origins,
            client_events,
            max_connections,
            max_client_events_per_second,
            max_backend_events_per_second,
            max_read_requests_per_second,
            user_authentication,
            webhooks,
            subscription_count,
            watchlists,
            cache_ttl,
            history,
            limits,
            index: _,
            secret,
            signing: _,
            previous,
            outlet: _,
            trusts_all,
            live: _,
        } = self;
        let previous_of = |previous: &Option<Box<(Secret, SigningKey)>>| {
            previous.as_ref().map(|previous| previous.0.0.clone())
        };
        (id, key, enabled, client_events)
            == (&other.id, &other.key, &other.enabled, &other.client_events)
            && *max_connections == other.max_connections
            && *max_client_events_per_second == other.max_client_events_per_second
            && *max_backend_events_per_second == other.max_backend_events_per_second
            && *max_read_requests_per_second == other.max_read_requests_per_second
            && *user_authentication == other.user_authentication
            && *allowed_origins == other.allowed_origins
            && *webhooks == other.webhooks
            && *subscription_count == other.subscription_count
            && *watchlists == other.watchlists
            && *cache_ttl == other.cache_ttl
            && *history == other.history
            && *limits == other.limits
            && secret.0 == other.secret.0
            && previous_of(previous) == previous_of(&other.previous)
            && *trusts_all == other.trusts_all
    }
}

/// A clone is configured alike; it has no connection and is in no list.
impl Clone for App {
    fn clone(&self) -> Self {
        let previous = self.previous.as_ref().map_or("", |previous| &previous.0.0);
        Self {
            enabled: self.enabled,
            client_events: self.client_events,
            max_connections: self.max_connections,
            max_client_events_per_second: self.max_client_events_per_second,
            max_backend_events_per_second: self.max_backend_events_per_second,
            max_read_requests_per_second: self.max_read_requests_per_second,
            user_authentication: self.user_authentication,
            allowed_origins: self.allowed_origins.clone(),
            webhooks: self.webhooks.clone(),
            subscription_count: self.subscription_count,
            watchlists: self.watchlists,
            cache_ttl: self.cache_ttl,
            history: self.history.clone(),
            limits: self.limits.clone(),
            trusts_all: self.trusts_all,
            ..Self::new(self.id.clone(), self.key.clone(), self.secret.0.clone())
                .previous_secret(previous)
        }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("id", &self.id)
            .field("key", &self.key)
            .field("secret", &self.secret)
            .field("enabled", &self.enabled)
            .field("client_events", &self.client_events)
            .field("max_connections", &self.max_connections)
            .field("max_client_events_per_second", &self.max_client_events_per_second)
            .field("max_backend_events_per_second", &self.max_backend_events_per_second)
            .field("max_read_requests_per_second", &self.max_read_requests_per_second)
            .field("user_authentication", &self.user_authentication)
            .field("allowed_origins", &self.allowed_origins)
            .field("webhooks", &self.webhooks)
            .field("subscription_count", &self.subscription_count)
            .field("watchlists", &self.watchlists)
            .field("cache_ttl", &self.cache_ttl)
            .field("history", &self.history)
            .field("limits", &self.limits)
            .field("connections", &self.connections())
            .finish()
    }
}

/// A secret that says nothing about itself, not even its length.
struct Secret(Box<str>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quota_counts_connections_and_refuses_the_next() {
        let app = App { max_connections: Some(2), ..App::new("i", "k", "s") };
        assert!(app.try_connect());
        assert!(app.try_connect());
        assert!(!app.try_connect());
        assert_eq!(app.connections(), 2);
        app.disconnect();
        assert!(app.try_connect());
    }

    #[test]
    fn without_a_quota_every_connection_is_counted() {
        let app = App::new("i", "k", "s");
        for _ in 0..2_000 {
            assert!(app.try_connect());
        }
        assert_eq!(app.connections(), 2_000);
    }
}
