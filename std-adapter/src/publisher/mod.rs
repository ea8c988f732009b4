//! Publishing over the HTTP API of Pusher Channels, to every server that has it.
//!
//! ```no_run
//! use tidings::publisher::{Event, Publisher};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let publisher = Publisher::builder("app-id", "app-key", "app-secret").host("127.0.0.1", 6001).build()?;
//! publisher.trigger(&Event::new("orders", "new", r#"{"id":7}"#)).await?;
//! for (name, info) in publisher.channels(None, Default::default()).await? {
//!     println!("{name}: {info:?}");
//! }
//! # Ok(())
//! # }
//! ```

mod config;
mod error;
mod event;
mod request;
mod sign;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tidings_core::auth::{MasterKey, NONCE_LEN, SigningKey};
use tidings_core::channel::{ChannelKind, ChannelName, DEFAULT_MAX_LEN};
use tidings_core::error::TxFull;
use tidings_core::io::TxBuf;
use tidings_core::pusher::{SocketId, encode_encrypted};

pub use config::{PublisherBuilder, PublisherConfigError};
pub use error::{PublishError, WebhookError};
use event::{Batch, BatchBody, BatchEvent, Channels, EventBody, Users};
pub use event::{CachedEvent, ChannelInfo, Event, Info};
#[cfg(feature = "cli")]
pub(crate) use request::signed_query;
use request::{ApiRequest, piece};
pub use sign::{ChannelAuth, UserAuth, Webhook, WebhookEvent};

use crate::outbound::http::HttpClient;

/// Publishes to one app, asks about its channels, and signs for its clients. Clones share their connections.
///
/// What asks only is sent again after a failure. What publishes is sent again only when it has certainly not been
/// carried out: when there was no connection, or the server answered 429 or 503 and said when to come back.
#[derive(Clone)]
pub struct Publisher(Arc<Inner>);

struct Inner {
    /// Host and port, for errors.
    host: Box<str>,
    /// What comes before `/apps`.
    base: String,
    app_id: String,
    key: String,
    signing: SigningKey,
    master_key: Option<MasterKey>,
    http: HttpClient,
    patience: Duration,
    retries: u32,
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { base, app_id, .. } = &*self.0;
        f.debug_struct("Publisher")
            .field("base", base)
            .field("app_id", app_id)
            .finish_non_exhaustive()
    }
}

impl Publisher {
    /// A publisher to the app with this id, key and secret.
    pub fn builder(
        app_id: impl Into<String>,
        key: impl Into<String>,
        secret: impl AsRef<[u8]>,
    ) -> PublisherBuilder {
        PublisherBuilder::new(app_id.into(), key.into(), SigningKey::new(secret.as_ref()))
    }

    /// Publishes an event. The answer has the attributes of the channels that the event asks for.
    ///
    /// On an encrypted channel the data is sealed; such an event goes to one channel only.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn trigger(
        &self,
        event: &Event,
    ) -> Result<BTreeMap<String, ChannelInfo>, PublishError> {
        let data = self.data(event)?;
        let body = EventBody {
            name: &event.name,
            data: data.as_deref().unwrap_or(&event.data),
            channels: &event.channels,
            socket_id: event.socket_id.map(|id| id.to_string()),
            info: (!event.info.is_empty()).then(|| event.info.join(",")),
        };
        let answer: Channels = self.post("/events", &body).await?;
        Ok(answer.channels)
    }

    /// Publishes events in one request, in their order; Pusher takes up to ten. The answer has the attributes that the
    /// events ask for, one element for each event, or none if none asks.
    ///
    /// # Errors
    /// [`PublishError`]; an event on several channels is [`PublishError::Invalid`].
    pub async fn trigger_batch(&self, events: &[Event]) -> Result<Vec<ChannelInfo>, PublishError> {
        let sealed: Result<Vec<_>, _> = events.iter().map(|event| self.data(event)).collect();
        let sealed = sealed?;
        let mut batch = Vec::with_capacity(events.len());
        for (event, data) in events.iter().zip(&sealed) {
            let [channel] = &*event.channels else {
                let text =
                    "an event of a batch goes to one channel: send it alone, or once for each";
                return Err(PublishError::Invalid(text.into()));
            };
            batch.push(BatchEvent {
                channel,
                name: &event.name,
                data: data.as_deref().unwrap_or(&event.data),
                socket_id: event.socket_id.map(|id| id.to_string()),
                info: (!event.info.is_empty()).then(|| event.info.join(",")),
            });
        }
        let answer: Batch = self.post("/batch_events", &BatchBody { batch }).await?;
        Ok(answer.batch)
    }

    /// Publishes to all connections on which the user is signed in.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn send_to_user(
        &self,
        user_id: &str,
        name: &str,
        data: &str,
    ) -> Result<(), PublishError> {
        let channel = format!("{}{user_id}", tidings_core::channel::USER_PREFIX);
        self.trigger(&Event::new(channel, name, data)).await.map(|_| ())
    }

    /// The occupied channels whose names begin with `prefix`. How many users there are is told of presence channels
    /// only, so it takes a prefix that begins with `presence-`.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn channels(
        &self,
        prefix: Option<&str>,
        info: Info,
    ) -> Result<BTreeMap<String, ChannelInfo>, PublishError> {
        let info = info.parameter();
        let mut parameters = Vec::new();
        if let Some(prefix) = prefix {
            parameters.push(("filter_by_prefix", prefix));
        }
        if let Some(info) = &info {
            parameters.push(("info", info));
        }
        let request = ApiRequest { path: "/channels", parameters: &parameters, body: None };
        Ok(self.call::<Channels>(request).await?.channels)
    }

    /// One channel.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn channel(&self, channel: &str, info: Info) -> Result<ChannelInfo, PublishError> {
        let info = info.parameter();
        let parameters: Vec<_> = info.iter().map(|info| ("info", &**info)).collect();
        let path = format!("/channels/{}", piece(channel));
        self.call(ApiRequest { path: &path, parameters: &parameters, body: None }).await
    }

    /// The ids of the users on a presence channel.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn users(&self, channel: &str) -> Result<Vec<String>, PublishError> {
        let path = format!("/channels/{}/users", piece(channel));
        let answer: Users =
            self.call(ApiRequest { path: &path, parameters: &[], body: None }).await?;
        let text = |id| match id {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        Ok(answer.users.into_iter().map(|user| text(user.id)).collect())
    }

    /// Ends all connections on which the user is signed in.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn terminate(&self, user_id: &str) -> Result<(), PublishError> {
        let path = format!("/users/{}/terminate_connections", piece(user_id));
        self.post::<serde::de::IgnoredAny>(&path, &serde_json::json!({})).await.map(|_| ())
    }

    async fn post<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, PublishError> {
        let body = serde_json::to_vec(body);
        let body = body.map_err(|error| PublishError::Invalid(error.to_string().into()))?;
        self.call(ApiRequest { path, parameters: &[], body: Some(Bytes::from(body)) }).await
    }

    /// The sealed data of an event on an encrypted channel.
    fn data(&self, event: &Event) -> Result<Option<String>, PublishError> {
        let invalid = |text: String| PublishError::Invalid(text.into());
        let mut encrypted = false;
        for name in &event.channels {
            let channel = ChannelName::parse(name, DEFAULT_MAX_LEN);
            let channel = channel.map_err(|error| invalid(format!("{name}: {error}")))?;
            encrypted |= channel.kind() == ChannelKind::Encrypted;
        }
        match (&*event.channels, encrypted) {
            (_, false) => Ok(None),
            ([channel], true) => {
                let Some(master) = &self.0.master_key else {
                    return Err(invalid(format!(
                        "{channel} needs the encryption master key: set it"
                    )));
                };
                Ok(Some(seal(master, channel, &event.data).map_err(invalid)?))
            }
            _ => Err(invalid("an event on an encrypted channel goes to one channel only".into())),
        }
    }
}

fn seal(master: &MasterKey, channel: &str, data: &str) -> Result<String, String> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|e| format!("the system has no random numbers: {e}"))?;
    let secret = master.shared_secret(channel);
    let mut memory = vec![0; 256];
    loop {
        let mut tx = TxBuf::new(&mut memory);
        match encode_encrypted(&mut tx, &secret, nonce, data) {
            Ok(()) => return Ok(String::from_utf8_lossy(tx.written()).into_owned()),
            Err(TxFull { at_least }) => memory.resize(at_least, 0),
        }
    }
}

/// Parses a socket id as a request brings it.
///
/// # Errors
/// [`PublishError::Invalid`] when it is none.
pub fn socket_id(text: &str) -> Result<SocketId, PublishError> {
    SocketId::parse(text).map_err(|error| PublishError::Invalid(format!("{text}: {error}").into()))
}
