//! The latest events of channels, so that a client that was away gets what it has missed.

use super::super::Stamp;
use super::super::table::Key;
use crate::app::App;
use crate::server::now_ms;
use bytes::Bytes;
use hashbrown::HashMap;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tidings_core::pusher::Serial;
use tidings_core::time::Instant;

/// What an event and a log take beside their frames and names.
const EVENT_OVERHEAD: usize = 64;

/// How far apart two events are that come in the same order on every node, though the bus keeps only that of each
/// publishing node.
const REORDERED: Duration = Duration::from_millis(500);

struct Kept {
    number: u64,
    at: Instant,
    /// The node that published it.
    from: u32,
    frame: Bytes,
}

impl Kept {
    fn size(&self) -> usize {
        self.frame.len() + EVENT_OVERHEAD
    }
}

/// The events of one channel.
struct Log {
    events: VecDeque<Kept>,
    /// All events of the channel after this number are here.
    floor: u64,
    /// When it was last used, and its place in that order.
    used: Instant,
    turn: u64,
}

impl Log {
    fn drop_oldest(&mut self, app: &App) {
        if let Some(kept) = self.events.pop_front() {
            self.floor = kept.number;
            app.logged().take(kept.size());
        }
    }

    /// The number of the latest event, or the floor.
    fn last(&self) -> u64 {
        self.events.back().map_or(self.floor, |kept| kept.number.max(self.floor))
    }

    /// Whether all events after the one with this number, or after this moment, are here. An event that is not
    /// here comes from a node that had no contact when it told it, or came in another order.
    fn knows(&self, number: u64, ordered: bool) -> bool {
        let found = || self.events.binary_search_by_key(&number, |kept| kept.number);
        let is_settled = || found().is_ok_and(|at| ordered || self.is_settled(at));
        let is_floor = ordered && number == self.floor;
        number >= self.floor && (is_moment(number) || is_floor || is_settled())
    }

    /// Whether an event has the same ones before it on every node: none of another publisher is near it.
    fn is_settled(&self, at: usize) -> bool {
        let (before, from) = (self.events.range(..at), self.events.range(at..));
        let Some(event) = self.events.get(at) else { return false };
        let is_near = |other: &&Kept| apart(event.at, other.at) < REORDERED;
        let mut near = before.rev().take_while(is_near).chain(from.take_while(is_near));
        near.all(|other| other.from == event.from)
    }

    /// Drops what is too old or too much.
    fn trim(&mut self, app: &App, now: Instant) {
        let rules = &app.history;
        while let Some(oldest) = self.events.front()
            && (is_older(oldest.at, now, app) || self.events.len() > rules.max_events as usize)
        {
            self.drop_oldest(app);
        }
    }
}

/// Whether the number is that of no event, among stamps.
const fn is_moment(number: u64) -> bool {
    number & 1 == 1
}

fn apart(one: Instant, other: Instant) -> Duration {
    Duration::from_millis(one.as_millis().abs_diff(other.as_millis()))
}

fn is_older(at: Instant, now: Instant, app: &App) -> bool {
    let age = now.as_millis().saturating_sub(at.as_millis());
    u128::from(age) >= app.history.max_age.as_millis()
}

#[derive(Default)]
struct OfApp {
    by_name: HashMap<Box<[u8]>, Log>,
    by_turn: BTreeMap<u64, Box<[u8]>>,
}

impl OfApp {
    fn remove_oldest(&mut self, app: &App) {
        let Some((_, name)) = self.by_turn.pop_first() else { return };
        if let Some(mut log) = self.by_name.remove(&name) {
            while !log.events.is_empty() {
                log.drop_oldest(app);
            }
        }
    }

    fn oldest(&self) -> Option<&Log> {
        self.by_name.get(self.by_turn.first_key_value()?.1)
    }
}

/// What is kept of a channel, for another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptLog {
    pub(crate) floor: u64,
    pub(crate) events: Vec<KeptEvent>,
}

/// An event that is kept, for another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptEvent {
    pub(crate) number: u64,
    pub(crate) age_ms: u64,
    /// The node that published it.
    pub(crate) from: u32,
    pub(crate) frame: Bytes,
}

/// What is kept of a channel after a serial.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Missed {
    /// Nothing after the serial is lost.
    pub(crate) complete: bool,
    /// The frames, oldest first.
    pub(crate) frames: Vec<Bytes>,
    /// The serial to go on from.
    pub(crate) serial: String,
}

/// The logs of the channels at home on one shard. Numbers of events rise over all of them, so that a log that was
/// given up and begun anew is never taken for the old one.
///
/// Among several nodes the numbers are [stamps](Stamp), so that an event has the same one on each of them, and odd
/// numbers are moments between events. They rise within a channel.
pub(super) struct Logs {
    apps: HashMap<u32, OfApp>,
    /// Tells the numbers of this run from those of others.
    epoch: u32,
    last: u64,
    turns: u64,
    /// Numbers are stamps.
    stamped: bool,
    /// Events come in one order on all nodes, not only those of each publishing one.
    ordered: bool,
}

/// The epoch of serials that all nodes share.
const SHARED_EPOCH: u32 = 1;

/// The number of this moment, among stamps.
fn moment() -> u64 {
    now_ms() << Stamp::CLOCK_SHIFT | 1
}

/// The number after which events are given to who has seen those up to `number`. Who was there from a moment on has
/// seen none before it, and what another node published just before may have come after it.
fn first_after(number: u64, stamped: bool) -> u64 {
    let margin = (REORDERED.as_millis() as u64) << Stamp::CLOCK_SHIFT;
    if stamped && is_moment(number) { number.saturating_sub(margin) } else { number }
}

impl Default for Logs {
    fn default() -> Self {
        // Without randomness a restart is still told from a run of another second.
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let fallback = clock.map_or(0, |since| since.as_secs() as u32);
        let epoch = getrandom::u32().unwrap_or(fallback);
        let apps = HashMap::default();
        Self { apps, epoch, last: 0, turns: 0, stamped: false, ordered: true }
    }
}

impl Logs {
    /// Drops what an app has.
    pub(super) fn forget(&mut self, app: &App) {
        let mut kept = self.apps.remove(&app.index()).unwrap_or_default();
        while !kept.by_turn.is_empty() {
            kept.remove_oldest(app);
        }
    }

    /// Logs whose serials mean the same on every node; `ordered` if events come in one order on all of them.
    pub(super) fn shared(ordered: bool) -> Self {
        Self { epoch: SHARED_EPOCH, stamped: true, ordered, ..Self::default() }
    }

    /// The number that an event gets.
    pub(super) fn next_number(&self, key: Key<'_>, stamp: Option<Stamp>) -> u64 {
        let Some(stamp) = stamp.filter(|_| self.stamped) else { return self.last + 1 };
        // What comes late has been overtaken, on each node by something else: its number is found on one only.
        let own = if stamp.late { (moment() + 1).max(stamp.number) } else { stamp.number };
        let log = self.apps.get(&key.app).and_then(|kept| kept.by_name.get(key.name));
        log.map_or(own, |log| own.max((log.last() | 1) + 1))
    }

    pub(super) fn serial(&self, number: u64) -> String {
        Serial::new(self.epoch, number).to_string()
    }

    /// The number of a serial of this run; `None` for any other text.
    fn number(&self, serial: &str) -> Option<u64> {
        let serial = Serial::parse(serial)?;
        let known = serial.number() <= self.last || self.stamped;
        (known && serial.epoch() == self.epoch).then(|| serial.number())
    }

    /// The log of a channel, begun if there is none.
    fn open(&mut self, key: Key<'_>, now: Instant) -> &mut Log {
        self.turns += 1;
        let (turn, floor) = (self.turns, self.here());
        let kept = self.apps.entry(key.app).or_default();
        let log = kept.by_name.entry(key.name.into()).or_insert_with(|| {
            let events = VecDeque::new();
            Log { events, floor, used: now, turn }
        });
        kept.by_turn.remove(&log.turn);
        (log.turn, log.used) = (turn, now);
        kept.by_turn.insert(turn, key.name.into());
        log
    }

    /// The number of the present.
    fn here(&self) -> u64 {
        if self.stamped { moment() } else { self.last }
    }

    /// Keeps an event of a node under the number that [`next_number`](Self::next_number) told.
    pub(super) fn append(
        &mut self,
        key: Key<'_>,
        app: &App,
        (number, from): (u64, u32),
        frame: Bytes,
        now: Instant,
    ) {
        let log = self.open(key, now);
        let kept = Kept { number, at: now, from, frame };
        app.logged().add(kept.size());
        log.events.push_back(kept);
        log.trim(app, now);
        if log.floor >= number {
            log.floor = number - 1; // it was begun for this event
        }
        self.last = self.last.max(number);
        self.make_room(key, app);
    }

    /// Gives up other channels' logs, the longest unused first, and then this one's events.
    fn make_room(&mut self, key: Key<'_>, app: &App) {
        let Some(kept) = self.apps.get_mut(&key.app) else { return };
        let is_over = || app.logged().is_over(u32::MAX, app.history.max_bytes);
        while is_over() && kept.by_turn.len() > 1 {
            kept.remove_oldest(app);
        }
        if let Some(log) = kept.by_name.get_mut(key.name) {
            while is_over() && !log.events.is_empty() {
                log.drop_oldest(app);
            }
        }
    }

    /// What a client has missed that has seen everything up to `from`; the newest events that fit in `max_bytes`.
    /// `latest` in place of a serial asks for nothing but a place to resume from later.
    pub(super) fn missed(
        &mut self,
        key: Key<'_>,
        app: &App,
        from: &str,
        max_bytes: usize,
        now: Instant,
    ) -> Missed {
        let (last, stamped, ordered) = (self.last, self.stamped, self.ordered);
        let known = self.number(from);
        let log = self.open(key, now);
        log.trim(app, now);
        let current = if stamped { log.last() } else { last };
        let number = if from == "latest" { Some(current) } else { known };
        let mut complete = number.is_some_and(|number| {
            if stamped { log.knows(number, ordered) } else { number >= log.floor || number == last }
        });
        let after = number.map_or(0, |number| first_after(number, stamped));
        let (mut frames, mut bytes) = (Vec::new(), 0);
        for kept in log.events.iter().rev().take_while(|kept| kept.number > after) {
            bytes += kept.frame.len();
            if bytes > max_bytes {
                complete = false;
                break;
            }
            frames.push(kept.frame.clone());
        }
        frames.reverse();
        Missed { complete, frames, serial: self.serial(current) }
    }

    /// At most `limit` events: the first after `from`, or the latest.
    pub(super) fn history(
        &self,
        key: Key<'_>,
        app: &App,
        from: Option<&str>,
        limit: usize,
        now: Instant,
    ) -> Missed {
        let number = from.and_then(|from| self.number(from));
        let log = self.apps.get(&key.app).and_then(|kept| kept.by_name.get(key.name));
        let Some(log) = log else {
            let complete = from.is_none() || (number == Some(self.last) && !self.stamped);
            return Missed { complete, frames: Vec::new(), serial: self.serial(self.here()) };
        };
        let last = if self.stamped { log.last() } else { self.last };
        let fresh = |kept: &&Kept| !is_older(kept.at, now, app);
        let lost = log.events.iter().take_while(|kept| !fresh(kept)).last();
        let floor = lost.map_or(log.floor, |kept| kept.number);
        let knows = |number| !self.stamped || log.knows(number, self.ordered);
        let after = number.map_or(0, |number| first_after(number, self.stamped));
        let all = log.events.iter().filter(fresh).filter(|kept| kept.number > after);
        let count = all.clone().count();
        let skipped = if from.is_none() { count.saturating_sub(limit) } else { 0 };
        let given: Vec<&Kept> = all.skip(skipped).take(limit).collect();
        let to = given.last().filter(|_| skipped + given.len() < count);
        Missed {
            complete: from.is_none()
                || number.is_some_and(|number| number >= floor && knows(number)),
            serial: self.serial(to.map_or(last, |kept| kept.number)),
            frames: given.into_iter().map(|kept| kept.frame.clone()).collect(),
        }
    }

    /// Notes that events may have been lost: nobody has seen all that was before.
    pub(super) fn gap(&mut self) {
        let floor = self.here();
        for log in self.apps.values_mut().flat_map(|kept| kept.by_name.values_mut()) {
            log.floor = floor.max(log.last());
        }
    }

    /// All logs, for a node that is new.
    pub(super) fn export(&self, now: Instant) -> Vec<(u32, Box<[u8]>, KeptLog)> {
        let age = |at: Instant| now.as_millis().saturating_sub(at.as_millis());
        let mut all = Vec::new();
        for (app, kept) in &self.apps {
            for (name, log) in &kept.by_name {
                let event = |kept: &Kept| KeptEvent {
                    number: kept.number,
                    age_ms: age(kept.at),
                    from: kept.from,
                    frame: kept.frame.clone(),
                };
                let events = log.events.iter().map(event).collect();
                all.push((*app, name.clone(), KeptLog { floor: log.floor, events }));
            }
        }
        all
    }

    /// Takes in what another node has kept of a channel before this one was there.
    pub(super) fn import(&mut self, key: Key<'_>, app: &App, kept: KeptLog, now: Instant) {
        let log = self.open(key, now);
        let first = log.events.front().map_or(u64::MAX, |kept| kept.number);
        for event in kept.events.into_iter().rev().filter(|event| event.number < first) {
            let KeptEvent { number, age_ms, from, frame } = event;
            let at = Instant::from_millis(now.as_millis().saturating_sub(age_ms));
            let kept = Kept { number, at, from, frame };
            app.logged().add(kept.size());
            log.events.push_front(kept);
        }
        log.floor = kept.floor.min(log.floor);
        log.trim(app, now);
        self.make_room(key, app);
    }

    /// Forgets the logs whose latest event is too old.
    pub(super) fn expire<'a>(&mut self, app: impl Fn(u32) -> Option<&'a App>, now: Instant) {
        self.apps.retain(|&index, kept| {
            let Some(app) = app(index) else { return false };
            while kept.oldest().is_some_and(|log| is_older(log.used, now, app)) {
                kept.remove_oldest(app);
            }
            !kept.by_name.is_empty()
        });
    }
}

#[cfg(test)]
mod tests;
