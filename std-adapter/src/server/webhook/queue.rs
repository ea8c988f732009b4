//! What waits for one endpoint, in order and bounded.

use super::outlet::Endpoint;
use crate::app::App;
use crate::config::ServerConfig;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::{Mutex, Notify};
use tokio::time::{Duration, Instant};

/// An event that waits.
#[derive(Debug)]
struct Waiting {
    json: Bytes,
    since: Instant,
}

/// Events that share a request.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) events: Vec<Bytes>,
    /// When the first of them came.
    pub(super) since: Instant,
}

/// How long and how far a queue gathers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    max_events: usize,
    max_bytes: usize,
    /// Events in a request.
    max_batch: usize,
    /// How long the first event of a request waits for others.
    window: Duration,
}

impl Rules {
    pub(super) fn new(config: &ServerConfig, batching: Option<bool>) -> Self {
        let batching = batching.unwrap_or(config.webhook_batching);
        Self {
            max_events: config.max_webhook_queue as usize,
            max_bytes: config.max_webhook_queue_bytes as usize,
            max_batch: if batching { config.max_webhook_batch.max(1) as usize } else { 1 },
            window: if batching { config.webhook_batch_window } else { Duration::ZERO },
        }
    }
}

pub(super) struct Queue {
    pub(super) endpoint: Arc<Endpoint>,
    /// The app as it is configured now.
    app: RefCell<Arc<App>>,
    /// The endpoint's place among those of the app.
    pub(super) place: Cell<usize>,
    /// Held during a request: endpoints of one app with one URL take turns.
    pub(super) turn: std::rc::Rc<Mutex<()>>,
    rules: Cell<Rules>,
    waiting: RefCell<VecDeque<Waiting>>,
    bytes: Cell<usize>,
    closing: Cell<bool>,
    /// Something has come, or the end.
    changed: Notify,
    /// The end has come.
    pub(super) closed: Notify,
}

impl Queue {
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        app: &Arc<App>,
        turn: std::rc::Rc<Mutex<()>>,
        config: &ServerConfig,
    ) -> Self {
        let rules = Rules::new(config, endpoint.webhook.batching);
        Self {
            endpoint,
            app: RefCell::new(Arc::clone(app)),
            place: Cell::default(),
            turn,
            rules: Cell::new(rules),
            waiting: RefCell::default(),
            bytes: Cell::default(),
            closing: Cell::default(),
            changed: Notify::new(),
            closed: Notify::new(),
        }
    }

    /// Notes how the app and the server are configured now.
    pub(super) fn renew(&self, app: &Arc<App>, place: usize, config: &ServerConfig) {
        self.app.replace(Arc::clone(app));
        self.place.set(place);
        self.rules.set(Rules::new(config, self.endpoint.webhook.batching));
        self.changed.notify_one();
    }

    pub(super) fn app(&self) -> Arc<App> {
        Arc::clone(&self.app.borrow())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// Puts an event behind the others, or drops and counts it when too much waits.
    pub(super) fn push(&self, json: &Bytes) {
        let (counts, mut waiting) = (&self.endpoint.counts, self.waiting.borrow_mut());
        let bytes = self.bytes.get().saturating_add(json.len());
        let rules = self.rules.get();
        if waiting.len() >= rules.max_events || bytes > rules.max_bytes {
            if counts.dropped_full.fetch_add(1, Ordering::Relaxed).is_multiple_of(1_000) {
                let (url, waiting) = (self.endpoint.shown(), waiting.len());
                tracing::warn!(url, waiting, "a webhook endpoint is too slow: events are dropped");
            }
            return;
        }
        counts.waiting.fetch_add(1, Ordering::Relaxed);
        self.bytes.set(bytes);
        waiting.push_back(Waiting { json: json.clone(), since: Instant::now() });
        self.changed.notify_one();
    }

    /// Nothing more comes.
    pub(super) fn close(&self) {
        self.closing.set(true);
        self.changed.notify_one();
        self.closed.notify_waiters();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// The events of the next request; `None` when all are taken and no more come.
    pub(super) async fn next(&self) -> Option<Batch> {
        loop {
            let first = self.waiting.borrow().front().map(|first| first.since);
            let Some(since) = first else {
                if self.closing.get() {
                    return None;
                }
                self.changed.notified().await;
                continue;
            };
            let rules = self.rules.get();
            let full = self.waiting.borrow().len() >= rules.max_batch;
            let due = since + rules.window;
            if full || self.closing.get() || due <= Instant::now() {
                return Some(self.take(since));
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep_until(due) => {}
            }
        }
    }

    fn take(&self, since: Instant) -> Batch {
        let mut waiting = self.waiting.borrow_mut();
        let count = waiting.len().min(self.rules.get().max_batch);
        let events: Vec<Bytes> = waiting.drain(..count).map(|waiting| waiting.json).collect();
        let bytes: usize = events.iter().map(Bytes::len).sum();
        self.bytes.set(self.bytes.get().saturating_sub(bytes));
        if waiting.is_empty() {
            waiting.shrink_to(64);
        }
        Batch { events, since }
    }

    /// Notes the end of events that were on their way.
    pub(super) fn settle(&self, count: usize, delivered: bool) {
        let counts = &self.endpoint.counts;
        let outcome = if delivered { &counts.delivered } else { &counts.dropped_late };
        outcome.fetch_add(count as u64, Ordering::Relaxed);
        counts.waiting.fetch_sub(count as u64, Ordering::Relaxed);
    }

    /// Counts what was not sent in time as lost.
    pub(super) fn give_up(&self) {
        let counts = &self.endpoint.counts;
        let lost = counts.waiting.swap(0, Ordering::Relaxed);
        if lost > 0 {
            counts.dropped_at_shutdown.fetch_add(lost, Ordering::Relaxed);
            let url = self.endpoint.shown();
            tracing::warn!(url, lost, "the server ends before all webhooks were delivered");
        }
    }
}
