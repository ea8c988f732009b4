//! UTF-8 over a message that arrives in parts (RFC 6455 section 8.1).

use super::error::PeerError;

const WORD: usize = 8;
const TOP_BITS: u64 = 0x8080_8080_8080_8080;

/// Checks `bytes`, which start at a character's start, and returns how many bytes at their end belong
/// to a character that is not yet complete (0 to 3).
///
/// An error is found at the first byte that no continuation can make valid.
#[inline]
pub(crate) fn check(bytes: &[u8]) -> Result<u8, PeerError> {
    if is_ascii(bytes) { Ok(0) } else { check_slowly(bytes) }
}

/// Checks a whole text.
#[inline]
pub(crate) fn check_whole(bytes: &[u8]) -> Result<(), PeerError> {
    match check(bytes)? {
        0 => Ok(()),
        _ => Err(PeerError::TextTruncated),
    }
}

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
