//! Who signs subscriptions and sign-ins.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use tidings_core::auth::{MasterKey, SigningKey, sign_channel, sign_user};
use tidings_core::channel::{ChannelKind, ChannelName, DEFAULT_MAX_LEN};
use tidings_core::pusher::SocketId;

/// What is to be signed, for one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthRequest {
    /// The connection. A signature for another one is worth nothing.
    pub socket_id: SocketId,
    /// What it asks for.
    pub subject: Subject,
}

/// What a connection asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// To be subscribed to this private, encrypted or presence channel.
    Channel(Arc<str>),
    /// To be signed in.
    User,
}

/// A signature, as `pusher.authorizeChannel` and `pusher.authenticateUser` of the server SDKs make them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// `KEY:SIGNATURE`.
    pub auth: String,
    /// The signed text: `channel_data` of a presence channel, `user_data` of a sign-in.
    pub data: Option<String>,
    /// The secret of an encrypted channel, in base64.
    pub shared_secret: Option<String>,
}

/// Why there is no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorizeError {
    /// It could not be found out, as when an endpoint is away. It is asked again: after a second, then later
    /// each time, up to a minute.
    #[error("{0}")]
    Failed(Box<str>),
    /// No. It is not asked again on this connection.
    #[error("{message}")]
    Refused {
        /// Why.
        message: Box<str>,
        /// The status, such as 403.
        status: Option<u16>,
    },
}

impl AuthorizeError {
    /// No, because of `message`.
    pub fn refused(message: impl Into<Box<str>>) -> Self {
        Self::Refused { message: message.into(), status: None }
    }

    /// Not now, because of `message`.
    pub fn failed(message: impl Into<Box<str>>) -> Self {
        Self::Failed(message.into())
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Authorization, AuthorizeError>> + Send>>;

/// Signs subscriptions and sign-ins: asked for each channel that needs it, on every connection anew.
///
/// ```
/// use tidings::client::{Authorizer, AuthorizeError, Authorization, Identity};
///
/// // The program has the secret itself.
/// let own = Authorizer::secret("app-key", "app-secret");
/// let as_ann = Authorizer::secret("app-key", "app-secret").identity(Identity::new("ann"));
///
/// // Someone else decides.
/// let asking = Authorizer::new(|request| async move {
///     # let ask = async |_| -> Result<String, &'static str> { Err("no") };
///     match ask(request).await {
///         Ok(auth) => Ok(Authorization { auth, data: None, shared_secret: None }),
///         Err(reason) => Err(AuthorizeError::refused(reason)),
///     }
/// });
/// ```
#[derive(Clone)]
pub struct Authorizer(Kind);

#[derive(Clone)]
enum Kind {
    Function(Arc<dyn Fn(AuthRequest) -> Answer + Send + Sync>),
    Secret(Arc<Secret>),
}

#[derive(Clone)]
struct Secret {
    key: Box<str>,
    signing: SigningKey,
    identity: Option<Identity>,
    master_key: Option<MasterKey>,
}

/// Who a client with the app's secret is, on presence channels and for a sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    user_id: String,
    user_info: Option<serde_json::Value>,
}

impl Identity {
    /// The user with this id.
    pub fn new(user_id: impl Into<String>) -> Self {
        Self { user_id: user_id.into(), user_info: None }
    }

    /// What others may know of the user: a JSON object.
    #[must_use]
    pub fn info(mut self, user_info: serde_json::Value) -> Self {
        self.user_info = Some(user_info);
        self
    }
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Function(_) => "Authorizer::Function",
            Kind::Secret(_) => "Authorizer::Secret([redacted])",
        })
    }
}

impl Authorizer {
    /// Asks `function`. Its future is dropped when the connection ends, and there is a new one on the next.
    pub fn new<F, A>(function: F) -> Self
    where
        F: Fn(AuthRequest) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Authorization, AuthorizeError>> + Send + 'static,
    {
        Self(Kind::Function(Arc::new(move |request| Box::pin(function(request)))))
    }

    /// Signs with the app's secret. Only for programs that may do anything in the app.
    #[must_use]
    pub fn secret(key: impl Into<Box<str>>, secret: impl AsRef<[u8]>) -> Self {
        let signing = SigningKey::new(secret.as_ref());
        Self(Kind::Secret(Arc::new(Secret {
            key: key.into(),
            signing,
            identity: None,
            master_key: None,
        })))
    }

    /// Says who the client is, for one that signs with the secret. It changes nothing for others.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        if let Kind::Secret(secret) = &mut self.0 {
            Arc::make_mut(secret).identity = Some(identity);
        }
        self
    }

    /// The key that the secrets of encrypted channels are made from, for a client that signs with the secret. It changes
    /// nothing for others.
    #[must_use]
    pub fn encryption_master_key(mut self, key: MasterKey) -> Self {
        if let Kind::Secret(secret) = &mut self.0 {
            Arc::make_mut(secret).master_key = Some(key);
        }
        self
    }

    /// Asks once, as the client does.
    ///
    /// # Errors
    /// [`AuthorizeError`] when there is no signature.
    pub async fn authorize(&self, request: AuthRequest) -> Result<Authorization, AuthorizeError> {
        match &self.0 {
            Kind::Function(function) => function(request).await,
            Kind::Secret(secret) => {
                let identity = secret.identity.as_ref();
                let (signature, data) = sign(&secret.signing, identity, &request)?;
                let shared_secret = secret.shared_secret(&request.subject);
                let auth = format!("{}:{signature}", secret.key);
                Ok(Authorization { auth, data, shared_secret })
            }
        }
    }
}

impl Secret {
    fn shared_secret(&self, subject: &Subject) -> Option<String> {
        let (Subject::Channel(name), Some(master)) = (subject, &self.master_key) else {
            return None;
        };
        let channel = ChannelName::parse(name, DEFAULT_MAX_LEN).ok()?;
        (channel.kind() == ChannelKind::Encrypted)
            .then(|| master.shared_secret(name).to_base64(&mut [0; 44]).to_owned())
    }
}

fn sign(
    signing: &SigningKey,
    identity: Option<&Identity>,
    request: &AuthRequest,
) -> Result<(tidings_core::auth::Signature, Option<String>), AuthorizeError> {
    let socket_id = request.socket_id.as_text();
    match &request.subject {
        Subject::Channel(name) => {
            let data = match ChannelName::parse(name, DEFAULT_MAX_LEN).map(ChannelName::kind) {
                Ok(ChannelKind::Presence) => {
                    let Identity { user_id, user_info } = known(identity, name)?;
                    Some(text(&ChannelData { user_id, user_info: user_info.as_ref() })?)
                }
                _ => None,
            };
            Ok((sign_channel(signing, &socket_id, name, data.as_deref()), data))
        }
        Subject::User => {
            let Identity { user_id: id, user_info } = known(identity, "the sign-in")?;
            let data = text(&UserData { id, user_info: user_info.as_ref() })?;
            Ok((sign_user(signing, &socket_id, &data), Some(data)))
        }
    }
}

fn known<'i>(identity: Option<&'i Identity>, what: &str) -> Result<&'i Identity, AuthorizeError> {
    let message = || format!("{what} needs to know who the client is: set an identity");
    identity.ok_or_else(|| AuthorizeError::refused(message()))
}

fn text(data: &impl Serialize) -> Result<String, AuthorizeError> {
    serde_json::to_string(data).map_err(|error| AuthorizeError::refused(error.to_string()))
}

#[derive(Serialize)]
struct ChannelData<'a> {
    user_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_info: Option<&'a serde_json::Value>,
}

#[derive(Serialize)]
struct UserData<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_info: Option<&'a serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign_now(
        authorizer: &Authorizer,
        subject: Subject,
    ) -> Result<Authorization, AuthorizeError> {
        let request = AuthRequest { socket_id: SocketId::new(1234, 1234), subject };
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(authorizer.authorize(request))
    }

    #[test]
    fn the_secret_signs_as_the_documentation_says() {
        let authorizer = Authorizer::secret("278d425bdf160c739803", "7ad3773142a6692b25b8");
        let signed = sign_now(&authorizer, Subject::Channel("private-foobar".into())).unwrap();
        let auth =
            "278d425bdf160c739803:58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4";
        assert_eq!(signed, Authorization { auth: auth.into(), data: None, shared_secret: None });
    }

    #[test]
    fn who_the_client_is_stands_in_what_is_signed() {
        let nobody = Authorizer::secret("k", "s");
        let ann = nobody.clone().identity(Identity::new("ann").info(serde_json::json!({"n": 1})));
        let channel = Subject::Channel("presence-x".into());
        let signed = sign_now(&ann, channel.clone()).unwrap();
        assert_eq!(signed.data.unwrap(), r#"{"user_id":"ann","user_info":{"n":1}}"#);
        let signed = sign_now(&ann, Subject::User).unwrap();
        assert_eq!(signed.data.unwrap(), r#"{"id":"ann","user_info":{"n":1}}"#);
        for subject in [channel, Subject::User] {
            let error = sign_now(&nobody, subject).unwrap_err();
            assert!(error.to_string().contains("set an identity"), "{error}");
        }
    }

    #[test]
    fn the_secret_does_not_show() {
        let text = format!("{:?}", Authorizer::secret("k", "hunter2"));
        assert!(!text.contains("hunter2"), "{text}");
    }
}
