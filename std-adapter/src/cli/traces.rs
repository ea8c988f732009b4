//! Traces to an OpenTelemetry collector, over HTTP with protobuf.

use super::logging::Traces as Layer;
use crate::outbound::Tls;
use crate::outbound::http::HttpClient as Outbound;
use crate::server::TRACES;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::time::Duration;
use tokio::runtime::Handle;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;

/// How long the collector may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an answer that are read.
const ANSWER_BYTES: usize = 64 * 1024;

/// What sends the traces; it must be [ended](Sender::end), or the last are lost.
#[derive(Debug)]
pub(super) struct Sender(SdkTracerProvider);

impl Sender {
    /// Sends what waits.
    pub(super) fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(Duration::from_secs(2)) {
            tracing::warn!(%error, "the last traces are lost");
        }
    }
}

/// Requests over a thread of their own: whoever sends traces has no runtime.
#[derive(Debug)]
struct Client {
    outbound: Outbound,
    runtime: Handle,
}

impl Client {
    fn new(endpoint: &str) -> Result<Self, String> {
        let tls = endpoint.starts_with("https:").then(Tls::system).transpose();
        let tls = tls.map_err(|error| error.to_string())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let handle = runtime.handle().clone();
        let work = move || runtime.block_on(std::future::pending::<()>());
        let thread = std::thread::Builder::new().name("tidings-traces".into()).spawn(work);
        thread.map_err(|error| error.to_string())?;
        Ok(Self { outbound: Outbound::new(tls.as_ref(), PATIENCE, 1), runtime: handle })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let outbound = self.outbound.clone();
        let sent = self.runtime.spawn(async move {
            outbound.send(request.map(Full::new), ANSWER_BYTES, PATIENCE).await
        });
        let answer = sent.await?.map_err(|failure| format!("{failure:?}"))?;
        Ok(Response::builder().status(answer.status).body(answer.body)?)
    }
}

/// Begins to send traces to the collector at `endpoint`, such as `http://127.0.0.1:4318/v1/traces`.
///
/// # Errors
///
/// One line that names the option and what is wrong.
pub(super) fn start(endpoint: &str) -> Result<(Sender, Layer), String> {
    let wrong = |reason: String| format!("option `otlp_endpoint` is `{endpoint}`: {reason}");
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        return Err(wrong("use a URL such as http://127.0.0.1:4318/v1/traces".into()));
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client::new(endpoint).map_err(wrong)?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .with_timeout(PATIENCE)
        .build()
        .map_err(|error| wrong(error.to_string()))?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(
            Resource::builder().with_service_name("tidings").with_attribute(version).build(),
        )
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("tidings"))
        .with_location(false)
        .with_threads(false)
        .with_filter(Targets::new().with_target(TRACES, LevelFilter::DEBUG));
    Ok((Sender(provider), layer.boxed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url() {
        let error = start("127.0.0.1:4318").err().unwrap();
        assert!(
            error.starts_with("option `otlp_endpoint` is `127.0.0.1:4318`: use a URL"),
            "{error}"
        );
    }
}
