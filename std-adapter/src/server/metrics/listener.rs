//! The listener that metrics are scraped from, apart from the one for clients, with a thread of its own: it answers
//! while shards are busy, and no client can reach it.

use super::render;
use crate::server::http::{json_answer, probe};
use crate::server::hub::Hub;
use crate::server::thread::Thread;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::super::http::ResponseBody;
use bytes::Bytes;
use http_body_util::Full;

/// How long a connection may stay open without a request: scrapes come every minute at least.
const PATIENCE: Duration = Duration::from_secs(120);

/// The thread, as seen from the server's handle.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    thread: Thread,
    stop: watch::Sender<bool>,
}

impl Listener {
    pub(crate) fn spawn(hub: Hub, bound: std::net::TcpListener) -> io::Result<Self> {
        let address = bound.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let thread = Thread::spawn("tidings-metrics".into(), move |runtime| {
            runtime.block_on(accept(hub, bound, stopped));
        })?;
        Ok(Self { address, thread, stop })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the thread.
    pub(crate) fn stop(self) -> Thread {
        let _ = self.stop.send(true); // it has ended by itself
        self.thread
    }
}

async fn accept(hub: Hub, bound: std::net::TcpListener, mut stopped: watch::Receiver<bool>) {
    let listener = match TcpListener::from_std(bound) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "metrics cannot be served"),
    };
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopped.changed() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors: others end.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let hub = hub.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let hub = hub.clone();
            async move { Ok::<_, Infallible>(answer(&hub, &request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection for metrics ended");
            }
        });
    }
}

async fn answer<B>(hub: &Hub, request: &Request<B>) -> Response<ResponseBody> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return probe::wrong_method();
    }
    match request.uri().path() {
        "/" => probe::alive(),
        "/ready" => probe::ready(hub),
        "/usage" => probe::usage(),
        "/metrics" => {
            let mut query = request.uri().query().unwrap_or_default().split('&');
            if query.any(
                |pair| matches!(pair.split_once('='), Some(("json", value)) if !value.is_empty()),
            ) {
                return json_answer(render::json(hub).await);
            }
            let mut response = Response::new(Full::from(Bytes::from(render::text(hub).await)));
            let kind = HeaderValue::from_static(render::TEXT_FORMAT);
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response.map(Into::into)
        }
        _ => {
            let text = "here are /metrics, /metrics?json=1, /usage, /ready and /\n";
            let mut response = Response::new(Full::from(text));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response.map(Into::into)
        }
    }
}
