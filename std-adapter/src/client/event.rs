//! What an application hears.

use std::time::Duration;

use serde::de::DeserializeOwned;
use tidings_core::pusher::{ErrorCode, Serial, SocketId};

/// Something that happened on a subscribed channel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The cache channel has no event to show.
    CacheMiss,
    /// How many connections the channel has.
    Count(u64),
    /// The connection has ended, and events may be missed until the next [`Subscribed`](Self::Subscribed).
    Interrupted,
    /// A user has joined the presence channel.
    MemberAdded(Member),
    /// A user has left the presence channel.
    MemberRemoved {
        /// The user's id.
        user_id: Box<str>,
    },
    /// An event of the application, or of another client.
    Message(Message),
    /// The application has read too slowly: this many events that came here were dropped.
    Missed {
        /// How many since the last event that was read.
        count: u64,
    },
    /// The subscription was refused.
    Rejected(Rejection),
    /// The answer to [`Client::subscribe_from`](super::Client::subscribe_from), on every connection: the messages follow that
    /// were missed.
    Resumed {
        /// Whether nothing is lost. Otherwise the server does not have all of them any more: fetch the present state.
        complete: bool,
        /// How many follow.
        events: u32,
    },
    /// An event on an encrypted channel that was not sealed with the channel's secret, or came without one from the
    /// authoriser. Its payload is not passed on.
    Sealed {
        /// Its name.
        event: Box<str>,
    },
    /// The subscription is in force: for the first time, or again after a reconnect. On a presence channel
    /// [`Subscription::members`](super::Subscription::members) tells who is there.
    Subscribed,
}

/// An event with its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Its name.
    pub event: Box<str>,
    /// The payload as text, usually JSON.
    pub data: Option<Box<str>>,
    /// The sender of a client event on a presence channel; the server vouches for it.
    pub user_id: Option<Box<str>>,
    /// Where it stands in the channel's history, if the server keeps one: to go on from after a restart, with
    /// [`Client::subscribe_from`](super::Client::subscribe_from).
    pub serial: Option<Serial>,
}

impl Message {
    /// Reads the payload as JSON. No payload counts as `null`.
    ///
    /// # Errors
    /// What keeps it from being a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.data.as_deref().unwrap_or("null"))
    }
}

/// A user on a presence channel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// The user's id.
    pub user_id: Box<str>,
    /// What is known of the user, as JSON text.
    pub user_info: Option<Box<str>>,
}

/// Why a subscription is not in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{}{}", .message, if *.again { " (tried again later)" } else { "" })]
pub struct Rejection {
    /// What the server or the authoriser says.
    pub message: Box<str>,
    /// The server's word for the kind, such as `AuthError`; empty when the authoriser refused.
    pub kind: Box<str>,
    /// The status, such as 401.
    pub status: Option<u16>,
    /// Whether the authoriser is asked again on this connection. On the next one it is in any case.
    pub again: bool,
}

/// Something that happened on the connection and concerns no single channel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The server reports an error. The connection goes on, unless the server closes it.
    Error {
        /// The code, if there is one.
        code: Option<ErrorCode>,
        /// The text, perhaps empty.
        message: Box<str>,
    },
    /// More happened than was read: this many notices were dropped.
    Missed {
        /// How many.
        count: u64,
    },
    /// The sign-in was accepted.
    SignedIn {
        /// The signed text.
        user_data: Box<str>,
    },
    /// The authoriser did not sign the sign-in.
    SignInRefused(Rejection),
    /// A message was longer than the limit and was skipped.
    Skipped {
        /// Its size in bytes.
        size: u64,
    },
    /// A message could not be read and was skipped.
    Unreadable {
        /// What is wrong with it.
        reason: Box<str>,
    },
    /// An event without a channel.
    Unrouted(Message),
    /// Users that the signed-in user watches came or went.
    Watchlist {
        /// Who came.
        online: Vec<Box<str>>,
        /// Who went.
        offline: Vec<Box<str>>,
    },
}

/// How the connection stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum State {
    /// An attempt is under way.
    Connecting,
    /// The connection is established.
    Online {
        /// Its id, as for leaving this client out of a publish.
        socket_id: SocketId,
    },
    /// The connection or the attempt has ended; there will be another attempt.
    Waiting {
        /// Why it ended.
        error: super::ClientError,
        /// How long until the next attempt.
        delay: Duration,
    },
    /// There will be no further attempt.
    Stopped {
        /// Why; `None` when the application closed the client.
        error: Option<super::ClientError>,
    },
}
