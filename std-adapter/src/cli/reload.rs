//! `SIGHUP`: the configuration is read again, and what can change while the server runs does.

use crate::app::{AppChanges, Apps};
use crate::config::{AppList, Compare as _, ConfigChanges, ConfigError, ServerOptions};
use crate::directory::Found;
use crate::server::ServerHandle;

use super::logging::{self, Log};
use super::serve::{self, Sources};

/// Options of the program, beside those of the server itself, that take effect at once.
const NOW: &[&str] = &["apps", "defaults", "log", "log_format"];

/// Those that wait for the next start.
const START: &[&str] = &["apps_url", "apps_table", "apps_refresh", "apps_token", "otlp_endpoint"];

/// The option that sets a field of the server's configuration.
fn option_of(field: &'static str) -> &'static str {
    if field == "soketi_answers" { "compat" } else { field }
}

/// What is needed to read the configuration again.
#[derive(Debug)]
pub(super) struct Reload {
    pub(super) sources: Sources,
    /// The options that the program has started with.
    pub(super) started: ServerOptions,
    /// Those that were read last.
    pub(super) options: ServerOptions,
    /// The apps as the configuration has them.
    pub(super) list: AppList,
    /// What was found last where more apps are kept, if they are.
    pub(super) found: Option<Found>,
    pub(super) log: Log,
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
        // All that can fail comes first.
        let settings = self.sources.load()?;
        let levels = serve::levels(&settings, self.dev)?;
        let format = logging::format(settings.log_format.as_deref())?;
        let prepared = server.prepare(&settings.server)?;
        let apps = server.replace_apps(&self.apps(&settings.apps)?)?;
        let ConfigChanges { in_force, waiting } = prepared.apply();
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        let changed = |since: &ServerOptions, names: &'static [&'static str]| {
            let compared = since.compared(&settings.options).into_iter();
            compared
                .filter_map(move |(name, same)| (!same && names.contains(&name)).then_some(name))
        };
        for name in in_force.into_iter().map(option_of).chain(changed(&self.options, NOW)) {
            tracing::info!("option `{name}` has changed: it is in force now");
        }
        for name in waiting.into_iter().chain(changed(&self.started, START)) {
            tracing::warn!("option `{name}` has changed: it takes effect at the next start");
        }
        self.list = settings.apps;
        self.options = settings.options;
        // Whoever waits for the line finds all of it done.
        self.log.set(&levels, format);
        tell(&apps, "configuration read again");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServerConfig;

    #[test]
    fn every_option_takes_effect_at_once_or_at_the_next_start() {
        let now = ServerConfig::NOW.iter().chain(ServerConfig::FILES).map(|field| option_of(field));
        let mut now: Vec<_> = now.chain(NOW.iter().copied()).collect();
        let mut start: Vec<_> = ServerConfig::START.iter().chain(START).copied().collect();
        let mut sorted = [&now[..], &start].concat();
        sorted.sort_unstable();
        let mut all = ServerOptions::NAMES.to_vec();
        all.sort_unstable();
        assert_eq!(sorted, all, "each in one class");
        // The table of options says the same.
        let text = include_str!("../../README.md");
        let (_, text) = text.split_once("## Options of the server").unwrap();
        let (text, _) = text.split_once("## Options of an app").unwrap();
        let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
        let rows = rows.map(|row| (row.split('`').next().unwrap(), row.contains("| start |")));
        let (mut later, mut live): (Vec<_>, Vec<_>) = rows.partition(|(_, later)| *later);
        later.sort_unstable();
        live.sort_unstable();
        start.sort_unstable();
        now.sort_unstable();
        assert_eq!(later.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), start);
        assert_eq!(live.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), now);
    }
}
