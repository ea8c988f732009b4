//! What goes on in an app while its settings change.

use super::limits::Usage;
use super::rate::Rate;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts of an app on this server. All versions of the app share them.
#[derive(Debug, Default)]
pub(crate) struct Live {
    connections: AtomicU32,
    /// Connections to other nodes, as they told last.
    elsewhere: AtomicU32,
    pub(super) cached: Usage,
    pub(super) logged: Usage,
    pub(super) backend_events: Rate,
    pub(super) read_requests: Rate,
}

impl Live {
    /// Counts one more connection unless there are `quota` already, on all nodes together.
    pub(super) fn try_connect(&self, quota: u32) -> bool {
        let quota = quota.saturating_sub(self.elsewhere.load(Ordering::Relaxed));
        self.connections
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                (now < quota).then(|| now.saturating_add(1))
            })
            .is_ok()
    }

    pub(super) fn disconnect(&self) {
        let counted = self
            .connections
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| now.checked_sub(1));
        debug_assert!(counted.is_ok(), "disconnect without a connect");
    }

    pub(super) fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Notes how many connections the app has on other nodes.
    pub(crate) fn set_connections_elsewhere(&self, count: u32) {
        self.elsewhere.store(count, Ordering::Relaxed);
    }
}
