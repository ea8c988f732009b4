//! The payloads of encrypted channels, as they stand in `data`: `{"nonce":"…","ciphertext":"…"}`.

use core::ops::Range;

use base64ct::{Base64, Encoding};

use super::fields::fields;
use crate::auth::{NONCE_LEN, OpenError, SharedSecret, TAG_LEN};
use crate::error::TxFull;
use crate::io::TxBuf;

const BEFORE_NONCE: &str = r#"{"nonce":""#;
const BEFORE_TEXT: &str = r#"","ciphertext":""#;
const END: &str = r#""}"#;
/// What stands around the digits of the sealed payload.
const AROUND: usize = BEFORE_NONCE.len() + NONCE_DIGITS + BEFORE_TEXT.len() + END.len();
/// 24 bytes in base64.
const NONCE_DIGITS: usize = 32;

/// Seals `payload` and writes what becomes the `data` of the event: a JSON object, to be sent as a string.
///
/// `payload` is JSON text, as the official SDKs have it. No two payloads may have one `nonce`: take it from a good source
/// of randomness.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn encode_encrypted(
    tx: &mut TxBuf<'_>,
    secret: &SharedSecret,
    nonce: [u8; NONCE_LEN],
    payload: &str,
) -> Result<(), TxFull> {
    let sealed_len = payload.len().saturating_add(TAG_LEN);
    let digits = sealed_len.div_ceil(3).saturating_mul(4);
    tx.reserve(digits.saturating_add(AROUND))?;
    let mut nonce_text = [0; NONCE_DIGITS];
    let nonce_text = Base64::encode(&nonce, &mut nonce_text).unwrap_or_default();
    for piece in [BEFORE_NONCE, nonce_text, BEFORE_TEXT] {
        tx.put(piece.as_bytes())?;
    }
    // The bytes stand at the end of the place that their digits take, which are written from its start and never reach
    // bytes that are still to be read.
    let place = tx.spare_mut().get_mut(..digits).unwrap_or_default();
    let from = digits.saturating_sub(sealed_len);
    let (tag, text) =
        place.get_mut(from..).unwrap_or_default().split_at_mut_checked(TAG_LEN).unwrap_or_default();
    text.copy_from_slice(payload.as_bytes());
    tag.copy_from_slice(&secret.seal_in_place(&nonce, text));
    encode_forward(place, from);
    tx.commit(digits);
    tx.put(END.as_bytes())
}

/// Replaces the bytes from `from` on by their base64, from the start of `place`.
fn encode_forward(place: &mut [u8], mut from: usize) {
    let mut to = 0usize;
    while let Some(rest) = place.get(from..)
        && !rest.is_empty()
    {
        let mut three = [0; 3];
        let count = rest.len().min(3);
        let group = three.get_mut(..count).unwrap_or_default();
        group.copy_from_slice(rest.get(..count).unwrap_or_default());
        let mut four = [0; 4];
        let digits = Base64::encode(group, &mut four).unwrap_or_default();
        if let Some(out) = place.get_mut(to..to.saturating_add(4)) {
            out.copy_from_slice(digits.as_bytes());
        }
        from = from.saturating_add(count);
        to = to.saturating_add(4);
    }
}

/// Opens a payload where it stands: `data` is the unescaped text, which is overwritten. Returns the plain text's place.
///
/// # Errors
/// [`OpenError`] when `data` has another form, was not sealed with this secret, or its text is not UTF-8.
pub fn open_encrypted(secret: &SharedSecret, data: &mut [u8]) -> Result<Range<usize>, OpenError> {
    let text = core::str::from_utf8(data).map_err(|_| OpenError)?;
    let [nonce, sealed] = fields(text, ["nonce", "ciphertext"]).map_err(|_| OpenError)?;
    let nonce_place = nonce.and_then(|field| field.unescape(data)).ok_or(OpenError)?;
    let mut nonce = [0; NONCE_LEN];
    let digits = data.get(nonce_place).unwrap_or_default();
    let read = Base64::decode(digits, &mut nonce).map_err(|_| OpenError)?;
    if read.len() != NONCE_LEN {
        return Err(OpenError);
    }
    let place = sealed.and_then(|field| field.unescape(data)).ok_or(OpenError)?;
    let start = place.start.saturating_add(TAG_LEN);
    let digits = data.get_mut(place.clone()).unwrap_or_default();
    let len = Base64::decode_in_place(digits).map_err(|_| OpenError)?.len();
    let sealed = digits.get_mut(..len).unwrap_or_default();
    let text = secret.open_in_place(&nonce, sealed)?;
    core::str::from_utf8(text).map_err(|_| OpenError)?;
    Ok(start..start.saturating_add(text.len()))
}
