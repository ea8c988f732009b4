//! The hub: apps, channels, subscriptions and members, over all shards.
//!
//! It knows no wire format: a dialect turns entries into frames and frames into calls.

mod ask;
mod home;
mod local;
pub(crate) mod mail;
mod presence;
mod remote;
mod table;
mod users;
mod watching;

pub(crate) use home::{Home, KeptEvent, KeptLog, Missed, Outgoing, Work};
pub(crate) use local::{Ended, Local, Seen};
pub(crate) use mail::AppRef;
pub(crate) use presence::Members;
pub(crate) use remote::{Kept, KeptState, News, NodeChange, NodeIndex, Remote};
pub(crate) use table::{Hasher, Key};
pub(crate) use users::{UserMail, Users, Watched};

use crate::app::{App, AppChanges, AppError, Apps, Withdrawn};
use crate::config::{CurrentConfig, ServerConfig};
use crate::server::attempts::Attempts;
use crate::server::backplane::{Backplane, Teller, Told};
use crate::server::dev::Faults;
use crate::server::events::{ServerEvent, name};
use crate::server::metrics::Meters;
use crate::server::refusals::Refusals;
use crate::server::steps;
use crate::server::tap::Tap;
use crate::server::webhook::{Facts, Intake};
use arc_swap::Guard;
use bytes::Bytes;
use mail::Mail;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;
use tidings_core::pusher::SocketId;
use tokio::sync::{broadcast, mpsc, watch};

/// One event for one channel.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) channel: Bytes,
    /// The event's name, UTF-8.
    pub(crate) event: Bytes,
    /// The inside of a JSON string literal, with the escapes that the publisher wrote.
    pub(crate) data: Bytes,
    /// The socket that must not get it.
    pub(crate) except: Option<SocketId>,
    /// Who published it, where that is known: the member of a presence channel.
    pub(crate) user_id: Option<Box<str>>,
    pub(crate) source: Source,
    /// Its place in time among the events of all nodes, where there are several.
    pub(crate) stamp: Option<Stamp>,
    /// When this node took it in.
    pub(crate) accepted: Instant,
}

/// The place of an entry among those of all nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Rises with each entry of a node and with time; always even.
    pub(crate) number: u64,
    /// The node that published it, shortened.
    pub(crate) from: u32,
    /// It comes after an outage, later than newer entries of others may have come.
    pub(crate) late: bool,
}

impl Stamp {
    /// A stamp counts from the milliseconds since 1970 times two to this power.
    pub(crate) const CLOCK_SHIFT: u32 = 16;
}

/// Who made an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The application, over HTTP or from inside the process.
    Application,
    /// A client. What clients send each other is for the moment and is not kept.
    Client,
}

/// The last event of a cache channel, as the HTTP API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CachedEvent {
    /// The inside of a JSON string literal.
    pub(crate) data: Bytes,
    /// Seconds that it will still be kept.
    pub(crate) ttl: u64,
}

/// How many are in a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Occupancy {
    pub(crate) subscriptions: u32,
    /// Distinct users; 0 but on presence channels.
    pub(crate) users: u32,
}

/// The hub cannot take another entry before it has dealt with those that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Congested;

/// A change that the embedding program may want to know of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Notice<'a> {
    Occupied {
        app: u32,
        channel: &'a [u8],
    },
    Vacated {
        app: u32,
        channel: &'a [u8],
    },
    /// Somebody has subscribed to a cache channel that holds nothing. Told once, until an event comes or the
    /// channel is vacated.
    CacheMiss {
        app: u32,
        channel: &'a [u8],
    },
    SubscriptionCount {
        app: u32,
        channel: &'a [u8],
        count: u32,
    },
    MemberAdded {
        app: u32,
        channel: &'a [u8],
        user_id: &'a str,
    },
    MemberRemoved {
        app: u32,
        channel: &'a [u8],
        user_id: &'a str,
    },
    Connected {
        app: u32,
        socket_id: SocketId,
    },
    Disconnected {
        app: u32,
        socket_id: SocketId,
    },
    ClientEvent {
        app: u32,
        channel: &'a [u8],
        event: &'a str,
        data: &'a [u8],
        socket_id: SocketId,
        user_id: Option<&'a str>,
    },
}

/// Mail that one shard may have waiting before publishers are turned away.
const MAX_MAIL: usize = 65_536;

struct Mailbox {
    sender: mpsc::UnboundedSender<Mail>,
    waiting: AtomicUsize,
}

struct Inner {
    apps: Apps,
    tap: Tap,
    attempts: Attempts,
    config: CurrentConfig,
    hasher: Hasher,
    mailboxes: Box<[Mailbox]>,
    /// It is about to drain, and looks for no new clients.
    leaving: AtomicBool,
    draining: AtomicBool,
    next_shard: AtomicUsize,
    events: broadcast::Sender<ServerEvent>,
    /// Told after the apps have changed.
    app_changes: watch::Sender<()>,
    intake: Intake,
    refusals: Refusals,
    meters: Meters,
    /// The way to other nodes, where there are any.
    backplane: Option<Backplane>,
    /// Only in dev mode.
    faults: Option<Faults>,
}

/// A handle to the hub; cheap to clone, usable from every thread.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Inner>);

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("apps", &self.0.apps).finish_non_exhaustive()
    }
}

impl Hub {
    /// A hub of `shards` shards, with the mail of each and the facts that webhooks tell.
    pub(crate) fn new(
        apps: Apps,
        config: ServerConfig,
        shards: usize,
        backplane: Option<Backplane>,
    ) -> (Self, Vec<mpsc::UnboundedReceiver<Mail>>, Facts) {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..shards.max(1)).map(|_| mpsc::unbounded_channel()).unzip();
        let (intake, facts) = Intake::new();
        let mailbox = |sender| Mailbox { sender, waiting: AtomicUsize::new(0) };
        let faults = apps.any_key().map(|_| Faults::default());
        let inner = Inner {
            apps,
            tap: Tap::default(),
            attempts: Attempts::new(),
            config: CurrentConfig::new(config),
            hasher: Hasher::default(),
            mailboxes: senders.into_iter().map(mailbox).collect(),
            leaving: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            next_shard: AtomicUsize::new(0),
            events: broadcast::channel(1024).0,
            app_changes: watch::Sender::default(),
            intake,
            refusals: Refusals::default(),
            meters: Meters::default(),
            backplane,
            faults,
        };
        (Self(Arc::new(inner)), receivers, facts)
    }

    pub(crate) fn apps(&self) -> &Apps {
        &self.0.apps
    }

    /// Changes the apps. Sockets of an app that is disabled or gone are closed, and what was kept for them is
    /// forgotten. `make` is given the apps that there are and whether they are the development app.
    pub(crate) fn change_apps(
        &self,
        make: impl FnOnce(&[Arc<App>], bool) -> (Vec<App>, bool),
    ) -> Result<AppChanges, AppError> {
        let (changes, withdrawn) = self.0.apps.change(make)?;
        for Withdrawn { app, removed } in withdrawn {
            for shard in 0..self.shards() {
                self.send(shard, Mail::Expel { app: Arc::clone(&app), removed });
            }
            if removed {
                app.outlet().feed.end();
            }
        }
        self.0.app_changes.send_replace(());
        Ok(changes)
    }

    /// Adds an app, or changes the one with its id.
    pub(crate) fn put_app(&self, app: App) -> Result<AppChanges, AppError> {
        self.change_apps(|apps, development| {
            let mut apps: Vec<App> = apps.iter().map(|app| App::clone(app)).collect();
            match apps.iter_mut().find(|old| old.id == app.id) {
                Some(old) => *old = app,
                None => apps.push(app),
            }
            (apps, development)
        })
    }

    /// Tells of changes of the apps from now on.
    pub(crate) fn app_changes(&self) -> watch::Receiver<()> {
        self.0.app_changes.subscribe()
    }

    /// What goes wrong on purpose, in dev mode.
    pub(crate) fn faults(&self) -> Option<&Faults> {
        self.0.faults.as_ref()
    }

    /// What is measured outside of the shards.
    pub(crate) fn meters(&self) -> &Meters {
        &self.0.meters
    }

    /// Pieces of mail that wait, by shard.
    pub(crate) fn mail_waiting(&self) -> impl Iterator<Item = usize> {
        self.0.mailboxes.iter().map(|mailbox| mailbox.waiting.load(Ordering::Relaxed))
    }

    /// What has been refused.
    pub(crate) fn book(&self) -> &Refusals {
        &self.0.refusals
    }

    /// The way to other nodes.
    pub(crate) fn backplane(&self) -> Option<&Backplane> {
        self.0.backplane.as_ref()
    }

    /// Tells other nodes, if there are any.
    pub(crate) fn tell(&self, told: &dyn Fn() -> Told) {
        if let Some(backplane) = &self.0.backplane {
            backplane.tell(told());
        }
    }

    /// The configuration as it is now.
    pub(crate) fn config(&self) -> Guard<Arc<ServerConfig>> {
        self.0.config.now()
    }

    /// Puts another configuration in force.
    pub(crate) fn reconfigure(&self, config: ServerConfig) {
        self.0.config.set(config);
        for shard in 0..self.shards() {
            self.send(shard, Mail::Reconfigured);
        }
    }

    /// The configuration, for who watches it change.
    pub(crate) fn current_config(&self) -> &CurrentConfig {
        &self.0.config
    }

    pub(crate) fn shards(&self) -> u16 {
        u16::try_from(self.0.mailboxes.len()).unwrap_or(u16::MAX)
    }

    pub(crate) fn hash(&self, app: u32, name: &[u8]) -> u64 {
        self.0.hasher.hash(app, name)
    }

    /// The shard that a channel is at home on. The upper bits choose it, as the tables use the lower.
    pub(crate) fn home_of(&self, hash: u64) -> u16 {
        ((u128::from(hash) * u128::from(self.shards())) >> 64) as u16
    }

    pub(crate) fn send(&self, shard: u16, mail: Mail) {
        if let Some(mailbox) = self.0.mailboxes.get(usize::from(shard)) {
            mailbox.waiting.fetch_add(1, Ordering::Relaxed);
            let _ = mailbox.sender.send(mail); // a shard that has stopped needs no mail
        }
    }

    /// Notes that a shard has taken `count` pieces of mail.
    pub(crate) fn taken(&self, shard: u16, count: usize) {
        if let Some(mailbox) = self.0.mailboxes.get(usize::from(shard)) {
            mailbox.waiting.fetch_sub(count, Ordering::Relaxed);
        }
    }

    /// The shard whose turn it is to take a new socket.
    pub(crate) fn next_shard(&self) -> u16 {
        let next = self.0.next_shard.fetch_add(1, Ordering::Relaxed);
        u16::try_from(next % self.0.mailboxes.len()).unwrap_or_default()
    }

    /// Whether load balancers should look elsewhere.
    pub(crate) fn is_leaving(&self) -> bool {
        self.0.leaving.load(Ordering::Acquire)
    }

    pub(crate) fn start_leaving(&self) {
        self.0.leaving.store(true, Ordering::Release);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    pub(crate) fn start_draining(&self) -> bool {
        !self.0.draining.swap(true, Ordering::AcqRel)
    }

    /// Publishes an entry. It never waits; entries for one channel are delivered in the order of the
    /// calls.
    pub(crate) fn publish(&self, app: &Arc<App>, entry: Entry) -> Result<(), Congested> {
        let app = app.index();
        let hash = self.hash(app, &entry.channel);
        let home = self.home_of(hash);
        let waiting = self.0.mailboxes.get(usize::from(home)).map(|m| &m.waiting);
        if waiting.is_some_and(|waiting| waiting.load(Ordering::Relaxed) >= MAX_MAIL) {
            return Err(Congested);
        }
        if let Some(backplane) = &self.0.backplane {
            return backplane.publish(app, entry);
        }
        self.send(home, Mail::Publish { app, hash, entry });
        Ok(())
    }

    /// Closes every socket that is signed in as the user, with 4009.
    pub(crate) async fn terminate(&self, app: &Arc<App>, user_id: &str) {
        let app = app.index();
        self.tell(&|| Told::Terminate { app, user_id: user_id.into() });
        self.terminate_here(app, user_id).await;
    }

    /// Closes the sockets of a user on this node.
    async fn terminate_here(&self, app: u32, user_id: &str) {
        let (reply, mut answers) = mpsc::unbounded_channel();
        for shard in 0..self.shards() {
            let (user_id, reply) = (user_id.into(), reply.clone());
            self.send(shard, Mail::Terminate { app, user_id, reply });
        }
        drop(reply);
        while answers.recv().await.is_some() {}
    }

    pub(crate) fn subscribe_to_events(&self) -> broadcast::Receiver<ServerEvent> {
        self.0.events.subscribe()
    }

    /// Tells webhooks and the embedding program, if they listen. It never waits.
    pub(crate) fn notify(&self, notice: Notice<'_>) {
        let teller = |app: &App| {
            let backplane = self.backplane();
            backplane.map_or(Teller::Here, |backplane| backplane.teller(&app.id, &notice))
        };
        self.notify_as(&notice, teller);
    }

    /// Tells the embedding program and feeds, but no webhook: somebody else does.
    pub(crate) fn notify_quietly(&self, notice: Notice<'_>) {
        self.notify_as(&notice, |_| Teller::Nobody);
    }

    fn notify_as(&self, notice: &Notice<'_>, teller: impl FnOnce(&App) -> Teller) {
        self.0.intake.offer(&self.0.apps, notice, teller);
        steps::tell(&self.0.apps, notice);
        if self.0.events.receiver_count() == 0 {
            return;
        }
        let (Notice::Occupied { app, .. }
        | Notice::Vacated { app, .. }
        | Notice::CacheMiss { app, .. }
        | Notice::SubscriptionCount { app, .. }
        | Notice::MemberAdded { app, .. }
        | Notice::MemberRemoved { app, .. }
        | Notice::Connected { app, .. }
        | Notice::Disconnected { app, .. }
        | Notice::ClientEvent { app, .. }) = *notice;
        let Some(app) = self.0.apps.get(app).map(|app| app.id.clone()) else { return };
        let event = match *notice {
            Notice::Occupied { channel, .. } => {
                ServerEvent::ChannelOccupied { app, channel: name(channel) }
            }
            Notice::Vacated { channel, .. } => {
                ServerEvent::ChannelVacated { app, channel: name(channel) }
            }
            Notice::CacheMiss { channel, .. } => {
                ServerEvent::CacheMissed { app, channel: name(channel) }
            }
            Notice::SubscriptionCount { channel, count, .. } => {
                ServerEvent::SubscriptionCount { app, channel: name(channel), count }
            }
            Notice::MemberAdded { channel, user_id, .. } => {
                ServerEvent::MemberAdded { app, channel: name(channel), user_id: user_id.into() }
            }
            Notice::MemberRemoved { channel, user_id, .. } => {
                ServerEvent::MemberRemoved { app, channel: name(channel), user_id: user_id.into() }
            }
            Notice::Connected { socket_id, .. } => ServerEvent::Connected { app, socket_id },
            Notice::Disconnected { socket_id, .. } => ServerEvent::Disconnected { app, socket_id },
            Notice::ClientEvent { channel, event, data, socket_id, user_id, .. } => {
                ServerEvent::ClientEvent {
                    app,
                    channel: name(channel),
                    event: event.into(),
                    data: name(data),
                    socket_id,
                    user_id: user_id.map(Into::into),
                }
            }
        };
        let _ = self.0.events.send(event); // no listener is no error
    }
}
