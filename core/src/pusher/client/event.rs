//! What happens on a client's connection.

use super::table::ChannelId;
use crate::json::Raw;
use crate::pusher::{
    Advice, Closed, ErrorCode, MessageError, Presence, Serial, SocketId, Watchlist,
};
use crate::websocket::handshake::HandshakeError;

/// Something that happened. It borrows from the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent<'i> {
    /// A channel needs a signature for this connection: answer with [`Client::authorize`](super::Client::authorize) or
    /// [`Client::refuse`](super::Client::refuse), now or later. Other channels do not wait for it.
    Authorize {
        /// The channel.
        channel: ChannelId,
        /// What is to be signed with the channel's name.
        socket_id: SocketId,
    },
    /// The sign-in needs a signature for this connection: answer with
    /// [`Client::authorize_user`](super::Client::authorize_user).
    AuthorizeUser {
        /// What is to be signed with the user's data.
        socket_id: SocketId,
    },
    /// Something happened on a channel.
    Channel {
        /// The channel.
        channel: ChannelId,
        /// What happened.
        event: ChannelEvent<'i>,
    },
    /// The connection has ended; the last event. Flush and end the transport.
    Closed {
        /// Who ended it, and the close code.
        closed: Closed,
        /// Whether to come back, from the close code or, without one, from the last error that ends connections.
        advice: Advice,
    },
    /// The connection stands. Subscriptions follow by themselves.
    Connected {
        /// The connection's id.
        socket_id: SocketId,
    },
    /// The server reports an error. The connection goes on, unless the server closes it.
    Error {
        /// The code, if there is one.
        code: Option<ErrorCode>,
        /// The text, perhaps empty.
        message: &'i str,
    },
    /// The server did not open a WebSocket; the last event. End the transport and try again later: what answers may be a
    /// proxy whose server is away.
    Refused {
        /// What it answered.
        error: HandshakeError,
    },
    /// The sign-in was accepted.
    SignedIn {
        /// The signed text.
        user_data: &'i str,
    },
    /// A message was longer than the limit. It has passed by, and the connection goes on.
    Skipped {
        /// Its size in bytes.
        size: u64,
    },
    /// A message could not be read, and was ignored.
    Unreadable {
        /// What is wrong with it.
        error: MessageError,
    },
    /// An event without a channel.
    Unrouted {
        /// Its name.
        event: &'i str,
        /// Its payload.
        data: Option<&'i str>,
    },
    /// Users that the signed-in user watches came or went.
    Watchlist(Watchlist<'i>),
}

/// Something that happened on a channel. Texts are unescaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelEvent<'i> {
    /// The cache channel has no event to show.
    CacheMiss,
    /// How many connections the channel has.
    Count(u64),
    /// A user has joined the presence channel.
    MemberAdded {
        /// The user.
        user_id: &'i str,
        /// What is known of the user.
        user_info: Option<Raw<'i>>,
    },
    /// A user has left the presence channel.
    MemberRemoved {
        /// The user.
        user_id: &'i str,
    },
    /// An event of the application, or of another client.
    Message {
        /// Its name.
        event: &'i str,
        /// The payload as text, decoded once.
        data: Option<&'i str>,
        /// The sender of a client event on a presence channel.
        user_id: Option<&'i str>,
        /// Where it stands in the channel's log, if the server keeps one; read with the feature `resume`.
        serial: Option<Serial>,
    },
    /// The server refused the subscription. It is asked for again on the next connection.
    Rejected {
        /// The server's word for the kind, such as `AuthError`; perhaps empty.
        kind: &'i str,
        /// The text, perhaps empty.
        error: &'i str,
        /// The status, such as 401.
        status: Option<u16>,
    },
    /// The answer to a subscription that [resumes](super::Client::resume): the events follow that were missed.
    #[cfg(feature = "resume")]
    Resumed {
        /// Whether nothing is lost. Otherwise the server does not have all of them any more: fetch the present state.
        complete: bool,
        /// How many follow.
        events: u32,
    },
    /// The subscription is in force.
    Subscribed {
        /// Who is there, on a presence channel.
        presence: Option<Presence<'i>>,
    },
    /// An event of an encrypted channel that the channel's secret does not open: perhaps the application has another key
    /// now. Ask the one who authorises again.
    Undecryptable {
        /// The event's name.
        event: &'i str,
    },
}
