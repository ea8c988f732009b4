//! The last event of each cache channel, for whoever subscribes later.

use super::super::table::Key;
use super::super::{CachedEvent, KeptState};
use crate::app::App;
use bytes::Bytes;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use tidings_core::time::Instant;

/// Whether the prefix of a channel's name makes it one that keeps its last event.
pub(super) fn is_cache(name: &[u8]) -> bool {
    let kind = [&b"private-encrypted-"[..], b"private-", b"presence-"];
    let rest = kind.iter().find_map(|prefix| name.strip_prefix(*prefix)).unwrap_or(name);
    rest.starts_with(b"cache-")
}

/// What a kept event takes beside its frame: its place in both maps and the name in each.
const OVERHEAD: usize = 128;

struct Cached {
    frame: Bytes,
    /// A part of the frame.
    data: Bytes,
    stored: Instant,
    /// Its place in the order of publication.
    turn: u64,
}

impl Cached {
    fn size(&self, name: &[u8]) -> usize {
        self.frame.len() + 2 * name.len() + OVERHEAD
    }

    fn age_ms(&self, now: Instant) -> u64 {
        now.as_millis().saturating_sub(self.stored.as_millis())
    }
}

/// The events of one app on one shard, and the order in which they were published.
#[derive(Default)]
struct OfApp {
    by_name: HashMap<Box<[u8]>, Cached>,
    by_turn: BTreeMap<u64, Box<[u8]>>,
}

impl OfApp {
    fn remove(&mut self, name: &[u8], app: &App) {
        if let Some(old) = self.by_name.remove(name) {
            self.by_turn.remove(&old.turn);
            app.cached().take(old.size(name));
        }
    }

    /// The channel that was published to longest ago, with its event.
    fn oldest(&self) -> Option<(Box<[u8]>, &Cached)> {
        let (_, name) = self.by_turn.first_key_value()?;
        Some((name.clone(), self.by_name.get(name)?))
    }
}

/// The cached events of the channels at home on one shard.
///
/// The bounds hold for an app over all shards. A shard that goes over them gives up its own oldest events, all
/// but the newest: so an app may exceed its bounds by one event a shard.
#[derive(Default)]
pub(super) struct Cache {
    apps: HashMap<u32, OfApp>,
    next_turn: u64,
}

impl Cache {
    /// Drops what an app has.
    pub(super) fn forget(&mut self, app: &App) {
        let mut kept = self.apps.remove(&app.index()).unwrap_or_default();
        while let Some((name, _)) = kept.oldest() {
            kept.remove(&name, app);
        }
    }

    /// Keeps an event in place of the one before it.
    pub(super) fn store(
        &mut self,
        key: Key<'_>,
        app: &App,
        frame: Bytes,
        data: Bytes,
        now: Instant,
    ) {
        let kept = self.apps.entry(key.app).or_default();
        kept.remove(key.name, app);
        let cached = Cached { frame, data, stored: now, turn: self.next_turn };
        let (limits, size) = (&app.limits, cached.size(key.name));
        if app.cache_ttl.is_zero()
            || limits.max_cached_events == 0
            || size > limits.max_cached_bytes as usize
        {
            return;
        }
        self.next_turn += 1;
        kept.by_turn.insert(cached.turn, key.name.into());
        kept.by_name.insert(key.name.into(), cached);
        app.cached().add(size);
        while kept.by_turn.len() > 1
            && app.cached().is_over(limits.max_cached_events, limits.max_cached_bytes)
            && let Some((name, _)) = kept.oldest()
        {
            kept.remove(&name, app);
        }
    }

    fn find(&self, key: Key<'_>, app: &App, now: Instant) -> Option<&Cached> {
        let cached = self.apps.get(&key.app)?.by_name.get(key.name)?;
        (u128::from(cached.age_ms(now)) < app.cache_ttl.as_millis()).then_some(cached)
    }

    /// The frame that a new subscriber gets.
    pub(super) fn frame(&self, key: Key<'_>, app: &App, now: Instant) -> Option<Bytes> {
        self.find(key, app, now).map(|cached| cached.frame.clone())
    }

    pub(super) fn event(&self, key: Key<'_>, app: &App, now: Instant) -> Option<CachedEvent> {
        let cached = self.find(key, app, now)?;
        let left = app.cache_ttl.as_millis().saturating_sub(u128::from(cached.age_ms(now)));
        let ttl = u64::try_from(left.div_ceil(1000)).unwrap_or(u64::MAX);
        Some(CachedEvent { data: cached.data.clone(), ttl })
    }

    /// All kept events by app and channel, for a node that is new.
    pub(super) fn export(&self, now: Instant) -> Vec<(u32, Box<[u8]>, KeptState)> {
        let mut all = Vec::new();
        for (app, kept) in &self.apps {
            for (name, cached) in &kept.by_name {
                let (frame, data) = (cached.frame.clone(), cached.data.len());
                let state = KeptState { age_ms: cached.age_ms(now), frame, data };
                all.push((*app, name.clone(), state));
            }
        }
        all
    }

    /// Forgets what is older than its app allows.
    pub(super) fn expire<'a>(&mut self, app: impl Fn(u32) -> Option<&'a App>, now: Instant) {
        self.apps.retain(|&index, kept| {
            let Some(app) = app(index) else { return false };
            while let Some((name, cached)) = kept.oldest()
                && u128::from(cached.age_ms(now)) >= app.cache_ttl.as_millis()
            {
                kept.remove(&name, app);
            }
            !kept.by_name.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn key(name: &str) -> Key<'_> {
        Key { app: 0, hash: 0, name: name.as_bytes() }
    }

    fn app() -> App {
        App::new("i", "k", "s")
    }

    fn store(cache: &mut Cache, app: &App, name: &str, text: &'static str, at_s: u64) {
        let frame = Bytes::from_static(text.as_bytes());
        cache.store(key(name), app, frame.clone(), frame, Instant::from_millis(at_s * 1000));
    }

    fn held(cache: &Cache, app: &App, name: &str, at_s: u64) -> Option<Bytes> {
        cache.frame(key(name), app, Instant::from_millis(at_s * 1000))
    }

    #[test]
    fn the_prefix_decides_and_only_at_the_start() {
        for name in [
            "cache-x",
            "private-cache-x",
            "presence-cache-x",
            "private-encrypted-cache-x",
            "cache-",
        ] {
            assert!(is_cache(name.as_bytes()), "{name}");
        }
        for name in ["x-cache-y", "private-x-cache-y", "cachex", "encrypted-cache-x", "cache", ""] {
            assert!(!is_cache(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn the_latest_event_replaces_the_one_before() {
        let (mut cache, app) = (Cache::default(), app());
        store(&mut cache, &app, "cache-a", "one", 0);
        store(&mut cache, &app, "cache-a", "two", 1);
        assert_eq!(held(&cache, &app, "cache-a", 1).unwrap(), "two");
        assert!(app.cached().is_over(0, u32::MAX) && !app.cached().is_over(1, u32::MAX));
    }

    #[test]
    fn an_event_is_kept_for_its_time_and_then_given_back() {
        let (mut cache, app) = (Cache::default(), app());
        store(&mut cache, &app, "cache-a", "one", 10);
        assert!(held(&cache, &app, "cache-a", 10 + 1799).is_some());
        let event = cache.event(key("cache-a"), &app, Instant::from_millis(1_000_500)).unwrap();
        assert_eq!(event.ttl, 810, "a second that has begun counts");
        assert!(held(&cache, &app, "cache-a", 10 + 1800).is_none());
        cache.expire(|_| Some(&app), Instant::from_millis(1_810_000));
        assert!(cache.apps.is_empty());
        assert!(!app.cached().is_over(0, 0), "nothing is counted any more");
    }

    #[test]
    fn the_channel_published_to_longest_ago_makes_room() {
        let (mut cache, mut app) = (Cache::default(), app());
        app.limits.max_cached_events = 2;
        store(&mut cache, &app, "cache-a", "a", 0);
        store(&mut cache, &app, "cache-b", "b", 0);
        store(&mut cache, &app, "cache-a", "a", 0);
        store(&mut cache, &app, "cache-c", "c", 0);
        assert!(held(&cache, &app, "cache-b", 0).is_none());
        assert!(held(&cache, &app, "cache-a", 0).is_some());
        assert!(held(&cache, &app, "cache-c", 0).is_some());
    }

    #[test]
    fn bytes_are_bounded_too() {
        let (mut cache, mut app) = (Cache::default(), app());
        app.limits.max_cached_bytes = 400;
        for (name, at) in ["cache-a", "cache-b", "cache-c", "cache-d"].iter().zip(0..) {
            store(&mut cache, &app, name, "0123456789", at);
        }
        let left = ["cache-a", "cache-b", "cache-c", "cache-d"]
            .map(|name| held(&cache, &app, name, 4).is_some());
        assert_eq!(left, [false, false, true, true]);
        app.limits.max_cached_bytes = 100;
        store(&mut cache, &app, "cache-d", "0123456789", 5);
        assert!(held(&cache, &app, "cache-d", 5).is_none(), "what cannot fit replaces nothing");
    }

    #[test]
    fn without_a_time_nothing_is_kept() {
        let (mut cache, mut app) = (Cache::default(), app());
        app.cache_ttl = Duration::ZERO;
        store(&mut cache, &app, "cache-a", "a", 0);
        assert!(held(&cache, &app, "cache-a", 0).is_none());
        assert!(!app.cached().is_over(0, 0));
    }
}
