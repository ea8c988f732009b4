//! Why a run did not happen or ended early.

use std::io;
use std::net::SocketAddr;

use super::process::FileLimit;

/// Why there is no result, in words that say what to do next.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// The arguments ask for something that this command does not do.
    #[error("{0}")]
    Arguments(String),
    /// The run needs more open files than a process may have.
    #[error("{0}")]
    FileLimit(#[from] FileLimit),
    /// The connection was refused.
    #[error(
        "nothing listens on {0}\n  start a server first: `tidings serve` starts one with the development app on 127.0.0.1:6001\n  or name another with --host and --port"
    )]
    NothingListens(SocketAddr),
    /// The server answered, and said no.
    #[error("the server refused {what}: {text}")]
    Refused {
        /// What it was asked.
        what: &'static str,
        /// Its own words.
        text: String,
    },
    /// The server did not do its part in time, or ended.
    #[error("{0}")]
    Server(String),
    /// The system failed us.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl BenchError {
    /// The exit status of the program: 2 for arguments, as for every command, else 1.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Arguments(_) => 2,
            _ => 1,
        }
    }
}
