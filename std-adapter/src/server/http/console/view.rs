//! What the console shows when it asks.

use super::super::answer::Refusal;
use super::super::params::value;
use super::super::route::excerpt;
use super::unknown;
use crate::app::App;
use crate::server::hub::Hub;
use crate::server::now_ms;
use serde::Serialize;
use std::sync::Arc;

/// Connections in a list.
const CONNECTIONS: usize = 200;

/// Channels, members or apps in a list.
const ROWS: usize = 500;

/// The app that a query names.
pub(super) fn app(hub: &Hub, query: &str) -> Result<Arc<App>, Refusal> {
    let id = value(query, "app").unwrap_or_default();
    let missing = || Refusal::not_found(format!("there is no app with the id {}", excerpt(&id)));
    hub.apps().by_id(&id).ok_or_else(missing)
}

/// The answer to a question, as JSON.
pub(super) async fn answer(hub: &Hub, name: &str, query: &str) -> Result<Vec<u8>, Refusal> {
    match name {
        "overview" => written(&overview(hub)),
        "channels" => written(&channels(hub, query).await?),
        "connections" => written(&connections(hub, query).await?),
        "members" => written(&members(hub, query).await?),
        "refusals" => written(&refusals(hub, query)?),
        "webhooks" => written(&webhooks(hub, query)?),
        _ => Err(unknown()),
    }
}

/// A value as JSON text.
pub(super) fn written<T: Serialize>(value: &T) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(value).map_err(|_| Refusal::unavailable("the answer cannot be written"))
}

#[derive(Serialize)]
struct Overview {
    version: &'static str,
    now_ms: u64,
    dev: bool,
    read_only: bool,
    draining: bool,
    backplane: Option<BackplaneRow>,
    /// How many apps there are; not all of many are listed.
    total: usize,
    apps: Vec<AppRow>,
}

#[derive(Serialize)]
struct BackplaneRow {
    nodes: usize,
    degraded: Option<Box<str>>,
    dropped: u64,
}

#[derive(Serialize)]
struct AppRow {
    id: Box<str>,
    key: Box<str>,
    enabled: bool,
    connections: u32,
    max_connections: Option<u32>,
}

fn overview(hub: &Hub) -> Overview {
    let backplane = hub.backplane().map(|backplane| {
        let state = backplane.view().state();
        BackplaneRow { nodes: state.nodes, degraded: state.degraded, dropped: state.dropped }
    });
    Overview {
        version: env!("CARGO_PKG_VERSION"),
        now_ms: now_ms(),
        dev: hub.faults().is_some(),
        read_only: hub.config().console_read_only,
        draining: hub.is_draining(),
        backplane,
        total: hub.apps().iter().count(),
        apps: hub.apps().iter().take(ROWS).map(|app| AppRow::of(&app)).collect(),
    }
}

impl AppRow {
    fn of(app: &App) -> Self {
        Self {
            id: app.id.clone(),
            key: app.key.clone(),
            enabled: app.enabled,
            connections: app.connections(),
            max_connections: app.max_connections,
        }
    }
}

#[derive(Serialize)]
struct Channels {
    total: usize,
    channels: Vec<ChannelRow>,
}

#[derive(Serialize)]
struct ChannelRow {
    name: Box<str>,
    subscriptions: u32,
    /// Users of a presence channel.
    users: Option<u32>,
}

/// A page of the channels whose names begin with `prefix` and come after `after`.
async fn channels(hub: &Hub, query: &str) -> Result<Channels, Refusal> {
    let app = app(hub, query)?;
    let prefix = value(query, "prefix").unwrap_or_default();
    let after = value(query, "after").unwrap_or_default();
    let found = hub.channels(&app, &prefix).await;
    let total = found.len();
    let rest = found.into_iter().skip_while(|(name, _)| **name <= *after);
    let row = |(name, occupancy): (Box<str>, crate::server::hub::Occupancy)| ChannelRow {
        users: name.starts_with("presence-").then_some(occupancy.users),
        subscriptions: occupancy.subscriptions,
        name,
    };
    Ok(Channels { total, channels: rest.take(ROWS).map(row).collect() })
}

#[derive(Serialize)]
struct Connections {
    total: u32,
    connections: Vec<ConnectionRow>,
}

#[derive(Serialize)]
struct ConnectionRow {
    socket_id: String,
    user_id: Option<Box<str>>,
    channels: usize,
    seconds: u64,
}

/// The newest connections of an app to this server.
async fn connections(hub: &Hub, query: &str) -> Result<Connections, Refusal> {
    let app = app(hub, query)?;
    let newest = hub.newest(&app, CONNECTIONS).await.into_iter();
    let connections = newest.map(|seen| ConnectionRow {
        socket_id: seen.socket_id.to_string(),
        user_id: seen.user_id,
        channels: seen.channels,
        seconds: seen.seconds,
    });
    Ok(Connections { total: app.connections(), connections: connections.collect() })
}

#[derive(Serialize)]
struct Members {
    total: usize,
    members: Vec<Box<str>>,
}

/// The first members of a presence channel.
async fn members(hub: &Hub, query: &str) -> Result<Members, Refusal> {
    let app = app(hub, query)?;
    let channel = value(query, "channel").unwrap_or_default();
    let mut members = hub.users(&app, &channel).await;
    let total = members.len();
    members.truncate(ROWS);
    Ok(Members { total, members })
}

#[derive(Serialize)]
struct Refusals {
    refusals: Vec<RefusalRow>,
}

#[derive(Serialize)]
struct RefusalRow {
    at_ms: u64,
    kind: &'static str,
    code: u16,
    text: Box<str>,
    channel: Option<Box<str>>,
    path: Option<Box<str>>,
    request_id: Option<Box<str>>,
}

/// The latest refusals of an app, and of who named none that there is; the newest first.
fn refusals(hub: &Hub, query: &str) -> Result<Refusals, Refusal> {
    let app = app(hub, query)?;
    let concerned = |id: &Option<Box<str>>| id.as_ref().is_none_or(|id| *id == app.id);
    let refusals = hub.refusals().into_iter().rev().filter(|refusal| concerned(&refusal.app));
    let rows = refusals.map(|refusal| RefusalRow {
        at_ms: refusal.at_ms,
        kind: refusal.kind.name(),
        code: refusal.code,
        text: refusal.text,
        channel: refusal.channel,
        path: refusal.path,
        request_id: refusal.request_id,
    });
    Ok(Refusals { refusals: rows.collect() })
}

#[derive(Serialize)]
struct WebhookRow {
    url: Box<str>,
    delivered: u64,
    waiting: u64,
    failed_attempts: u64,
    dropped_full: u64,
    dropped_late: u64,
}

/// What became of the events for each endpoint.
fn webhooks(hub: &Hub, query: &str) -> Result<Vec<WebhookRow>, Refusal> {
    let app = app(hub, query)?;
    let stats = app.outlet().stats().into_iter();
    let row = stats.map(|stats| WebhookRow {
        url: stats.url,
        delivered: stats.delivered,
        waiting: stats.waiting,
        failed_attempts: stats.failed_attempts,
        dropped_full: stats.dropped_full,
        dropped_late: stats.dropped_late,
    });
    Ok(row.collect())
}
