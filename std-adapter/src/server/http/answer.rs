//! What the API answers: ready-made successes, and refusals that say what to do.

use std::borrow::Cow;

use crate::app::Standing;
use crate::config::{Origin, origin};
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, RETRY_AFTER, VARY,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use tidings_core::io::TxBuf;
use tidings_core::json;

/// An answer of the API, before it is known how it goes out.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The value of `Content-Type`, unless there is no body.
    pub(super) content_type: Option<&'static str>,
    /// One more header that some answers have.
    pub(super) extra: Option<(HeaderName, &'static str)>,
    /// How the app's rate stands, where it has a bound.
    pub(super) rate: Option<Standing>,
    pub(super) body: Bytes,
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// Which pages may read an answer.
#[derive(Debug)]
pub(super) enum Readers {
    /// Nothing is said of it: those of the same origin, and who is no page.
    Own,
    /// Those of any origin.
    All,
    /// Those of the one that asks.
    One(HeaderValue),
}

impl Readers {
    /// Those that the patterns mean, when a page of `origin` asks.
    pub(super) fn among(patterns: &[Origin], origin: Option<&HeaderValue>) -> Self {
        match origin {
            Some(_) if origin::is_open(patterns) => Self::All,
            Some(origin) if origin::allowed(patterns, origin.as_bytes()) => {
                Self::One(origin.clone())
            }
            Some(_) | None => Self::Own,
        }
    }

    fn put(self, headers: &mut HeaderMap) {
        let origin = match self {
            Self::Own => return,
            Self::All => HeaderValue::from_static("*"),
            Self::One(origin) => {
                headers.insert(VARY, HeaderValue::from_static("origin"));
                origin
            }
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        for (name, value) in CORS {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

/// What a page may send, as Soketi says it.
const CORS: [(HeaderName, &str); 2] = [
    (HeaderName::from_static("access-control-allow-methods"), "GET, POST, PUT, DELETE, OPTIONS"),
    (
        HeaderName::from_static("access-control-allow-headers"),
        "Origin, Content-Type, X-Auth-Token, X-Requested-With, Accept, Authorization, \
         X-CSRF-TOKEN, XSRF-TOKEN, X-Socket-Id",
    ),
];

impl Answer {
    const fn new(content_type: &'static str, body: Bytes) -> Self {
        Self {
            status: StatusCode::OK,
            content_type: Some(content_type),
            extra: None,
            rate: None,
            body,
        }
    }

    /// The answer to what succeeds and has nothing to tell.
    pub(super) const fn done() -> Self {
        Self::new(JSON, Bytes::from_static(b"{}"))
    }

    /// A success that carries JSON text.
    pub(super) fn json(text: Vec<u8>) -> Self {
        Self::new(JSON, text.into())
    }

    /// The answer of the health paths.
    pub(super) const fn healthy() -> Self {
        Self::new(TEXT, Bytes::from_static(b"OK"))
    }

    /// The answer to a browser that asks what it may send.
    pub(super) const fn preflight() -> Self {
        let body = Bytes::new();
        Self { status: StatusCode::NO_CONTENT, content_type: None, extra: None, rate: None, body }
    }

    /// The answer as hyper takes it.
    pub(super) fn into_response(self, readers: Readers) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(content_type) = self.content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if let Some((name, value)) = self.extra {
            headers.insert(name, HeaderValue::from_static(value));
        }
        readers.put(headers);
        for (name, value) in self.rate.iter().flat_map(rate_headers) {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        }
        response
    }
}

/// The headers that tell how a rate stands, with the names of Soketi.
pub(super) fn rate_headers(rate: &Standing) -> impl Iterator<Item = (&'static str, u32)> {
    let standing = [("x-ratelimit-limit", rate.limit), ("x-ratelimit-remaining", rate.remaining)];
    // A window is a second long, and a second is the least that the header can say.
    standing.into_iter().chain(rate.exceeded.then_some(("retry-after", 1)))
}

/// Why a request is refused: a status, and a text that names the cause and the next step.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    text: Cow<'static, str>,
    allow: Option<&'static str>,
    rate: Option<Standing>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into(), allow: None, rate: None }
    }

    /// The request is malformed, or asks for what cannot be.
    pub(crate) fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// The signature, or what belongs to it, is wrong.
    pub(super) fn unauthorised(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, text)
    }

    /// The app may not do this.
    pub(crate) fn forbidden(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    /// There is no such path, or no such app.
    pub(super) fn not_found(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// The path takes another method; `allow` is the header's value.
    pub(crate) fn method(allow: &'static str) -> Self {
        let text = format!("this path takes {allow}: use that method");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, text) }
    }

    /// The body or an event's data is over its limit.
    pub(super) fn too_large(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    }

    /// The request came too slowly.
    pub(super) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time: send it again")
    }

    /// A socket's path was requested as if it were a page.
    pub(super) fn not_an_upgrade() -> Self {
        Self::new(
            StatusCode::UPGRADE_REQUIRED,
            "this path is for WebSockets: connect with a Pusher client, or send `Upgrade: websocket`",
        )
    }

    /// The app asks for more in a second than it may.
    pub(super) fn too_many(rate: Standing, option: &str) -> Self {
        let limit = rate.limit;
        let text = format!(
            "Too many requests: the limit is {limit} in a second ({option}): try again in a second, or raise \
             the limit"
        );
        Self { rate: Some(rate), ..Self::new(StatusCode::TOO_MANY_REQUESTS, text) }
    }

    /// The server cannot take it now.
    pub(super) fn unavailable(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    /// The server ends and takes nothing new.
    pub(super) fn draining() -> Self {
        Self::unavailable("the server is shutting down: choose another")
    }

    /// What the sender is told.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The status of the answer.
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer: JSON with `error` and `code`, the shape that Soketi's users know.
    pub(super) fn into_answer(self) -> Answer {
        let mut body = Vec::with_capacity(32 + self.text.len());
        body.extend_from_slice(br#"{"error":""#);
        put_escaped(&mut body, &self.text);
        body.extend_from_slice(br#"","code":"#);
        body.extend_from_slice(self.status.as_str().as_bytes());
        body.push(b'}');
        let extra = match self.status {
            StatusCode::SERVICE_UNAVAILABLE => Some((RETRY_AFTER, "1")),
            // What is left of a body would be taken for the next request.
            StatusCode::REQUEST_TIMEOUT => Some((CONNECTION, "close")),
            _ => self.allow.map(|allow| (ALLOW, allow)),
        };
        Answer { status: self.status, extra, rate: self.rate, ..Answer::json(body) }
    }
}

/// Appends `text` as the inside of a JSON string literal.
pub(crate) fn put_escaped(out: &mut Vec<u8>, text: &str) {
    let start = out.len();
    let needed = json::escaped_len(text);
    out.resize(start + needed, 0);
    let written = json::escape_into(&mut TxBuf::new(&mut out[start..]), text);
    debug_assert!(written.is_ok(), "escaped_len told the length");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_json_with_error_and_code() {
        let answer = Refusal::bad("say \"x\"").into_answer();
        assert_eq!((answer.status.as_u16(), answer.content_type), (400, Some(JSON)));
        assert_eq!(answer.body, r#"{"error":"say \"x\"","code":400}"#);
    }

    #[test]
    fn a_wrong_method_names_the_right_one() {
        let response = Refusal::method("POST").into_answer().into_response(Readers::Own);
        assert_eq!(response.status().as_u16(), 405);
        assert_eq!(response.headers()["allow"], "POST");
        assert!(!response.headers().contains_key("access-control-allow-origin"));
    }

    #[test]
    fn an_answer_to_another_origin_says_that_it_may_be_read() {
        let page = HeaderValue::from_static("https://shop.example");
        let answered = |patterns: &[Origin]| {
            let readers = Readers::among(patterns, Some(&page));
            Answer::done().into_response(readers)
        };
        let response = answered(&[]);
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        let response = answered(&["*.example".parse().unwrap()]);
        assert_eq!(response.headers()["access-control-allow-origin"], "https://shop.example");
        assert_eq!(response.headers()["vary"], "origin");
        let response = answered(&["https://blog.example".parse().unwrap()]);
        assert!(!response.headers().contains_key("access-control-allow-origin"));
        assert_eq!(response.headers()["content-type"], JSON);
    }
}
