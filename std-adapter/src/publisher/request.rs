//! Signed requests, and when to send them again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use tidings_core::auth::{SigningKey, body_md5};

use super::error::PublishError;
use super::{Inner, Publisher};
use crate::outbound::http::{HttpAnswer, HttpFailure};

/// Bytes of an answer that are read: room for the channels of a large app.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// How much of a refusal's text is passed on.
const MAX_MESSAGE: usize = 500;

/// The first delay before a request is sent again, and the longest.
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// What stays as it is in a query: RFC 3986 calls it unreserved.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request of the API.
pub(super) struct ApiRequest<'a> {
    /// Its path after `/apps/ID`, encoded.
    pub(super) path: &'a str,
    /// Parameters beside those that sign, sorted by name.
    pub(super) parameters: &'a [(&'static str, &'a str)],
    /// JSON text to post; a request without asks only.
    pub(super) body: Option<Bytes>,
}

/// The query of a signed request, with its signature.
///
/// `path` is the whole path as it is sent but for the path prefix of the server.
pub(crate) fn signed_query(
    (key, signing): (&str, &SigningKey),
    (method, path): (&str, &str),
    parameters: &[(&str, &str)],
    body: Option<&[u8]>,
    timestamp: u64,
) -> String {
    let timestamp = timestamp.to_string();
    let digest = body.map(body_md5);
    let mut all = vec![("auth_key", key), ("auth_timestamp", &*timestamp), ("auth_version", "1.0")];
    if let Some(digest) = &digest {
        all.push(("body_md5", digest.as_str()));
    }
    all.extend_from_slice(parameters);
    all.sort_unstable();
    let signature = signing.sign_with(|out| {
        for piece in [method, "\n", path, "\n"] {
            out(piece.as_bytes());
        }
        for (index, (name, value)) in all.iter().enumerate() {
            let separator = if index > 0 { "&" } else { "" };
            for piece in [separator, name, "=", value] {
                out(piece.as_bytes());
            }
        }
    });
    let mut query = String::new();
    for (name, value) in all {
        query.push_str(name);
        query.push('=');
        query.extend(utf8_percent_encode(value, ENCODED));
        query.push('&');
    }
    query.push_str("auth_signature=");
    query.push_str(signature.as_str());
    query
}

/// A piece of a path.
pub(super) fn piece(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

impl Publisher {
    /// Sends a request, again where that is safe, and reads the answer.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        request: ApiRequest<'_>,
    ) -> Result<T, PublishError> {
        let inner = &*self.0;
        let mut attempt = 0;
        let answer = loop {
            let result = inner.once(&request).await;
            let error = match result {
                Ok(answer) => break answer,
                Err(error) => error,
            };
            let asks_only = request.body.is_none();
            match delay(&error, asks_only, attempt) {
                Some(delay) if attempt < inner.retries => {
                    attempt += 1;
                    tracing::debug!(%error, ?delay, "the request is sent again");
                    tokio::time::sleep(delay).await;
                }
                _ => return Err(error),
            }
        };
        serde_json::from_slice(&answer.body).map_err(|error| PublishError::Answer {
            host: inner.host.clone(),
            reason: error.to_string().into(),
        })
    }
}

/// How long to wait before the request is sent again; `None` when it must not be.
///
/// What only asks can be sent again whenever the server or the way may be at fault. What publishes is sent again only if
/// it has certainly not been carried out: without a connection, or by the server's word.
fn delay(error: &PublishError, asks_only: bool, attempt: u32) -> Option<Duration> {
    let growing = FIRST_DELAY.saturating_mul(1 << attempt.min(8)).min(LONGEST_DELAY);
    match error {
        PublishError::Connect { .. } => Some(growing),
        PublishError::TimedOut { .. } | PublishError::Transport { .. } => {
            asks_only.then_some(growing)
        }
        PublishError::Status { status, retry_after, .. } => match (status, retry_after) {
            (429 | 503, Some(after)) => (*after <= LONGEST_DELAY).then_some(*after),
            (429 | 500..=599, None) => asks_only.then_some(growing),
            _ => None,
        },
        PublishError::Answer { .. } | PublishError::Invalid(_) => None,
    }
}

impl Inner {
    async fn once(&self, request: &ApiRequest<'_>) -> Result<HttpAnswer, PublishError> {
        let method = if request.body.is_some() { Method::POST } else { Method::GET };
        let path = format!("/apps/{}{}", piece(&self.app_id), request.path);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let query = signed_query(
            (&self.key, &self.signing),
            (method.as_str(), &path),
            request.parameters,
            request.body.as_deref(),
            now,
        );
        let uri: Result<Uri, _> = format!("{}{path}?{query}", self.base).parse();
        let uri = uri.map_err(|error| PublishError::Invalid(error.to_string().into()))?;
        let mut message = Request::new(Full::new(request.body.clone().unwrap_or_default()));
        *message.method_mut() = method;
        *message.uri_mut() = uri;
        if request.body.is_some() {
            let json = HeaderValue::from_static("application/json");
            message.headers_mut().insert(CONTENT_TYPE, json);
        }
        let host = || self.host.clone();
        match self.http.send(message, MAX_ANSWER, self.patience).await {
            Ok(answer) if answer.status.is_success() => Ok(answer),
            Ok(answer) => Err(self.refusal(&answer)),
            Err(HttpFailure::Connect(reason)) => {
                Err(PublishError::Connect { host: host(), reason: reason.into() })
            }
            Err(HttpFailure::TimedOut) => {
                Err(PublishError::TimedOut { host: host(), patience: self.patience })
            }
            Err(HttpFailure::Transport(reason)) => {
                Err(PublishError::Transport { host: host(), reason: reason.into() })
            }
        }
    }

    fn refusal(&self, answer: &HttpAnswer) -> PublishError {
        let text = String::from_utf8_lossy(&answer.body);
        let told: Option<serde_json::Value> = serde_json::from_str(&text).ok();
        let told = told.as_ref().and_then(|value| value.get("error")?.as_str());
        let message = told.unwrap_or_else(|| text.trim()).chars().take(MAX_MESSAGE).collect();
        let seconds = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let seconds = seconds.and_then(|text| text.trim().parse().ok());
        PublishError::Status {
            host: self.host.clone(),
            status: answer.status.as_u16(),
            message,
            retry_after: seconds.map(Duration::from_secs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_encoded_after_it_was_signed() {
        let signing = SigningKey::new(b"s");
        let query = signed_query(
            ("k", &signing),
            ("GET", "/apps/3/channels"),
            &[("filter_by_prefix", "presence-"), ("info", "a,b")],
            None,
            7,
        );
        let text: &[&[u8]] = &[
            b"GET\n/apps/3/channels\nauth_key=k&auth_timestamp=7&auth_version=1.0",
            b"&filter_by_prefix=presence-&info=a,b",
        ];
        let expected = format!(
            "auth_key=k&auth_timestamp=7&auth_version=1.0&filter_by_prefix=presence-&info=a%2Cb\
             &auth_signature={}",
            signing.sign(text)
        );
        assert_eq!(query, expected);
    }

    #[test]
    fn the_sdks_requests_have_the_same_signature() {
        let vectors = include_str!("../../../tests/vectors/request_signatures.tsv");
        let signing = SigningKey::new(b"7ad3773142a6692b25b8");
        let mut compared = 0;
        for line in vectors.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [method, path, query, body, _, signature, origin] = fields[..] else { continue };
            // The forms that one SDK alone has are for servers to accept, not for publishers to send.
            let plain = "auth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0";
            let digest = if body.is_empty() {
                String::new()
            } else {
                format!("&body_md5={}", body_md5(body.as_bytes()).as_str())
            };
            if !origin.starts_with("SDK") || query != format!("{plain}{digest}") {
                continue;
            }
            let body = Some(body.as_bytes()).filter(|body| !body.is_empty());
            let key = ("278d425bdf160c739803", &signing);
            let ours = signed_query(key, (method, path), &[], body, 1353088179);
            assert!(ours.ends_with(&format!("auth_signature={signature}")), "{line}");
            compared += 1;
        }
        assert!(compared >= 6, "{compared}");
    }

    #[test]
    fn what_publishes_is_sent_again_only_if_it_was_not_carried_out() {
        let host = || "h".into();
        let status = |status, after: Option<u64>| PublishError::Status {
            host: host(),
            status,
            message: "".into(),
            retry_after: after.map(Duration::from_secs),
        };
        let connect = PublishError::Connect { host: host(), reason: "".into() };
        let broken = PublishError::Transport { host: host(), reason: "".into() };
        let late = PublishError::TimedOut { host: host(), patience: LONGEST_DELAY };
        for (error, asking, publishing) in [
            (connect, true, true),
            (broken, true, false),
            (late, true, false),
            (status(503, Some(1)), true, true),
            (status(429, Some(1)), true, true),
            (status(429, Some(3600)), false, false),
            (status(503, None), true, false),
            (status(500, None), true, false),
            (status(500, Some(1)), false, false),
            (status(401, None), false, false),
            (PublishError::Invalid("".into()), false, false),
        ] {
            assert_eq!(delay(&error, true, 0).is_some(), asking, "{error}");
            assert_eq!(delay(&error, false, 0).is_some(), publishing, "{error}");
        }
    }
}
