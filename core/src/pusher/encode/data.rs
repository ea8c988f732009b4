//! The payload of an event, in the forms that it arrives in.

use super::sink::Sink;
use crate::json::{EscapedJson, Raw, compact_len};

/// The payload of a channel event. On the wire it is always a JSON string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventData<'a> {
    /// The inside of the publisher's own string literal: relayed byte for byte, never read.
    Escaped(EscapedJson<'a>),
    /// A JSON value: its text, without white space, becomes the string.
    Json(Raw<'a>),
    /// Any text: it becomes the string as it is.
    Text(&'a str),
}

impl EventData<'_> {
    /// The length of the payload: of the text that the string means, in bytes of UTF-8.
    ///
    /// Limits on payloads count these bytes, not those of the frame.
    #[must_use]
    pub fn unescaped_len(&self) -> usize {
        match self {
            Self::Escaped(data) => data.unescaped_len(),
            Self::Json(value) => compact_len(*value),
            Self::Text(text) => text.len(),
        }
    }

    /// The inside of the string literal.
    pub(super) fn write(&self, out: &mut Sink<'_, '_>) {
        match self {
            Self::Escaped(data) => out.text(data.as_str()),
            Self::Json(value) => out.compact_escaped(*value),
            Self::Text(text) => out.escaped(text),
        }
    }
}

impl<'a> From<EscapedJson<'a>> for EventData<'a> {
    fn from(data: EscapedJson<'a>) -> Self {
        Self::Escaped(data)
    }
}

impl<'a> From<Raw<'a>> for EventData<'a> {
    fn from(value: Raw<'a>) -> Self {
        Self::Json(value)
    }
}

impl<'a> From<&'a str> for EventData<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

/// The payload of a client event, as the client sent it: any JSON value, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientData<'a> {
    /// There is no `data`. It is passed on as `{}`, since some clients cannot read an event without.
    Absent,
    /// A value that is no string; `null` is passed on as `null`.
    Json(Raw<'a>),
    /// A string, passed on byte for byte.
    String(EscapedJson<'a>),
}

impl<'a> ClientData<'a> {
    /// The form in which it is passed on.
    #[must_use]
    pub const fn relayed(self) -> EventData<'a> {
        match self {
            Self::Absent => EventData::Json(Raw::EMPTY_OBJECT),
            Self::Json(value) => EventData::Json(value),
            Self::String(data) => EventData::Escaped(data),
        }
    }

    /// The length of the payload that is passed on: see [`EventData::unescaped_len`].
    #[must_use]
    pub fn unescaped_len(self) -> usize {
        self.relayed().unescaped_len()
    }
}

impl<'a> From<ClientData<'a>> for EventData<'a> {
    fn from(data: ClientData<'a>) -> Self {
        data.relayed()
    }
}
