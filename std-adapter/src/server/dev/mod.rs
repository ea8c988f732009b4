//! Dev mode: a server for people who test their own application.
//!
//! It takes any key, each an app of its own that trusts every signature, and goes wrong on demand: see
//! [`Fault`]. It is reachable from its own machine only; a server in this mode does not start on another
//! address, and a mounted service of one answers nothing.

mod any_key;
mod http;

pub(crate) use any_key::AnyKey;
pub(super) use http::{answer, is_for};

use super::hub::Entry;
use super::hub::mail::Mail;
use super::shard::Shard;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use tidings_core::pusher::{ErrorCode, SocketId};
use tokio::time::{Duration, Instant};

/// The longest delay that can be asked for.
const MAX_DELAY_MS: u64 = 60_000;

/// What goes wrong on purpose.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    delay_ms: AtomicU64,
    drop: AtomicU32,
}

/// One thing to go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    /// Nothing any more.
    None,
    /// Each event reaches its subscribers so much later; their order stays.
    Delay { ms: u64 },
    /// So many of the next events reach nobody, though their publishers are told of success.
    Drop { count: u32 },
    /// Sockets are closed with this code.
    Close { whom: Whom, code: ErrorCode, message: Box<str> },
    /// Sockets end without a word, as when a cable is cut.
    Cut { whom: Whom },
    /// A key is unknown from now on, as when it has been replaced; its sockets are closed with 4001.
    Rotate { key: Box<str> },
}

/// Which sockets a fault concerns: all without either.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Whom {
    app: Option<u32>,
    socket_id: Option<SocketId>,
}

/// What is to be done to sockets of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blow {
    whom: Whom,
    /// The code and the message of the close; without it the stream is cut.
    close: Option<(ErrorCode, Box<str>)>,
}

/// Events that wait for their delay to be over, each with its app and its channel's hash.
pub(crate) type Delayed = RefCell<VecDeque<(Instant, u32, u64, Entry)>>;

impl Faults {
    fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.load(Ordering::Relaxed))
    }

    /// Whether the next event is to be lost.
    fn take_drop(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        self.drop.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    fn clear(&self) {
        self.delay_ms.store(0, Ordering::Relaxed);
        self.drop.store(0, Ordering::Relaxed);
    }
}

/// Lets an event go wrong if that is asked for; gives it back if it is not.
pub(super) fn hinder(shard: &Rc<Shard>, app: u32, hash: u64, entry: Entry) -> Option<Entry> {
    let Some(faults) = shard.hub.faults() else { return Some(entry) };
    if faults.take_drop() {
        let channel = String::from_utf8_lossy(&entry.channel).into_owned();
        tracing::info!(target: super::STEPS, channel, "event dropped on demand");
        return None;
    }
    let (delay, mut waiting) = (faults.delay(), shard.delayed.borrow_mut());
    if delay.is_zero() && waiting.is_empty() {
        return Some(entry);
    }
    let at = Instant::now() + delay;
    let at = waiting.back().map_or(at, |(before, ..)| at.max(*before));
    waiting.push_back((at, app, hash, entry));
    if waiting.len() == 1 {
        tokio::task::spawn_local(release(Rc::clone(shard)));
    }
    None
}

/// Publishes what waits, in order, until nothing waits any more.
async fn release(shard: Rc<Shard>) {
    loop {
        let Some(at) = shard.delayed.borrow().front().map(|(at, ..)| *at) else { return };
        tokio::time::sleep_until(at).await;
        let Some((_, app, hash, entry)) = shard.delayed.borrow_mut().pop_front() else { return };
        shard.publish_now(app, hash, entry);
    }
}

/// Does to the sockets of a shard what is asked for.
pub(super) fn strike(shard: &Rc<Shard>, blow: &Blow) {
    let whom = &blow.whom;
    let conns: Vec<_> = shard
        .local
        .borrow()
        .conns()
        .filter(|conn| whom.app.is_none_or(|app| app == conn.app.index))
        .filter(|conn| whom.socket_id.is_none_or(|id| id == conn.socket_id))
        .cloned()
        .collect();
    for conn in conns {
        match &blow.close {
            Some((code, message)) => shard.close(&conn, *code, message),
            None => {
                shard.leave_all(&conn);
                conn.abort();
            }
        }
    }
}

impl Fault {
    /// Makes it happen from now on.
    fn begin(self, hub: &super::hub::Hub) {
        let (Some(faults), Some(any)) = (hub.faults(), hub.apps().any_key()) else { return };
        let strike = |whom: Whom, close| {
            for shard in 0..hub.shards() {
                let blow = Blow { whom: whom.clone(), close: Option::clone(&close) };
                hub.send(shard, Mail::Strike(Box::new(blow)));
            }
        };
        match self {
            Self::None => {
                faults.clear();
                any.restore();
            }
            Self::Delay { ms } => faults.delay_ms.store(ms, Ordering::Relaxed),
            Self::Drop { count } => faults.drop.store(count, Ordering::Relaxed),
            Self::Close { whom, code, message } => strike(whom, Some((code, message))),
            Self::Cut { whom } => strike(whom, None),
            Self::Rotate { key } => {
                let app = hub.apps().by_key(&key).map(|app| app.index());
                any.retire(&key);
                let message = format!("App key {key} does not exist: it was rotated on demand.");
                let close = Some((ErrorCode::APP_UNKNOWN, message.into()));
                if app.is_some() {
                    strike(Whom { app, socket_id: None }, close);
                }
            }
        }
    }
}
