//! What other nodes tell of themselves, as the tables of this one take it in.
//!
//! Of a channel's subscribers elsewhere only their number is known, of a presence channel's members who they are, of
//! users whether they are there. What is told is absolute (there are five, this user is here), so that hearing it
//! twice does no harm.

use super::mail::{Channel, Member};
use super::{KeptLog, Key};
use bytes::Bytes;
use hashbrown::{HashMap, HashSet};

/// Another node, by the place that this one gave it.
pub(crate) type NodeIndex = u16;

/// News of one channel from another node.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) node: NodeIndex,
    pub(crate) channel: Channel,
    pub(crate) news: News,
    /// Webhooks have been told of it already, or nobody is to tell them.
    pub(crate) quiet: bool,
}

#[derive(Debug)]
pub(crate) enum News {
    /// So many subscriptions are in force there.
    Count(u32),
    Here(Member),
    Gone(Box<str>),
    /// A subscriber there found the cache empty.
    CacheMiss,
}

/// What another node has kept of a channel's events.
#[derive(Debug)]
pub(crate) enum Kept {
    Log(KeptLog),
    State(KeptState),
}

/// The event that a cache channel holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptState {
    pub(crate) age_ms: u64,
    pub(crate) frame: Bytes,
    /// Bytes of the data within the frame.
    pub(crate) data: usize,
}

/// What becomes of all that a node has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeChange {
    /// It tells everything anew from here on.
    Begin,
    /// It has told everything; what it did not tell again is not so any more.
    End,
    /// It is no more.
    Gone,
}

/// Subscriptions on other nodes; takes no memory of its own where there are none.
#[derive(Default)]
#[expect(clippy::box_collection, reason = "it is empty in most channels, which are many")]
pub(super) struct Elsewhere(Option<Box<Vec<(NodeIndex, u32)>>>);

impl Elsewhere {
    pub(super) fn set(&mut self, node: NodeIndex, count: u32) {
        let nodes = self.0.get_or_insert_default();
        nodes.retain(|(other, _)| *other != node);
        if count > 0 {
            nodes.push((node, count));
        }
        if nodes.is_empty() {
            self.0 = None;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn total(&self) -> u32 {
        let counts = self.0.iter().flat_map(|nodes| nodes.iter());
        counts.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    pub(super) fn has(&self, node: NodeIndex) -> bool {
        self.0.iter().flat_map(|nodes| nodes.iter()).any(|(other, _)| *other == node)
    }
}

/// A claim by what tells it from others: app, channel and user.
type ClaimId = (u32, Box<[u8]>, Option<Box<str>>);

/// A thing that a node has told and may not confirm: a channel's number or a member of it.
type Claim = (Channel, Option<Box<str>>);

fn id(channel: &Channel, user_id: Option<&str>) -> ClaimId {
    (channel.app, channel.name[..].into(), user_id.map(Into::into))
}

/// What nodes that tell everything anew have not told again so far.
#[derive(Default)]
pub(super) struct Unconfirmed {
    nodes: HashMap<NodeIndex, Claims>,
}

#[derive(Default)]
struct Claims {
    open: HashSet<ClaimId>,
    all: Vec<Claim>,
}

impl Unconfirmed {
    pub(super) fn begin(&mut self, node: NodeIndex, all: Vec<Claim>) {
        let open = all.iter().map(|(channel, user)| id(channel, user.as_deref())).collect();
        self.nodes.insert(node, Claims { open, all });
    }

    pub(super) fn confirm(&mut self, node: NodeIndex, channel: &Channel, user_id: Option<&str>) {
        if let Some(claims) = self.nodes.get_mut(&node) {
            claims.open.remove(&id(channel, user_id));
        }
    }

    /// What was not told again, members before numbers.
    pub(super) fn end(&mut self, node: NodeIndex) -> Vec<Claim> {
        let Some(Claims { open, mut all }) = self.nodes.remove(&node) else { return Vec::new() };
        all.retain(|(channel, user)| open.contains(&id(channel, user.as_deref())));
        all.sort_by_key(|(_, user)| user.is_none());
        all
    }

    pub(super) fn forget(&mut self, node: NodeIndex) {
        self.nodes.remove(&node);
    }
}

/// A channel of a table by its key.
pub(super) fn channel(key: Key<'_>) -> Channel {
    Channel { app: key.app, hash: key.hash, name: Bytes::copy_from_slice(key.name) }
}
