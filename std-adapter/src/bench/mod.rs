//! `tidings bench`: load for any server that speaks the Pusher protocol, measured from the outside.
//!
//! Every run is bounded in time and connections, and stays on loopback unless the user says that the
//! server is theirs. Latency counts from the moment a message was due, on the one clock of sender and
//! receiver. The generator is one thread around epoll that allocates nothing for a delivery and looks
//! at no more of it than header and mark, so that it can follow a server on another core.

mod compare;
mod engine;
mod error;
mod handshake;
mod http;
mod load;
mod payload;
mod process;
mod progress;
mod publisher;
mod report;
mod scenario;
mod schedule;
mod server;
mod sign;
mod stats;
mod wire;

use std::process::ExitCode;

pub(crate) use self::scenario::BenchArgs;

/// Runs what was asked for, and prints the result on standard output or the reason on standard error.
pub(crate) fn run(args: &BenchArgs) -> ExitCode {
    match args.run() {
        Ok(result) => {
            print!("{result}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tidings bench: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
