//! What the API answers: ready-made successes, and refusals that say what to do.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use tidings_core::io::TxBuf;
use tidings_core::json;

/// A response of the API.
pub(crate) type Answer = Response<Full<Bytes>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The answer to what succeeds and has nothing to tell.
pub(super) fn done() -> Answer {
    with_type(JSON, Bytes::from_static(b"{}"))
}

/// A success that carries JSON text.
pub(super) fn json(text: Vec<u8>) -> Answer {
    with_type(JSON, text.into())
}

/// The answer of the health paths.
pub(super) fn healthy() -> Answer {
    with_type(TEXT, Bytes::from_static(b"OK"))
}

/// The answer to a browser that asks what it may send.
pub(super) fn preflight() -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

fn with_type(content_type: HeaderValue, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}

/// Lets pages of any origin read the answer, as Soketi does.
pub(super) fn allow_origins(answer: &mut Answer) {
    const ORIGIN: HeaderName = HeaderName::from_static("access-control-allow-origin");
    const METHODS: HeaderName = HeaderName::from_static("access-control-allow-methods");
    const HEADERS: HeaderName = HeaderName::from_static("access-control-allow-headers");
    let headers = answer.headers_mut();
    headers.insert(ORIGIN, HeaderValue::from_static("*"));
    headers.insert(METHODS, HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS"));
    headers.insert(
        HEADERS,
        HeaderValue::from_static(
            "Origin, Content-Type, X-Auth-Token, X-Requested-With, Accept, Authorization, \
             X-CSRF-TOKEN, XSRF-TOKEN, X-Socket-Id",
        ),
    );
}

/// Why a request is refused: a status, and a text that names the cause and the next step.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    text: Cow<'static, str>,
    allow: Option<&'static str>,
}

impl Refusal {
    fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into(), allow: None }
    }

    /// The request is malformed, or asks for what cannot be.
    pub(super) fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// The signature, or what belongs to it, is wrong.
    pub(super) fn unauthorised(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, text)
    }

    /// The app may not do this.
    pub(super) fn forbidden(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    /// There is no such path, or no such app.
    pub(super) fn not_found(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// The path takes another method; `allow` is the header's value.
    pub(super) fn method(allow: &'static str) -> Self {
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

    /// The server cannot take it now.
    pub(super) fn unavailable(text: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    /// The response: JSON with `error` and `code`, the shape that Soketi's users know.
    pub(super) fn into_answer(self) -> Answer {
        let code = self.status.as_str();
        let mut body = Vec::with_capacity(32 + self.text.len());
        body.extend_from_slice(br#"{"error":""#);
        put_escaped(&mut body, &self.text);
        body.extend_from_slice(br#"","code":"#);
        body.extend_from_slice(code.as_bytes());
        body.push(b'}');
        let mut answer = json(body);
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            StatusCode::REQUEST_TIMEOUT => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        answer
    }
}

/// Appends `text` as the inside of a JSON string literal.
pub(super) fn put_escaped(out: &mut Vec<u8>, text: &str) {
    let start = out.len();
    let needed = json::escaped_len(text);
    out.resize(start + needed, 0);
    let mut tx = TxBuf::new(&mut out[start..]);
    let written = json::escape_into(&mut tx, text);
    debug_assert!(written.is_ok(), "escaped_len told the length");
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_refusal_is_json_with_error_and_code() {
        let answer = Refusal::bad("say \"x\"").into_answer();
        assert_eq!(answer.status(), 400);
        assert_eq!(answer.headers()["content-type"], "application/json");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&body[..], br#"{"error":"say \"x\"","code":400}"#);
    }

    #[test]
    fn a_wrong_method_names_the_right_one() {
        let answer = Refusal::method("POST").into_answer();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["allow"]),
            (405, &"POST".parse().unwrap())
        );
    }
}
