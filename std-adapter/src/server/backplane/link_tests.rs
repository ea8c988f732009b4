//! Several links on one bus of memory: whatever is cut and comes back, in the end all know the same.

use super::link::{Link, Node};
use super::wire::Op;
use super::{Told, View};
use crate::app::App;
use crate::server::hub::mail::Channel;
use crate::server::hub::{Entry, NodeChange, NodeIndex, Source, Stamp};
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::slice::from_ref;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NODES: usize = 3;
const CHANNELS: [&str; 3] = ["a", "b", "c"];
const LEASE: Duration = Duration::from_secs(10);

/// What one node knows.
struct Known {
    app: Arc<App>,
    out: Vec<Bytes>,
    /// What the others have told, and whether it is confirmed.
    counts: BTreeMap<(NodeIndex, String), (u32, bool)>,
    /// The data of what was delivered, in order.
    delivered: Vec<String>,
    /// Subscriptions here.
    here: BTreeMap<String, u32>,
    asked: Vec<u64>,
}

impl Node for Known {
    fn send(&mut self, frame: Bytes) {
        self.out.push(frame);
    }

    fn entry(&mut self, entry: &Op<'_>, _: &Bytes, _: Stamp, _: bool) {
        let Op::Entry { data, .. } = entry else { panic!("no entry") };
        self.delivered.push((*data).to_owned());
    }

    fn hear(&mut self, node: NodeIndex, op: &Op<'_>, _: &Bytes, _: bool) {
        let Op::Count { channel, count, .. } = op else { panic!("no count") };
        let key = (node, (*channel).to_owned());
        if *count == 0 {
            self.counts.remove(&key);
        } else {
            self.counts.insert(key, (*count, true));
        }
    }

    fn change(&mut self, node: NodeIndex, change: NodeChange, _: bool) {
        match change {
            NodeChange::Begin => {
                let own = self.counts.iter_mut().filter(|((n, _), _)| *n == node);
                own.for_each(|(_, value)| value.1 = false);
            }
            NodeChange::End => self.counts.retain(|(n, _), (_, told)| *n != node || *told),
            NodeChange::Gone => self.counts.retain(|(n, _), _| *n != node),
        }
    }

    fn gap(&mut self) {}

    fn tell_state(&mut self, to: u64, _: bool) -> u16 {
        self.asked.push(to);
        1
    }

    fn app(&self, _: u32) -> Option<Arc<App>> {
        Some(Arc::clone(&self.app))
    }

    fn connections(&self) -> Vec<(Arc<App>, u32)> {
        Vec::new()
    }

    fn count(&mut self, _: NodeIndex, _: &[(&str, u32)]) {}
}

struct Machine {
    link: Link,
    known: Known,
    view: Arc<View>,
    connected: bool,
    /// Frames that the bus has for it.
    inbox: VecDeque<Bytes>,
    alive: bool,
}

struct Bus {
    machines: Vec<Machine>,
    now: Instant,
    published: u32,
}

fn channel(name: &str) -> Channel {
    Channel { app: 0, hash: 0, name: Bytes::copy_from_slice(name.as_bytes()) }
}

fn machine(now: Instant) -> Machine {
    let view = Arc::new(View::new());
    let known = Known {
        app: Arc::new(App::new("app", "key", "secret")),
        out: Vec::new(),
        counts: BTreeMap::new(),
        delivered: Vec::new(),
        here: BTreeMap::new(),
        asked: Vec::new(),
    };
    let link = Link::new(Arc::clone(&view), LEASE, now);
    Machine { link, known, view, connected: false, inbox: VecDeque::new(), alive: true }
}

impl Bus {
    fn new() -> Self {
        let now = Instant::now();
        Self { machines: (0..NODES).map(|_| machine(now)).collect(), now, published: 0 }
    }

    /// Puts on the bus what a node has sent.
    fn flush(&mut self, at: usize) {
        let frames = std::mem::take(&mut self.machines[at].known.out);
        if !self.machines[at].connected {
            return;
        }
        for frame in frames {
            for machine in self.machines.iter_mut().filter(|machine| machine.connected) {
                machine.inbox.push_back(frame.clone());
            }
        }
    }

    fn tell(&mut self, at: usize, told: Told) {
        let machine = &mut self.machines[at];
        if machine.alive {
            machine.link.tell(&mut vec![told], self.now, &mut machine.known);
            self.flush(at);
        }
    }

    fn set_count(&mut self, at: usize, name: &str, count: u32) {
        if self.machines[at].alive {
            self.machines[at].known.here.insert(name.to_owned(), count);
            self.tell(at, Told::Count { channel: channel(name), count });
        }
    }

    fn publish(&mut self, at: usize, name: &str) -> String {
        self.published += 1;
        let data = format!("{at}:{}", self.published);
        let entry = Entry {
            channel: Bytes::copy_from_slice(name.as_bytes()),
            event: Bytes::from_static(b"e"),
            data: data.clone().into(),
            except: None,
            user_id: None,
            source: Source::Application,
            stamp: None,
            accepted: Instant::now(),
        };
        self.tell(at, Told::Entry { app: 0, entry });
        data
    }

    fn connect(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        if !machine.connected && machine.alive {
            machine.connected = true;
            machine.link.connected(self.now, &mut machine.known);
            self.flush(at);
        }
    }

    /// The bus is away for a node; what it had for it is lost.
    fn disconnect(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        if machine.connected {
            machine.connected = false;
            machine.inbox.clear();
            machine.link.disconnected("cut", &mut machine.known);
            machine.known.out.clear();
        }
    }

    /// A node dies without a word.
    fn kill(&mut self, at: usize) {
        self.disconnect(at);
        self.machines[at].alive = false;
    }

    /// Lets a node take up to `count` frames.
    fn deliver(&mut self, at: usize, count: usize) -> bool {
        let mut any = false;
        for _ in 0..count {
            let machine = &mut self.machines[at];
            let Some(frame) = machine.inbox.pop_front() else { break };
            any = true;
            machine.link.receive(&frame, self.now, &mut machine.known);
            for to in std::mem::take(&mut machine.known.asked) {
                let counts = machine.known.here.iter().filter(|(_, count)| **count > 0);
                let told = counts
                    .map(|(name, count)| Told::Count { channel: channel(name), count: *count });
                let told = Told::State { to, told: told.collect() };
                machine.link.tell(&mut vec![told], self.now, &mut machine.known);
            }
            self.flush(at);
        }
        any
    }

    fn advance(&mut self, by: Duration) {
        self.now += by;
        for at in 0..NODES {
            let machine = &mut self.machines[at];
            if machine.alive && machine.link.next_tick() <= self.now {
                let is_well = machine.link.tick(self.now, &mut machine.known);
                self.flush(at);
                if !is_well {
                    self.disconnect(at);
                }
            }
        }
    }

    /// Lets all that is on its way arrive, and some time pass.
    fn settle(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            while (0..NODES).any(|at| self.deliver(at, usize::MAX)) {}
            self.advance(Duration::from_millis(500));
            (0..NODES).for_each(|at| self.connect(at));
        }
        while (0..NODES).any(|at| self.deliver(at, usize::MAX)) {}
    }

    /// What a node believes of all the others together, by channel.
    fn believed(&self, at: usize) -> BTreeMap<String, u32> {
        let mut sums = BTreeMap::new();
        for ((_, name), (count, _)) in &self.machines[at].known.counts {
            *sums.entry(name.clone()).or_default() += count;
        }
        sums
    }

    /// What is true of all the others.
    fn truth(&self, at: usize) -> BTreeMap<String, u32> {
        let mut sums = BTreeMap::new();
        for (other, machine) in self.machines.iter().enumerate() {
            for (name, count) in &machine.known.here {
                if other != at && machine.alive && *count > 0 {
                    *sums.entry(name.clone()).or_default() += count;
                }
            }
        }
        sums
    }
}

fn connected() -> Bus {
    let mut bus = Bus::new();
    (0..NODES).for_each(|at| bus.connect(at));
    bus.settle(Duration::from_secs(5));
    bus
}

#[test]
fn an_event_reaches_every_node_once_in_one_order() {
    let mut bus = connected();
    for _ in 0..20 {
        (0..NODES).for_each(|at| drop(bus.publish(at, "a")));
    }
    bus.settle(Duration::from_secs(1));
    let first = bus.machines[0].known.delivered.clone();
    assert_eq!(first.len(), 60);
    assert!(bus.machines.iter().all(|machine| machine.known.delivered == first));
}

#[test]
fn a_node_that_is_killed_is_forgotten_after_its_lease_and_not_before() {
    let mut bus = connected();
    bus.set_count(0, "a", 3);
    bus.settle(Duration::from_secs(1));
    bus.kill(0);
    bus.settle(Duration::from_secs(8));
    assert_eq!(bus.believed(1).get("a"), Some(&3));
    bus.settle(Duration::from_secs(4));
    assert_eq!(bus.believed(1), BTreeMap::new());
    assert_eq!(bus.machines[1].view.state().nodes, 1);
}

#[test]
fn a_node_that_ends_is_forgotten_at_once() {
    let mut bus = connected();
    bus.set_count(0, "a", 3);
    let machine = &mut bus.machines[0];
    machine.link.bye(&mut machine.known);
    bus.flush(0);
    bus.kill(0);
    while (1..NODES).any(|at| bus.deliver(at, usize::MAX)) {}
    assert_eq!(bus.believed(1), BTreeMap::new());
}

#[test]
fn a_node_that_comes_late_learns_everything() {
    let mut bus = Bus::new();
    bus.connect(0);
    bus.set_count(0, "a", 3);
    bus.settle(Duration::from_secs(3));
    bus.machines.push(machine(bus.now));
    let late = bus.machines.len() - 1;
    bus.machines.swap(2, late);
    bus.machines.truncate(NODES);
    bus.connect(2);
    bus.settle(Duration::from_secs(3));
    assert_eq!(bus.believed(2).get("a"), Some(&3));
}

#[test]
fn fr_123_without_the_bus_events_are_delivered_here_at_once_and_elsewhere_later() {
    let mut bus = connected();
    bus.disconnect(1);
    let data = bus.publish(1, "a");
    assert_eq!(bus.machines[1].known.delivered, from_ref(&data));
    assert!(bus.machines[1].view.state().degraded.is_some());
    bus.settle(Duration::from_secs(2));
    assert!(bus.machines.iter().all(|machine| machine.known.delivered == from_ref(&data)));
    assert_eq!(bus.machines[1].view.state().degraded, None);
}

#[test]
fn what_was_on_its_way_when_the_bus_went_away_is_delivered_once() {
    let mut bus = connected();
    let data = bus.publish(1, "a");
    bus.disconnect(1); // before it has come back
    assert_eq!(bus.machines[1].known.delivered, from_ref(&data));
    bus.settle(Duration::from_secs(2));
    for machine in &bus.machines {
        assert_eq!(machine.known.delivered, from_ref(&data), "the others had it, and know so");
    }
}

#[test]
fn a_bus_that_swallows_everything_is_noticed() {
    let mut bus = connected();
    bus.publish(1, "a");
    bus.machines[1].inbox.clear();
    let machine = &mut bus.machines[1];
    assert!(machine.link.tick(bus.now + LEASE / 4, &mut machine.known));
    assert!(!machine.link.tick(bus.now + LEASE / 2, &mut machine.known));
}

#[test]
fn what_a_node_has_lost_before_its_first_numbered_frame_is_asked_for() {
    let mut bus = Bus::new();
    bus.connect(0);
    bus.connect(2);
    bus.deliver(0, 3);
    bus.deliver(2, 4);
    bus.deliver(0, 3);
    bus.disconnect(0);
    bus.set_count(2, "a", 0);
    bus.advance(Duration::from_millis(2_252));
    bus.deliver(2, 2);
    bus.advance(Duration::from_millis(1_082));
    bus.set_count(0, "a", 1);
    bus.settle(Duration::from_secs(10));
    assert_eq!(bus.believed(2).get("a"), Some(&1));
}

#[derive(Debug, Clone)]
enum Step {
    Count(usize, usize, u32),
    Publish(usize, usize),
    Deliver(usize, usize),
    Cut(usize),
    Connect(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..NODES, 0..CHANNELS.len(), 0..4u32).prop_map(|(n, c, k)| Step::Count(n, c, k)),
        3 => (0..NODES, 0..CHANNELS.len()).prop_map(|(n, c)| Step::Publish(n, c)),
        6 => (0..NODES, 1..8usize).prop_map(|(n, k)| Step::Deliver(n, k)),
        1 => (0..NODES).prop_map(Step::Cut),
        2 => (0..NODES).prop_map(Step::Connect),
        2 => (1..4_000u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn fr_122_whatever_is_cut_all_know_the_truth_after_it_has_mended(
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let mut bus = Bus::new();
        let mut published = vec![BTreeSet::new(); NODES];
        for step in steps {
            match step {
                Step::Count(at, name, count) => bus.set_count(at, CHANNELS[name], count),
                Step::Publish(at, name) => {
                    let data = bus.publish(at, CHANNELS[name]);
                    published[at].insert(data);
                }
                Step::Deliver(at, count) => drop(bus.deliver(at, count)),
                Step::Cut(at) => bus.disconnect(at),
                Step::Connect(at) => bus.connect(at),
                Step::Wait(ms) => bus.advance(Duration::from_millis(ms)),
            }
        }
        bus.settle(Duration::from_secs(30));
        for (at, published) in published.iter().enumerate() {
            prop_assert_eq!(bus.believed(at), bus.truth(at), "node {}", at);
            let delivered = &bus.machines[at].known.delivered;
            let once: BTreeSet<String> = delivered.iter().cloned().collect();
            prop_assert_eq!(once.len(), delivered.len(), "delivered twice on {}", at);
            prop_assert!(published.is_subset(&once), "a node misses what it has published");
        }
    }
}
