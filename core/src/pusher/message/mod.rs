//! Reading what a server sends.
//!
//! `data` may be a JSON string that holds the value or the value itself: servers differ. Members come in any order
//! and unknown ones are ignored; of a name that is there twice the last counts.

#[cfg(all(test, feature = "client-basic", not(any(feature = "client", feature = "server"))))]
mod basic_tests;
mod names;
mod presence;
#[cfg(all(test, any(feature = "client", feature = "server", not(feature = "client-basic"))))]
mod tests;

use core::fmt;
use core::ops::Range;

use self::names::{Name, Protocol, classify};
use super::fields::{Field, find, text_at};
use super::{ErrorCode, Serial, SocketId};
use crate::json::{JsonErrorKind, Kind, Limits, Raw, read_decimal};

pub use presence::{Presence, UserIds, Watchlist};

/// A message from a server. It borrows from the buffer that it was read in.
///
/// Texts are unescaped; they were unescaped where they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerMessage<'i> {
    /// A cache channel has no event to show.
    CacheMiss {
        /// The channel.
        channel: &'i str,
    },
    /// The connection is ready.
    Established {
        /// The id of the connection, to be signed with each channel.
        socket_id: SocketId,
        /// After how many seconds of silence the client pings; `None` when the server says 0 or nothing readable.
        activity_timeout_s: Option<u32>,
    },
    /// Something went wrong; the code tells whether the connection goes on.
    Error {
        /// The code, if there is one. Without, the connection goes on.
        code: Option<ErrorCode>,
        /// The text, perhaps empty.
        message: &'i str,
    },
    /// An event of a channel: published, triggered by a client, or for a user.
    Event {
        /// The channel, unless the server left it out.
        channel: Option<&'i str>,
        /// The event's name.
        event: &'i str,
        /// The payload as text: what a string means, or any other value as it stands. Decoded once, never twice.
        data: Option<&'i str>,
        /// The sender of a client event on a presence channel.
        user_id: Option<&'i str>,
        /// Where it stands in the channel's log, if the server keeps one; read with the feature `resume`.
        serial: Option<Serial>,
    },
    /// A message of the protocol that is not known here; ignore it.
    Ignored {
        /// The event's name.
        event: &'i str,
    },
    /// A user has joined a presence channel.
    MemberAdded {
        /// The channel.
        channel: &'i str,
        /// The user.
        user_id: &'i str,
        /// What is known of the user.
        user_info: Option<Raw<'i>>,
    },
    /// A user has left a presence channel.
    MemberRemoved {
        /// The channel.
        channel: &'i str,
        /// The user.
        user_id: &'i str,
    },
    /// Answer with a pong.
    Ping,
    /// The server is there.
    Pong,
    /// The answer to a subscription that resumes.
    #[cfg(feature = "resume")]
    Resumed {
        /// The channel.
        channel: &'i str,
        /// Whether all events since then follow; otherwise some are lost.
        complete: bool,
        /// How many follow.
        events: u32,
        /// The serial of the last event that the server has.
        serial: Option<Serial>,
    },
    /// An event of an encrypted channel that its secret does not open.
    Sealed {
        /// The channel.
        channel: &'i str,
        /// The event's name.
        event: &'i str,
        /// Where it stands in the channel's log; read with the feature `resume`.
        serial: Option<Serial>,
    },
    /// The sign-in was accepted.
    SignedIn {
        /// The signed text, as the client sent it.
        user_data: &'i str,
    },
    /// The subscription was accepted.
    Subscribed {
        /// The channel.
        channel: &'i str,
        /// Who is there, on a presence channel.
        presence: Option<Presence<'i>>,
    },
    /// How many connections a channel has.
    SubscriptionCount {
        /// The channel.
        channel: &'i str,
        /// The number.
        count: u64,
    },
    /// The subscription was refused.
    SubscriptionError {
        /// The channel.
        channel: &'i str,
        /// The kind in the server's word, such as `AuthError`; perhaps empty.
        kind: &'i str,
        /// The text, perhaps empty.
        error: &'i str,
        /// The status, such as 401.
        status: Option<u16>,
    },
    /// Users that this user watches came or went.
    Watchlist(Watchlist<'i>),
}

/// Why a message cannot be read. The connection can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MessageError {
    /// There is no `event`, or it is no string.
    EventMissing,
    /// A message of the protocol lacks what it must have, or has it in an unreadable form.
    Incomplete,
    /// The message is not a JSON object.
    Json(JsonErrorKind),
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EventMissing => "message without an event",
            Self::Incomplete => "message lacks a member that its event needs",
            Self::Json(_) => "message is no json object",
        })
    }
}

impl core::error::Error for MessageError {}

/// Whether all messages of the protocol are read; otherwise those that a basic client needs, and the others are ignored.
pub(super) const WHOLE: bool =
    cfg!(any(feature = "client", feature = "server", not(feature = "client-basic")));

impl<'i> ServerMessage<'i> {
    /// Reads the text of one message, unescaping it where it stands.
    ///
    /// # Errors
    /// [`MessageError`] tells what is missing.
    pub fn parse(text: &'i mut [u8]) -> Result<Self, MessageError> {
        Self::parse_opening(text, |_, _, data| Some(data))
    }

    /// As [`parse`](Self::parse); `open` decrypts the payload of an event: it gets the text and the places of the
    /// channel's name and of the payload, and gives the place of the plain payload.
    pub(super) fn parse_opening(
        text: &'i mut [u8],
        open: impl FnOnce(&mut [u8], Range<usize>, Range<usize>) -> Option<Range<usize>>,
    ) -> Result<Self, MessageError> {
        let mut found = [const { None }; 5];
        find(text, &["event", "channel", "data", "user_id", "serial"], &mut found)
            .map_err(|error| MessageError::Json(error.kind))?;
        let [event, channel, data, ..] = &mut found;
        unescape(text, event);
        unescape(text, channel);
        let Some(name) = at(text, event) else { return Err(MessageError::EventMissing) };
        match classify(name) {
            Name::Application => Ok(application(text, &mut found, open)),
            Name::Unknown => Ok(Self::Ignored { event: at(text, event).unwrap_or_default() }),
            Name::Protocol(name) => {
                protocol(name, text, channel, data).ok_or(MessageError::Incomplete)
            }
        }
    }
}

/// An event of a channel, whose name and channel are unescaped.
fn application<'i>(
    text: &'i mut [u8],
    [event, channel, data, user_id, serial]: &mut [Option<Field>; 5],
    open: impl FnOnce(&mut [u8], Range<usize>, Range<usize>) -> Option<Range<usize>>,
) -> ServerMessage<'i> {
    payload(text, data);
    label(text, user_id);
    let serial = read_serial(text, serial);
    let mut sealed = false;
    if let (Some(channel), Some(data)) = (channel.as_ref(), data.as_mut()) {
        match open(text, channel.place.clone(), data.place.clone()) {
            Some(plain) => data.place = plain,
            None => sealed = true,
        }
    }
    let text: &'i [u8] = text;
    let (channel, event) = (at(text, channel), at(text, event).unwrap_or_default());
    if let (true, Some(channel)) = (sealed, channel) {
        return ServerMessage::Sealed { channel, event, serial };
    }
    let (data, user_id) = (at(text, data), at(text, user_id));
    ServerMessage::Event { channel, event, data, user_id, serial }
}

/// A message with a meaning of its own; `None` when it lacks something.
fn protocol<'i>(
    name: Protocol,
    text: &'i mut [u8],
    channel: &Option<Field>,
    data: &mut Option<Field>,
) -> Option<ServerMessage<'i>> {
    match name {
        Protocol::Error => Some(error(text, data)),
        Protocol::Established => established(text, data),
        Protocol::Ping => Some(ServerMessage::Ping),
        Protocol::Pong => Some(ServerMessage::Pong),
        #[cfg(feature = "resume")]
        Protocol::Resumed => resumed(text, channel, data),
        Protocol::Subscribed => subscribed(text, channel, data),
        Protocol::SubscriptionError => subscription_error(text, channel, data),
        Protocol::CacheMiss
        | Protocol::MemberAdded
        | Protocol::MemberRemoved
        | Protocol::SignedIn
        | Protocol::SubscriptionCount
        | Protocol::Watchlist
            if !WHOLE =>
        {
            None
        }
        Protocol::CacheMiss => Some(ServerMessage::CacheMiss { channel: at(text, channel)? }),
        Protocol::MemberAdded => member_added(text, channel, data),
        Protocol::MemberRemoved => member_removed(text, channel, data),
        Protocol::SignedIn => signed_in(text, data),
        Protocol::SubscriptionCount => subscription_count(text, channel, data),
        Protocol::Watchlist => Watchlist::read(text, data).map(ServerMessage::Watchlist),
    }
}

fn subscribed<'i>(
    text: &'i mut [u8],
    channel: &Option<Field>,
    data: &mut Option<Field>,
) -> Option<ServerMessage<'i>> {
    if WHOLE {
        payload(text, data);
    }
    let text: &'i [u8] = text;
    let presence = if WHOLE { at(text, data).and_then(Presence::read) } else { None };
    Some(ServerMessage::Subscribed { channel: at(text, channel)?, presence })
}

fn subscription_count<'i>(
    text: &'i mut [u8],
    channel: &Option<Field>,
    data: &mut Option<Field>,
) -> Option<ServerMessage<'i>> {
    let mut found = [const { None }; 1];
    find_members(text, data, &["subscription_count"], &mut found)?;
    let [count] = &found;
    let count = read_decimal(at(text, count)?)?;
    Some(ServerMessage::SubscriptionCount { channel: at(text, channel)?, count })
}

fn subscription_error<'i>(
    text: &'i mut [u8],
    channel: &Option<Field>,
    data: &mut Option<Field>,
) -> Option<ServerMessage<'i>> {
    let mut found = [const { None }; 3];
    let _ = find_members(text, data, &["type", "error", "status"], &mut found); // what is missing is empty
    let [kind, error, status] = &mut found;
    unescape(text, kind);
    unescape(text, error);
    let text: &'i [u8] = text;
    Some(ServerMessage::SubscriptionError {
        channel: at(text, channel)?,
        kind: at(text, kind).unwrap_or_default(),
        error: at(text, error).unwrap_or_default(),
        status: number_at(text, status).and_then(|status| status.try_into().ok()),
    })
}

fn member_added<'i>(
    text: &'i mut [u8],
    channel: &Option<Field>,
    data: &mut Option<Field>,
) -> Option<ServerMessage<'i>> {
    let mut found = [const { None }; 2];
    find_members(text, data, &["user_id", "user_info"], &mut found)?;
    let [user_id, user_info] = &mut found;
    label(text, user_id);
    let text: &'i [u8] = text;
    Some(ServerMessage::MemberAdded {
        channel: at(text, channel)?,
        user_id: at(text, user_id)?,
        user_info: user_info.as_ref().map(|info| value(text, info)),
    })
}

fn member_removed<'i>(
    text: &'i mut [u8],
    channel: &Option<Field>,
    data: &mut Option<Field>,
) -> Option<ServerMessage<'i>> {
    let mut found = [const { None }; 1];
    find_members(text, data, &["user_id"], &mut found)?;
    let [user_id] = &mut found;
    label(text, user_id);
    let text: &'i [u8] = text;
    let (channel, user_id) = (at(text, channel)?, at(text, user_id)?);
    Some(ServerMessage::MemberRemoved { channel, user_id })
}

fn established<'i>(text: &'i mut [u8], data: &mut Option<Field>) -> Option<ServerMessage<'i>> {
    let mut found = [const { None }; 2];
    find_members(text, data, &["socket_id", "activity_timeout"], &mut found)?;
    let [socket_id, timeout] = &mut found;
    unescape(text, socket_id);
    let socket_id = SocketId::parse(at(text, socket_id)?).ok()?;
    let activity_timeout_s = number_at(text, timeout).filter(|seconds| *seconds > 0);
    Some(ServerMessage::Established { socket_id, activity_timeout_s })
}

fn error<'i>(text: &'i mut [u8], data: &mut Option<Field>) -> ServerMessage<'i> {
    let mut found = [const { None }; 2];
    let _ = find_members(text, data, &["code", "message"], &mut found); // what is missing is empty
    let [code, message] = &mut found;
    unescape(text, message);
    let text: &'i [u8] = text;
    let code = number_at(text, code).and_then(|code| code.try_into().ok());
    let message = at(text, message).unwrap_or_default();
    ServerMessage::Error { code: code.map(ErrorCode::new), message }
}

/// Servers write it without escapes.
fn read_serial(text: &[u8], field: &Option<Field>) -> Option<Serial> {
    if !cfg!(feature = "resume") {
        return None; // nobody asks for it, so its code is left out
    }
    Serial::parse(at(text, field)?)
}

#[cfg(feature = "resume")]
fn resumed<'i>(
    text: &'i mut [u8],
    channel: &Option<Field>,
    data: &mut Option<Field>,
) -> Option<ServerMessage<'i>> {
    let mut found = [const { None }; 3];
    find_members(text, data, &["result", "events", "serial"], &mut found)?;
    let [result, events, serial] = &found;
    Some(ServerMessage::Resumed {
        channel: at(text, channel)?,
        complete: at(text, result)? == "complete",
        events: number_at(text, events)?,
        serial: read_serial(text, serial),
    })
}

fn signed_in<'i>(text: &'i mut [u8], data: &mut Option<Field>) -> Option<ServerMessage<'i>> {
    let mut found = [const { None }; 1];
    find_members(text, data, &["user_data"], &mut found)?;
    let [user_data] = &mut found;
    unescape(text, user_data);
    Some(ServerMessage::SignedIn { user_data: at(text, user_data)? })
}

/// Finds the members of `data`, in either of its forms.
#[inline(never)]
fn find_members(
    text: &mut [u8],
    data: &mut Option<Field>,
    names: &[&str],
    found: &mut [Option<Field>],
) -> Option<()> {
    payload(text, data);
    let place = data.as_ref()?.place.clone();
    let base = place.start;
    find(text.get(place)?, names, found).ok()?;
    for field in found.iter_mut().flatten() {
        field.offset(base);
    }
    Some(())
}

/// A number of digits, as a number or in a string.
fn number_at(text: &[u8], field: &Option<Field>) -> Option<u32> {
    read_decimal(at(text, field)?)?.try_into().ok()
}

/// The text of a field that is there.
#[inline(never)]
fn at<'i>(text: &'i [u8], field: &Option<Field>) -> Option<&'i str> {
    Some(text_at(text, field.as_ref()?.place.clone()))
}

/// Unescapes a string where it stands. Another kind of value, or one with a broken escape, counts as missing.
#[inline(never)]
fn unescape(text: &mut [u8], field: &mut Option<Field>) {
    if let Some(there) = field
        && !there.unescape_in_place(text)
    {
        *field = None;
    }
}

/// Makes a payload its text: what a string means; another value is left as it stands.
fn payload(text: &mut [u8], data: &mut Option<Field>) {
    if matches!(data, Some(Field { kind: Kind::String, .. })) {
        unescape(text, data);
    }
}

/// Makes an id its text; some servers write it as a number.
fn label(text: &mut [u8], field: &mut Option<Field>) {
    if !matches!(field, Some(Field { kind: Kind::Number, .. })) {
        unescape(text, field);
    }
}

/// A value as a span; the field's place leaves out the quotes of a string.
fn value<'i>(text: &'i [u8], field: &Field) -> Raw<'i> {
    let place = match field.kind {
        Kind::String => field.place.start.saturating_sub(1)..field.place.end.saturating_add(1),
        Kind::Array | Kind::Bool | Kind::Null | Kind::Number | Kind::Object => field.place.clone(),
    };
    Raw::parse_str(text_at(text, place), Limits::new()).unwrap_or(Raw::NULL)
}
