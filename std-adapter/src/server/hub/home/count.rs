//! The number of a channel's subscribers, told as it changes.

use super::{HomeChannel, Work};
use crate::server::dialect;
use crate::server::hub::Notice;
use crate::server::hub::mail::Channel;
use std::collections::VecDeque;
use tidings_core::time::{Duration, Instant};

/// Up to this many subscribers hear of each change at once.
const PROMPT: u32 = 100;

/// How often more of them hear of changes at most.
const INTERVAL: Duration = Duration::from_secs(5);

/// What subscribers know of their number.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    at: Instant,
    /// It has changed since, and will be told later.
    due: bool,
}

/// The channels of a shard whose subscribers are to be told later, in the order of time.
#[derive(Default)]
pub(super) struct Counts {
    waiting: VecDeque<(Instant, Channel)>,
}

impl Counts {
    /// Tells a change at once, or sees to it that it is told in time.
    pub(super) fn changed(
        &mut self,
        home: &mut HomeChannel,
        channel: &Channel,
        work: &mut Work<'_>,
    ) {
        let again = home.told.at.saturating_add(INTERVAL);
        if home.occupancy().subscriptions <= PROMPT || work.now >= again {
            tell(home, channel, work);
        } else if !home.told.due {
            home.told.due = true;
            self.waiting.push_back((again, channel.clone()));
        }
    }

    /// The next channel whose time has come.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<Channel> {
        self.waiting.front().filter(|(at, _)| *at <= now)?;
        self.waiting.pop_front().map(|(_, channel)| channel)
    }
}

/// Tells what is due; one that was told meanwhile is left in peace.
pub(super) fn tell_late(home: &mut HomeChannel, channel: &Channel, work: &mut Work<'_>) {
    if home.told.due {
        tell(home, channel, work);
    }
}

fn tell(home: &mut HomeChannel, channel: &Channel, work: &mut Work<'_>) {
    home.told = Told { at: work.now, due: false };
    let count = home.occupancy().subscriptions;
    let Channel { app, name, .. } = channel;
    (work.notify)(Notice::SubscriptionCount { app: *app, channel: name, count });
    if count > 0 {
        let frame = dialect::subscription_count(name, count);
        home.spread(channel, &frame, None, work.out);
    }
}
