//! Writing JSON text into the caller's buffer.
//!
//! Each function writes all or nothing, and each has a twin that tells the length beforehand.

use super::raw::Raw;
use super::scan::{escape_growth, plain_len};
use crate::error::TxFull;
use crate::io::TxBuf;

/// How many bytes [`escape_into`] writes.
#[must_use]
pub fn escaped_len(text: &str) -> usize {
    text.len().saturating_add(escape_growth(text.as_bytes(), growth_of))
}

/// How many bytes the escape of `byte` has more than one.
#[inline]
const fn growth_of(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | 0x08 | 0x0c | b'\n' | b'\r' | b'\t' => 1,
        0x20.. => 0,
        _ => 5,
    }
}

/// Writes `text` as the inside of a string literal, without the quotes.
///
/// Quotes, backslashes and control characters are escaped, by the short form where there is one.
/// JSON text written this way is JSON inside a string.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn escape_into(tx: &mut TxBuf<'_>, text: &str) -> Result<(), TxFull> {
    tx.reserve(escaped_len(text))?;
    escape(text.as_bytes(), &mut |piece| put_within(tx, piece));
    Ok(())
}

/// How many bytes [`escape_twice_into`] writes.
#[must_use]
pub fn escaped_twice_len(text: &str) -> usize {
    let mut len = 0;
    escape_twice(text, &mut |piece| len = piece.len().saturating_add(len));
    len
}

/// Writes `text` as the inside of a string literal in JSON text that itself stands in a string literal.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn escape_twice_into(tx: &mut TxBuf<'_>, text: &str) -> Result<(), TxFull> {
    tx.reserve(escaped_twice_len(text))?;
    escape_twice(text, &mut |piece| put_within(tx, piece));
    Ok(())
}

/// How many bytes [`compact_into`] writes.
#[must_use]
pub fn compact_len(value: Raw<'_>) -> usize {
    let mut len = 0;
    compact(value, &mut |piece| len = piece.len().saturating_add(len));
    len
}

/// Writes a value without the white space between its tokens.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn compact_into(tx: &mut TxBuf<'_>, value: Raw<'_>) -> Result<(), TxFull> {
    tx.reserve(compact_len(value))?;
    compact(value, &mut |piece| put_within(tx, piece));
    Ok(())
}

/// How many bytes [`compact_escape_into`] writes.
#[must_use]
pub fn compact_escaped_len(value: Raw<'_>) -> usize {
    let mut len = 0;
    compact(value, &mut |piece| {
        len = piece.len().saturating_add(escape_growth(piece, growth_of)).saturating_add(len);
    });
    len
}

/// Writes a value without the white space between its tokens as the inside of a string literal.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn compact_escape_into(tx: &mut TxBuf<'_>, value: Raw<'_>) -> Result<(), TxFull> {
    tx.reserve(compact_escaped_len(value))?;
    compact(value, &mut |piece| escape(piece, &mut |piece| put_within(tx, piece)));
    Ok(())
}

/// How many digits `number` has.
#[must_use]
pub const fn decimal_len(number: u64) -> usize {
    match number.checked_ilog10() {
        Some(log) => (log as usize).saturating_add(1),
        None => 1,
    }
}

/// Writes `number` in decimal digits.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn put_decimal(tx: &mut TxBuf<'_>, number: u64) -> Result<(), TxFull> {
    let mut digits = [0; 20];
    tx.put(decimal(number, &mut digits))
}

/// The decimal digits of `number`.
pub(crate) fn decimal(number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let start = decimal_before(number, digits, 20);
    digits.get(start..).unwrap_or_default()
}

/// Writes the decimal digits of `number` before `end` and tells where they start. There is room for them.
pub(crate) fn decimal_before(number: u64, digits: &mut [u8], end: usize) -> usize {
    let digits = digits.get_mut(..end).unwrap_or_default();
    #[cfg(target_pointer_width = "64")]
    return decimal_by_words(number, digits);
    #[cfg(not(target_pointer_width = "64"))]
    decimal_on_paper(number, digits)
}

#[cfg(target_pointer_width = "64")]
fn decimal_by_words(mut number: u64, digits: &mut [u8]) -> usize {
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' | (number % 10) as u8;
        number /= 10;
        start = start.wrapping_sub(1);
        if number == 0 {
            break;
        }
    }
    start
}

/// By the division that is done on paper, in halves of words: a small core has no instruction that divides 64 bits, and the
/// routine for it is larger than this.
#[cfg(any(test, not(target_pointer_width = "64")))]
fn decimal_on_paper(number: u64, digits: &mut [u8]) -> usize {
    let part = |shift: u32| (number >> shift & 0xffff) as u32;
    let mut parts = [part(48), part(32), part(16), part(0)];
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        let mut rest = 0;
        let mut left = 0;
        for part in &mut parts {
            let whole = rest << 16 | *part;
            *part = whole / 10;
            rest = whole % 10;
            left |= *part;
        }
        *digit = b'0' | (rest & 0xf) as u8;
        start = start.wrapping_sub(1);
        if left == 0 {
            break;
        }
    }
    start
}

/// Reads a number of decimal digits; `None` for another text and for one beyond 64 bits.
pub(crate) fn read_decimal(digits: &str) -> Option<u64> {
    let mut number = 0u64;
    for digit in digits.bytes() {
        number = push_digit(number, digit)?;
    }
    (!digits.is_empty()).then_some(number)
}

/// The number with one digit more; `None` for what is no digit and beyond 64 bits.
pub(crate) fn push_digit(number: u64, digit: u8) -> Option<u64> {
    let value = digit.wrapping_sub(b'0');
    if value > 9 {
        return None;
    }
    number.checked_mul(10)?.checked_add(u64::from(value))
}

/// Puts a piece for which there is room.
fn put_within(tx: &mut TxBuf<'_>, piece: &[u8]) {
    let written = tx.put(piece);
    debug_assert!(written.is_ok(), "room was checked for the whole");
}

/// Hands `text` on in pieces, escaped.
#[inline]
pub(crate) fn escape(text: &[u8], put: &mut impl FnMut(&[u8])) {
    if cfg!(feature = "small") {
        return escape_bytewise(text, put);
    }
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at_checked(plain_len(rest)).unwrap_or((rest, &[]));
        if !plain.is_empty() {
            put(plain);
        }
        let Some((&byte, behind)) = special.split_first() else { return };
        let mut control = *br"\u0000";
        put(escape_of(byte, &mut control));
        rest = behind;
    }
}

/// What has an escape of two bytes, and the letter of it.
pub(super) static SHORT_ESCAPES: [(u8, u8); 7] = [
    (b'"', b'"'),
    (b'\\', b'\\'),
    (0x08, b'b'),
    (0x0c, b'f'),
    (b'\n', b'n'),
    (b'\r', b'r'),
    (b'\t', b't'),
];

/// As [`escape`] in few instructions.
fn escape_bytewise(text: &[u8], put: &mut dyn FnMut(&[u8])) {
    for byte in text {
        match SHORT_ESCAPES.iter().find(|(plain, _)| plain == byte) {
            Some((_, letter)) => put(&[b'\\', *letter]),
            None if *byte < 0x20 => {
                put(&[b'\\', b'u', b'0', b'0', hex_digit(byte >> 4), hex_digit(byte & 0xf)]);
            }
            None => put(core::slice::from_ref(byte)),
        }
    }
}

/// Hands `text` on in pieces, escaped and escaped again.
pub(crate) fn escape_twice(text: &str, put: &mut impl FnMut(&[u8])) {
    escape(text.as_bytes(), &mut |piece| escape(piece, put));
}

/// The escape of a quote, a backslash or a control character; `control` is `\u0000`.
const fn escape_of(byte: u8, control: &mut [u8; 6]) -> &[u8] {
    match byte {
        b'"' => br#"\""#,
        b'\\' => br"\\",
        0x08 => br"\b",
        0x0c => br"\f",
        b'\n' => br"\n",
        b'\r' => br"\r",
        b'\t' => br"\t",
        _ => {
            let [.., high, low] = control;
            *high = hex_digit(byte >> 4);
            *low = hex_digit(byte & 0xf);
            control
        }
    }
}

const fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { nibble | b'0' } else { nibble.wrapping_sub(10).wrapping_add(b'a') }
}

/// Hands a value's text on in pieces, without the white space between its tokens.
pub(crate) fn compact(value: Raw<'_>, put: &mut impl FnMut(&[u8])) {
    if cfg!(feature = "small") {
        return compact_bytewise(value.text().as_bytes(), put);
    }
    let mut rest = value.text().as_bytes();
    while !rest.is_empty() {
        let len = token_run(rest);
        let (run, behind) = rest.split_at_checked(len).unwrap_or((rest, &[]));
        if !run.is_empty() {
            put(run);
        }
        let space = behind.iter().take_while(|byte| is_space(**byte)).count();
        rest = behind.get(space..).unwrap_or_default();
    }
}

/// As [`compact`] in few instructions.
fn compact_bytewise(text: &[u8], put: &mut dyn FnMut(&[u8])) {
    let (mut inside, mut escaped) = (false, false);
    for byte in text {
        if inside || !is_space(*byte) {
            put(core::slice::from_ref(byte));
        }
        inside ^= *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// How many bytes stand before the first white space outside a string.
fn token_run(bytes: &[u8]) -> usize {
    let mut at = 0usize;
    let mut inside = false;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let step = if inside {
            plain_len(rest)
        } else {
            rest.iter().take_while(|byte| **byte != b'"' && !is_space(**byte)).count()
        };
        at = at.saturating_add(step);
        match bytes.get(at) {
            Some(b'"') => {
                inside = !inside;
                at = at.saturating_add(1);
            }
            // An escape: the byte after the backslash is no quote that counts.
            Some(_) if inside => at = at.saturating_add(2),
            _ => return at.min(bytes.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_written_as_the_standard_library_does_and_read_again(number: u64, shift in 0..64u32) {
            for number in [number, number >> shift, 0, 9, 10, 65_535, 65_536, u64::MAX] {
                let expected = std::format!("{number}");
                let (mut first, mut second) = ([0; 20], [0u8; 20]);
                prop_assert_eq!(decimal(number, &mut first), expected.as_bytes());
                let start = decimal_on_paper(number, &mut second);
                prop_assert_eq!(&second[start..], expected.as_bytes());
                prop_assert_eq!(read_decimal(&expected), Some(number));
            }
        }

        #[test]
        fn the_short_ways_write_what_the_fast_ones_write(text in "[a\\\\\"\\n\\t\\x00-\\x20\\x7fé]{0,40}", words in "([ \\n]|[0-9]|,|\"([a ]|\\\\[\\\\\"n])*\"){0,20}") {
            let (mut fast, mut short) = (std::vec![], std::vec![]);
            escape(text.as_bytes(), &mut |piece| fast.extend_from_slice(piece));
            escape_bytewise(text.as_bytes(), &mut |piece| short.extend_from_slice(piece));
            compact(Raw::trusted(&words), &mut |piece| fast.extend_from_slice(piece));
            compact_bytewise(words.as_bytes(), &mut |piece| short.extend_from_slice(piece));
            prop_assert_eq!(short, fast);
        }

        #[test]
        fn only_digits_are_a_number(text: std::string::String) {
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let expected = text.parse::<u64>().ok().filter(|_| plain);
            prop_assert_eq!(read_decimal(&text), expected);
        }
    }

    #[test]
    fn a_number_beyond_64_bits_is_none() {
        assert_eq!(read_decimal("18446744073709551615"), Some(u64::MAX));
        assert_eq!(read_decimal("18446744073709551616"), None);
        assert_eq!(read_decimal("99999999999999999999"), None);
    }
}
