//! What one node makes of the frames on the bus, without any I/O.
//!
//! Each node numbers its frames. It keeps a frame until the bus has brought it back, and sends it again after an
//! outage: whoever has had it knows by the number, and whoever finds a number missing asks for everything anew.

mod state;

use super::ops;
use super::wire::{self, Frame, Head, Op};
use super::{Told, View};
use crate::app::App;
use crate::server::hub::{NodeChange, NodeIndex, Stamp};
use crate::server::now_ms;
use bytes::Bytes;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a node gives a sign of life, for each lease.
const BEATS: u32 = 10;

/// A frame that has not come back after this part of the lease means that the bus is away.
const STALLS: u32 = 3;

/// Bytes of operations in one frame, unless a single one is larger.
const MAX_FRAME: usize = 256 * 1024;

/// Bytes of frames that wait for the bus to come back.
const MAX_PENDING: usize = 16 * 1024 * 1024;

/// Nodes that were forgotten and may come back.
const MAX_EXPIRED: usize = 64;

/// The node that a link works for.
pub(super) trait Node {
    /// Puts a frame on the bus.
    fn send(&mut self, frame: Bytes);
    /// Delivers an entry; `own` if this node has published it. Its texts lie in `frame`.
    fn entry(&mut self, entry: &Op<'_>, frame: &Bytes, stamp: Stamp, own: bool);
    /// Takes in what another node tells.
    fn hear(&mut self, node: NodeIndex, op: &Op<'_>, frame: &Bytes, quiet: bool);
    /// Goes on with all that another node has told, or ends it.
    fn change(&mut self, node: NodeIndex, change: NodeChange, quiet: bool);
    /// Events may have been lost.
    fn gap(&mut self);
    /// Has each shard tell everything to a node; it returns how many will.
    fn tell_state(&mut self, to: u64, kept: bool) -> u16;
    /// The app at a place.
    fn app(&self, index: u32) -> Option<Arc<App>>;
    /// Connections by app.
    fn connections(&self) -> Vec<(Arc<App>, u32)>;
    /// Notes how many connections of its apps a node has.
    fn count(&mut self, node: NodeIndex, connections: &[(&str, u32)]);
}

/// A frame that the bus has not brought back.
struct Pending {
    seq: u64,
    frame: Bytes,
    sent: Option<Instant>,
    /// Its entries have been delivered here.
    delivered: bool,
}

/// Another node.
struct Peer {
    index: NodeIndex,
    heard: Instant,
    lease: Duration,
    /// The number of its last frame that was taken in.
    last: u64,
    /// When it was asked for everything, while it has not told it.
    asked: Option<Instant>,
    /// The part of its answer that comes next.
    part: u32,
    /// What it tells anew is for webhooks: they were told that it is gone.
    returns: bool,
}

/// What is being told to a node that asked.
#[derive(Clone, Copy)]
struct Answering {
    shards: u16,
    part: u32,
}

pub(super) struct Link {
    view: Arc<View>,
    lease: Duration,
    up: bool,
    seq: u64,
    stamp: u64,
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    peers: HashMap<u64, Peer>,
    /// Nodes that were forgotten, each with the number of its last frame: it may come back and send some again.
    expired: VecDeque<(u64, u64)>,
    answering: HashMap<u64, Answering>,
    next_index: NodeIndex,
    next_beat: Instant,
    /// Since when the bus is there.
    since: Instant,
    ready: bool,
    /// Whether what others have kept has been asked for.
    has_kept: bool,
}

impl Link {
    pub(super) fn new(view: Arc<View>, lease: Duration, now: Instant) -> Self {
        Self {
            view,
            lease,
            up: false,
            seq: 0,
            stamp: 0,
            pending: VecDeque::new(),
            pending_bytes: 0,
            peers: HashMap::default(),
            expired: VecDeque::new(),
            answering: HashMap::default(),
            next_index: 0,
            next_beat: now,
            since: now,
            ready: false,
            has_kept: false,
        }
    }

    fn me(&self) -> u64 {
        self.view.me
    }

    fn beat_every(&self) -> Duration {
        self.lease / BEATS
    }

    /// Makes frames of what shards tell and puts them on the bus. Takes `told` empty.
    pub(super) fn tell(&mut self, told: &mut Vec<Told>, now: Instant, node: &mut impl Node) {
        let mut from = 0;
        while from < told.len() {
            if let Told::State { to, told: state } = &mut told[from] {
                let (to, state) = (*to, std::mem::take(state));
                self.answer(to, &state, node);
                from += 1;
                continue;
            }
            let to = from + ops::fitting(&told[from..], MAX_FRAME);
            self.tell_frame(&told[from..to], now, node);
            from = to;
        }
        told.clear();
    }

    fn tell_frame(&mut self, told: &[Told], now: Instant, node: &mut impl Node) {
        let apps = ops::apps_of(told, |index| node.app(index));
        let ops = ops::of(told, &apps);
        let entries = ops.iter().filter(|op| op.is_entry()).count() as u64;
        let stamp = (now_ms() << Stamp::CLOCK_SHIFT).max(self.stamp + 2);
        self.stamp = stamp + 2 * entries;
        self.seq += 1;
        let seq = self.seq;
        let head = Head { from: self.me(), to: 0, late: !self.up };
        let frame = wire::encode(head, &Frame::Ops { seq, stamp, ops });
        self.pending_bytes += frame.len();
        let sent = self.up.then_some(now);
        self.pending.push_back(Pending { seq, frame: frame.clone(), sent, delivered: !self.up });
        if self.up {
            node.send(frame);
        } else {
            deliver(&frame, self.me(), node);
            self.make_room();
        }
    }

    /// Gives up the oldest frames when too many wait for the bus.
    fn make_room(&mut self) {
        while self.pending_bytes > MAX_PENDING
            && let Some(given_up) = self.pending.pop_front()
        {
            self.pending_bytes -= given_up.frame.len();
            self.view.dropped();
        }
    }

    /// The bus is there.
    pub(super) fn connected(&mut self, now: Instant, node: &mut impl Node) {
        self.up = true;
        (self.since, self.next_beat) = (now, now);
        self.view.set_degraded(None);
        for peer in self.peers.values_mut() {
            peer.heard = now; // it has its whole lease to be heard again
        }
        for pending in &mut self.pending {
            pending.frame = wire::late(&pending.frame);
            pending.sent = Some(now);
            node.send(pending.frame.clone());
        }
        self.beat(now, node);
    }

    /// The bus is away: what it has not brought back is delivered here now.
    pub(super) fn disconnected(&mut self, reason: &str, node: &mut impl Node) {
        self.view.set_degraded(Some(reason));
        if !self.up {
            return;
        }
        self.up = false;
        self.set_ready(false);
        self.answering.clear();
        let me = self.me();
        for pending in &mut self.pending {
            if !std::mem::replace(&mut pending.delivered, true) {
                deliver(&pending.frame, me, node);
            }
        }
        self.make_room();
        node.gap();
    }

    /// Says that the server ends.
    pub(super) fn bye(&self, node: &mut impl Node) {
        if self.up {
            node.send(wire::encode(Head { from: self.me(), to: 0, late: false }, &Frame::Bye));
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) fn next_tick(&self) -> Instant {
        self.next_beat
    }

    /// Does what time asks for; false when the bus seems to be away.
    pub(super) fn tick(&mut self, now: Instant, node: &mut impl Node) -> bool {
        if !self.up {
            self.next_beat = now + self.beat_every();
            return true;
        }
        let stall = self.lease / STALLS;
        let oldest = self.pending.front().and_then(|pending| pending.sent);
        if oldest.is_some_and(|sent| now.duration_since(sent) > stall) {
            return false;
        }
        let silent = |peer: &Peer| now.duration_since(peer.heard) > peer.lease;
        let gone: Vec<u64> =
            self.peers.iter().filter(|(_, peer)| silent(peer)).map(|(id, _)| *id).collect();
        for id in gone {
            tracing::warn!(node = id, "a node has fallen silent and is forgotten");
            self.forget(id, node);
        }
        let again = self.lease / STALLS;
        let late = |peer: &Peer| peer.asked.is_some_and(|asked| now.duration_since(asked) > again);
        let late: Vec<u64> =
            self.peers.iter().filter(|(_, peer)| late(peer)).map(|(id, _)| *id).collect();
        for id in late {
            self.ask(id, now, node);
        }
        if now >= self.next_beat {
            // Two beats are time enough to hear of everybody who is there.
            let heard_all = now.duration_since(self.since) >= self.beat_every() * 2
                && self.peers.values().all(|peer| peer.asked.is_none());
            if heard_all {
                self.set_ready(true);
                self.has_kept = true;
            }
            self.beat(now, node);
        }
        true
    }

    fn set_ready(&mut self, ready: bool) {
        self.ready = ready;
        self.view.set_ready(ready);
    }

    fn beat(&mut self, now: Instant, node: &mut impl Node) {
        self.next_beat = now + self.beat_every();
        // A beat that is numbered comes back as every frame does, so that silence of the bus is noticed.
        self.tell_frame(&[], now, node);
        let connections = node.connections();
        let connections = connections.iter().map(|(app, count)| (&*app.id, *count)).collect();
        let lease_ms = u32::try_from(self.lease.as_millis()).unwrap_or(u32::MAX);
        let beat = Frame::Beat { last: self.seq, ready: self.ready, lease_ms, connections };
        node.send(wire::encode(Head { from: self.me(), to: 0, late: false }, &beat));
    }

    /// Takes a frame from the bus.
    pub(super) fn receive(&mut self, bytes: &Bytes, now: Instant, node: &mut impl Node) {
        let Some(head) = wire::head(bytes) else {
            tracing::debug!("a frame of another version, or none of ours, is left alone");
            return;
        };
        if head.to != 0 && head.to != self.me() {
            return;
        }
        let Some(frame) = wire::decode(bytes) else {
            tracing::warn!(node = head.from, "a frame cannot be read");
            return;
        };
        if head.from == self.me() {
            if let Frame::Ops { seq, .. } = frame {
                self.came_back(seq, node);
            }
            return;
        }
        if matches!(frame, Frame::Bye) {
            if self.peers.contains_key(&head.from) {
                self.forget(head.from, node);
            }
            return;
        }
        let is_new = self.meet(head.from, now);
        let mut missed = false;
        match frame {
            Frame::Ops { seq, stamp, ops } => {
                missed = self.ops(head, (seq, stamp), &ops, bytes, node);
            }
            Frame::Beat { last, ready, lease_ms, connections } => {
                self.beaten(head.from, last, (ready, lease_ms), now, node);
                if let Some(peer) = self.peers.get(&head.from) {
                    node.count(peer.index, &connections);
                }
            }
            Frame::Ask { kept } => {
                let shards = node.tell_state(head.from, kept);
                self.answering.insert(head.from, Answering { shards, part: 0 });
            }
            Frame::State { seq, part, last, ops } => {
                self.state((head.from, seq, part, last), &ops, bytes, now, node);
            }
            Frame::Bye => {}
        }
        if is_new || missed {
            self.ask(head.from, now, node);
        }
    }

    /// Makes a frame of this node's count as brought back by the bus.
    fn came_back(&mut self, seq: u64, node: &mut impl Node) {
        while let Some(first) = self.pending.front().filter(|pending| pending.seq <= seq) {
            if !first.delivered {
                deliver(&first.frame, self.me(), node);
            }
            self.pending_bytes -= first.frame.len();
            self.pending.pop_front();
        }
    }

    /// Notes that a node is there; true when it was not known.
    fn meet(&mut self, id: u64, now: Instant) -> bool {
        self.view.heard(id, None, now);
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.heard = now;
            return false;
        }
        let expired = self.expired.iter().find(|(expired, _)| *expired == id).copied();
        self.expired.retain(|(expired, _)| *expired != id);
        let (returns, last) = (expired.is_some(), expired.map_or(0, |(_, last)| last));
        self.next_index = self.next_index.wrapping_add(1);
        let taken = |index| self.peers.values().any(|peer| peer.index == index);
        while taken(self.next_index) {
            self.next_index = self.next_index.wrapping_add(1);
        }
        let (index, lease) = (self.next_index, self.lease);
        let peer = Peer { index, heard: now, lease, last, asked: None, part: 0, returns };
        self.peers.insert(id, peer);
        tracing::info!(node = id, "a node is there");
        true
    }

    /// Takes in what a node tells; true if frames before this one are missing.
    fn ops(
        &mut self,
        head: Head,
        (seq, stamp): (u64, u64),
        ops: &[Op<'_>],
        frame: &Bytes,
        node: &mut impl Node,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(&head.from) else { return false };
        if seq <= peer.last {
            return false; // sent again, and known
        }
        let missed = peer.last != 0 && seq != peer.last + 1;
        peer.last = seq;
        let index = peer.index;
        self.stamp = self.stamp.max(stamp);
        // Whoever was told that the node is gone is to be told that it is back.
        let quiet = head.late && !peer.returns;
        if missed {
            node.gap();
        }
        let mut number = stamp;
        for op in ops {
            if op.is_entry() {
                node.entry(
                    op,
                    frame,
                    Stamp { number, from: head.from as u32, late: head.late },
                    false,
                );
                number += 2;
                self.stamp = self.stamp.max(number);
            } else {
                node.hear(index, op, frame, quiet);
            }
        }
        missed
    }

    fn beaten(
        &mut self,
        id: u64,
        last: u64,
        (ready, lease_ms): (bool, u32),
        now: Instant,
        node: &mut impl Node,
    ) {
        self.view.heard(id, Some(ready), now);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.lease = Duration::from_millis(lease_ms.into());
        let missed = peer.last != 0 && last > peer.last;
        peer.last = peer.last.max(last);
        if missed {
            node.gap();
            self.ask(id, now, node);
        }
    }

    fn forget(&mut self, id: u64, node: &mut impl Node) {
        let Some(peer) = self.peers.remove(&id) else { return };
        self.view.forget(id);
        self.answering.remove(&id);
        self.expired.push_back((id, peer.last));
        if self.expired.len() > MAX_EXPIRED {
            self.expired.pop_front();
        }
        node.count(peer.index, &[]);
        node.change(peer.index, NodeChange::Gone, false);
    }
}

/// Delivers the entries of a frame of this node.
fn deliver(frame: &Bytes, me: u64, node: &mut impl Node) {
    let Some(Frame::Ops { stamp, ops, .. }) = wire::decode(frame) else { return };
    let mut number = stamp;
    for op in ops.iter().filter(|op| op.is_entry()) {
        node.entry(op, frame, Stamp { number, from: me as u32, late: false }, true);
        number += 2;
    }
}
