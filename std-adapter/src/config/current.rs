//! The configuration in force, which can change while the server runs.

use super::ServerConfig;
use arc_swap::{ArcSwap, Guard};
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

/// The configuration in force. Clones show the same one, and who reads it never waits.
///
/// What is read is for a short while: who waits for something reads again afterwards.
#[derive(Clone)]
pub(crate) struct CurrentConfig(Arc<Inner>);

struct Inner {
    now: ArcSwap<ServerConfig>,
    /// Told after each change.
    changes: watch::Sender<()>,
}

impl CurrentConfig {
    pub(crate) fn new(config: ServerConfig) -> Self {
        let now = ArcSwap::from_pointee(config);
        Self(Arc::new(Inner { now, changes: watch::Sender::default() }))
    }

    /// As it is now.
    pub(crate) fn now(&self) -> Guard<Arc<ServerConfig>> {
        self.0.now.load()
    }

    /// Puts another one in force.
    pub(crate) fn set(&self, config: ServerConfig) {
        self.0.now.store(Arc::new(config));
        self.0.changes.send_replace(());
    }

    /// Tells of changes from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.0.changes.subscribe()
    }
}

impl fmt::Debug for CurrentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CurrentConfig").field(&*self.now()).finish()
    }
}
