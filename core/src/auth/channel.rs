//! Subscriptions and sign-in: `KEY:SIGNATURE` over the socket id and what is asked for.

use core::fmt;

use super::signature::{Signature, SigningKey};

/// Why `auth` does not let a socket in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelAuthError {
    /// The key before the colon is not the app's.
    Key,
    /// The signature is not that of this socket, channel and data.
    Mismatch,
    /// There is no colon between key and signature.
    NoColon,
}

impl fmt::Display for ChannelAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "the key is not the app's",
            Self::Mismatch => "the signature does not match",
            Self::NoColon => "no colon between key and signature",
        })
    }
}

impl core::error::Error for ChannelAuthError {}

/// Signs a subscription: `SOCKET_ID:CHANNEL`, followed by `:CHANNEL_DATA` if there is any.
///
/// `channel_data` is signed as it will be sent. An empty one counts as none.
#[must_use]
pub fn sign_channel(
    key: &SigningKey,
    socket_id: &str,
    channel: &str,
    channel_data: Option<&str>,
) -> Signature {
    let (socket_id, channel) = (socket_id.as_bytes(), channel.as_bytes());
    match channel_data.filter(|data| !data.is_empty()) {
        None => key.sign(&[socket_id, b":", channel]),
        Some(data) => key.sign(&[socket_id, b":", channel, b":", data.as_bytes()]),
    }
}

/// Checks the `auth` of a subscription on any channel that needs one.
///
/// # Errors
/// [`ChannelAuthError`] names the part that is wrong.
pub fn verify_channel(
    key: &SigningKey,
    app_key: &str,
    socket_id: &str,
    channel: &str,
    channel_data: Option<&str>,
    auth: &str,
) -> Result<(), ChannelAuthError> {
    verify(app_key, auth, &sign_channel(key, socket_id, channel, channel_data))
}

/// Signs a sign-in: `SOCKET_ID::user::USER_DATA`.
#[must_use]
pub fn sign_user(key: &SigningKey, socket_id: &str, user_data: &str) -> Signature {
    key.sign(&[socket_id.as_bytes(), b"::user::", user_data.as_bytes()])
}

/// Checks the `auth` of a sign-in.
///
/// # Errors
/// [`ChannelAuthError`] names the part that is wrong.
pub fn verify_user(
    key: &SigningKey,
    app_key: &str,
    socket_id: &str,
    user_data: &str,
    auth: &str,
) -> Result<(), ChannelAuthError> {
    verify(app_key, auth, &sign_user(key, socket_id, user_data))
}

fn verify(app_key: &str, auth: &str, expected: &Signature) -> Result<(), ChannelAuthError> {
    let (key, signature) = auth.split_once(':').ok_or(ChannelAuthError::NoColon)?;
    if key != app_key {
        return Err(ChannelAuthError::Key);
    }
    if expected.matches(signature) { Ok(()) } else { Err(ChannelAuthError::Mismatch) }
}
