//! What can go wrong, sorted by whose fault it is.
//!
//! | type | meaning | afterwards |
//! |---|---|---|
//! | [`PeerError`](crate::websocket::PeerError) | the peer broke a rule of the protocol | the connection ends with the error's close code |
//! | [`UsageError`] | the caller asked for something the state or the rules forbid | nothing changed |
//! | [`CapacityError`] | bounded memory is full | nothing changed; make room and try again |

use core::fmt;

/// The output buffer cannot take what is to be written; nothing was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxFull {
    /// The free bytes that the write needs.
    pub at_least: usize,
}

impl fmt::Display for TxFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the output buffer is full")
    }
}

impl core::error::Error for TxFull {}

/// Bounded memory is full; nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CapacityError {
    /// No room for another channel.
    Channels,
    /// No room in the output buffer.
    Tx(TxFull),
}

impl fmt::Display for CapacityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channels => f.write_str("there is no room for another channel"),
            Self::Tx(full) => full.fmt(f),
        }
    }
}

impl core::error::Error for CapacityError {}

impl From<TxFull> for CapacityError {
    fn from(full: TxFull) -> Self {
        Self::Tx(full)
    }
}

/// The caller's order or argument is wrong; nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UsageError {
    /// The channel is in the table already.
    AlreadySubscribed,
    /// No such authorisation was asked for, or it was for an earlier connection.
    AuthorizationStale,
    /// The name is not that of a channel.
    ChannelName,
    /// There is no such channel: it was given up.
    ChannelUnknown,
    /// The close code is one that must not be sent (RFC 6455 section 7.4).
    CloseCode,
    /// The payload of a ping or pong is longer than 125 bytes (RFC 6455 section 5.5).
    ControlTooLong,
    /// The name of a client event begins with `client-`.
    EventName,
    /// A part of the opening handshake has characters that it must not have (RFC 6455 section 4.1).
    HandshakeField,
    /// A message in fragments is under way: finish it before another one starts (RFC 6455 section 5.4).
    MessageUnfinished,
    /// The connection is not open: not yet, or no longer.
    NotOpen,
    /// The subscription is not in force.
    NotSubscribed,
    /// Only private and presence channels take client events.
    NotTriggerable,
    /// The close reason is longer than 123 bytes (RFC 6455 section 5.5).
    ReasonTooLong,
    /// The client did not offer this subprotocol (RFC 6455 section 4.2.2).
    SubprotocolNotOffered,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadySubscribed => "this channel is subscribed to already",
            Self::AuthorizationStale => "no such authorisation is asked for on this connection",
            Self::ChannelName => "this is not the name of a channel",
            Self::ChannelUnknown => "there is no such channel",
            Self::CloseCode => "this close code must not be sent",
            Self::ControlTooLong => "a ping or pong has at most 125 bytes",
            Self::EventName => "the name of a client event begins with client-",
            Self::HandshakeField => "a part of the handshake has forbidden characters",
            Self::MessageUnfinished => "finish the fragmented message first",
            Self::NotOpen => "the connection is not open",
            Self::NotSubscribed => "the subscription is not in force",
            Self::NotTriggerable => "only private and presence channels take client events",
            Self::ReasonTooLong => "a close reason has at most 123 bytes",
            Self::SubprotocolNotOffered => "the client did not offer this subprotocol",
        })
    }
}

impl core::error::Error for UsageError {}

/// Why something could not be sent; nothing was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// Bounded memory is full.
    Capacity(CapacityError),
    /// The call is wrong in this state.
    Usage(UsageError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capacity(error) => error.fmt(f),
            Self::Usage(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SendError {}

impl From<TxFull> for SendError {
    fn from(full: TxFull) -> Self {
        Self::Capacity(CapacityError::Tx(full))
    }
}

impl From<CapacityError> for SendError {
    fn from(error: CapacityError) -> Self {
        Self::Capacity(error)
    }
}

impl From<UsageError> for SendError {
    fn from(error: UsageError) -> Self {
        Self::Usage(error)
    }
}
