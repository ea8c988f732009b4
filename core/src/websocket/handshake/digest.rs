//! Base64 as the opening handshake needs it: the crate for it keeps a way to panic when it is built for size.

/// Fills `out` with `input` in base64 with padding (RFC 4648 section 4).
pub(super) fn base64(input: &[u8], out: &mut [u8]) {
    for (place, out) in out.iter_mut().enumerate() {
        // Each digit takes six bits, which lie in one byte or two.
        let bit = place.wrapping_mul(6);
        let at = bit >> 3;
        let second = input.get(at.wrapping_add(1)).copied().unwrap_or_default();
        *out = match input.get(at) {
            Some(first) => {
                let bits = u32::from(*first) << 8 | u32::from(second);
                digit(bits << (bit & 7) >> 10 & 63)
            }
            None => b'=',
        };
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
