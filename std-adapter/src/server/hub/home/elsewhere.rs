//! The parts of channels that are on other nodes.

use super::super::mail::Channel;
use super::super::remote::{self, News, NodeChange, NodeIndex, Remote};
use super::super::table::Key;
use super::super::{Entry, Hub, Kept, KeptState, Notice};
use super::{Home, HomeChannel, Work, tells_count};
use crate::server::backplane::Told;
use crate::server::dialect;
use tidings_core::time::Instant;

impl Home {
    /// Takes in what another node tells of a channel.
    pub(crate) fn hear(&mut self, remote: Remote, work: &mut Work<'_>) {
        let Remote { node, channel, news, .. } = remote;
        match news {
            News::Count(count) => {
                self.unconfirmed.confirm(node, &channel, None);
                self.set_count(node, &channel, count, work);
            }
            News::Here(member) => {
                self.unconfirmed.confirm(node, &channel, Some(&member.id));
                let at = self.channels.find_or_insert(channel.key(), HomeChannel::default);
                let Some(slot) = self.channels.get_mut(at) else { return };
                let (app, name) = (channel.app, &slot.name);
                let members = slot.value.members.get_or_insert_default();
                let added = dialect::member_added(&channel.name, &member);
                let user_id = member.id.clone();
                if members.enter_elsewhere(member, node) {
                    (work.notify)(Notice::MemberAdded { app, channel: name, user_id: &user_id });
                    slot.value.spread(&channel, &added, None, work.out);
                }
            }
            News::Gone(user_id) => self.member_gone(node, &channel, &user_id, work),
            News::CacheMiss => {
                let at = self.channels.find(channel.key());
                let Some(slot) = at.and_then(|at| self.channels.get_mut(at)) else { return };
                if !std::mem::replace(&mut slot.value.missed, true) {
                    (work.notify)(Notice::CacheMiss { app: channel.app, channel: &channel.name });
                }
            }
        }
    }

    fn member_gone(
        &mut self,
        node: NodeIndex,
        channel: &Channel,
        user_id: &str,
        work: &mut Work<'_>,
    ) {
        self.unconfirmed.confirm(node, channel, Some(user_id));
        let Some(at) = self.channels.find(channel.key()) else { return };
        let Some(slot) = self.channels.get_mut(at) else { return };
        let Some(members) = &mut slot.value.members else { return };
        if members.leave_elsewhere(user_id, node) {
            let (app, name) = (channel.app, &slot.name);
            (work.notify)(Notice::MemberRemoved { app, channel: name, user_id });
            let frame = dialect::member_removed(&channel.name, user_id);
            slot.value.spread(channel, &frame, None, work.out);
        }
        self.forget_if_empty(at);
    }

    fn set_count(&mut self, node: NodeIndex, channel: &Channel, count: u32, work: &mut Work<'_>) {
        let at = match (self.channels.find(channel.key()), count) {
            (Some(at), _) => at,
            (None, 0) => return,
            (None, _) => self.channels.find_or_insert(channel.key(), HomeChannel::default),
        };
        let Some(slot) = self.channels.get_mut(at) else { return };
        let (name, home) = (&slot.name, &mut slot.value);
        let was = home.is_occupied();
        home.elsewhere.set(node, count);
        let (app, is) = (channel.app, home.is_occupied());
        if is && !was {
            (work.notify)(Notice::Occupied { app, channel: name });
        }
        if tells_count(channel, work) {
            self.counts.changed(home, channel, work);
        }
        if was && !is {
            (work.notify)(Notice::Vacated { app, channel: name });
        }
        self.forget_if_empty(at);
    }

    fn forget_if_empty(&mut self, at: u32) {
        if self.channels.get(at).is_some_and(|slot| slot.value.is_empty()) {
            self.channels.remove(at);
        }
    }

    /// Goes on with all that a node has told, or ends it.
    pub(crate) fn change(&mut self, node: NodeIndex, change: NodeChange, work: &mut Work<'_>) {
        let gone = match change {
            NodeChange::Begin => return self.unconfirmed.begin(node, self.claims(node)),
            NodeChange::End => self.unconfirmed.end(node),
            NodeChange::Gone => {
                self.unconfirmed.forget(node);
                self.claims(node)
            }
        };
        for (channel, user_id) in gone {
            match user_id {
                Some(user_id) => self.member_gone(node, &channel, &user_id, work),
                None => self.set_count(node, &channel, 0, work),
            }
        }
    }

    /// All that is here because a node told it, members before numbers.
    fn claims(&self, node: NodeIndex) -> Vec<(Channel, Option<Box<str>>)> {
        let mut claims = Vec::new();
        for slot in self.channels.iter() {
            let channel =
                || remote::channel(Key { app: slot.app, hash: slot.hash, name: &slot.name });
            let members = slot.value.members.iter().flat_map(|members| members.of_node(node));
            claims.extend(members.map(|id| (channel(), Some(id.into()))));
            if slot.value.elsewhere.has(node) {
                claims.push((channel(), None));
            }
        }
        claims.sort_by_key(|(_, user)| user.is_none());
        claims
    }

    /// All that this node has to tell the others of the channels at home here.
    pub(crate) fn state(&self) -> Vec<Told> {
        let mut told = Vec::new();
        for slot in self.channels.iter().filter(|slot| !slot.value.shards.is_empty()) {
            let channel = remote::channel(Key { app: slot.app, hash: slot.hash, name: &slot.name });
            let members = slot.value.members.iter().flat_map(|members| members.of_here());
            told.extend(members.map(|member| Told::Here { channel: channel.clone(), member }));
            let count = slot.value.here();
            told.push(Told::Count { channel, count });
        }
        told
    }

    /// Notes that events of other nodes may have been lost.
    pub(crate) fn gap(&mut self, _: &mut Work<'_>) {
        self.logs.gap();
    }

    /// What is kept of events, for a node that is new.
    pub(crate) fn kept(&self, hub: &Hub, now: Instant) -> Vec<Told> {
        let channel =
            |app: u32, name: &[u8]| remote::channel(Key { app, hash: hub.hash(app, name), name });
        let cached = self
            .cache
            .export(now)
            .into_iter()
            .map(|(app, name, cached)| Told::Cached { channel: channel(app, &name), cached });
        let logs = self.logs.export(now).into_iter();
        cached
            .chain(logs.map(|(app, name, log)| Told::Log { channel: channel(app, &name), log }))
            .collect()
    }

    /// Takes in what another node has kept of a channel.
    pub(crate) fn keep(&mut self, channel: &Channel, kept: Kept, work: &Work<'_>) {
        let Some(app) = work.app(channel.app) else { return };
        let now = work.now;
        match kept {
            Kept::Log(log) => self.logs.import(channel.key(), app, log, now),
            Kept::State(KeptState { age_ms, frame, data }) => {
                let Some(data) = dialect::tail(&frame, data) else { return };
                if self.cache.frame(channel.key(), app, now).is_none() {
                    let stored = Instant::from_millis(now.as_millis().saturating_sub(age_ms));
                    self.cache.store(channel.key(), app, frame, data, stored);
                }
            }
        }
    }

    /// Tells other nodes how many subscriptions are in force on this one.
    pub(super) fn announce(home: &HomeChannel, channel: &Channel, work: &Work<'_>) {
        (work.tell)(&|| Told::Count { channel: channel.clone(), count: home.here() });
    }
}

/// Whether an entry may take the place of a cached one: not when it comes late, after a newer one.
pub(super) fn may_replace(entry: &Entry, is_cached: bool) -> bool {
    !(is_cached && entry.stamp.is_some_and(|stamp| stamp.late))
}
