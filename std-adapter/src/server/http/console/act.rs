//! What the console does when it is asked to: send an event, end a user's connections, make things go wrong.

use super::super::answer::Refusal;
use super::super::{ResponseBody, event, publish};
use super::{json, unknown, view};
use crate::app::App;
use crate::server::dev;
use crate::server::hub::Hub;
use bytes::Bytes;
use http::{Method, Response};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::sync::Arc;
use tidings_core::json::EscapedJson;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// To publish an event.
    Event,
    /// To make things go wrong, in dev mode.
    Fault,
    /// To end the connections of a user.
    Terminate,
}

impl Wish {
    /// What a request to this path below `/console` asks for.
    pub(super) fn of(path: &str) -> Result<Self, Refusal> {
        match path {
            "/api/events" => Ok(Self::Event),
            "/api/faults" => Ok(Self::Fault),
            "/api/terminate" => Ok(Self::Terminate),
            _ => Err(unknown()),
        }
    }
}

/// Whether anything may be done at all.
pub(super) fn may(hub: &Hub) -> Result<(), Refusal> {
    if hub.config().console_read_only {
        return Err(Refusal::forbidden("this console only shows: console_read_only is set"));
    }
    Ok(())
}

/// Does what is asked for; the answer is JSON.
pub(super) async fn perform(
    hub: &Hub,
    wish: Wish,
    query: &str,
    body: &Bytes,
) -> Result<Response<ResponseBody>, Refusal> {
    match wish {
        Wish::Event => {
            let app = enabled(view::app(hub, query)?)?;
            let event = event::one(body, &app.limits)?;
            check(&event)?;
            publish(hub, &app, event).await?;
            tracing::info!(app = %app.id, "an event was sent from the console");
            Ok(json(b"{}".to_vec()))
        }
        Wish::Fault => faults(hub, &Method::POST, body),
        Wish::Terminate => {
            let app = enabled(view::app(hub, query)?)?;
            let Whom { user_id } = serde_json::from_slice(body)
                .map_err(|error| Refusal::bad(format!("send {{\"user_id\":\"…\"}}: {error}")))?;
            hub.terminate(&app, &user_id).await;
            tracing::info!(app = %app.id, "connections of a user were ended from the console");
            Ok(json(b"{}".to_vec()))
        }
    }
}

/// What goes wrong in dev mode, and is to go wrong.
pub(super) fn faults(
    hub: &Hub,
    method: &Method,
    body: &[u8],
) -> Result<Response<ResponseBody>, Refusal> {
    if hub.faults().is_none() {
        return Err(Refusal::forbidden("faults are for dev mode: start with --dev"));
    }
    dev::answer(hub, method, body)
}

#[derive(Deserialize)]
struct Whom {
    user_id: Box<str>,
}

fn enabled(app: Arc<App>) -> Result<Arc<App>, Refusal> {
    if app.enabled {
        return Ok(app);
    }
    Err(Refusal::forbidden(format!("the app `{}` is disabled", app.id)))
}

/// Checks what the HTTP API lets pass and a person would rather know of.
fn check(event: &event::Publication) -> Result<(), Refusal> {
    if event.channels.iter().any(|channel| channel.starts_with(b"private-encrypted-")) {
        return Err(Refusal::bad(
            "events of private-encrypted channels are sealed with a key that the server does not have: \
             publish them by an SDK",
        ));
    }
    let data = std::str::from_utf8(&event.data).unwrap_or_default();
    let data: String = EscapedJson::from_validated(data).chars().collect();
    serde_json::from_str::<IgnoredAny>(&data).map(|_| ()).map_err(|error| {
        Refusal::bad(format!("`data` is no JSON: {error}; a text stands in double quotes"))
    })
}
