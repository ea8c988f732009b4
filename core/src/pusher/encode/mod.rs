//! Messages into the output buffer: one whole WebSocket text frame each, or nothing.
//!
//! The length is computed before the first byte is written, so a [`TxFull`](crate::error::TxFull) names
//! exactly the room that the frame takes.
//!
//! What a server sends has its `data` as a JSON *string*, because some official clients read nothing else, with
//! two exceptions that other clients need as an object: `pusher:error` (and its relative,
//! `pusher:subscription_error`), and ping and pong.

mod client;
mod data;
mod log;
mod server;
mod sink;
#[cfg(test)]
mod tests;

use crate::error::TxFull;
use crate::io::TxBuf;

pub use client::{
    TriggerData, encode_signin, encode_subscribe, encode_trigger, encode_unsubscribe,
};
pub use data::{ClientData, EventData};
pub use log::{encode_logged_event, encode_resumed};
pub use server::{
    SubscriptionErrorKind, encode_cache_miss, encode_channel_event, encode_connection_established,
    encode_error, encode_member_added, encode_member_removed, encode_presence_succeeded,
    encode_signin_success, encode_subscription_count, encode_subscription_error,
    encode_subscription_succeeded, encode_watchlist_events,
};

/// Writes `pusher:ping`; both roles send it, a client with a masking key.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn encode_ping(tx: &mut TxBuf<'_>, mask: Option<[u8; 4]>) -> Result<(), TxFull> {
    bare(tx, mask, "pusher:ping")
}

/// Writes `pusher:pong`; both roles send it, a client with a masking key.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn encode_pong(tx: &mut TxBuf<'_>, mask: Option<[u8; 4]>) -> Result<(), TxFull> {
    bare(tx, mask, "pusher:pong")
}

fn bare(tx: &mut TxBuf<'_>, mask: Option<[u8; 4]>, event: &str) -> Result<(), TxFull> {
    sink::text_frame(tx, mask, &|out| {
        out.open(event);
        out.text(r#","data":{}}"#);
    })
}
