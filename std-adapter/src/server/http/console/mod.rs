//! The console: a page in the browser that shows an operator what happens in the server, live.
//!
//! It stands on top of the hub and of what the HTTP API does; nothing below knows of it. It is off unless
//! there is a password for it or the server is in dev mode. Whatever it shows is bounded, and nothing that it
//! answers holds a secret.

mod act;
mod door;
mod stream;
mod view;

use super::answer::{Readers, Refusal};
use super::request_id::RequestId;
use super::{ResponseBody, body, body_bounds, feed};
use crate::server::hub::Hub;
use bytes::Bytes;
use door::Entered;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, RETRY_AFTER,
    SET_COOKIE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use std::fmt::Display;

/// The path of the page, behind the server's prefix.
const PATH: &str = "/console";

/// The files of the page: path below [`PATH`], type, text.
const FILES: [(&str, &str, &str); 8] = [
    ("", "text/html; charset=utf-8", include_str!("assets/console.html")),
    ("/console.css", "text/css; charset=utf-8", include_str!("assets/console.css")),
    ("/console.js", JAVASCRIPT, include_str!("assets/console.js")),
    ("/server.js", JAVASCRIPT, include_str!("assets/server.js")),
    ("/lists.js", JAVASCRIPT, include_str!("assets/lists.js")),
    ("/chart.js", JAVASCRIPT, include_str!("assets/chart.js")),
    ("/events.js", JAVASCRIPT, include_str!("assets/events.js")),
    ("/send.js", JAVASCRIPT, include_str!("assets/send.js")),
];

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// What every answer says about itself: nothing from elsewhere runs in the page, and no other page shows it.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Whether a request is for the console, be it on or off.
pub(super) fn is_for(hub: &Hub, path: &str) -> bool {
    below(hub, path).is_some()
}

/// What follows the console's path.
fn below<'p>(hub: &Hub, path: &'p str) -> Option<&'p str> {
    let path = path.strip_prefix(&*hub.config().path_prefix).unwrap_or(path);
    path.strip_prefix(PATH).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers a request for the console.
pub(super) async fn answer<B>(
    hub: &Hub,
    parts: &Parts,
    id: &RequestId,
    body: B,
) -> Response<ResponseBody>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let path = below(hub, parts.uri.path()).unwrap_or_default();
    let mut response = match door::enter(hub, &parts.headers, id) {
        Err(refusal) => refuse(path, refusal),
        Ok(entered) => {
            let answered = attend(hub, parts, path, id, body).await;
            let mut response = answered.unwrap_or_else(|refusal| refuse(path, refusal));
            if let Entered::ByPassword(Some(cookie)) = entered {
                response.headers_mut().insert(SET_COOKIE, cookie);
            }
            response
        }
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Does what is asked by who may ask.
async fn attend<B>(
    hub: &Hub,
    parts: &Parts,
    path: &str,
    id: &RequestId,
    body: B,
) -> Result<Response<ResponseBody>, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let query = parts.uri.query().unwrap_or_default();
    match (&parts.method, path) {
        (&Method::GET | &Method::HEAD, "/") => Ok(moved()),
        (&Method::GET, "/api/stream") => {
            let watcher = stream::Watcher::new(hub, &view::app(hub, query)?)?;
            Ok(feed::stream(Box::new(watcher)))
        }
        (&Method::GET, "/api/faults") => act::faults(hub, &parts.method, &Bytes::new()),
        (&Method::GET | &Method::HEAD, path) => match path.strip_prefix("/api/") {
            Some(name) => Ok(json(view::answer(hub, name, query).await?)),
            None => file(path),
        },
        (&Method::POST, path) => {
            let wish = act::Wish::of(path)?;
            door::check_origin(hub, &parts.headers, id)?;
            act::may(hub)?;
            let (limit, time) = body_bounds(hub);
            let body = body::read(&parts.headers, body, limit, time).await?;
            act::perform(hub, wish, query, &body).await
        }
        _ => Err(Refusal::method("GET, HEAD, POST")),
    }
}

/// A file of the page.
fn file(path: &str) -> Result<Response<ResponseBody>, Refusal> {
    let (_, content_type, text) =
        FILES.into_iter().find(|(known, ..)| *known == path).ok_or_else(unknown)?;
    Ok(respond(StatusCode::OK, content_type, Bytes::from_static(text.as_bytes())))
}

fn unknown() -> Refusal {
    Refusal::not_found("the console has no such page: open /console")
}

/// The way from `/console/` to `/console`, whose links are relative to it, wherever a proxy puts both.
fn moved() -> Response<ResponseBody> {
    let mut response = respond(StatusCode::PERMANENT_REDIRECT, TEXT, Bytes::new());
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("../console"));
    response
}

const TEXT: &str = "text/plain; charset=utf-8";

fn json(text: Vec<u8>) -> Response<ResponseBody> {
    respond(StatusCode::OK, "application/json", text.into())
}

fn respond(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<ResponseBody> {
    let mut response = Response::new(Full::new(body).into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A refusal: as JSON for the page's requests, as text for a person.
fn refuse(path: &str, refusal: Refusal) -> Response<ResponseBody> {
    let status = refusal.status();
    let mut response = if path.starts_with("/api/") {
        refusal.into_answer().into_response(Readers::Own).map(Into::into)
    } else {
        respond(status, TEXT, format!("{}\n", refusal.text()).into())
    };
    let headers: &mut HeaderMap = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        let realm = "Basic realm=\"tidings console\", charset=\"UTF-8\"";
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(realm));
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        headers.entry(RETRY_AFTER).or_insert(HeaderValue::from_static("60"));
    }
    response
}
