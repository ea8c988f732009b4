//! Signatures for others: subscriptions, sign-ins, and those of webhooks.

use serde::{Deserialize, Serialize};
use tidings_core::auth::{
    PresenceData, SigningKey, UserData, sign_channel, sign_user, verify_webhook,
};
use tidings_core::channel::{ChannelKind, ChannelName, DEFAULT_MAX_LEN};
use tidings_core::pusher::SocketId;

use super::Publisher;
use super::error::{PublishError, WebhookError};

/// What the endpoint of an application answers to a client that wants to subscribe: send it as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChannelAuth {
    /// `KEY:SIGNATURE`.
    pub auth: String,
    /// The signed text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_data: Option<String>,
    /// The secret of an encrypted channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_secret: Option<String>,
}

/// What the endpoint of an application answers to a client that wants to sign in: send it as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserAuth {
    /// `KEY:SIGNATURE`.
    pub auth: String,
    /// The signed text.
    pub user_data: String,
}

/// A webhook whose signature is right.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Webhook {
    /// When it was sent, in milliseconds since 1970.
    pub time_ms: u64,
    /// What happened.
    pub events: Vec<WebhookEvent>,
}

/// Something that happened, as a webhook tells it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct WebhookEvent {
    /// What happened, such as `channel_occupied`.
    pub name: String,
    /// The channel, unless it concerns none.
    pub channel: Option<String>,
    /// All other members, such as `user_id`.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

fn invalid(text: impl Into<Box<str>>) -> PublishError {
    PublishError::Invalid(text.into())
}

impl Publisher {
    fn signing(&self) -> &SigningKey {
        &self.0.signing
    }

    /// Lets the connection subscribe to a private, presence or encrypted channel. `channel_data` is JSON text with the
    /// `user_id`, and perhaps the `user_info`, of a presence channel's user.
    ///
    /// # Errors
    /// [`PublishError::Invalid`] when the channel needs no signature, or the data is missing or describes no user.
    pub fn authorize_channel(
        &self,
        socket_id: SocketId,
        channel: &str,
        channel_data: Option<&str>,
    ) -> Result<ChannelAuth, PublishError> {
        let name = ChannelName::parse(channel, DEFAULT_MAX_LEN);
        let name = name.map_err(|error| invalid(format!("{channel}: {error}")))?;
        if !name.needs_auth() {
            return Err(invalid(format!("{channel} needs no signature: it is public")));
        }
        let presence = name.kind() == ChannelKind::Presence;
        match channel_data.map(PresenceData::parse) {
            Some(Err(error)) if presence => return Err(invalid(format!("channel_data: {error}"))),
            None if presence => {
                return Err(invalid(format!("{channel} needs channel_data with a user_id")));
            }
            _ => {}
        }
        let shared_secret = match (name.kind(), &self.0.master_key) {
            (ChannelKind::Encrypted, None) => {
                return Err(invalid(format!("{channel} needs the encryption master key: set it")));
            }
            (ChannelKind::Encrypted, Some(master)) => {
                Some(master.shared_secret(channel).to_base64(&mut [0; 44]).to_owned())
            }
            _ => None,
        };
        let signature = sign_channel(self.signing(), &socket_id.as_text(), channel, channel_data);
        let auth = format!("{}:{signature}", self.0.key);
        Ok(ChannelAuth { auth, channel_data: channel_data.map(Into::into), shared_secret })
    }

    /// Signs the user of a connection in. `user_data` is JSON text with the user's `id`, and perhaps `user_info` and a
    /// `watchlist`.
    ///
    /// # Errors
    /// [`PublishError::Invalid`] when the data describes no user.
    pub fn authenticate_user(
        &self,
        socket_id: SocketId,
        user_data: &str,
    ) -> Result<UserAuth, PublishError> {
        UserData::parse(user_data).map_err(|error| invalid(format!("user_data: {error}")))?;
        let signature = sign_user(self.signing(), &socket_id.as_text(), user_data);
        Ok(UserAuth { auth: format!("{}:{signature}", self.0.key), user_data: user_data.into() })
    }

    /// Reads a webhook: the headers `X-Pusher-Key` and `X-Pusher-Signature`, and the body as it came.
    ///
    /// # Errors
    /// [`WebhookError`] when it does not come from the app's server, or cannot be read.
    pub fn webhook(
        &self,
        key: &str,
        signature: &str,
        body: &[u8],
    ) -> Result<Webhook, WebhookError> {
        if key != self.0.key {
            return Err(WebhookError::Key);
        }
        if !verify_webhook(self.signing(), body, signature) {
            return Err(WebhookError::Signature);
        }
        serde_json::from_slice(body).map_err(|error| WebhookError::Body(error.to_string().into()))
    }
}
