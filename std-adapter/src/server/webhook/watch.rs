//! Webhooks that another node is to send, in case that it cannot any more.

use super::Fact;
use crate::server::backplane::Teller;
use crate::server::hub::Hub;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Facts that are kept in mind at most; beyond, the oldest are forgotten.
const MAX_WATCHED: usize = 65_536;

/// A node that is heard this much later than a fact has told it.
const MARGIN: Duration = Duration::from_secs(1);

/// Facts that other nodes tell, until those nodes have been heard since.
pub(super) struct Watch {
    facts: VecDeque<(Instant, u64, Fact)>,
    every: Duration,
}

impl Watch {
    pub(super) fn new(lease: Duration) -> Self {
        Self { facts: VecDeque::new(), every: (lease / 10).max(Duration::from_millis(10)) }
    }

    /// Tells a fact, or keeps it in mind if another node tells it.
    pub(super) fn tell(&mut self, hub: &Hub, fact: &Fact, mut tell: impl FnMut(&Fact)) {
        match fact.teller {
            Teller::Nobody => {}
            Teller::Here => tell(fact),
            Teller::Other(node) => {
                let view = hub.backplane().map(|backplane| backplane.view());
                let is_there = view.is_some_and(|view| view.last_heard(node).is_some());
                if is_there {
                    if self.facts.len() >= MAX_WATCHED {
                        self.facts.pop_front();
                    }
                    self.facts.push_back((Instant::now(), node, fact.clone()));
                } else if view.is_some_and(|view| chosen(hub, view, fact) == Teller::Here) {
                    tell(fact);
                }
            }
        }
    }

    /// Looks after what is kept in mind: what its node has told is forgotten, what it cannot tell any more is told.
    pub(super) fn look(&mut self, hub: &Hub, mut tell: impl FnMut(&Fact)) {
        let Some(view) = hub.backplane().map(|backplane| backplane.view()) else { return };
        self.facts.retain(|(at, node, fact)| match view.last_heard(*node) {
            Some(heard) => heard < *at + MARGIN,
            None => {
                if chosen(hub, view, fact) == Teller::Here {
                    tell(fact);
                }
                false
            }
        });
    }
}

/// Who tells a fact by now.
fn chosen(hub: &Hub, view: &crate::server::backplane::View, fact: &Fact) -> Teller {
    let app = hub.apps().get(fact.app);
    app.map_or(Teller::Nobody, |app| view.teller(&app.id, fact.channel.as_bytes()))
}

/// Waits until it is time to look; for ever when nothing is kept in mind.
pub(super) async fn next_look(watch: &RefCell<Watch>) {
    let (every, is_empty) = {
        let watch = watch.borrow();
        (watch.every, watch.facts.is_empty())
    };
    if is_empty {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(every).await;
}
