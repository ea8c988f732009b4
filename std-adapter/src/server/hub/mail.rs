//! What shards tell one another.
//!
//! A channel has one *home* shard, found by its hash. Whatever changes or uses the channel goes
//! through its home, which gives the channel its one order; what the home decides goes to the shards
//! whose sockets are concerned. Mail between two shards keeps its order.

use super::{
    CachedEvent, Entry, Kept, Missed, NodeChange, NodeIndex, Occupancy, Remote, Seen, UserMail,
    Watched,
};
use crate::app::{App, AppSlot, Apps};
use crate::server::dev::Blow;
use crate::server::metrics::{Measured, TrafficCounts};
use crate::server::socket::Adopted;
use arc_swap::Guard;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Instant;
use tidings_core::pusher::SocketId;
use tokio::sync::{mpsc, oneshot};

/// A socket, as seen from another shard; `serial` tells it from a later one in the same slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ConnRef {
    pub(crate) shard: u16,
    pub(crate) slot: u32,
    pub(crate) serial: u32,
}

/// The name of a channel with its app and hash.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    pub(crate) app: u32,
    pub(crate) hash: u64,
    pub(crate) name: Bytes,
}

impl Channel {
    pub(crate) fn key(&self) -> super::Key<'_> {
        super::Key { app: self.app, hash: self.hash, name: &self.name }
    }
}

/// Who joins a presence channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: Box<str>,
    /// The member's `user_info`: JSON text as it was signed.
    pub(crate) info: Option<Box<str>>,
}

/// A request of a socket to be subscribed.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) channel: Channel,
    pub(crate) conn: ConnRef,
    pub(crate) socket_id: SocketId,
    /// Tells this request from an earlier one of the same socket for the same channel.
    pub(crate) ticket: u32,
    /// Set on presence channels only.
    pub(crate) member: Option<Member>,
    pub(crate) max_members: u32,
    pub(crate) resume: Option<Resume>,
}

/// A wish to get what was missed.
#[derive(Debug)]
pub(crate) struct Resume {
    /// The serial of the last event that was seen.
    pub(crate) from: Box<str>,
    pub(crate) max_bytes: usize,
}

/// The end of a subscription, asked for or not.
#[derive(Debug)]
pub(crate) struct Leave {
    pub(crate) channel: Channel,
    pub(crate) shard: u16,
    pub(crate) socket_id: SocketId,
    /// The user of a presence subscription.
    pub(crate) user_id: Option<Box<str>>,
}

/// The home's answer to a [`Join`].
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) channel: Channel,
    pub(crate) conn: ConnRef,
    pub(crate) ticket: u32,
    pub(crate) outcome: Outcome,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    /// Subscribed; the frame that says so, when it is more than the plain one, and what follows it before
    /// anything else of the channel.
    Subscribed { frame: Option<Bytes>, then: Option<Bytes> },
    /// The presence channel has as many members as it may have.
    Full { max_members: u32 },
}

/// One frame for every local subscriber of a channel.
#[derive(Debug)]
pub(crate) struct Deliver {
    pub(crate) channel: Channel,
    pub(crate) frame: Bytes,
    pub(crate) except: Option<SocketId>,
    /// When the event in it was accepted.
    pub(crate) accepted: Option<Instant>,
}

pub(crate) enum Mail {
    // For the home of a channel:
    Join(Box<Join>),
    Leave(Box<Leave>),
    Publish {
        app: u32,
        hash: u64,
        entry: Entry,
    },
    Occupancy {
        channel: Channel,
        reply: oneshot::Sender<Occupancy>,
    },
    Cached {
        channel: Channel,
        reply: oneshot::Sender<Option<CachedEvent>>,
    },
    History {
        channel: Channel,
        from: Option<Box<str>>,
        limit: usize,
        reply: oneshot::Sender<Missed>,
    },
    Channels {
        app: u32,
        prefix: Box<str>,
        reply: mpsc::UnboundedSender<Vec<(Box<str>, Occupancy)>>,
    },
    Users {
        channel: Channel,
        reply: oneshot::Sender<Vec<Box<str>>>,
    },
    /// What another node tells of a channel.
    Remote(Box<Remote>),
    /// What becomes of all that another node has told.
    Node {
        node: NodeIndex,
        change: NodeChange,
        quiet: bool,
    },
    /// Tell a node all that it must know of this one.
    State {
        to: u64,
        kept: bool,
    },
    /// What another node has kept of a channel before this one was there.
    Keep(Box<(Channel, Kept)>),
    /// Events may have been lost on their way: what is kept has a gap.
    Gap,
    // For the home of users:
    User(Box<UserMail>),
    // For a shard with sockets:
    Watched(Box<Watched>),
    Joined(Box<Joined>),
    Deliver(Deliver),
    Terminate {
        app: u32,
        user_id: Box<str>,
        reply: mpsc::UnboundedSender<()>,
    },
    Traffic {
        app: u32,
        reply: mpsc::UnboundedSender<TrafficCounts>,
    },
    Newest {
        app: u32,
        most: usize,
        reply: mpsc::UnboundedSender<Vec<Seen>>,
    },
    Adopt(Box<Adopted>),
    /// Close every socket with 4200, spread over `spread_ms`.
    Drain {
        spread_ms: u64,
    },
    /// Close these sockets with 4200.
    Close {
        conns: Box<[ConnRef]>,
    },
    /// Close or cut some sockets, as dev mode was asked to.
    Strike(Box<Blow>),
    /// Tell what the tables hold and what has been counted.
    Measure {
        reply: mpsc::UnboundedSender<Measured>,
    },
    /// Close the sockets of an app that was disabled or removed.
    Expel {
        app: Arc<App>,
        removed: bool,
    },
    /// The configuration has changed.
    Reconfigured,
    /// End the shard's thread.
    Stop,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Join(_) => "Join",
            Self::Leave(_) => "Leave",
            Self::Publish { .. } => "Publish",
            Self::Occupancy { .. } => "Occupancy",
            Self::Cached { .. } => "Cached",
            Self::History { .. } => "History",
            Self::Channels { .. } => "Channels",
            Self::Users { .. } => "Users",
            Self::Remote(_) => "Remote",
            Self::Node { .. } => "Node",
            Self::State { .. } => "State",
            Self::Keep(_) => "Keep",
            Self::Gap => "Gap",
            Self::User(_) => "User",
            Self::Watched(_) => "Watched",
            Self::Joined(_) => "Joined",
            Self::Deliver(_) => "Deliver",
            Self::Terminate { .. } => "Terminate",
            Self::Traffic { .. } => "Traffic",
            Self::Newest { .. } => "Newest",
            Self::Adopt(_) => "Adopt",
            Self::Drain { .. } => "Drain",
            Self::Close { .. } => "Close",
            Self::Strike(_) => "Strike",
            Self::Expel { .. } => "Expel",
            Self::Reconfigured => "Reconfigured",
            Self::Measure { .. } => "Measure",
            Self::Stop => "Stop",
        })
    }
}

/// An app with its place in the list of apps.
#[derive(Debug, Clone)]
pub(crate) struct AppRef {
    pub(crate) index: u32,
    slot: Arc<AppSlot>,
}

impl AppRef {
    pub(crate) fn new(apps: &Apps, app: &Arc<App>) -> Self {
        Self { index: app.index(), slot: apps.slot_of(app) }
    }

    /// The app as it is now. It is for a short while.
    pub(crate) fn load(&self) -> Guard<Arc<App>> {
        self.slot.load()
    }
}
