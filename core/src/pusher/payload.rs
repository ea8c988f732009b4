//! Payloads to and from types, with serde.

use core::fmt;

use serde::Deserialize;
use serde_json_core::de::Error;

#[cfg(feature = "client-basic")]
use crate::error::TxFull;
#[cfg(feature = "client-basic")]
use crate::io::TxBuf;
#[cfg(feature = "client-basic")]
use crate::json::escape_into;
#[cfg(feature = "client-basic")]
use crate::websocket::{MessageKind, write_frame};

/// A payload that is not of the type that it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PayloadError {
    /// It is another type, or misses a member.
    Type,
    /// It is not JSON.
    Json,
    /// A text in it has escapes and is longer than the memory for unescaping.
    Memory,
}

/// Reads the payload of an event as a `T`. Numbers, booleans, texts, options, enums, arrays and structs are understood;
/// members that `T` does not have are ignored.
///
/// `data` is the event's, unescaped once. Texts *within* it that have escapes of their own are unescaped in `memory`, one at
/// a time, and need a type that owns its text, such as `heapless::String`; a `&str` in `T` borrows from `data` and is for
/// texts without escapes. Where no escapes are expected `memory` may be empty.
///
/// # Errors
/// [`PayloadError`].
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Led<'a> { on: bool, brightness: f32, label: heapless::String<16>, room: &'a str }
///
/// let data = r#"{"on":true,"brightness":0.5,"label":"door \"A\"","room":"hall","since":[1,2]}"#;
/// let mut memory = [0; 32];
/// let led: Led<'_> = tidings_core::pusher::parse_payload(data, &mut memory).unwrap();
/// assert_eq!((led.on, led.brightness, led.label.as_str(), led.room), (true, 0.5, "door \"A\"", "hall"));
/// ```
pub fn parse_payload<'a, T: Deserialize<'a>>(
    data: &'a str,
    memory: &mut [u8],
) -> Result<T, PayloadError> {
    match serde_json_core::from_str_escaped(data, memory) {
        Ok((value, used)) => {
            let rest = data.get(used..).unwrap_or_default();
            if rest.bytes().all(|byte| byte.is_ascii_whitespace()) {
                Ok(value)
            } else {
                Err(PayloadError::Json)
            }
        }
        Err(Error::EscapedStringIsTooLong) => Err(PayloadError::Memory),
        Err(error) if is_of_another_type(&error) => Err(PayloadError::Type),
        Err(_) => Err(PayloadError::Json),
    }
}

fn is_of_another_type(error: &Error) -> bool {
    matches!(
        error,
        Error::AnyIsUnsupported
            | Error::BytesIsUnsupported
            | Error::CustomError
            | Error::InvalidNumber
            | Error::InvalidType
    )
}

/// Writes a client event whose payload is a value.
#[cfg(feature = "client-basic")]
pub(super) fn encode_trigger_value(
    tx: &mut TxBuf<'_>,
    mask: [u8; 4],
    channel: &str,
    event: &str,
    value: &impl serde::Serialize,
) -> Result<(), TxFull> {
    write_frame(tx, Some(mask), MessageKind::Text, |tx| {
        tx.put(br#"{"event":""#)?;
        escape_into(tx, event)?;
        tx.put(br#"","data":"#)?;
        // There is one error: the buffer is full.
        let len = serde_json_core::to_slice(value, tx.spare_mut())
            .map_err(|_| TxFull { at_least: tx.remaining().saturating_add(1) })?;
        tx.commit(len);
        tx.put(br#","channel":""#)?;
        escape_into(tx, channel)?;
        tx.put(br#""}"#)
    })
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Type => "the payload is not of this type",
            Self::Json => "the payload is not json",
            Self::Memory => "the payload has a longer text with escapes than there is memory for",
        })
    }
}

impl core::error::Error for PayloadError {}
