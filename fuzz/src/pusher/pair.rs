//! A client's machine against servers' machines, over connections that break in every way.

use std::collections::BTreeMap;

use tidings_core::entropy::Entropy;
use tidings_core::error::{SendError, UsageError};
use tidings_core::io::{Progress, TxBuf};
use tidings_core::pusher::client::{
    ChannelEvent, ChannelId, Client, ClientConfig, ClientEvent, FixedClient, Subscription, Timeout,
};
use tidings_core::pusher::{Advice, SocketId};
use tidings_core::reconnect::{Next, Reconnect};
use tidings_core::time::{Duration, Instant};

use super::link::{Link, signature};

const CHANNELS: [&str; 4] = ["a", "private-b", "presence-c", "private-d"];
const CLOSE_CODES: [u16; 4] = [4200, 4100, 4201, 1001];

/// Reads the input as operations, two bytes each, on a client and its network, then lets the network heal.
///
/// The operations: time passes; bytes arrive, some or all, at either end; channels are subscribed to and given up;
/// authorisations are answered, late or with no; the connection breaks for both ends, for the client alone, or for
/// nobody but the bytes; the server closes it; events are published and triggered.
///
/// Invariant: the server sees each subscription once, with a signature of this connection, and nothing for channels that
/// are not subscribed to; events come in order and only for channels that are wanted; after the network has healed every
/// wanted subscription is in force exactly once, at both ends, and an event on each arrives once; servers' ends that
/// nobody uses go away.
pub fn pair(data: &[u8]) {
    let mut world = World::new();
    for operation in data.chunks_exact(2).take(300) {
        world.perform(operation[0], operation[1]);
    }
    world.heal();
}

/// Differing keys without a source of chance.
struct Counter(u32);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = self.0.to_be_bytes()[0];
        }
    }
}

struct World {
    client: FixedClient<&'static str, Counter, 3>,
    config: ClientConfig<'static>,
    now: Instant,
    links: Vec<Link>,
    /// The client's link.
    current: Option<usize>,
    unread: Vec<u8>,
    reconnect: Reconnect,
    connect_at: Instant,
    questions: Vec<(ChannelId, SocketId)>,
    /// The reference model: what the application wants.
    wanted: BTreeMap<&'static str, ChannelId>,
    published: u32,
    /// The last number that came, by channel.
    received: BTreeMap<&'static str, u32>,
}

impl World {
    fn new() -> Self {
        Self {
            client: Client::new(Counter(7), Default::default()),
            config: ClientConfig::new("localhost", 6001, "key", 1024),
            now: Instant::from_millis(0),
            links: Vec::new(),
            current: None,
            unread: Vec::new(),
            reconnect: Reconnect::new(),
            connect_at: Instant::from_millis(0),
            questions: Vec::new(),
            wanted: BTreeMap::new(),
            published: 0,
            received: BTreeMap::new(),
        }
    }

    fn perform(&mut self, code: u8, argument: u8) {
        let name = CHANNELS[usize::from(argument) % CHANNELS.len()];
        let count = if argument == 255 { usize::MAX } else { usize::from(argument) };
        match code % 13 {
            0 => self.pass(u64::from(argument) * 1000),
            1 => self.deliver_out(count),
            2 => self.deliver_in(count),
            3 => self.subscribe(name),
            4 => self.unsubscribe(name),
            5 => self.answer(argument % 4 != 3),
            6 => self.cut(true),
            7 => self.cut(false),
            8 => {
                let code = CLOSE_CODES[usize::from(argument) % CLOSE_CODES.len()];
                let now = self.now;
                if let Some(link) = self.link() {
                    link.close(code, now);
                }
            }
            9 => self.publish(name),
            10 => self.connect(),
            11 => {
                if let Some(link) = self.link() {
                    link.stalled = true;
                }
            }
            _ => self.trigger(name),
        }
    }

    fn link(&mut self) -> Option<&mut Link> {
        self.links.get_mut(self.current?)
    }

    /// Calls the client with a buffer whose contents then go on their way.
    fn write<T>(
        &mut self,
        act: impl FnOnce(&mut FixedClient<&'static str, Counter, 3>, &mut TxBuf<'_>) -> T,
    ) -> T {
        let mut memory = [0; 1024];
        let mut tx = TxBuf::new(&mut memory);
        let result = act(&mut self.client, &mut tx);
        if let Some(link) = self.current.and_then(|at| self.links.get_mut(at)) {
            link.to_server.extend_from_slice(tx.written());
        }
        result
    }

    fn connect(&mut self) {
        if !self.client.is_idle() || self.now < self.connect_at {
            return;
        }
        assert!(self.current.is_none());
        let serial = self.links.len() as u64 + 1;
        self.links.push(Link::new(serial, self.now));
        self.current = Some(self.links.len() - 1);
        self.unread.clear();
        let (config, now) = (self.config, self.now);
        self.write(|client, tx| client.open(&config, now, tx)).expect("an idle client");
    }

    /// The client's connection is over: the transport goes, and a next attempt is due.
    fn ended(&mut self, advice: Advice) {
        assert!(self.client.is_idle());
        if let Some(link) = self.link() {
            link.attached = false;
            link.to_client.clear();
        }
        self.current = None;
        self.questions.retain(|_| self.now.as_millis().is_multiple_of(2)); // some answers come too late
        let delay = match self.reconnect.ended(self.now, advice, 0) {
            Next::After { delay, .. } => delay,
            Next::Never => panic!("no server of ours says so"),
        };
        self.connect_at = self.now.saturating_add(delay);
    }

    fn deliver_out(&mut self, count: usize) {
        let now = self.now;
        for link in &mut self.links {
            link.deliver(count, now);
        }
        self.pump();
    }

    fn deliver_in(&mut self, count: usize) {
        let Some(link) = self.link() else { return };
        if link.stalled {
            return;
        }
        let count = count.min(link.to_client.len());
        let bytes: Vec<u8> = link.to_client.drain(..count).collect();
        let end = link.to_client.is_empty() && !link.open;
        self.unread.extend(bytes);
        self.pump();
        if end && self.current.is_some() {
            self.end_of_stream();
        }
    }

    fn end_of_stream(&mut self) {
        let Some(ClientEvent::Closed { advice, .. }) = self.client.handle_eof(self.now) else {
            panic!("the client had a connection");
        };
        self.ended(advice);
    }

    /// Breaks the connection: the client is told; the server is told or finds out by itself.
    fn cut(&mut self, told: bool) {
        let Some(link) = self.link() else { return };
        if told {
            link.open = false;
        } else {
            link.stalled = true;
        }
        self.end_of_stream();
    }

    fn subscribe(&mut self, name: &'static str) {
        let full = self.wanted.len() == 3;
        match self.client.subscribe(name) {
            Ok(channel) => {
                assert!(!full);
                assert_eq!(self.wanted.insert(name, channel), None);
            }
            Err(SendError::Usage(UsageError::AlreadySubscribed)) => {
                assert!(self.wanted.contains_key(name));
            }
            Err(error) => assert!(full, "{error}"),
        }
        self.pump();
    }

    fn unsubscribe(&mut self, name: &'static str) {
        if let Some(channel) = self.wanted.remove(name) {
            self.write(|client, tx| client.unsubscribe(channel, tx)).expect("a channel of ours");
        }
    }

    /// Answers the oldest question for an authorisation.
    fn answer(&mut self, yes: bool) {
        if self.questions.is_empty() {
            return;
        }
        let (channel, socket_id) = self.questions.remove(0);
        let Some(name) = self.client.name(channel).copied() else { return };
        let current = self.client.socket_id() == Some(socket_id);
        let auth = signature(socket_id, name);
        let result = if yes {
            self.write(|client, tx| client.authorize(channel, socket_id, &auth, None, tx))
        } else {
            self.client.refuse(channel, socket_id).map_err(SendError::from)
        };
        if !current {
            assert_eq!(result, Err(UsageError::AuthorizationStale.into()));
        }
    }

    fn publish(&mut self, name: &'static str) {
        self.published += 1;
        for link in &mut self.links {
            link.publish(name, self.published);
        }
    }

    fn trigger(&mut self, name: &'static str) {
        let Some(channel) = self.wanted.get(name).copied() else { return };
        let in_force = self.client.subscription(channel) == Some(Subscription::Subscribed)
            && self.client.is_online();
        let sent = self.write(|client, tx| client.trigger(channel, "client-e", None, tx));
        assert_eq!(sent.is_ok(), in_force && name != "a", "{name}: {sent:?}");
    }

    /// Lets the client work until it asks for input.
    fn pump(&mut self) {
        let mut input = std::mem::take(&mut self.unread);
        while self.current.is_some() {
            let now = self.now;
            let mut seen = Seen::Nothing;
            let (consumed, more) = self.write(|client, tx| {
                let step = client.handle_input(now, &mut input, tx).expect("a server of ours");
                let more = !matches!(step.progress, Progress::NeedInput { .. });
                if let Progress::Event(event) = step.progress {
                    seen = Seen::of(event);
                }
                (step.consumed, more)
            });
            input.drain(..consumed);
            self.see(seen);
            if !more {
                break;
            }
        }
        self.unread = input;
    }

    fn see(&mut self, seen: Seen) {
        match seen {
            Seen::Nothing => {}
            Seen::Connected => self.reconnect.connected(self.now),
            Seen::Question(channel, socket_id) => self.questions.push((channel, socket_id)),
            Seen::End(advice) => {
                // The answer to the server's close frame still goes out.
                let now = self.now;
                if let Some(link) = self.link() {
                    link.deliver(usize::MAX, now);
                }
                self.ended(advice);
            }
            Seen::Message(channel, number) => {
                let name = *self.client.name(channel).expect("an event of a channel of ours");
                assert_eq!(self.wanted.get(name), Some(&channel), "an event for {name}");
                let last = self.received.insert(name, number);
                assert!(last < Some(number), "{name}: {number} after {last:?}");
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now.saturating_add(Duration::from_millis(ms));
        let (config, now) = (self.config, self.now);
        for link in &mut self.links {
            link.handle_timeout(now);
        }
        let timeout = self.write(|client, tx| client.handle_timeout(&config, now, tx));
        if let Timeout::Drop { advice, .. } = timeout.expect("room") {
            if let Some(link) = self.link() {
                link.open &= link.stalled; // a server that can be reached is told by the transport's end
            }
            self.ended(advice);
        }
    }

    /// Lets everything through until nothing changes, and looks at what has come of it.
    fn heal(&mut self) {
        for _ in 0..600 {
            self.settle();
            // A dead connection that the client takes for a live one takes its time to be found out.
            let dead = self.link().is_none_or(|link| link.stalled || !link.open);
            let done = !dead
                && self.client.is_online()
                && self.wanted.values().all(|channel| {
                    self.client.subscription(*channel) == Some(Subscription::Subscribed)
                });
            if done {
                return self.check();
            }
            for channel in self.wanted.values() {
                self.client.retry(*channel).expect("a channel of ours");
            }
            self.pass(1000);
        }
        panic!("it does not heal");
    }

    fn settle(&mut self) {
        self.connect();
        for _ in 0..8 {
            self.pump();
            while !self.questions.is_empty() {
                self.answer(true);
            }
            self.deliver_out(usize::MAX);
            self.deliver_in(usize::MAX);
        }
    }

    fn check(&mut self) {
        let current = self.current.expect("a connection");
        let held: Vec<&str> = self.links[current].subscribed.iter().map(|s| &**s).collect();
        let wanted: Vec<&str> = self.wanted.keys().copied().collect();
        assert_eq!(held, wanted);
        for name in wanted {
            self.publish(CHANNELS[CHANNELS.iter().position(|c| *c == name).expect("of ours")]);
            self.settle();
            assert_eq!(self.received.get(name), Some(&self.published), "{name}");
        }
        for _ in 0..40 {
            self.pass(10_000);
            self.settle();
        }
        let open = self.links.iter().filter(|link| link.open).count();
        assert_eq!(open, 1, "servers' ends that nobody uses");
    }
}

/// What the client reported, without the input.
enum Seen {
    Connected,
    End(Advice),
    Message(ChannelId, u32),
    Nothing,
    Question(ChannelId, SocketId),
}

impl Seen {
    fn of(event: ClientEvent<'_>) -> Self {
        match event {
            ClientEvent::Connected { .. } => Self::Connected,
            ClientEvent::Authorize { channel, socket_id } => Self::Question(channel, socket_id),
            ClientEvent::Closed { advice, .. } => Self::End(advice),
            ClientEvent::Channel { channel, event: ChannelEvent::Message { data, .. } } => {
                let number = data.and_then(|data| data.parse().ok());
                Self::Message(channel, number.expect("a number"))
            }
            ClientEvent::Channel { .. } | ClientEvent::Error { .. } => Self::Nothing,
            other => panic!("{other:?}"),
        }
    }
}
