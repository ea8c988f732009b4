//! Durations by size.

use std::time::Duration;

/// The bounds between sizes, in microseconds.
const BOUNDS: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// How many durations there were of which size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Histogram {
    /// Durations up to each bound and above the one before.
    counts: [u64; BOUNDS.len()],
    /// Durations above the last bound.
    above: u64,
    sum_us: u64,
}

impl Histogram {
    pub(crate) fn record(&mut self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS.partition_point(|bound| *bound < us);
        *self.counts.get_mut(at).unwrap_or(&mut self.above) += 1;
        self.sum_us = self.sum_us.saturating_add(us);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.above += other.above;
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
    }

    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.above
    }

    /// The sum in seconds.
    pub(crate) fn sum(&self) -> f64 {
        self.sum_us as f64 / 1e6
    }

    /// Each bound in seconds, with how many durations are not above it.
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut total = 0;
        BOUNDS.iter().zip(self.counts).map(move |(bound, count)| {
            total += count;
            (*bound as f64 / 1e6, total)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_at_its_bound_and_at_all_above() {
        let mut histogram = Histogram::default();
        for us in [0, 100, 101, 10_000_000, 10_000_001] {
            histogram.record(Duration::from_micros(us));
        }
        let counts: Vec<u64> = histogram.cumulative().map(|(_, count)| count).collect();
        assert_eq!((counts[0], counts[1], counts[14], counts[15]), (2, 3, 3, 4));
        assert_eq!(histogram.count(), 5, "one is above all bounds");
        assert_eq!(histogram.sum(), 20.000_202);
        let mut twice = histogram.clone();
        twice.add(&histogram);
        assert_eq!(twice.count(), 10);
        assert_eq!(twice.sum(), 40.000_404);
    }
}
