//! The embedding program's view of a running server.

mod config;

pub use config::ReconfigureError;

use super::backplane::{self, BackplaneState};
use super::events::ServerEvent;
use super::http::Service;
use super::hub::mail::Mail;
use super::hub::{Entry, Hub, Source};
use super::listener::{CertificateError, Secure};
use super::metrics;
use super::refusals::Refusal;
pub(super) use super::thread::Thread;
use super::webhook::{self, WebhookStats};
use crate::app::{App, AppChanges, AppError, Apps};
use bytes::Bytes;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use thiserror::Error;
use tidings_core::channel::{ChannelName, NameError};
use tidings_core::io::TxBuf;
use tidings_core::json;
use tidings_core::pusher::SocketId;
use tokio::sync::broadcast;

/// A running server. Clones are handles to the same one; the server ends with the last of them.
#[derive(Clone)]
pub struct ServerHandle(Arc<Running>);

struct Running {
    hub: Hub,
    addresses: Vec<SocketAddr>,
    /// Those of them where TLS is spoken.
    tls_addresses: Vec<SocketAddr>,
    secure: Option<Arc<Secure>>,
    threads: Mutex<Vec<Thread>>,
    /// Held while the configuration changes.
    reconfiguring: Mutex<()>,
    webhooks: Mutex<Option<webhook::Sender>>,
    backplane: Mutex<Option<backplane::Runner>>,
    metrics: Mutex<Option<metrics::Listener>>,
    metrics_address: Option<SocketAddr>,
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle").field("addresses", &self.0.addresses).finish_non_exhaustive()
    }
}

/// Where a server can be reached.
#[derive(Debug, Default)]
pub(super) struct Doors {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) tls_addresses: Vec<SocketAddr>,
    pub(super) secure: Option<Arc<Secure>>,
    pub(super) metrics: Option<metrics::Listener>,
}

/// An event to publish from inside the process.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    channel: &'a str,
    name: &'a str,
    data: &'a str,
    except: Option<SocketId>,
}

impl<'a> Event<'a> {
    /// An event `name` for the subscribers of `channel`; `data` reaches them as it is, usually JSON text.
    #[must_use]
    pub const fn new(channel: &'a str, name: &'a str, data: &'a str) -> Self {
        Self { channel, name, data, except: None }
    }

    /// Leaves out one socket, usually that of the client whose action caused the event.
    #[must_use]
    pub const fn except(mut self, socket_id: SocketId) -> Self {
        self.except = Some(socket_id);
        self
    }
}

/// Why an event was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EventError {
    /// No app has this id.
    #[error("no app has this id")]
    UnknownApp,
    /// The app is disabled.
    #[error("the app is disabled")]
    AppDisabled,
    /// The channel's name is not valid.
    #[error("channel name: {0}")]
    Channel(NameError),
    /// The event's name is longer than the app's limit.
    #[error("the event name has {len} characters, the limit is {max}")]
    NameTooLong {
        /// Characters of the name.
        len: usize,
        /// The app's limit.
        max: usize,
    },
    /// The data is larger than the app's limit.
    #[error("the data has {len} bytes, the limit is {max}")]
    DataTooLarge {
        /// Bytes of the data.
        len: usize,
        /// The app's limit.
        max: usize,
    },
    /// More events wait than the server takes in; try again later.
    #[error("too many events wait to be delivered")]
    Congested,
}

/// How many are in a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelInfo {
    /// The channel's name.
    pub name: Box<str>,
    /// Subscribed connections.
    pub subscriptions: u32,
    /// Distinct users of a presence channel; 0 on others.
    pub users: u32,
}

impl ServerHandle {
    pub(super) fn new(
        hub: Hub,
        doors: Doors,
        threads: Vec<Thread>,
        webhooks: webhook::Sender,
        backplane: Option<backplane::Runner>,
    ) -> Self {
        let (threads, webhooks) = (Mutex::new(threads), Mutex::new(Some(webhooks)));
        let backplane = Mutex::new(backplane);
        let Doors { addresses, tls_addresses, secure, metrics } = doors;
        let metrics_address = metrics.as_ref().map(metrics::Listener::address);
        Self(Arc::new(Running {
            hub,
            addresses,
            tls_addresses,
            secure,
            threads,
            reconfiguring: Mutex::default(),
            webhooks,
            backplane,
            metrics: Mutex::new(metrics),
            metrics_address,
        }))
    }

    /// The addresses that the server listens on, with the ports that the system chose.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.0.addresses
    }

    /// Those of the [addresses](Self::addresses) where TLS is spoken.
    #[must_use]
    pub fn tls_addresses(&self) -> &[SocketAddr] {
        &self.0.tls_addresses
    }

    /// Reads the files of the certificates anew, for connections that begin from now on; the server does so by
    /// itself a few seconds after they have changed. Without TLS there is nothing to read.
    ///
    /// It waits for the disk.
    ///
    /// # Errors
    /// [`CertificateError`]; the certificates stay as they were then.
    pub fn reload_certificates(&self) -> Result<(), CertificateError> {
        self.0.secure.as_ref().map_or(Ok(()), |secure| secure.reload())
    }

    /// The apps that the server serves.
    #[must_use]
    pub fn apps(&self) -> &Apps {
        self.0.hub.apps()
    }

    /// Serves these apps from now on, in place of those that it has; what they are is compared by id. No connection
    /// is dropped but those of apps that are disabled now (closed with 4003) or are there no more (4001), whose kept
    /// events are forgotten. What is under way in an app, its connections, channels, history and webhooks that wait,
    /// stays when its settings change, its key and secret too.
    ///
    /// # Errors
    /// [`AppError::DevelopmentAppExposed`] when the development app would be reachable from elsewhere;
    /// nothing is changed then.
    pub fn replace_apps(&self, apps: &Apps) -> Result<AppChanges, AppError> {
        let exposed = self.0.addresses.iter().find(|address| !address.ip().is_loopback());
        if let (true, Some(address)) = (apps.is_development(), exposed) {
            return Err(AppError::DevelopmentAppExposed { address: *address });
        }
        self.0.hub.change_apps(|_, _| (copies(apps.iter()), apps.is_development()))
    }

    /// Adds an app, or changes the one with its id; see [`replace_apps`](Self::replace_apps).
    ///
    /// # Errors
    /// As [`Apps::new`]; nothing is changed then.
    pub fn put_app(&self, app: App) -> Result<AppChanges, AppError> {
        self.0.hub.put_app(app)
    }

    /// Removes an app and closes its connections with 4001; false when no app has this id.
    #[expect(clippy::must_use_candidate, reason = "that it is gone may be all one wants")]
    pub fn remove_app(&self, id: &str) -> bool {
        let removed = self.0.hub.change_apps(|apps, development| {
            (copies(apps.iter().filter(|app| &*app.id != id).cloned()), development)
        });
        removed.is_ok_and(|changes| !changes.removed.is_empty())
    }

    /// Publishes an event to the app with the id `app`. It does not wait for the delivery; events for
    /// one channel arrive in the order of the calls.
    ///
    /// # Errors
    /// [`EventError`]; nothing was published then.
    pub fn publish(&self, app: &str, event: Event<'_>) -> Result<(), EventError> {
        let app = self.app(app)?;
        let limits = &app.limits;
        let max = u16::try_from(limits.max_channel_name).unwrap_or(u16::MAX);
        ChannelName::parse(event.channel, max).map_err(EventError::Channel)?;
        let (len, max) = (event.name.chars().count(), limits.max_event_name as usize);
        if len > max {
            return Err(EventError::NameTooLong { len, max });
        }
        let (len, max) = (event.data.len(), limits.max_event_bytes as usize);
        if len > max {
            return Err(EventError::DataTooLarge { len, max });
        }
        let entry = Entry {
            channel: Bytes::copy_from_slice(event.channel.as_bytes()),
            event: Bytes::copy_from_slice(event.name.as_bytes()),
            data: escape(event.data),
            except: event.except,
            user_id: None,
            source: Source::Application,
            stamp: None,
            accepted: Instant::now(),
        };
        self.0.hub.publish(&app, entry).map_err(|_| EventError::Congested)
    }

    fn app(&self, id: &str) -> Result<Arc<App>, EventError> {
        let app = self.0.hub.apps().by_id(id).ok_or(EventError::UnknownApp)?;
        if app.enabled { Ok(app) } else { Err(EventError::AppDisabled) }
    }

    /// The occupied channels of an app whose names begin with `prefix`, sorted by name.
    ///
    /// # Errors
    /// [`EventError::UnknownApp`] or [`EventError::AppDisabled`].
    pub async fn channels(&self, app: &str, prefix: &str) -> Result<Vec<ChannelInfo>, EventError> {
        let channels = self.0.hub.channels(&self.app(app)?, prefix).await;
        let info = |(name, occupancy): (Box<str>, super::hub::Occupancy)| ChannelInfo {
            name,
            subscriptions: occupancy.subscriptions,
            users: occupancy.users,
        };
        Ok(channels.into_iter().map(info).collect())
    }

    /// The ids of the users in a presence channel, sorted.
    ///
    /// # Errors
    /// [`EventError::UnknownApp`] or [`EventError::AppDisabled`].
    pub async fn users(&self, app: &str, channel: &str) -> Result<Vec<Box<str>>, EventError> {
        Ok(self.0.hub.users(&self.app(app)?, channel).await)
    }

    /// How many connections an app has; 0 for an unknown one.
    #[must_use]
    pub fn connections(&self, app: &str) -> u32 {
        self.0.hub.apps().by_id(app).map_or(0, |app| app.connections())
    }

    /// How the server stands with the other nodes; `None` without a
    /// [backplane](crate::ServerConfig::backplane).
    #[must_use]
    pub fn backplane(&self) -> Option<BackplaneState> {
        self.0.hub.backplane().map(|backplane| backplane.view().state())
    }

    /// What became of the events for each of an app's [webhooks](App::webhooks), in their order; none for
    /// an unknown app.
    #[must_use]
    pub fn webhooks(&self, app: &str) -> Vec<WebhookStats> {
        self.0.hub.apps().by_id(app).map_or_else(Vec::new, |app| app.outlet().stats())
    }

    /// All metrics in Prometheus' text format (version 0.0.4), as the listener that
    /// [`ServerConfig::metrics`](crate::ServerConfig::metrics) asks for serves them. It never takes much longer than a
    /// second: a thread of the server that does not answer by then is left out, and `scrape_incomplete` is 1.
    pub async fn metrics(&self) -> String {
        metrics::text(&self.0.hub).await
    }

    /// Where metrics are served, with the port that the system chose; `None` if they are not.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.0.metrics_address
    }

    /// What was refused last: at most 100, the newest last.
    #[must_use]
    pub fn refusals(&self) -> Vec<Refusal> {
        self.0.hub.refusals()
    }

    /// Closes every connection that is signed in as the user, with 4009.
    ///
    /// # Errors
    /// [`EventError::UnknownApp`] or [`EventError::AppDisabled`].
    pub async fn terminate(&self, app: &str, user_id: &str) -> Result<(), EventError> {
        self.0.hub.terminate(&self.app(app)?, user_id).await;
        Ok(())
    }

    /// What happens in the server from now on. Who reads slowly loses the oldest events and is told how
    /// many.
    #[must_use]
    pub fn events(&self) -> Events {
        Events(self.0.hub.subscribe_to_events())
    }

    /// The server as a tower service, for an HTTP server of your own such as axum's.
    #[must_use]
    pub fn service(&self) -> Service {
        Service::new(self.0.hub.clone(), self.clone())
    }

    /// Ends the server. For [`shutdown_delay`](crate::ServerConfig::shutdown_delay) only `/ready` says no. Then it
    /// ends within its grace time: no new sockets, closes with 4200 spread over the first half of it, then the rest is
    /// cut. Webhooks that wait have what is left of the time, a quarter of it at least. A second call waits for the
    /// first.
    pub async fn shutdown(&self) {
        let hub = &self.0.hub;
        hub.start_leaving();
        if !hub.is_draining() {
            let delay = hub.config().shutdown_delay;
            tokio::time::sleep(delay).await;
        }
        let grace = hub.config().shutdown_grace;
        let deadline = Instant::now() + grace;
        let has_webhooks = hub.apps().iter().any(|app| !app.webhooks.is_empty());
        let patience = if has_webhooks { grace * 3 / 4 } else { grace };
        if hub.start_draining() {
            let spread_ms = u64::try_from(grace.as_millis() / 2).unwrap_or(u64::MAX);
            for shard in 0..hub.shards() {
                hub.send(shard, Mail::Drain { spread_ms });
            }
        }
        let connected = || hub.apps().iter().any(|app| app.connections() > 0);
        let _ = tokio::time::timeout(patience, async {
            while connected() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        })
        .await;
        self.0.end_feeds(deadline).await;
        self.0.stop_shards();
        // The thread ends by itself at the deadline; a runtime of ours must not be blocked that long.
        let thread = self.0.stop_webhooks(deadline);
        while thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        if let Some(thread) = thread {
            thread.join();
        }
        // The others must know what has been sent before they are left.
        self.0.stop_backplane();
        self.0.stop_metrics();
    }
}

impl Running {
    /// Lets who listens to a feed have the last of it.
    async fn end_feeds(&self, deadline: Instant) {
        let told = {
            let webhooks = self.webhooks.lock().unwrap_or_else(PoisonError::into_inner);
            webhooks.as_ref().map(webhook::Sender::end_feeds)
        };
        let Some(told) = told else { return };
        // A shard writes what is on its way to a listener, so it must not end before.
        let listened_to = || self.hub.apps().iter().any(|app| app.outlet().feed.listeners() > 0);
        let _ = tokio::time::timeout_at(deadline.into(), async {
            let _ = told.await; // an error means that there are no feeds any more
            while listened_to() {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    fn stop_shards(&self) {
        for shard in 0..self.hub.shards() {
            self.hub.send(shard, Mail::Stop);
        }
        if let Some(lookups) = self.hub.apps().lookups() {
            lookups.end();
        }
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            thread.join();
        }
    }

    /// Nothing can be measured any more.
    fn stop_metrics(&self) {
        let mut metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listener) = metrics.take() {
            listener.stop().join();
        }
    }

    /// Says goodbye to the other nodes.
    fn stop_backplane(&self) {
        let mut backplane = self.backplane.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runner) = backplane.take() {
            runner.stop().join();
        }
    }

    /// Lets the webhooks that wait be sent until the deadline.
    fn stop_webhooks(&self, deadline: Instant) -> Option<Thread> {
        let mut webhooks = self.webhooks.lock().unwrap_or_else(PoisonError::into_inner);
        webhooks.take().map(|webhooks| webhooks.stop(deadline))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop_shards();
        if let Some(thread) = self.stop_webhooks(Instant::now()) {
            thread.join();
        }
        self.stop_backplane();
        self.stop_metrics();
    }
}

/// Events of a server, in order.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<ServerEvent>);

/// Events were lost because they were not read in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0} events were not read in time and are lost")]
pub struct Lagged(pub u64);

impl Events {
    /// The next event; `None` when the server has ended.
    ///
    /// Cancel-safe: no event is lost when the future is dropped.
    ///
    /// # Errors
    /// [`Lagged`] when events had to be dropped; the call after it goes on with those that are left.
    pub async fn next(&mut self) -> Option<Result<ServerEvent, Lagged>> {
        match self.0.recv().await {
            Ok(event) => Some(Ok(event)),
            Err(broadcast::error::RecvError::Lagged(count)) => Some(Err(Lagged(count))),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

fn copies(apps: impl Iterator<Item = Arc<App>>) -> Vec<App> {
    apps.map(|app| App::clone(&app)).collect()
}

/// Text as the inside of a JSON string literal.
fn escape(text: &str) -> Bytes {
    // Six bytes at most for one: \u0000.
    let mut memory = vec![0; text.len().saturating_mul(6)];
    let mut tx = TxBuf::new(&mut memory);
    let written = json::escape_into(&mut tx, text);
    debug_assert!(written.is_ok(), "an escape takes at most six bytes");
    let len = tx.len();
    memory.truncate(len);
    memory.shrink_to_fit();
    Bytes::from(memory)
}
