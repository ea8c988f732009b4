//! The HTTP API: what an application server asks of the hub.
//!
//! A request goes through four steps, each of which can refuse it: its route, its body (read whole,
//! bounded), its signature (over the bytes as they came), and what it says. Nothing is published
//! before all of the request is known to be right.

mod answer;
mod body;
pub(crate) mod connection;
mod console;
mod event;
mod feed;
mod health;
mod params;
mod plain;
pub(crate) mod probe;
mod query;
mod request_id;
mod route;
mod service;
mod upgrade;
mod verify;

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::ORIGIN;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body::Body;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use answer::{Answer, Readers};
pub(crate) use answer::{Refusal, put_escaped};
use event::Publication;
pub use feed::ResponseBody;
use request_id::{REQUEST_ID, RequestId};
use route::{Route, excerpt};
pub use service::Service;

use super::dev;
use super::hub::{Entry, Hub, Source};
use super::metrics::{CONSOLE, FAULTS, Made, OTHER};
use super::refusals::{RefusalKind, Refused};
use super::steps::{STEPS, TRACES, shown};
use crate::app::{App, Standing};
use crate::server::{AppName, Verdict, now_ms};

/// Answers a request of the API. It never fails: what is wrong becomes an answer that says so. `note` is told what was
/// made of the request.
pub(crate) async fn handle<B>(
    hub: &Hub,
    request: Request<B>,
    note: impl FnOnce(&Made),
) -> Response<ResponseBody>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let given = request.headers().get(REQUEST_ID).map(HeaderValue::as_bytes);
    let id = RequestId::new(given);
    let trace = trace(request.method(), request.uri().path(), &id);
    let answered = answer(hub, request, &id, note).instrument(span(&id)).instrument(trace.clone());
    let mut response = answered.await;
    trace.record("http.response.status_code", response.status().as_u16());
    if let Ok(value) = HeaderValue::from_bytes(id.as_bytes()) {
        response.headers_mut().insert(HeaderName::from_static(REQUEST_ID), value);
    }
    response
}

/// What log lines of one request have in common. It costs next to nothing when nothing is logged.
fn span(id: &RequestId) -> Span {
    tracing::debug_span!(target: STEPS, "request", %id)
}

/// What a collector of traces is told of a request.
fn trace(method: &Method, path: &str, id: &RequestId) -> Span {
    tracing::debug_span!(
        target: TRACES,
        "HTTP API request",
        otel.kind = "server",
        http.request.method = %method,
        url.path = path,
        tidings.request_id = %id,
        http.response.status_code = Empty,
    )
}

async fn answer<B>(
    hub: &Hub,
    request: Request<B>,
    id: &RequestId,
    note: impl FnOnce(&Made),
) -> Response<ResponseBody>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let begun = Instant::now();
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let call = Call { method: &parts.method, path: parts.uri.path(), query };
    if dev::is_for(hub, call.path) || console::is_for(hub, call.path) {
        let (response, route) = Box::pin(beside(hub, &parts, id, body)).await;
        // Bytes are counted for apps, and these name none.
        let about = About { route, ..About::default() };
        note(&about.made(response.status().as_u16(), (0, 0), begun.elapsed()));
        return response;
    }
    let (limit, patience) = body_bounds(hub);
    let (mut about, mut received) = (About::default(), 0);
    let answer = match admit_or_look_up(hub, &call, &mut about).await {
        Ok(Admission::Answered(answer)) => Ok(answer),
        Ok(Admission::Wants(task)) => {
            match body::read(&parts.headers, body, limit, patience).await {
                Ok(body) if task.is_feed() => {
                    match listen(hub, &call, &task, &parts.headers, &body) {
                        Ok(response) => {
                            note(&about.made(200, (body.len(), 0), begun.elapsed()));
                            return response;
                        }
                        Err(refusal) => Err(refusal),
                    }
                }
                Ok(body) => {
                    received = body.len();
                    perform(hub, &call, task, &body).await
                }
                Err(refusal) => Err(refusal),
            }
        }
        Err(refusal) => Err(refusal),
    };
    // Only browsers send and read these headers, and their requests to another origin name theirs.
    let config = hub.config();
    let patterns = config.origins(about.app.as_deref());
    let readers = Readers::among(patterns, parts.headers.get(ORIGIN));
    let answer = finish(hub, about.app.as_ref(), &call, id, answer);
    let (status, bytes) = (answer.status.as_u16(), (received, answer.body.len()));
    let made = about.made(status, bytes, begun.elapsed());
    log(&call, &made);
    note(&made);
    answer.into_response(readers).map(Into::into)
}

/// Answers what is beside the API, the console and dev mode's faults, and tells which of them it was.
async fn beside<B>(
    hub: &Hub,
    parts: &Parts,
    id: &RequestId,
    body: B,
) -> (Response<ResponseBody>, &'static str)
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    if console::is_for(hub, parts.uri.path()) {
        return (console::answer(hub, parts, id, body).await, CONSOLE);
    }
    let (limit, patience) = body_bounds(hub);
    // A page of another origin must not make things go wrong.
    let answer = match parts.headers.contains_key(ORIGIN) {
        true => Err(Refusal::forbidden("faults are not for pages: ask with curl")),
        false => body::read(&parts.headers, body, limit, patience)
            .await
            .and_then(|body| dev::answer(hub, &parts.method, &body)),
    };
    let response = answer.unwrap_or_else(|refusal| {
        refusal.into_answer().into_response(Readers::Own).map(Into::into)
    });
    (response, FAULTS)
}

/// How many bytes a body may have, and how long it may take.
fn body_bounds(hub: &Hub) -> (usize, Duration) {
    let config = hub.config();
    (config.max_body_bytes as usize, config.handshake_timeout)
}

/// A success that carries JSON text.
pub(crate) fn json_answer(text: Vec<u8>) -> Response<ResponseBody> {
    Answer::json(text).into_response(Readers::Own).map(Into::into)
}

/// A request without its headers and its body.
#[derive(Debug, Clone, Copy)]
struct Call<'r> {
    method: &'r Method,
    path: &'r str,
    query: &'r str,
}

/// What is known of a request when it is answered.
#[derive(Debug)]
struct About {
    /// The app that it names, if there is one.
    app: Option<Arc<App>>,
    /// The name of its route.
    route: &'static str,
    /// The app that it names, if it is not known and may be looked up.
    unknown: Option<AppName>,
}

impl Default for About {
    fn default() -> Self {
        Self { app: None, route: OTHER, unknown: None }
    }
}

impl About {
    fn made(&self, status: u16, (received, sent): (usize, usize), took: Duration) -> Made {
        let app = self.app.as_ref().map(|app| app.index());
        Made { app, route: self.route, status, received, sent, took }
    }
}

/// What becomes of a request before its body is read.
enum Admission<'r> {
    /// It is answered; a body does not matter.
    Answered(Answer),
    /// It is to be done, once its body is there.
    Wants(Task<'r>),
}

/// What a request asks for, and of which app.
struct Task<'r> {
    route: Route<'r>,
    app: Arc<App>,
}

impl Task<'_> {
    /// Whether the answer has no end.
    const fn is_feed(&self) -> bool {
        matches!(self.route, Route::Feed { .. })
    }
}

/// Begins a feed.
fn listen(
    hub: &Hub,
    call: &Call<'_>,
    task: &Task<'_>,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response<ResponseBody>, Refusal> {
    authorise(hub, call, &task.app, body)?;
    feed::open(hub, &task.app, call.query, headers)
}

/// Says what was made of a request, for who wants to see each.
fn log(call: &Call<'_>, made: &Made) {
    let Made { status, received, sent, took, .. } = made;
    tracing::debug!(method = %call.method, path = call.path, status, received, sent, ?took, "request answered");
}

/// The answer, or the refusal as one, which is noted; `app` is the one that the request names.
fn finish(
    hub: &Hub,
    app: Option<&Arc<App>>,
    call: &Call<'_>,
    id: &RequestId,
    answer: Result<Answer, Refusal>,
) -> Answer {
    answer.unwrap_or_else(|refusal| {
        let status = refusal.status().as_u16();
        let reason = refusal.text();
        tracing::debug!(target: STEPS, method = %call.method, path = call.path, status, reason, "request refused");
        let refused = Refused::new(RefusalKind::Http, status, reason);
        let request_id = Some(id.as_str());
        hub.refused(app, Refused { path: Some(call.path), request_id, ..refused });
        refusal.into_answer()
    })
}

/// As [`admit`]; an app that is not known is looked up before that is said.
async fn admit_or_look_up<'r>(
    hub: &Hub,
    call: &Call<'r>,
    about: &mut About,
) -> Result<Admission<'r>, Refusal> {
    let admission = admit(hub, call, about);
    let Some((name, lookups)) = about.unknown.take().zip(hub.apps().lookups()) else {
        return admission;
    };
    let verdict = Box::pin(lookups.ask(name)).await;
    match verdict.trouble() {
        Some(trouble) => Err(Refusal::unavailable(trouble)),
        None if verdict == Verdict::Known => admit(hub, call, about),
        None => admission,
    }
}

/// Finds out what a request is for.
fn admit<'r>(hub: &Hub, call: &Call<'r>, about: &mut About) -> Result<Admission<'r>, Refusal> {
    let path = call.path.strip_prefix(&*hub.config().path_prefix).unwrap_or(call.path);
    let route = Route::find(call.method, path)?;
    about.route = route.name();
    let app = match &route {
        Route::Alive => return Ok(Admission::Answered(Answer::healthy())),
        Route::Preflight => return Ok(Admission::Answered(Answer::preflight())),
        Route::Ready => return health::ready(hub).map(Admission::Answered),
        Route::AcceptTraffic => return health::accept_traffic(hub).map(Admission::Answered),
        Route::Terminate { app: None, .. } => {
            verify::app_of_key(hub.apps(), call.query, &mut about.unknown)?
        }
        Route::Events { app }
        | Route::BatchEvents { app }
        | Route::Channels { app }
        | Route::Channel { app, .. }
        | Route::Feed { app }
        | Route::Users { app, .. }
        | Route::History { app, .. }
        | Route::Terminate { app: Some(app), .. } => {
            app_of_id(hub, app, call.query, &mut about.unknown)?
        }
    };
    about.app = Some(Arc::clone(&app));
    Ok(Admission::Wants(Task { route, app }))
}

/// Checks that a request comes from the application of an app that may be used.
fn authorise(hub: &Hub, call: &Call<'_>, app: &App, body: &[u8]) -> Result<(), Refusal> {
    check_rotated(hub, &app.key)?;
    if !app.trusts_all() {
        verify::verify(app, &hub.config().path_prefix, call, body)?;
    }
    if !app.enabled {
        return Err(Refusal::forbidden(format!(
            "the app `{}` is disabled: set `enabled = true` for it, which a server that runs reads on SIGHUP",
            app.id
        )));
    }
    Ok(())
}

/// In dev mode a key may have been taken out of use.
fn check_rotated(hub: &Hub, key: &str) -> Result<(), Refusal> {
    match hub.apps().any_key() {
        Some(any) if any.is_retired(key) => {
            let key = excerpt(key);
            Err(Refusal::unauthorised(format!("auth_key: the key {key} was rotated on demand")))
        }
        _ => Ok(()),
    }
}

/// Checks the signature and does what is asked.
async fn perform(
    hub: &Hub,
    call: &Call<'_>,
    task: Task<'_>,
    body: &Bytes,
) -> Result<Answer, Refusal> {
    let Task { route, app } = task;
    let app = &app;
    authorise(hub, call, app, body)?;
    let rate = match route {
        Route::Events { .. } | Route::BatchEvents { .. } | Route::Terminate { .. } => None,
        _ => within(app.take_read_request(now_ms), "max_read_requests_per_second")?,
    };
    let answer = match route {
        Route::Events { .. } => publish(hub, app, event::one(body, &app.limits)?).await,
        Route::BatchEvents { .. } => {
            publish_batch(hub, app, event::batch(body, &app.limits)?).await
        }
        Route::Channels { .. } => query::channels(hub, app, call.query).await,
        Route::Channel { channel, .. } => query::channel(hub, app, &channel, call.query).await,
        Route::Users { channel, .. } => query::users(hub, app, &channel, call.query).await,
        Route::History { channel, .. } => query::history(hub, app, &channel, call.query).await,
        Route::Terminate { user_id, .. } => {
            hub.terminate(app, &user_id).await;
            Ok(Answer::done())
        }
        // Neither gets here: a feed is begun elsewhere, and the others need no signature.
        Route::Feed { .. }
        | Route::Alive
        | Route::Preflight
        | Route::Ready
        | Route::AcceptTraffic => Ok(Answer::healthy()),
    };
    answer.map(|answer| Answer { rate: answer.rate.or(rate), ..answer })
}

/// Lets through what is within its rate.
fn within(rate: Option<Standing>, option: &str) -> Result<Option<Standing>, Refusal> {
    match rate {
        Some(rate) if rate.exceeded => Err(Refusal::too_many(rate, option)),
        other => Ok(other),
    }
}

/// Uses the rate of an app for so many deliveries to a channel.
fn take_events(app: &App, events: &[Publication]) -> Result<Option<Standing>, Refusal> {
    let count = events.iter().map(|event| event.channels.len()).sum::<usize>();
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    within(app.take_backend_events(count, now_ms), "max_backend_events_per_second")
}

fn app_of_id(
    hub: &Hub,
    id: &str,
    query: &str,
    unknown: &mut Option<AppName>,
) -> Result<Arc<App>, Refusal> {
    if let Some(app) = hub.apps().by_id(id) {
        return Ok(app);
    }
    // In dev mode the key alone says which app is meant, and any id will do.
    let key = params::value(query, "auth_key").unwrap_or_default();
    check_rotated(hub, &key)?;
    hub.apps().by_key(&key).filter(|app| app.trusts_all()).ok_or_else(|| {
        *unknown = hub.apps().lookups().map(|_| AppName::Id(id.into()));
        let hint = if hub.apps().is_key(id) {
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
        tracing::debug!(
            target: STEPS,
            key = %app.key,
            channel = %shown(channel),
            event = %shown(&event.event),
            data = %shown(&event.data),
            "published"
        );
        let entry = Entry {
            channel: channel.clone(),
            event: event.event.clone(),
            data: event.data.clone(),
            except: event.except,
            user_id: None,
            source: Source::Application,
            stamp: None,
            accepted: Instant::now(),
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
    let rate = take_events(app, std::slice::from_ref(&event))?;
    deliver(hub, app, &event)?;
    if !event.info.any() {
        return Ok(Answer { rate, ..Answer::done() });
    }
    Ok(Answer { rate, ..Answer::json(query::published(hub, app, &event).await) })
}

async fn publish_batch(
    hub: &Hub,
    app: &Arc<App>,
    batch: Vec<Publication>,
) -> Result<Answer, Refusal> {
    let rate = take_events(app, &batch)?;
    for event in &batch {
        deliver(hub, app, event)?;
    }
    if !batch.iter().any(|event| event.info.any()) {
        return Ok(Answer { rate, ..Answer::done() });
    }
    Ok(Answer { rate, ..Answer::json(query::published_batch(hub, app, &batch).await) })
}
