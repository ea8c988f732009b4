//! Why a configuration was refused.

use std::io;
use std::path::PathBuf;

use crate::app::AppError;

/// Why a configuration was refused. Each text is one line that says what to change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read the configuration file `{path}`: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read the secret in `{path}`: {source}")]
    SecretFile { path: PathBuf, source: io::Error },
    #[error("the file `{path}` holds no secret: write it there, or name another file")]
    SecretFileEmpty { path: PathBuf },
    #[error("`{option}` and `{option}_file` are both set: leave one out")]
    SecretTwice { option: &'static str },
    #[error("{path}:{line}:{column}: {message}")]
    File { path: PathBuf, line: usize, column: usize, message: String },
    #[error("{path}: `{key}`: {message}")]
    Key { path: PathBuf, key: String, message: String },
    #[error("environment variable {name}: {message}")]
    Environment { name: String, message: String },
    #[error("option `{name}` is {value}: {rule}")]
    Option { name: &'static str, value: String, rule: &'static str },
    #[error("{path}:{line}: {error}")]
    InFile { path: PathBuf, line: usize, error: Box<Self> },
    #[error(
        "app number {number} of the file has no {field}: add `{field} = \"…\"` under its [[apps]]"
    )]
    AppIncomplete { number: usize, field: &'static str },
    #[error("[defaults] cannot hold `{field}`: it belongs to one app, under [[apps]]")]
    DefaultsNameApp { field: &'static str },
    #[error("the app `{id}` has no secret: set TIDINGS_APP_SECRET to a long random text")]
    NoSecret { id: String },
    #[error(transparent)]
    App(#[from] AppError),
}
