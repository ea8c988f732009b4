//! What differs for those who come from Soketi: its defaults, and a few of its answers.

use std::time::Duration;

use super::error::ConfigError;
use super::options::{AppOptions, ServerOptions};
use super::value::{Bound, Seconds, Text};

/// What is said of it once.
pub(super) const NOTICE: &str = "Soketi's defaults and answers are in force, since its variables or its file are used; \
     TIDINGS_COMPAT=none turns them off, TIDINGS_COMPAT=soketi this line";

/// Whether Soketi's ways are wanted, and whether that is to be said, since it was not asked for.
///
/// # Errors
///
/// When the option has another value.
pub(super) fn wanted(
    set: Option<&Text>,
    comes_from_soketi: bool,
) -> Result<(bool, bool), ConfigError> {
    match set.map(|text| &*text.0) {
        None => Ok((comes_from_soketi, comes_from_soketi)),
        Some("soketi") => Ok((true, false)),
        Some("none") => Ok((false, false)),
        Some(other) => Err(ConfigError::Option {
            name: "compat",
            value: format!("`{other}`"),
            rule: "it is `soketi` or `none`",
        }),
    }
}

/// Soketi's defaults that differ from ours. The development app stays on this machine.
pub(super) fn server_defaults(has_own_app: bool) -> ServerOptions {
    ServerOptions {
        host: has_own_app.then(|| Text("0.0.0.0".to_owned())),
        // Ten events of a batch, each with the data below and many escapes.
        max_body_bytes: Some(8 * 1024 * 1024),
        shutdown_grace: Some(Seconds(Duration::from_secs(3))),
        ..ServerOptions::default()
    }
}

/// Soketi's defaults for an app that differ from ours.
pub(super) fn app_defaults() -> AppOptions {
    AppOptions {
        max_event_bytes: Some(100 * 1024),
        max_presence_user_bytes: Some(2 * 1024),
        max_client_events_per_second: Some(Bound(None)),
        cache_ttl: Some(Seconds(Duration::from_secs(3_600))),
        ..AppOptions::default()
    }
}
