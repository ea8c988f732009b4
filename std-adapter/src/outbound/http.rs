//! Requests over HTTP/1.1 with connections that are used again; no redirects.

use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
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
}

#[cfg(any(feature = "client", feature = "publisher"))]
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
    /// A client that knows nobody to trust when there is no `tls`, and keeps up to `idle` connections to each host.
    pub(crate) fn new(tls: Option<&Tls>, connect: Duration, idle: usize) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(connect));
        let config = tls.map_or_else(trusting_nobody, |tls| (*tls.config()).clone());
        let https = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(idle)
            .http1_title_case_headers(true)
            .build(https.enable_http1().wrap_connector(http));
        Self { inner }
    }

    /// Sends a request once, and reads the answer, which has at most `max_body` bytes of body.
    #[cfg(any(feature = "client", feature = "publisher"))]
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        max_body: usize,
        patience: Duration,
    ) -> Result<HttpAnswer, HttpFailure> {
        let exchange = async {
            let (head, body) = self.answer(request).await?.into_parts();
            let body = Limited::new(body, max_body).collect().await;
            let body = body.map_err(|error| HttpFailure::Transport(told(&*error)))?.to_bytes();
            Ok(HttpAnswer {
                status: head.status,
                #[cfg(feature = "publisher")]
                headers: head.headers,
                body,
            })
        };
        tokio::time::timeout(patience, exchange).await.unwrap_or(Err(HttpFailure::TimedOut))
    }

    /// Sends a request once and tells the status of the answer. Up to `max_body` bytes of its body are read, so that the
    /// connection can be used again; more end it, and are no failure.
    #[cfg(feature = "server")]
    pub(crate) async fn send_for_status(
        &self,
        request: Request<Full<Bytes>>,
        max_body: usize,
        patience: Duration,
    ) -> Result<StatusCode, HttpFailure> {
        let exchange = async {
            let answer = self.answer(request).await?;
            let status = answer.status();
            let _ = Limited::new(answer.into_body(), max_body).collect().await;
            Ok(status)
        };
        tokio::time::timeout(patience, exchange).await.unwrap_or(Err(HttpFailure::TimedOut))
    }

    async fn answer(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, HttpFailure> {
        request.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        self.inner.request(request).await.map_err(|error| {
            let text = told(&error);
            if error.is_connect() {
                HttpFailure::Connect(text)
            } else {
                HttpFailure::Transport(text)
            }
        })
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
