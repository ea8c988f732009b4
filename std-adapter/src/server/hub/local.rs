//! The sockets of one shard and their subscriptions; frames that are due to them.

use super::mail::{ConnRef, Deliver};
use super::table::{Key, Table};
use crate::server::metrics::{Histogram, Ledger, Measured, Traffic, count};
use crate::server::socket::{Conn, Sent, SignedIn, Sub};
use bytes::{Bytes, BytesMut};
use hashbrown::HashMap;
use slab::Slab;
use smallvec::SmallVec;
use std::cell::Cell;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::rc::Rc;
use std::time::Instant;
use tidings_core::pusher::SocketId;
use tidings_core::time::Instant as Clock;

/// Frames that wait for the end of the tick, each with the socket that must not get it.
type Due = SmallVec<[(Bytes, Option<SocketId>); 1]>;

#[derive(Default)]
struct LocalChannel {
    /// Sockets whose subscription is in force.
    subscribers: Vec<Rc<Conn>>,
    /// Frames of this tick.
    due: Due,
    /// Subscriptions in force or asked for; the channel is forgotten at 0.
    holders: u32,
}

/// Frames of one channel that are written together.
struct Batch {
    frames: Bytes,
    /// Where the frames lie that some socket must not get.
    exceptions: SmallVec<[(Range<usize>, SocketId); 2]>,
    /// How many there are, and their bytes.
    count: usize,
    bytes: usize,
    /// Frames that sockets did not get, and their bytes.
    left_out: Cell<(usize, usize)>,
}

impl Batch {
    fn take(due: &mut Due) -> Self {
        let mut exceptions = SmallVec::new();
        let mut at = 0;
        for (frame, except) in due.iter() {
            if let Some(socket_id) = except {
                exceptions.push((at..at + frame.len(), *socket_id));
            }
            at += frame.len();
        }
        let frames = match &mut due[..] {
            [(frame, _)] => std::mem::take(frame),
            many => {
                let mut joined = BytesMut::with_capacity(at);
                many.iter().for_each(|(frame, _)| joined.extend_from_slice(frame));
                joined.freeze()
            }
        };
        let count = due.len();
        due.clear();
        Self { bytes: frames.len(), frames, exceptions, count, left_out: Cell::default() }
    }

    /// Calls `send` with what a socket is to get: all of it, most of the time.
    #[inline]
    fn parts_for(&self, conn: &Conn, mut send: impl FnMut(&Bytes)) {
        if self.exceptions.iter().all(|(_, except)| *except != conn.socket_id) {
            send(&self.frames);
        } else {
            self.some_for(conn, &mut send);
        }
    }

    /// Calls `send` with what is left for a socket that some frames are not for.
    #[cold]
    fn some_for(&self, conn: &Conn, send: &mut dyn FnMut(&Bytes)) {
        let mut from = 0;
        for (range, except) in &self.exceptions {
            if *except == conn.socket_id {
                let (frames, bytes) = self.left_out.get();
                self.left_out.set((frames + 1, bytes + range.len()));
                if range.start > from {
                    send(&self.frames.slice(from..range.start));
                }
                from = range.end;
            }
        }
        if from < self.frames.len() {
            send(&self.frames.slice(from..));
        }
    }

    /// Counts what so many subscribers were given.
    fn count(&self, subscribers: usize, traffic: &Traffic) {
        let (frames, bytes) = self.left_out.get();
        count(&traffic.sent_frames, (self.count * subscribers).saturating_sub(frames));
        count(&traffic.sent_bytes, (self.bytes * subscribers).saturating_sub(bytes));
    }
}

/// An app's place and the id of one of its users.
type User = (u32, Box<str>);

#[derive(Default)]
pub(crate) struct Local {
    conns: Slab<Rc<Conn>>,
    channels: Table<LocalChannel>,
    /// Channels with frames due in this tick.
    dirty: Vec<u32>,
    users: HashMap<User, SmallVec<[Rc<Conn>; 1]>>,
    next_serial: u32,
    tick: u32,
    /// What has gone through the sockets.
    pub(crate) ledger: Ledger,
    /// When the events that are due were accepted.
    accepted: Vec<Instant>,
    /// How long events took from there to the write.
    delivery: Histogram,
}

/// A subscription that has ended, for the channel's home to be told of.
pub(crate) struct Ended {
    pub(crate) app: u32,
    pub(crate) hash: u64,
    pub(crate) name: Bytes,
    pub(crate) user_id: Option<Box<str>>,
}

/// A connection as it is shown to who watches the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) socket_id: SocketId,
    /// The user that has signed in.
    pub(crate) user_id: Option<Box<str>>,
    /// Subscriptions, those included that are asked for.
    pub(crate) channels: usize,
    /// How long it has been there.
    pub(crate) seconds: u64,
}

/// A socket that a frame could not be given to, and why.
pub(crate) type Trouble = (Rc<Conn>, Sent);

impl Local {
    /// Makes a connection with a place of its own.
    pub(crate) fn insert(&mut self, shard: u16, make: impl FnOnce(ConnRef) -> Conn) -> Rc<Conn> {
        self.next_serial = self.next_serial.wrapping_add(1);
        let entry = self.conns.vacant_entry();
        let slot = u32::try_from(entry.key()).unwrap_or(u32::MAX);
        let conn = Rc::new(make(ConnRef { shard, slot, serial: self.next_serial }));
        entry.insert(Rc::clone(&conn));
        conn
    }

    pub(crate) fn remove(&mut self, at: ConnRef) {
        if self.conn(at).is_some() {
            self.conns.remove(at.slot as usize);
        }
    }

    /// The connection, unless it has ended.
    pub(crate) fn conn(&self, at: ConnRef) -> Option<&Rc<Conn>> {
        self.conns.get(at.slot as usize).filter(|conn| conn.at == at)
    }

    pub(crate) fn conns(&self) -> impl Iterator<Item = &Rc<Conn>> {
        self.conns.iter().map(|(_, conn)| conn)
    }

    /// The `most` connections of an app that began last, in no order.
    pub(crate) fn newest(&self, app: u32, most: usize, now: Clock) -> Vec<Seen> {
        // The heap has the oldest of them on top; serials tell who came later.
        let mut newest: BinaryHeap<(u32, u32)> = BinaryHeap::new();
        for (slot, conn) in self.conns.iter().filter(|(_, conn)| conn.app.index == app) {
            let age = self.next_serial.wrapping_sub(conn.at.serial);
            if newest.len() < most {
                newest.push((age, u32::try_from(slot).unwrap_or(u32::MAX)));
            } else if let Some(mut oldest) = newest.peek_mut()
                && age < oldest.0
            {
                *oldest = (age, u32::try_from(slot).unwrap_or(u32::MAX));
            }
        }
        let seen = |(_, slot): (u32, u32)| {
            let conn = self.conns.get(slot as usize)?;
            Some(Seen {
                socket_id: conn.socket_id,
                user_id: conn.user.borrow().as_ref().map(|user| user.member.id.clone()),
                channels: conn.subs.borrow().len(),
                seconds: now.saturating_since(conn.came()).as_secs(),
            })
        };
        newest.into_iter().filter_map(seen).collect()
    }

    /// Notes that `conn` wants to be in the channel; `None` when it is or wants so already.
    pub(crate) fn begin(
        &mut self,
        conn: &Conn,
        key: Key<'_>,
        user_id: Option<Box<str>>,
    ) -> Option<u32> {
        let channel = self.channels.find_or_insert(key, LocalChannel::default);
        let mut subs = conn.subs.borrow_mut();
        if subs.iter().any(|sub| sub.channel == channel) {
            return None;
        }
        if let Some(slot) = self.channels.get_mut(channel) {
            slot.value.holders += 1;
        }
        let ticket = conn.next_ticket.get();
        conn.next_ticket.set(ticket.wrapping_add(1));
        subs.push(Sub { channel, position: Sub::PENDING, ticket, user_id });
        Some(ticket)
    }

    /// Puts a subscription in force. False when it has been given up meanwhile.
    pub(crate) fn joined(&mut self, conn: &Rc<Conn>, key: Key<'_>, ticket: u32) -> bool {
        let Some(at) = self.channels.find(key) else { return false };
        let mut subs = conn.subs.borrow_mut();
        let Some(sub) = subs.iter_mut().find(|sub| sub.channel == at && sub.ticket == ticket)
        else {
            return false;
        };
        let Some(slot) = self.channels.get_mut(at) else { return false };
        sub.position = u32::try_from(slot.value.subscribers.len()).unwrap_or(u32::MAX);
        slot.value.subscribers.push(Rc::clone(conn));
        true
    }

    /// The user id that `conn` is in the channel with, if it is in it at all.
    pub(crate) fn subscription(&self, conn: &Conn, key: Key<'_>) -> Option<Option<Box<str>>> {
        let at = self.channels.find(key)?;
        let subs = conn.subs.borrow();
        subs.iter().find(|sub| sub.channel == at).map(|sub| sub.user_id.clone())
    }

    /// Ends one subscription; `None` when there is none.
    pub(crate) fn end(&mut self, conn: &Conn, key: Key<'_>) -> Option<Ended> {
        let at = self.channels.find(key)?;
        let index = conn.subs.borrow().iter().position(|sub| sub.channel == at)?;
        let sub = conn.subs.borrow_mut().swap_remove(index);
        self.forget(conn, sub)
    }

    /// Takes back a subscription that the home has refused; false when it is gone already.
    pub(crate) fn give_up(&mut self, conn: &Conn, key: Key<'_>, ticket: u32) -> bool {
        let Some(at) = self.channels.find(key) else { return false };
        let found = |sub: &Sub| sub.channel == at && sub.ticket == ticket;
        let Some(index) = conn.subs.borrow().iter().position(found) else { return false };
        let sub = conn.subs.borrow_mut().swap_remove(index);
        self.forget(conn, sub).is_some()
    }

    /// Ends every subscription of a socket.
    pub(crate) fn end_all(&mut self, conn: &Conn) -> Vec<Ended> {
        let subs = std::mem::take(&mut *conn.subs.borrow_mut());
        subs.into_iter().filter_map(|sub| self.forget(conn, sub)).collect()
    }

    fn forget(&mut self, conn: &Conn, sub: Sub) -> Option<Ended> {
        let slot = self.channels.get_mut(sub.channel)?;
        let channel = &mut slot.value;
        if sub.position != Sub::PENDING {
            let position = sub.position as usize;
            channel.subscribers.swap_remove(position);
            if let Some(moved) = channel.subscribers.get(position).filter(|m| m.at != conn.at)
                && let Some(other) =
                    moved.subs.borrow_mut().iter_mut().find(|s| s.channel == sub.channel)
            {
                other.position = sub.position;
            }
            if channel.subscribers.capacity() > 64
                && channel.subscribers.len() < channel.subscribers.capacity() / 4
            {
                channel.subscribers.shrink_to(channel.subscribers.len() * 2);
            }
        }
        channel.holders -= 1;
        let name = Bytes::copy_from_slice(&slot.name);
        let ended = Ended { app: slot.app, hash: slot.hash, name, user_id: sub.user_id };
        if channel.holders == 0 {
            self.channels.remove(sub.channel);
        }
        Some(ended)
    }

    /// Makes a frame due to the subscribers of a channel. True when it is the first of the tick.
    pub(crate) fn deliver(&mut self, deliver: Deliver) -> bool {
        let Some(at) = self.channels.find(deliver.channel.key()) else { return false };
        let Some(slot) = self.channels.get_mut(at) else { return false };
        if slot.value.due.is_empty() {
            self.dirty.push(at);
        }
        slot.value.due.push((deliver.frame, deliver.except));
        self.accepted.extend(deliver.accepted);
        self.dirty.len() == 1 && slot.value.due.len() == 1
    }

    /// Writes what is due. A socket with one channel due gets it straight from the shared bytes; one
    /// with several gets them in one gathered write.
    pub(crate) fn flush(&mut self, trouble: &mut Vec<Trouble>) {
        let dirty = std::mem::take(&mut self.dirty);
        if let [at] = dirty[..] {
            self.flush_one(at, trouble);
        } else {
            self.flush_many(&dirty, trouble);
        }
        self.dirty = dirty;
        self.dirty.clear();
        if !self.accepted.is_empty() {
            let now = Instant::now();
            for accepted in self.accepted.drain(..) {
                self.delivery.record(now.saturating_duration_since(accepted));
            }
        }
    }

    fn flush_one(&mut self, at: u32, trouble: &mut Vec<Trouble>) {
        let Some(slot) = self.channels.get_mut(at) else { return };
        if slot.value.due.is_empty() {
            return;
        }
        let batch = Batch::take(&mut slot.value.due);
        for conn in &slot.value.subscribers {
            batch.parts_for(conn, |frames| note(conn, conn.deliver(frames), trouble));
        }
        batch.count(slot.value.subscribers.len(), &self.ledger.of(slot.app));
    }

    fn flush_many(&mut self, dirty: &[u32], trouble: &mut Vec<Trouble>) {
        self.tick = self.tick.wrapping_add(1).max(1);
        let tick = self.tick;
        for slot in dirty.iter().filter_map(|at| self.channels.get(*at)) {
            slot.value.subscribers.iter().for_each(|conn| conn.gather(tick));
        }
        let mut gathered = Vec::new();
        for at in dirty {
            let Some(slot) = self.channels.get_mut(*at) else { continue };
            if slot.value.due.is_empty() {
                continue;
            }
            let batch = Batch::take(&mut slot.value.due);
            for conn in &slot.value.subscribers {
                if conn.is_gathered(tick) {
                    batch.parts_for(conn, |frames| conn.queue_due(frames.clone()));
                    gathered.push(Rc::clone(conn));
                } else {
                    batch.parts_for(conn, |frames| {
                        note(conn, conn.deliver(frames), trouble);
                    });
                }
            }
            batch.count(slot.value.subscribers.len(), &self.ledger.of(slot.app));
        }
        for conn in gathered {
            note(&conn, conn.write_queued(), trouble);
        }
    }

    /// What the tables hold, and what has been counted.
    pub(crate) fn measure(&self) -> Measured {
        let mut measured = Measured {
            traffic: self.ledger.counts(),
            delivery: self.delivery.clone(),
            ..Measured::default()
        };
        for conn in self.conns() {
            let (app, waiting) = (measured.app(conn.app.index), conn.waiting() as u64);
            app.connections += 1;
            app.queue_bytes += waiting;
            app.queue_bytes_max = app.queue_bytes_max.max(waiting);
        }
        for slot in self.channels.iter() {
            measured.app(slot.app).subscriptions += slot.value.subscribers.len() as u64;
        }
        measured
    }

    /// Notes that a socket has signed in as a user.
    pub(crate) fn sign_in(&mut self, conn: &Rc<Conn>, user_id: &str) {
        let key = (conn.app.index, Box::from(user_id));
        self.users.entry(key).or_default().push(Rc::clone(conn));
    }

    /// Notes that a socket is not signed in any more; what it was signed in as.
    pub(crate) fn sign_out(&mut self, conn: &Conn) -> Option<Box<SignedIn>> {
        let user = conn.user.borrow_mut().take()?;
        let key = (conn.app.index, user.member.id.clone());
        if let Some(conns) = self.users.get_mut(&key) {
            conns.retain(|other| other.at != conn.at);
            if conns.is_empty() {
                self.users.remove(&key);
            }
        }
        Some(user)
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.conns.is_empty() && self.users.is_empty()
    }

    /// The sockets that are signed in as a user.
    pub(crate) fn signed_in(&self, app: u32, user_id: &str) -> Vec<Rc<Conn>> {
        self.users.get(&(app, user_id.into())).map(|c| c.to_vec()).unwrap_or_default()
    }
}

fn note(conn: &Rc<Conn>, sent: Sent, trouble: &mut Vec<Trouble>) {
    if sent != Sent::Accepted {
        trouble.push((Rc::clone(conn), sent));
    }
}
