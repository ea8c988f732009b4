//! What a socket may do: subscriptions, client events, sign-in. The core reports what a peer asks for;
//! here is decided.

use super::conn::{Conn, Sent};
use super::user;
use crate::server::dialect;
use crate::server::hub::mail::{Channel, Join, Member, Resume};
use crate::server::hub::{Entry, Key, Notice, Source};
use crate::server::refusals::{RefusalKind, Refused};
use crate::server::shard::Shard;
use crate::server::steps::{STEPS, shown};
use bytes::Bytes;
use std::borrow::Cow;
use std::rc::Rc;
use tidings_core::auth::{self, ChannelAuthError, PresenceData};
use tidings_core::channel::{ChannelKind, ChannelName};
use tidings_core::error::TxFull;
use tidings_core::io::TxBuf;
use tidings_core::json;
use tidings_core::pusher::server::ServerEvent;
use tidings_core::pusher::{self, ClientData, ErrorCode, EventData, SubscriptionErrorKind};
use tidings_core::time::Instant;

/// Why a subscription is refused: what the client is told.
struct Refusal {
    kind: SubscriptionErrorKind,
    status: u16,
    message: Cow<'static, str>,
    /// What others may be told of it, where the message quotes the client.
    noted: Option<Cow<'static, str>>,
}

impl Refusal {
    fn auth(message: impl Into<Cow<'static, str>>) -> Self {
        let kind = SubscriptionErrorKind::Auth;
        Self { kind, status: 401, message: message.into(), noted: None }
    }

    fn limit(code: ErrorCode, message: String) -> Self {
        let kind = SubscriptionErrorKind::Limit;
        Self { kind, status: code.as_u16(), message: message.into(), noted: None }
    }
}

/// Deals with what a peer asked for. Answers go straight to the socket.
pub(crate) fn handle(shard: &Rc<Shard>, conn: &Rc<Conn>, event: ServerEvent<'_>, now: Instant) {
    match event {
        ServerEvent::Subscribe { channel, auth, channel_data, resume_from } => {
            subscribe(shard, conn, channel, auth, channel_data, resume_from);
        }
        ServerEvent::Unsubscribe { channel } => {
            if !shard.leave(conn, key(shard, conn, channel.as_str())) {
                let text = format!("No current subscription to channel {}", channel.as_str());
                error(shard, conn, RefusalKind::Message, None, &text);
            }
            tracing::debug!(target: STEPS, socket_id = %conn.socket_id, channel = channel.as_str(), "unsubscribed");
        }
        ServerEvent::ClientEvent { channel, event, data } => {
            if let Err((code, text)) = client_event(shard, conn, channel, event, data, now) {
                let refused = Refused {
                    channel: Some(channel.as_str()),
                    ..Refused::new(
                        RefusalKind::ClientEvent,
                        code.map_or(0, ErrorCode::as_u16),
                        &text,
                    )
                };
                shard.hub.refused(Some(&conn.app.load()), refused);
                tell_error(shard, conn, code, &text);
            }
        }
        ServerEvent::SignIn { auth, user_data } => user::sign_in(shard, conn, auth, user_data),
        // The answer is in `tx`, and a close is dealt with by the reader.
        ServerEvent::Malformed(fault) => {
            tracing::debug!(socket_id = %conn.socket_id, ?fault, "malformed message");
            let text = format!("Malformed message: {fault}");
            let refused = Refused::new(RefusalKind::Message, 0, &text);
            shard.hub.refused(Some(&conn.app.load()), refused);
        }
        _ => debug_assert!(false, "every event of the core is dealt with"),
    }
}

fn key<'a>(shard: &Shard, conn: &Conn, channel: &'a str) -> Key<'a> {
    let (app, name) = (conn.app.index, channel.as_bytes());
    Key { app, hash: shard.hub.hash(app, name), name }
}

fn subscribe(
    shard: &Rc<Shard>,
    conn: &Rc<Conn>,
    channel: ChannelName<'_>,
    auth: Option<&str>,
    channel_data: Option<&str>,
    resume_from: Option<&str>,
) {
    let name = channel.as_str();
    match admit(conn, channel, auth, channel_data) {
        Err(refusal) => refuse(shard, conn, name, &refusal),
        Ok(member) => {
            let key = key(shard, conn, name);
            let user_id = member.as_ref().map(|member| member.id.clone());
            let begun = shard.local.borrow_mut().begin(conn, key, user_id);
            let Some(ticket) = begun else {
                let text = format!("Existing subscription to channel {name}");
                return error(shard, conn, RefusalKind::Message, None, &text);
            };
            let name = Bytes::copy_from_slice(name.as_bytes());
            shard.join(Join {
                channel: Channel { app: key.app, hash: key.hash, name },
                conn: conn.at,
                socket_id: conn.socket_id,
                ticket,
                member,
                max_members: conn.app.load().limits.max_presence_members,
                resume: resume_from.map(|from| Resume {
                    from: from.into(),
                    // Half of the queue is left to what comes meanwhile.
                    max_bytes: conn.terms.max_waiting() / 2,
                }),
            });
        }
    }
}

/// Whether the socket may subscribe; on a presence channel, as whom.
fn admit(
    conn: &Conn,
    channel: ChannelName<'_>,
    auth: Option<&str>,
    channel_data: Option<&str>,
) -> Result<Option<Member>, Refusal> {
    let (app, name) = (conn.app.load(), channel.as_str());
    check_limits(conn, name)?;
    match channel.kind() {
        ChannelKind::Public => return Ok(None),
        ChannelKind::User => {
            let user = conn.user.borrow();
            let signed_in = user.as_ref().map(|user| &*user.member.id) == channel.user_id();
            let text = "Sign in as this user before subscribing to the user's channel.";
            return if signed_in { Ok(None) } else { Err(Refusal::auth(text)) };
        }
        ChannelKind::Private | ChannelKind::Encrypted | ChannelKind::Presence => {}
    }
    let socket_id = conn.socket_id.as_text();
    let auth = auth.ok_or_else(|| {
        Refusal::auth("This channel needs a signature: `auth` is missing from the subscription.")
    })?;
    if !app.trusts_all() {
        app.verified(|secret| {
            auth::verify_channel(secret, &app.key, &socket_id, name, channel_data, auth)
        })
        .map_err(|error| why_not(error, &socket_id, name, channel_data, auth))?;
    }
    conn.proven.set(true);
    if channel.kind() != ChannelKind::Presence {
        return Ok(None);
    }
    let Some(channel_data) = channel_data else {
        let user = conn.user.borrow();
        return user.as_deref().map(|user| Some(user.member.clone())).ok_or_else(|| {
            Refusal::auth(format!(
                "{name} is a presence channel and the subscription must include channel_data, unless the user has signed in"
            ))
        });
    };
    member_of(&app, channel_data).map(Some)
}

fn check_limits(conn: &Conn, name: &str) -> Result<(), Refusal> {
    let app = conn.app.load();
    let limits = &app.limits;
    let (len, max) = (name.len(), limits.max_channel_name as usize);
    if len > max {
        let text = format!(
            "The channel name has {len} characters; the limit is {max} (max_channel_name)."
        );
        return Err(Refusal::limit(ErrorCode::UNAUTHORIZED, text));
    }
    let (len, max) = (conn.subs.borrow().len(), limits.max_channels_per_connection as usize);
    if len >= max {
        let text = format!(
            "This connection has {len} subscriptions already; the limit is {max} (max_channels_per_connection)."
        );
        return Err(Refusal::limit(ErrorCode::OVER_CAPACITY, text));
    }
    Ok(())
}

fn why_not(
    error: ChannelAuthError,
    socket_id: &str,
    name: &str,
    channel_data: Option<&str>,
    auth: &str,
) -> Refusal {
    let auth: String = auth.chars().take(200).collect();
    // What came in place of a signature may be one for something else, or even a secret.
    let (message, noted) = match error {
        ChannelAuthError::Mismatch => {
            let data = if channel_data.is_some() { ":CHANNEL_DATA" } else { "" };
            let noted = format!(
                "Invalid signature: expected the HMAC SHA256 hex digest of {socket_id}:{name}{data}"
            );
            (format!("{noted}, but got {auth}"), noted)
        }
        _ => (
            format!("Invalid key in subscription auth data: '{auth}' (expected APP_KEY:SIGNATURE)"),
            "Invalid key in subscription auth data (expected APP_KEY:SIGNATURE)".into(),
        ),
    };
    Refusal { noted: Some(noted.into()), ..Refusal::auth(message) }
}

/// The member that a signed `channel_data` describes.
fn member_of(app: &crate::App, channel_data: &str) -> Result<Member, Refusal> {
    let limits = &app.limits;
    let (len, max) = (channel_data.len(), limits.max_presence_user_bytes as usize);
    if len > max {
        let text =
            format!("channel_data has {len} bytes; the limit is {max} (max_presence_user_bytes).");
        return Err(Refusal::limit(ErrorCode::CLIENT_EVENT_REJECTED, text));
    }
    let data = PresenceData::parse(channel_data)
        .map_err(|error| Refusal::auth(format!("channel_data is not usable: {error}")))?;
    let id = String::from_iter(data.user_id.chars());
    let (len, max) = (id.chars().count(), limits.max_user_id as usize);
    if len > max {
        let text = format!("user_id has {len} characters; the limit is {max} (max_user_id).");
        return Err(Refusal::limit(ErrorCode::CLIENT_EVENT_REJECTED, text));
    }
    Ok(Member { id: id.into(), info: data.user_info.map(|info| info.text().into()) })
}

/// Tells a socket that its subscription is in force, and what comes `then`.
pub(crate) fn acknowledge(
    shard: &Rc<Shard>,
    conn: &Rc<Conn>,
    channel: &[u8],
    frame: Option<&Bytes>,
    then: Option<&Bytes>,
) {
    tracing::debug!(target: STEPS, socket_id = %conn.socket_id, channel = %shown(channel), "subscribed");
    let name = std::str::from_utf8(channel).unwrap_or_default();
    let plain = |tx: &mut TxBuf<'_>| pusher::encode_subscription_succeeded(tx, name);
    let sent = match (frame, then) {
        (_, Some(then)) => {
            conn.queue(frame.cloned().unwrap_or_else(|| dialect::frame(512, plain)));
            conn.queue(then.clone());
            conn.write_queued()
        }
        (Some(frame), None) => conn.send_shared(frame),
        (None, None) => {
            let mut memory = [0; 512];
            let mut tx = TxBuf::new(&mut memory);
            match plain(&mut tx) {
                Ok(()) => conn.send(tx.written()),
                Err(_) => send_frame(conn, plain),
            }
        }
    };
    shard.resolve(conn, sent);
}

/// Tells a socket that a presence channel has no room.
pub(crate) fn presence_full(shard: &Rc<Shard>, conn: &Rc<Conn>, channel: &[u8], max_members: u32) {
    let name = std::str::from_utf8(channel).unwrap_or_default();
    let text = format!(
        "{name} has {max_members} members already; the limit is {max_members} (max_presence_members)."
    );
    refuse(shard, conn, name, &Refusal::limit(ErrorCode::OVER_CAPACITY, text));
}

fn refuse(shard: &Rc<Shard>, conn: &Rc<Conn>, channel: &str, refusal: &Refusal) {
    let Refusal { kind, status, message, noted } = refusal;
    let text = noted.as_ref().unwrap_or(message);
    tracing::debug!(target: STEPS, socket_id = %conn.socket_id, channel, reason = %text, "subscription refused");
    let refused = Refused::new(RefusalKind::Subscription, *status, text);
    shard.hub.refused(Some(&conn.app.load()), Refused { channel: Some(channel), ..refused });
    let sent = send_frame(conn, |tx| {
        pusher::encode_subscription_error(tx, channel, *kind, message, *status)
    });
    shard.resolve(conn, sent);
}

/// Refuses what concerns no channel: tells the socket and notes it.
pub(super) fn error(
    shard: &Rc<Shard>,
    conn: &Rc<Conn>,
    kind: RefusalKind,
    code: Option<ErrorCode>,
    message: &str,
) {
    let refused = Refused::new(kind, code.map_or(0, ErrorCode::as_u16), message);
    shard.hub.refused(Some(&conn.app.load()), refused);
    tell_error(shard, conn, code, message);
}

/// Tells a socket what is wrong.
pub(super) fn tell_error(
    shard: &Rc<Shard>,
    conn: &Rc<Conn>,
    code: Option<ErrorCode>,
    message: &str,
) {
    tracing::debug!(target: STEPS, socket_id = %conn.socket_id, reason = message, "request refused");
    let sent = send_frame(conn, |tx| pusher::encode_error(tx, code, &message));
    shard.resolve(conn, sent);
}

pub(super) fn send_frame(
    conn: &Rc<Conn>,
    encode: impl Fn(&mut TxBuf<'_>) -> Result<(), TxFull>,
) -> Sent {
    conn.send_shared(&dialect::frame(512, encode))
}

type EventRefusal = (Option<ErrorCode>, Cow<'static, str>);

fn client_event(
    shard: &Rc<Shard>,
    conn: &Rc<Conn>,
    channel: ChannelName<'_>,
    event: &str,
    data: ClientData<'_>,
    now: Instant,
) -> Result<(), EventRefusal> {
    let app = conn.app.load();
    let rejected = |text: String| Err((Some(ErrorCode::CLIENT_EVENT_REJECTED), Cow::Owned(text)));
    let name = channel.as_str();
    if !app.client_events {
        return rejected(
            "The app does not have client events enabled: set `client_events` for it.".into(),
        );
    }
    if !channel.kind().takes_client_events() {
        return Err((None, format!(
            "Client event rejected: only private and presence channels take client events, and {name} is neither"
        ).into()));
    }
    let key = key(shard, conn, name);
    let Some(user_id) = shard.local.borrow().subscription(conn, key) else {
        let text = format!("Client event rejected: this connection is not subscribed to {name}");
        return Err((None, text.into()));
    };
    let (len, max) = (event.chars().count(), app.limits.max_event_name as usize);
    if len > max {
        return rejected(format!(
            "The event name has {len} characters; the limit is {max} (max_event_name)."
        ));
    }
    let (len, max) = (data.unescaped_len(), app.limits.max_event_bytes as usize);
    if len > max {
        return rejected(format!(
            "The event's data has {len} bytes; the limit is {max} (max_event_bytes)."
        ));
    }
    if let Some(per_second) = app.max_client_events_per_second
        && !conn.allow_client_event(now.as_millis(), per_second)
    {
        return rejected(format!(
            "Client event rejected due to rate limit: more than {per_second} in a second on one connection (max_client_events_per_second)."
        ));
    }
    let data = escaped(data);
    let app = key.app;
    let socket_id = conn.socket_id;
    shard.hub.notify(Notice::ClientEvent {
        app,
        channel: key.name,
        event,
        data: &data,
        socket_id,
        user_id: user_id.as_deref(),
    });
    let entry = Entry {
        channel: Bytes::copy_from_slice(key.name),
        event: Bytes::copy_from_slice(event.as_bytes()),
        data,
        except: Some(socket_id),
        user_id,
        source: Source::Client,
        stamp: None,
        accepted: std::time::Instant::now(),
    };
    shard.publish(app, key.hash, entry);
    Ok(())
}

/// The data as the inside of a JSON string literal.
fn escaped(data: ClientData<'_>) -> Bytes {
    let value = match data.relayed() {
        EventData::Json(value) => value,
        EventData::Escaped(text) => return Bytes::copy_from_slice(text.as_str().as_bytes()),
        _ => return Bytes::new(), // a client's data has no other form
    };
    let mut memory = vec![0; json::compact_escaped_len(value)];
    let written = json::compact_escape_into(&mut TxBuf::new(&mut memory), value);
    debug_assert!(written.is_ok(), "the length was asked for");
    Bytes::from(memory)
}
