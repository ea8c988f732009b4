//! What a client sends; each frame with a fresh masking key.

use super::sink::text_frame;
use crate::error::TxFull;
use crate::io::TxBuf;
use crate::json::Raw;

/// Writes `pusher:subscribe`, in the words of the official JavaScript client.
///
/// `auth` and `channel_data` are what the authorisation endpoint answered, unchanged: the signature covers their
/// exact characters. Without `auth` an empty one is sent, as for a public channel. `resume_from`, the last [serial] that
/// was seen or `latest`, asks a server that keeps events for those since then: an extension that others ignore.
///
/// [serial]: crate::pusher::Serial
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn encode_subscribe(
    tx: &mut TxBuf<'_>,
    mask: [u8; 4],
    channel: &str,
    auth: Option<&str>,
    channel_data: Option<&str>,
    resume_from: Option<&str>,
) -> Result<(), TxFull> {
    text_frame(tx, Some(mask), &|out| {
        out.open("pusher:subscribe");
        out.text(r#","data":{"auth":""#);
        out.escaped(auth.unwrap_or_default());
        out.text("\"");
        if let Some(channel_data) = channel_data {
            out.member("channel_data", channel_data);
        }
        if let Some(resume_from) = resume_from {
            out.member("resume_from", resume_from);
        }
        out.channel(channel);
        out.text("}}");
    })
}

/// Writes `pusher:unsubscribe`.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn encode_unsubscribe(tx: &mut TxBuf<'_>, mask: [u8; 4], channel: &str) -> Result<(), TxFull> {
    text_frame(tx, Some(mask), &|out| {
        out.open("pusher:unsubscribe");
        out.text(r#","data":{"channel":""#);
        out.escaped(channel);
        out.text(r#""}}"#);
    })
}

/// Writes `pusher:signin` with what the authorisation endpoint answered.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn encode_signin(
    tx: &mut TxBuf<'_>,
    mask: [u8; 4],
    auth: &str,
    user_data: &str,
) -> Result<(), TxFull> {
    text_frame(tx, Some(mask), &|out| {
        out.open("pusher:signin");
        out.text(r#","data":{"auth":""#);
        out.escaped(auth);
        out.text("\"");
        out.member("user_data", user_data);
        out.text("}}");
    })
}

/// The payload of an event that a client triggers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggerData<'a> {
    /// A JSON value, sent without white space.
    Json(Raw<'a>),
    /// Any text, sent as a string.
    Text(&'a str),
}

/// Writes a client event; `event` starts with `client-`.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn encode_trigger(
    tx: &mut TxBuf<'_>,
    mask: [u8; 4],
    channel: &str,
    event: &str,
    data: Option<TriggerData<'_>>,
) -> Result<(), TxFull> {
    text_frame(tx, Some(mask), &|out| {
        out.text(r#"{"event":""#);
        out.escaped(event);
        out.text("\"");
        match data {
            Some(TriggerData::Json(value)) => {
                out.text(r#","data":"#);
                out.compact(value);
            }
            Some(TriggerData::Text(text)) => out.member("data", text),
            None => {}
        }
        out.channel(channel);
        out.text("}");
    })
}
