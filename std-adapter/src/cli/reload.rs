//! `SIGHUP`: the configuration is read again, and what can change while the server runs does.

use crate::config::{Compare as _, ServerOptions, Settings};
use crate::server::ServerHandle;

use super::logging::Levels;
use super::serve::{self, Sources};

/// What takes effect at once; the rest of the server's options waits for the next start.
const LIVE: &[&str] = &["apps", "defaults", "log"];

/// What is needed to read the configuration again.
#[derive(Debug)]
pub(super) struct Reload {
    pub(super) sources: Sources,
    /// The options that the server has started with.
    pub(super) options: ServerOptions,
    pub(super) levels: Levels,
    pub(super) dev: bool,
}

impl Reload {
    /// Reads the configuration again. A fault in it is logged, and everything stays as it was.
    pub(super) fn run(&self, server: &ServerHandle) {
        match self.sources.load() {
            Ok(settings) => self.take(&settings, server),
            Err(error) => {
                tracing::error!(
                    "the configuration is not read again, all stays as it was: {error}"
                );
            }
        }
    }

    fn take(&self, settings: &Settings, server: &ServerHandle) {
        let levels = match serve::levels(settings, self.dev) {
            Ok(levels) => levels,
            Err(error) => {
                tracing::error!(
                    "the configuration is not read again, all stays as it was: {error}"
                );
                return;
            }
        };
        let changes = match server.replace_apps(&settings.apps) {
            Ok(changes) => changes,
            Err(error) => {
                tracing::error!(
                    "the configuration is not read again, all stays as it was: {error}"
                );
                return;
            }
        };
        if let Err(error) = server.reload_certificates() {
            tracing::error!("the certificate in use stays: {error}");
        }
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        let compared = self.options.compared(&settings.options);
        for (name, _) in compared.iter().filter(|(name, same)| !same && !LIVE.contains(name)) {
            tracing::warn!("option `{name}` has changed: it takes effect at the next start");
        }
        let (added, changed, removed) = (changes.added, changes.changed, changes.removed);
        // Whoever waits for the line finds all of it done.
        self.levels.set(levels);
        tracing::info!(?added, ?changed, ?removed, "configuration read again");
    }
}
