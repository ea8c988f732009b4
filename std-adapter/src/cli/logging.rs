//! Log lines on standard error.

use std::{fmt, io};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layered, SubscriberExt as _};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer, Registry, reload};

use crate::server::TRACES;

/// What is logged when nothing is said.
pub(super) const DEFAULT: &str = "info";

/// The same in dev mode.
pub(super) const DEV: &str = "info,tidings::steps=debug";

/// A level (`debug`), or levels by module (`info,tidings=debug`).
///
/// # Errors
///
/// One line that names the option and what it takes.
pub(super) fn parse(text: &str) -> Result<Targets, String> {
    let wrong = || {
        format!(
            "option `log` is `{text}`: use error, warn, info, debug, trace or off, alone or by \
             module as in info,tidings=debug"
        )
    };
    // A word that is no level would be taken for a module, and silence all others.
    let is_level = |part: &str| !part.is_empty() && part.parse::<LevelFilter>().is_ok();
    let named = |part: &str| part.contains('=') || is_level(part);
    if !text.split(',').all(named) {
        return Err(wrong());
    }
    let levels: Targets = text.parse().map_err(|_| wrong())?;
    Ok(levels.with_target(TRACES, LevelFilter::OFF))
}

/// Lets the levels be changed later.
pub(super) struct Levels(reload::Handle<Targets, Base>);

impl fmt::Debug for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Levels").finish_non_exhaustive()
    }
}

/// What sends traces elsewhere.
pub(super) type Traces = Box<dyn Layer<Registry> + Send + Sync>;

/// What the log is a layer upon.
type Base = Layered<Option<Traces>, Registry>;

impl Levels {
    /// Logs at these levels from now on.
    pub(super) fn set(&self, levels: Targets) {
        let _ = self.0.reload(levels); // it fails only when there is no log any more
    }
}

/// How lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// For people.
    #[default]
    Text,
    /// An object a line, for programs.
    Json,
}

/// The format of this name.
///
/// # Errors
///
/// One line that names the option and what it takes.
pub(super) fn format(name: Option<&str>) -> Result<Format, String> {
    match name {
        None => Ok(Format::default()),
        Some("text") => Ok(Format::Text),
        Some("json") => Ok(Format::Json),
        Some(other) => Err(format!("option `log_format` is `{other}`: use text or json")),
    }
}

/// Begins to log; standard output stays free for what a person asked for.
pub(super) fn start(
    levels: Targets,
    format: Format,
    modules: bool,
    traces: Option<Traces>,
) -> Result<Levels, TryInitError> {
    let (levels, handle) = reload::Layer::new(levels);
    let registry = tracing_subscriber::registry().with(traces);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(modules);
    match format {
        Format::Text => {
            let colours = io::IsTerminal::is_terminal(&io::stderr());
            registry.with(lines.with_ansi(colours).with_filter(levels)).try_init()?;
        }
        Format::Json => {
            let lines = lines.with_ansi(false).json().flatten_event(true).with_span_list(false);
            registry.with(lines.with_filter(levels)).try_init()?;
        }
    }
    Ok(Levels(handle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_text_or_json() {
        assert_eq!(format(None), Ok(Format::Text));
        assert_eq!(format(Some("json")), Ok(Format::Json));
        assert!(format(Some("xml")).unwrap_err().contains("option `log_format` is `xml`"));
    }

    #[test]
    fn levels_are_words_alone_or_by_module() {
        for good in ["info", DEV, "DEBUG", "off", "info,tidings=debug", "tidings=trace"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["verbose", "", "info,verbose", "tidings=loud"] {
            assert!(parse(bad).unwrap_err().contains("option `log`"), "{bad}");
        }
    }
}
