//! The members of one presence channel.

use super::mail::Member;
use indexmap::IndexMap;

/// Members by user id, each counted once however many sockets it has.
///
/// The `user_info` of a member's first socket holds until the member has left altogether, so that
/// snapshots, events and the HTTP API tell one story.
#[derive(Debug, Default)]
pub(crate) struct Members {
    by_id: IndexMap<Box<str>, Presence, hashbrown::DefaultHashBuilder>,
}

#[derive(Debug)]
struct Presence {
    info: Option<Box<str>>,
    sockets: u32,
}

/// What a join did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    /// The user was not there before.
    First,
    /// The user is there already, with another socket.
    Again,
    /// There is no room for another user.
    Full,
}

impl Members {
    pub(crate) fn enter(&mut self, member: Member, max_members: u32) -> Entered {
        if let Some(present) = self.by_id.get_mut(&member.id) {
            present.sockets = present.sockets.saturating_add(1);
            return Entered::Again;
        }
        if self.by_id.len() >= max_members as usize {
            return Entered::Full;
        }
        self.by_id.insert(member.id, Presence { info: member.info, sockets: 1 });
        Entered::First
    }

    /// Takes one socket of a user away; true when it was the last one.
    pub(crate) fn leave(&mut self, user_id: &str) -> bool {
        let Some((at, _, present)) = self.by_id.get_full_mut(user_id) else { return false };
        present.sockets = present.sockets.saturating_sub(1);
        if present.sockets > 0 {
            return false;
        }
        self.by_id.swap_remove_index(at);
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(|id| &**id)
    }

    /// Ids with their `user_info`.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> + Clone {
        self.by_id.iter().map(|(id, present)| (&**id, present.info.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, info: &str) -> Member {
        Member { id: id.into(), info: Some(info.into()) }
    }

    #[test]
    fn two_tabs_of_one_user_are_one_member() {
        let mut members = Members::default();
        assert_eq!(members.enter(member("u", "1"), 10), Entered::First);
        assert_eq!(members.enter(member("u", "2"), 10), Entered::Again);
        assert_eq!(members.len(), 1);
        assert!(!members.leave("u"));
        assert!(members.leave("u"));
        assert!(!members.leave("u"), "a user that left cannot leave again");
    }

    #[test]
    fn fr_071_the_first_info_holds_until_the_user_has_left() {
        let mut members = Members::default();
        members.enter(member("u", "first"), 10);
        members.enter(member("u", "second"), 10);
        assert_eq!(members.iter().next(), Some(("u", Some("first"))));
        members.leave("u");
        members.leave("u");
        members.enter(member("u", "third"), 10);
        assert_eq!(members.iter().next(), Some(("u", Some("third"))));
    }

    #[test]
    fn the_limit_counts_users_and_not_sockets() {
        let mut members = Members::default();
        assert_eq!(members.enter(member("a", "1"), 1), Entered::First);
        assert_eq!(members.enter(member("a", "1"), 1), Entered::Again);
        assert_eq!(members.enter(member("b", "1"), 1), Entered::Full);
    }
}
