//! Departures wait a moment: who comes back in time was never gone.
//!
//! A page that is loaded anew, a phone between two cells: each is gone for a second and back. For
//! webhooks the departure and the return then cancel each other out, and nobody is told of either.

use super::config::WebhookEvent;
use super::fact::Fact;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use tokio::time::{Duration, Instant};

/// Who or what is gone: an app's channel, or a user in it.
type Absent = (u32, Box<str>, Option<Box<str>>);

/// Departures that may yet be taken back, oldest first. All wait equally long, from when they came.
#[derive(Debug)]
pub(super) struct Held {
    delay: Duration,
    /// How many may wait; a further one lets the oldest go early, so that none is lost.
    limit: usize,
    waiting: BTreeMap<u64, (Instant, Fact)>,
    by_absent: HashMap<Absent, u64>,
    next: u64,
}

fn absent(fact: &Fact) -> Absent {
    (fact.app, fact.channel.clone(), fact.user_id.clone())
}

impl Held {
    /// Lets all departures wait so long, those that wait already too.
    pub(super) fn set_delay(&mut self, delay: Duration) {
        self.delay = delay;
    }

    pub(super) fn new(delay: Duration, limit: usize) -> Self {
        let (waiting, by_absent) = (BTreeMap::new(), HashMap::default());
        Self { delay, limit, waiting, by_absent, next: 0 }
    }

    /// Takes a fact in and gives to `tell` what is to be told now.
    pub(super) fn offer(&mut self, fact: Fact, now: Instant, tell: &mut impl FnMut(Fact)) {
        self.release(now, tell);
        match fact.kind {
            _ if self.delay.is_zero() => tell(fact),
            WebhookEvent::ChannelVacated | WebhookEvent::MemberRemoved => {
                if self.waiting.len() >= self.limit {
                    self.release_oldest(tell);
                }
                self.next += 1;
                self.by_absent.insert(absent(&fact), self.next);
                self.waiting.insert(self.next, (now, fact));
            }
            WebhookEvent::ChannelOccupied | WebhookEvent::MemberAdded => {
                match self.by_absent.remove(&absent(&fact)) {
                    Some(number) => drop(self.waiting.remove(&number)),
                    None => tell(fact),
                }
            }
            _ => tell(fact),
        }
    }

    /// When the oldest departure is to be told.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|(_, (came, _))| *came + self.delay)
    }

    /// Tells the departures that are final.
    pub(super) fn release(&mut self, now: Instant, tell: &mut impl FnMut(Fact)) {
        while self.next_due().is_some_and(|due| due <= now) {
            self.release_oldest(tell);
        }
    }

    /// Forgets all departures: somebody else tells them.
    pub(super) fn forget_all(&mut self) {
        self.waiting.clear();
        self.by_absent.clear();
    }

    /// Tells all departures, final or not.
    pub(super) fn release_all(&mut self, tell: &mut impl FnMut(Fact)) {
        while !self.waiting.is_empty() {
            self.release_oldest(tell);
        }
    }

    fn release_oldest(&mut self, tell: &mut impl FnMut(Fact)) {
        if let Some((_, (_, fact))) = self.waiting.pop_first() {
            self.by_absent.remove(&absent(&fact));
            tell(fact);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::backplane::Teller;
    use crate::server::hub::Notice;

    const DELAY: Duration = Duration::from_secs(3);

    fn vacated(channel: &str) -> Fact {
        Fact::of(&Notice::Vacated { app: 0, channel: channel.as_bytes() }, Teller::Here)
    }

    fn occupied(channel: &str) -> Fact {
        Fact::of(&Notice::Occupied { app: 0, channel: channel.as_bytes() }, Teller::Here)
    }

    /// What is told when the facts come at these milliseconds and the end is awaited.
    fn told(held: &mut Held, facts: Vec<(u64, Fact)>) -> Vec<(WebhookEvent, Box<str>)> {
        let (start, mut told) = (Instant::now(), Vec::new());
        for (ms, fact) in facts {
            let at = start + Duration::from_millis(ms);
            held.offer(fact, at, &mut |fact| told.push((fact.kind, fact.channel)));
        }
        held.release_all(&mut |fact| told.push((fact.kind, fact.channel)));
        assert!(held.by_absent.is_empty() && held.next_due().is_none());
        told
    }

    #[test]
    fn fr_101_who_comes_back_in_time_was_never_gone() {
        let mut held = Held::new(DELAY, 10);
        let facts = vec![(0, vacated("a")), (2_999, occupied("a")), (5_000, vacated("a"))];
        assert_eq!(told(&mut held, facts), [(WebhookEvent::ChannelVacated, "a".into())]);
    }

    #[test]
    fn who_comes_back_too_late_was_gone() {
        let mut held = Held::new(DELAY, 10);
        let facts = vec![(0, vacated("a")), (3_000, occupied("a"))];
        let both = [WebhookEvent::ChannelVacated, WebhookEvent::ChannelOccupied];
        assert_eq!(told(&mut held, facts), both.map(|kind| (kind, "a".into())));
    }

    #[test]
    fn another_user_does_not_take_back_a_departure() {
        let (app, channel) = (0, b"presence-a".as_slice());
        let removed = Fact::of(&Notice::MemberRemoved { app, channel, user_id: "u" }, Teller::Here);
        let added = Fact::of(&Notice::MemberAdded { app, channel, user_id: "v" }, Teller::Here);
        let told = told(&mut Held::new(DELAY, 10), vec![(0, removed), (1, added)]);
        let kinds: Vec<_> = told.into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [WebhookEvent::MemberAdded, WebhookEvent::MemberRemoved]);
    }

    #[test]
    fn beyond_the_limit_the_oldest_departure_is_told_early_and_none_is_lost() {
        let facts = vec![(0, vacated("a")), (1, vacated("b")), (2, vacated("c"))];
        let mut held = Held::new(DELAY, 2);
        let mut told = Vec::new();
        let now = Instant::now();
        for (_, fact) in facts {
            held.offer(fact, now, &mut |fact| told.push(fact.channel));
        }
        assert_eq!(told, [Box::from("a")]);
        held.release_all(&mut |fact| told.push(fact.channel));
        assert_eq!(told.len(), 3);
    }

    #[test]
    fn a_new_delay_holds_for_those_that_wait_already() {
        let (mut held, now) = (Held::new(DELAY, 10), Instant::now());
        let mut told = Vec::new();
        held.offer(vacated("a"), now, &mut |fact| told.push(fact.channel));
        held.set_delay(Duration::from_secs(1));
        assert_eq!(held.next_due(), Some(now + Duration::from_secs(1)));
        held.set_delay(Duration::ZERO);
        held.offer(occupied("b"), now, &mut |fact| told.push(fact.channel));
        assert_eq!(told, ["a", "b"].map(Box::from), "in their order");
    }

    #[test]
    fn without_a_delay_all_is_told_at_once() {
        let mut held = Held::new(Duration::ZERO, 10);
        let mut told = 0;
        held.offer(vacated("a"), Instant::now(), &mut |_| told += 1);
        held.offer(occupied("a"), Instant::now(), &mut |_| told += 1);
        assert_eq!(told, 2);
    }
}
