//! A tap on what is published, for whoever watches the server live.
//!
//! While nobody watches, an event costs one look at a number.

use super::hub::{Entry, Source};
use super::now_ms;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tidings_core::json::EscapedJson;
use tidings_core::pusher::SocketId;
use tokio::sync::broadcast;

/// Events that are kept for a slow watcher; what it misses beyond is counted.
const KEPT: usize = 1024;

/// Characters of an event's data that are shown.
const SHOWN: usize = 1024;

/// Who may watch at once.
const MAX_WATCHERS: usize = 32;

/// Where events are told as they come to be delivered.
#[derive(Debug)]
pub(crate) struct Tap {
    /// How many watch. The channel has such a number, too, behind a lock.
    watchers: AtomicUsize,
    sender: broadcast::Sender<Arc<Tapped>>,
}

/// An event that has been published.
#[derive(Debug)]
pub(crate) struct Tapped {
    /// The app's place.
    pub(crate) app: u32,
    pub(crate) at_ms: u64,
    pub(crate) channel: Box<str>,
    pub(crate) event: Box<str>,
    /// The beginning of the data.
    pub(crate) data: Box<str>,
    /// Whether there is more of it.
    pub(crate) cut: bool,
    pub(crate) source: Source,
    pub(crate) except: Option<SocketId>,
    pub(crate) user_id: Option<Box<str>>,
}

impl Default for Tap {
    fn default() -> Self {
        Self { watchers: AtomicUsize::new(0), sender: broadcast::channel(KEPT).0 }
    }
}

impl Tap {
    /// Shows an event to those who watch.
    pub(crate) fn offer(&self, app: u32, entry: &Entry) {
        if self.watchers.load(Ordering::Relaxed) > 0 {
            let _ = self.sender.send(Arc::new(Tapped::new(app, entry))); // nobody may be left
        }
    }

    /// Watches from now on, as long as [`Watch`] lives; `None` when too many do.
    pub(crate) fn watch<T>(&self, owner: T) -> Option<Watch<T>>
    where
        T: AsRef<Self>,
    {
        let more = |watchers: usize| (watchers < MAX_WATCHERS).then(|| watchers + 1);
        self.watchers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Watch { events: self.sender.subscribe(), owner })
    }

    /// How many watch.
    #[cfg(test)]
    fn watchers(&self) -> usize {
        self.watchers.load(Ordering::Relaxed)
    }
}

impl Tapped {
    #[cold]
    fn new(app: u32, entry: &Entry) -> Self {
        let text = |bytes: &[u8]| Box::from(String::from_utf8_lossy(bytes));
        let data = std::str::from_utf8(&entry.data).unwrap_or_default();
        // It was checked when it came.
        let mut chars = EscapedJson::from_validated(data).chars();
        Self {
            app,
            at_ms: now_ms(),
            channel: text(&entry.channel),
            event: text(&entry.event),
            data: chars.by_ref().take(SHOWN).collect::<String>().into(),
            cut: chars.next().is_some(),
            source: entry.source,
            except: entry.except,
            user_id: entry.user_id.clone(),
        }
    }
}

/// The events since somebody began to watch.
#[derive(Debug)]
pub(crate) struct Watch<T: AsRef<Tap>> {
    pub(crate) events: broadcast::Receiver<Arc<Tapped>>,
    owner: T,
}

impl<T: AsRef<Tap>> Drop for Watch<T> {
    fn drop(&mut self) {
        self.owner.as_ref().watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use tokio::sync::broadcast::error::TryRecvError;

    #[derive(Debug, Clone, Default)]
    struct Owner(Arc<Tap>);

    impl AsRef<Tap> for Owner {
        fn as_ref(&self) -> &Tap {
            &self.0
        }
    }

    fn entry(data: &str) -> Entry {
        Entry {
            channel: Bytes::from_static(b"c"),
            event: Bytes::from_static(b"e"),
            data: Bytes::copy_from_slice(data.as_bytes()),
            except: None,
            user_id: None,
            source: Source::Application,
            stamp: None,
            accepted: std::time::Instant::now(),
        }
    }

    #[test]
    fn only_what_comes_while_somebody_watches_is_told() {
        let owner = Owner::default();
        owner.0.offer(1, &entry("before"));
        let mut watch = owner.0.watch(owner.clone()).unwrap();
        owner.0.offer(1, &entry(r#"{\"n\":\"\u00e9\"}"#));
        let tapped = watch.events.try_recv().unwrap();
        assert_eq!((&*tapped.data, tapped.cut), (r#"{"n":"é"}"#, false));
        assert_eq!(watch.events.try_recv().unwrap_err(), TryRecvError::Empty);
        drop(watch);
        assert_eq!(owner.0.watchers(), 0);
    }

    #[test]
    fn long_data_is_cut_at_a_character_even_within_escapes() {
        let shown = |data: &str| Tapped::new(0, &entry(data));
        let exact = shown(&r"\n".repeat(SHOWN));
        assert_eq!((exact.data.len(), exact.cut), (SHOWN, false));
        let longer = shown(&r"\u00e9".repeat(SHOWN + 1));
        assert_eq!((longer.data.chars().count(), longer.cut), (SHOWN, true));
    }

    #[test]
    fn who_is_slow_loses_the_oldest_and_is_told_how_many() {
        let owner = Owner::default();
        let mut watch = owner.0.watch(owner.clone()).unwrap();
        for _ in 0..KEPT + 7 {
            owner.0.offer(0, &entry(""));
        }
        assert_eq!(watch.events.try_recv().unwrap_err(), TryRecvError::Lagged(7));
        assert!(watch.events.try_recv().is_ok());
    }

    #[test]
    fn there_is_a_bound_to_those_who_watch() {
        let owner = Owner::default();
        let mut watches: Vec<_> =
            (0..MAX_WATCHERS).map(|_| owner.0.watch(owner.clone()).unwrap()).collect();
        assert!(owner.0.watch(owner.clone()).is_none());
        watches.pop();
        assert!(owner.0.watch(owner.clone()).is_some());
    }
}
