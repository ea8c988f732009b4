//! Which bytes may stand where in an HTTP head.

/// Whether eight bytes are looked at at once: on small devices that is not worth its code.
const WIDE: bool = cfg!(target_pointer_width = "64");

/// The length of the longest prefix that is a token (RFC 9110 section 5.6.2): a method or a field's name.
pub(super) fn token_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|&b| !is_token(b)).unwrap_or(bytes.len())
}

/// The length of the longest prefix without white space and control characters: a request's target.
pub(super) fn target_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|&b| b <= b' ' || b == 0x7F).unwrap_or(bytes.len())
}

/// The length of the longest prefix without control characters other than the tab: a field's value.
pub(super) fn text_len(bytes: &[u8]) -> usize {
    let mut start = 0_usize;
    if WIDE {
        let (words, _) = bytes.as_chunks::<8>();
        let clean = words.iter().take_while(|w| !has_control(u64::from_ne_bytes(**w))).count();
        start = clean.saturating_mul(8);
    }
    let tail = bytes.get(start..).unwrap_or_default();
    let more = tail.iter().position(|&b| !is_text(b)).unwrap_or(tail.len());
    start.saturating_add(more)
}

/// Whether every byte may stand in a field's value.
#[cfg(feature = "client-basic")]
pub(super) fn is_text_only(bytes: &[u8]) -> bool {
    text_len(bytes) == bytes.len()
}

/// Whether `bytes` is one token and not empty.
#[cfg(feature = "client-basic")]
pub(super) fn is_token_only(bytes: &[u8]) -> bool {
    !bytes.is_empty() && token_len(bytes) == bytes.len()
}

const fn is_text(b: u8) -> bool {
    matches!(b, b'\t' | 0x20..=0x7E | 0x80..)
}

fn is_token(b: u8) -> bool {
    /// One bit for each of the 128 ASCII characters.
    static TOKEN: [u32; 4] = token_bits();
    TOKEN.get(usize::from(b >> 5)).is_some_and(|bits| bits >> (b & 31) & 1 == 1)
}

const fn token_bits() -> [u32; 4] {
    let mut all = 0_u128;
    let mut b = 0_u8;
    while b < 128 {
        let token = b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
            )
            || matches!(b, b'`' | b'|' | b'~');
        all |= (token as u128) << b;
        b = b.wrapping_add(1);
    }
    [part(all), part(all >> 32), part(all >> 64), part(all >> 96)]
}

const fn part(bits: u128) -> u32 {
    (bits & 0xFFFF_FFFF) as u32
}

/// Whether one of the eight bytes is below 0x20 or is 0x7F; a tab counts too.
const fn has_control(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let below_space = word.wrapping_sub(ONES * 0x20) & !word & TOPS;
    let delete = word ^ (ONES * 0x7F);
    let is_delete = delete.wrapping_sub(ONES) & !delete & TOPS;
    below_space | is_delete != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_of_any_value_at_any_place_is_judged_alike() {
        for value in 0..=u8::MAX {
            for place in 0..20 {
                let mut bytes = [b'a'; 20];
                bytes[place] = value;
                let text = value == b'\t' || (value >= 0x20 && value != 0x7F);
                assert_eq!(text_len(&bytes), if text { 20 } else { place }, "{value} at {place}");
                let visible = value > 0x20 && value != 0x7F;
                assert_eq!(target_len(&bytes), if visible { 20 } else { place });
                let token = value.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&value);
                assert_eq!(token_len(&bytes), if token { 20 } else { place });
            }
        }
    }
}
