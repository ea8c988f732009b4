//! The members of one presence channel.

use super::mail::Member;
use super::remote::NodeIndex;
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
    /// Sockets on this node.
    sockets: u32,
    /// Other nodes with sockets of the user.
    nodes: Vec<NodeIndex>,
}

impl Presence {
    fn is_gone(&self) -> bool {
        self.sockets == 0 && self.nodes.is_empty()
    }
}

/// What a join did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    /// The user was not there before.
    First,
    /// The user is there already, but has no other socket on this node.
    FirstHere,
    /// The user is there already, with another socket.
    Again,
    /// There is no room for another user.
    Full,
}

/// What a departure did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// The user has another socket on this node, or was not there.
    No,
    /// The user is gone from this node and there on another.
    Here,
    /// The user is gone.
    Wholly,
}

impl Members {
    pub(crate) fn enter(&mut self, member: Member, max_members: u32) -> Entered {
        if let Some(present) = self.by_id.get_mut(&member.id) {
            present.sockets = present.sockets.saturating_add(1);
            return if present.sockets == 1 { Entered::FirstHere } else { Entered::Again };
        }
        if self.by_id.len() >= max_members as usize {
            return Entered::Full;
        }
        self.by_id.insert(member.id, Presence { info: member.info, sockets: 1, nodes: Vec::new() });
        Entered::First
    }

    /// Takes one socket of a user away.
    pub(crate) fn leave(&mut self, user_id: &str) -> Left {
        let Some((at, _, present)) = self.by_id.get_full_mut(user_id) else { return Left::No };
        if present.sockets == 0 {
            return Left::No;
        }
        present.sockets -= 1;
        if present.sockets > 0 {
            return Left::No;
        }
        if !present.is_gone() {
            return Left::Here;
        }
        self.by_id.swap_remove_index(at);
        Left::Wholly
    }

    /// Notes that a user has sockets on another node; true when the user was not there before. The bound of a
    /// channel is kept by the node that lets a user in.
    pub(crate) fn enter_elsewhere(&mut self, member: Member, node: NodeIndex) -> bool {
        if let Some(present) = self.by_id.get_mut(&member.id) {
            if !present.nodes.contains(&node) {
                present.nodes.push(node);
            }
            return false;
        }
        self.by_id.insert(member.id, Presence { info: member.info, sockets: 0, nodes: vec![node] });
        true
    }

    /// Notes that a user has no socket on another node any more; true when the user is gone.
    pub(crate) fn leave_elsewhere(&mut self, user_id: &str, node: NodeIndex) -> bool {
        let Some((at, _, present)) = self.by_id.get_full_mut(user_id) else { return false };
        present.nodes.retain(|other| *other != node);
        if !present.is_gone() {
            return false;
        }
        self.by_id.swap_remove_index(at);
        true
    }

    /// The user as a member.
    pub(crate) fn member(&self, user_id: &str) -> Option<Member> {
        let (id, present) = self.by_id.get_key_value(user_id)?;
        Some(Member { id: id.clone(), info: present.info.clone() })
    }

    /// The members with sockets on this node.
    pub(crate) fn of_here(&self) -> impl Iterator<Item = Member> {
        let here = self.by_id.iter().filter(|(_, present)| present.sockets > 0);
        here.map(|(id, present)| Member { id: id.clone(), info: present.info.clone() })
    }

    /// How many members have sockets on this node.
    pub(crate) fn count_here(&self) -> usize {
        self.by_id.values().filter(|present| present.sockets > 0).count()
    }

    /// The users with sockets on another node.
    pub(crate) fn of_node(&self, node: NodeIndex) -> impl Iterator<Item = &str> {
        self.by_id.iter().filter(move |(_, p)| p.nodes.contains(&node)).map(|(id, _)| &**id)
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
        assert_eq!(members.leave("u"), Left::No);
        assert_eq!(members.leave("u"), Left::Wholly);
        assert_eq!(members.leave("u"), Left::No, "a user that left cannot leave again");
    }

    #[test]
    fn a_user_on_two_nodes_is_one_member_and_goes_with_the_last() {
        let mut members = Members::default();
        assert!(members.enter_elsewhere(member("u", "1"), 7));
        assert!(!members.enter_elsewhere(member("u", "1"), 8), "on a third node");
        assert_eq!(members.enter(member("u", "2"), 1), Entered::FirstHere);
        assert_eq!(members.leave("u"), Left::Here);
        assert_eq!(members.leave("u"), Left::No, "no socket is left on this node");
        assert!(!members.leave_elsewhere("u", 7));
        assert!(members.leave_elsewhere("u", 8));
        assert_eq!(members.len(), 0);
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
