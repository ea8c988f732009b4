//! Masking: payload bytes xor a repeated 4-byte key (RFC 6455 section 5.3), word by word.

/// What is worked on at a time. The loops over words are plain, so that the compiler can put them into
/// vector registers where there are any.
#[cfg(target_pointer_width = "64")]
type Word = u64;
#[cfg(not(target_pointer_width = "64"))]
type Word = u32;

/// Its bytes.
const WORD: usize = size_of::<Word>();

/// Words that make a block: as many as the compiler unrolls and turns into vector operations. Small
/// devices go without.
#[cfg(target_pointer_width = "64")]
const BLOCK: usize = 8;

/// The top bit of each byte of a word.
const TOP_BITS: Word = Word::from_ne_bytes([0x80; WORD]);

/// A masking key and the place in it, so that a payload can be masked or unmasked in parts.
///
/// ```
/// use tidings_core::websocket::Mask;
///
/// let mut payload = *b"hello";
/// Mask::new([1, 2, 3, 4]).apply(&mut payload);
/// assert_eq!(payload, [b'h' ^ 1, b'e' ^ 2, b'l' ^ 3, b'l' ^ 4, b'o' ^ 1]);
///
/// let (left, right) = payload.split_at_mut(3);
/// let mut mask = Mask::new([1, 2, 3, 4]);
/// mask.apply(left);
/// mask.apply(right);
/// assert_eq!(&payload, b"hello");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mask {
    /// The key, turned so that the part for the next byte is lowest.
    key: u32,
}

impl Mask {
    /// The mask with this key, at the start of a payload.
    #[must_use]
    pub const fn new(key: [u8; 4]) -> Self {
        Self { key: u32::from_le_bytes(key) }
    }

    /// The part of the key for the next four bytes.
    pub(super) const fn bytes(self) -> [u8; 4] {
        self.key.to_le_bytes()
    }

    /// Masks or unmasks the next bytes of a payload.
    #[inline]
    pub fn apply(&mut self, payload: &mut [u8]) {
        if cfg!(feature = "small") {
            return self.apply_bytewise(payload);
        }
        let word = self.word();
        let (words, rest) = payload.as_chunks_mut::<WORD>();
        #[cfg(target_pointer_width = "64")]
        let words = {
            let (blocks, words) = words.as_chunks_mut::<BLOCK>();
            for block in blocks {
                for chunk in block {
                    *chunk = (Word::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
                }
            }
            words
        };
        for chunk in words {
            *chunk = (Word::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(word.to_ne_bytes()) {
            *byte ^= key;
        }
        self.turn(rest.len());
    }

    /// In few instructions.
    fn apply_bytewise(&mut self, payload: &mut [u8]) {
        for byte in payload {
            *byte ^= self.key.to_le_bytes()[0];
            self.key = self.key.rotate_right(8);
        }
    }

    /// As [`apply`](Self::apply), and tells in the same pass whether the outcome is all ASCII.
    #[inline]
    pub(crate) fn apply_and_see_ascii(&mut self, payload: &mut [u8]) -> bool {
        let ascii = self.unmask_text(payload);
        self.turn(payload.len());
        ascii
    }

    /// As [`apply_and_see_ascii`](Self::apply_and_see_ascii), for a payload that is all there.
    #[inline]
    pub(crate) fn unmask_text(self, payload: &mut [u8]) -> bool {
        let word = self.word();
        let (words, rest) = payload.as_chunks_mut::<WORD>();
        let mut seen = 0;
        for chunk in words {
            let value = Word::from_ne_bytes(*chunk) ^ word;
            *chunk = value.to_ne_bytes();
            seen |= value;
        }
        for (byte, key) in rest.iter_mut().zip(word.to_ne_bytes()) {
            *byte ^= key;
            seen |= Word::from(*byte);
        }
        seen & TOP_BITS == 0
    }

    /// Writes `source`, masked, to the start of `out`; `out` is at least as long.
    #[inline]
    pub(crate) fn copy(self, source: &[u8], out: &mut [u8]) {
        let Some(out) = out.get_mut(..source.len()) else {
            return;
        };
        let word = self.word();
        let (words, rest) = source.as_chunks::<WORD>();
        let (out_words, out_rest) = out.as_chunks_mut::<WORD>();
        #[cfg(target_pointer_width = "64")]
        let (words, out_words) = {
            let (blocks, words) = words.as_chunks::<BLOCK>();
            let (out_blocks, out_words) = out_words.as_chunks_mut::<BLOCK>();
            for (from, to) in blocks.iter().zip(out_blocks) {
                for (from, to) in from.iter().zip(to) {
                    *to = (Word::from_ne_bytes(*from) ^ word).to_ne_bytes();
                }
            }
            (words, out_words)
        };
        for (from, to) in words.iter().zip(out_words) {
            *to = (Word::from_ne_bytes(*from) ^ word).to_ne_bytes();
        }
        for ((from, to), key) in rest.iter().zip(out_rest).zip(word.to_ne_bytes()) {
            *to = from ^ key;
        }
    }

    /// The key as often as it fits into a word, in memory order.
    #[inline]
    const fn word(self) -> Word {
        let key = self.key.to_le();
        #[cfg(target_pointer_width = "64")]
        return (key as u64) << 32 | key as u64;
        #[cfg(not(target_pointer_width = "64"))]
        key
    }

    /// Goes on by `n` bytes.
    #[inline]
    fn turn(&mut self, n: usize) {
        let bits = u32::try_from(n & 3).unwrap_or(0).wrapping_mul(8);
        self.key = self.key.rotate_right(bits);
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// The definition: octet i of the payload xor octet i modulo 4 of the key.
    fn by_definition(key: [u8; 4], payload: &[u8]) -> Vec<u8> {
        payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect()
    }

    proptest! {
        #[test]
        fn masking_follows_the_definition_however_it_is_cut(
            key: [u8; 4],
            payload in prop::collection::vec(any::<u8>(), 0..200),
            cuts in prop::collection::vec(0_usize..40, 0..8),
        ) {
            let mut masked = payload.clone();
            let mut mask = Mask::new(key);
            let mut rest = &mut masked[..];
            for cut in cuts {
                let (part, behind) = rest.split_at_mut(cut.min(rest.len()));
                mask.apply(part);
                rest = behind;
            }
            mask.apply(rest);
            let mut singly = payload.clone();
            let (left, right) = singly.split_at_mut(payload.len() / 3);
            let mut mask = Mask::new(key);
            mask.apply_bytewise(left);
            mask.apply_bytewise(right);
            let expected = by_definition(key, &payload);
            prop_assert_eq!(&masked, &expected);
            prop_assert_eq!(&singly, &expected);
        }

        #[test]
        fn the_watched_and_the_copying_way_give_the_same(
            key: [u8; 4],
            payload in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let expected = by_definition(key, &payload);
            let mut watched = payload.clone();
            let ascii = Mask::new(key).apply_and_see_ascii(&mut watched);
            prop_assert_eq!(&watched, &expected);
            prop_assert_eq!(ascii, expected.is_ascii());
            let mut copied = std::vec![0; payload.len()];
            Mask::new(key).copy(&payload, &mut copied);
            prop_assert_eq!(&copied, &expected);
        }

        #[test]
        fn one_byte_beyond_ascii_is_seen_wherever_it_is(len in 1_usize..100, at: prop::sample::Index, key: [u8; 4]) {
            let mut text = std::vec![b'a'; len];
            text[at.index(len)] = 0x80;
            let mut masked = by_definition(key, &text);
            prop_assert!(!Mask::new(key).apply_and_see_ascii(&mut masked));
        }
    }
}
