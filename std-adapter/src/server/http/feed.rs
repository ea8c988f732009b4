//! `GET /apps/ID/feed`: what happens in an app, as server-sent events.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use super::answer::{Answer, Readers, Refusal};
use super::params;
use crate::app::App;
use crate::server::hub::Hub;
use crate::server::webhook::{Kinds, Listener, WebhookEvent, Wish};

/// The body of an answer: whole, or a feed without end.
#[derive(Debug)]
pub struct ResponseBody(Inner);

#[derive(Debug)]
enum Inner {
    Whole(Full<Bytes>),
    Feed(Stream),
}

/// Where the pieces of a body without end come from.
pub(super) trait Pieces: Send {
    /// The next piece, with the source of those after it; `None` at the end.
    fn next(self: Box<Self>) -> Next;
}

/// A piece to come.
pub(super) type Next = Pin<Box<dyn Future<Output = Option<(Bytes, Box<dyn Pieces>)>> + Send>>;

impl Pieces for Listener {
    fn next(self: Box<Self>) -> Next {
        Box::pin(async move {
            let (bytes, listener) = Self::next(*self).await?;
            Some((bytes, Box::new(listener) as Box<dyn Pieces>))
        })
    }
}

/// What a listener gets, piece by piece.
struct Stream {
    next: Next,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl From<Full<Bytes>> for ResponseBody {
    fn from(body: Full<Bytes>) -> Self {
        Self(Inner::Whole(body))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Inner::Whole(body) => Pin::new(body).poll_frame(cx),
            Inner::Feed(stream) => {
                let Some((bytes, pieces)) = ready!(stream.next.as_mut().poll(cx)) else {
                    self.0 = Inner::Whole(Full::default());
                    return Poll::Ready(None);
                };
                stream.next = pieces.next();
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Whole(body) => body.is_end_stream(),
            Inner::Feed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole(body) => body.size_hint(),
            Inner::Feed(_) => SizeHint::default(),
        }
    }
}

/// Begins a feed for who has signed the request.
pub(super) fn open(
    hub: &Hub,
    app: &Arc<App>,
    query: &str,
    headers: &HeaderMap,
) -> Result<Response<ResponseBody>, Refusal> {
    if hub.is_draining() {
        return Err(Refusal::draining());
    }
    let wish = wish(query, headers)?;
    Ok(stream(Box::new(app.outlet().feed.listen(wish, hub.current_config()))))
}

/// An answer of server-sent events.
pub(super) fn stream(pieces: Box<dyn Pieces>) -> Response<ResponseBody> {
    let answer = Answer {
        status: StatusCode::OK,
        content_type: Some("text/event-stream"),
        extra: Some((CACHE_CONTROL, "no-store")),
        body: Bytes::new(),
        rate: None,
    };
    let body = ResponseBody(Inner::Feed(Stream { next: pieces.next() }));
    let mut response = answer.into_response(Readers::Own).map(|_| body);
    // nginx would gather events otherwise.
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(unbuffered, HeaderValue::from_static("no"));
    response
}

fn wish(query: &str, headers: &HeaderMap) -> Result<Wish, Refusal> {
    let list = params::value(query, "event_types").unwrap_or_default();
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    let kinds: Vec<WebhookEvent> = names
        .map(|name| name.parse())
        .collect::<Result<_, _>>()
        .map_err(|error| Refusal::bad(format!("`event_types`: {error}")))?;
    let kinds = if kinds.is_empty() { Kinds::pusher() } else { kinds.into_iter().collect() };
    let prefix = params::value(query, "filter_by_prefix").unwrap_or_default();
    let header = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let parameter = params::value(query, "last_event_id");
    let after = header.map(Into::into).or_else(|| parameter.map(|id| id.as_ref().into()));
    Ok(Wish { kinds, prefix: prefix.as_ref().into(), after })
}
