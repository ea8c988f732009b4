//! Reading what a client sends.
//!
//! Members come in any order and unknown ones are ignored. `data` may be an object or a string that holds one.
//! Of a name that is there twice, the last counts, as in every client's own parser.

use core::ops::Range;

use super::config::ServerConfig;
use super::event::ServerEvent;
use super::fault::{About, Fault, Refusal};
use crate::channel::ChannelName;
use crate::json::{EscapedJson, JsonErrorKind, Kind, Raw};
use crate::pusher::ClientData;
use crate::pusher::fields::{Field, fields, text_at};

/// What a message asks for.
pub(super) enum Command<'i> {
    Event(ServerEvent<'i>),
    Ping,
    Pong,
}

enum Name {
    Client,
    Ping,
    Pong,
    SignIn,
    Subscribe,
    Unknown,
    Unsubscribe,
}

/// Reads a text message.
pub(super) fn read<'i>(
    config: &ServerConfig,
    payload: &'i mut [u8],
) -> Result<Command<'i>, Refusal<'i>> {
    let Ok(text) = core::str::from_utf8(payload) else {
        return Err(Fault::Json(JsonErrorKind::Utf8).into());
    };
    let [event, channel, data] = fields(text, ["event", "channel", "data"])
        .map_err(|error| Refusal::from(Fault::Json(error.kind)))?;
    let Some(event @ Field { kind: Kind::String, .. }) = event else {
        return Err(Fault::EventMissing.into());
    };
    let name = EscapedJson::from_validated(text.get(event.place.clone()).unwrap_or_default());
    let event = match classify(name) {
        Name::Ping => return Ok(Command::Ping),
        Name::Pong => return Ok(Command::Pong),
        Name::Client => client_event(config, payload, event, channel, data)?,
        Name::Subscribe => subscribe(config, payload, data)?,
        Name::Unsubscribe => unsubscribe(config, payload, data)?,
        Name::SignIn => sign_in(payload, data)?,
        Name::Unknown => {
            let place = event.unescape(payload).unwrap_or_default();
            let about = About::Event(text_at(payload, place));
            return Err(Refusal { fault: Fault::EventUnsupported, about });
        }
    };
    Ok(Command::Event(event))
}

fn classify(name: EscapedJson<'_>) -> Name {
    if name.unescaped_starts_with("client-") {
        return Name::Client;
    }
    for (text, kind) in [
        ("pusher:ping", Name::Ping),
        ("pusher:pong", Name::Pong),
        ("pusher:subscribe", Name::Subscribe),
        ("pusher:unsubscribe", Name::Unsubscribe),
        ("pusher:signin", Name::SignIn),
    ] {
        if name.unescaped_eq(text) {
            return kind;
        }
    }
    Name::Unknown
}

fn client_event<'i>(
    config: &ServerConfig,
    payload: &'i mut [u8],
    event: Field,
    channel: Option<Field>,
    data: Option<Field>,
) -> Result<ServerEvent<'i>, Refusal<'i>> {
    let event = event.unescape(payload).unwrap_or_default();
    let channel = channel
        .and_then(|channel| channel.unescape(payload))
        .ok_or_else(|| Refusal::from(Fault::ClientEventIncomplete))?;
    let payload: &'i [u8] = payload;
    let event = text_at(payload, event);
    let max = config.max_event_name;
    let len = event.chars().count();
    if len > usize::from(max) {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        return Err(Fault::EventTooLong { len, max }.into());
    }
    let channel = ChannelName::parse(text_at(payload, channel), config.max_channel_name)
        .map_err(|error| Refusal::from(Fault::ChannelName(error)))?;
    let data = match data {
        None => ClientData::Absent,
        Some(Field { kind: Kind::String, place }) => {
            ClientData::String(EscapedJson::from_validated(text_at(payload, place)))
        }
        Some(Field { place, .. }) => ClientData::Json(Raw::trusted(text_at(payload, place))),
    };
    Ok(ServerEvent::ClientEvent { channel, event, data })
}

fn subscribe<'i>(
    config: &ServerConfig,
    payload: &'i mut [u8],
    data: Option<Field>,
) -> Result<ServerEvent<'i>, Refusal<'i>> {
    let names = ["channel", "auth", "channel_data", "resume_from"];
    let [channel, auth, channel_data, resume_from] = body(payload, data, names)?;
    let channel = channel_of(payload, channel)?;
    let auth = Text::read(payload, auth);
    let channel_data = Text::read(payload, channel_data);
    let resume_from = Text::read(payload, resume_from);
    let payload: &'i [u8] = payload;
    let name = text_at(payload, channel);
    let refuse = |fault| Refusal { fault, about: About::Subscription(name) };
    let channel = ChannelName::parse(name, config.max_channel_name)
        .map_err(|error| refuse(Fault::ChannelName(error)))?;
    let resume_from = match resume_from {
        Text::None | Text::Other => None,
        Text::Some(serial) => Some(text_at(payload, serial)),
    };
    if !channel.needs_auth() {
        return Ok(ServerEvent::Subscribe { channel, auth: None, channel_data: None, resume_from });
    }
    let auth = match auth {
        Text::None => return Err(refuse(Fault::AuthMissing)),
        Text::Other => return Err(refuse(Fault::AuthShape)),
        Text::Some(auth) => text_at(payload, auth),
    };
    if auth.starts_with('{') || !auth.contains(':') {
        return Err(refuse(Fault::AuthShape));
    }
    let channel_data = match channel_data {
        Text::None => None,
        Text::Other => return Err(refuse(Fault::ChannelDataShape)),
        Text::Some(channel_data) => Some(text_at(payload, channel_data)),
    };
    Ok(ServerEvent::Subscribe { channel, auth: Some(auth), channel_data, resume_from })
}

fn unsubscribe<'i>(
    config: &ServerConfig,
    payload: &'i mut [u8],
    data: Option<Field>,
) -> Result<ServerEvent<'i>, Refusal<'i>> {
    let [channel] = body(payload, data, ["channel"])?;
    let channel = channel_of(payload, channel)?;
    match ChannelName::parse(text_at(payload, channel), config.max_channel_name) {
        Ok(channel) => Ok(ServerEvent::Unsubscribe { channel }),
        Err(error) => Err(Fault::ChannelName(error).into()),
    }
}

fn sign_in<'i>(payload: &'i mut [u8], data: Option<Field>) -> Result<ServerEvent<'i>, Refusal<'i>> {
    let [auth, user_data] = body(payload, data, ["auth", "user_data"])?;
    let Text::Some(auth) = Text::read(payload, auth) else {
        return Err(Fault::SignInAuthMissing.into());
    };
    let Text::Some(user_data) = Text::read(payload, user_data) else {
        return Err(Fault::SignInUserDataMissing.into());
    };
    let payload: &'i [u8] = payload;
    Ok(ServerEvent::SignIn { auth: text_at(payload, auth), user_data: text_at(payload, user_data) })
}

/// The members of `data`, which is an object or a string that holds one.
fn body<'i, const N: usize>(
    payload: &mut [u8],
    data: Option<Field>,
    names: [&str; N],
) -> Result<[Option<Field>; N], Refusal<'i>> {
    let place = match data {
        Some(data @ Field { kind: Kind::String, .. }) => data.unescape(payload),
        Some(Field { kind: Kind::Object, place }) => Some(place),
        Some(_) | None => None,
    };
    let place = place.ok_or_else(|| Refusal::from(Fault::DataMissing))?;
    let base = place.start;
    match fields(text_at(payload, place), names) {
        Ok(mut found) => {
            found.iter_mut().flatten().for_each(|field| field.offset(base));
            Ok(found)
        }
        Err(_) => Err(Fault::DataMissing.into()),
    }
}

fn channel_of<'i>(payload: &mut [u8], channel: Option<Field>) -> Result<Range<usize>, Refusal<'i>> {
    channel
        .and_then(|channel| channel.unescape(payload))
        .ok_or_else(|| Refusal::from(Fault::ChannelMissing))
}

/// A member that should be a text.
enum Text {
    /// It is missing, null or empty, all of which clients send to mean the same.
    None,
    /// It is something else.
    Other,
    /// It is a text, now unescaped.
    Some(Range<usize>),
}

impl Text {
    fn read(payload: &mut [u8], field: Option<Field>) -> Self {
        match field {
            None | Some(Field { kind: Kind::Null, .. }) => Self::None,
            Some(field) => match field.unescape(payload) {
                None => Self::Other,
                Some(place) if place.is_empty() => Self::None,
                Some(place) => Self::Some(place),
            },
        }
    }
}
