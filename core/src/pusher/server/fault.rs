//! What a client can get wrong without losing its connection.

use core::fmt;

use crate::channel::NameError;
use crate::error::TxFull;
use crate::io::TxBuf;
use crate::json::{JsonErrorKind, escaped_len};
use crate::pusher::{ErrorCode, SubscriptionErrorKind, encode_error, encode_subscription_error};

/// A message that cannot be acted on, and why. [`Display`](fmt::Display) gives the text that the client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// A subscription to such a channel needs `auth`.
    AuthMissing,
    /// `auth` is not `KEY:SIGNATURE`: another kind of value, no colon, or JSON around it.
    AuthShape,
    /// A binary message: the protocol has none.
    Binary,
    /// `channel_data` is not a string.
    ChannelDataShape,
    /// The channel is not named.
    ChannelMissing,
    /// The channel's name is not valid.
    ChannelName(NameError),
    /// A client event without a channel.
    ClientEventIncomplete,
    /// `data` is missing, or neither an object nor a string that holds one.
    DataMissing,
    /// There is no `event`, or it is no string.
    EventMissing,
    /// The name of a client event is too long.
    EventTooLong {
        /// Its length in characters.
        len: u32,
        /// The limit.
        max: u16,
    },
    /// No client may send an event of this name.
    EventUnsupported,
    /// The message is not a JSON object.
    Json(JsonErrorKind),
    /// A sign-in without `auth`.
    SignInAuthMissing,
    /// A sign-in without `user_data`.
    SignInUserDataMissing,
    /// The message is over the limit and was not read.
    TooLarge {
        /// Its length in bytes.
        size: u64,
        /// The limit.
        max: u32,
    },
}

impl Fault {
    /// The code that the client is told, if there is one.
    #[must_use]
    pub const fn code(self) -> Option<ErrorCode> {
        match self {
            Self::EventTooLong { .. } => Some(ErrorCode::CLIENT_EVENT_REJECTED),
            Self::AuthMissing
            | Self::AuthShape
            | Self::Binary
            | Self::ChannelDataShape
            | Self::ChannelMissing
            | Self::ChannelName(_)
            | Self::ClientEventIncomplete
            | Self::DataMissing
            | Self::EventMissing
            | Self::EventUnsupported
            | Self::Json(_)
            | Self::SignInAuthMissing
            | Self::SignInUserDataMissing
            | Self::TooLarge { .. } => None,
        }
    }

    /// How a subscription with this fault is refused: kind and status.
    const fn subscription_error(self) -> (SubscriptionErrorKind, u16) {
        let Self::ChannelName(error) = self else {
            return (SubscriptionErrorKind::Auth, 401);
        };
        match error {
            NameError::TooLong { .. } => {
                (SubscriptionErrorKind::Limit, ErrorCode::UNAUTHORIZED.as_u16())
            }
            NameError::Character { .. } | NameError::Empty | NameError::Reserved => {
                (SubscriptionErrorKind::Name, ErrorCode::NAME_INVALID.as_u16())
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AuthMissing => "This channel needs auth, the text KEY:SIGNATURE",
            Self::AuthShape => "auth must be a string KEY:SIGNATURE, without JSON around it",
            Self::Binary => "Received a binary message: send JSON as text",
            Self::ChannelDataShape => {
                "channel_data must be a string: the text that was signed, not its object"
            }
            Self::ChannelMissing => "Missing parameter: data.channel",
            Self::ChannelName(error) => return error.fmt(f),
            Self::ClientEventIncomplete => "Invalid client event (must contain channel and data)",
            Self::DataMissing => "Missing parameter: data, an object",
            Self::EventMissing => "Missing parameter: event",
            Self::EventTooLong { len, max } => {
                return write!(f, "Event name has {len} characters, the limit is {max}");
            }
            Self::EventUnsupported => "Unsupported event received on socket",
            Self::Json(_) => "Received invalid JSON",
            Self::SignInAuthMissing => "Missing parameter: data.auth",
            Self::SignInUserDataMissing => "Missing parameter: data.user_data",
            Self::TooLarge { size, max } => {
                return write!(f, "Message has {size} bytes, the limit is {max}");
            }
        })
    }
}

impl core::error::Error for Fault {}

/// A fault with what the client called the thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal<'i> {
    pub(super) fault: Fault,
    pub(super) about: About<'i>,
}

/// What a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About<'i> {
    /// An event of this name.
    Event(&'i str),
    /// The message as such.
    Message,
    /// A subscription to this channel.
    Subscription(&'i str),
}

impl From<Fault> for Refusal<'_> {
    fn from(fault: Fault) -> Self {
        Self { fault, about: About::Message }
    }
}

/// The longest name that an answer repeats, as it is written; a longer one is cut.
const MAX_ECHO: usize = 512;

impl Refusal<'_> {
    /// Writes the answer: `pusher:subscription_error` to a subscription, else a `pusher:error` that does not close.
    pub(super) fn answer(self, tx: &mut TxBuf<'_>) -> Result<(), TxFull> {
        let Self { fault, about } = self;
        match about {
            About::Subscription(channel) => {
                let (kind, status) = fault.subscription_error();
                encode_subscription_error(tx, cut(channel), kind, &fault, status)
            }
            About::Event(event) => {
                encode_error(tx, fault.code(), &format_args!("{fault}: {}", cut(event)))
            }
            About::Message => encode_error(tx, fault.code(), &fault),
        }
    }
}

/// As much of `text` as is repeated in an answer.
fn cut(text: &str) -> &str {
    let mut len = 0usize;
    let mut escaped = 0usize;
    for part in text.split_inclusive(|_| true) {
        escaped = escaped.saturating_add(escaped_len(part));
        if escaped > MAX_ECHO {
            break;
        }
        len = len.saturating_add(part.len());
    }
    text.get(..len).unwrap_or_default()
}
