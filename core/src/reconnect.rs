//! When to try again: pure arithmetic over how connections ended.
//!
//! The rules are those of the Pusher protocol's client (close code ranges) with a growing delay, so that a server that
//! comes back is not met by all of its clients at once. No number of failures is ever final: what ends the attempts
//! is only the server's word that they are of no use.

use crate::pusher::Advice;
use crate::time::{Duration, Instant};

/// The delay after the first failure.
const FIRST_MS: u64 = 1000;
/// The longest delay, before jitter.
const LONGEST_MS: u64 = 60_000;
/// How long a connection must have stood for the delays to start anew.
const STEADY_MS: u64 = 60_000;
/// Within how much time all clients come back when they are told to do so at once.
const SPREAD_MS: u64 = 1000;

/// The policy of reconnecting, and how far it has come.
///
/// ```
/// use tidings_core::pusher::Advice;
/// use tidings_core::reconnect::{Next, Reconnect};
/// use tidings_core::time::Instant;
///
/// let mut reconnect = Reconnect::new();
/// let now = Instant::from_millis(0);
/// let Next::After { delay, .. } = reconnect.ended(now, Advice::BackOff, 0) else { panic!("it goes on") };
/// assert_eq!(delay.as_millis(), 800); // a second, less a fifth at most
/// assert_eq!(reconnect.ended(now, Advice::DoNotReconnect, 0), Next::Never);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reconnect {
    /// Failures in a row, as far as they matter.
    failures: u8,
    connected: Option<Instant>,
}

/// What to do about an ended connection.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Next {
    /// Try again after a delay.
    After {
        /// How long to wait.
        delay: Duration,
        /// Whether the server insists on TLS.
        tls: bool,
    },
    /// Trying again with the same parameters is of no use: tell the user.
    Never,
}

impl Reconnect {
    /// A policy that has seen no failure.
    #[must_use]
    pub const fn new() -> Self {
        Self { failures: 0, connected: None }
    }

    /// Notes that the connection is established.
    pub const fn connected(&mut self, now: Instant) {
        self.connected = Some(now);
    }

    /// How many attempts have failed in a row since a connection last stood for a minute; at most 255.
    #[must_use]
    pub const fn failures(&self) -> u8 {
        self.failures
    }

    /// Notes that the connection, or the attempt at one, has ended, and tells what next.
    ///
    /// The delays are 1, 2, 4 … 60 seconds, each up to a fifth shorter or longer as `random` says, and start anew when
    /// the connection had stood for a minute. A server that asks for reconnecting at once gets it, spread over a
    /// second; one that asks for it again and again gets the growing delays.
    pub fn ended(&mut self, now: Instant, advice: Advice, random: u32) -> Next {
        let stood = self.connected.take().map(|since| now.saturating_since(since).as_millis());
        if stood.is_some_and(|ms| ms >= STEADY_MS) {
            self.failures = 0;
        }
        let earlier = self.failures;
        self.failures = earlier.saturating_add(1);
        let delay = match advice {
            Advice::DoNotReconnect => return Next::Never,
            Advice::ReconnectNow | Advice::UseTls if earlier == 0 => scale(SPREAD_MS, random),
            Advice::BackOff | Advice::ReconnectNow | Advice::Stay | Advice::UseTls => {
                let whole = FIRST_MS.checked_shl(u32::from(earlier.min(16))).unwrap_or(LONGEST_MS);
                let whole = whole.min(LONGEST_MS);
                let fifth = whole / 5;
                whole.saturating_sub(fifth).saturating_add(scale(fifth.saturating_mul(2), random))
            }
        };
        Next::After { delay: Duration::from_millis(delay), tls: matches!(advice, Advice::UseTls) }
    }
}

impl Default for Reconnect {
    fn default() -> Self {
        Self::new()
    }
}

/// `whole` times `random` as a fraction of its range.
const fn scale(whole: u64, random: u32) -> u64 {
    whole.saturating_mul(random as u64) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn delay(next: Next) -> u64 {
        match next {
            Next::After { delay, .. } => delay.as_millis(),
            Next::Never => panic!("it goes on"),
        }
    }

    #[test]
    fn fr_043_fr_044_delays_double_up_to_a_minute_and_never_end() {
        let mut reconnect = Reconnect::new();
        for expected in [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000] {
            let low = delay(reconnect.clone().ended(at(0), Advice::BackOff, 0));
            let high = delay(reconnect.ended(at(0), Advice::BackOff, u32::MAX));
            assert_eq!(low, expected - expected / 5);
            assert!(high > expected && high <= expected + expected / 5, "{high} for {expected}");
        }
        for _ in 0..1000 {
            assert!(delay(reconnect.ended(at(0), Advice::BackOff, 7)) <= 72_000);
        }
        assert_eq!(reconnect.failures(), u8::MAX);
    }

    #[test]
    fn a_minute_of_connection_starts_the_delays_anew_and_less_does_not() {
        for (stood, expected) in [(59_999, 3200), (60_000, 800)] {
            let mut reconnect = Reconnect::new();
            let _ = reconnect.ended(at(0), Advice::BackOff, 0);
            let _ = reconnect.ended(at(0), Advice::BackOff, 0);
            reconnect.connected(at(10));
            assert_eq!(delay(reconnect.ended(at(10 + stood), Advice::BackOff, 0)), expected);
        }
    }

    #[test]
    fn the_server_may_ask_for_it_at_once_but_not_in_a_loop() {
        let mut reconnect = Reconnect::new();
        assert_eq!(delay(reconnect.ended(at(0), Advice::ReconnectNow, 0)), 0);
        assert_eq!(delay(reconnect.ended(at(0), Advice::ReconnectNow, 0)), 1600);
        assert_eq!(delay(Reconnect::new().ended(at(0), Advice::ReconnectNow, u32::MAX)), 999);
    }

    #[test]
    fn the_servers_word_is_final_and_tls_is_passed_on() {
        let mut reconnect = Reconnect::new();
        assert_eq!(reconnect.ended(at(0), Advice::DoNotReconnect, 0), Next::Never);
        let tls = Reconnect::new().ended(at(0), Advice::UseTls, 0);
        assert_eq!(tls, Next::After { delay: Duration::ZERO, tls: true });
    }

    #[test]
    fn a_clock_that_goes_back_does_no_harm() {
        let mut reconnect = Reconnect::new();
        reconnect.connected(at(100));
        assert_eq!(delay(reconnect.ended(at(0), Advice::BackOff, 0)), 800);
    }
}
