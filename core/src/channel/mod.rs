//! Channel names: validated once, carried as a type.
//!
//! | prefix | kind | cache |
//! |---|---|---|
//! | `private-encrypted-cache-` | [`Encrypted`](ChannelKind::Encrypted) | yes |
//! | `private-encrypted-` | [`Encrypted`](ChannelKind::Encrypted) | |
//! | `private-cache-` | [`Private`](ChannelKind::Private) | yes |
//! | `private-` | [`Private`](ChannelKind::Private) | |
//! | `presence-cache-` | [`Presence`](ChannelKind::Presence) | yes |
//! | `presence-` | [`Presence`](ChannelKind::Presence) | |
//! | `cache-` | [`Public`](ChannelKind::Public) | yes |
//! | `#server-to-user-` | [`User`](ChannelKind::User) | |
//! | none of these | [`Public`](ChannelKind::Public) | |
//!
//! A prefix counts only at the very start: `my-private-x` and `x-cache-y` are public channels.

use core::fmt;

#[cfg(test)]
mod tests;

/// The longest channel name accepted unless the operator says otherwise, prefix included.
///
/// The public documentation says 164, every official SDK allows 200.
pub const DEFAULT_MAX_LEN: u16 = 200;

/// What comes before the user's id in the name of the channel that reaches one signed-in user.
pub const USER_PREFIX: &str = "#server-to-user-";

/// A valid channel name: `[-a-zA-Z0-9_=@,.;]+`, or that after `#server-to-user-`. Case counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName<'a> {
    name: &'a str,
    kind: ChannelKind,
    cache: bool,
}

/// What a channel's prefix says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChannelKind {
    /// A private channel whose payloads only its members can read.
    Encrypted,
    /// A private channel that knows who is there.
    Presence,
    /// Whoever is authorised may subscribe.
    Private,
    /// Everybody may subscribe.
    Public,
    /// The events for one signed-in user.
    User,
}

impl<'a> ChannelName<'a> {
    /// Checks a name of at most `max_len` bytes.
    ///
    /// # Errors
    /// [`NameError`] names the first rule that is broken.
    pub fn parse(name: &'a str, max_len: u16) -> Result<Self, NameError> {
        if name.len() > usize::from(max_len) {
            let len = u32::try_from(name.len()).unwrap_or(u32::MAX);
            return Err(NameError::TooLong { len, max: max_len });
        }
        let (prefix, rest) = match name.strip_prefix(USER_PREFIX) {
            Some(user) => (USER_PREFIX, user),
            None if name.starts_with('#') => return Err(NameError::Reserved),
            None => ("", name),
        };
        if rest.is_empty() {
            return Err(NameError::Empty);
        }
        if let Some(at) = rest.bytes().position(|byte| !is_name_byte(byte)) {
            let at = u32::try_from(at.saturating_add(prefix.len())).unwrap_or(u32::MAX);
            return Err(NameError::Character { at });
        }
        let (kind, cache) = classify(name);
        Ok(Self { name, kind, cache })
    }

    /// The name as it was given.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.name
    }

    /// The kind of channel.
    #[must_use]
    pub const fn kind(self) -> ChannelKind {
        self.kind
    }

    /// Whether the channel keeps its last event for whoever subscribes later.
    #[must_use]
    pub const fn is_cache(self) -> bool {
        self.cache
    }

    /// Whether a subscription carries a signature.
    #[must_use]
    pub const fn needs_auth(self) -> bool {
        self.kind.needs_auth()
    }

    /// The user whose channel this is.
    #[must_use]
    pub fn user_id(self) -> Option<&'a str> {
        self.name.strip_prefix(USER_PREFIX)
    }
}

impl AsRef<str> for ChannelName<'_> {
    fn as_ref(&self) -> &str {
        self.name
    }
}

impl fmt::Display for ChannelName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl ChannelKind {
    /// Whether a subscription carries a signature. A user's channel does not: the sign-in decides.
    #[must_use]
    pub const fn needs_auth(self) -> bool {
        match self {
            Self::Encrypted | Self::Presence | Self::Private => true,
            Self::Public | Self::User => false,
        }
    }

    /// Whether clients may trigger events on such a channel.
    ///
    /// On encrypted ones they may not: the official clients cannot, so a plain text would leak.
    #[must_use]
    pub const fn takes_client_events(self) -> bool {
        match self {
            Self::Presence | Self::Private => true,
            Self::Encrypted | Self::Public | Self::User => false,
        }
    }
}

/// Why a text is no channel name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NameError {
    /// A byte outside the set of a name, at this offset.
    Character {
        /// The offset.
        at: u32,
    },
    /// There is no name, or none after `#server-to-user-`.
    Empty,
    /// Names that start with `#` are reserved, except `#server-to-user-` and an id.
    Reserved,
    /// The name is longer than allowed.
    TooLong {
        /// Its length in bytes.
        len: u32,
        /// The limit.
        max: u16,
    },
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character { at } => {
                write!(f, "channel name has a character outside A-Za-z0-9_-=@,.; at byte {at}")
            }
            Self::Empty => f.write_str("channel name is empty"),
            Self::Reserved => f.write_str("channel names with # are reserved"),
            Self::TooLong { len, max } => {
                write!(f, "channel name has {len} bytes, the limit is {max}")
            }
        }
    }
}

impl core::error::Error for NameError {}

fn classify(name: &str) -> (ChannelKind, bool) {
    let (kind, rest) = if let Some(rest) = name.strip_prefix("private-encrypted-") {
        (ChannelKind::Encrypted, rest)
    } else if let Some(rest) = name.strip_prefix("private-") {
        (ChannelKind::Private, rest)
    } else if let Some(rest) = name.strip_prefix("presence-") {
        (ChannelKind::Presence, rest)
    } else if name.starts_with('#') {
        return (ChannelKind::User, false);
    } else {
        (ChannelKind::Public, name)
    };
    (kind, rest.starts_with("cache-"))
}

const fn is_name_byte(byte: u8) -> bool {
    matches!(
        byte,
        b'-' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'=' | b'@' | b',' | b'.' | b';'
    )
}
