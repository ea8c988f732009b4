//! The `tidings` program.

mod banner;
mod health;
mod kept;
mod logging;
#[cfg(feature = "sql")]
mod migrate;
mod publish;
mod reload;
mod serve;
mod sign;
mod subscribe;
mod target;
#[cfg(feature = "otlp")]
mod traces;
mod verify;

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The program's arguments.
#[derive(Debug, Parser)]
#[command(
    name = "tidings",
    version = env!("TIDINGS_VERSION"),
    about = "Realtime channel service: a drop-in for Pusher Channels and Soketi",
    arg_required_else_help = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put load on a Pusher-compatible server and measure it
    #[cfg(all(feature = "bench", target_os = "linux"))]
    Bench(Box<crate::bench::BenchArgs>),
    Check(serve::CheckArgs),
    Health(health::Args),
    #[cfg(feature = "sql")]
    Migrate(migrate::Args),
    Publish(Box<publish::Args>),
    Serve(Box<serve::Args>),
    Sign(Box<sign::Args>),
    Subscribe(Box<subscribe::Args>),
    Verify(Box<verify::Args>),
}

/// Runs the program on the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().command {
        #[cfg(all(feature = "bench", target_os = "linux"))]
        Command::Bench(args) => crate::bench::run(&args),
        Command::Check(args) => serve::check(args),
        Command::Health(args) => health::run(args),
        #[cfg(feature = "sql")]
        Command::Migrate(args) => migrate::run(args),
        Command::Publish(args) => publish::run(*args),
        Command::Serve(args) => serve::run(*args),
        Command::Sign(args) => sign::run(*args),
        Command::Subscribe(args) => subscribe::run(*args),
        Command::Verify(args) => verify::run(*args),
    }
}

/// The exit code when the arguments, the environment or the file are wrong; clap's too.
const EXIT_USAGE: u8 = 2;

/// Says in one line why the program ends.
fn fail(code: u8, error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("tidings: {error}");
    ExitCode::from(code)
}

/// Prints a line. That nobody reads it is no failure.
fn print(line: &str) -> ExitCode {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(1, &error),
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

/// An argument as bytes; `-` stands for standard input.
fn payload(argument: String) -> Result<Vec<u8>, String> {
    if argument != "-" {
        return Ok(argument.into_bytes());
    }
    let mut bytes = Vec::new();
    let read = io::stdin().read_to_end(&mut bytes);
    read.map(|_| bytes).map_err(|error| format!("standard input: {error}"))
}

/// A runtime for a command that talks to a server.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn fr_135_a_misspelt_flag_is_told_the_nearest() {
        let error = Cli::try_parse_from(["tidings", "serve", "--prot", "1"]).unwrap_err();
        assert!(error.to_string().contains("--port"), "{error}");
    }
}
