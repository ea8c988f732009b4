//! UTF-8 over a message that arrives in parts (RFC 6455 section 8.1).

use super::error::PeerError;

#[cfg(not(feature = "small"))]
const WORD: usize = 8;
#[cfg(not(feature = "small"))]
const TOP_BITS: u64 = 0x8080_8080_8080_8080;

/// Checks `bytes`, which start at a character's start, and returns how many bytes at their end belong
/// to a character that is not yet complete (0 to 3).
///
/// An error is found at the first byte that no continuation can make valid.
#[cfg(not(feature = "small"))]
#[inline]
pub(crate) fn check(bytes: &[u8]) -> Result<u8, PeerError> {
    if is_ascii(bytes) { Ok(0) } else { check_slowly(bytes) }
}

/// Checks a whole text.
#[cfg(not(feature = "small"))]
#[inline]
pub(crate) fn check_whole(bytes: &[u8]) -> Result<(), PeerError> {
    match check(bytes)? {
        0 => Ok(()),
        _ => Err(PeerError::TextTruncated),
    }
}

/// As above, in few instructions: a byte at a time (Unicode 15.0, table 3-7).
#[cfg(feature = "small")]
#[inline(never)]
pub(crate) fn check(bytes: &[u8]) -> Result<u8, PeerError> {
    check_bytewise(bytes).ok_or(PeerError::TextInvalid)
}

/// How many bytes at the end belong to an incomplete character; `None` for what is not UTF-8.
#[cfg(any(test, feature = "small"))]
fn check_bytewise(bytes: &[u8]) -> Option<u8> {
    // What the character under way still needs, what there is of it, and where its next byte lies.
    let (mut missing, mut seen, mut low, mut high) = (0_u8, 0_u8, 0x80, 0xBF);
    for &byte in bytes {
        if missing > 0 {
            if byte < low || byte > high {
                return None;
            }
            missing = missing.wrapping_sub(1);
            seen = seen.wrapping_add(1);
            (low, high) = (0x80, 0xBF);
        } else if byte >= 0x80 {
            if !matches!(byte, 0xC2..=0xF4) {
                return None;
            }
            seen = 1;
            missing = 1_u8.wrapping_add((byte >= 0xE0).into()).wrapping_add((byte >= 0xF0).into());
            // Neither longer forms than needed, nor surrogates, nor anything above U+10FFFF.
            match byte {
                0xE0 => low = 0xA0,
                0xED => high = 0x9F,
                0xF0 => low = 0x90,
                0xF4 => high = 0x8F,
                _ => {}
            }
        }
    }
    Some(if missing > 0 { seen } else { 0 })
}

#[cfg(not(feature = "small"))]
fn check_slowly(bytes: &[u8]) -> Result<u8, PeerError> {
    let Err(error) = core::str::from_utf8(bytes) else {
        return Ok(0);
    };
    if error.error_len().is_some() {
        return Err(PeerError::TextInvalid);
    }
    // The standard library reports at most 3 bytes as an unfinished character.
    u8::try_from(bytes.len().saturating_sub(error.valid_up_to())).or(Err(PeerError::TextInvalid))
}

#[cfg(not(feature = "small"))]
#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<WORD>();
    let mut seen = 0;
    for chunk in words {
        seen |= u64::from_ne_bytes(*chunk);
    }
    for byte in rest {
        seen |= u64::from(*byte);
    }
    seen & TOP_BITS == 0
}

#[cfg(test)]
mod tests {
    use super::check_bytewise;

    fn by_the_standard_library(bytes: &[u8]) -> Option<u8> {
        match core::str::from_utf8(bytes) {
            Ok(_) => Some(0),
            Err(error) if error.error_len().is_some() => None,
            Err(error) => Some((bytes.len() - error.valid_up_to()) as u8),
        }
    }

    #[test]
    fn the_bytewise_check_agrees_with_the_standard_library_on_all_short_texts() {
        // Every byte at which a rule begins or ends, and its neighbours.
        let edges = [
            0, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC,
            0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF,
        ];
        for first in 0..=0xFF {
            for second in 0..=0xFF {
                assert_same(&[first]);
                assert_same(&[first, second]);
                for third in edges {
                    assert_same(&[first, second, third]);
                }
            }
        }
        for first in edges {
            for second in edges {
                for third in edges {
                    for fourth in edges {
                        assert_same(&[first, second, third, fourth, b'a']);
                    }
                }
            }
        }
    }

    fn assert_same(bytes: &[u8]) {
        assert_eq!(check_bytewise(bytes), by_the_standard_library(bytes), "{bytes:x?}");
    }
}
