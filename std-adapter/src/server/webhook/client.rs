//! Requests to endpoints: signed, and each a success or to be tried again.

use crate::outbound::Tls;
use crate::outbound::http::{HttpClient, HttpFailure};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Bytes of an answer that are read to keep its connection; more ends the connection.
const ANSWER_BYTES: usize = 64 * 1024;

/// Why a request is to be tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the endpoint answered {0}")]
    Status(StatusCode),
    #[error("{0}")]
    Transport(String),
    #[error("the endpoint did not answer in time")]
    TimedOut,
}

impl From<HttpFailure> for Failure {
    fn from(failure: HttpFailure) -> Self {
        match failure {
            HttpFailure::Connect(text) | HttpFailure::Transport(text) => Self::Transport(text),
            HttpFailure::TimedOut => Self::TimedOut,
        }
    }
}

/// One signed request, which can be sent again.
#[derive(Debug)]
pub(super) struct Post<'p> {
    pub(super) uri: &'p Uri,
    pub(super) headers: &'p HeaderMap,
    pub(super) key: &'p str,
    pub(super) signature: &'p str,
    pub(super) body: Bytes,
}

/// What sends requests. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Client(Rc<RefCell<Made>>);

#[derive(Debug)]
struct Made {
    http: HttpClient,
    /// Whether it can do https.
    tls: bool,
    /// How long a connection may take.
    connect: Duration,
}

impl Made {
    fn new(tls: bool, connect: Duration) -> Self {
        let system = tls.then(Tls::system).and_then(|tls| {
            tls.inspect_err(|error| tracing::warn!(%error, "no https webhook can be delivered"))
                .ok()
        });
        Self { http: HttpClient::new(system.as_ref(), connect, 1), tls, connect }
    }
}

impl Client {
    /// A client that trusts the certificates that the system trusts; they are read only if `tls`.
    pub(super) fn new(tls: bool, connect: Duration) -> Self {
        Self(Rc::new(RefCell::new(Made::new(tls, connect))))
    }

    /// Does from now on what [`new`](Self::new) would have made it for, and no less.
    pub(super) fn renew(&self, tls: bool, connect: Duration) {
        let mut made = self.0.borrow_mut();
        if (tls && !made.tls) || connect != made.connect {
            *made = Made::new(tls || made.tls, connect);
        }
    }

    /// Sends a request once. Any status but 2xx is a failure, a redirect too.
    pub(super) async fn send(&self, post: &Post<'_>, patience: Duration) -> Result<(), Failure> {
        let mut request = Request::new(Full::new(post.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = post.uri.clone();
        let headers = request.headers_mut();
        // A receiver may name another agent, but not another content or signature.
        headers.extend(post.headers.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in [("x-pusher-key", post.key), ("x-pusher-signature", post.signature)] {
            // Keys can stand in a URL's path and signatures are hexadecimal, so both are fit.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        let http = self.0.borrow().http.clone();
        let status = http.send_for_status(request, ANSWER_BYTES, patience).await?;
        if status.is_success() { Ok(()) } else { Err(Failure::Status(status)) }
    }
}
