//! Log lines on standard error.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::Layer as Lines;
use tracing_subscriber::fmt::format::{DefaultFields, Format as Lined};
use tracing_subscriber::layer::SubscriberExt as _;
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

/// Lets levels and format be changed later.
pub(super) struct Log {
    text: SetLevels,
    json: SetLevels,
}

/// Sets the levels of the layer of one format.
type SetLevels = Box<dyn Fn(Targets)>;

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

/// What sends traces elsewhere.
pub(super) type Traces = Box<dyn Layer<Registry> + Send + Sync>;

impl Log {
    /// Logs at these levels and in this format from now on.
    pub(super) fn set(&self, levels: &Targets, format: Format) {
        (self.text)(levels_of(Format::Text, levels, format));
        (self.json)(levels_of(Format::Json, levels, format));
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
///
/// There is a layer for each format, and one of them is silent: a layer that is there from the start can be woken.
pub(super) fn start(
    levels: &Targets,
    format: Format,
    modules: bool,
    traces: Option<Traces>,
) -> Result<Log, TryInitError> {
    let (text_levels, text) = reload::Layer::new(levels_of(Format::Text, levels, format));
    let (json_levels, json) = reload::Layer::new(levels_of(Format::Json, levels, format));
    let colours = io::IsTerminal::is_terminal(&io::stderr());
    let objects = lines(modules).with_ansi(false).json().flatten_event(true).with_span_list(false);
    tracing_subscriber::registry()
        .with(traces)
        .with(lines(modules).with_ansi(colours).with_filter(text_levels))
        .with(objects.with_filter(json_levels))
        .try_init()?;
    // It fails only when there is no log any more.
    Ok(Log {
        text: Box::new(move |levels| drop(text.reload(levels))),
        json: Box::new(move |levels| drop(json.reload(levels))),
    })
}

/// Lines on standard error, for a layer upon any other.
fn lines<S>(modules: bool) -> Lines<S, DefaultFields, Lined, fn() -> io::Stderr> {
    let writer: fn() -> io::Stderr = io::stderr;
    tracing_subscriber::fmt::layer().with_writer(writer).with_target(modules)
}

/// What the layer of a format writes when `format` is wanted.
fn levels_of(layer: Format, levels: &Targets, format: Format) -> Targets {
    if layer == format { levels.clone() } else { Targets::new() }
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
