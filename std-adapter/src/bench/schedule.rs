//! When messages are due.

/// Nanoseconds in a second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// Evenly spaced messages: first a warm-up, then those that are measured.
///
/// The moments depend on nothing that the server does, so a slow server cannot thin out the load that
/// measures it (coordinated omission).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    start: u64,
    rate: f64,
    /// Messages of the warm-up.
    pub(crate) warm: u64,
    /// All messages.
    pub(crate) total: u64,
}

impl Schedule {
    /// `rate` messages a second from `start` on, for `warm_secs` and then for `secs`; at least one is measured.
    pub(crate) fn new(start: u64, rate: f64, warm_secs: f64, secs: f64) -> Self {
        let warm = (rate * warm_secs).round() as u64;
        let measured = ((rate * secs).round() as u64).max(1);
        Self { start, rate, warm, total: warm + measured }
    }

    /// When message `n`, counted from 0, is due.
    pub(crate) fn due(&self, n: u64) -> u64 {
        self.start + (n as f64 * SECOND as f64 / self.rate) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_evenly_spaced_and_do_not_drift() {
        let schedule = Schedule::new(7 * SECOND, 300.0, 1.0, 3600.0);
        assert_eq!((schedule.warm, schedule.total), (300, 300 * 3601));
        assert_eq!(schedule.due(0), 7 * SECOND);
        for n in [300, 3_000, 1_080_000] {
            assert_eq!(schedule.due(n), (7 + n / 300) * SECOND, "message {n}");
        }
        let gap = schedule.due(1_000_001) - schedule.due(1_000_000);
        assert!((3_333_332..=3_333_334).contains(&gap), "{gap}");
    }

    #[test]
    fn a_slow_rate_measures_at_least_one_message() {
        let schedule = Schedule::new(0, 0.1, 0.5, 1.0);
        assert_eq!((schedule.warm, schedule.total), (0, 1));
    }
}
