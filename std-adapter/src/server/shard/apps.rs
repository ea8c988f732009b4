//! Apps that change while the shard has sockets of them.

use super::Shard;
use crate::app::App;
use std::rc::Rc;
use tidings_core::pusher::ErrorCode;

impl Shard {
    /// Closes the sockets of an app that may not be used any more; forgets what was kept for one that is gone.
    pub(super) fn expel(self: &Rc<Self>, app: &App, removed: bool) {
        let conns: Vec<_> = self
            .local
            .borrow()
            .conns()
            .filter(|conn| conn.app.index == app.index())
            .cloned()
            .collect();
        let (code, text) = if removed {
            (ErrorCode::APP_UNKNOWN, format!("App key {} does not exist.", app.key))
        } else {
            (ErrorCode::APP_DISABLED, "The app is not enabled.".to_owned())
        };
        for conn in conns {
            self.close(&conn, code, &text);
        }
        if removed {
            self.home.borrow_mut().forget(app);
        }
    }
}
