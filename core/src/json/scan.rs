//! Finding the few bytes that matter, eight at a time.

/// Whether it is worth its code: on small devices bytes are looked at one by one.
const WIDE: bool = cfg!(target_pointer_width = "64");

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;
const QUOTES: u64 = 0x2222_2222_2222_2222;
const BACKSLASHES: u64 = 0x5c5c_5c5c_5c5c_5c5c;
const SPACES: u64 = 0x2020_2020_2020_2020;

/// How many bytes from the front need no attention in a string: no quote, no backslash, no control character.
pub(super) fn plain_len(bytes: &[u8]) -> usize {
    run_len(bytes, special, |byte| byte == b'"' || byte == b'\\' || byte < 0x20)
}

/// How many bytes stand before the first backslash.
pub(super) fn until_backslash(bytes: &[u8]) -> usize {
    run_len(
        bytes,
        |word| {
            let backslash = word ^ BACKSLASHES;
            backslash.wrapping_sub(ONES) & !backslash
        },
        |byte| byte == b'\\',
    )
}

/// How many bytes escaping adds; `more` tells it for one byte.
pub(super) fn escape_growth(bytes: &[u8], more: impl Fn(u8) -> usize) -> usize {
    let mut growth = 0usize;
    if !WIDE {
        return bytes.iter().fold(growth, |sum, byte| sum.wrapping_add(more(*byte)));
    }
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        if special(u64::from_le_bytes(*word)) & HIGH != 0 {
            growth = word.iter().fold(growth, |sum, byte| sum.wrapping_add(more(*byte)));
        }
    }
    if !may_hit(bytes, rest, special) {
        return growth;
    }
    rest.iter().fold(growth, |sum, byte| sum.wrapping_add(more(*byte)))
}

/// Whether there can be a hit in `rest`, the bytes behind the last whole word: asked of the last eight bytes at once.
#[inline(always)]
fn may_hit(bytes: &[u8], rest: &[u8], hits: impl Fn(u64) -> u64) -> bool {
    match bytes.last_chunk::<8>() {
        Some(last) => hits(u64::from_le_bytes(*last)) & HIGH != 0,
        None => !rest.is_empty(),
    }
}

/// The high bit of every byte that needs attention in a string.
///
/// A zero byte gives its high bit; a borrow can only add false hits above a true one, and the lowest counts.
#[inline(always)]
const fn special(word: u64) -> u64 {
    let quote = word ^ QUOTES;
    let backslash = word ^ BACKSLASHES;
    (word.wrapping_sub(SPACES) & !word)
        | (quote.wrapping_sub(ONES) & !quote)
        | (backslash.wrapping_sub(ONES) & !backslash)
}

#[inline(always)]
fn run_len(bytes: &[u8], hits: impl Fn(u64) -> u64, hit: impl Fn(u8) -> bool) -> usize {
    let mut len = 0usize;
    if !WIDE {
        return bytes.iter().position(|&byte| hit(byte)).unwrap_or(bytes.len());
    }
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let found = hits(u64::from_le_bytes(*word)) & HIGH;
        if found != 0 {
            // At most 7.
            return len.wrapping_add(found.trailing_zeros().wrapping_shr(3) as usize);
        }
        len = len.wrapping_add(8);
    }
    if !may_hit(bytes, rest, hits) {
        return bytes.len();
    }
    len.wrapping_add(rest.iter().position(|&byte| hit(byte)).unwrap_or(rest.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn eight_at_a_time_finds_what_one_at_a_time_finds(bytes: std::vec::Vec<u8>) {
            let plain = bytes.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20);
            prop_assert_eq!(plain_len(&bytes), plain.unwrap_or(bytes.len()));
            let backslash = bytes.iter().position(|&b| b == b'\\');
            prop_assert_eq!(until_backslash(&bytes), backslash.unwrap_or(bytes.len()));
        }
    }

    #[test]
    fn every_byte_value_is_sorted_right_at_every_place_of_a_word() {
        for place in 0..8 {
            for byte in 0..=255u8 {
                let mut word = [b'a'; 9];
                word[place] = byte;
                let special = byte == b'"' || byte == b'\\' || byte < 0x20;
                assert_eq!(plain_len(&word), if special { place } else { 9 }, "{byte} at {place}");
            }
        }
    }
}
