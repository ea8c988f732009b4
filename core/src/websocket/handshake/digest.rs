//! Base64 as the opening handshake needs it: the crate for it keeps a way to panic when it is built for size.

/// Fills `out` with `input` in base64 with padding (RFC 4648 section 4).
pub(super) fn base64(input: &[u8], out: &mut [u8]) {
    let mut input = input.iter();
    let (mut bits, mut have) = (0_u32, 0_u32);
    for out in out {
        if have < 6 {
            match input.next() {
                Some(byte) => {
                    bits = bits << 8 | u32::from(*byte);
                    have = have.wrapping_add(8);
                }
                None if have == 0 => {
                    *out = b'=';
                    continue;
                }
                // The last bits, with zeros behind them.
                None => {
                    bits <<= 6_u32.wrapping_sub(have) & 7;
                    have = 6;
                }
            }
        }
        have = have.wrapping_sub(6);
        *out = digit(bits >> (have & 15) & 63);
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
        fn base64_is_that_of_the_crate(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = Base64::encode_string(&bytes);
            let mut ours = vec![0; text.len()];
            super::base64(&bytes, &mut ours);
            prop_assert_eq!(ours, text.into_bytes());
        }
    }
}
