//! What the API tells about channels and users.

use std::sync::Arc;

use tidings_core::channel::{ChannelKind, ChannelName};

use super::answer::{Answer, Refusal, put_escaped};
use super::event::{Publication, channel_name};
use super::params::{self, Info};
use super::route::excerpt;
use crate::app::App;
use crate::server::dialect;
use crate::server::hub::{CachedEvent, Hub, Occupancy};

const PRESENCE: &str = "presence-";

/// `GET channels`: the occupied ones.
pub(super) async fn channels(hub: &Hub, app: &Arc<App>, query: &str) -> Result<Answer, Refusal> {
    let prefix = params::value(query, "filter_by_prefix").unwrap_or_default();
    let info = Info::of_query(query)?;
    if info.user_count && !prefix.starts_with(PRESENCE) {
        return Err(Refusal::bad(
            "user_count may only be requested for presence channels - please supply \
             filter_by_prefix beginning with presence-",
        ));
    }
    if info.cache {
        return Err(Refusal::bad(
            "`info` asks for cache, which is told of one channel: ask GET channels/NAME for it",
        ));
    }
    let channels = hub.channels(app, &prefix).await;
    let mut out = Vec::with_capacity(16 + channels.len() * 48);
    out.extend_from_slice(br#"{"channels":"#);
    let mut object = Object::new(&mut out);
    let soketi = hub.config().soketi_answers;
    let info = Info { subscription_count: info.subscription_count || soketi, ..info };
    for (name, occupancy) in channels {
        let out = object.member(&name);
        let mut object = Object::new(out);
        put_counts(&mut object, info, occupancy);
        if soketi {
            object.member("occupied").extend_from_slice(b"true");
        }
        object.end();
    }
    object.end();
    out.push(b'}');
    Ok(Answer::json(out))
}

/// `GET channels/NAME`: whether it is occupied, and by how many.
pub(super) async fn channel(
    hub: &Hub,
    app: &Arc<App>,
    name: &str,
    query: &str,
) -> Result<Answer, Refusal> {
    let channel = parse(app, name)?;
    let info = Info::of_query(query)?;
    if info.user_count && channel.kind() != ChannelKind::Presence {
        return Err(Refusal::bad(format!(
            "Cannot retrieve the user count unless the channel is a presence channel: {} does not \
             begin with presence-",
            excerpt(name)
        )));
    }
    if info.cache && !channel.is_cache() {
        return Err(Refusal::bad(format!(
            "Cannot retrieve the cache unless the channel is a cache channel: {} does not begin \
             with cache-, private-cache-, presence-cache- or private-encrypted-cache-",
            excerpt(name)
        )));
    }
    let occupancy = hub.occupancy(app, name).await;
    let mut out = Vec::with_capacity(64);
    let mut object = Object::new(&mut out);
    let occupied = occupancy.subscriptions > 0;
    object.member("occupied").extend_from_slice(if occupied { b"true" } else { b"false" });
    put_counts(&mut object, info, occupancy);
    if info.cache {
        put_cached(object.member("cache"), hub.cached(app, name).await);
    }
    object.end();
    Ok(Answer::json(out))
}

/// The last event of a cache channel, or `null`. Its data is an escaped literal already.
fn put_cached(out: &mut Vec<u8>, cached: Option<CachedEvent>) {
    let Some(CachedEvent { data, ttl }) = cached else {
        return out.extend_from_slice(b"null");
    };
    out.extend_from_slice(br#"{"data":""#);
    out.extend_from_slice(&data);
    out.extend_from_slice(format!(r#"","ttl":{ttl}}}"#).as_bytes());
}

/// `GET channels/NAME/users`: who is in a presence channel.
pub(super) async fn users(
    hub: &Hub,
    app: &Arc<App>,
    name: &str,
    query: &str,
) -> Result<Answer, Refusal> {
    let channel = parse(app, name)?;
    if channel.kind() != ChannelKind::Presence {
        return Err(Refusal::bad(format!(
            "users are known of presence channels only: {} does not begin with presence-",
            excerpt(name)
        )));
    }
    if params::value(query, "info").is_some_and(|list| !list.is_empty()) {
        return Err(Refusal::bad(
            "`info` is not for the list of users: leave it out, or ask GET channels/NAME for it",
        ));
    }
    let users = hub.users(app, name).await;
    let mut out = Vec::with_capacity(16 + users.len() * 24);
    out.extend_from_slice(br#"{"users":["#);
    for (index, id) in users.iter().enumerate() {
        out.extend_from_slice(if index == 0 { br#"{"id":""# } else { br#",{"id":""# });
        put_escaped(&mut out, id);
        out.extend_from_slice(br#""}"#);
    }
    out.extend_from_slice(b"]}");
    Ok(Answer::json(out))
}

/// `GET channels/NAME/history`: the events that are kept of a channel, as they were delivered.
pub(super) async fn history(
    hub: &Hub,
    app: &Arc<App>,
    name: &str,
    query: &str,
) -> Result<Answer, Refusal> {
    const MOST: usize = 1000;
    parse(app, name)?;
    if !app.history.keeps(name.as_bytes()) {
        return Err(Refusal::bad(format!(
            "no events are kept of {}: set history_events, and history_prefixes if it is set",
            excerpt(name)
        )));
    }
    let limit = match params::value(query, "limit") {
        None => 100,
        Some(text) => {
            text.parse().ok().filter(|limit| (1..=MOST).contains(limit)).ok_or_else(|| {
                Refusal::bad(format!("`limit` is {}: ask for 1 to {MOST} events", excerpt(&text)))
            })?
        }
    };
    let from = params::value(query, "from");
    let history = hub.history(app, name, from.as_deref(), limit).await.unwrap_or_default();
    let mut out = br#"{"events":["#.to_vec();
    for (index, frame) in history.frames.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(dialect::payload(frame));
    }
    let (complete, serial) = (history.complete, history.serial);
    out.extend_from_slice(format!(r#"],"complete":{complete},"serial":"{serial}"}}"#).as_bytes());
    Ok(Answer::json(out))
}

/// The answer to a publish that asks for attributes: one key for each channel.
pub(super) async fn published(hub: &Hub, app: &Arc<App>, event: &Publication) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(br#"{"channels":"#);
    let mut object = Object::new(&mut out);
    for channel in &event.channels {
        let name = std::str::from_utf8(channel).unwrap_or_default();
        let occupancy = hub.occupancy(app, name).await;
        counts(object.member(name), applicable(event.info, name), occupancy);
    }
    object.end();
    out.push(b'}');
    out
}

/// The answer to a batch that asks for attributes: one element for each event.
pub(super) async fn published_batch(hub: &Hub, app: &Arc<App>, batch: &[Publication]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(br#"{"batch":["#);
    for (index, event) in batch.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let channel = event.channels.first().filter(|_| event.info.any());
        let name = channel.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
        let occupancy =
            if name.is_empty() { Occupancy::default() } else { hub.occupancy(app, name).await };
        counts(&mut out, applicable(event.info, name), occupancy);
    }
    out.extend_from_slice(b"]}");
    out
}

/// What is told of a channel to its publisher: users of presence channels, subscriptions of others.
fn applicable(info: Info, channel: &str) -> Info {
    let presence = channel.starts_with(PRESENCE);
    Info {
        user_count: info.user_count && presence,
        subscription_count: info.subscription_count && !presence,
        cache: false,
    }
}

/// Appends an object with the counts that are asked for.
fn counts(out: &mut Vec<u8>, info: Info, occupancy: Occupancy) {
    let mut object = Object::new(out);
    put_counts(&mut object, info, occupancy);
    object.end();
}

fn put_counts(object: &mut Object<'_>, info: Info, occupancy: Occupancy) {
    let mut put = |name, count: u32| {
        object.member(name).extend_from_slice(count.to_string().as_bytes());
    };
    if info.user_count {
        put("user_count", occupancy.users);
    }
    if info.subscription_count {
        put("subscription_count", occupancy.subscriptions);
    }
}

fn parse<'n>(app: &App, name: &'n str) -> Result<ChannelName<'n>, Refusal> {
    channel_name(name, &app.limits, || "the channel of the path".to_owned())
}

/// A JSON object under construction. Names are written as they are: those of channels and of our own
/// need no escapes.
struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    fn new(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Begins a member; its value is to be appended.
    fn member(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    fn end(self) {
        self.out.push(b'}');
    }
}
