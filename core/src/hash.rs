//! SHA-1 and SHA-256 in few bytes of code.
//!
//! The crates for both are made for speed: SHA-1 is unrolled to 2.6 KB there. The opening handshake hashes with SHA-1, where
//! no secret is involved: the digest only shows that the server has read the key (RFC 6455 section 1.3). SHA-256 is for the
//! feature `small`. Both are sums, rotations and logic on whole words, whose time does not depend on what is hashed.

/// Mixes a block into the state; the block's memory is then worn out.
type Compress = fn(&mut [u32; 8], &mut [u32; 16]);

/// A digest that is under way, of a message that comes byte by byte.
pub(crate) struct Hash {
    /// SHA-1 has five words.
    state: [u32; 8],
    words: [u32; 16],
    len: u32,
    /// A pointer, so that a program with one algorithm has not the code of both.
    compress: Compress,
}

impl Hash {
    /// Hashes with SHA-1.
    #[cfg(any(feature = "client-basic", feature = "server"))]
    pub(crate) fn sha1<T>(work: impl FnOnce(&mut Self) -> T) -> T {
        static START: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
        let mut hash = Self::new(0, compress_sha1);
        hash.start(&START);
        work(&mut hash)
    }

    /// Hashes with SHA-256.
    #[cfg(any(test, feature = "small"))]
    pub(crate) fn sha256<T>(work: impl FnOnce(&mut Self) -> T) -> T {
        static START: [u32; 8] = [
            0x6a09_e667,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19,
        ];
        let mut hash = Self::new(0, compress_sha256);
        hash.start(&START);
        work(&mut hash)
    }

    /// Hashes with SHA-256 behind a block that led to this state.
    #[cfg(any(test, feature = "small"))]
    pub(crate) fn sha256_behind_a_block<T>(
        state: &[u32; 8],
        work: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mut hash = Self::new(64, compress_sha256);
        hash.start(state);
        work(&mut hash)
    }

    const fn new(len: u32, compress: Compress) -> Self {
        Self { state: [0; 8], words: [0; 16], len, compress }
    }

    /// In place, as a move would be a call of the copying routine.
    fn start(&mut self, state: &[u32]) {
        for (word, start) in self.state.iter_mut().zip(state) {
            *word = *start;
        }
    }

    /// The state between two blocks.
    #[cfg(any(test, feature = "small"))]
    pub(crate) const fn state(&self) -> &[u32; 8] {
        &self.state
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.push(*byte));
    }

    #[inline(never)]
    pub(crate) fn push(&mut self, byte: u8) {
        if let Some(word) = self.words.get_mut((self.len >> 2 & 15) as usize) {
            *word = *word << 8 | u32::from(byte);
        }
        self.len = self.len.wrapping_add(1);
        if self.len & 63 == 0 {
            (self.compress)(&mut self.state, &mut self.words);
        }
    }

    /// Ends the message; `digest` gets as many words as it takes.
    pub(crate) fn finish(&mut self, digest: &mut [u8]) {
        let len = self.len;
        self.push(0x80);
        while self.len & 63 != 56 {
            self.push(0);
        }
        let [.., high, low] = &mut self.words;
        (*high, *low) = (len >> 29, len << 3);
        (self.compress)(&mut self.state, &mut self.words);
        let (words, _) = digest.as_chunks_mut::<4>();
        for (four, word) in words.iter_mut().zip(&self.state) {
            *four = word.to_be_bytes();
        }
    }
}

#[inline]
fn word(words: &[u32; 16], at: u32) -> u32 {
    words.get((at & 15) as usize).copied().unwrap_or_default()
}

/// Puts the next word of the schedule in the place of the one that is 16 words back.
#[inline]
fn schedule(words: &mut [u32; 16], at: u32, next: u32) -> u32 {
    if let Some(place) = words.get_mut((at & 15) as usize) {
        *place = next;
    }
    next
}

/// FIPS 180-4, section 6.1.2.
#[cfg(any(feature = "client-basic", feature = "server"))]
fn compress_sha1(state: &mut [u32; 8], words: &mut [u32; 16]) {
    let [mut a, mut b, mut c, mut d, mut e, ..] = *state;
    for t in 0..80u32 {
        let mut w = word(words, t);
        if t >= 16 {
            w ^= word(words, t.wrapping_sub(3));
            w ^= word(words, t.wrapping_sub(8));
            w ^= word(words, t.wrapping_sub(14));
            w = schedule(words, t, w.rotate_left(1));
        }
        let (f, k) = match t {
            0..20 => (b & c | !b & d, 0x5A82_7999),
            20..40 => (b ^ c ^ d, 0x6ED9_EBA1),
            40..60 => (b & c | b & d | c & d, 0x8F1B_BCDC),
            _ => (b ^ c ^ d, 0xCA62_C1D6u32),
        };
        let next = a.rotate_left(5).wrapping_add(f).wrapping_add(e).wrapping_add(k).wrapping_add(w);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
    }
    add(state, &[a, b, c, d, e]);
}

/// FIPS 180-4, section 6.2.2.
#[cfg(any(test, feature = "small"))]
fn compress_sha256(state: &mut [u32; 8], words: &mut [u32; 16]) {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for (t, k) in (0u32..).zip(&K) {
        let mut w = word(words, t);
        if t >= 16 {
            let (near, far) = (word(words, t.wrapping_sub(2)), word(words, t.wrapping_sub(15)));
            w = w
                .wrapping_add(near.rotate_right(17) ^ near.rotate_right(19) ^ near >> 10)
                .wrapping_add(word(words, t.wrapping_sub(7)))
                .wrapping_add(far.rotate_right(7) ^ far.rotate_right(18) ^ far >> 3);
            schedule(words, t, w);
        }
        let first = h
            .wrapping_add(e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25))
            .wrapping_add(e & f ^ !e & g)
            .wrapping_add(*k)
            .wrapping_add(w);
        let second = (a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22))
            .wrapping_add(a & b ^ a & c ^ b & c);
        (h, g, f, e) = (g, f, e, d.wrapping_add(first));
        (d, c, b, a) = (c, b, a, first.wrapping_add(second));
    }
    add(state, &[a, b, c, d, e, f, g, h]);
}

#[inline]
fn add(state: &mut [u32; 8], mixed: &[u32]) {
    for (state, mixed) in state.iter_mut().zip(mixed) {
        *state = state.wrapping_add(*mixed);
    }
}

#[cfg(any(test, feature = "small"))]
static K: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha1::Digest;

    use super::*;

    fn ours<const N: usize>(hash: &mut Hash, pieces: [&[u8]; 2]) -> [u8; N] {
        pieces.iter().for_each(|piece| hash.update(piece));
        let mut digest = [0; N];
        hash.finish(&mut digest);
        digest
    }

    proptest! {
        #[test]
        fn digests_are_those_of_the_crates(
            first in prop::collection::vec(any::<u8>(), 0..200),
            second in prop::collection::vec(any::<u8>(), 0..70),
        ) {
            let theirs = sha2::Sha256::new().chain_update(&first).chain_update(&second).finalize();
            prop_assert_eq!(Hash::sha256(|hash| ours(hash, [&first, &second])), <[u8; 32]>::from(theirs));
            #[cfg(any(feature = "client-basic", feature = "server"))]
            {
                let theirs = sha1::Sha1::new().chain_update(&first).chain_update(&second).finalize();
                prop_assert_eq!(Hash::sha1(|hash| ours(hash, [&first, &second])), <[u8; 20]>::from(theirs));
            }
        }
    }

    #[test]
    fn a_digest_is_the_same_at_every_length_around_a_block() {
        let bytes = [0xA5; 200];
        for len in 0..bytes.len() {
            let expected = <[u8; 32]>::from(sha2::Sha256::digest(&bytes[..len]));
            let digest = Hash::sha256(|hash| ours(hash, [&bytes[..len], b""]));
            assert_eq!(digest, expected, "{len}");
        }
    }
}
