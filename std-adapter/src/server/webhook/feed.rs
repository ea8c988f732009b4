//! The feed: what webhooks tell, as a stream of server-sent events that a back end asks for.
//!
//! An app's feed opens with its first listener. From then on it keeps its last facts, so that a
//! listener who comes back gets what it has missed; it closes when nobody has listened for a while. A
//! listener that reads too slowly is told how many facts it has missed and goes on.

use super::config::{Kinds, WebhookEvent};
use super::fact::Fact;
use crate::config::CurrentConfig;
use crate::server::now_ms;
use bytes::{BufMut as _, Bytes, BytesMut};
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::broadcast;

/// The most that a feed keeps, since room for it is taken at once.
const MAX_QUEUE: u32 = 1 << 20;

/// A fact with its place in the feed.
#[derive(Debug, Clone)]
struct Entry {
    number: u64,
    /// `None` is for everybody: it tells of a gap.
    kind: Option<WebhookEvent>,
    channel: Box<str>,
    /// The lines that stand for it on the wire, but for its id.
    lines: Bytes,
}

/// One app's feed.
#[derive(Default)]
pub(crate) struct Feed {
    /// What listeners have asked for since the feed is open; looked at before a fact is made.
    sees: AtomicU16,
    /// Facts that were lost on the way here and are not told of yet.
    lost: AtomicU64,
    open: Mutex<Option<Open>>,
    listeners: Arc<AtomicUsize>,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}

/// A feed that somebody listens to, or has lately.
#[derive(Debug)]
struct Open {
    /// Tells the numbers of this feed from those of an earlier one.
    epoch: u64,
    last: u64,
    kept: VecDeque<Entry>,
    limit: usize,
    sender: broadcast::Sender<Entry>,
    /// Since when nobody listens, as far as is known.
    alone_since: Option<Instant>,
}

/// What a listener wants.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) kinds: Kinds,
    /// Only channels whose names begin so.
    pub(crate) prefix: Box<str>,
    /// The id of the last fact that it has, as this server told it.
    pub(crate) after: Option<Box<str>>,
}

impl Wish {
    fn is(&self, entry: &Entry) -> bool {
        let Some(kind) = entry.kind else { return true };
        let concerned = entry.channel.is_empty() || entry.channel.starts_with(&*self.prefix);
        self.kinds.contains(kind) && concerned
    }
}

impl Feed {
    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sees(&self, kind: WebhookEvent) -> bool {
        Kinds::from_bits(self.sees.load(Ordering::Relaxed)).contains(kind)
    }

    /// Lets somebody listen from now on, or from where they were.
    pub(crate) fn listen(&self, wish: Wish, config: &CurrentConfig) -> Listener {
        let mut open = self.lock();
        let limit = config.now().max_feed_queue.clamp(1, MAX_QUEUE) as usize;
        let open = open.get_or_insert_with(|| Open {
            epoch: new_epoch(),
            last: 0,
            kept: VecDeque::new(),
            limit,
            sender: broadcast::channel(limit).0,
            alone_since: None,
        });
        open.alone_since = None;
        // While others listen, their bound stays.
        if open.limit != limit && open.sender.receiver_count() == 0 {
            open.limit = limit;
            open.sender = broadcast::channel(limit).0;
        }
        self.sees.fetch_or(wish.kinds.with_partners().bits(), Ordering::Relaxed);
        Listener {
            backlog: open.backlog(&wish),
            entries: open.sender.subscribe(),
            config: config.clone(),
            epoch: open.epoch,
            wish,
            _counted: Counted::new(&self.listeners),
        }
    }

    /// Tells a fact to whoever listens.
    pub(super) fn tell(&self, fact: &Fact, retention: Duration) {
        if self.sees.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut slot = self.lock();
        let Some(open) = &mut *slot else { return };
        if open.is_forgotten(retention) {
            *slot = None;
            self.sees.store(0, Ordering::Relaxed);
            return;
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            open.last += lost - 1;
            open.tell(None, "".into(), missed(Some(lost)));
        }
        open.tell(Some(fact.kind), fact.channel.clone(), lines(fact));
    }

    /// Notes that a fact was lost on the way here.
    pub(super) fn lose(&self, kind: WebhookEvent) {
        if self.sees(kind) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ends the feed: its listeners get what is on its way, and then the end.
    pub(crate) fn end(&self) {
        self.sees.store(0, Ordering::Relaxed);
        *self.lock() = None;
    }

    /// How many listen, those included that have not got all of an ended feed.
    pub(crate) fn listeners(&self) -> usize {
        self.listeners.load(Ordering::Acquire)
    }
}

impl Open {
    fn tell(&mut self, kind: Option<WebhookEvent>, channel: Box<str>, lines: Bytes) {
        self.last += 1;
        let entry = Entry { number: self.last, kind, channel, lines };
        while self.kept.len() >= self.limit {
            self.kept.pop_front();
        }
        self.kept.push_back(entry.clone());
        let _ = self.sender.send(entry); // nobody listens just now
    }

    fn is_forgotten(&mut self, retention: Duration) -> bool {
        if self.sender.receiver_count() > 0 {
            self.alone_since = None;
            return false;
        }
        self.alone_since.get_or_insert_with(Instant::now).elapsed() > retention
    }

    /// What a listener is told before the facts to come.
    fn backlog(&self, wish: &Wish) -> VecDeque<Bytes> {
        let mut backlog = VecDeque::new();
        let known = wish.after.as_deref().and_then(|after| after.split_once('-'));
        let after = match (known, &wish.after) {
            (_, None) => self.last, // a new listener has missed nothing
            (Some((epoch, number)), _) if epoch.parse() == Ok(self.epoch) => {
                number.parse().unwrap_or(0)
            }
            // An id of an earlier feed: nobody knows how many are missing.
            _ => {
                backlog.push_back(missed(None));
                0
            }
        };
        let oldest = self.kept.front().map_or(self.last + 1, |entry| entry.number);
        if after + 1 < oldest && backlog.is_empty() {
            backlog.push_back(missed(Some(oldest - after - 1)));
        }
        let rest = self.kept.iter().filter(|entry| entry.number > after && wish.is(entry));
        backlog.extend(rest.map(|entry| entry.told(self.epoch)));
        backlog.push_front(ready(self.epoch, after.min(self.last)));
        backlog
    }
}

impl Entry {
    fn told(&self, epoch: u64) -> Bytes {
        let mut out = BytesMut::with_capacity(self.lines.len() + 48);
        put_id(&mut out, epoch, self.number);
        out.put_slice(&self.lines);
        out.freeze()
    }
}

fn put_id(out: &mut BytesMut, epoch: u64, number: u64) {
    out.put_slice(b"id: ");
    out.put_slice(itoa::Buffer::new().format(epoch).as_bytes());
    out.put_u8(b'-');
    out.put_slice(itoa::Buffer::new().format(number).as_bytes());
    out.put_u8(b'\n');
}

/// The event's name and its data, which has no line break in it.
fn lines(fact: &Fact) -> Bytes {
    let json = fact.json();
    let mut out = BytesMut::with_capacity(json.len() + 80);
    out.put_slice(b"event: ");
    out.put_slice(fact.kind.name().as_bytes());
    out.put_slice(b"\ndata: {\"time_ms\":");
    out.put_slice(itoa::Buffer::new().format(now_ms()).as_bytes());
    out.put_u8(b',');
    out.put_slice(json.get(1..).unwrap_or_default());
    out.put_slice(b"\n\n");
    out.freeze()
}

/// What no other feed has, one of the same millisecond or of a clock that was put back included.
fn new_epoch() -> u64 {
    getrandom::u64().unwrap_or_else(|_| now_ms())
}

/// The first event: it gives the listener an id to come back with.
fn ready(epoch: u64, number: u64) -> Bytes {
    let mut out = BytesMut::new();
    put_id(&mut out, epoch, number);
    out.put_slice(b"event: ready\ndata: {}\n\n");
    out.freeze()
}

fn missed(count: Option<u64>) -> Bytes {
    let count = count.map_or_else(|| "null".to_owned(), |count| count.to_string());
    format!("event: missed\ndata: {{\"missed\":{count}}}\n\n").into()
}

/// One who listens.
#[derive(Debug)]
pub(crate) struct Listener {
    backlog: VecDeque<Bytes>,
    entries: broadcast::Receiver<Entry>,
    config: CurrentConfig,
    epoch: u64,
    wish: Wish,
    _counted: Counted,
}

/// One in the number of listeners.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Listener {
    /// The next bytes of the stream, with the listener for those after it; `None` at its end.
    pub(crate) async fn next(mut self) -> Option<(Bytes, Self)> {
        if let Some(told) = self.backlog.pop_front() {
            return Some((told, self));
        }
        let mut changes = self.config.changes();
        let since = tokio::time::Instant::now();
        let keep_alive = tokio::time::sleep_until(since + self.config.now().feed_keep_alive);
        tokio::pin!(keep_alive);
        loop {
            let told = tokio::select! {
                entry = self.entries.recv() => match entry {
                    Ok(entry) if !self.wish.is(&entry) => continue,
                    Ok(entry) => entry.told(self.epoch),
                    Err(broadcast::error::RecvError::Lagged(count)) => missed(Some(count)),
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
                () = &mut keep_alive => Bytes::from_static(b":\n\n"),
                Ok(()) = changes.changed() => {
                    keep_alive.as_mut().reset(since + self.config.now().feed_keep_alive);
                    continue;
                }
            };
            return Some((told, self));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::backplane::Teller;
    use crate::server::hub::Notice;

    fn wish(after: Option<&str>) -> Wish {
        Wish { kinds: Kinds::ALL, prefix: "".into(), after: after.map(Into::into) }
    }

    fn config(max_feed_queue: u32) -> CurrentConfig {
        let default = crate::config::ServerConfig::default();
        CurrentConfig::new(crate::config::ServerConfig { max_feed_queue, ..default })
    }

    fn tell(feed: &Feed, channel: &str) {
        let fact =
            Fact::of(&Notice::Occupied { app: 0, channel: channel.as_bytes() }, Teller::Here);
        feed.tell(&fact, Duration::from_secs(60));
    }

    /// The events of a listener until the feed ends; of each its name, or its channel.
    async fn all(mut listener: Listener) -> Vec<String> {
        let mut events = Vec::new();
        while let Some((bytes, rest)) = listener.next().await {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let name = text.split("event: ").nth(1).unwrap().lines().next().unwrap().to_owned();
            let part =
                |field: &str| Some(text.split(field).nth(1)?.split(['"', '}']).next()?.into());
            let missed = part("\"missed\":").map(|count: String| format!("{name} {count}"));
            events.push(part("\"channel\":\"").or(missed).unwrap_or(name));
            listener = rest;
        }
        events
    }

    fn id_of(bytes: &Bytes) -> String {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.strip_prefix("id: ").unwrap().lines().next().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_listener_gets_what_comes_after_it_has_come() {
        let feed = Feed::default();
        tell(&feed, "before");
        let listener = feed.listen(wish(None), &config(4));
        tell(&feed, "a");
        tell(&feed, "b");
        feed.end();
        assert_eq!(all(listener).await, ["ready", "a", "b"]);
    }

    #[tokio::test]
    async fn who_comes_back_gets_what_it_has_missed() {
        let feed = Feed::default();
        let listener = feed.listen(wish(None), &config(4));
        let (ready, listener) = listener.next().await.unwrap();
        tell(&feed, "a");
        let (a, _gone) = listener.next().await.unwrap();
        tell(&feed, "b");
        let [from_start, from_a] =
            [ready, a].map(|bytes| feed.listen(wish(Some(&id_of(&bytes))), &config(4)));
        feed.end();
        assert_eq!(all(from_start).await, ["ready", "a", "b"]);
        assert_eq!(all(from_a).await, ["ready", "b"]);
    }

    #[tokio::test]
    async fn a_gap_is_told_with_its_size_where_that_is_known() {
        let feed = Feed::default();
        let (ready, _gone) = feed.listen(wish(None), &config(2)).next().await.unwrap();
        ["a", "b", "c", "d"].iter().for_each(|channel| tell(&feed, channel));
        let late = feed.listen(wish(Some(&id_of(&ready))), &config(2));
        let stranger = feed.listen(wish(Some("1-1")), &config(2));
        feed.end();
        assert_eq!(all(late).await, ["ready", "missed 2", "c", "d"]);
        assert_eq!(all(stranger).await, ["ready", "missed null", "c", "d"]);
    }

    #[tokio::test]
    async fn a_slow_listener_is_told_how_many_it_missed_and_goes_on() {
        let feed = Feed::default();
        let listener = feed.listen(wish(None), &config(2));
        (0..5).for_each(|n| tell(&feed, &n.to_string()));
        feed.end();
        assert_eq!(all(listener).await, ["ready", "missed 3", "3", "4"]);
    }

    #[tokio::test]
    async fn what_is_lost_before_it_gets_here_is_told_to_every_listener() {
        let feed = Feed::default();
        let kinds = Kinds::of(WebhookEvent::ChannelOccupied);
        let some = Wish { kinds, prefix: "x".into(), after: None };
        let listener = feed.listen(some, &config(8));
        feed.lose(WebhookEvent::ChannelOccupied);
        feed.lose(WebhookEvent::ChannelOccupied);
        feed.lose(WebhookEvent::ClientEvent); // nobody asked for it
        tell(&feed, "x");
        feed.end();
        assert_eq!(all(listener).await, ["ready", "missed 2", "x"]);
    }

    #[tokio::test]
    async fn a_listener_gets_what_it_asked_for() {
        let feed = Feed::default();
        let kinds = Kinds::of(WebhookEvent::ChannelOccupied);
        let some = Wish { kinds, prefix: "a".into(), after: None };
        let listener = feed.listen(some, &config(8));
        assert!(feed.sees(WebhookEvent::ChannelVacated), "it may cancel a departure");
        assert!(!feed.sees(WebhookEvent::ClientEvent));
        tell(&feed, "b");
        tell(&feed, "a1");
        feed.end();
        assert_eq!(all(listener).await, ["ready", "a1"]);
    }

    #[test]
    fn a_feed_that_nobody_listens_to_is_forgotten() {
        let feed = Feed::default();
        drop(feed.listen(wish(None), &config(4)));
        tell(&feed, "a");
        assert!(feed.sees(WebhookEvent::ChannelOccupied), "somebody may come back");
        let fact = Fact::of(&Notice::Occupied { app: 0, channel: b"b" }, Teller::Here);
        feed.tell(&fact, Duration::ZERO);
        assert!(!feed.sees(WebhookEvent::ChannelOccupied));
    }
}
