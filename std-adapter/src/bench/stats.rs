//! What subscribers and publishers saw.

use hdrhistogram::Histogram;

/// The longest time that is told apart from longer ones: two minutes.
const MAX_MICROS: u64 = 120_000_000;

/// A distribution of times, in microseconds with three significant digits.
#[derive(Debug, Clone)]
pub(crate) struct Times(Histogram<u64>);

impl Times {
    /// No time yet.
    pub(crate) fn new() -> Self {
        Self(
            Histogram::new_with_bounds(1, MAX_MICROS, 3)
                .expect("the bounds are constant and valid"),
        )
    }

    /// Counts a time given in nanoseconds; less than a microsecond counts as one.
    #[inline]
    pub(crate) fn record(&mut self, nanos: u64) {
        self.0.saturating_record((nanos / 1000).max(1));
    }

    /// The time that the share `quantile` of all stayed within, in milliseconds; 0 when there is none.
    pub(crate) fn millis(&self, quantile: f64) -> f64 {
        if self.0.is_empty() { 0.0 } else { self.0.value_at_quantile(quantile) as f64 / 1000.0 }
    }

    /// Forgets everything.
    pub(crate) fn reset(&mut self) {
        self.0.reset();
    }
}

/// What subscribers received of the messages numbered `from` and above.
#[derive(Debug)]
pub(crate) struct Received {
    /// The first message that counts.
    pub(crate) from: u32,
    /// Deliveries.
    pub(crate) delivered: u64,
    /// Deliveries of a message that the same connection had just had.
    pub(crate) repeated: u64,
    /// Deliveries that came after a message with a higher number on the same connection.
    pub(crate) reordered: u64,
    /// Bytes of the deliveries' frames, headers included.
    pub(crate) bytes: u64,
    /// When the last one came.
    pub(crate) last_at: u64,
    /// From the moment a message was due to the read that brought it.
    pub(crate) latency: Times,
}

impl Received {
    /// Nothing yet, and nothing counts that is numbered below `from`.
    pub(crate) fn starting_at(from: u32) -> Self {
        Self {
            from,
            delivered: 0,
            repeated: 0,
            reordered: 0,
            bytes: 0,
            last_at: 0,
            latency: Times::new(),
        }
    }

    /// Counts message `seq`, due at `due`, that came at `now` in a frame of `wire` bytes to a connection
    /// whose highest number so far is `highest`.
    #[inline]
    pub(crate) fn count(&mut self, seq: u32, due: u64, now: u64, wire: usize, highest: &mut u32) {
        if seq < self.from {
            return;
        }
        self.delivered += 1;
        self.bytes += wire as u64;
        self.last_at = now;
        self.latency.record(now.saturating_sub(due));
        match seq.cmp(highest) {
            std::cmp::Ordering::Greater => *highest = seq,
            std::cmp::Ordering::Equal => self.repeated += 1,
            std::cmp::Ordering::Less => self.reordered += 1,
        }
    }

    /// How many of `expected` deliveries did not come; a repeated one does not stand in for a lost one.
    pub(crate) const fn lost(&self, expected: u64) -> i64 {
        expected as i64 - (self.delivered - self.repeated) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(seqs: &[u32]) -> Received {
        let mut received = Received::starting_at(1);
        let mut highest = 0;
        for &seq in seqs {
            received.count(seq, 0, 5_000_000, 100, &mut highest);
        }
        received
    }

    #[test]
    fn messages_in_order_are_neither_lost_nor_reordered() {
        let got = received(&[1, 2, 3]);
        assert_eq!((got.lost(3), got.reordered, got.repeated, got.bytes), (0, 0, 0, 300));
    }

    #[test]
    fn a_gap_is_a_loss_and_a_late_one_is_a_reorder() {
        let got = received(&[1, 4, 2]);
        assert_eq!((got.lost(4), got.reordered), (1, 1));
    }

    #[test]
    fn a_repeated_delivery_does_not_hide_a_lost_one() {
        let got = received(&[1, 1, 3]);
        assert_eq!((got.repeated, got.lost(3)), (1, 1));
    }

    #[test]
    fn messages_of_the_warm_up_do_not_count() {
        let mut received = Received::starting_at(10);
        let mut highest = 0;
        received.count(9, 0, 1, 100, &mut highest);
        assert_eq!((received.delivered, highest), (0, 0));
    }

    #[test]
    fn quantiles_are_in_milliseconds() {
        let mut times = Times::new();
        assert_eq!(times.millis(0.5), 0.0);
        for ms in 1..=100 {
            times.record(ms * 1_000_000);
        }
        assert!((times.millis(0.5) - 50.0).abs() < 0.1, "{}", times.millis(0.5));
        assert!((times.millis(0.99) - 99.0).abs() < 0.1, "{}", times.millis(0.99));
    }

    #[test]
    fn a_time_beyond_the_scale_counts_as_the_longest() {
        let mut times = Times::new();
        times.record(u64::MAX);
        assert!(times.millis(1.0) >= 119_000.0);
    }
}
