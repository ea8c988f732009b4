//! Which nodes there are, and which of them tells webhooks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Instant;

/// How a server stands with the other nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackplaneState {
    /// Other nodes that are known to be there.
    pub nodes: usize,
    /// Why the bus is not reached; `None` while it is. The server then serves its own sockets alone.
    pub degraded: Option<Box<str>>,
    /// Batches of events that were given up because too many waited for the bus to come back.
    pub dropped: u64,
}

/// Who tells webhooks of something that several nodes see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Teller {
    /// This node.
    Here,
    /// Another node, unless it has fallen silent.
    Other(u64),
    /// It has been told.
    Nobody,
}

#[derive(Debug, Clone, Copy)]
struct Peer {
    heard: Instant,
    /// It knows all that the others have told.
    ready: bool,
}

#[derive(Debug)]
struct Inner {
    ready: bool,
    degraded: Option<Box<str>>,
    dropped: u64,
    peers: BTreeMap<u64, Peer>,
}

/// What is known of the nodes; shared between the link and whoever asks.
#[derive(Debug)]
pub(crate) struct View {
    /// This node's name, which no other run of a server has.
    pub(crate) me: u64,
    inner: RwLock<Inner>,
    /// Facts whose webhooks other nodes have sent, by their hashes, until they are taken.
    sent: Mutex<Vec<u64>>,
    /// Frames given to the bus, and brought by it.
    frames: (AtomicU64, AtomicU64),
}

impl View {
    pub(super) fn new() -> Self {
        // Without randomness the clock must do; two nodes seldom start in one nanosecond.
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let fallback = clock.map_or(1, |since| since.as_nanos() as u64);
        let me = getrandom::u64().unwrap_or(fallback).max(1);
        let degraded = Some("not connected yet".into());
        let inner = Inner { ready: false, degraded, dropped: 0, peers: BTreeMap::new() };
        let (inner, sent) = (RwLock::new(inner), Mutex::default());
        Self { me, inner, sent, frames: Default::default() }
    }

    fn read<T>(&self, read: impl FnOnce(&Inner) -> T) -> T {
        read(&self.inner.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, write: impl FnOnce(&mut Inner) -> T) -> T {
        write(&mut self.inner.write().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn state(&self) -> BackplaneState {
        self.read(|inner| BackplaneState {
            nodes: inner.peers.len(),
            degraded: inner.degraded.clone(),
            dropped: inner.dropped,
        })
    }

    /// Whether there are others that can do what this node leaves.
    pub(crate) fn has_company(&self) -> bool {
        self.read(|inner| inner.degraded.is_none() && !inner.peers.is_empty())
    }

    /// Counts frames that were given to the bus, and that it brought.
    pub(super) fn count_frames(&self, sent: u64, received: u64) {
        self.frames.0.fetch_add(sent, Ordering::Relaxed);
        self.frames.1.fetch_add(received, Ordering::Relaxed);
    }

    /// How many frames were given to the bus, and how many it brought.
    pub(crate) fn frames(&self) -> (u64, u64) {
        (self.frames.0.load(Ordering::Relaxed), self.frames.1.load(Ordering::Relaxed))
    }

    pub(super) fn set_degraded(&self, reason: Option<&str>) {
        self.write(|inner| inner.degraded = reason.map(Into::into));
    }

    pub(super) fn set_ready(&self, ready: bool) {
        self.write(|inner| inner.ready = ready);
    }

    pub(super) fn dropped(&self) {
        self.write(|inner| inner.dropped += 1);
    }

    /// Notes that a node has been heard; `ready` if it said so.
    pub(super) fn heard(&self, node: u64, ready: Option<bool>, now: Instant) {
        self.write(|inner| {
            let peer = inner.peers.entry(node).or_insert(Peer { heard: now, ready: false });
            peer.heard = now;
            peer.ready = ready.unwrap_or(peer.ready);
        });
    }

    pub(super) fn forget(&self, node: u64) {
        self.write(|inner| inner.peers.remove(&node));
    }

    /// When a node was last heard; `None` when it is not there any more.
    pub(crate) fn last_heard(&self, node: u64) -> Option<Instant> {
        self.read(|inner| inner.peers.get(&node).map(|peer| peer.heard))
    }

    /// Notes that another node has sent the webhooks of a fact.
    pub(super) fn sent(&self, hash: u64) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.len() < MAX_SENT {
            sent.push(hash);
        }
    }

    /// What has been sent since this was asked last.
    pub(crate) fn take_sent(&self) -> Vec<u64> {
        std::mem::take(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Who tells webhooks of a channel. All nodes that know the same others agree.
    pub(crate) fn teller(&self, app: &str, channel: &[u8]) -> Teller {
        self.read(|inner| {
            if inner.degraded.is_some() {
                return Teller::Here;
            }
            let name = hash(hash(SEED, app.as_bytes()), channel);
            let weight = |id: &u64| hash(name, &id.to_le_bytes());
            let others = || inner.peers.iter().map(|(id, peer)| (*id, peer.ready));
            let all = || others().chain([(self.me, inner.ready)]);
            let ready = all().filter(|(_, ready)| *ready).map(|(id, _)| id).max_by_key(weight);
            // When all have just started, none is ready and each knows as much as the others.
            let chosen = ready.or_else(|| all().map(|(id, _)| id).max_by_key(weight));
            match chosen {
                Some(id) if id != self.me => Teller::Other(id),
                _ => Teller::Here,
            }
        })
    }
}

/// Hashes that may wait to be taken.
const MAX_SENT: usize = 65_536;

pub(crate) const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a with a finish that spreads its bits; the same on every node.
pub(crate) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let fnv = bytes
        .iter()
        .fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (fnv ^ (fnv >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn views() -> [View; 3] {
        let views = [View::new(), View::new(), View::new()];
        for view in &views {
            view.set_degraded(None);
            view.set_ready(true);
            for other in views.iter().filter(|other| other.me != view.me) {
                view.heard(other.me, Some(true), Instant::now());
            }
        }
        views
    }

    fn tellers(views: &[View], channel: &str) -> Vec<u64> {
        let told = |view: &View| match view.teller("app", channel.as_bytes()) {
            Teller::Here => view.me,
            Teller::Other(id) => id,
            Teller::Nobody => 0,
        };
        views.iter().map(told).collect()
    }

    #[test]
    fn all_nodes_agree_on_one_and_each_gets_its_share() {
        let views = views();
        let mut shares = BTreeMap::<u64, u32>::new();
        for n in 0..3000 {
            let told = tellers(&views, &format!("channel-{n}"));
            assert!(told.windows(2).all(|pair| pair[0] == pair[1]));
            *shares.entry(told[0]).or_default() += 1;
        }
        assert!(shares.values().all(|share| (700..1300).contains(share)), "{shares:?}");
    }

    #[test]
    fn who_is_gone_or_not_ready_tells_nothing() {
        let views = views();
        views[0].forget(views[1].me);
        views[0].heard(views[2].me, Some(false), Instant::now());
        for n in 0..100 {
            assert_eq!(views[0].teller("app", format!("{n}").as_bytes()), Teller::Here);
        }
        assert_eq!(views[0].state().nodes, 1);
    }

    #[test]
    fn nodes_that_have_all_just_started_agree_as_well() {
        let views = views();
        for view in &views {
            view.set_ready(false);
            for other in views.iter().filter(|other| other.me != view.me) {
                view.heard(other.me, Some(false), Instant::now());
            }
        }
        for n in 0..100 {
            let told = tellers(&views, &format!("channel-{n}"));
            assert!(told.windows(2).all(|pair| pair[0] == pair[1]));
        }
    }

    #[test]
    fn without_the_bus_each_node_tells_what_it_sees() {
        let views = views();
        views[1].set_degraded(Some("away"));
        let all_here =
            (0..100).all(|n: u32| views[1].teller("a", &n.to_le_bytes()) == Teller::Here);
        assert!(all_here);
    }
}
