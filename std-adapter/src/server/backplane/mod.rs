//! The way between nodes: several servers that act as one.
//!
//! ```text
//! shard ─ told ─► link ─ frames ─► Redis or NATS ─ frames ─► link ─ mail ─► shards      of every node
//! ```
//!
//! Whatever a node tells goes to all nodes, itself included, on one topic. Events are delivered when the bus brings
//! them back, so that their order is the bus's on every node. Everything else is done here at once, and told: how
//! many subscriptions of a channel are here, which members of a presence channel, which users. So each node knows
//! enough to answer by itself, and a node that falls silent for longer than its lease is forgotten by the others.
//!
//! Without the bus a node goes on alone: what it publishes reaches its own sockets at once and the others late.
//! What the others told last stays as it was until they tell it anew.

#[cfg_attr(
    not(any(feature = "nats", feature = "redis")),
    expect(dead_code, reason = "no bus is built in")
)]
mod bus;
mod link;
#[cfg(test)]
mod link_tests;
#[cfg(feature = "nats")]
mod nats;
mod node;
mod ops;
#[cfg(feature = "redis")]
mod redis;
mod run;
mod url;
mod view;
mod wire;

pub use url::{BackplaneError, BackplaneUrl};
pub use view::BackplaneState;
pub(crate) use view::{SEED, Teller, View, hash};

use super::hub::mail::{Channel, Member};
use super::hub::{Congested, Entry, KeptLog, KeptState, Notice};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;

pub(super) use run::Runner;

/// Entries that may be on their way through the bus before publishers are turned away.
const MAX_WAITING: usize = 65_536;

/// What a shard tells other nodes. Apps are named by their place here.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    Entry {
        app: u32,
        entry: Entry,
    },
    /// So many subscriptions are in force here.
    Count {
        channel: Channel,
        count: u32,
    },
    Here {
        channel: Channel,
        member: Member,
    },
    Gone {
        channel: Channel,
        user_id: Box<str>,
    },
    CacheMiss {
        channel: Channel,
    },
    User {
        app: u32,
        user_id: Box<str>,
        online: bool,
    },
    Terminate {
        app: u32,
        user_id: Box<str>,
    },
    /// Webhooks with a fact of this hash have been sent, or given up.
    Sent {
        app: u32,
        hash: u64,
    },
    /// What a cache channel holds, for a node that is new.
    Cached {
        channel: Channel,
        cached: KeptState,
    },
    /// What is kept of a channel, for a node that is new.
    Log {
        channel: Channel,
        log: KeptLog,
    },
    /// All that one shard has to tell a node that asked.
    State {
        to: u64,
        told: Vec<Self>,
    },
}

/// The shards' side of the way to other nodes.
#[derive(Debug)]
pub(crate) struct Backplane {
    sender: mpsc::UnboundedSender<Told>,
    /// Entries that have been given to the bus and have not come back.
    waiting: Arc<AtomicUsize>,
    view: Arc<View>,
    ordered: bool,
}

/// The other end of a [`Backplane`].
#[derive(Debug)]
pub(crate) struct Outlet {
    told: mpsc::UnboundedReceiver<Told>,
    waiting: Arc<AtomicUsize>,
    view: Arc<View>,
}

impl Backplane {
    /// A way to other nodes, with the end that the bus is served from; `ordered` if the bus brings all nodes' events in
    /// one order, and not only those of each publishing node.
    pub(crate) fn new(ordered: bool) -> (Self, Outlet) {
        let (sender, told) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let view = Arc::new(View::new());
        let outlet = Outlet { told, waiting: Arc::clone(&waiting), view: Arc::clone(&view) };
        (Self { sender, waiting, view, ordered }, outlet)
    }

    /// Tells other nodes. It never waits.
    pub(crate) fn tell(&self, told: Told) {
        let _ = self.sender.send(told); // the server is ending
    }

    /// Publishes an entry on all nodes, this one included.
    pub(crate) fn publish(&self, app: u32, entry: Entry) -> Result<(), Congested> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Congested);
        }
        self.tell(Told::Entry { app, entry });
        Ok(())
    }

    /// Whether events of all nodes come in one order on each.
    pub(crate) const fn is_ordered(&self) -> bool {
        self.ordered
    }

    /// Entries that have been given to the bus and have not come back.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Who is there, and whether the bus is.
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// Who tells webhooks of a notice about an app with this id.
    pub(crate) fn teller(&self, app: &str, notice: &Notice<'_>) -> Teller {
        match notice {
            Notice::Occupied { channel, .. }
            | Notice::Vacated { channel, .. }
            | Notice::CacheMiss { channel, .. }
            | Notice::SubscriptionCount { channel, .. }
            | Notice::MemberAdded { channel, .. }
            | Notice::MemberRemoved { channel, .. } => self.view.teller(app, channel),
            // Only the node with the socket knows.
            Notice::Connected { .. } | Notice::Disconnected { .. } | Notice::ClientEvent { .. } => {
                Teller::Here
            }
        }
    }
}
