//! The HTTP API: what an application server asks of the hub.
//!
//! A request goes through four steps, each of which can refuse it: its route, its body (read whole,
//! bounded), its signature (over the bytes as they came), and what it says. Nothing is published
//! before all of the request is known to be right.

mod answer;
mod body;
pub(crate) mod connection;
mod event;
mod params;
mod query;
mod route;
mod service;
mod upgrade;
mod verify;

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http::header::ORIGIN;
use http::request::Parts;
use http_body::Body;

pub(crate) use answer::Answer;
use answer::Refusal;
use event::Publication;
use route::{Route, excerpt};
pub use service::Service;

use super::hub::{Entry, Hub};
use crate::app::App;

/// Answers a request of the API. It never fails: what is wrong becomes an answer that says so.
pub(crate) async fn handle<B>(hub: &Hub, request: Request<B>) -> Answer
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let (parts, body) = request.into_parts();
    let mut answer = match serve(hub, &parts, body).await {
        Ok(answer) => answer,
        Err(refusal) => {
            let answer = refusal.into_answer();
            let (method, path) = (&parts.method, parts.uri.path());
            tracing::debug!(%method, path, status = answer.status().as_u16(), "request refused");
            answer
        }
    };
    // Only browsers send and read these, and with them every request from another origin has one.
    if parts.headers.contains_key(ORIGIN) {
        answer::allow_origins(&mut answer);
    }
    answer
}

async fn serve<B>(hub: &Hub, parts: &Parts, body: B) -> Result<Answer, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let path = parts.uri.path();
    let prefix = &*hub.config().path_prefix;
    let route = Route::find(&parts.method, path.strip_prefix(prefix).unwrap_or(path))?;
    let app = match &route {
        Route::Alive => return Ok(answer::healthy()),
        Route::Ready => return ready(hub),
        Route::Preflight => return Ok(answer::preflight()),
        Route::Terminate { app: None, .. } => verify::app_of_key(hub.apps(), parts)?,
        Route::Events { app }
        | Route::BatchEvents { app }
        | Route::Channels { app }
        | Route::Channel { app, .. }
        | Route::Users { app, .. }
        | Route::Terminate { app: Some(app), .. } => app_of_id(hub, app)?,
    };
    let config = hub.config();
    let limit = config.max_body_bytes as usize;
    let body = body::read(&parts.headers, body, limit, config.handshake_timeout).await?;
    verify::verify(app, prefix, parts, &body)?;
    if !app.enabled {
        return Err(Refusal::forbidden(format!(
            "the app `{}` is disabled: set `enabled = true` for it and restart the server",
            app.id
        )));
    }
    let query = parts.uri.query().unwrap_or_default();
    match route {
        Route::Events { .. } => publish(hub, app, event::one(&body, &app.limits)?).await,
        Route::BatchEvents { .. } => {
            publish_batch(hub, app, event::batch(&body, &app.limits)?).await
        }
        Route::Channels { .. } => query::channels(hub, app, query).await,
        Route::Channel { channel, .. } => query::channel(hub, app, &channel, query).await,
        Route::Users { channel, .. } => query::users(hub, app, &channel, query).await,
        Route::Terminate { user_id, .. } => {
            hub.terminate(app, &user_id).await;
            Ok(answer::done())
        }
        Route::Alive | Route::Preflight | Route::Ready => Ok(answer::healthy()),
    }
}

/// Whether new clients are welcome; a load balancer asks.
fn ready(hub: &Hub) -> Result<Answer, Refusal> {
    if hub.is_draining() {
        return Err(Refusal::unavailable("the server is shutting down: choose another"));
    }
    Ok(answer::healthy())
}

fn app_of_id<'h>(hub: &'h Hub, id: &str) -> Result<&'h Arc<App>, Refusal> {
    hub.apps().by_id(id).ok_or_else(|| {
        let hint = if hub.apps().by_key(id).is_some() {
            "that is an app's key, and the path takes its id"
        } else {
            "check the app id that the server and the SDK are configured with"
        };
        Refusal::not_found(format!("there is no app with the id {}: {hint}", excerpt(id)))
    })
}

/// Hands an event to the hub, once for each of its channels.
fn deliver(hub: &Hub, app: &Arc<App>, event: &Publication) -> Result<(), Refusal> {
    for channel in &event.channels {
        let entry = Entry {
            channel: channel.clone(),
            event: event.event.clone(),
            data: event.data.clone(),
            except: event.except,
            user_id: None,
        };
        hub.publish(app, entry).map_err(|_| {
            Refusal::unavailable(
                "more events wait than the server takes in, and some channels of this request may \
                 have been served: publish more slowly, then try again",
            )
        })?;
    }
    Ok(())
}

async fn publish(hub: &Hub, app: &Arc<App>, event: Publication) -> Result<Answer, Refusal> {
    deliver(hub, app, &event)?;
    if !event.info.any() {
        return Ok(answer::done());
    }
    Ok(answer::json(query::published(hub, app, &event).await))
}

async fn publish_batch(
    hub: &Hub,
    app: &Arc<App>,
    batch: Vec<Publication>,
) -> Result<Answer, Refusal> {
    for event in &batch {
        deliver(hub, app, event)?;
    }
    if !batch.iter().any(|event| event.info.any()) {
        return Ok(answer::done());
    }
    Ok(answer::json(query::published_batch(hub, app, &batch).await))
}

#[cfg(test)]
mod tests;
