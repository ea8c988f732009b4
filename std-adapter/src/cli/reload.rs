//! What can change while the server runs: `SIGHUP` reads the configuration again, and apps that are kept elsewhere come
//! and go.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::app::{AppChanges, Apps};
use crate::config::{AppList, Compare as _, ConfigChanges, ConfigError, ServerOptions};
use crate::directory::{Directory, DirectoryConfig, DirectoryError, Found};
use crate::server::ServerHandle;

use super::kept::{Arrival, News};
use super::logging::{self, Log};
use super::serve::{self, Sources};

/// Options of the program, beside those of the server itself, that take effect at once.
const NOW: &[&str] = &["apps", "defaults", "log", "log_format"];

/// Those that take effect at once where more apps are kept before and after.
const DIRECTORY: &[&str] = &["apps_url", "apps_table", "apps_refresh", "apps_token"];

/// Those that wait for the next start.
const START: &[&str] = &["apps_lookups_per_second", "otlp_endpoint"];

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
    /// Where more apps are kept, if they are.
    pub(super) directory: Option<watch::Sender<Arc<Directory>>>,
    /// What was found there last.
    pub(super) found: Option<Found>,
    /// Apps that were looked up there since, which are not in `found` or differ from what is there.
    pub(super) arrivals: Vec<Arrival>,
    pub(super) log: Log,
    pub(super) dev: bool,
}

impl Reload {
    /// The apps that are to be served: those of the configuration and those that are kept elsewhere. What is left out of
    /// the latter comes with the reason.
    pub(super) fn apps(&self, list: &AppList) -> Result<(Apps, Vec<String>), ConfigError> {
        match self.elsewhere() {
            Some(found) => list.with(&found),
            None => list.apps().map(|apps| (apps, Vec::new())),
        }
    }

    /// The apps that are kept elsewhere, as far as is known.
    fn elsewhere(&self) -> Option<Cow<'_, Found>> {
        let arrivals = self.arrivals.iter().map(|arrival| &arrival.app);
        self.found.as_ref().map(|found| found.with(arrivals))
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
        let directory = self.open_other(settings.directory.as_ref())?;
        let prepared = server.prepare(&settings.server)?;
        let (apps, warnings) = self.apps(&settings.apps)?;
        let apps = server.replace_apps(&apps)?;
        let ConfigChanges { in_force, waiting } = prepared.apply();
        warn(&warnings);
        warn(&settings.warnings);
        let changed = |since: &ServerOptions, names: &'static [&'static str]| {
            let compared = since.compared(&settings.options).into_iter();
            compared
                .filter_map(move |(name, same)| (!same && names.contains(&name)).then_some(name))
        };
        let is_kept = self.directory.is_some() && settings.directory.is_some();
        let (now, later) = if is_kept { (DIRECTORY, &[][..]) } else { (&[][..], DIRECTORY) };
        let now = [NOW, now].into_iter().flat_map(|names| changed(&self.options, names));
        let later = [START, later].into_iter().flat_map(|names| changed(&self.started, names));
        for name in in_force.into_iter().map(option_of).chain(now) {
            tracing::info!("option `{name}` has changed: it is in force now");
        }
        for name in waiting.into_iter().chain(later) {
            tracing::warn!("option `{name}` has changed: it takes effect at the next start");
        }
        if let Some((directories, directory)) = self.directory.as_ref().zip(directory) {
            directories.send_replace(Arc::new(directory));
        }
        self.list = settings.apps;
        self.options = settings.options;
        // Whoever waits for the line finds all of it done.
        self.log.set(&levels, format);
        tell(&apps, "configuration read again");
        Ok(())
    }

    /// Opens the directory of a new configuration if it is another one; what is in it comes with the news.
    fn open_other(
        &self,
        config: Option<&DirectoryConfig>,
    ) -> Result<Option<Directory>, DirectoryError> {
        let Some((directories, config)) = self.directory.as_ref().zip(config) else {
            return Ok(None);
        };
        let is_same = directories.borrow().config() == config;
        if is_same { Ok(None) } else { Directory::open(config.clone()).map(Some) }
    }

    /// Takes in what has been learnt of the apps that are kept elsewhere.
    pub(super) fn take(&mut self, news: News, server: &ServerHandle) {
        match news {
            News::All { found, since } => self.all(found, since, server),
            News::One { arrival, done } => {
                self.one(*arrival, server);
                let _ = done.send(()); // nobody waits for it any more
            }
        }
    }

    /// Serves what is found now where more apps are kept.
    fn all(&mut self, found: Option<Found>, since: Instant, server: &ServerHandle) {
        // A list that was asked for before an app was looked up may not have it yet, and says nothing about it.
        let arrived = self.arrivals.len();
        self.arrivals.retain(|arrival| arrival.at > since);
        let is_settled = self.arrivals.len() < arrived;
        let found = found.filter(|found| self.found.as_ref() != Some(found));
        let is_new = found.is_some();
        self.found = found.or_else(|| self.found.take());
        if !is_new && !is_settled {
            return;
        }
        let replaced = self.apps(&self.list).map_err(|error| error.to_string());
        let replaced = replaced.and_then(|(apps, warnings)| {
            warn(if is_new { &warnings } else { &[] });
            server.replace_apps(&apps).map_err(|error| error.to_string())
        });
        match replaced {
            Ok(changes) if is_new || !changes.is_empty() => tell(&changes, "apps read again"),
            Ok(_) => {}
            Err(error) => tracing::error!("the apps stay as they were: {error}"),
        }
    }

    /// Serves an app that was looked up.
    fn one(&mut self, arrival: Arrival, server: &ServerHandle) {
        let put = self.list.one(&arrival.app).and_then(|app| {
            server.put_app(app).map_err(|error| format!("an app is left out: {error}"))
        });
        match put {
            Ok(changes) => {
                self.arrivals.retain(|earlier| earlier.app.id != arrival.app.id);
                self.arrivals.push(arrival);
                if !changes.is_empty() {
                    tell(&changes, "app looked up");
                }
            }
            Err(reason) => tracing::warn!("{reason}"),
        }
    }
}

/// Logs why apps are left out.
pub(super) fn warn(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!("{warning}");
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
        let mut now: Vec<_> = now.chain(NOW.iter().chain(DIRECTORY).copied()).collect();
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
