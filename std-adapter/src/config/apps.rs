//! The apps of a run: those of file, environment and flags, and beside them those that are kept elsewhere.

use hashbrown::HashSet;

use super::error::ConfigError;
use super::options::AppOptions;
use super::value::{Bound, Text};
use crate::app::{App, AppLimits, Apps};
use crate::directory::Found;

/// The apps of file, environment and flags, and what holds for all apps.
#[derive(Debug, Clone)]
pub(crate) struct AppList {
    own: Vec<App>,
    /// What flags and environment say of every app.
    rules: AppOptions,
    /// What the file says of every app that does not say it itself.
    defaults: AppOptions,
}

impl AppList {
    /// Lays what is said of apps over each other.
    ///
    /// # Errors
    ///
    /// When an app is incomplete, or the apps contradict each other.
    pub(super) fn read(
        top: AppOptions,
        defaults: AppOptions,
        mut entries: Vec<AppOptions>,
    ) -> Result<Self, ConfigError> {
        for (field, set) in [
            ("id", defaults.id.is_some()),
            ("key", defaults.key.is_some()),
            ("secret", defaults.secret.is_some()),
            ("secret_file", defaults.secret_file.is_some()),
            ("previous_secret", defaults.previous_secret.is_some()),
            ("previous_secret_file", defaults.previous_secret_file.is_some()),
        ] {
            if set {
                return Err(ConfigError::DefaultsNameApp { field });
            }
        }
        for (index, entry) in entries.iter().enumerate() {
            // Flags and environment may complete the app that they name, and a lone app unnamed.
            let completed = completes(&top, entry, entries.len());
            for (field, set) in [
                ("id", entry.id.is_some()),
                ("key", entry.key.is_some() || (completed && top.key.is_some())),
                ("secret", entry.secret.is_some() || (completed && top.secret.is_some())),
            ] {
                if !set {
                    return Err(ConfigError::AppIncomplete { number: index + 1, field });
                }
            }
        }
        let names_app = top.id.is_some()
            || top.key.is_some()
            || top.secret.is_some()
            || top.previous_secret.is_some();
        let (identity, rules) = split(top);
        if names_app {
            let count = entries.len();
            match entries.iter_mut().find(|entry| completes(&identity, entry, count)) {
                Some(entry) => *entry = identity.or(std::mem::take(entry)),
                None => entries.insert(0, default_identity(identity)?),
            }
        }
        let mut list = Self { own: Vec::new(), rules, defaults };
        list.own = entries.into_iter().map(|entry| list.app(entry)).collect();
        list.apps()?;
        Ok(list)
    }

    /// An app with the rules that hold for all.
    fn app(&self, entry: AppOptions) -> App {
        let text =
            |text: &Option<Text>| text.as_ref().map(|text| text.0.clone()).unwrap_or_default();
        let secret = entry.secret.clone().map(|secret| secret.0).unwrap_or_default();
        let previous = entry.previous_secret.clone().map(|secret| secret.0).unwrap_or_default();
        let app = App::new(text(&entry.id), text(&entry.key), secret);
        let mut app = app.previous_secret(previous);
        apply(&mut app, &self.rules.clone().or(entry).or(self.defaults.clone()));
        app
    }

    /// These apps alone; the development app when there is none.
    ///
    /// # Errors
    ///
    /// When they contradict each other.
    pub(crate) fn apps(&self) -> Result<Apps, ConfigError> {
        if self.own.is_empty() {
            let mut app = App::development();
            apply(&mut app, &self.rules.clone().or(self.defaults.clone()));
            return Ok(Apps::development_with(app)?);
        }
        Ok(Apps::new(self.own.clone())?)
    }

    /// These apps and those that are kept elsewhere. One of those that is of no use, or has the id or the key of
    /// another, is left out, and is one of the warnings.
    ///
    /// # Errors
    ///
    /// None beside those of [`apps`](Self::apps).
    pub(crate) fn with(&self, found: &Found) -> Result<(Apps, Vec<String>), ConfigError> {
        let mut warnings = found.warnings.clone();
        let mut apps = self.own.clone();
        let mut ids: HashSet<Box<str>> = apps.iter().map(|app| app.id.clone()).collect();
        let mut keys: HashSet<Box<str>> = apps.iter().map(|app| app.key.clone()).collect();
        for entry in &found.apps {
            let app = self.app(entry.clone());
            let id = app.id.clone();
            if let Err(error) = Apps::new(vec![app.clone()]) {
                warnings.push(format!("the app `{id}` is left out: {error}"));
            } else if ids.contains(&id) {
                warnings.push(format!("the app `{id}` is left out: another has this id"));
            } else if keys.contains(&app.key) {
                warnings.push(format!("the app `{id}` is left out: another has its key"));
            } else {
                ids.insert(id);
                keys.insert(app.key.clone());
                apps.push(app);
            }
        }
        Ok((Apps::new(apps)?, warnings))
    }

    /// One more app that is kept elsewhere.
    ///
    /// # Errors
    ///
    /// A line that says why it is left out: it is of no use, or has the id or the key of one of these.
    pub(crate) fn one(&self, entry: &AppOptions) -> Result<App, String> {
        let app = self.app(entry.clone());
        let id = &app.id;
        if let Err(error) = Apps::new(vec![app.clone()]) {
            return Err(format!("the app `{id}` is left out: {error}"));
        }
        if self.own.iter().any(|own| own.id == app.id) {
            return Err(format!("the app `{id}` is left out: another has this id"));
        }
        if self.own.iter().any(|own| own.key == app.key) {
            return Err(format!("the app `{id}` is left out: another has its key"));
        }
        Ok(app)
    }
}

/// Whether the app of flags and environment is this app of the file.
fn completes(top: &AppOptions, entry: &AppOptions, count: usize) -> bool {
    match &top.id {
        Some(id) => entry.id.as_ref() == Some(id),
        None => {
            let has_own =
                top.key.is_some() || top.secret.is_some() || top.previous_secret.is_some();
            count == 1 && has_own
        }
    }
}

/// Options apart: id, key and secret, and all others.
fn split(options: AppOptions) -> (AppOptions, AppOptions) {
    let rules =
        AppOptions { id: None, key: None, secret: None, previous_secret: None, ..options.clone() };
    let AppOptions { id, key, secret, previous_secret, .. } = options;
    (AppOptions { id, key, secret, previous_secret, ..AppOptions::default() }, rules)
}

/// The app of flags and environment where no file knows it: id and key have Soketi's defaults.
fn default_identity(identity: AppOptions) -> Result<AppOptions, ConfigError> {
    let id = identity.id.unwrap_or_else(|| Text("app-id".to_owned()));
    if identity.secret.is_none() {
        return Err(ConfigError::NoSecret { id: id.0 });
    }
    let key = identity.key.unwrap_or_else(|| Text("app-key".to_owned()));
    Ok(AppOptions { id: Some(id), key: Some(key), ..identity })
}

/// Sets what the options set.
fn apply(app: &mut App, options: &AppOptions) {
    let default = &app.limits;
    app.limits = AppLimits {
        max_channel_name: options.max_channel_name.unwrap_or(default.max_channel_name),
        max_event_name: options.max_event_name.unwrap_or(default.max_event_name),
        max_event_bytes: options.max_event_bytes.unwrap_or(default.max_event_bytes),
        max_channels_per_event: options
            .max_channels_per_event
            .unwrap_or(default.max_channels_per_event),
        max_batch: options.max_batch.unwrap_or(default.max_batch),
        max_presence_members: options.max_presence_members.unwrap_or(default.max_presence_members),
        max_presence_user_bytes: options
            .max_presence_user_bytes
            .unwrap_or(default.max_presence_user_bytes),
        max_user_id: options.max_user_id.unwrap_or(default.max_user_id),
        max_watchlist: options.max_watchlist.unwrap_or(default.max_watchlist),
        max_channels_per_connection: options
            .max_channels_per_connection
            .unwrap_or(default.max_channels_per_connection),
        max_cached_events: options.max_cached_events.unwrap_or(default.max_cached_events),
        max_cached_bytes: options.max_cached_bytes.unwrap_or(default.max_cached_bytes),
    };
    if let Some(origins) = &options.allowed_origins {
        app.allowed_origins.clone_from(&origins.0);
    }
    app.enabled = options.enabled.unwrap_or(app.enabled);
    app.client_events = options.client_events.unwrap_or(app.client_events);
    app.user_authentication = options.user_authentication.unwrap_or(app.user_authentication);
    if let Some(webhooks) = &options.webhooks {
        app.webhooks.clone_from(&webhooks.0);
    }
    app.subscription_count = options.subscription_count.unwrap_or(app.subscription_count);
    app.watchlists = options.watchlists.unwrap_or(app.watchlists);
    let history = &mut app.history;
    history.max_events = options.history_events.unwrap_or(history.max_events);
    history.max_bytes = options.history_bytes.unwrap_or(history.max_bytes);
    history.max_age = options.history_age.map_or(history.max_age, |seconds| seconds.0);
    if let Some(Text(prefixes)) = &options.history_prefixes {
        let prefixes = prefixes.split(',').map(str::trim).filter(|prefix| !prefix.is_empty());
        history.prefixes = prefixes.map(Into::into).collect();
    }
    app.cache_ttl = options.cache_ttl.map_or(app.cache_ttl, |seconds| seconds.0);
    if let Some(Bound(bound)) = options.max_connections {
        app.max_connections = bound;
    }
    if let Some(Bound(bound)) = options.max_backend_events_per_second {
        app.max_backend_events_per_second = bound;
    }
    if let Some(Bound(bound)) = options.max_read_requests_per_second {
        app.max_read_requests_per_second = bound;
    }
    if let Some(Bound(bound)) = options.max_client_events_per_second {
        app.max_client_events_per_second = bound;
    }
}
