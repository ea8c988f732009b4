//! Lists of users.

use super::{at, payload};
use crate::json::{Elements, EscapedJson, Limits, Members, Raw};
use crate::pusher::fields::Field;

/// Who is on a presence channel. Nothing is copied: each walk reads the text anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence<'i> {
    members: Raw<'i>,
    count: Option<u64>,
}

impl<'i> Presence<'i> {
    pub(super) fn read(text: &'i str) -> Option<Self> {
        let presence = Raw::parse_str(text, Limits::new()).ok()?.member("presence")?;
        // The list of ids is left aside: some servers write it as an object, and its ids are the names here.
        let members = presence.member("hash").unwrap_or(Raw::EMPTY_OBJECT);
        Some(Self { members, count: presence.member("count").and_then(Raw::as_u64) })
    }

    /// The users' ids, each with what is known of the user (`null` when nothing is).
    #[must_use]
    pub fn members(self) -> Members<'i> {
        self.members.members()
    }

    /// How many users there are, the subscriber included.
    #[must_use]
    pub fn count(self) -> u64 {
        self.count.unwrap_or_else(|| self.members().count() as u64)
    }
}

/// Which of the users that a user watches came and went. Nothing is copied: each walk reads the text anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watchlist<'i> {
    events: Raw<'i>,
}

impl<'i> Watchlist<'i> {
    pub(super) fn read(text: &'i mut [u8], data: &mut Option<Field>) -> Option<Self> {
        payload(text, data);
        let data = Raw::parse_str(at(text, data)?, Limits::new()).ok()?;
        Some(Self { events: data.member("events")? })
    }

    /// The users who came.
    #[must_use]
    pub fn online(self) -> UserIds<'i> {
        self.users("online")
    }

    /// The users who went.
    #[must_use]
    pub fn offline(self) -> UserIds<'i> {
        self.users("offline")
    }

    fn users(self, name: &'static str) -> UserIds<'i> {
        UserIds { name, events: self.events.elements(), ids: Raw::NULL.elements() }
    }
}

/// Users' ids in one list.
#[derive(Debug, Clone)]
pub struct UserIds<'i> {
    name: &'static str,
    events: Elements<'i>,
    ids: Elements<'i>,
}

impl<'i> Iterator for UserIds<'i> {
    type Item = EscapedJson<'i>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(id) = self.ids.find_map(Raw::as_str_raw) {
                return Some(id);
            }
            let event = self.events.next()?;
            let named = event.member("name").and_then(Raw::as_str_raw);
            if named.is_some_and(|name| name.unescaped_eq(self.name)) {
                self.ids = event.member("user_ids").unwrap_or(Raw::NULL).elements();
            }
        }
    }
}

impl core::iter::FusedIterator for UserIds<'_> {}
