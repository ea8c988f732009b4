//! WebSockets whose opening handshake another HTTP server has read: hyper on a kept-alive connection, or
//! the server that the service is mounted in.

use super::connection::Rewound;
use crate::server::hub::Hub;
use crate::server::hub::mail::Mail;
use crate::server::listener::Slot;
use crate::server::refusals::{RefusalKind, Refused};
use crate::server::socket::{Adopted, Asked, Detached, Stream};
use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_TYPE, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use std::io;
use tidings_core::websocket::handshake::accept_key;
use tokio::net::{TcpStream, UnixStream};

/// Bytes that are copied at once between a foreign stream and ours.
const COPY_BYTES: usize = 16 * 1024;

/// Answers a request for a WebSocket and takes its stream over; `None` when it asks for something else.
pub(crate) fn requested<B>(hub: &Hub, request: &mut Request<B>) -> Option<Response<Full<Bytes>>> {
    if !has_token(request.headers(), &UPGRADE, "websocket") {
        return None;
    }
    Some(match check(request) {
        Err((status, text)) => {
            let refused = Refused::new(RefusalKind::Http, status.as_u16(), text.trim_end());
            hub.refused(None, Refused { path: Some(request.uri().path()), ..refused });
            refusal(status, text)
        }
        Ok(accept) => {
            let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
            let origin = request.headers().get(ORIGIN).map(|origin| origin.as_bytes().into());
            let (hub, asked) = (hub.clone(), Asked { target: target.into(), origin });
            let upgrade = hyper::upgrade::on(request);
            tokio::spawn(take_over(hub, upgrade, asked));
            switching(&accept)
        }
    })
}

fn has_token(headers: &HeaderMap, name: &http::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|found| found.trim().eq_ignore_ascii_case(token))
}

fn check<B>(request: &Request<B>) -> Result<HeaderValue, (StatusCode, &'static str)> {
    let headers = request.headers();
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if request.method() != Method::GET {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "A WebSocket begins with GET\n"));
    }
    if !has_token(headers, &CONNECTION, "upgrade") {
        return Err((StatusCode::BAD_REQUEST, "`Connection: Upgrade` is missing\n"));
    }
    if text("sec-websocket-version") != Some("13") {
        return Err((StatusCode::UPGRADE_REQUIRED, "Only WebSocket version 13 is spoken here\n"));
    }
    let key = text("sec-websocket-key").and_then(|key| accept_key(key.as_bytes()));
    let accept = key.and_then(|accept| HeaderValue::from_bytes(&accept).ok());
    accept.ok_or((StatusCode::BAD_REQUEST, "`Sec-WebSocket-Key` must be 16 bytes in base64\n"))
}

fn switching(accept: &HeaderValue) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept.clone());
    response
}

fn refusal(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::UPGRADE_REQUIRED {
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    response
}

/// Waits for the handshake's answer to be sent, then hands the stream to a shard.
async fn take_over(hub: Hub, upgrade: OnUpgrade, asked: Asked) {
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            tracing::debug!(%error, "upgrade failed");
            return;
        }
    };
    match detach(upgraded) {
        Under::System(Ok(stream), leftover, slot) => give(&hub, stream, leftover, asked, slot),
        Under::System(Err(error), ..) => tracing::warn!(%error, "cannot take a socket over"),
        Under::Foreign(foreign) => {
            // A stream of another kind, TLS for one: a pair of sockets carries its bytes.
            let Ok((ours, theirs)) = UnixStream::pair() else { return };
            let Ok(theirs) = theirs.into_std() else { return };
            give(&hub, Detached::Unix(theirs), Bytes::new(), asked, None);
            let (mut foreign, mut ours) = (TokioIo::new(foreign), ours);
            let copied = tokio::io::copy_bidirectional_with_sizes(
                &mut foreign,
                &mut ours,
                COPY_BYTES,
                COPY_BYTES,
            );
            if let Err(error) = copied.await {
                tracing::debug!(%error, "mounted socket ended");
            }
        }
    }
}

fn give(hub: &Hub, stream: Detached, leftover: Bytes, asked: Asked, slot: Option<Box<Slot>>) {
    let adopted = Adopted::Upgraded { stream, leftover, asked, slot };
    hub.send(hub.next_shard(), Mail::Adopt(Box::new(adopted)));
}

/// What lies under an upgraded stream.
enum Under {
    /// A socket of the system, with what was read too far, and its place among those of its address.
    System(io::Result<Detached>, Bytes, Option<Box<Slot>>),
    Foreign(Upgraded),
}

fn detach(upgraded: Upgraded) -> Under {
    let upgraded = match upgraded.downcast::<TokioIo<Rewound>>() {
        Ok(parts) => {
            let rewound = parts.io.into_inner();
            // What hyper has taken comes before what it has not.
            let leftover = [&parts.read_buf[..], &rewound.read[..]].concat();
            return Under::System(rewound.stream.detach(), leftover.into(), rewound.slot);
        }
        Err(upgraded) => upgraded,
    };
    let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => {
            let stream = Stream::Tcp(parts.io.into_inner());
            return Under::System(stream.detach(), parts.read_buf, None);
        }
        Err(upgraded) => upgraded,
    };
    // hyper-util's automatic server, which axum uses, wraps the stream once more.
    match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => {
            Under::System(Stream::Tcp(parts.io.into_inner()).detach(), parts.read_buf, None)
        }
        Err(upgraded) => Under::Foreign(upgraded),
    }
}
