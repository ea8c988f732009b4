//! What waits to be read from one subscription: bounded, with the gap told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tidings_core::auth::SharedSecret;
use tidings_core::channel::{ChannelKind, ChannelName, DEFAULT_MAX_LEN};
use tokio::sync::watch;

use super::event::{Event, Member, Rejection};

/// How a subscription stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    Waiting,
    Subscribed,
    Rejected(Rejection),
    Ended,
}

/// The shared end of a subscription.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) name: Arc<str>,
    /// Whether payloads are sealed.
    pub(super) encrypted: bool,
    pub(super) standing: watch::Sender<Standing>,
    bounds: Bounds,
    inner: Mutex<Inner>,
}

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) events: usize,
    pub(super) bytes: usize,
    pub(super) members: usize,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<Event>,
    bytes: usize,
    missed: u64,
    ended: bool,
    waker: Option<Waker>,
    members: BTreeMap<Box<str>, Option<Box<str>>>,
    me: Option<Box<str>>,
    secret: Option<SharedSecret>,
}

impl Mail {
    pub(super) fn new(name: Arc<str>, bounds: Bounds) -> Self {
        let standing = watch::Sender::new(Standing::Waiting);
        let kind = ChannelName::parse(&name, DEFAULT_MAX_LEN).map(ChannelName::kind);
        let encrypted = kind == Ok(ChannelKind::Encrypted);
        Self { name, encrypted, standing, bounds, inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event. When there is no room the oldest make way, and are counted.
    pub(super) fn push(&self, event: Event) {
        let mut inner = self.lock();
        inner.bytes = inner.bytes.saturating_add(weight(&event));
        inner.events.push_back(event);
        while inner.events.len() > self.bounds.events || inner.bytes > self.bounds.bytes {
            let Some(oldest) = inner.events.pop_front() else { break };
            inner.bytes = inner.bytes.saturating_sub(weight(&oldest));
            inner.missed = inner.missed.saturating_add(1);
        }
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// No event comes any more.
    pub(super) fn end(&self) {
        let mut inner = self.lock();
        inner.ended = true;
        let waker = inner.waker.take();
        drop(inner);
        self.standing.send_replace(Standing::Ended);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The next event; `None` after the last.
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<Option<Event>> {
        let mut inner = self.lock();
        match inner.take() {
            Some(event) => Poll::Ready(Some(event)),
            None if inner.ended => Poll::Ready(None),
            None => {
                inner.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    pub(super) fn take(&self) -> Option<Event> {
        self.lock().take()
    }

    /// Notes who is on the presence channel.
    pub(super) fn set_members(&self, members: impl Iterator<Item = Member>) {
        let members = members.take(self.bounds.members);
        self.lock().members = members.map(|m| (m.user_id, m.user_info)).collect();
    }

    pub(super) fn add_member(&self, member: &Member) {
        let mut inner = self.lock();
        if inner.members.len() < self.bounds.members {
            inner.members.insert(member.user_id.clone(), member.user_info.clone());
        }
    }

    pub(super) fn remove_member(&self, user_id: &str) {
        self.lock().members.remove(user_id);
    }

    pub(super) fn set_me(&self, user_id: Option<Box<str>>) {
        self.lock().me = user_id;
    }

    pub(super) fn set_secret(&self, secret: Option<SharedSecret>) {
        self.lock().secret = secret;
    }

    pub(super) fn secret(&self) -> Option<SharedSecret> {
        self.lock().secret.clone()
    }

    pub(super) fn members(&self) -> Vec<Member> {
        let inner = self.lock();
        let mut members = Vec::with_capacity(inner.members.len());
        for (user_id, user_info) in &inner.members {
            members.push(Member { user_id: user_id.clone(), user_info: user_info.clone() });
        }
        members
    }

    pub(super) fn me(&self) -> Option<Box<str>> {
        self.lock().me.clone()
    }
}

impl Inner {
    fn take(&mut self) -> Option<Event> {
        // The dropped ones were older than all that wait.
        if self.missed > 0 {
            return Some(Event::Missed { count: std::mem::take(&mut self.missed) });
        }
        let event = self.events.pop_front()?;
        self.bytes = self.bytes.saturating_sub(weight(&event));
        Some(event)
    }
}

/// Bytes of memory that an event takes, about.
fn weight(event: &Event) -> usize {
    let of = |text: &Option<Box<str>>| text.as_ref().map_or(0, |t| t.len());
    size_of::<Event>()
        + match event {
            Event::MemberAdded(member) => member.user_id.len() + of(&member.user_info),
            Event::MemberRemoved { user_id } => user_id.len(),
            Event::Sealed { event } => event.len(),
            Event::Message(m) => m.event.len() + of(&m.data) + of(&m.user_id),
            Event::Rejected(rejection) => rejection.message.len() + rejection.kind.len(),
            Event::CacheMiss
            | Event::Count(_)
            | Event::Interrupted
            | Event::Missed { .. }
            | Event::Resumed { .. }
            | Event::Subscribed => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::event::Message;

    fn mail(events: usize, bytes: usize) -> Mail {
        Mail::new("c".into(), Bounds { events, bytes, members: 2 })
    }

    fn message(event: &str, len: usize) -> Event {
        let data = Some("x".repeat(len).into());
        Event::Message(Message { event: event.into(), data, user_id: None, serial: None })
    }

    #[test]
    fn what_is_not_read_makes_way_and_the_gap_is_told_in_its_place() {
        let mail = mail(2, usize::MAX);
        for name in ["a", "b", "c", "d"] {
            mail.push(message(name, 1));
        }
        assert_eq!(mail.take(), Some(Event::Missed { count: 2 }));
        assert_eq!(mail.take(), Some(message("c", 1)));
        mail.push(message("e", 1));
        assert_eq!(mail.take(), Some(message("d", 1)));
        assert_eq!(mail.take(), Some(message("e", 1)));
        assert_eq!(mail.take(), None);
    }

    #[test]
    fn bytes_are_bounded_too_and_the_newest_is_dropped_if_it_alone_is_too_much() {
        let mail = mail(100, 1000);
        mail.push(message("a", 500));
        mail.push(message("b", 500));
        assert_eq!(mail.take(), Some(Event::Missed { count: 1 }));
        assert_eq!(mail.take(), Some(message("b", 500)));
        mail.push(message("c", 5000));
        assert_eq!(mail.take(), Some(Event::Missed { count: 1 }));
        assert_eq!(mail.take(), None);
        assert_eq!(mail.lock().bytes, 0);
    }

    #[test]
    fn members_are_bounded() {
        let mail = mail(1, 1000);
        let member = |id: &str| Member { user_id: id.into(), user_info: None };
        mail.set_members(["a", "b", "c"].map(member).into_iter());
        mail.add_member(&member("d"));
        assert_eq!(mail.members(), ["a", "b"].map(member));
        mail.remove_member("a");
        mail.add_member(&member("d"));
        assert_eq!(mail.members(), ["b", "d"].map(member));
    }
}
