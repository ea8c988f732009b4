//! Webhooks that another node is to send, in case that it cannot any more.

use super::{Fact, Queues};
use crate::server::backplane::{SEED, Teller, View, hash};
use crate::server::hub::Hub;
use hashbrown::HashMap;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Webhooks that are kept in mind at most; beyond, the oldest are forgotten.
const MAX_WATCHED: usize = 65_536;

/// A webhook that another node is to send.
struct Watched {
    at: Instant,
    node: u64,
    /// Tells it from others, on all nodes alike.
    id: u64,
    fact: Fact,
    /// The place of the endpoint among those of the app.
    endpoint: usize,
}

/// Webhooks of other nodes, until those say that they have sent them.
pub(super) struct Watch {
    watched: VecDeque<Watched>,
    /// What has been sent before it was known here.
    early: HashMap<u64, Vec<Instant>>,
    /// When to look again.
    next: Instant,
    /// How often to look, and how long an early word counts.
    every: Duration,
    patience: Duration,
}

/// What tells a webhook from others on all nodes: the app, the place of the endpoint, and what is told.
pub(super) fn id_of(app: &str, endpoint: usize, json: &[u8]) -> u64 {
    let place = u64::try_from(endpoint).unwrap_or(u64::MAX).to_le_bytes();
    hash(hash(hash(SEED, app.as_bytes()), &place), json)
}

impl Watch {
    pub(super) fn new(lease: Duration) -> Self {
        let every = (lease / 10).max(Duration::from_millis(10));
        let (watched, early) = (VecDeque::new(), HashMap::default());
        Self { watched, early, every, next: Instant::now() + every, patience: lease }
    }

    /// Tells a fact, or keeps it in mind if another node tells it.
    pub(super) fn tell(&mut self, hub: &Hub, fact: &Fact, queues: &Queues) {
        let view = hub.backplane().map(|backplane| backplane.view());
        match (fact.teller, view) {
            (Teller::Here, _) => queues.tell(fact),
            (Teller::Nobody, _) | (Teller::Other(_), None) => {}
            (Teller::Other(node), Some(view)) if view.last_heard(node).is_some() => {
                let Some(app) = hub.apps().get(fact.app) else { return };
                for (endpoint, json) in queues.that_get(fact) {
                    let id = id_of(&app.id, endpoint, &json);
                    if !self.take_early(id) {
                        if self.watched.len() >= MAX_WATCHED {
                            self.watched.pop_front();
                        }
                        let (at, fact) = (Instant::now(), fact.clone());
                        self.watched.push_back(Watched { at, node, id, fact, endpoint });
                    }
                }
            }
            (Teller::Other(_), Some(view)) => {
                if chosen(hub, view, fact) == Teller::Here {
                    queues.tell(fact);
                }
            }
        }
    }

    fn take_early(&mut self, id: u64) -> bool {
        let Some(times) = self.early.get_mut(&id) else { return false };
        let taken = times.pop().is_some();
        if times.is_empty() {
            self.early.remove(&id);
        }
        taken
    }

    /// Looks after what is kept in mind: what its node has sent is forgotten, what it cannot send any more is sent.
    pub(super) fn look(&mut self, hub: &Hub, queues: &Queues) {
        let Some(view) = hub.backplane().map(|backplane| backplane.view()) else { return };
        let now = Instant::now();
        self.next = now + self.every;
        // How long a webhook is of interest.
        let retry = hub.config().webhook_retry;
        for id in view.take_sent() {
            self.early.entry(id).or_default().push(now);
        }
        for watched in std::mem::take(&mut self.watched) {
            if self.take_early(watched.id) || now.duration_since(watched.at) > retry {
                continue;
            }
            if view.last_heard(watched.node).is_some() {
                self.watched.push_back(watched);
            } else if chosen(hub, view, &watched.fact) == Teller::Here {
                queues.tell_one(&watched.fact, watched.endpoint);
            }
        }
        let patience = self.patience;
        self.early.retain(|_, times| {
            times.retain(|at| now.duration_since(*at) < patience);
            !times.is_empty()
        });
    }
}

/// Who tells a fact by now.
fn chosen(hub: &Hub, view: &View, fact: &Fact) -> Teller {
    let app = hub.apps().get(fact.app);
    app.map_or(Teller::Nobody, |app| view.teller(&app.id, fact.channel.as_bytes()))
}

/// Waits until it is time to look; for ever on a server without others.
pub(super) async fn next_look(hub: &Hub, watch: &RefCell<Watch>) {
    if hub.backplane().is_none() {
        std::future::pending::<()>().await;
    }
    let next = watch.borrow().next;
    tokio::time::sleep_until(next.into()).await;
}
