//! What a publish request's body says: events, checked against the app's limits, their texts still
//! slices of the body.

use bytes::Bytes;
use hashbrown::HashSet;
use tidings_core::channel::ChannelName;
use tidings_core::io::TxBuf;
use tidings_core::json::{self, EscapedJson, JsonError, Kind, Limits, ObjectReader, Raw};
use tidings_core::pusher::SocketId;

use super::answer::Refusal;
use super::params::Info;
use super::route::excerpt;
use crate::app::AppLimits;

/// One event for one or more channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Publication {
    /// Each channel once, in the order of the request.
    pub(super) channels: Vec<Bytes>,
    /// The event's name.
    pub(super) event: Bytes,
    /// The inside of a JSON string literal.
    pub(super) data: Bytes,
    /// The socket that does not get it.
    pub(super) except: Option<SocketId>,
    /// What the answer is to tell about the channels.
    pub(super) info: Info,
}

/// Where in the body a fault is: at its top, or in the element of a batch.
#[derive(Debug, Clone, Copy)]
struct Place(Option<usize>);

impl Place {
    fn of(self, field: &str) -> String {
        match self.0 {
            None => format!("`{field}`"),
            Some(index) => format!("`batch[{index}].{field}`"),
        }
    }
}

/// Reads the body of `POST events`.
///
/// # Errors
///
/// 400 names the field, the value and the rule; 413 when the data is too large.
pub(super) fn one(body: &Bytes, limits: &AppLimits) -> Result<Publication, Refusal> {
    let reader = ObjectReader::new(utf8(body)?, Limits::new()).map_err(not_json)?;
    publication(body, reader, limits, Place(None))
}

/// Reads the body of `POST batch_events`: all of it is right, or nothing of it counts.
///
/// # Errors
///
/// As [`one`], and 400 when there is no batch or it is too long.
pub(super) fn batch(body: &Bytes, limits: &AppLimits) -> Result<Vec<Publication>, Refusal> {
    let mut batch = None;
    let mut reader = ObjectReader::new(utf8(body)?, Limits::new()).map_err(not_json)?;
    while let Some((name, value)) = reader.next_member().map_err(not_json)? {
        if name.unescaped_eq("batch") {
            batch = Some(value);
        }
    }
    let batch = batch.filter(|value| value.kind() == Kind::Array).ok_or_else(|| {
        Refusal::bad("`batch` is missing: send {\"batch\":[{\"channel\":…,\"name\":…,\"data\":…}]}")
    })?;
    let count = batch.elements().count();
    if count > limits.max_batch as usize {
        return Err(Refusal::bad(format!(
            "`batch` has {count} events, the limit is {} (max_batch): send several batches",
            limits.max_batch
        )));
    }
    let element = |(index, element): (usize, Raw<'_>)| {
        let reader = ObjectReader::new(element.text(), Limits::new()).map_err(|_| {
            Refusal::bad(format!("`batch[{index}]` is no object: each element is an event"))
        })?;
        publication(body, reader, limits, Place(Some(index)))
    };
    batch.elements().enumerate().map(element).collect()
}

fn utf8(body: &Bytes) -> Result<&str, Refusal> {
    if body.is_empty() {
        return Err(Refusal::bad("the body is empty: send a JSON object with the event"));
    }
    std::str::from_utf8(body).map_err(|error| {
        Refusal::bad(format!("the body is no UTF-8 at byte {}: send JSON", error.valid_up_to()))
    })
}

fn not_json(error: JsonError) -> Refusal {
    Refusal::bad(format!("the body is no JSON object ({error}): send one with the event"))
}

/// The members of an event that count.
#[derive(Default)]
struct Fields<'b> {
    name: Option<Raw<'b>>,
    data: Option<Raw<'b>>,
    channel: Option<Raw<'b>>,
    channels: Option<Raw<'b>>,
    socket_id: Option<Raw<'b>>,
    info: Option<Raw<'b>>,
}

impl<'b> Fields<'b> {
    fn read(mut reader: ObjectReader<'b>) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        while let Some((name, value)) = reader.next_member().map_err(not_json)? {
            let unescaped;
            let name = if name.is_plain() {
                name.as_str()
            } else {
                unescaped = name.chars().collect::<String>();
                &unescaped
            };
            let field = match name {
                "name" => &mut fields.name,
                "data" => &mut fields.data,
                "channel" => &mut fields.channel,
                "channels" => &mut fields.channels,
                "socket_id" => &mut fields.socket_id,
                "info" => &mut fields.info,
                _ => continue,
            };
            *field = Some(value);
        }
        Ok(fields)
    }
}

fn publication(
    body: &Bytes,
    reader: ObjectReader<'_>,
    limits: &AppLimits,
    place: Place,
) -> Result<Publication, Refusal> {
    let fields = Fields::read(reader)?;
    Ok(Publication {
        event: event_name(body, fields.name, limits, place)?,
        channels: channels(body, &fields, limits, place)?,
        data: data(body, fields.data, limits, place)?,
        except: socket_id(fields.socket_id, place)?,
        info: fields.info.map_or_else(|| Ok(Info::default()), Info::of_json)?,
    })
}

fn event_name(
    body: &Bytes,
    value: Option<Raw<'_>>,
    limits: &AppLimits,
    place: Place,
) -> Result<Bytes, Refusal> {
    let literal = value.and_then(Raw::as_str_raw).ok_or_else(|| {
        Refusal::bad(format!("{} is missing: add the event's name, a text", place.of("name")))
    })?;
    let name = unescaped(body, literal);
    let limit = limits.max_event_name as usize;
    if name.is_empty() {
        return Err(Refusal::bad(format!("{} is empty: name the event", place.of("name"))));
    }
    if name.len() > limit {
        let length = literal.chars().count();
        if length > limit {
            return Err(Refusal::bad(format!(
                "{} has {length} characters, the limit is {limit} (max_event_name): shorten it or \
                 raise the limit",
                place.of("name")
            )));
        }
    }
    Ok(name)
}

fn data(
    body: &Bytes,
    value: Option<Raw<'_>>,
    limits: &AppLimits,
    place: Place,
) -> Result<Bytes, Refusal> {
    let value = value.ok_or_else(|| {
        Refusal::bad(format!("{} is missing: add the event's data, a text", place.of("data")))
    })?;
    let limit = limits.max_event_bytes as usize;
    let literal = value.as_str_raw();
    let length = match literal {
        // Text with escapes is longer than what it means, so that most need no count.
        Some(literal) if literal.as_str().len() <= limit => 0,
        Some(literal) => literal.unescaped_len(),
        None => json::compact_len(value),
    };
    if length > limit {
        return Err(Refusal::too_large(format!(
            "{} has {length} bytes, the limit is {limit} (max_event_bytes): send less, send where \
             to fetch it, or raise the limit",
            place.of("data")
        )));
    }
    Ok(match literal {
        Some(literal) => body.slice_ref(literal.as_str().as_bytes()),
        None => encoded(value),
    })
}

/// A value that is no text, as the inside of a literal that holds its JSON text.
fn encoded(value: Raw<'_>) -> Bytes {
    let mut memory = vec![0; json::compact_escaped_len(value)];
    let written = json::compact_escape_into(&mut TxBuf::new(&mut memory), value);
    debug_assert!(written.is_ok(), "compact_escaped_len told the length");
    memory.into()
}

fn channels(
    body: &Bytes,
    fields: &Fields<'_>,
    limits: &AppLimits,
    place: Place,
) -> Result<Vec<Bytes>, Refusal> {
    let set = |value: &Option<Raw<'_>>| value.is_some_and(|value| !value.is_null());
    if !set(&fields.channels)
        && let Some(one) = fields.channel.filter(|value| !value.is_null())
    {
        return Ok(vec![channel(body, one, limits, || place.of("channel"))?]);
    }
    let list = fields.channels.filter(|value| value.kind() == Kind::Array).ok_or_else(|| {
        Refusal::bad(format!(
            "{} is missing: add an array of channel names, or one name as `channel`",
            place.of("channels")
        ))
    })?;
    let count = list.elements().count();
    if count == 0 {
        let field = place.of("channels");
        return Err(Refusal::bad(format!("{field} is empty: name at least one channel")));
    }
    if count > limits.max_channels_per_event as usize {
        return Err(Refusal::bad(format!(
            "{} names {count} channels, the limit is {} (max_channels_per_event): publish to them \
             in several requests",
            place.of("channels"),
            limits.max_channels_per_event
        )));
    }
    let mut channels = Vec::with_capacity(count);
    for (index, name) in list.elements().enumerate() {
        let field = || place.of(&format!("channels[{index}]"));
        channels.push(channel(body, name, limits, field)?);
    }
    if count > 1 {
        let mut seen = HashSet::<Bytes>::default();
        channels.retain(|name| seen.insert(name.clone()));
    }
    Ok(channels)
}

fn channel(
    body: &Bytes,
    value: Raw<'_>,
    limits: &AppLimits,
    field: impl Fn() -> String,
) -> Result<Bytes, Refusal> {
    let literal = value
        .as_str_raw()
        .ok_or_else(|| Refusal::bad(format!("{} must be a channel's name, a text", field())))?;
    let name = unescaped(body, literal);
    let text = std::str::from_utf8(&name).unwrap_or_default();
    channel_name(text, limits, field)?;
    Ok(name)
}

/// Checks a channel's name; `field` names it in the message.
pub(super) fn channel_name<'n>(
    name: &'n str,
    limits: &AppLimits,
    field: impl FnOnce() -> String,
) -> Result<ChannelName<'n>, Refusal> {
    let limit = u16::try_from(limits.max_channel_name).unwrap_or(u16::MAX);
    ChannelName::parse(name, limit)
        .map_err(|error| Refusal::bad(format!("{} is {}: {error}", field(), excerpt(name))))
}

fn socket_id(value: Option<Raw<'_>>, place: Place) -> Result<Option<SocketId>, Refusal> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let wrong = || {
        let field = place.of("socket_id");
        let shown = excerpt(value.text());
        Refusal::bad(format!(
            "{field} is {shown}: send the client's socket id, two numbers as in \"123.456\", or \
             leave it out"
        ))
    };
    let literal = value.as_str_raw().ok_or_else(wrong)?;
    // Frameworks send an empty text when the page had no socket.
    if literal.as_str().is_empty() {
        return Ok(None);
    }
    SocketId::parse(literal.as_str()).map(Some).map_err(|_| wrong())
}

/// What a literal means: a slice of the body where it has no escapes.
fn unescaped(body: &Bytes, literal: EscapedJson<'_>) -> Bytes {
    if literal.is_plain() {
        return body.slice_ref(literal.as_str().as_bytes());
    }
    let mut text = literal.as_str().as_bytes().to_vec();
    let length = json::unescape(&mut text).map_or(0, str::len);
    text.truncate(length);
    text.into()
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
