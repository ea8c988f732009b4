//! Apps: who may connect and publish, and within which limits.

mod error;
mod limits;
mod rate;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::server::AnyKey;
use crate::server::webhook::{Outlet, Webhook};
use hashbrown::HashMap;
use tidings_core::auth::SigningKey;

pub use error::AppError;
pub(crate) use limits::Usage;
pub use limits::{AppLimits, History};
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
    outlet: Outlet,
    /// Takes every signature for right, as apps of dev mode do.
    trusts_all: bool,
    connections: AtomicU32,
    /// Connections to other nodes, as they told last.
    elsewhere: AtomicU32,
    cached: Usage,
    logged: Usage,
    backend_events: Rate,
    read_requests: Rate,
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
            connections: AtomicU32::new(0),
            elsewhere: AtomicU32::new(0),
            cached: Usage::default(),
            logged: Usage::default(),
            backend_events: Rate::default(),
            read_requests: Rate::default(),
        }
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
        let quota = self.max_connections.unwrap_or(u32::MAX);
        let quota = quota.saturating_sub(self.elsewhere.load(Ordering::Relaxed));
        self.connections
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                (now < quota).then(|| now.saturating_add(1))
            })
            .is_ok()
    }

    /// Counts one connection less.
    pub fn disconnect(&self) {
        let counted = self
            .connections
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| now.checked_sub(1));
        debug_assert!(counted.is_ok(), "disconnect without a connect");
    }

    /// How many connections the app has now on this server.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Notes how many connections the app has on other nodes.
    pub(crate) fn set_connections_elsewhere(&self, count: u32) {
        self.elsewhere.store(count, Ordering::Relaxed);
    }

    /// Where what happens in the app is told; ready once the app is one of [`Apps`].
    pub(crate) const fn outlet(&self) -> &Outlet {
        &self.outlet
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
        Some(self.backend_events.take(count, max, now_ms()))
    }

    /// Uses one of the questions that are answered in this second; `None` when there is no bound.
    pub(crate) fn take_read_request(&self, now_ms: impl FnOnce() -> u64) -> Option<Standing> {
        let max = self.max_read_requests_per_second?;
        Some(self.read_requests.take(1, max, now_ms()))
    }

    /// What the app's kept history takes, over all shards.
    pub(crate) const fn logged(&self) -> &Usage {
        &self.logged
    }

    /// What the app's cached events take, over all shards.
    pub(crate) const fn cached(&self) -> &Usage {
        &self.cached
    }

    #[cfg(test)]
    pub(crate) fn secret(&self) -> &[u8] {
        self.secret.0.as_bytes()
    }

    /// Signs and verifies with the app's secret.
    pub(crate) const fn signing(&self) -> &SigningKey {
        &self.signing
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

/// The apps of a server, found by key (sockets) and by id (HTTP API). Fixed once built, but for dev mode.
#[derive(Debug)]
pub struct Apps {
    apps: Box<[Arc<App>]>,
    by_key: HashMap<Box<str>, Arc<App>>,
    by_id: HashMap<Box<str>, Arc<App>>,
    development: bool,
    any: Option<AnyKey>,
}

impl Apps {
    /// Takes the apps as they are.
    ///
    /// # Errors
    ///
    /// When an id, key or secret is empty, an id or key holds a character that a URL path would
    /// have to escape, two apps have the same id or key, or a webhook cannot be sent to.
    pub fn new(mut apps: Vec<App>) -> Result<Self, AppError> {
        for (index, app) in (0..).zip(&mut apps) {
            app.index = index;
            app.ready()?;
        }
        let mut by_key = HashMap::default();
        let mut by_id = HashMap::default();
        let apps: Box<[Arc<App>]> = apps.into_iter().map(Arc::new).collect();
        for app in &apps {
            check(app)?;
            if by_id.insert(app.id.clone(), Arc::clone(app)).is_some() {
                return Err(AppError::DuplicateId { id: app.id.clone() });
            }
            if let Some(other) = by_key.insert(app.key.clone(), Arc::clone(app)) {
                return Err(AppError::DuplicateKey {
                    key: app.key.clone(),
                    first: other.id.clone(),
                    second: app.id.clone(),
                });
            }
        }
        Ok(Self { apps, by_key, by_id, development: false, any: None })
    }

    /// The one app of [`App::development`].
    #[must_use]
    pub fn development() -> Self {
        Self::only(App::development())
    }

    /// The development app with other rules.
    #[cfg(feature = "cli")]
    pub(crate) fn development_with(mut app: App) -> Result<Self, AppError> {
        app.ready()?;
        Ok(Self::only(app))
    }

    fn only(app: App) -> Self {
        let app = Arc::new(app);
        let by_key = std::iter::once((app.key.clone(), Arc::clone(&app))).collect();
        let by_id = std::iter::once((app.id.clone(), Arc::clone(&app))).collect();
        Self { apps: Box::new([app]), by_key, by_id, development: true, any: None }
    }

    /// Lets every key that is not in the list be one of an app that is made on the fly.
    pub(crate) fn with_any_key(mut self) -> Self {
        self.any = Some(AnyKey::new(u32::try_from(self.apps.len()).unwrap_or(u32::MAX)));
        self
    }

    /// What dev mode adds.
    pub(crate) const fn any_key(&self) -> Option<&AnyKey> {
        self.any.as_ref()
    }

    /// The app with this key. In dev mode, where no app has it, one is made.
    #[must_use]
    pub fn by_key(&self, key: &str) -> Option<&Arc<App>> {
        let Some(any) = &self.any else { return self.by_key.get(key) };
        if any.is_retired(key) {
            return None;
        }
        self.by_key.get(key).or_else(|| any.app(key))
    }

    /// Whether a configured app has this key.
    pub(crate) fn is_key(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    /// The app with this id.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<&Arc<App>> {
        self.by_id.get(id).or_else(|| self.any.as_ref()?.existing(id))
    }

    /// The app at this place.
    pub(crate) fn get(&self, index: u32) -> Option<&Arc<App>> {
        let index = index as usize;
        self.apps.get(index).or_else(|| self.any.as_ref()?.get(index.checked_sub(self.apps.len())?))
    }

    /// The place of an app of this list.
    pub(crate) fn index_of(&self, app: &Arc<App>) -> u32 {
        debug_assert!(self.get(app.index).is_some_and(|own| Arc::ptr_eq(own, app)));
        app.index
    }

    /// All apps, in the order of the configuration; behind them those made on the fly in dev mode.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<App>> {
        self.apps.iter().chain(self.any.iter().flat_map(AnyKey::iter))
    }

    /// How many apps are configured.
    #[must_use]
    pub fn len(&self) -> usize {
        self.apps.len()
    }

    /// Whether there is no app, so that every client is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.apps.is_empty()
    }

    /// Whether this is the development app, whose secret everyone knows.
    #[must_use]
    pub fn is_development(&self) -> bool {
        self.development
    }
}

fn check(app: &App) -> Result<(), AppError> {
    for (field, value) in [("id", &app.id), ("key", &app.key), ("secret", &app.secret.0)] {
        if value.is_empty() {
            return Err(AppError::Empty { id: app.id.clone(), field });
        }
    }
    for (field, value) in [("id", &app.id), ("key", &app.key)] {
        if !value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b)) {
            return Err(AppError::NotInPath { field, value: value.clone() });
        }
    }
    Ok(())
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

    #[test]
    fn debug_output_hides_the_secret() {
        let apps = Apps::new(vec![App::new("i", "k", "hunter2")]).unwrap();
        assert!(!format!("{apps:?}").contains("hunter2"));
        assert!(format!("{apps:?}").contains("[redacted]"));
    }

    #[test]
    fn apps_are_found_by_key_and_by_id() {
        let apps = Apps::new(vec![App::new("1", "a", "x"), App::new("2", "b", "y")]).unwrap();
        assert_eq!(&*apps.by_key("b").unwrap().id, "2");
        assert_eq!(&*apps.by_id("1").unwrap().key, "a");
        assert!(apps.by_key("1").is_none());
        assert!(!apps.is_development());
    }

    #[test]
    fn duplicate_ids_and_keys_are_refused_by_name() {
        let ids = Apps::new(vec![App::new("1", "a", "x"), App::new("1", "b", "y")]).unwrap_err();
        assert_eq!(ids.to_string(), "two apps have the id `1`: give each app its own id");
        let keys = Apps::new(vec![App::new("1", "a", "x"), App::new("2", "a", "y")]).unwrap_err();
        assert_eq!(
            keys.to_string(),
            "the apps `1` and `2` both have the key `a`: give each app its own"
        );
    }

    #[test]
    fn empty_and_unprintable_parts_are_refused() {
        let error = |app| Apps::new(vec![app]).unwrap_err();
        assert!(matches!(error(App::new("", "k", "s")), AppError::Empty { field: "id", .. }));
        assert!(matches!(error(App::new("i", "", "s")), AppError::Empty { field: "key", .. }));
        assert!(matches!(error(App::new("i", "k", "")), AppError::Empty { field: "secret", .. }));
        assert!(matches!(error(App::new("i/j", "k", "s")), AppError::NotInPath { .. }));
        assert!(matches!(error(App::new("i", "k k", "s")), AppError::NotInPath { .. }));
    }

    #[test]
    fn the_development_app_says_so() {
        let apps = Apps::development();
        assert!(apps.is_development());
        assert_eq!(apps.by_id("app-id").unwrap().secret(), b"app-secret");
    }
}
