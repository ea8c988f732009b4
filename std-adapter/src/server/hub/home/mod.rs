//! The channels that are at home on a shard: who is in them, counted over all shards.

mod cache;
mod count;
mod elsewhere;
mod log;
#[cfg(test)]
mod tests;

use super::mail::{Channel, Deliver, Join, Joined, Leave, Mail, Member, Outcome, Resume};
use super::presence::{Entered, Left, Members};
use super::remote::{Elsewhere, Unconfirmed};
use super::table::{Key, Table};
use super::{CachedEvent, Entry, Notice, Occupancy, Source};
use crate::app::{App, AppsNow};
use crate::server::backplane::Told as News;
use crate::server::dialect;
use crate::server::metrics::Measured;
use bytes::Bytes;
use cache::{Cache, is_cache};
use count::{Counts, Told};
use log::Logs;
pub(crate) use log::{KeptEvent, KeptLog, Missed};
use smallvec::SmallVec;
use tidings_core::pusher::SocketId;
use tidings_core::time::Instant;

/// Mail that one piece of work gives rise to, in order, each with the shard that it is for.
pub(crate) type Outgoing = Vec<(u16, Mail)>;

/// What a home works with.
pub(crate) struct Work<'a> {
    pub(crate) apps: &'a AppsNow<'a>,
    pub(crate) now: Instant,
    pub(crate) notify: &'a dyn Fn(Notice<'_>),
    /// Tells other nodes, if there are any; what it is given is called only then.
    pub(crate) tell: &'a dyn Fn(&dyn Fn() -> News),
    pub(crate) out: &'a mut Outgoing,
}

impl<'a> Work<'a> {
    fn app(&self, index: u32) -> Option<&'a App> {
        self.apps.get(index).map(|app| &**app)
    }
}

#[derive(Default)]
struct HomeChannel {
    /// Subscriptions by shard; only shards that have some.
    shards: SmallVec<[(u16, u32); 2]>,
    /// Subscriptions on other nodes.
    elsewhere: Elsewhere,
    members: Option<Box<Members>>,
    /// A subscriber has found no cached event, and none has come since.
    missed: bool,
    /// What subscribers know of their number, where they are told.
    told: Told,
}

impl HomeChannel {
    fn count(&mut self, shard: u16) {
        match self.shards.iter_mut().find(|(id, _)| *id == shard) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.shards.push((shard, 1)),
        }
    }

    fn uncount(&mut self, shard: u16) {
        if let Some(at) = self.shards.iter().position(|(id, _)| *id == shard) {
            self.shards[at].1 = self.shards[at].1.saturating_sub(1);
            if self.shards[at].1 == 0 {
                self.shards.swap_remove(at);
            }
        }
    }

    /// Subscriptions on this node.
    fn here(&self) -> u32 {
        self.shards.iter().map(|(_, count)| count).sum()
    }

    fn is_occupied(&self) -> bool {
        !self.shards.is_empty() || !self.elsewhere.is_empty()
    }

    /// Whether nothing is left to be known of it.
    fn is_empty(&self) -> bool {
        !self.is_occupied() && self.members.as_ref().is_none_or(|members| members.len() == 0)
    }

    fn occupancy(&self) -> Occupancy {
        Occupancy {
            subscriptions: self.here().saturating_add(self.elsewhere.total()),
            users: self.members.as_ref().map_or(0, |m| u32::try_from(m.len()).unwrap_or(u32::MAX)),
        }
    }

    /// Lets a member in and tells the others; the acknowledgement, or `None` when the channel is full.
    fn enter(
        &mut self,
        channel: &Channel,
        member: Member,
        max_members: u32,
        socket_id: SocketId,
        work: &mut Work<'_>,
    ) -> Option<Bytes> {
        let members = self.members.get_or_insert_default();
        let user_id = member.id.clone();
        let entered = members.enter(member, max_members);
        if entered == Entered::Full {
            return None;
        }
        let succeeded = dialect::presence_succeeded(&channel.name, members);
        if entered == Entered::Again {
            return Some(succeeded);
        }
        let member = members.member(&user_id)?;
        (work.tell)(&|| News::Here { channel: channel.clone(), member: member.clone() });
        if entered == Entered::First {
            let (app, name) = (channel.app, &channel.name);
            (work.notify)(Notice::MemberAdded { app, channel: name, user_id: &user_id });
            let added = dialect::member_added(name, &member);
            self.spread(channel, &added, Some(socket_id), work.out);
        }
        Some(succeeded)
    }

    /// Sends one frame to every shard with subscribers.
    fn spread(
        &self,
        channel: &Channel,
        frame: &Bytes,
        except: Option<SocketId>,
        out: &mut Outgoing,
    ) {
        self.spread_event(channel, frame, (except, None), out);
    }

    /// As [`spread`](Self::spread), of an event that was accepted at a known time.
    fn spread_event(
        &self,
        channel: &Channel,
        frame: &Bytes,
        (except, accepted): (Option<SocketId>, Option<std::time::Instant>),
        out: &mut Outgoing,
    ) {
        for (shard, _) in &self.shards {
            let (channel, frame) = (channel.clone(), frame.clone());
            out.push((*shard, Mail::Deliver(Deliver { channel, frame, except, accepted })));
        }
    }
}

/// Whether the subscribers of a channel are told how many they are. Members of a presence channel know anyway.
fn tells_count(channel: &Channel, work: &Work<'_>) -> bool {
    work.app(channel.app).is_some_and(|app| app.subscription_count)
        && !channel.name.starts_with(b"presence-")
}

/// The state of all channels at home on one shard.
#[derive(Default)]
pub(crate) struct Home {
    channels: Table<HomeChannel>,
    cache: Cache,
    counts: Counts,
    logs: Logs,
    /// What other nodes have not told again so far.
    unconfirmed: Unconfirmed,
}

impl Home {
    /// The state of a node among others.
    pub(crate) fn shared(ordered: bool) -> Self {
        Self { logs: Logs::shared(ordered), ..Self::default() }
    }

    pub(crate) fn join(&mut self, join: Join, work: &mut Work<'_>) {
        let Join { channel, conn, socket_id, ticket, member, max_members, resume } = join;
        let at = self.channels.find_or_insert(channel.key(), HomeChannel::default);
        let Some(slot) = self.channels.get_mut(at) else { return };
        let (name, home, app) = (&slot.name, &mut slot.value, channel.app);
        let mut frame = None;
        if let Some(member) = member {
            frame = home.enter(&channel, member, max_members, socket_id, work);
            if frame.is_none() {
                if home.is_empty() {
                    self.channels.remove(at);
                }
                let outcome = Outcome::Full { max_members };
                let joined = Joined { channel, conn, ticket, outcome };
                return work.out.push((conn.shard, Mail::Joined(Box::new(joined))));
            }
        }
        if !home.is_occupied() {
            (work.notify)(Notice::Occupied { app, channel: name });
        }
        home.count(conn.shard);
        Self::announce(home, &channel, work);
        let missed = resume.map(|resume| {
            let kept = work.app(app).filter(|app| app.history.keeps(name));
            kept.map_or_else(Missed::default, |app| {
                let Resume { from, max_bytes } = resume;
                self.logs.missed(channel.key(), app, &from, max_bytes, work.now)
            })
        });
        // Who has the events since its last one has the state as well.
        let knows = missed.as_ref().is_some_and(|m| m.complete || !m.frames.is_empty());
        let cached = (is_cache(name) && !knows).then(|| {
            let held = work.app(app);
            let held = held.and_then(|app| self.cache.frame(channel.key(), app, work.now));
            held.unwrap_or_else(|| {
                if !std::mem::replace(&mut home.missed, true) {
                    (work.notify)(Notice::CacheMiss { app, channel: name });
                    (work.tell)(&|| News::CacheMiss { channel: channel.clone() });
                }
                dialect::cache_miss(&channel.name)
            })
        });
        let missed = missed.map(|missed| dialect::resumed(&channel.name, &missed));
        let then = match (missed, cached) {
            (Some(missed), Some(cached)) => Some([missed, cached].concat().into()),
            (missed, cached) => missed.or(cached),
        };
        let outcome = Outcome::Subscribed { frame, then };
        let joined = Joined { channel: channel.clone(), conn, ticket, outcome };
        work.out.push((conn.shard, Mail::Joined(Box::new(joined))));
        if tells_count(&channel, work) {
            self.counts.changed(home, &channel, work);
        }
    }

    pub(crate) fn leave(&mut self, leave: &Leave, work: &mut Work<'_>) {
        let Some(at) = self.channels.find(leave.channel.key()) else { return };
        let Some(slot) = self.channels.get_mut(at) else { return };
        let (name, home) = (&slot.name, &mut slot.value);
        let app = leave.channel.app;
        home.uncount(leave.shard);
        if let (Some(user_id), Some(members)) = (&leave.user_id, &mut home.members) {
            let left = members.leave(user_id);
            if left != Left::No {
                (work.tell)(&|| News::Gone {
                    channel: leave.channel.clone(),
                    user_id: user_id.clone(),
                });
            }
            if left == Left::Wholly {
                (work.notify)(Notice::MemberRemoved { app, channel: name, user_id });
                let frame = dialect::member_removed(&leave.channel.name, user_id);
                home.spread(&leave.channel, &frame, Some(leave.socket_id), work.out);
            }
        }
        Self::announce(home, &leave.channel, work);
        if tells_count(&leave.channel, work) {
            self.counts.changed(home, &leave.channel, work);
        }
        if !home.is_occupied() {
            (work.notify)(Notice::Vacated { app, channel: name });
        }
        if home.is_empty() {
            self.channels.remove(at);
        }
    }

    pub(crate) fn publish(&mut self, app: u32, hash: u64, entry: Entry, work: &mut Work<'_>) {
        let key = Key { app, hash, name: &entry.channel };
        let at = self.channels.find(key);
        let kept = entry.source == Source::Application && is_cache(&entry.channel);
        let logs = entry.source == Source::Application
            && work.app(app).is_some_and(|app| app.history.keeps(&entry.channel));
        if at.is_none() && !kept && !logs {
            return;
        }
        let number = logs.then(|| self.logs.next_number(key, entry.stamp));
        let frame = match number {
            Some(number) => dialect::logged_event(&entry, &self.logs.serial(number)),
            None => dialect::event(&entry),
        };
        if let (Some(number), Some(app)) = (number, work.app(app)) {
            let from = entry.stamp.map_or(0, |stamp| stamp.from);
            self.logs.append(key, app, (number, from), frame.clone(), work.now);
        }
        if kept
            && let Some(app) = work.app(app)
            && elsewhere::may_replace(&entry, self.cache.frame(key, app, work.now).is_some())
        {
            let data = dialect::data_within(&frame, &entry);
            self.cache.store(key, app, frame.clone(), data, work.now);
        }
        let Some(slot) = at.and_then(|at| self.channels.get_mut(at)) else { return };
        slot.value.missed &= !kept;
        let channel = Channel { app, hash, name: entry.channel };
        let about = (entry.except, Some(entry.accepted));
        slot.value.spread_event(&channel, &frame, about, work.out);
    }

    /// Does what time asks for; called about once a second.
    pub(crate) fn tick(&mut self, work: &mut Work<'_>) {
        self.cache.expire(|app| work.app(app), work.now);
        self.logs.expire(|app| work.app(app), work.now);
        while let Some(channel) = self.counts.next_due(work.now) {
            let slot = self.channels.find(channel.key()).and_then(|at| self.channels.get_mut(at));
            if let Some(slot) = slot {
                count::tell_late(&mut slot.value, &channel, work);
            }
        }
    }

    /// Adds what the channels hold, as far as it is of this node.
    pub(crate) fn measure(&self, measured: &mut Measured) {
        for slot in self.channels.iter() {
            let channel = &slot.value;
            let app = measured.app(slot.app);
            app.channels += u64::from(channel.here() > 0);
            if let Some(members) = &channel.members {
                app.presence_members += u64::from(channel.here());
                app.presence_users += members.count_here() as u64;
            }
        }
    }

    /// Whether no channel is occupied.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// At most `limit` kept events: the first after `from`, or the latest.
    pub(crate) fn history(
        &self,
        key: Key<'_>,
        from: Option<&str>,
        limit: usize,
        work: &Work<'_>,
    ) -> Missed {
        let app = work.app(key.app);
        app.map(|app| self.logs.history(key, app, from, limit, work.now)).unwrap_or_default()
    }

    /// What a cache channel holds.
    /// Forgets what is kept for an app that is gone.
    pub(crate) fn forget(&mut self, app: &App) {
        self.cache.forget(app);
        self.logs.forget(app);
    }

    pub(crate) fn cached(
        &self,
        key: Key<'_>,
        apps: &AppsNow<'_>,
        now: Instant,
    ) -> Option<CachedEvent> {
        self.cache.event(key, apps.get(key.app)?, now)
    }

    fn slot(&self, key: Key<'_>) -> Option<&HomeChannel> {
        Some(&self.channels.get(self.channels.find(key)?)?.value)
    }

    pub(crate) fn occupancy(&self, key: Key<'_>) -> Occupancy {
        self.slot(key).map(HomeChannel::occupancy).unwrap_or_default()
    }

    pub(crate) fn channels(&self, app: u32, prefix: &str) -> Vec<(Box<str>, Occupancy)> {
        self.channels
            .iter()
            .filter(|slot| slot.app == app && slot.name.starts_with(prefix.as_bytes()))
            .map(|slot| (slot.name_text().into(), slot.value.occupancy()))
            .collect()
    }

    pub(crate) fn users(&self, key: Key<'_>) -> Vec<Box<str>> {
        let members = self.slot(key).and_then(|slot| slot.members.as_ref());
        members.map(|m| m.ids().map(Into::into).collect()).unwrap_or_default()
    }
}
