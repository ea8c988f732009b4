//! Who is signed in and who watches whom.
//!
//! A user has a home shard, found by the hash of the id, as a channel has: it counts the user's sockets over all
//! shards and knows who watches them. Only apps with watchlists send mail here.

use super::home::Outgoing;
use super::mail::{ConnRef, Mail};
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
    sockets: u32,
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
                if self.sockets > 0 { (id, Vec::new()) } else { (Vec::new(), id) };
            let watched = Watched { conns, online, offline, first: false };
            out.push((shard, Mail::Watched(Box::new(watched))));
        }
    }

    fn is_unknown(&self) -> bool {
        self.sockets == 0 && self.watchers.is_empty()
    }
}

/// The users at home on one shard who are signed in or watched.
#[derive(Default)]
pub(crate) struct Users {
    by_id: HashMap<(u32, Box<str>), User>,
}

impl Users {
    pub(crate) fn receive(&mut self, mail: UserMail, out: &mut Outgoing) {
        match mail {
            UserMail::Online { app, user_id } => {
                let user = self.by_id.entry((app, user_id.clone())).or_default();
                user.sockets += 1;
                if user.sockets == 1 {
                    user.tell(&user_id, out);
                }
            }
            UserMail::Offline { app, user_id } => {
                let key = (app, user_id);
                let Some(user) = self.by_id.get_mut(&key) else { return };
                user.sockets = user.sockets.saturating_sub(1);
                if user.sockets == 0 {
                    user.tell(&key.1, out);
                    self.forget(&key);
                }
            }
            UserMail::Watch { app, conn, user_ids } => {
                let mut watched =
                    Watched { conns: vec![conn], online: vec![], offline: vec![], first: true };
                for id in user_ids {
                    let user = self.by_id.entry((app, id.clone())).or_default();
                    user.watchers.insert(conn);
                    let list =
                        if user.sockets > 0 { &mut watched.online } else { &mut watched.offline };
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
        users.receive(mail, &mut out);
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
