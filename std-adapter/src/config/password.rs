//! A password that says nothing about itself.

use std::fmt;

use tidings_core::auth::SigningKey;

/// A password to be asked for. It never appears in `Debug` output, in a log line or in an answer.
///
/// ```
/// let mut config = tidings::ServerConfig::default();
/// config.console_password = Some("a long random text".into());
/// assert!(!format!("{config:?}").contains("random"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<str>);

impl Password {
    /// Whether `given` is this password. The time that it takes does not tell how much of it is right, nor
    /// how long this one is. Nothing is the empty password.
    #[must_use]
    pub fn is(&self, given: &str) -> bool {
        // As keys, texts that differ only in zero bytes at their ends would be the same.
        let digest = |text: &str| SigningKey::new(b"password").sign(&[text.as_bytes()]);
        let same = digest(&self.0).matches(digest(given).as_str());
        same && !self.0.is_empty()
    }

    /// Characters.
    #[cfg(feature = "cli")]
    pub(crate) fn len(&self) -> usize {
        self.0.chars().count()
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_password_is_it() {
        let password = Password::from("correct horse");
        assert!(password.is("correct horse"));
        for other in ["", "correct", "correct horse ", "Correct horse", "correct horse\0"] {
            assert!(!password.is(other), "{other:?}");
        }
        assert!(!Password::from("").is(""));
    }

    #[test]
    fn a_password_longer_than_a_block_of_the_hash_is_not_its_own_digest() {
        let long = "x".repeat(100);
        assert!(Password::from(&*long).is(&long));
        assert!(!Password::from(&*long).is(&long[1..]));
    }

    #[test]
    fn it_does_not_show() {
        assert_eq!(format!("{:?}", Some(Password::from("hunter2"))), "Some([redacted])");
    }
}
