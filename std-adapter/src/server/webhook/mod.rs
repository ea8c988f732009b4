//! Webhooks: what happens in an app is told to the application, by signed requests.
//!
//! ```text
//! shard ─ notice ─► intake ─► held back, if a departure ─► one queue an endpoint ─► POST, one at a time
//!         (never waits)       (3 s, cancels out)           (bounded)                (again, up to 5 min)
//! ```
//!
//! A shard only puts a fact into the intake, and only when its app has an endpoint that wants it. All
//! else happens on a thread of its own. What does not fit into a bound is dropped and counted, see
//! [`WebhookStats`].
//!
//! A webhook starts no loop by itself: publishing tells no webhook, and a request without the HTTP
//! API's own signature does nothing here.

mod client;
mod config;
mod delay;
mod fact;
mod feed;
mod outlet;
mod queue;
mod queues;
mod watch;

pub(crate) use config::Kinds;
pub use config::{UnknownEvent, Webhook, WebhookEvent};
pub(crate) use feed::{Listener, Wish};
pub use outlet::WebhookStats;
pub(crate) use outlet::{Facts, Intake, Outlet};

use super::backplane::Told;
use super::handle::Thread;
use super::hub::Hub;
use super::now_ms;
use super::steps::TRACES;
use crate::app::App;
use bytes::{BufMut as _, Bytes, BytesMut};
use client::{Client, Post};
use delay::Held;
use fact::Fact;
use queue::{Batch, Queue};
use queues::Queues;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use tidings_core::auth::sign_webhook;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Duration, Instant};
use tracing::Instrument as _;
use tracing::field::{Empty, display};
use watch::Watch;

/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Departures that may be held back at once, over all apps.
const MAX_HELD: usize = 65_536;

/// The thread that sends, as seen from the server's handle.
pub(super) struct Sender {
    thread: Thread,
    last_facts: mpsc::UnboundedSender<oneshot::Sender<()>>,
    stop: oneshot::Sender<std::time::Instant>,
}

impl Sender {
    pub(super) fn spawn(hub: Hub, facts: Facts) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (last_facts, ending) = mpsc::unbounded_channel();
        let thread = Thread::spawn("tidings-webhooks".into(), move |runtime| {
            LocalSet::new().block_on(runtime, run(hub, facts, ending, stopped));
        })?;
        Ok(Self { thread, last_facts, stop })
    }

    /// Tells what is held back, ends every feed, and says when that is done.
    pub(super) fn end_feeds(&self) -> oneshot::Receiver<()> {
        let (done, told) = oneshot::channel();
        let _ = self.last_facts.send(done); // the thread has ended, which ends the wait too
        told
    }

    /// Sends what waits, until `deadline` at most, and ends the thread.
    pub(super) fn stop(self, deadline: std::time::Instant) -> Thread {
        let _ = self.stop.send(deadline); // it has ended by itself
        self.thread
    }
}

/// Sorts facts into queues until the server ends, then waits for the queues to be empty.
async fn run(
    hub: Hub,
    mut facts: Facts,
    mut ending: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    mut stopped: oneshot::Receiver<std::time::Instant>,
) {
    let mut workers = JoinSet::new();
    let (mut changes, mut config_changes) = (hub.app_changes(), hub.current_config().changes());
    let queues = Queues::default();
    queues.renew(&hub, &mut workers);
    let mut held = Held::new(hub.config().webhook_delay, MAX_HELD);
    let watch = RefCell::new(Watch::new(hub.config().backplane_lease));
    let mut tell = |fact: Fact| {
        watch.borrow_mut().tell(&hub, &fact, &queues);
        if let Some(app) = hub.apps().get(fact.app) {
            app.outlet().feed.tell(&fact, hub.config().feed_retention);
        }
    };
    let deadline = loop {
        let due = held.next_due();
        let next_due = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // What has changed counts for all that happens after it; what is due does not wait for a pause.
            biased;
            deadline = &mut stopped => break deadline,
            Ok(()) = changes.changed() => queues.renew(&hub, &mut workers),
            Ok(()) = config_changes.changed() => {
                held.set_delay(hub.config().webhook_delay);
                queues.renew(&hub, &mut workers);
            }
            Some(done) = ending.recv() => {
                while let Some(fact) = facts.try_next() {
                    held.offer(fact, Instant::now(), &mut tell);
                }
                let_go(&mut held, &hub, &mut tell);
                hub.apps().iter().for_each(|app| app.outlet().feed.end());
                let _ = done.send(()); // nobody waits for it any more
            }
            () = next_due => held.release(Instant::now(), &mut tell),
            () = watch::next_look(&hub, &watch) => watch.borrow_mut().look(&hub, &queues),
            fact = facts.next() => match fact {
                Some(fact) => held.offer(fact, Instant::now(), &mut tell),
                None => break (&mut stopped).await,
            },
        }
    };
    while let Some(fact) = facts.try_next() {
        held.offer(fact, Instant::now(), &mut tell);
    }
    let_go(&mut held, &hub, &mut tell);
    queues.close();
    // Without a word about a deadline there is no time left.
    let deadline = deadline.map_or_else(|_| Instant::now(), Instant::from_std);
    let _ =
        tokio::time::timeout_at(deadline, async { while workers.join_next().await.is_some() {} })
            .await;
    drop(workers);
    queues.give_up();
}

/// Tells the departures that are held back when the server ends. Other servers hold them as well, and will know who
/// has come back.
fn let_go(held: &mut Held, hub: &Hub, tell: &mut impl FnMut(Fact)) {
    if hub.backplane().is_some_and(|backplane| backplane.view().has_company()) {
        held.forget_all();
    } else {
        held.release_all(tell);
    }
}

/// Sends what one endpoint is to get, in order.
async fn work(queue: Rc<Queue>, client: Client, hub: Hub) {
    while let Some(batch) = queue.next().await {
        let events = batch.events.clone();
        let app = queue.app();
        let delivered = deliver(&app, &queue, &client, &hub, batch).await;
        queue.settle(events.len(), delivered);
        // Sent or given up: no other node has to see to it.
        if let Some(backplane) = hub.backplane() {
            let index = app.index();
            for event in events {
                let hash = watch::id_of(&app.id, queue.place.get(), &event);
                backplane.tell(Told::Sent { app: index, hash });
            }
        }
    }
}

/// Sends a request until it is taken, or it is too old. Body and signature stay the same.
async fn deliver(app: &App, queue: &Queue, client: &Client, hub: &Hub, batch: Batch) -> bool {
    let (endpoint, url) = (&queue.endpoint, queue.endpoint.shown());
    let give_up = || batch.since + hub.config().webhook_retry;
    let body = body(&batch.events);
    let signature = sign_webhook(app.signing(), &body);
    let post = Post {
        uri: &endpoint.uri,
        headers: &endpoint.headers,
        key: &app.key,
        signature: signature.as_str(),
        body,
    };
    let mut pause = hub.config().webhook_backoff.max(Duration::from_millis(1));
    while Instant::now() < give_up() {
        let error = {
            let _turn = queue.turn.lock().await;
            let trace = tracing::debug_span!(
                target: TRACES,
                "webhook",
                otel.kind = "client",
                otel.status_code = Empty,
                otel.status_description = Empty,
                url.full = url,
                tidings.app_id = &*app.id,
                tidings.events = batch.events.len(),
            );
            let patience = hub.config().webhook_timeout;
            match client.send(&post, patience).instrument(trace.clone()).await {
                Ok(()) => return true,
                Err(error) => {
                    trace.record("otel.status_code", "ERROR");
                    trace.record("otel.status_description", display(&error));
                    error
                }
            }
        };
        endpoint.counts.failed_attempts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if Instant::now() + pause >= give_up() {
            tracing::warn!(url, %error, events = batch.events.len(), "webhook given up");
            return false;
        }
        tracing::info!(url, %error, ?pause, "webhook failed and is tried again");
        let closed = queue.closed.notified();
        if queue.is_closing() {
            tokio::time::sleep(pause).await;
        } else {
            // The end is the last occasion, so it cuts the pause short.
            let _ = tokio::time::timeout(pause, closed).await;
        }
        pause = pause.saturating_mul(2).min(MAX_PAUSE);
    }
    tracing::warn!(url, events = batch.events.len(), "webhooks waited too long and are dropped");
    false
}

/// The body of a request with these events.
fn body(events: &[Bytes]) -> Bytes {
    let length: usize = events.iter().map(|event| event.len() + 1).sum();
    let mut body = BytesMut::with_capacity(length + 48);
    body.put_slice(b"{\"time_ms\":");
    body.put_slice(itoa::Buffer::new().format(now_ms()).as_bytes());
    body.put_slice(b",\"events\":[");
    for (at, event) in events.iter().enumerate() {
        if at > 0 {
            body.put_u8(b',');
        }
        body.put_slice(event);
    }
    body.put_slice(b"]}");
    body.freeze()
}
