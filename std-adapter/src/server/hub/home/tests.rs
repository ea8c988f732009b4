//! A home without shards around it, with a clock of its own.

use super::*;
use crate::app::Apps;
use crate::server::hub::mail::ConnRef;
use std::cell::RefCell;
use tidings_core::pusher::SocketId;

struct World {
    apps: Apps,
    home: Home,
    now_ms: u64,
    notices: RefCell<Vec<String>>,
    out: Outgoing,
}

impl World {
    fn new(change: impl FnOnce(&mut App)) -> Self {
        let mut app = App::new("i", "k", "s");
        change(&mut app);
        let apps = Apps::new(vec![app]).unwrap();
        let (home, notices, out) = (Home::default(), RefCell::default(), Vec::new());
        Self { apps, home, now_ms: 0, notices, out }
    }

    fn work<R>(&mut self, act: impl FnOnce(&mut Home, &mut Work<'_>) -> R) -> R {
        let notices = &self.notices;
        let mut work = Work {
            apps: &self.apps.now(),
            now: Instant::from_millis(self.now_ms),
            tell: &|_| {},
            notify: &|notice| notices.borrow_mut().push(format!("{notice:?}")),
            out: &mut self.out,
        };
        act(&mut self.home, &mut work)
    }

    fn join(&mut self, slot: u32) {
        let conn = ConnRef { shard: 0, slot, serial: 1 };
        let join = Join {
            channel: channel("a"),
            conn,
            socket_id: SocketId::new(1, slot.into()),
            ticket: 0,
            member: None,
            max_members: 100,
            resume: None,
        };
        self.work(|home, work| home.join(join, work));
    }

    fn leave(&mut self, slot: u32) {
        let socket_id = SocketId::new(1, slot.into());
        let leave = Leave { channel: channel("a"), shard: 0, socket_id, user_id: None };
        self.work(|home, work| home.leave(&leave, work));
    }

    fn tick(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.work(Home::tick);
    }

    /// The counts that subscribers have been sent since the last call.
    fn counts(&mut self) -> Vec<u32> {
        let count = |mail: (u16, Mail)| {
            let Mail::Deliver(Deliver { frame, .. }) = mail.1 else { return None };
            let text = String::from_utf8_lossy(&frame).into_owned();
            let (_, rest) = text.split_once(r#"{\"subscription_count\":"#)?;
            rest.split_once('}')?.0.parse().ok()
        };
        self.out.drain(..).filter_map(count).collect()
    }
}

fn channel(name: &'static str) -> Channel {
    Channel { app: 0, hash: 7, name: Bytes::from_static(name.as_bytes()) }
}

#[test]
fn a_hundred_subscribers_hear_of_every_change_at_once() {
    let mut world = World::new(|app| app.subscription_count = true);
    (0..100).for_each(|slot| world.join(slot));
    assert_eq!(world.counts(), (1..=100).collect::<Vec<_>>());
    world.leave(0);
    assert_eq!(world.counts(), [99]);
}

#[test]
fn more_of_them_hear_every_five_seconds_and_the_last_count_always() {
    let mut world = World::new(|app| app.subscription_count = true);
    (0..150).for_each(|slot| world.join(slot));
    assert_eq!(world.counts().last(), Some(&100), "the rest is to come");
    world.tick(4_999);
    assert_eq!(world.counts(), [0; 0]);
    world.tick(5_000);
    assert_eq!(world.counts(), [150]);
    world.tick(20_000);
    assert_eq!(world.counts(), [0; 0], "without a change there is nothing to tell");
    world.join(150);
    assert_eq!(world.counts(), [151], "the first change after a rest is told at once");
    world.join(151);
    world.leave(0);
    world.tick(24_000);
    assert_eq!(world.counts(), [0; 0]);
    world.tick(25_500);
    assert_eq!(world.counts(), [151]);
}

#[test]
fn a_channel_that_empties_and_fills_again_while_a_count_is_due_starts_anew() {
    let mut world = World::new(|app| app.subscription_count = true);
    (0..102).for_each(|slot| world.join(slot));
    (0..102).for_each(|slot| world.leave(slot));
    world.counts();
    world.join(0);
    assert_eq!(world.counts(), [1]);
    world.tick(5_000);
    assert_eq!(world.counts(), [0; 0]);
    let notices = world.notices.borrow();
    let zero = notices.iter().any(|n| n.contains("SubscriptionCount") && n.ends_with("count: 0 }"));
    assert!(zero, "who listens outside hears that nobody is left");
}

#[test]
fn nothing_is_told_unless_the_app_asks_for_it() {
    let mut world = World::new(|_| ());
    world.join(0);
    assert_eq!(world.counts(), [0; 0]);
    assert!(world.notices.borrow().iter().all(|notice| !notice.contains("SubscriptionCount")));
}
