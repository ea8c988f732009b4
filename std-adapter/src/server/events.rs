//! What the server tells the program that embeds it.

use tidings_core::pusher::SocketId;

/// Something that happened in the server.
///
/// Events come from [`ServerHandle::events`](super::ServerHandle::events) in the order in which the
/// channel's home shard saw them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// Somebody has subscribed to a cache channel that holds no event. Told once, until an event comes or
    /// the channel is vacated.
    CacheMissed {
        /// The app's id.
        app: Box<str>,
        /// The channel's name.
        channel: Box<str>,
    },
    /// A channel has its first subscriber.
    ChannelOccupied {
        /// The app's id.
        app: Box<str>,
        /// The channel's name.
        channel: Box<str>,
    },
    /// A channel has lost its last subscriber.
    ChannelVacated {
        /// The app's id.
        app: Box<str>,
        /// The channel's name.
        channel: Box<str>,
    },
    /// A client sent an event to the other subscribers of a channel.
    ClientEvent {
        /// The app's id.
        app: Box<str>,
        /// The channel's name.
        channel: Box<str>,
        /// The event's name, with its prefix `client-`.
        event: Box<str>,
        /// The data as the inside of a JSON string literal, escapes included.
        data: Box<str>,
        /// The sender's socket id.
        socket_id: SocketId,
        /// The sender's user id, on presence channels.
        user_id: Option<Box<str>>,
    },
    /// A socket has been accepted.
    Connected {
        /// The app's id.
        app: Box<str>,
        /// The socket id that the client was told.
        socket_id: SocketId,
    },
    /// A socket has ended, whatever ended it.
    Disconnected {
        /// The app's id.
        app: Box<str>,
        /// The socket's id.
        socket_id: SocketId,
    },
    /// A user has joined a presence channel with a first socket.
    MemberAdded {
        /// The app's id.
        app: Box<str>,
        /// The channel's name.
        channel: Box<str>,
        /// The user's id.
        user_id: Box<str>,
    },
    /// A user has left a presence channel with the last socket.
    MemberRemoved {
        /// The app's id.
        app: Box<str>,
        /// The channel's name.
        channel: Box<str>,
        /// The user's id.
        user_id: Box<str>,
    },
    /// The number of a channel's subscribers has changed; told of apps with
    /// [`App::subscription_count`](crate::App), as often as the subscribers are told.
    SubscriptionCount {
        /// The app's id.
        app: Box<str>,
        /// The channel's name.
        channel: Box<str>,
        /// Subscribed connections.
        count: u32,
    },
}

/// Text of the hub, which is UTF-8 throughout.
pub(super) fn name(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(bytes).into()
}
