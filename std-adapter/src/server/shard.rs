//! A shard: one thread with its own runtime, its sockets, and the channels that are at home on it.
//!
//! Nothing here is shared with another thread; shards talk by mail. The mail that is waiting is taken
//! all at once, and what it makes due is written after it: so a burst becomes one write a socket, and
//! a single event is written at once.

mod apps;
mod deadlines;
mod measure;
#[cfg(test)]
mod model;
mod nodes;
mod terms;

use super::dev;
use super::hub::mail::{Channel, ConnRef, Join, Joined, Leave, Mail, Outcome};
use super::hub::{
    Ended, Entry, Home, Hub, Key, Local, Notice, Outgoing, Source, UserMail, Users, Work,
};
use super::metrics::{Requests, count};
use super::refusals::{RefusalKind, Refused};
use super::socket::{self, Conn, Sent};
use super::wheel::Wheel;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::pin;
use std::rc::Rc;
use tidings_core::io::TxBuf;
use tidings_core::pusher::ErrorCode;
use tidings_core::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};

use terms::AllTerms;
pub(crate) use terms::Terms;

/// The largest frame that a shard reads or writes in one system call, before a message is put
/// together from several.
const READ_BYTES: usize = 64 * 1024;
const WRITE_BYTES: usize = 16 * 1024;

/// Mail that is taken at once.
const MAX_BATCH: usize = 1024;

/// How often others get a turn under load before what is due is written.
const GATHER_TURNS: u32 = 2;

/// Memory for one read and its replies; sockets take turns, so one is enough for all of them.
pub(crate) struct Scratch {
    pub(crate) rx: Box<[u8]>,
    pub(crate) tx: Box<[u8]>,
}

pub(crate) struct Shard {
    pub(crate) id: u16,
    pub(crate) hub: Hub,
    terms: RefCell<AllTerms>,
    pub(crate) scratch: RefCell<Scratch>,
    pub(crate) local: RefCell<Local>,
    home: RefCell<Home>,
    /// Events that dev mode holds back.
    pub(crate) delayed: dev::Delayed,
    users: RefCell<Users>,
    outgoing: RefCell<Outgoing>,
    wheel: RefCell<Wheel>,
    /// Sockets that must prove themselves, each with the time that it came, in the order of time.
    unproven: RefCell<VecDeque<(Instant, ConnRef)>>,
    /// Wakes the pump when something is due that no mail will flush.
    wake: Notify,
    /// Wakes who waits for the server to drain.
    drained: Notify,
    started: std::time::Instant,
    stopped: Cell<bool>,
    /// Requests that this thread has answered.
    pub(crate) requests: RefCell<Requests>,
}

impl Shard {
    fn new(id: u16, hub: Hub) -> Self {
        let home = hub.backplane().map_or_else(Home::default, |to| Home::shared(to.is_ordered()));
        let scratch = Scratch { rx: vec![0; READ_BYTES].into(), tx: vec![0; WRITE_BYTES].into() };
        Self {
            id,
            terms: RefCell::new(AllTerms::new(hub.config())),
            hub,
            scratch: RefCell::new(scratch),
            local: RefCell::default(),
            home: RefCell::new(home),
            delayed: RefCell::default(),
            users: RefCell::default(),
            unproven: RefCell::default(),
            outgoing: RefCell::default(),
            wheel: RefCell::default(),
            wake: Notify::new(),
            drained: Notify::new(),
            started: std::time::Instant::now(),
            stopped: Cell::default(),
            requests: RefCell::default(),
        }
    }

    /// Runs a shard until it is told to stop. `begin` starts what else belongs on its thread.
    pub(crate) async fn run(
        id: u16,
        hub: Hub,
        mail: mpsc::UnboundedReceiver<Mail>,
        begin: impl FnOnce(&Rc<Self>),
    ) {
        let shard = Rc::new(Self::new(id, hub));
        begin(&shard);
        let sweeper = Rc::clone(&shard);
        tokio::task::spawn_local(async move { sweeper.sweep().await });
        Rc::clone(&shard).pump(mail).await;
        shard.count_out();
    }

    /// Tells of the sockets that the end of the server cuts: nobody else will.
    fn count_out(&self) {
        for conn in self.local.borrow().conns() {
            conn.app.load().disconnect();
            let (app, socket_id) = (conn.app.index, conn.socket_id);
            self.hub.notify(Notice::Disconnected { app, socket_id });
        }
    }

    /// Milliseconds of this shard's clock.
    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Takes the mail that waits, does what it says and then writes what has become due.
    async fn pump(self: Rc<Self>, mut mail: mpsc::UnboundedReceiver<Mail>) {
        let mut batch = Vec::new();
        while !self.stopped.get() {
            tokio::select! {
                biased;
                count = mail.recv_many(&mut batch, MAX_BATCH) => {
                    if count == 0 {
                        return; // every handle is gone
                    }
                    self.hub.taken(self.id, count);
                }
                () = self.wake.notified() => {}
            }
            // More than one piece at a time means load: whoever else is ready to publish then gets a turn
            // before the writes, and a socket gets in one write what would have been several.
            let mut turns = if batch.len() > 1 { GATHER_TURNS } else { 0 };
            loop {
                for mail in batch.drain(..) {
                    self.receive(mail);
                }
                if turns == 0 {
                    break;
                }
                turns -= 1;
                tokio::task::yield_now().await;
                while batch.len() < MAX_BATCH
                    && let Ok(mail) = mail.try_recv()
                {
                    batch.push(mail);
                }
                if batch.is_empty() {
                    break;
                }
                self.hub.taken(self.id, batch.len());
            }
            self.flush();
        }
    }

    fn flush(self: &Rc<Self>) {
        let mut trouble = Vec::new();
        self.local.borrow_mut().flush(&mut trouble);
        for (conn, sent) in trouble {
            self.resolve(&conn, sent);
        }
    }

    /// Deals with a socket that could not be given its bytes.
    pub(crate) fn resolve(self: &Rc<Self>, conn: &Rc<Conn>, sent: Sent) {
        match sent {
            Sent::Accepted => {}
            Sent::Failed => self.leave_all(conn),
            Sent::Overflow => self.cut(conn),
        }
    }

    /// Ends a socket that reads too slowly: it is told so when it reads again.
    fn cut(self: &Rc<Self>, conn: &Rc<Conn>) {
        self.leave_all(conn);
        let dropped = conn.drop_waiting();
        let limit = conn.terms.max_waiting();
        tracing::info!(socket_id = %conn.socket_id, dropped, limit, "slow consumer closed");
        let patience =
            u64::try_from(self.hub.config().pong_timeout.as_millis()).unwrap_or(u64::MAX);
        conn.patience.set(self.now().saturating_add(Duration::from_millis(patience)));
        let reason = format!("Slow consumer: more than {limit} bytes waited for this socket");
        self.close_refused(conn, RefusalKind::SlowConsumer, ErrorCode::OVER_CAPACITY, &reason);
    }

    /// Closes a socket because of what it did, and notes that.
    fn close_refused(
        self: &Rc<Self>,
        conn: &Rc<Conn>,
        kind: RefusalKind,
        code: ErrorCode,
        message: &str,
    ) {
        self.hub.refused(Some(&conn.app.load()), Refused::new(kind, code.as_u16(), message));
        self.close(conn, code, message);
    }

    /// Closes a socket with an error event and a close frame; its subscriptions end at once.
    pub(crate) fn close(self: &Rc<Self>, conn: &Rc<Conn>, code: ErrorCode, message: &str) {
        self.leave_all(conn);
        let mut memory = [0; 1024];
        let mut tx = TxBuf::new(&mut memory);
        let closed = conn.core.borrow_mut().close(code, message, self.now(), &mut tx);
        if closed.is_ok() {
            let _ = conn.send(tx.written()); // over the limit or not, nothing follows
        }
        self.schedule(conn);
    }

    pub(crate) fn receive(self: &Rc<Self>, mail: Mail) {
        match mail {
            Mail::Join(join) => self.at_home(|home, work| home.join(*join, work)),
            Mail::Leave(leave) => self.at_home(|home, work| home.leave(&leave, work)),
            Mail::Publish { app, hash, entry } => {
                if let Some(entry) = dev::hinder(self, app, hash, entry) {
                    self.publish_now(app, hash, entry);
                }
            }
            Mail::History { channel, from, limit, reply } => self.at_home(|home, work| {
                let _ = reply.send(home.history(channel.key(), from.as_deref(), limit, work));
            }),
            Mail::Cached { channel, reply } => {
                let cached =
                    self.home.borrow().cached(channel.key(), &self.hub.apps().now(), self.now());
                let _ = reply.send(cached);
            }
            Mail::Occupancy { channel, reply } => {
                let _ = reply.send(self.home.borrow().occupancy(channel.key()));
            }
            Mail::Channels { app, prefix, reply } => {
                let _ = reply.send(self.home.borrow().channels(app, &prefix));
            }
            Mail::Users { channel, reply } => {
                let _ = reply.send(self.home.borrow().users(channel.key()));
            }
            Mail::Remote(remote) => {
                let quiet = remote.quiet;
                self.at_home_telling(quiet, |home, work| home.hear(*remote, work));
            }
            Mail::Node { node, change, quiet } => self.change_node(node, change, quiet),
            Mail::State { to, kept } => self.tell_state(to, kept),
            Mail::Keep(kept) => self.at_home(|home, work| home.keep(&kept.0, kept.1, work)),
            Mail::Gap => self.at_home(Home::gap),
            Mail::User(mail) => self.receive_user(*mail),
            Mail::Watched(watched) => socket::watched(self, &watched),
            Mail::Joined(joined) => self.joined(&joined),
            Mail::Deliver(deliver) => {
                if self.local.borrow_mut().deliver(deliver) {
                    self.wake.notify_one();
                }
            }
            Mail::Terminate { app, user_id, reply } => {
                let conns = self.local.borrow().signed_in(app, &user_id);
                for conn in conns {
                    self.close(&conn, ErrorCode::UNAUTHORIZED, "You got disconnected by the app.");
                }
                let _ = reply.send(());
            }
            Mail::Traffic { app, reply } => drop(reply.send(self.traffic(app))),
            Mail::Newest { app, most, reply } => drop(reply.send(self.newest(app, most))),
            Mail::Adopt(adopted) => socket::adopt(self, *adopted),
            Mail::Drain { spread_ms } => self.drain(spread_ms),
            Mail::Close { conns } => self.close_for_shutdown(&conns),
            Mail::Strike(blow) => dev::strike(self, &blow),
            Mail::Expel { app, removed } => self.expel(&app, removed),
            Mail::Reconfigured => drop(self.terms()),
            Mail::Measure { reply } => drop(reply.send(self.measure())),
            Mail::Stop => self.stopped.set(true),
        }
    }

    /// Publishes an entry for a channel that is at home here.
    pub(crate) fn publish_now(self: &Rc<Self>, app: u32, hash: u64, entry: Entry) {
        self.hub.tap().offer(app, &entry);
        let traffic = self.local.borrow().ledger.of(app);
        let counter = match entry.source {
            Source::Application => &traffic.application_events,
            Source::Client => &traffic.client_events,
        };
        count(counter, 1);
        self.at_home(|home, work| home.publish(app, hash, entry, work));
    }

    /// Lets the home part do something and passes on what comes of it.
    fn at_home(self: &Rc<Self>, act: impl FnOnce(&mut Home, &mut Work<'_>)) {
        self.at_home_telling(false, act);
    }

    /// As [`at_home`](Self::at_home); `quiet` if webhooks are not to be told.
    fn at_home_telling(self: &Rc<Self>, quiet: bool, act: impl FnOnce(&mut Home, &mut Work<'_>)) {
        let notify: &dyn Fn(Notice<'_>) = if quiet {
            &|notice| self.hub.notify_quietly(notice)
        } else {
            &|notice| self.hub.notify(notice)
        };
        let mut outgoing = std::mem::take(&mut *self.outgoing.borrow_mut());
        let mut work = Work {
            apps: &self.hub.apps().now(),
            now: self.now(),
            notify,
            tell: &|told| self.hub.tell(told),
            out: &mut outgoing,
        };
        act(&mut self.home.borrow_mut(), &mut work);
        for (shard, mail) in outgoing.drain(..) {
            self.send(shard, mail);
        }
        *self.outgoing.borrow_mut() = outgoing;
    }

    fn receive_user(self: &Rc<Self>, mail: UserMail) {
        let mut outgoing = Outgoing::new();
        self.users.borrow_mut().receive(mail, &mut outgoing, &|told| self.hub.tell(told));
        for (shard, mail) in outgoing {
            self.send(shard, mail);
        }
    }

    pub(crate) fn tell_user(self: &Rc<Self>, home: u16, mail: UserMail) {
        self.send(home, Mail::User(Box::new(mail)));
    }

    /// Sends mail; what this shard sends itself is done at once.
    fn send(self: &Rc<Self>, shard: u16, mail: Mail) {
        if shard == self.id {
            self.receive(mail);
        } else {
            self.hub.send(shard, mail);
        }
    }

    pub(crate) fn join(self: &Rc<Self>, join: Join) {
        let home = self.hub.home_of(join.channel.hash);
        self.send(home, Mail::Join(Box::new(join)));
    }

    fn joined(self: &Rc<Self>, joined: &Joined) {
        let Joined { channel, conn, ticket, outcome } = joined;
        let Some(conn) = self.local.borrow().conn(*conn).cloned() else { return };
        match outcome {
            Outcome::Full { max_members } => {
                let ended = self.local.borrow_mut().give_up(&conn, channel.key(), *ticket);
                if ended {
                    socket::presence_full(self, &conn, &channel.name, *max_members);
                }
            }
            Outcome::Subscribed { frame, then } => {
                // What was due before must not come after the acknowledgement.
                self.flush();
                if self.local.borrow_mut().joined(&conn, channel.key(), *ticket) {
                    let (frame, then) = (frame.as_ref(), then.as_ref());
                    socket::acknowledge(self, &conn, &channel.name, frame, then);
                }
            }
        }
    }

    /// Ends one subscription; false when there is none.
    pub(crate) fn leave(self: &Rc<Self>, conn: &Conn, key: Key<'_>) -> bool {
        let ended = self.local.borrow_mut().end(conn, key);
        ended.map(|ended| self.tell_home(conn, ended)).is_some()
    }

    /// Ends whatever the socket takes part in. Every way for a socket to end leads here; doing it twice
    /// is harmless.
    pub(crate) fn leave_all(self: &Rc<Self>, conn: &Conn) {
        let (user, ended) = {
            let mut local = self.local.borrow_mut();
            (local.sign_out(conn), local.end_all(conn))
        };
        if let Some(user) = user {
            socket::signed_out(self, conn, *user);
        }
        for ended in ended {
            self.tell_home(conn, ended);
        }
    }

    fn tell_home(self: &Rc<Self>, conn: &Conn, ended: Ended) {
        let Ended { app, hash, name, user_id } = ended;
        let channel = Channel { app, hash, name };
        let leave = Leave { channel, shard: self.id, socket_id: conn.socket_id, user_id };
        self.send(self.hub.home_of(hash), Mail::Leave(Box::new(leave)));
    }

    /// Publishes what a socket of this shard sent.
    pub(crate) fn publish(self: &Rc<Self>, app: u32, hash: u64, entry: Entry) {
        if let Some(backplane) = self.hub.backplane() {
            // A client's event is for the moment: what does not fit is not kept for later.
            let _ = backplane.publish(app, entry);
            return;
        }
        self.send(self.hub.home_of(hash), Mail::Publish { app, hash, entry });
    }

    /// Makes sure that the socket is looked at when its next deadline comes.
    pub(crate) fn schedule(&self, conn: &Conn) {
        if let Some(deadline) = conn.core.borrow().poll_timeout(&conn.terms.protocol()) {
            self.wheel.borrow_mut().insert(deadline.at, conn.at);
        }
    }

    /// Looks once a second at the sockets whose deadline may have come, and at what the home keeps.
    async fn sweep(self: Rc<Self>) {
        let mut ticks = tokio::time::interval(std::time::Duration::from_secs(1));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut due: Vec<ConnRef> = Vec::new();
        while !self.stopped.get() {
            ticks.tick().await;
            let now = self.now();
            self.at_home(Home::tick);
            self.close_unproven(now);
            self.wheel.borrow_mut().take_due(now, &mut due);
            for at in due.drain(..) {
                let conn = self.local.borrow().conn(at).cloned();
                if let Some(conn) = conn {
                    self.time_out(&conn, now);
                }
            }
        }
    }

    /// Closes all sockets with 4200, spread over `spread_ms`, so that their clients do not come back
    /// all at once.
    fn drain(self: &Rc<Self>, spread_ms: u64) {
        self.drained.notify_waiters();
        let conns: Vec<Rc<Conn>> = self.local.borrow().conns().cloned().collect();
        let hub = self.hub.clone();
        let (shard, steps) = (self.id, (spread_ms / 20).max(1));
        let a_step = conns.len().div_ceil(usize::try_from(steps).unwrap_or(1)).max(1);
        let refs: Vec<ConnRef> = conns.iter().map(|conn| conn.at).collect();
        tokio::task::spawn_local(async move {
            for chunk in refs.chunks(a_step) {
                hub.send(shard, Mail::Close { conns: chunk.into() });
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        });
    }

    /// Resolves when the server begins to end.
    pub(crate) async fn draining(&self) {
        let mut drained = pin!(self.drained.notified());
        drained.as_mut().enable();
        if !self.hub.is_draining() {
            drained.await;
        }
    }

    /// Closes sockets because the server ends.
    fn close_for_shutdown(self: &Rc<Self>, conns: &[ConnRef]) {
        for at in conns {
            let conn = self.local.borrow().conn(*at).cloned();
            if let Some(conn) = conn {
                let text = "Server is closing. Please reconnect shortly.";
                self.close(&conn, ErrorCode::RECONNECT, text);
            }
        }
    }
}
