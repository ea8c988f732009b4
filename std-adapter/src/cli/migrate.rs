//! `tidings migrate`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{EXIT_USAGE, fail, print, runtime, serve};
use crate::config::{AppOptions, ServerOptions, Text};
use crate::directory::{self, DirectoryUrl};

/// The arguments of `migrate`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Create the table of apps in a database, or bring it up to date; what is in it stays"
)]
pub(super) struct Args {
    /// TOML file that names the database
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The database: `postgres://…`, `mysql://…` or `sqlite:FILE`; prefer `TIDINGS_APPS_URL` where it holds a password
    #[arg(long, value_name = "URL")]
    apps_url: Option<DirectoryUrl>,
    /// The table [default: apps]
    #[arg(long, value_name = "NAME")]
    apps_table: Option<Text>,
}

/// Makes the table.
pub(super) fn run(args: Args) -> ExitCode {
    let server = ServerOptions {
        apps_url: args.apps_url,
        apps_table: args.apps_table,
        ..ServerOptions::default()
    };
    let settings = match serve::load(args.config, (server, AppOptions::default())) {
        Ok(settings) => settings,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    let Some(config) = settings.directory else {
        return fail(EXIT_USAGE, &"there is no database: set --apps-url or TIDINGS_APPS_URL");
    };
    let migrated = match runtime() {
        Ok(runtime) => runtime.block_on(directory::migrate(&config)),
        Err(error) => return fail(1, &error),
    };
    match migrated {
        Ok(()) => print(&format!("the table `{}` at {} is up to date", config.table, config.url)),
        Err(error) => fail(1, &error),
    }
}
