//! The server as a tower service, for an HTTP server that is already there.

use std::convert::Infallible;
use std::fmt::{self, Display};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;

use super::answer::Readers;
use super::{Refusal, ResponseBody, handle, upgrade};
use crate::server::handle::ServerHandle;
use crate::server::hub::Hub;

/// Answers what [`Server`](crate::Server) answers on a listener of its own: WebSockets at `/app/KEY`
/// and the HTTP API at `/apps/ID/…`, both behind
/// [`ServerConfig::path_prefix`](crate::ServerConfig::path_prefix).
///
/// In axum, mount it with `Router::fallback_service`, or with `Router::nest_service` at the path that
/// is the server's `path_prefix` too, so that signatures over the whole path are understood. It keeps
/// the server running as long as it lives. It never fails.
///
/// WebSockets need an HTTP/1.1 connection that can be upgraded, as axum's own server makes them.
#[derive(Clone)]
pub struct Service {
    hub: Hub,
    /// Keeps the threads alive that serve the sockets.
    _running: ServerHandle,
}

impl Service {
    pub(crate) fn new(hub: Hub, running: ServerHandle) -> Self {
        Self { hub, _running: running }
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

impl<B> tower_service::Service<Request<B>> for Service
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Display,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let hub = self.hub.clone();
        Box::pin(async move {
            if hub.faults().is_some() {
                // Nobody knows here who can reach the server that it is mounted in.
                let text = "dev mode has a listener of its own and is not mounted";
                let refusal = Refusal::forbidden(text).into_answer();
                return Ok(refusal.into_response(Readers::Own).map(Into::into));
            }
            Ok(match upgrade::requested(&hub, &mut request) {
                Some(response) => response.map(Into::into),
                None => handle(&hub, request, |made| hub.meters().note(made)).await,
            })
        })
    }
}
