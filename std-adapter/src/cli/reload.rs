//! `SIGHUP`: the configuration is read again, and what can change while the server runs does.

use crate::app::{AppChanges, Apps};
use crate::config::{AppList, Compare as _, ConfigError, ServerOptions};
use crate::directory::Found;
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
    /// The apps as the configuration has them.
    pub(super) list: AppList,
    /// What was found last where more apps are kept, if they are.
    pub(super) found: Option<Found>,
    pub(super) levels: Levels,
    pub(super) dev: bool,
}

impl Reload {
    /// The apps that are to be served: those of the configuration and those that are kept elsewhere.
    pub(super) fn apps(&self, list: &AppList) -> Result<Apps, ConfigError> {
        let Some(found) = &self.found else { return list.apps() };
        let (apps, warnings) = list.with(found)?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        Ok(apps)
    }

    /// Reads the configuration again. A fault in it is logged, and everything stays as it was.
    pub(super) fn run(&mut self, server: &ServerHandle) {
        if let Err(error) = self.read_again(server) {
            tracing::error!("the configuration is not read again, all stays as it was: {error}");
        }
    }

    fn read_again(&mut self, server: &ServerHandle) -> Result<(), Box<dyn std::error::Error>> {
        let settings = self.sources.load()?;
        let levels = serve::levels(&settings, self.dev)?;
        let changes = server.replace_apps(&self.apps(&settings.apps)?)?;
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
        self.list = settings.apps;
        // Whoever waits for the line finds all of it done.
        self.levels.set(levels);
        tell(&changes, "configuration read again");
        Ok(())
    }

    /// Serves what is found now where more apps are kept.
    pub(super) fn found(&mut self, found: Found, server: &ServerHandle) {
        self.found = Some(found);
        let replaced = self.apps(&self.list).map_err(|error| error.to_string());
        let replaced =
            replaced.and_then(|apps| server.replace_apps(&apps).map_err(|error| error.to_string()));
        match replaced {
            Ok(changes) => tell(&changes, "apps read again"),
            Err(error) => tracing::error!("the apps stay as they were: {error}"),
        }
    }
}

/// Logs what has changed. A list may be long.
fn tell(changes: &AppChanges, what: &str) {
    const SHOWN: usize = 20;
    let shown = |ids: &[Box<str>]| format!("{:?}", ids.get(..SHOWN).unwrap_or(ids));
    let (added, changed, removed) = (&changes.added, &changes.changed, &changes.removed);
    tracing::info!(
        added = %shown(added),
        changed = %shown(changed),
        removed = %shown(removed),
        "{what}: {} added, {} changed, {} removed",
        added.len(),
        changed.len(),
        removed.len(),
    );
}
