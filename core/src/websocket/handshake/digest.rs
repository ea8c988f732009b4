//! SHA-1 and base64 as the opening handshake needs them: short input, few bytes of code.
//!
//! The crates for both are made for speed: SHA-1 is unrolled to 2.6 KB there, and base64 keeps a way to panic when it is
//! built for size. Here no secret is involved; the digest only shows that the server has read the key (RFC 6455
//! section 1.3).

/// SHA-1 (FIPS 180-4) of a message that comes byte by byte.
struct Sha1 {
    state: [u32; 5],
    /// The last 16 words of the schedule, first of all the block itself.
    words: [u32; 16],
    len: u32,
}

/// The SHA-1 digest of the pieces, one after the other.
pub(super) fn sha1(pieces: &[&[u8]]) -> [u8; 20] {
    let state = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    let mut sha1 = Sha1 { state, words: [0; 16], len: 0 };
    for piece in pieces {
        piece.iter().for_each(|byte| sha1.push(*byte));
    }
    let bits = u64::from(sha1.len).wrapping_mul(8);
    sha1.push(0x80);
    while sha1.len % 64 != 56 {
        sha1.push(0);
    }
    bits.to_be_bytes().iter().for_each(|byte| sha1.push(*byte));
    let mut digest = [0; 20];
    let mut out = digest.iter_mut();
    for word in sha1.state {
        out.by_ref().zip(word.to_be_bytes()).take(4).for_each(|(out, byte)| *out = byte);
    }
    digest
}

impl Sha1 {
    fn word(&self, at: u32) -> u32 {
        self.words.get((at & 15) as usize).copied().unwrap_or_default()
    }

    fn set_word(&mut self, at: u32, word: u32) {
        if let Some(place) = self.words.get_mut((at & 15) as usize) {
            *place = word;
        }
    }

    fn push(&mut self, byte: u8) {
        let at = self.len >> 2;
        self.set_word(at, self.word(at) << 8 | u32::from(byte));
        self.len = self.len.wrapping_add(1);
        if self.len.is_multiple_of(64) {
            self.compress();
        }
    }

    fn compress(&mut self) {
        let [mut a, mut b, mut c, mut d, mut e] = self.state;
        for t in 0..80u32 {
            if t >= 16 {
                let mixed = self.word(t.wrapping_sub(3))
                    ^ self.word(t.wrapping_sub(8))
                    ^ self.word(t.wrapping_sub(14))
                    ^ self.word(t);
                self.set_word(t, mixed.rotate_left(1));
            }
            let (f, k) = match t {
                0..20 => (b & c | !b & d, 0x5A82_7999),
                20..40 => (b ^ c ^ d, 0x6ED9_EBA1),
                40..60 => (b & c | b & d | c & d, 0x8F1B_BCDC),
                _ => (b ^ c ^ d, 0xCA62_C1D6u32),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(f)
                .wrapping_add(e)
                .wrapping_add(k)
                .wrapping_add(self.word(t));
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (state, word) in self.state.iter_mut().zip([a, b, c, d, e]) {
            *state = state.wrapping_add(word);
        }
    }
}

/// Writes `input` in base64 with padding (RFC 4648 section 4) as far as `out` takes it.
pub(super) fn base64(mut input: &[u8], mut out: &mut [u8]) {
    while let Some((group, out_rest)) = out.split_first_chunk_mut::<4>() {
        let (bytes, used) = match input {
            [] => return,
            [a] => ([*a, 0, 0], 1),
            [a, b] => ([*a, *b, 0], 2),
            [a, b, c, ..] => ([*a, *b, *c], 3usize),
        };
        let [a, b, c] = bytes.map(u32::from);
        let bits = a << 16 | b << 8 | c;
        *group = [18u32, 12, 6, 0].map(|shift| digit(bits >> shift & 63));
        let [_, _, third, fourth] = group;
        if used < 3 {
            *fourth = b'=';
        }
        if used < 2 {
            *third = b'=';
        }
        input = input.get(used..).unwrap_or_default();
        out = out_rest;
    }
}

const fn digit(value: u32) -> u8 {
    let value = value.to_le_bytes()[0];
    match value {
        0..26 => b'A'.wrapping_add(value),
        26..52 => b'a'.wrapping_sub(26).wrapping_add(value),
        52..62 => b'0'.wrapping_add(value).wrapping_sub(52),
        62 => b'+',
        _ => b'/',
    }
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64, Encoding};
    use proptest::prelude::*;
    use std::vec;

    proptest! {
        #[test]
        fn digests_are_those_of_the_crates(
            first in prop::collection::vec(any::<u8>(), 0..200),
            second in prop::collection::vec(any::<u8>(), 0..70),
        ) {
            use sha1::{Digest, Sha1};
            let theirs = Sha1::new().chain_update(&first).chain_update(&second).finalize();
            prop_assert_eq!(super::sha1(&[&first, &second]), <[u8; 20]>::from(theirs));

            let text = Base64::encode_string(&first);
            let mut ours = vec![0; text.len()];
            super::base64(&first, &mut ours);
            prop_assert_eq!(ours, text.into_bytes());
        }
    }
}
