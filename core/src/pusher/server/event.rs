//! What a client asks for.

use super::fault::Fault;
use crate::channel::ChannelName;
use crate::pusher::{ClientData, Closed};

/// What happened on a connection. It borrows from the input.
///
/// Texts are unescaped; they were unescaped where they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent<'i> {
    /// The client triggers an event for the other subscribers of a channel.
    ///
    /// The name starts with `client-` and is not too long. To be checked: that client events are enabled, that the
    /// [kind](crate::channel::ChannelKind::takes_client_events) of channel takes them, that this connection is
    /// subscribed, how many and how large they are.
    ClientEvent {
        /// The channel.
        channel: ChannelName<'i>,
        /// The event's name.
        event: &'i str,
        /// The payload.
        data: ClientData<'i>,
    },
    /// The connection has ended: flush, and end the transport.
    Closed(Closed),
    /// The client sent something that cannot be acted on. It is answered already and the connection goes on.
    Malformed(Fault),
    /// The client signs in.
    SignIn {
        /// `KEY:SIGNATURE`
        auth: &'i str,
        /// The JSON text that is signed.
        user_data: &'i str,
    },
    /// The client subscribes to a channel.
    Subscribe {
        /// The channel.
        channel: ChannelName<'i>,
        /// `KEY:SIGNATURE`. It is there if and only if the channel [needs it](ChannelName::needs_auth).
        auth: Option<&'i str>,
        /// The text that is signed together with the channel. Never empty; `None` on channels without `auth`.
        channel_data: Option<&'i str>,
        /// The serial of the last event that the client has seen, when it wants what came after it: an extension
        /// that is answered with [`encode_resumed`](crate::pusher::encode_resumed). Never empty.
        resume_from: Option<&'i str>,
    },
    /// The client unsubscribes from a channel.
    Unsubscribe {
        /// The channel.
        channel: ChannelName<'i>,
    },
}
