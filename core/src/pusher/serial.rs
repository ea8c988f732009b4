//! The place of an event in its channel's log.

use core::fmt;
use core::ops::Deref;

use crate::io::TxBuf;
use crate::json::{decimal, read_decimal};

/// The number of a kept event, and of the log that it is in: eight hexadecimal digits, a hyphen and a number, such as
/// `0a1b2c3d-7`.
///
/// Serials of one log rise from event to event. A server that has forgotten a log begins one with another epoch, so that a
/// serial of the old one is known as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Serial {
    epoch: u32,
    // Halves, so that the whole takes 12 bytes: a client has one for each channel.
    high: u32,
    low: u32,
}

impl Serial {
    /// The longest text: eight digits, the hyphen and a number of 20 digits.
    pub const MAX_LEN: usize = 29;

    /// The serial of the event `number` in the log that `epoch` tells from others.
    #[must_use]
    pub const fn new(epoch: u32, number: u64) -> Self {
        Self { epoch, high: (number >> 32) as u32, low: (number & 0xffff_ffff) as u32 }
    }

    /// What tells the log from others.
    #[must_use]
    pub const fn epoch(self) -> u32 {
        self.epoch
    }

    /// The number within the log.
    #[must_use]
    pub const fn number(self) -> u64 {
        (self.high as u64) << 32 | self.low as u64
    }

    /// Reads a serial from its text; `None` for a text of another form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let epoch = text.as_bytes().first_chunk::<8>()?;
        let mut value = 0u32;
        for digit in epoch {
            value = value << 4 | char::from(*digit).to_digit(16)?;
        }
        let digits = text.get(8..)?.strip_prefix('-')?;
        Some(Self::new(value, read_decimal(digits)?))
    }

    /// The text, in a small buffer of its own.
    #[must_use]
    pub fn as_text(self) -> SerialText {
        let mut bytes = [0; Self::MAX_LEN];
        let mut tx = TxBuf::new(&mut bytes);
        let mut number = [0; 20];
        let mut epoch = [0; 8];
        for (digit, shift) in epoch.iter_mut().zip([28, 24, 20, 16, 12, 8, 4, 0]) {
            let value = (self.epoch >> shift & 15) as u8;
            *digit = if value < 10 { b'0' | value } else { (b'a' - 10).wrapping_add(value) };
        }
        // The buffer holds the longest text.
        let _ = tx.put(&epoch);
        let _ = tx.put(b"-");
        let _ = tx.put(decimal(self.number(), &mut number));
        let len = tx.len();
        SerialText { bytes, len }
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_text())
    }
}

/// The text of a [`Serial`].
#[derive(Clone, Copy)]
pub struct SerialText {
    bytes: [u8; Serial::MAX_LEN],
    len: usize,
}

impl Deref for SerialText {
    type Target = str;

    fn deref(&self) -> &str {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Debug for SerialText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_is_read_as_it_is_written() {
        for (epoch, number) in [(0, 0), (0xa1b2c3d, 7), (u32::MAX, u64::MAX), (1, 1 << 32)] {
            let serial = Serial::new(epoch, number);
            assert_eq!((serial.epoch(), serial.number()), (epoch, number));
            assert_eq!(&*serial.as_text(), std::format!("{epoch:08x}-{number}"));
            assert_eq!(Serial::parse(&serial.as_text()), Some(serial));
        }
        assert_eq!(size_of::<Serial>(), 12);
    }

    #[test]
    fn texts_of_another_form_are_no_serials() {
        let long = "0a1b2c3d-18446744073709551616";
        for text in [
            "",
            "latest",
            "0a1b2c3d",
            "0a1b2c3d-",
            "0a1b2c3d-+1",
            "0a1b2c3d--1",
            "a1b2c3d-17",
            long,
            "0a1b2c3ü-1",
            "0a1b2c3d1",
        ] {
            assert_eq!(Serial::parse(text), None, "{text}");
        }
        assert_eq!(Serial::parse("0A1B2C3D-7"), Some(Serial::new(0xa1b2c3d, 7)));
    }
}
