//! Requests to endpoints: HTTP/1.1, TLS by rustls, no redirects.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::time::Duration;

/// Bytes of an answer that are read to keep its connection; more ends the connection.
const ANSWER_BYTES: usize = 64 * 1024;

/// How long a connection is kept without a request.
const IDLE: Duration = Duration::from_secs(60);

type Inner = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

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

/// What went wrong, down to its root.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
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

#[derive(Debug, Clone)]
pub(super) struct Client(Inner);

impl Client {
    /// A client that trusts the certificates that the system trusts; they are read only if `tls`.
    pub(super) fn new(tls: bool, connect: Duration) -> Result<Self, rustls::Error> {
        let mut roots = rustls::RootCertStore::empty();
        if tls {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                tracing::warn!(
                    "the system has no trusted certificates, so no https webhook can be delivered: \
                     install them (Debian: ca-certificates) or set SSL_CERT_FILE"
                );
            }
        }
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(connect));
        let https = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .http1_title_case_headers(true)
            .build(https.enable_http1().wrap_connector(http));
        Ok(Self(inner))
    }

    /// Sends a request once. Any status but 2xx is a failure, a redirect too.
    pub(super) async fn send(&self, post: &Post<'_>, patience: Duration) -> Result<(), Failure> {
        let mut request = Request::new(Full::new(post.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = post.uri.clone();
        let headers = request.headers_mut();
        // A receiver may name another agent, but not another content or signature.
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.extend(post.headers.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in [("x-pusher-key", post.key), ("x-pusher-signature", post.signature)] {
            // Keys can stand in a URL's path and signatures are hexadecimal, so both are fit.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        let exchange = async {
            let answer = self.0.request(request).await.map_err(|e| Failure::Transport(told(&e)))?;
            let status = answer.status();
            // What is not read to the end ends the connection, which is no reason to send again.
            let _ = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
            if status.is_success() { Ok(()) } else { Err(Failure::Status(status)) }
        };
        tokio::time::timeout(patience, exchange).await.unwrap_or(Err(Failure::TimedOut))
    }
}

const AGENT: &str = concat!("tidings/", env!("CARGO_PKG_VERSION"));
