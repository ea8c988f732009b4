//! What a shard does to sockets whose time has come.

use super::Shard;
use crate::server::refusals::RefusalKind;
use crate::server::socket::Conn;
use std::rc::Rc;
use tidings_core::io::TxBuf;
use tidings_core::pusher::ErrorCode;
use tidings_core::pusher::server::Timeout;
use tidings_core::time::{Duration, Instant};

impl Shard {
    /// Gives a new socket of an app that asks for it the time to prove itself.
    pub(crate) fn expect_proof(&self, conn: &Conn) {
        if conn.app.load().user_authentication {
            self.unproven.borrow_mut().push_back((self.now(), conn.at));
        }
    }

    pub(super) fn close_unproven(self: &Rc<Self>, now: Instant) {
        let time = self.hub.config().user_authentication_timeout;
        let span = Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let is_late = |came: Instant| came.saturating_add(span) <= now;
        while self.unproven.borrow().front().is_some_and(|(came, _)| is_late(*came)) {
            let next = self.unproven.borrow_mut().pop_front();
            let conn = next.and_then(|(_, at)| self.local.borrow().conn(at).cloned());
            let late = |conn: &Rc<Conn>| !conn.proven.get() && conn.core.borrow().is_open();
            if let Some(conn) = conn.filter(late) {
                let text = format!(
                    "Connection not authorized within timeout: sign in, or subscribe with a signature, within {time:?}"
                );
                self.close_refused(&conn, RefusalKind::Unproven, ErrorCode::UNAUTHORIZED, &text);
            }
        }
    }

    pub(super) fn time_out(self: &Rc<Self>, conn: &Rc<Conn>, now: Instant) {
        if conn.waiting() > 0 && now < conn.patience.get() {
            // The reason of the cut lies behind what the peer has not read yet.
            let next = now.saturating_add(Duration::from_secs(1));
            self.wheel.borrow_mut().insert(next, conn.at);
            return;
        }
        let mut memory = [0; 512];
        let mut tx = TxBuf::new(&mut memory);
        let timeout = conn.core.borrow_mut().handle_timeout(&conn.terms.protocol(), now, &mut tx);
        if !tx.is_empty() {
            let sent = conn.send(tx.written());
            self.resolve(conn, sent);
        }
        match timeout {
            Ok(Timeout::Drop) => {
                self.leave_all(conn);
                conn.abort();
            }
            Ok(Timeout::Closing) => {
                self.leave_all(conn);
                self.schedule(conn);
            }
            Ok(_) | Err(_) => self.schedule(conn),
        }
    }
}
