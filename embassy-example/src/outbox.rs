//! Events that the application wants to send.

use core::cell::Cell;
use core::fmt;

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_sync::signal::Signal;
use heapless::{Deque, String};
use serde::Serialize;

/// The longest name of an event.
const MAX_EVENT: usize = 48;

/// An event that waits to be sent. `DATA` bounds its payload in bytes of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing<const DATA: usize> {
    /// The channel's name.
    pub channel: &'static str,
    /// The event's name, beginning with `client-`.
    pub event: String<MAX_EVENT>,
    /// The payload: JSON text.
    pub data: String<DATA>,
}

/// The outbox, or one of an event's parts, has no room. The event is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxFull;

impl fmt::Display for OutboxFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the outbox is full: the link is slower than the events")
    }
}

impl core::error::Error for OutboxFull {}

type Queue<const LEN: usize, const DATA: usize> = Deque<Outgoing<DATA>, LEN>;

/// What the application sends, from any task. Events wait here while there is no connection.
///
/// `LEN` events of up to `DATA` bytes can wait.
pub struct Outbox<M: RawMutex, const LEN: usize, const DATA: usize> {
    queue: Mutex<M, Cell<Option<Queue<LEN, DATA>>>>,
    replaced: Mutex<M, Cell<u32>>,
    filled: Signal<M, ()>,
}

impl<M: RawMutex, const LEN: usize, const DATA: usize> Outbox<M, LEN, DATA> {
    /// An empty outbox.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            queue: Mutex::new(Cell::new(Some(Deque::new()))),
            replaced: Mutex::new(Cell::new(0)),
            filled: Signal::new(),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Queue<LEN, DATA>) -> T) -> T {
        self.queue.lock(|cell| {
            let mut queue = cell.take().unwrap_or_default();
            let result = act(&mut queue);
            cell.set(Some(queue));
            result
        })
    }

    /// Sends an event to the other subscribers of a channel, behind those that wait.
    ///
    /// # Errors
    /// [`OutboxFull`].
    pub fn trigger(
        &self,
        channel: &'static str,
        event: &str,
        data: &impl Serialize,
    ) -> Result<(), OutboxFull> {
        let outgoing = outgoing(channel, event, data)?;
        self.with(|queue| queue.push_back(outgoing)).map_err(|_| OutboxFull)?;
        self.filled.signal(());
        Ok(())
    }

    /// As [`trigger`](Self::trigger) for readings of which only the latest is of use: one of the same channel and event
    /// that still waits is replaced in its place, and counted.
    ///
    /// # Errors
    /// [`OutboxFull`] when none waits and there is no room.
    pub fn trigger_latest(
        &self,
        channel: &'static str,
        event: &str,
        data: &impl Serialize,
    ) -> Result<(), OutboxFull> {
        let new = outgoing(channel, event, data)?;
        let replaced = self.with(|queue| {
            let same =
                |old: &&mut Outgoing<DATA>| old.channel == new.channel && old.event == new.event;
            if let Some(old) = queue.iter_mut().find(same) {
                old.data.clone_from(&new.data);
                return Ok(true);
            }
            queue.push_back(new).map(|()| false)
        });
        if replaced.map_err(|_| OutboxFull)? {
            self.replaced.lock(|count| count.set(count.get().wrapping_add(1)));
        } else {
            self.filled.signal(());
        }
        Ok(())
    }

    /// How many readings were replaced by later ones before they could be sent; it wraps.
    #[must_use]
    pub fn replaced(&self) -> u32 {
        self.replaced.lock(Cell::get)
    }

    /// How many events wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.with(|queue| queue.len())
    }

    /// Takes the oldest event when `ready` says so, or leaves it.
    pub(crate) fn take_if(
        &self,
        ready: impl FnOnce(&Outgoing<DATA>) -> bool,
    ) -> Option<Outgoing<DATA>> {
        self.with(|queue| if ready(queue.front()?) { queue.pop_front() } else { None })
    }

    /// Resolves when something was put in since the last call.
    pub(crate) async fn filled(&self) {
        self.filled.wait().await;
    }
}

impl<M: RawMutex, const LEN: usize, const DATA: usize> Default for Outbox<M, LEN, DATA> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: RawMutex, const LEN: usize, const DATA: usize> fmt::Debug for Outbox<M, LEN, DATA> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

fn outgoing<const DATA: usize>(
    channel: &'static str,
    event: &str,
    data: &impl Serialize,
) -> Result<Outgoing<DATA>, OutboxFull> {
    let event = String::try_from(event).map_err(|_| OutboxFull)?;
    let data = serde_json_core::to_string(data).map_err(|_| OutboxFull)?;
    Ok(Outgoing { channel, event, data })
}

#[cfg(test)]
mod tests {
    use embassy_sync::blocking_mutex::raw::NoopRawMutex;

    use super::*;

    type TestBox = Outbox<NoopRawMutex, 2, 8>;

    fn take(outbox: &TestBox) -> Option<(std::string::String, std::string::String)> {
        let outgoing = outbox.take_if(|_| true)?;
        Some((outgoing.event.as_str().into(), outgoing.data.as_str().into()))
    }

    #[test]
    fn events_leave_in_the_order_in_which_they_came() {
        let outbox = TestBox::new();
        outbox.trigger("private-a", "client-x", &1).unwrap();
        outbox.trigger("private-a", "client-x", &2).unwrap();
        assert_eq!(outbox.trigger("private-a", "client-x", &3), Err(OutboxFull));
        assert_eq!(outbox.take_if(|_| false), None);
        assert_eq!(outbox.waiting(), 2);
        assert_eq!(take(&outbox), Some(("client-x".into(), "1".into())));
        assert_eq!(take(&outbox), Some(("client-x".into(), "2".into())));
        assert_eq!(take(&outbox), None);
    }

    #[test]
    fn a_newer_reading_takes_the_place_of_the_older_and_is_counted() {
        let outbox = TestBox::new();
        outbox.trigger_latest("private-a", "client-x", &1).unwrap();
        outbox.trigger_latest("private-b", "client-x", &2).unwrap();
        outbox.trigger_latest("private-a", "client-x", &3).unwrap();
        assert_eq!(outbox.replaced(), 1);
        // Another event finds no room.
        assert_eq!(outbox.trigger_latest("private-a", "client-y", &4), Err(OutboxFull));
        assert_eq!(take(&outbox), Some(("client-x".into(), "3".into())));
        assert_eq!(take(&outbox), Some(("client-x".into(), "2".into())));
    }

    #[test]
    fn what_is_too_long_is_refused_whole() {
        let outbox = TestBox::new();
        assert_eq!(outbox.trigger("private-a", "client-x", &"123456"), Ok(()));
        assert_eq!(outbox.trigger("private-a", "client-x", &"1234567"), Err(OutboxFull));
        let name = std::format!("client-{}", "x".repeat(42));
        assert_eq!(outbox.trigger("private-a", &name, &1), Err(OutboxFull));
        assert_eq!(outbox.waiting(), 1);
    }
}
