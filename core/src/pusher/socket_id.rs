//! The name of one connection.

use core::fmt;
use core::ops::Deref;

use crate::error::TxFull;
use crate::io::TxBuf;
use crate::json::{decimal_before, push_digit};

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
        let bytes = text.as_bytes();
        let mut numbers = [0; 2];
        let (mut at, mut foreign) = (0_usize, false);
        for number in &mut numbers {
            let start = at;
            while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
                // With a leading zero the text would not be the one that signatures are made over.
                foreign |= at > start && *number == 0;
                match push_digit(*number, *digit) {
                    Some(longer) => *number = longer,
                    None => foreign = true,
                }
                at = at.wrapping_add(1);
            }
            let end = if start == 0 { bytes.get(at) == Some(&b'.') } else { at == bytes.len() };
            if at == start || !end {
                return Err(SocketIdError::Malformed);
            }
            at = at.wrapping_add(1);
        }
        let [first, second] = numbers;
        if foreign { Err(SocketIdError::Foreign) } else { Ok(Self { first, second }) }
    }

    /// The text, in a small buffer of its own.
    #[must_use]
    #[cfg_attr(not(feature = "small"), inline(never))] // a device has its stack back before the text is signed
    pub fn as_text(self) -> SocketIdText {
        let mut bytes = [b'.'; Self::MAX_LEN];
        let dot = decimal_before(self.second, &mut bytes, Self::MAX_LEN).saturating_sub(1);
        let start = decimal_before(self.first, &mut bytes, dot);
        SocketIdText { bytes, start }
    }

    /// Appends the text.
    ///
    /// # Errors
    /// [`TxFull`] when it does not fit; nothing is written then.
    pub fn encode(self, tx: &mut TxBuf<'_>) -> Result<(), TxFull> {
        tx.put(self.as_text().as_bytes())
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_text())
    }
}

/// The text of a [`SocketId`].
#[derive(Clone, Copy)]
pub struct SocketIdText {
    /// The text stands at their end.
    bytes: [u8; SocketId::MAX_LEN],
    start: usize,
}

impl Deref for SocketIdText {
    type Target = str;

    fn deref(&self) -> &str {
        let bytes = self.bytes.get(self.start..).unwrap_or_default();
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
