//! Signing in, and the users whom a signed-in socket watches.

use super::conn::Conn;
use super::policy::{error, send_frame, tell_error};
use crate::app::App;
use crate::server::STEPS;
use crate::server::dialect;
use crate::server::hub::mail::Member;
use crate::server::hub::{UserMail, Watched};
use crate::server::refusals::{RefusalKind, Refused};
use crate::server::shard::Shard;
use smallvec::SmallVec;
use std::rc::Rc;
use tidings_core::auth::{self, ChannelAuthError, UserData};
use tidings_core::json::{Kind, Raw};
use tidings_core::pusher::{self, ErrorCode};

/// The user that a socket is signed in as.
#[derive(Debug)]
pub(crate) struct SignedIn {
    pub(crate) member: Member,
    /// The users to be told of.
    watchlist: Box<[Box<str>]>,
    /// What is known of them until all of their homes have answered; then it is told at once.
    first: Option<Box<FirstState>>,
}

/// The state of a watchlist, put together from the answers of several shards.
#[derive(Debug)]
struct FirstState {
    missing: usize,
    online: Vec<Box<str>>,
    offline: Vec<Box<str>>,
}

impl FirstState {
    /// Takes an answer, or a change of what was answered before.
    fn take(&mut self, watched: &Watched) {
        if watched.first {
            self.missing = self.missing.saturating_sub(1);
        } else {
            let changed = watched.online.iter().chain(&watched.offline);
            self.online.retain(|id| !changed.clone().any(|other| other == id));
            self.offline.retain(|id| !changed.clone().any(|other| other == id));
        }
        self.online.extend(watched.online.iter().cloned());
        self.offline.extend(watched.offline.iter().cloned());
    }
}

/// A sign-in that is as it should be.
struct Accepted {
    member: Member,
    watchlist: Vec<Box<str>>,
    /// How many users the client wanted to watch.
    wanted: usize,
}

pub(super) fn sign_in(shard: &Rc<Shard>, conn: &Rc<Conn>, auth: &str, user_data: &str) {
    let app = conn.app.load();
    let accepted = check(conn, auth, user_data).and_then(|accepted| {
        let user = conn.user.borrow();
        match user.as_ref().map(|current| current.member.id == accepted.member.id) {
            Some(false) => Err("This connection is signed in as another user.".to_owned()),
            Some(true) => Ok(None),
            None => Ok(Some(accepted)),
        }
    });
    let accepted = match accepted {
        Ok(accepted) => accepted,
        // Who must prove itself and cannot is not let in.
        Err(text) if app.user_authentication && !conn.proven.get() => {
            let code = ErrorCode::UNAUTHORIZED;
            let refused = Refused::new(RefusalKind::SignIn, code.as_u16(), &text);
            shard.hub.refused(Some(&app), refused);
            return shard.close(conn, code, &text);
        }
        Err(text) => {
            let code = Some(ErrorCode::UNAUTHORIZED);
            return error(shard, conn, RefusalKind::SignIn, code, &text);
        }
    };
    conn.proven.set(true);
    let sent = send_frame(conn, |tx| pusher::encode_signin_success(tx, user_data));
    shard.resolve(conn, sent);
    if let Some(accepted) = accepted {
        begin(shard, conn, accepted);
    }
}

fn check(conn: &Conn, auth: &str, user_data: &str) -> Result<Accepted, String> {
    let app = conn.app.load();
    let socket_id = conn.socket_id.as_text();
    let verified =
        app.verified(|secret| auth::verify_user(secret, &app.key, &socket_id, user_data, auth));
    if let Err(error) = verified
        && !app.trusts_all()
    {
        return Err(match error {
            ChannelAuthError::Mismatch => format!(
                "Invalid signature: expected the HMAC SHA256 hex digest of {socket_id}::user::USER_DATA"
            ),
            _ => "Invalid key in sign-in auth data (expected APP_KEY:SIGNATURE)".into(),
        });
    }
    let data =
        UserData::parse(user_data).map_err(|error| format!("user_data is not usable: {error}"))?;
    let id = String::from_iter(data.id.chars());
    let (len, max) = (id.chars().count(), app.limits.max_user_id as usize);
    if len > max {
        return Err(format!("The user id has {len} characters; the limit is {max} (max_user_id)."));
    }
    let (watchlist, wanted) = watchlist(&app, data.watchlist)?;
    let info = data.user_info.map(|info| info.text().into());
    Ok(Accepted { member: Member { id: id.into(), info }, watchlist, wanted })
}

/// The users to watch, each once and as many as may be, and how many there would be.
fn watchlist(app: &App, list: Option<Raw<'_>>) -> Result<(Vec<Box<str>>, usize), String> {
    let Some(list) = list.filter(|_| app.watchlists) else { return Ok((Vec::new(), 0)) };
    let max = app.limits.max_watchlist as usize;
    let mut ids: Vec<Box<str>> = Vec::new();
    let mut wanted = 0;
    for id in list.elements() {
        let id: Box<str> = match (id.kind(), id.as_str_raw()) {
            (Kind::String, Some(text)) => String::from_iter(text.chars()).into(),
            (Kind::Number, _) => id.text().into(),
            _ => return Err("user_data is not usable: watchlist must hold user ids only".into()),
        };
        wanted += 1;
        if wanted <= max && !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok((ids, wanted))
}

fn begin(shard: &Rc<Shard>, conn: &Rc<Conn>, accepted: Accepted) {
    let Accepted { member, watchlist, wanted } = accepted;
    let app = conn.app.load();
    let limits = &app.limits;
    if wanted > limits.max_watchlist as usize {
        let max = limits.max_watchlist;
        let text = format!(
            "The watchlist has {wanted} users; the limit is {max} (max_watchlist), so only the first {max} are watched."
        );
        tell_error(shard, conn, Some(ErrorCode::WATCHLIST_CUT), &text);
    }
    if !conn.core.borrow().is_open() {
        return; // it could not even take the answer
    }
    shard.local.borrow_mut().sign_in(conn, &member.id);
    tracing::debug!(target: STEPS, socket_id = %conn.socket_id, user_id = %member.id, "signed in");
    let user_id = member.id.clone();
    let homes = homes(shard, conn, &watchlist);
    let first = (!homes.is_empty()).then(|| {
        Box::new(FirstState { missing: homes.len(), online: Vec::new(), offline: Vec::new() })
    });
    let user = SignedIn { member, watchlist: watchlist.into(), first };
    *conn.user.borrow_mut() = Some(Box::new(user));
    if conn.app.load().watchlists {
        let (app, home) = (conn.app.index, home(shard, conn, &user_id));
        shard.tell_user(home, UserMail::Online { app, user_id });
        for (home, user_ids) in homes {
            shard.tell_user(home, UserMail::Watch { app, conn: conn.at, user_ids });
        }
    }
}

/// Tells the homes concerned that a socket is not signed in any more.
pub(crate) fn signed_out(shard: &Rc<Shard>, conn: &Conn, user: SignedIn) {
    if !conn.app.load().watchlists {
        return;
    }
    let app = conn.app.index;
    let user_id = user.member.id;
    for (home, user_ids) in homes(shard, conn, &user.watchlist) {
        shard.tell_user(home, UserMail::Unwatch { app, conn: conn.at, user_ids });
    }
    shard.tell_user(home(shard, conn, &user_id), UserMail::Offline { app, user_id });
}

fn home(shard: &Shard, conn: &Conn, user_id: &str) -> u16 {
    shard.hub.home_of(shard.hub.hash(conn.app.index, user_id.as_bytes()))
}

/// Users by the shard that they are at home on.
fn homes(shard: &Shard, conn: &Conn, ids: &[Box<str>]) -> SmallVec<[(u16, Vec<Box<str>>); 4]> {
    let mut homes = SmallVec::<[(u16, Vec<Box<str>>); 4]>::new();
    for id in ids {
        let home = home(shard, conn, id);
        match homes.iter_mut().find(|(known, _)| *known == home) {
            Some((_, ids)) => ids.push(id.clone()),
            None => homes.push((home, vec![id.clone()])),
        }
    }
    homes
}

/// Tells sockets of the users that they watch.
pub(crate) fn watched(shard: &Rc<Shard>, watched: &Watched) {
    let frame = dialect::watchlist_events(&watched.online, &watched.offline);
    for at in &watched.conns {
        let conn = shard.local.borrow().conn(*at).cloned();
        let Some(conn) = conn else { continue };
        let frame = {
            let mut user = conn.user.borrow_mut();
            let Some(user) = user.as_mut() else { continue };
            match &mut user.first {
                None => frame.clone(),
                Some(state) => {
                    state.take(watched);
                    if state.missing > 0 {
                        continue;
                    }
                    let frame = dialect::watchlist_events(&state.online, &state.offline);
                    user.first = None;
                    frame
                }
            }
        };
        let sent = conn.send_shared(&frame);
        shard.resolve(&conn, sent);
    }
}
