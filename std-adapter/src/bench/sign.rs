//! What the app's secret is for: publishes, and subscriptions to private channels.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use tidings_core::auth::{SignedRequest, SigningKey, body_md5, sign_channel};

use super::http;
use super::server::Target;

/// Makes signed publishes, each into the same buffer.
pub(crate) struct Signer {
    key: SigningKey,
    app_key: String,
    host: String,
    path: String,
    request: Vec<u8>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Signer {
    pub(crate) fn new(target: &Target) -> Self {
        Self {
            key: SigningKey::new(target.secret.as_bytes()),
            app_key: target.key.clone(),
            host: target.host.clone(),
            path: format!("/apps/{}/events", target.app_id),
            request: Vec::new(),
        }
    }

    /// A whole request that publishes `body`.
    pub(crate) fn publish(&mut self, body: &[u8]) -> &[u8] {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let digest = body_md5(body);
        let query = format!(
            "auth_key={}&auth_timestamp={unix}&auth_version=1.0&body_md5={}",
            self.app_key,
            digest.as_str()
        );
        let request = SignedRequest { method: "POST", path: &self.path, query: &query, body };
        self.request.clear();
        let Ok(signature) = request.sign(&self.key) else {
            debug_assert!(false, "four parameters are not too many");
            return &self.request;
        };
        let target = format!("{}?{query}&auth_signature={signature}", self.path);
        http::push_post(&mut self.request, &self.host, &target, body);
        &self.request
    }
}

/// The message that subscribes to `channel`, signed if its name asks for it.
pub(crate) fn subscribe(target: &Target, socket_id: &str, channel: &str) -> String {
    if !channel.starts_with("private-") {
        return format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{channel}"}}}}"#);
    }
    let key = SigningKey::new(target.secret.as_bytes());
    let signature = sign_channel(&key, socket_id, channel, None);
    let auth = format!("{}:{signature}", target.key);
    format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{channel}","auth":"{auth}"}}}}"#)
}
