//! How much an app may ask of the HTTP API in a second.

use std::sync::atomic::{AtomicU64, Ordering};

/// What was used of a bound within the second that runs; windows of one second, as Soketi has them.
#[derive(Debug, Default)]
pub(crate) struct Rate(AtomicU64);

/// How a bound stands after a request, or why a request is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) limit: u32,
    /// What may still be used in this second.
    pub(crate) remaining: u32,
    pub(crate) exceeded: bool,
}

impl Rate {
    /// Uses `cost` of `limit`, unless that would be too much; a refused request uses nothing.
    pub(crate) fn take(&self, cost: u32, limit: u32, now_ms: u64) -> Standing {
        let window = now_ms / 1000;
        let used_at =
            |state: u64| if state >> 32 == window & 0xffff_ffff { state as u32 } else { 0 };
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
            let used = used_at(state).checked_add(cost).filter(|used| *used <= limit)?;
            Some((window << 32) | u64::from(used))
        });
        let exceeded = taken.is_err();
        let used = used_at(taken.unwrap_or_else(|state| state)) + if exceeded { 0 } else { cost };
        Standing { limit, remaining: limit.saturating_sub(used), exceeded }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_its_bound_and_the_next_one_has_it_anew() {
        let rate = Rate::default();
        let standing = |remaining, exceeded| Standing { limit: 5, remaining, exceeded };
        assert_eq!(rate.take(3, 5, 1_000), standing(2, false));
        assert_eq!(rate.take(3, 5, 1_400), standing(2, true), "what is refused uses nothing");
        assert_eq!(rate.take(2, 5, 1_999), standing(0, false));
        assert_eq!(rate.take(1, 5, 1_999), standing(0, true));
        assert_eq!(rate.take(5, 5, 2_000), standing(0, false));
    }

    #[test]
    fn more_than_the_bound_at_once_is_never_taken() {
        let rate = Rate::default();
        assert!(rate.take(6, 5, 0).exceeded);
        assert!(rate.take(u32::MAX, 5, 0).exceeded);
        assert!(!rate.take(5, 5, 0).exceeded);
    }
}
