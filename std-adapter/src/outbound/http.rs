//! Requests over HTTP/1.1 with connections that are used again; no redirects.

use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::{Tls, told};

/// How long a connection is kept without a request.
const IDLE: Duration = Duration::from_secs(60);

/// Who asks.
const AGENT: &str = concat!("tidings/", env!("CARGO_PKG_VERSION"));

#[derive(Debug, Clone)]
pub(crate) struct HttpClient {
    inner: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    patience: Duration,
}

#[derive(Debug)]
pub(crate) struct HttpAnswer {
    pub(crate) status: StatusCode,
    #[cfg(feature = "publisher")]
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum HttpFailure {
    /// There was no connection, so nothing was sent.
    Connect(String),
    TimedOut,
    Transport(String),
}

impl HttpClient {
    /// A client that knows nobody to trust when there is no `tls`.
    pub(crate) fn new(tls: Option<&Tls>, connect: Duration, patience: Duration) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(connect));
        let config = tls.map_or_else(trusting_nobody, |tls| (*tls.config()).clone());
        let https = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(https.enable_http1().wrap_connector(http));
        Self { inner, patience }
    }

    /// Sends a request once, and reads at most `max_body` bytes of the answer.
    pub(crate) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        max_body: usize,
    ) -> Result<HttpAnswer, HttpFailure> {
        request.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        let exchange = async {
            let answer = self.inner.request(request).await.map_err(|error| {
                let text = told(&error);
                if error.is_connect() {
                    HttpFailure::Connect(text)
                } else {
                    HttpFailure::Transport(text)
                }
            })?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, max_body).collect().await;
            let body = body.map_err(|error| HttpFailure::Transport(told(&*error)))?.to_bytes();
            Ok(HttpAnswer {
                status: head.status,
                #[cfg(feature = "publisher")]
                headers: head.headers,
                body,
            })
        };
        tokio::time::timeout(self.patience, exchange).await.unwrap_or(Err(HttpFailure::TimedOut))
    }
}

fn trusting_nobody() -> rustls::ClientConfig {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let versions = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::DEFAULT_VERSIONS);
    match versions {
        Ok(builder) => {
            builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
        }
        Err(error) => unreachable!("the provider has the ciphers of both versions: {error}"),
    }
}
