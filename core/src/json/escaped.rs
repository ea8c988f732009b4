//! The inside of string literals, and what it means.

use core::cmp::Ordering;

use super::reader::Cursor;
use super::scan::until_backslash;
use super::writer::SHORT_ESCAPES;
use super::{JsonError, JsonErrorKind};
use crate::io::{copy, move_within};

/// The inside of a JSON string literal: the text between the quotes, escapes kept.
///
/// It can be written between the quotes of another literal byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EscapedJson<'i> {
    text: &'i str,
}

impl<'i> EscapedJson<'i> {
    /// Nothing between the quotes.
    pub const EMPTY: Self = Self { text: "" };

    /// Checks that `text` can stand between the quotes of a string literal.
    ///
    /// # Errors
    /// [`JsonError`] at an unescaped quote or control character, or at a backslash that starts no escape.
    pub fn parse(text: &'i str) -> Result<Self, JsonError> {
        Cursor::new(text).whole_string_body()?;
        Ok(Self { text })
    }

    /// Takes `text` as checked by another JSON parser.
    ///
    /// If it was not, what is written with it is broken JSON; memory stays safe.
    #[must_use]
    pub const fn from_validated(text: &'i str) -> Self {
        Self { text }
    }

    /// The text between the quotes, escapes kept.
    #[must_use]
    pub const fn as_str(self) -> &'i str {
        self.text
    }

    /// Whether the text means itself, having no escape.
    #[must_use]
    pub fn is_plain(self) -> bool {
        until_backslash(self.text.as_bytes()) == self.text.len()
    }

    /// The characters that the text means.
    #[must_use]
    pub const fn chars(self) -> Chars<'i> {
        Chars { rest: self.text }
    }

    /// How many bytes of UTF-8 the text means.
    #[must_use]
    pub fn unescaped_len(self) -> usize {
        let mut len = 0usize;
        let mut rest = self.text;
        loop {
            let plain = until_backslash(rest.as_bytes());
            len = len.saturating_add(plain);
            match unescape_one(rest.get(plain..).unwrap_or_default().as_bytes()) {
                Some((c, consumed)) => {
                    len = len.saturating_add(c.len_utf8());
                    rest = rest.get(plain.saturating_add(consumed)..).unwrap_or_default();
                }
                None => return len,
            }
        }
    }

    /// Whether the text means `other`.
    #[must_use]
    pub fn unescaped_eq(self, other: &str) -> bool {
        // A text without escapes means itself; one with escapes is longer than what it means.
        match self.text.len().cmp(&other.len()) {
            Ordering::Less => false,
            Ordering::Equal => self.text == other && self.is_plain(),
            Ordering::Greater => !self.is_plain() && self.chars().eq(other.chars()),
        }
    }

    /// Whether what the text means starts with `prefix`.
    #[must_use]
    pub fn unescaped_starts_with(self, prefix: &str) -> bool {
        if self.is_plain() {
            return self.text.starts_with(prefix);
        }
        let mut chars = self.chars();
        prefix.chars().all(|expected| chars.next() == Some(expected))
    }
}

/// The characters that an [`EscapedJson`] means.
#[derive(Debug, Clone)]
pub struct Chars<'i> {
    rest: &'i str,
}

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        if let Some((c, consumed)) = unescape_one(self.rest.as_bytes()) {
            self.rest = self.rest.get(consumed..).unwrap_or_default();
            return Some(c);
        }
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        Some(c)
    }
}

impl core::iter::FusedIterator for Chars<'_> {}

/// Unescapes the inside of a string literal where it stands; what it means is never longer.
///
/// A surrogate without its other half becomes U+FFFD. The bytes behind the result are left over.
///
/// ```
/// let mut text = *br#"{\"name\":\"Zo\u00eb\"}"#;
/// assert_eq!(tidings_core::json::unescape(&mut text).unwrap(), r#"{"name":"Zoë"}"#);
/// ```
///
/// # Errors
/// [`JsonErrorKind::Escape`] at a backslash that starts no escape, [`JsonErrorKind::Utf8`] if the bytes are
/// no UTF-8. The bytes before the fault may have been changed. Neither happens with the bytes of an [`EscapedJson`].
pub fn unescape(text: &mut [u8]) -> Result<&str, JsonError> {
    let len = unescape_in_place(text)?;
    let text: &[u8] = text.get(..len).unwrap_or_default();
    core::str::from_utf8(text)
        .map_err(|error| JsonError { kind: JsonErrorKind::Utf8, at: error.valid_up_to() })
}

/// Unescapes and returns the new length.
pub(crate) fn unescape_in_place(text: &mut [u8]) -> Result<usize, JsonError> {
    if cfg!(feature = "small") {
        return unescape_bytewise(text);
    }
    let mut read = until_backslash(text);
    let mut write = read;
    while read < text.len() {
        let escape = text.get(read..).unwrap_or_default();
        let Some((c, consumed)) = unescape_one(escape) else {
            return Err(JsonError { kind: JsonErrorKind::Escape, at: read });
        };
        read = read.saturating_add(consumed);
        let plain = until_backslash(text.get(read..).unwrap_or_default());
        let mut utf8 = [0; 4];
        let utf8 = c.encode_utf8(&mut utf8).as_bytes();
        if let Some(place) = text.get_mut(write..).and_then(|rest| rest.get_mut(..utf8.len())) {
            copy(utf8, place);
        }
        write = write.saturating_add(utf8.len());
        move_within(text, read, write, plain);
        write = write.saturating_add(plain);
        read = read.saturating_add(plain);
    }
    Ok(write)
}

/// As [`unescape_in_place`] in few instructions.
fn unescape_bytewise(text: &mut [u8]) -> Result<usize, JsonError> {
    let (mut read, mut write) = (0_usize, 0_usize);
    while let Some(&byte) = text.get(read) {
        let (mut utf8, mut len, mut consumed) = ([byte, 0, 0, 0], 1, 1);
        if byte == b'\\' {
            let Some((c, length)) = unescape_shortly(text.get(read..).unwrap_or_default()) else {
                return Err(JsonError { kind: JsonErrorKind::Escape, at: read });
            };
            (len, consumed) = (c.encode_utf8(&mut utf8).len(), length);
        }
        for byte in utf8.iter().take(len) {
            if let Some(place) = text.get_mut(write) {
                *place = *byte;
            }
            write = write.wrapping_add(1);
        }
        read = read.wrapping_add(consumed);
    }
    Ok(write)
}

/// As [`unescape_one`] in few instructions, for what begins with a backslash.
fn unescape_shortly(text: &[u8]) -> Option<(char, usize)> {
    match text.get(1)? {
        b'u' => unescape_hex(text.get(2..)?),
        b'/' => Some(('/', 2)),
        letter => {
            let (byte, _) = SHORT_ESCAPES.iter().find(|(_, known)| known == letter)?;
            Some((char::from(*byte), 2))
        }
    }
}

/// The character that the escape at the front means, and the escape's length. `None` when there is no escape.
fn unescape_one(text: &[u8]) -> Option<(char, usize)> {
    let (b'\\', [kind, hex @ ..]) = text.split_first()? else { return None };
    let c = match kind {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unescape_hex(hex),
        _ => return None,
    };
    Some((c, 2))
}

/// The character of `\uXXXX` or of a pair of them, given what follows the first `\u`.
fn unescape_hex(text: &[u8]) -> Option<(char, usize)> {
    let (first, rest) = text.split_first_chunk::<4>()?;
    let first = hex(first)?;
    if let Some(c) = char::from_u32(first) {
        return Some((c, 6));
    }
    if first < 0xdc00
        && let [b'\\', b'u', rest @ ..] = rest
        && let Some((second, _)) = rest.split_first_chunk::<4>()
        && let Some(second @ 0xdc00..=0xdfff) = hex(second)
    {
        // Ten bits each, above the 16-bit range (RFC 8259 section 7).
        let c = ((first & 0x3ff) << 10 | (second & 0x3ff)).wrapping_add(0x1_0000);
        return Some((char::from_u32(c)?, 12));
    }
    Some((char::REPLACEMENT_CHARACTER, 6))
}

fn hex(digits: &[u8; 4]) -> Option<u32> {
    let mut value = 0;
    for &digit in digits {
        value = (value << 4) | char::from(digit).to_digit(16)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_short_way_unescapes_what_the_fast_one_does(text in r#"(a|é|/|\\(["\\/bfnrtx]|u[0-9a-fg]{3,4}|ud[89c]0{2}|u00[0-9e]{2})?){0,20}"#) {
            let (mut fast, mut short) = (text.clone().into_bytes(), text.into_bytes());
            let (expected, outcome) = (unescape_in_place(&mut fast), unescape_bytewise(&mut short));
            prop_assert_eq!(outcome, expected);
            let len = expected.unwrap_or_default();
            prop_assert_eq!(&short[..len], &fast[..len]);
        }
    }
}
