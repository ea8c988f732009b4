//! An authoriser behind HTTP, as pages have one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::authorize::{AuthRequest, Authorization, AuthorizeError, Authorizer, Subject};
use super::error::ConfigError;
use crate::outbound::Tls;
use crate::outbound::http::{HttpAnswer, HttpClient, HttpFailure};

/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 64 * 1024;

/// How long one question may take. [`ClientBuilder::authorize_timeout`](super::ClientBuilder::authorize_timeout) may
/// end it sooner.
const PATIENCE: Duration = Duration::from_secs(60);

/// Connections that are kept: after a reconnect all channels ask at once.
const MAX_IDLE: usize = 8;

/// Asks an endpoint of the application as pusher-js does: a form by POST with `socket_id` and, for a channel,
/// `channel_name`; the answer is JSON with `auth` and, where there are any, `channel_data` or `user_data`.
///
/// Status 408, 429 and 5xx, and no answer at all, are failures, after which it is asked again. Any other status but
/// 200 is a refusal.
#[derive(Debug, Clone)]
#[must_use]
pub struct Endpoint {
    channels: String,
    users: Option<String>,
    headers: Vec<(String, String)>,
    tls: Option<Tls>,
}

impl Endpoint {
    /// The endpoint at this address, such as `https://example.com/pusher/auth`.
    pub fn new(url: impl Into<String>) -> Self {
        Self { channels: url.into(), users: None, headers: Vec::new(), tls: None }
    }

    /// Another address for the sign-in.
    pub fn user(mut self, url: impl Into<String>) -> Self {
        self.users = Some(url.into());
        self
    }

    /// A header that says who asks, such as `Authorization`.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Whom to trust, in place of the authorities that the system trusts.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// An authoriser that asks here.
    ///
    /// # Errors
    /// [`ConfigError`] when an address or a header is malformed, or there is nobody to trust.
    pub fn build(self) -> Result<Authorizer, ConfigError> {
        let channels = uri(&self.channels)?;
        let users = self.users.as_deref().map_or_else(|| Ok(channels.clone()), uri)?;
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let known = HeaderName::try_from(&name).ok();
            let (Some(known), Ok(mut content)) = (known, HeaderValue::try_from(value)) else {
                let hint = "a header is a name and a line of text";
                return Err(ConfigError::Value { option: "header", value: name.into(), hint });
            };
            content.set_sensitive(true);
            headers.append(known, content);
        }
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
        let tls = match self.tls {
            None if [&channels, &users].iter().any(|uri| uri.scheme_str() == Some("https")) => {
                Some(Tls::system()?)
            }
            tls => tls,
        };
        let http = HttpClient::new(tls.as_ref(), PATIENCE, MAX_IDLE);
        let asker = Arc::new(Asker { http, channels, users, headers });
        Ok(Authorizer::new(move |request| {
            let asker = Arc::clone(&asker);
            async move { asker.ask(request).await }
        }))
    }
}

fn uri(text: &str) -> Result<Uri, ConfigError> {
    let uri: Option<Uri> = text.parse().ok();
    uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
        .ok_or_else(|| ConfigError::Value {
            option: "endpoint",
            value: text.into(),
            hint: "it is an address such as https://example.com/pusher/auth",
        })
}

#[derive(Debug)]
struct Asker {
    http: HttpClient,
    channels: Uri,
    users: Uri,
    headers: HeaderMap,
}

/// What an endpoint answers.
#[derive(Deserialize)]
struct Answer {
    auth: String,
    channel_data: Option<String>,
    user_data: Option<String>,
    shared_secret: Option<String>,
}

impl Asker {
    async fn ask(&self, asked: AuthRequest) -> Result<Authorization, AuthorizeError> {
        let mut form = format!("socket_id={}", asked.socket_id);
        let uri = match &asked.subject {
            Subject::Channel(name) => {
                form.push_str("&channel_name=");
                form.extend(utf8_percent_encode(name, NON_ALPHANUMERIC));
                &self.channels
            }
            Subject::User => &self.users,
        };
        let mut request = Request::new(Full::new(Bytes::from(form)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = self.headers.clone();
        let host = uri.host().unwrap_or_default();
        match self.http.send(request, MAX_ANSWER, PATIENCE).await {
            Ok(answer) => read(host, answer),
            Err(HttpFailure::TimedOut) => {
                Err(AuthorizeError::failed(format!("{host} did not answer in time")))
            }
            Err(HttpFailure::Connect(reason) | HttpFailure::Transport(reason)) => {
                Err(AuthorizeError::failed(format!("{host} cannot be asked: {reason}")))
            }
        }
    }
}

fn read(host: &str, answer: HttpAnswer) -> Result<Authorization, AuthorizeError> {
    let status = answer.status;
    let text = String::from_utf8_lossy(&answer.body);
    let text: String = text.trim().chars().take(200).collect();
    match status {
        StatusCode::OK => {}
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            return Err(AuthorizeError::failed(format!("{host} answered {status}: {text}")));
        }
        _ if status.is_server_error() => {
            return Err(AuthorizeError::failed(format!("{host} answered {status}: {text}")));
        }
        _ => {
            let message = format!("{host} answered {status}: {text}").into();
            return Err(AuthorizeError::Refused { message, status: Some(status.as_u16()) });
        }
    }
    match serde_json::from_slice(&answer.body) {
        Ok(Answer { auth, channel_data, user_data, shared_secret }) => {
            Ok(Authorization { auth, data: channel_data.or(user_data), shared_secret })
        }
        Err(error) => {
            let message = format!("{host} answered no JSON with `auth`: {error}").into();
            Err(AuthorizeError::Refused { message, status: Some(status.as_u16()) })
        }
    }
}
