//! What is published, and what the server tells about channels.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidings_core::pusher::SocketId;

use super::error::PublishError;

/// An event to publish.
///
/// ```
/// use tidings::publisher::Event;
///
/// let text = Event::new("orders", "new", r#"{"id":7}"#);
/// let typed = Event::json("orders", "new", &serde_json::json!({"id": 7}))?.also_to("orders-eu");
/// # Ok::<(), tidings::publisher::PublishError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Event {
    pub(super) channels: Vec<String>,
    pub(super) name: String,
    pub(super) data: String,
    pub(super) socket_id: Option<SocketId>,
    pub(super) info: Vec<&'static str>,
}

impl Event {
    /// An event `name` on `channel`; `data` reaches the subscribers as it is, usually JSON text.
    pub fn new(
        channel: impl Into<String>,
        name: impl Into<String>,
        data: impl Into<String>,
    ) -> Self {
        Self {
            channels: vec![channel.into()],
            name: name.into(),
            data: data.into(),
            socket_id: None,
            info: Vec::new(),
        }
    }

    /// As [`new`](Self::new) with data that is written as JSON.
    ///
    /// # Errors
    /// [`PublishError::Invalid`] when it cannot be.
    pub fn json<T: Serialize + ?Sized>(
        channel: impl Into<String>,
        name: impl Into<String>,
        data: &T,
    ) -> Result<Self, PublishError> {
        let data = serde_json::to_string(data);
        let data = data.map_err(|error| PublishError::Invalid(error.to_string().into()))?;
        Ok(Self::new(channel, name, data))
    }

    /// Another channel that the event goes to. A batch takes events on one channel each.
    pub fn also_to(mut self, channel: impl Into<String>) -> Self {
        self.channels.push(channel.into());
        self
    }

    /// Leaves out one connection, usually that of the client whose action caused the event.
    pub const fn except(mut self, socket_id: SocketId) -> Self {
        self.socket_id = Some(socket_id);
        self
    }

    /// Asks how many users the presence channels have.
    pub fn user_count(mut self) -> Self {
        self.info.push("user_count");
        self
    }

    /// Asks how many subscriptions the channels have.
    pub fn subscription_count(mut self) -> Self {
        self.info.push("subscription_count");
        self
    }
}

/// What the server tells of a channel, as far as it was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ChannelInfo {
    /// Whether somebody is subscribed.
    pub occupied: Option<bool>,
    /// How many users a presence channel has.
    pub user_count: Option<u64>,
    /// How many subscriptions there are.
    pub subscription_count: Option<u64>,
    /// The last event of a cache channel.
    pub cache: Option<CachedEvent>,
}

/// The last event of a cache channel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct CachedEvent {
    /// Its payload.
    pub data: Option<serde_json::Value>,
    /// How many seconds it will be kept.
    pub ttl: Option<u64>,
}

/// Attributes of channels to ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use]
pub struct Info {
    user_count: bool,
    subscription_count: bool,
    cache: bool,
}

impl Info {
    /// Nothing but which channels are occupied.
    pub const fn none() -> Self {
        Self { user_count: false, subscription_count: false, cache: false }
    }

    /// How many users presence channels have.
    pub const fn user_count(mut self) -> Self {
        self.user_count = true;
        self
    }

    /// How many subscriptions there are.
    pub const fn subscription_count(mut self) -> Self {
        self.subscription_count = true;
        self
    }

    /// The last event of a cache channel.
    pub const fn cache(mut self) -> Self {
        self.cache = true;
        self
    }

    /// The value of the query parameter `info`.
    pub(super) fn parameter(self) -> Option<String> {
        let all = [
            (self.cache, "cache"),
            (self.subscription_count, "subscription_count"),
            (self.user_count, "user_count"),
        ];
        let wanted: Vec<&str> = all.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
        (!wanted.is_empty()).then(|| wanted.join(","))
    }
}

/// The body of `POST /events`, with the members in the order of the official SDK for node.
#[derive(Serialize)]
pub(super) struct EventBody<'a> {
    pub(super) name: &'a str,
    pub(super) data: &'a str,
    pub(super) channels: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) socket_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) info: Option<String>,
}

/// An event in the body of `POST /batch_events`.
#[derive(Serialize)]
pub(super) struct BatchEvent<'a> {
    pub(super) channel: &'a str,
    pub(super) name: &'a str,
    pub(super) data: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) socket_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) info: Option<String>,
}

/// The body of `POST /batch_events`.
#[derive(Serialize)]
pub(super) struct BatchBody<'a> {
    pub(super) batch: Vec<BatchEvent<'a>>,
}

/// Channels by name, as the server answers. A server written in PHP has a list for an object without members.
#[derive(Deserialize)]
pub(super) struct Channels {
    #[serde(default, deserialize_with = "object_or_nothing")]
    pub(super) channels: BTreeMap<String, ChannelInfo>,
}

fn object_or_nothing<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, ChannelInfo>, D::Error> {
    match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Array(list) if list.is_empty() => Ok(BTreeMap::new()),
        value => serde_json::from_value(value).map_err(serde::de::Error::custom),
    }
}

/// The answer to a batch.
#[derive(Deserialize)]
pub(super) struct Batch {
    #[serde(default)]
    pub(super) batch: Vec<ChannelInfo>,
}

/// The users of a presence channel.
#[derive(Deserialize)]
pub(super) struct Users {
    pub(super) users: Vec<User>,
}

#[derive(Deserialize)]
pub(super) struct User {
    pub(super) id: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_channels_may_be_an_object_a_list_or_nothing() {
        for text in [r#"{"channels":{}}"#, r#"{"channels":[]}"#, "{}"] {
            let read: Channels = serde_json::from_str(text).unwrap();
            assert!(read.channels.is_empty(), "{text}");
        }
        let text = r#"{"channels":{"a":{"user_count":3,"other":1}}}"#;
        let read: Channels = serde_json::from_str(text).unwrap();
        assert_eq!(read.channels["a"].user_count, Some(3));
    }

    #[test]
    fn attributes_are_asked_for_in_one_parameter() {
        assert_eq!(Info::none().parameter(), None);
        let all = Info::none().user_count().subscription_count().cache();
        assert_eq!(all.parameter().as_deref(), Some("cache,subscription_count,user_count"));
    }
}
