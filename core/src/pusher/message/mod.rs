//! Reading what a server sends.
//!
//! `data` may be a JSON string that holds the value or the value itself: servers differ. Members come in any order
//! and unknown ones are ignored; of a name that is there twice the last counts.

#[cfg(all(test, feature = "client-basic", not(any(feature = "client", feature = "server"))))]
mod basic_tests;
mod presence;
#[cfg(all(test, any(feature = "client", feature = "server", not(feature = "client-basic"))))]
mod tests;

use core::fmt;
use core::ops::Range;

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

enum Name {
    Application,
    Protocol(Protocol),
    Unknown,
}

/// The events that have a meaning of their own.
enum Protocol {
    CacheMiss,
    Error,
    Established,
    MemberAdded,
    MemberRemoved,
    Ping,
    Pong,
    #[cfg(feature = "resume")]
    Resumed,
    SignedIn,
    Subscribed,
    SubscriptionCount,
    SubscriptionError,
    Watchlist,
}

fn classify(event: &str) -> Name {
    Name::Protocol(match event {
        "pusher:cache_miss" if WHOLE => Protocol::CacheMiss,
        "pusher:connection_established" => Protocol::Established,
        "pusher:error" => Protocol::Error,
        "pusher:ping" => Protocol::Ping,
        "pusher:pong" => Protocol::Pong,
        "pusher:signin_success" if WHOLE => Protocol::SignedIn,
        "pusher:subscription_error" | "pusher_internal:subscription_error" => {
            Protocol::SubscriptionError
        }
        "pusher_internal:member_added" if WHOLE => Protocol::MemberAdded,
        "pusher_internal:member_removed" if WHOLE => Protocol::MemberRemoved,
        #[cfg(feature = "resume")]
        "pusher_internal:resumed" => Protocol::Resumed,
        "pusher_internal:subscription_count" if WHOLE => Protocol::SubscriptionCount,
        "pusher_internal:subscription_succeeded" => Protocol::Subscribed,
        "pusher_internal:watchlist_events" if WHOLE => Protocol::Watchlist,
        _ if event.starts_with("pusher:") || event.starts_with("pusher_internal:") => {
            return Name::Unknown;
        }
        _ => return Name::Application,
    })
}

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
        let [event, channel, data, user_id, serial] = found;
        let event = string(text, event).ok_or(MessageError::EventMissing)?;
        let channel = string(text, channel);
        let name = classify(text_at(text, event.clone()));
        match name {
            Name::Unknown => Ok(Self::Ignored { event: text_at(text, event) }),
            Name::Application => {
                let mut data = payload(text, data);
                let user_id = label(text, user_id);
                let serial = read_serial(text, serial);
                if let (Some(channel), Some(place)) = (&channel, data.clone()) {
                    data = open(text, channel.clone(), place);
                    if data.is_none() {
                        let text: &'i [u8] = text;
                        let (channel, event) =
                            (text_at(text, channel.clone()), text_at(text, event));
                        return Ok(Self::Sealed { channel, event, serial });
                    }
                }
                let text: &'i [u8] = text;
                Ok(Self::Event {
                    channel: channel.map(|place| text_at(text, place)),
                    event: text_at(text, event),
                    data: data.map(|place| text_at(text, place)),
                    user_id: user_id.map(|place| text_at(text, place)),
                    serial,
                })
            }
            Name::Protocol(name) => {
                protocol(name, text, channel, data).ok_or(MessageError::Incomplete)
            }
        }
    }
}

/// A message with a meaning of its own; `None` when it lacks something.
fn protocol<'i>(
    name: Protocol,
    text: &'i mut [u8],
    channel: Option<Range<usize>>,
    data: Option<Field>,
) -> Option<ServerMessage<'i>> {
    match name {
        Protocol::CacheMiss => Some(ServerMessage::CacheMiss { channel: text_at(text, channel?) }),
        Protocol::Error => Some(error(text, data)),
        Protocol::Established => established(text, data),
        Protocol::MemberAdded => member_added(text, channel?, data),
        Protocol::MemberRemoved => member_removed(text, channel?, data),
        Protocol::Ping => Some(ServerMessage::Ping),
        Protocol::Pong => Some(ServerMessage::Pong),
        #[cfg(feature = "resume")]
        Protocol::Resumed => resumed(text, channel?, data),
        Protocol::SignedIn => signed_in(text, data),
        Protocol::Subscribed => Some(subscribed(text, channel?, data)),
        Protocol::SubscriptionCount => subscription_count(text, channel?, data),
        Protocol::SubscriptionError => Some(subscription_error(text, channel?, data)),
        Protocol::Watchlist => Watchlist::read(text, data).map(ServerMessage::Watchlist),
    }
}

fn subscribed<'i>(
    text: &'i mut [u8],
    channel: Range<usize>,
    data: Option<Field>,
) -> ServerMessage<'i> {
    let place = if WHOLE { payload(text, data) } else { None };
    let text: &'i [u8] = text;
    let presence = place.and_then(|place| Presence::read(text_at(text, place)));
    ServerMessage::Subscribed { channel: text_at(text, channel), presence }
}

fn subscription_count<'i>(
    text: &'i mut [u8],
    channel: Range<usize>,
    data: Option<Field>,
) -> Option<ServerMessage<'i>> {
    let [count] = members(text, data, ["subscription_count"])?;
    let count = number_at(text, count)?;
    Some(ServerMessage::SubscriptionCount { channel: text_at(text, channel), count })
}

fn subscription_error<'i>(
    text: &'i mut [u8],
    channel: Range<usize>,
    data: Option<Field>,
) -> ServerMessage<'i> {
    let found = members(text, data, ["type", "error", "status"]);
    let [kind, error, status] = found.unwrap_or_default();
    let (kind, error) = (string(text, kind), string(text, error));
    let text: &'i [u8] = text;
    ServerMessage::SubscriptionError {
        channel: text_at(text, channel),
        kind: text_at(text, kind.unwrap_or_default()),
        error: text_at(text, error.unwrap_or_default()),
        status: number_at(text, status).and_then(|status| status.try_into().ok()),
    }
}

fn member_added<'i>(
    text: &'i mut [u8],
    channel: Range<usize>,
    data: Option<Field>,
) -> Option<ServerMessage<'i>> {
    let [user_id, user_info] = members(text, data, ["user_id", "user_info"])?;
    let user_id = label(text, user_id)?;
    let text: &'i [u8] = text;
    Some(ServerMessage::MemberAdded {
        channel: text_at(text, channel),
        user_id: text_at(text, user_id),
        user_info: user_info.map(|info| value(text, &info)),
    })
}

fn member_removed<'i>(
    text: &'i mut [u8],
    channel: Range<usize>,
    data: Option<Field>,
) -> Option<ServerMessage<'i>> {
    let [user_id] = members(text, data, ["user_id"])?;
    let user_id = label(text, user_id)?;
    let text: &'i [u8] = text;
    Some(ServerMessage::MemberRemoved {
        channel: text_at(text, channel),
        user_id: text_at(text, user_id),
    })
}

fn established<'i>(text: &'i mut [u8], data: Option<Field>) -> Option<ServerMessage<'i>> {
    let [socket_id, timeout] = members(text, data, ["socket_id", "activity_timeout"])?;
    let socket_id = string(text, socket_id)?;
    let socket_id = SocketId::parse(text_at(text, socket_id)).ok()?;
    let timeout = number_at(text, timeout).and_then(|seconds| seconds.try_into().ok());
    let activity_timeout_s = timeout.filter(|seconds| *seconds > 0);
    Some(ServerMessage::Established { socket_id, activity_timeout_s })
}

fn error<'i>(text: &'i mut [u8], data: Option<Field>) -> ServerMessage<'i> {
    let [code, message] = members(text, data, ["code", "message"]).unwrap_or_default();
    let message = string(text, message).unwrap_or_default();
    let text: &'i [u8] = text;
    let code = number_at(text, code).and_then(|code| code.try_into().ok());
    ServerMessage::Error { code: code.map(ErrorCode::new), message: text_at(text, message) }
}

/// Servers write it without escapes.
fn read_serial(text: &[u8], field: Option<Field>) -> Option<Serial> {
    if !cfg!(feature = "resume") {
        return None; // nobody asks for it, so its code is left out
    }
    Serial::parse(text_at(text, field?.place))
}

#[cfg(feature = "resume")]
fn resumed<'i>(
    text: &'i mut [u8],
    channel: Range<usize>,
    data: Option<Field>,
) -> Option<ServerMessage<'i>> {
    let [result, events, serial] = members(text, data, ["result", "events", "serial"])?;
    let serial = read_serial(text, serial);
    Some(ServerMessage::Resumed {
        channel: text_at(text, channel),
        complete: text_at(text, result?.place) == "complete",
        events: number_at(text, events)?.try_into().ok()?,
        serial,
    })
}

fn signed_in<'i>(text: &'i mut [u8], data: Option<Field>) -> Option<ServerMessage<'i>> {
    let [user_data] = members(text, data, ["user_data"])?;
    let user_data = string(text, user_data)?;
    Some(ServerMessage::SignedIn { user_data: text_at(text, user_data) })
}

/// The members of `data`, in either of its forms.
fn members<const N: usize>(
    text: &mut [u8],
    data: Option<Field>,
    names: [&str; N],
) -> Option<[Option<Field>; N]> {
    let mut found = [const { None }; N];
    find_members(text, data, &names, &mut found)?;
    Some(found)
}

/// One body of code for every number of names.
#[inline(never)]
fn find_members(
    text: &mut [u8],
    data: Option<Field>,
    names: &[&str],
    found: &mut [Option<Field>],
) -> Option<()> {
    let place = payload(text, data)?;
    let base = place.start;
    find(text.get(place)?, names, found).ok()?;
    for field in found.iter_mut().flatten() {
        field.offset(base);
    }
    Some(())
}

/// A number of digits, as a number or in a string.
fn number_at(text: &[u8], field: Option<Field>) -> Option<u64> {
    read_decimal(text_at(text, field?.place))
}

/// Where the text of a payload is: what a string means, or another value as it stands.
fn payload(text: &mut [u8], data: Option<Field>) -> Option<Range<usize>> {
    let data = data?;
    match data.kind {
        Kind::String => data.unescape(text),
        Kind::Array | Kind::Bool | Kind::Null | Kind::Number | Kind::Object => Some(data.place),
    }
}

/// Where a string is, unescaped.
fn string(text: &mut [u8], field: Option<Field>) -> Option<Range<usize>> {
    field?.unescape(text)
}

/// Where the text of an id is, which some servers write as a number.
fn label(text: &mut [u8], field: Option<Field>) -> Option<Range<usize>> {
    let field = field?;
    match field.kind {
        Kind::Number => Some(field.place),
        Kind::Array | Kind::Bool | Kind::Null | Kind::Object | Kind::String => field.unescape(text),
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
