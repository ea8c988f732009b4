//! Deadlines of many sockets at the price of one timer.

use super::hub::mail::ConnRef;
use tidings_core::time::Instant;

/// Seconds that the wheel looks ahead. Who is due later is looked at in between, which does no harm.
const SLOTS: usize = 256;

/// Buckets of a second each. A socket stands in a bucket until it comes up, whatever its deadline is
/// by then, so that traffic costs nothing here.
pub(super) struct Wheel {
    buckets: Box<[Vec<ConnRef>]>,
    /// The second up to which all buckets have been taken.
    taken: u64,
}

impl Default for Wheel {
    fn default() -> Self {
        Self { buckets: (0..SLOTS).map(|_| Vec::new()).collect(), taken: 0 }
    }
}

impl Wheel {
    pub(super) fn insert(&mut self, at: Instant, conn: ConnRef) {
        let second = at.as_millis().div_ceil(1000);
        let ahead = second.saturating_sub(self.taken).clamp(1, SLOTS as u64 - 1);
        let bucket = usize::try_from((self.taken + ahead) % SLOTS as u64).unwrap_or_default();
        self.buckets[bucket].push(conn);
    }

    /// Moves to `due` whoever stands in a bucket up to `now`.
    pub(super) fn take_due(&mut self, now: Instant, due: &mut Vec<ConnRef>) {
        let second = now.as_millis() / 1000;
        // After a long sleep one turn of the wheel empties it.
        self.taken = self.taken.max(second.saturating_sub(SLOTS as u64));
        while self.taken < second {
            self.taken += 1;
            let bucket = usize::try_from(self.taken % SLOTS as u64).unwrap_or_default();
            due.append(&mut self.buckets[bucket]);
            self.buckets[bucket].shrink_to(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn conn(slot: u32) -> ConnRef {
        ConnRef { shard: 0, slot, serial: 1 }
    }

    fn due(wheel: &mut Wheel, ms: u64) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.take_due(Instant::from_millis(ms), &mut due);
        due.into_iter().map(|conn| conn.slot).collect()
    }

    #[test]
    fn sockets_come_up_at_their_second_and_not_before() {
        let mut wheel = Wheel::default();
        wheel.insert(Instant::from_millis(2_500), conn(1));
        wheel.insert(Instant::from_millis(3_000), conn(2));
        assert_eq!(due(&mut wheel, 2_999), [0; 0]);
        assert_eq!(due(&mut wheel, 3_000), [1, 2]);
        assert_eq!(due(&mut wheel, 9_000), [0; 0]);
    }

    #[test]
    fn who_is_due_already_comes_up_next() {
        let mut wheel = Wheel::default();
        due(&mut wheel, 50_000);
        wheel.insert(Instant::from_millis(10), conn(1));
        assert_eq!(due(&mut wheel, 51_000), [1]);
    }

    #[test]
    fn nobody_is_lost_over_a_long_sleep() {
        let mut wheel = Wheel::default();
        (0..1000).for_each(|n| wheel.insert(Instant::from_millis(u64::from(n) * 1000), conn(n)));
        let mut all = due(&mut wheel, 3_600_000);
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
    }
}
