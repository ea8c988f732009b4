//! Where the facts about one app go.

use super::config::{Kinds, Webhook, WebhookEvent, shown};
use super::fact::{Fact, subject};
use super::feed::Feed;
use crate::app::{App, Apps};
use crate::server::backplane::Teller;
use crate::server::hub::Notice;
use http::{HeaderMap, Uri};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// What became of the events for one endpoint of [`App::webhooks`](crate::App).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebhookStats {
    /// The endpoint, without its query.
    pub url: Box<str>,
    /// Events that the endpoint has taken with a status from 200 to 299.
    pub delivered: u64,
    /// Events that wait or are on their way.
    pub waiting: u64,
    /// Requests that failed and were, or will be, tried again.
    pub failed_attempts: u64,
    /// Events dropped because too many waited.
    pub dropped_full: u64,
    /// Events dropped because the endpoint did not take them in time.
    pub dropped_late: u64,
    /// Events that were left when the server ended.
    pub dropped_at_shutdown: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) delivered: AtomicU64,
    pub(super) waiting: AtomicU64,
    pub(super) failed_attempts: AtomicU64,
    pub(super) dropped_full: AtomicU64,
    pub(super) dropped_late: AtomicU64,
    pub(super) dropped_at_shutdown: AtomicU64,
}

/// An endpoint, checked and ready to be sent to.
pub(super) struct Endpoint {
    pub(super) webhook: Webhook,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    /// What it gets.
    gets: Kinds,
    /// What must be seen to know what it gets.
    sees: Kinds,
    pub(super) counts: Counts,
}

impl Endpoint {
    fn new(webhook: &Webhook) -> Result<Self, &'static str> {
        let gets = webhook.kinds();
        Ok(Self {
            webhook: webhook.clone(),
            uri: webhook.uri()?,
            headers: webhook.header_map()?,
            gets,
            sees: gets.with_partners(),
            counts: Counts::default(),
        })
    }

    pub(super) fn is_https(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    pub(super) fn gets(&self, fact: &Fact) -> bool {
        let channel = Some(fact.channel.as_bytes()).filter(|channel| !channel.is_empty());
        self.gets.contains(fact.kind) && self.webhook.lets_through(channel)
    }

    fn sees(&self, kind: WebhookEvent, channel: Option<&[u8]>) -> bool {
        self.sees.contains(kind) && self.webhook.lets_through(channel)
    }

    /// The URL as it may be logged.
    pub(super) fn shown(&self) -> &str {
        shown(&self.webhook.url)
    }

    fn stats(&self) -> WebhookStats {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        WebhookStats {
            url: self.shown().into(),
            delivered: count(&self.counts.delivered),
            waiting: count(&self.counts.waiting),
            failed_attempts: count(&self.counts.failed_attempts),
            dropped_full: count(&self.counts.dropped_full),
            dropped_late: count(&self.counts.dropped_late),
            dropped_at_shutdown: count(&self.counts.dropped_at_shutdown),
        }
    }
}

/// All that wants to be told of one app. It is part of the app.
#[derive(Default)]
pub(crate) struct Outlet {
    pub(super) endpoints: Box<[Arc<Endpoint>]>,
    pub(crate) feed: Arc<Feed>,
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let webhooks = self.endpoints.iter().map(|endpoint| &endpoint.webhook);
        f.debug_list().entries(webhooks).finish()
    }
}

impl Outlet {
    /// An outlet for these endpoints, or the URL that is of no use and the reason.
    pub(crate) fn new(webhooks: &[Webhook]) -> Result<Self, (Box<str>, &'static str)> {
        let endpoint = |webhook| match Endpoint::new(webhook) {
            Ok(endpoint) => Ok(Arc::new(endpoint)),
            Err(reason) => Err((shown(&webhook.url).into(), reason)),
        };
        let endpoints = webhooks.iter().map(endpoint).collect::<Result<_, _>>()?;
        Ok(Self { endpoints, feed: Arc::default() })
    }

    /// This outlet with the feed of an earlier version of the app, and with its endpoints where they are alike, so
    /// that what waits for them stays.
    pub(crate) fn taking_over(mut self, earlier: &Self) -> Self {
        self.feed = Arc::clone(&earlier.feed);
        let mut left: Vec<_> = earlier.endpoints.iter().collect();
        for endpoint in &mut self.endpoints {
            if let Some(at) = left.iter().position(|old| old.webhook == endpoint.webhook) {
                *endpoint = Arc::clone(left.swap_remove(at));
            }
        }
        self
    }

    fn wants(&self, kind: WebhookEvent, channel: Option<&[u8]>) -> bool {
        self.feed.sees(kind) || self.endpoints.iter().any(|endpoint| endpoint.sees(kind, channel))
    }

    /// Counts a fact that could not be taken in for all who would have been told.
    fn lose(&self, kind: WebhookEvent, channel: Option<&[u8]>) {
        self.feed.lose(kind);
        for endpoint in self.endpoints.iter().filter(|e| e.sees(kind, channel)) {
            let before = endpoint.counts.dropped_full.fetch_add(1, Ordering::Relaxed);
            if before.is_multiple_of(1_000) {
                let url = endpoint.shown();
                tracing::warn!(url, "more happens than webhooks can tell: events are dropped");
            }
        }
    }

    pub(crate) fn stats(&self) -> Vec<WebhookStats> {
        self.endpoints.iter().map(|endpoint| endpoint.stats()).collect()
    }
}

/// Facts that may wait to be sorted. It takes a burst; endpoints have queues of their own.
const MAX_FACTS: usize = 65_536;

/// Bytes of these facts.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The entrance: shards put facts in and never wait.
#[derive(Debug)]
pub(crate) struct Intake {
    sender: mpsc::Sender<Fact>,
    bytes: Arc<AtomicUsize>,
}

/// The other side of the [`Intake`].
#[derive(Debug)]
pub(crate) struct Facts {
    receiver: mpsc::Receiver<Fact>,
    bytes: Arc<AtomicUsize>,
}

impl Intake {
    pub(crate) fn new() -> (Self, Facts) {
        let (sender, receiver) = mpsc::channel(MAX_FACTS);
        let bytes = Arc::new(AtomicUsize::new(0));
        (Self { sender, bytes: Arc::clone(&bytes) }, Facts { receiver, bytes })
    }

    /// Takes a notice in if something of its app wants it. Allocates only then.
    pub(crate) fn offer(
        &self,
        apps: &Apps,
        notice: &Notice<'_>,
        teller: impl FnOnce(&App) -> Teller,
    ) {
        let (app, kind, channel) = subject(notice);
        let apps = apps.now();
        let Some(app) = apps.get(app) else { return };
        let outlet = app.outlet();
        if !outlet.wants(kind, channel) {
            return;
        }
        let fact = Fact::of(notice, teller(app));
        let weight = fact.weight();
        let before = self.bytes.fetch_add(weight, Ordering::Relaxed);
        if before.saturating_add(weight) > MAX_BYTES || self.sender.try_send(fact).is_err() {
            self.bytes.fetch_sub(weight, Ordering::Relaxed);
            outlet.lose(kind, channel);
        }
    }
}

impl Facts {
    /// The next fact; `None` when there will be none.
    pub(super) async fn next(&mut self) -> Option<Fact> {
        let fact = self.receiver.recv().await;
        fact.inspect(|fact| self.taken(fact))
    }

    /// A fact that is there already.
    pub(super) fn try_next(&mut self) -> Option<Fact> {
        let fact = self.receiver.try_recv().ok();
        fact.inspect(|fact| self.taken(fact))
    }

    fn taken(&self, fact: &Fact) {
        self.bytes.fetch_sub(fact.weight(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apps(kinds: &[WebhookEvent]) -> Apps {
        let mut app = App::new("id", "key", "secret");
        let mut webhook = Webhook::new("http://x/");
        webhook.event_types = kinds.to_vec();
        webhook.channel_name_starts_with = Some("a".into());
        app.webhooks.push(webhook);
        Apps::new(vec![app, App::new("2", "2", "2")]).unwrap()
    }

    #[test]
    fn only_what_somebody_wants_is_taken_in() {
        let apps = apps(&[WebhookEvent::ChannelVacated]);
        let (intake, mut facts) = Intake::new();
        let mut taken = |notice| {
            intake.offer(&apps, &notice, |_| Teller::Here);
            facts.try_next().is_some()
        };
        assert!(taken(Notice::Vacated { app: 0, channel: b"a" }));
        assert!(taken(Notice::Occupied { app: 0, channel: b"a" }), "it may cancel a departure");
        assert!(!taken(Notice::Vacated { app: 0, channel: b"b" }), "the filter");
        assert!(!taken(Notice::Vacated { app: 1, channel: b"a" }), "an app without endpoints");
        assert!(!taken(Notice::MemberAdded { app: 0, channel: b"a", user_id: "u" }));
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let apps = apps(&[]);
        let (intake, mut facts) = Intake::new();
        for _ in 0..MAX_FACTS + 3 {
            let notice = Notice::Occupied { app: 0, channel: b"a" };
            intake.offer(&apps, &notice, |_| Teller::Here);
        }
        assert_eq!(apps.get(0).unwrap().outlet().stats()[0].dropped_full, 3);
        while facts.try_next().is_some() {}
        assert_eq!(intake.bytes.load(Ordering::Relaxed), 0, "each byte is given back");
    }
}
