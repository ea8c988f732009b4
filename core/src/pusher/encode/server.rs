//! What a server sends.

use core::fmt;

use super::data::EventData;
use super::sink::{Sink, text_frame};
use crate::error::TxFull;
use crate::io::TxBuf;
use crate::pusher::{ErrorCode, SocketId};

/// Writes `pusher:connection_established`, the first frame of every connection.
///
/// A client gives up for good on an `activity_timeout` of 0, so 0 is written as 1.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn encode_connection_established(
    tx: &mut TxBuf<'_>,
    socket_id: SocketId,
    activity_timeout_s: u16,
) -> Result<(), TxFull> {
    let socket_id = socket_id.as_text();
    text_frame(tx, None, &|out| {
        out.open("pusher:connection_established");
        out.text(r#","data":"{\"socket_id\":\""#);
        out.text(&socket_id);
        out.text(r#"\",\"activity_timeout\":"#);
        out.number(u64::from(activity_timeout_s.max(1)));
        out.text(r#"}"}"#);
    })
}

/// Writes `pusher:error`. Its `data` is an object.
///
/// Without a code the error is one that leaves the connection open. Such an error must not be sent before
/// `connection_established`: the official client then hangs.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn encode_error(
    tx: &mut TxBuf<'_>,
    code: Option<ErrorCode>,
    message: &dyn fmt::Display,
) -> Result<(), TxFull> {
    text_frame(tx, None, &|out| {
        out.open("pusher:error");
        out.text(r#","data":{"code":"#);
        match code {
            Some(code) => out.number(u64::from(code.as_u16())),
            None => out.text("null"),
        }
        out.text(r#","message":""#);
        out.display(message);
        out.text(r#""}}"#);
    })
}

/// Writes an event of a channel, once for all who get it.
///
/// `user_id` is the sender of a client event on a presence channel, as the server knows it.
///
/// ```
/// use tidings_core::io::TxBuf;
/// use tidings_core::json::EscapedJson;
/// use tidings_core::pusher::encode_channel_event;
///
/// let mut memory = [0; 128];
/// let mut tx = TxBuf::new(&mut memory);
/// let data = EscapedJson::parse(r#"{\"a\":1}"#).unwrap();
/// encode_channel_event(&mut tx, "my-channel", "my-event", data, None).unwrap();
/// let (header, payload) = tx.written().split_at(2);
/// assert_eq!(header, [0x81, 62]);
/// assert_eq!(payload, br#"{"event":"my-event","channel":"my-channel","data":"{\"a\":1}"}"#);
/// ```
///
/// # Errors
/// [`TxFull`] with the exact length of the frame when it does not fit; nothing is written then.
pub fn encode_channel_event<'a>(
    tx: &mut TxBuf<'_>,
    channel: &str,
    event: &str,
    data: impl Into<EventData<'a>>,
    user_id: Option<&str>,
) -> Result<(), TxFull> {
    let data = data.into();
    text_frame(tx, None, &|out| {
        out.text(r#"{"event":""#);
        out.escaped(event);
        out.text("\"");
        out.channel(channel);
        out.text(r#","data":""#);
        data.write(out);
        out.text("\"");
        if let Some(user_id) = user_id {
            out.member("user_id", user_id);
        }
        out.text("}");
    })
}

/// Writes `pusher_internal:subscription_succeeded` for a channel without members.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn encode_subscription_succeeded(tx: &mut TxBuf<'_>, channel: &str) -> Result<(), TxFull> {
    empty(tx, "pusher_internal:subscription_succeeded", channel)
}

/// Writes `pusher_internal:subscription_succeeded` for a presence channel.
///
/// `members` are the ids of all users who are there, the subscriber included, each once, with the JSON text
/// of their `user_info` if they have one. A user without is listed with `null`. The iterator is walked several times.
///
/// # Errors
/// [`TxFull`] with the exact length of the frame when it does not fit; nothing is written then.
pub fn encode_presence_succeeded<'m>(
    tx: &mut TxBuf<'_>,
    channel: &str,
    members: impl Iterator<Item = (&'m str, Option<&'m str>)> + Clone,
) -> Result<(), TxFull> {
    text_frame(tx, None, &|out| {
        out.open("pusher_internal:subscription_succeeded");
        out.channel(channel);
        out.text(r#","data":"{\"presence\":{\"ids\":["#);
        let mut count = 0u64;
        ids(out, members.clone().map(|(id, _)| id), &mut count);
        out.text(r#"],\"hash\":{"#);
        for (n, (id, info)) in members.clone().enumerate() {
            out.text(if n == 0 { r#"\""# } else { r#",\""# });
            out.escaped_twice(id);
            out.text(r#"\":"#);
            out.escaped(info.unwrap_or("null"));
        }
        out.text(r#"},\"count\":"#);
        out.number(count);
        out.text(r#"}}"}"#);
    })
}

/// A list of strings in JSON text within a string literal; adds their number to `count`.
fn ids<'m>(out: &mut Sink<'_, '_>, ids: impl Iterator<Item = &'m str>, count: &mut u64) {
    for id in ids {
        out.text(if *count == 0 { r#"\""# } else { r#",\""# });
        out.escaped_twice(id);
        out.text(r#"\""#);
        *count = count.saturating_add(1);
    }
}

/// Writes `pusher_internal:member_added`; `user_info` is JSON text.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn encode_member_added(
    tx: &mut TxBuf<'_>,
    channel: &str,
    user_id: &str,
    user_info: Option<&str>,
) -> Result<(), TxFull> {
    member(tx, "pusher_internal:member_added", channel, user_id, user_info)
}

/// Writes `pusher_internal:member_removed`.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn encode_member_removed(
    tx: &mut TxBuf<'_>,
    channel: &str,
    user_id: &str,
) -> Result<(), TxFull> {
    member(tx, "pusher_internal:member_removed", channel, user_id, None)
}

fn member(
    tx: &mut TxBuf<'_>,
    event: &str,
    channel: &str,
    user_id: &str,
    user_info: Option<&str>,
) -> Result<(), TxFull> {
    text_frame(tx, None, &|out| {
        out.open(event);
        out.channel(channel);
        out.text(r#","data":"{\"user_id\":\""#);
        out.escaped_twice(user_id);
        out.text(r#"\""#);
        if let Some(info) = user_info {
            out.text(r#",\"user_info\":"#);
            out.escaped(info);
        }
        out.text(r#"}"}"#);
    })
}

/// Why a subscription failed, in the words that existing clients know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubscriptionErrorKind {
    /// `AuthError`: the signature, or what it should sign, is missing or wrong.
    Auth,
    /// `LimitReached`: a name too long, a channel full, a member too large.
    Limit,
    /// `NameError`: the channel's name is not valid.
    Name,
    /// `ServerError`: the server could not.
    Server,
}

impl SubscriptionErrorKind {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "AuthError",
            Self::Limit => "LimitReached",
            Self::Name => "NameError",
            Self::Server => "ServerError",
        }
    }
}

/// Writes `pusher:subscription_error`. Its `data` is an object.
///
/// `status` is 401 with [`Auth`](SubscriptionErrorKind::Auth), else one of the protocol's codes.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn encode_subscription_error(
    tx: &mut TxBuf<'_>,
    channel: &str,
    kind: SubscriptionErrorKind,
    error: &dyn fmt::Display,
    status: u16,
) -> Result<(), TxFull> {
    text_frame(tx, None, &|out| {
        out.open("pusher:subscription_error");
        out.channel(channel);
        out.text(r#","data":{"type":""#);
        out.text(kind.as_str());
        out.text(r#"","error":""#);
        out.display(error);
        out.text(r#"","status":"#);
        out.number(u64::from(status));
        out.text("}}");
    })
}

/// Writes `pusher_internal:subscription_count`: how many connections a channel has.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn encode_subscription_count(
    tx: &mut TxBuf<'_>,
    channel: &str,
    count: u64,
) -> Result<(), TxFull> {
    text_frame(tx, None, &|out| {
        out.open("pusher_internal:subscription_count");
        out.channel(channel);
        out.text(r#","data":"{\"subscription_count\":"#);
        out.number(count);
        out.text(r#"}"}"#);
    })
}

/// Writes `pusher:cache_miss`: a cache channel has no event to show.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn encode_cache_miss(tx: &mut TxBuf<'_>, channel: &str) -> Result<(), TxFull> {
    empty(tx, "pusher:cache_miss", channel)
}

fn empty(tx: &mut TxBuf<'_>, event: &str, channel: &str) -> Result<(), TxFull> {
    text_frame(tx, None, &|out| {
        out.open(event);
        out.channel(channel);
        out.text(r#","data":"{}"}"#);
    })
}

/// Writes `pusher:signin_success` with the signed text that the client sent.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn encode_signin_success(tx: &mut TxBuf<'_>, user_data: &str) -> Result<(), TxFull> {
    text_frame(tx, None, &|out| {
        out.open("pusher:signin_success");
        out.text(r#","data":"{\"user_data\":\""#);
        out.escaped_twice(user_data);
        out.text(r#"\"}"}"#);
    })
}

/// Writes `pusher_internal:watchlist_events`: which of the users watched came and went.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn encode_watchlist_events<'m>(
    tx: &mut TxBuf<'_>,
    online: impl Iterator<Item = &'m str> + Clone,
    offline: impl Iterator<Item = &'m str> + Clone,
) -> Result<(), TxFull> {
    text_frame(tx, None, &|out| {
        out.open("pusher_internal:watchlist_events");
        out.text(r#","data":"{\"events\":["#);
        let any = watched(out, "online", online.clone(), false);
        watched(out, "offline", offline.clone(), any);
        out.text(r#"]}"}"#);
    })
}

/// One entry of the list, if there is somebody in it.
fn watched<'m>(
    out: &mut Sink<'_, '_>,
    name: &str,
    users: impl Iterator<Item = &'m str>,
    behind: bool,
) -> bool {
    let mut users = users.peekable();
    if users.peek().is_none() {
        return behind;
    }
    out.text(if behind { r#",{\"name\":\""# } else { r#"{\"name\":\""# });
    out.text(name);
    out.text(r#"\",\"user_ids\":["#);
    ids(out, users, &mut 0);
    out.text("]}");
    true
}
