//! Who is signed in and who watches whom.
//!
//! A user has a home shard, found by the hash of the id, as a channel has: it counts the user's sockets over all
//! shards and knows who watches them. Only apps with watchlists send mail here.

use super::home::Outgoing;
use super::mail::{ConnRef, Mail};
use super::remote::{NodeChange, NodeIndex};
use crate::server::backplane::Told;
use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;

/// Mail for the home of users.
#[derive(Debug)]
pub(crate) enum UserMail {
    /// A socket has signed in.
    Online { app: u32, user_id: Box<str> },
    /// A socket that was signed in has ended.
    Offline { app: u32, user_id: Box<str> },
    /// A socket wants to know about users who are all at home here.
    Watch { app: u32, conn: ConnRef, user_ids: Vec<Box<str>> },
    /// It does not want to know any more.
    Unwatch { app: u32, conn: ConnRef, user_ids: Vec<Box<str>> },
    /// Another node tells whether the user is there.
    Elsewhere { node: NodeIndex, app: u32, user_id: Box<str>, online: bool },
}

/// What sockets of one shard are told of the users they watch.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) conns: Vec<ConnRef>,
    pub(crate) online: Vec<Box<str>>,
    pub(crate) offline: Vec<Box<str>>,
    /// It is the answer to a [`UserMail::Watch`], and no change.
    pub(crate) first: bool,
}

#[derive(Default)]
struct User {
    /// Sockets on this node.
    sockets: u32,
    /// Other nodes where the user is, each with whether it has told so again.
    nodes: SmallVec<[(NodeIndex, bool); 2]>,
    watchers: HashSet<ConnRef>,
}

impl User {
    /// Tells all who watch.
    fn tell(&self, user_id: &str, out: &mut Outgoing) {
        let mut shards = SmallVec::<[(u16, Vec<ConnRef>); 4]>::new();
        for conn in &self.watchers {
            match shards.iter_mut().find(|(shard, _)| *shard == conn.shard) {
                Some((_, conns)) => conns.push(*conn),
                None => shards.push((conn.shard, vec![*conn])),
            }
        }
        for (shard, conns) in shards {
            let id = vec![Box::from(user_id)];
            let (online, offline) =
                if self.is_online() { (id, Vec::new()) } else { (Vec::new(), id) };
            let watched = Watched { conns, online, offline, first: false };
            out.push((shard, Mail::Watched(Box::new(watched))));
        }
    }

    fn is_online(&self) -> bool {
        self.sockets > 0 || !self.nodes.is_empty()
    }

    fn is_unknown(&self) -> bool {
        !self.is_online() && self.watchers.is_empty()
    }
}

/// The users at home on one shard who are signed in or watched.
#[derive(Default)]
pub(crate) struct Users {
    by_id: HashMap<(u32, Box<str>), User>,
}

impl Users {
    /// Does what the mail says. `tell` tells other nodes what is given to it.
    pub(crate) fn receive(
        &mut self,
        mail: UserMail,
        out: &mut Outgoing,
        tell: &dyn Fn(&dyn Fn() -> Told),
    ) {
        match mail {
            UserMail::Online { app, user_id } => {
                let user = self.by_id.entry((app, user_id.clone())).or_default();
                let was = user.is_online();
                user.sockets += 1;
                if user.sockets == 1 {
                    tell(&|| Told::User { app, user_id: user_id.clone(), online: true });
                }
                if !was {
                    user.tell(&user_id, out);
                }
            }
            UserMail::Offline { app, user_id } => {
                let key = (app, user_id);
                let Some(user) = self.by_id.get_mut(&key) else { return };
                if user.sockets == 0 {
                    return;
                }
                user.sockets -= 1;
                if user.sockets == 0 {
                    tell(&|| Told::User { app, user_id: key.1.clone(), online: false });
                }
                if !user.is_online() {
                    user.tell(&key.1, out);
                    self.forget(&key);
                }
            }
            UserMail::Elsewhere { node, app, user_id, online } => {
                self.elsewhere(node, (app, user_id), online, out);
            }
            UserMail::Watch { app, conn, user_ids } => {
                let mut watched =
                    Watched { conns: vec![conn], online: vec![], offline: vec![], first: true };
                for id in user_ids {
                    let user = self.by_id.entry((app, id.clone())).or_default();
                    user.watchers.insert(conn);
                    let list =
                        if user.is_online() { &mut watched.online } else { &mut watched.offline };
                    list.push(id);
                }
                out.push((conn.shard, Mail::Watched(Box::new(watched))));
            }
            UserMail::Unwatch { app, conn, user_ids } => {
                for id in user_ids {
                    let key = (app, id);
                    if let Some(user) = self.by_id.get_mut(&key) {
                        user.watchers.remove(&conn);
                        self.forget(&key);
                    }
                }
            }
        }
    }

    fn elsewhere(
        &mut self,
        node: NodeIndex,
        key: (u32, Box<str>),
        online: bool,
        out: &mut Outgoing,
    ) {
        if !online && !self.by_id.contains_key(&key) {
            return;
        }
        let user = self.by_id.entry(key.clone()).or_default();
        let was = user.is_online();
        user.nodes.retain(|(other, _)| *other != node);
        if online {
            user.nodes.push((node, true));
        }
        if was != user.is_online() {
            user.tell(&key.1, out);
        }
        self.forget(&key);
    }

    /// Goes on with all that a node has told, or ends it.
    pub(crate) fn change(&mut self, node: NodeIndex, change: NodeChange, out: &mut Outgoing) {
        if change == NodeChange::Begin {
            let claims = self.by_id.values_mut().flat_map(|user| &mut user.nodes);
            return claims.filter(|claim| claim.0 == node).for_each(|claim| claim.1 = false);
        }
        let gone = |user: &User| {
            let mut claims = user.nodes.iter();
            claims.any(|(n, told)| *n == node && (change == NodeChange::Gone || !told))
        };
        let users = self.by_id.iter().filter(|(_, user)| gone(user));
        let keys: Vec<_> = users.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.elsewhere(node, key, false, out);
        }
    }

    /// All that this node has to tell the others of the users at home here.
    pub(crate) fn state(&self) -> Vec<Told> {
        let here = self.by_id.iter().filter(|(_, user)| user.sockets > 0);
        let told = |((app, id), _): (&(u32, Box<str>), _)| Told::User {
            app: *app,
            user_id: id.clone(),
            online: true,
        };
        here.map(told).collect()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    fn forget(&mut self, key: &(u32, Box<str>)) {
        if self.by_id.get(key).is_some_and(User::is_unknown) {
            self.by_id.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn conn(shard: u16, slot: u32) -> ConnRef {
        ConnRef { shard, slot, serial: 1 }
    }

    /// What the mail says, as shard, whether first, online and offline.
    fn told(users: &mut Users, mail: UserMail) -> Vec<(u16, bool, usize, String, String)> {
        let mut out = Vec::new();
        users.receive(mail, &mut out, &|_| {});
        let text = |(shard, mail)| {
            let Mail::Watched(w) = mail else { panic!("other mail") };
            (shard, w.first, w.conns.len(), w.online.join(","), w.offline.join(","))
        };
        let mut told: Vec<_> = out.into_iter().map(text).collect();
        told.sort();
        told
    }

    fn online(id: &str) -> UserMail {
        UserMail::Online { app: 0, user_id: id.into() }
    }

    fn offline(id: &str) -> UserMail {
        UserMail::Offline { app: 0, user_id: id.into() }
    }

    #[test]
    fn a_user_with_several_sockets_comes_once_and_goes_with_the_last() {
        let mut users = Users::default();
        let user_ids = vec!["u".into()];
        let first = told(&mut users, UserMail::Watch { app: 0, conn: conn(0, 1), user_ids });
        assert_eq!(first, [(0, true, 1, String::new(), "u".into())]);
        let came = told(&mut users, online("u"));
        assert_eq!(came, [(0, false, 1, "u".into(), String::new())]);
        assert_eq!(told(&mut users, online("u")), []);
        assert_eq!(told(&mut users, offline("u")), []);
        let went = told(&mut users, offline("u"));
        assert_eq!(went, [(0, false, 1, String::new(), "u".into())]);
    }

    #[test]
    fn watchers_of_one_shard_are_told_by_one_piece_of_mail() {
        let mut users = Users::default();
        for at in [conn(0, 1), conn(0, 2), conn(1, 1)] {
            let watch = UserMail::Watch { app: 0, conn: at, user_ids: vec!["u".into()] };
            told(&mut users, watch);
        }
        let came = told(&mut users, online("u"));
        let of = |shard, conns| (shard, false, conns, "u".to_owned(), String::new());
        assert_eq!(came, [of(0, 2), of(1, 1)]);
    }

    #[test]
    fn nobody_is_remembered_who_is_neither_signed_in_nor_watched() {
        let mut users = Users::default();
        let user_ids = || vec!["u".into(), "v".into()];
        told(&mut users, UserMail::Watch { app: 0, conn: conn(0, 1), user_ids: user_ids() });
        told(&mut users, online("u"));
        told(&mut users, UserMail::Unwatch { app: 0, conn: conn(0, 1), user_ids: user_ids() });
        assert_eq!(told(&mut users, offline("u")), []);
        assert!(users.by_id.is_empty());
    }
}
