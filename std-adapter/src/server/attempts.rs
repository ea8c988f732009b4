//! How often somebody may guess at a password.

use crate::app::Rate;
use tidings_core::auth::SigningKey;

/// Wrong passwords in a minute, over all who guess.
const IN_A_MINUTE: u32 = 10;

/// What a mark signs.
const GIVEN: &[u8] = b"has given the password";

/// Counts wrong passwords, and knows again who has given the right one.
#[derive(Debug)]
pub(crate) struct Attempts {
    wrong: Rate,
    /// Makes the mark of who has given the right password; random, so that nobody else can. Without
    /// random numbers nobody is known again.
    key: Option<SigningKey>,
}

impl Attempts {
    pub(crate) fn new() -> Self {
        let mut random = [0; 32];
        let key = getrandom::fill(&mut random).ok().map(|()| SigningKey::new(&random));
        Self { wrong: Rate::default(), key }
    }

    /// Whether one more guess is looked at.
    pub(crate) fn are_open(&self, now_ms: u64) -> bool {
        self.wrong.take(0, IN_A_MINUTE, Self::minute(now_ms)).remaining > 0
    }

    /// Counts a wrong guess.
    pub(crate) fn note_wrong(&self, now_ms: u64) {
        let _ = self.wrong.take(1, IN_A_MINUTE, Self::minute(now_ms)); // more than the bound is no more
    }

    /// The time that makes a window of a second one of a minute.
    const fn minute(now_ms: u64) -> u64 {
        now_ms / 60
    }

    /// What is given to who has given the right password.
    pub(crate) fn mark(&self) -> Option<String> {
        let key = self.key.as_ref()?;
        Some(key.sign(&[GIVEN]).as_str().to_owned())
    }

    /// Whether this is the mark.
    pub(crate) fn is_mark(&self, text: &str) -> bool {
        self.key.as_ref().is_some_and(|key| key.sign(&[GIVEN]).matches(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_wrong_ones_in_a_minute_close_it_until_the_next() {
        let attempts = Attempts::new();
        for now in 0..IN_A_MINUTE {
            assert!(attempts.are_open(u64::from(now)));
            attempts.note_wrong(u64::from(now));
        }
        assert!(!attempts.are_open(100));
        attempts.note_wrong(100);
        assert!(!attempts.are_open(59_999));
        assert!(attempts.are_open(60_000));
    }

    #[test]
    fn a_mark_is_known_where_it_was_made_only() {
        let (one, other) = (Attempts::new(), Attempts::new());
        assert!(one.is_mark(&one.mark().unwrap()));
        assert!(!one.is_mark(&other.mark().unwrap()) && !one.is_mark(""));
    }
}
