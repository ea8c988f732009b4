//! The name of one connection.

use core::fmt;
use core::ops::Deref;

use crate::error::TxFull;
use crate::io::TxBuf;
use crate::json::{decimal, read_decimal};

/// The id that the server gives a connection: two numbers with a dot between, such as `123.456`.
///
/// It is unique in a cluster, hard to guess and never used again: signatures are bound to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId {
    first: u64,
    second: u64,
}

impl SocketId {
    /// The longest text: two numbers of 20 digits and the dot.
    pub const MAX_LEN: usize = 41;

    /// The id made of these two numbers.
    #[must_use]
    pub const fn new(first: u64, second: u64) -> Self {
        Self { first, second }
    }

    /// The two numbers.
    #[must_use]
    pub const fn parts(self) -> (u64, u64) {
        (self.first, self.second)
    }

    /// Reads an id from its text.
    ///
    /// # Errors
    /// [`SocketIdError`] tells a text that is no id from one that only cannot be an id of this server.
    pub fn parse(text: &str) -> Result<Self, SocketIdError> {
        let (first, second) = text.split_once('.').ok_or(SocketIdError::Malformed)?;
        for part in [first, second] {
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(SocketIdError::Malformed);
            }
        }
        Ok(Self { first: number(first)?, second: number(second)? })
    }

    /// The text, in a small buffer of its own.
    #[must_use]
    #[inline(never)] // a small device has its stack back before the text is signed
    pub fn as_text(self) -> SocketIdText {
        let mut bytes = [0; Self::MAX_LEN];
        let mut tx = TxBuf::new(&mut bytes);
        // The buffer holds the longest text.
        let written = self.encode(&mut tx);
        debug_assert!(written.is_ok());
        let len = tx.len();
        SocketIdText { bytes, len }
    }

    /// Appends the text.
    ///
    /// # Errors
    /// [`TxFull`] when it does not fit; nothing is written then.
    pub fn encode(self, tx: &mut TxBuf<'_>) -> Result<(), TxFull> {
        let (mut first, mut second) = ([0; 20], [0; 20]);
        let (first, second) = (decimal(self.first, &mut first), decimal(self.second, &mut second));
        tx.reserve(first.len().saturating_add(1).saturating_add(second.len()))?;
        tx.put(first)?;
        tx.put(b".")?;
        tx.put(second)
    }
}

fn number(digits: &str) -> Result<u64, SocketIdError> {
    // With a leading zero the text would not be the one that signatures are made over.
    if digits.len() > 1 && digits.starts_with('0') {
        return Err(SocketIdError::Foreign);
    }
    read_decimal(digits).ok_or(SocketIdError::Foreign)
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_text())
    }
}

/// The text of a [`SocketId`].
#[derive(Clone, Copy)]
pub struct SocketIdText {
    bytes: [u8; SocketId::MAX_LEN],
    len: usize,
}

impl Deref for SocketIdText {
    type Target = str;

    fn deref(&self) -> &str {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl AsRef<str> for SocketIdText {
    fn as_ref(&self) -> &str {
        self
    }
}

impl fmt::Debug for SocketIdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl fmt::Display for SocketIdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// Why a text gives no [`SocketId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SocketIdError {
    /// It has the shape of an id, but no connection here can have it: a number beyond 64 bits or with a
    /// leading zero. As the connection to leave out of a publish it means nobody.
    Foreign,
    /// It is not two numbers with a dot between.
    Malformed,
}

impl fmt::Display for SocketIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foreign => "no connection of this server has such a socket id",
            Self::Malformed => "a socket id is two numbers with a dot between, such as 123.456",
        })
    }
}

impl core::error::Error for SocketIdError {}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_numbers_with_a_dot_are_an_id() {
        let max = "18446744073709551615.18446744073709551615";
        assert_eq!(SocketId::parse("1234.1234"), Ok(SocketId::new(1234, 1234)));
        assert_eq!(SocketId::parse("0.0"), Ok(SocketId::new(0, 0)));
        assert_eq!(SocketId::parse(max), Ok(SocketId::new(u64::MAX, u64::MAX)));
        assert_eq!(&*SocketId::new(u64::MAX, u64::MAX).as_text(), max);
        assert_eq!(max.len(), SocketId::MAX_LEN);
    }

    #[test]
    fn other_texts_are_refused_by_reason() {
        for text in [
            "", ".", "1", "1.", ".1", "1.2.3", "1,2", "-1.2", "+1.2", "1.2\n", " 1.2", "1.x",
            "١.٢", "1.2:x", "1.2 ",
        ] {
            assert_eq!(SocketId::parse(text), Err(SocketIdError::Malformed), "{text:?}");
        }
        for text in ["01.2", "1.00", "18446744073709551616.1", "1.99999999999999999999999"] {
            assert_eq!(SocketId::parse(text), Err(SocketIdError::Foreign), "{text:?}");
        }
    }

    #[test]
    fn an_id_that_does_not_fit_is_not_written_in_part() {
        let mut memory = [0; 6];
        let mut tx = TxBuf::new(&mut memory);
        assert_eq!(SocketId::new(123, 456).encode(&mut tx), Err(TxFull { at_least: 7 }));
        assert!(tx.is_empty());
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(first: u64, second: u64) {
            let id = SocketId::new(first, second);
            prop_assert_eq!(SocketId::parse(&id.as_text()), Ok(id));
            prop_assert_eq!(id.to_string(), std::format!("{first}.{second}"));
        }

        #[test]
        fn what_is_read_is_written_the_same(text in "[0-9]{1,21}\\.[0-9]{1,21}") {
            if let Ok(id) = SocketId::parse(&text) {
                prop_assert_eq!(&*id.as_text(), text.as_str());
            }
        }
    }
}
