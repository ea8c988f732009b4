//! `tidings serve`.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tracing_subscriber::filter::Targets;

use super::reload::{self, Reload};
use super::{EXIT_USAGE, banner, fail, kept, logging, print};
use crate::config::{AppOptions, ConfigError, ServerOptions, Settings, read_environment};
use crate::server::listener::check_certificates;
use crate::server::{Server, ServerHandle, StartError};

/// The command's long help. Each option says the rest.
const ABOUT: &str = r#"Start the server

Without any option it listens on 127.0.0.1:6001 and serves the development app (id app-id, key
app-key, secret app-secret), which only this machine can reach.

Each option can also be set in the environment (--max-body-bytes is TIDINGS_MAX_BODY_BYTES) and in
a TOML file (max_body_bytes). Flags beat the environment, which beats the file. Several apps, and
options of one app alone, are for the file:

  [[apps]]
  id = "1"
  key = "shop-key"
  secret = "a long random text"
  client_events = true"#;

/// The arguments of `serve`.
#[derive(Debug, clap::Args)]
#[command(about = "Start the server", long_about = ABOUT)]
pub(super) struct Args {
    /// TOML file with options and apps, or a JSON file of Soketi
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    config: Option<PathBuf>,
    /// For tests of your own app, on this machine only: takes any key, logs each step, goes wrong on demand
    #[arg(long, help_heading = "Server")]
    dev: bool,
    #[command(flatten)]
    server: ServerOptions,
    #[command(flatten)]
    app: AppOptions,
}

/// The arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(about = "Check a configuration file, and say what `serve` would do with it")]
pub(super) struct CheckArgs {
    /// TOML file with options and apps, or a JSON file of Soketi
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Reads a file as `serve` does, with the environment of this moment, and starts nothing.
pub(super) fn check(args: CheckArgs) -> ExitCode {
    let none = (ServerOptions::default(), AppOptions::default());
    let settings = match load(Some(args.file), none) {
        Ok(loaded) => loaded,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    if let Err(error) = levels(&settings, false) {
        return fail(EXIT_USAGE, &error);
    }
    if let Err(error) = logging::format(settings.log_format.as_deref()) {
        return fail(EXIT_USAGE, &error);
    }
    if let Err(error) = check_certificates(&settings.server) {
        return fail(EXIT_USAGE, &error);
    }
    let mut text = String::new();
    for warning in &settings.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    let server = &settings.server;
    let apps = match settings.apps.apps() {
        Ok(apps) => apps,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    let tells = |on: bool, what: &'static str| if on { what } else { "" };
    // Where apps are kept elsewhere, none here is no development app.
    let shown = settings.directory.is_none() || !apps.is_development();
    for app in apps.iter().filter(|_| shown) {
        text.push_str(&format!(
            "app {}: key {}{}{}\n",
            app.id,
            app.key,
            tells(!app.enabled, ", disabled"),
            tells(apps.is_development(), ", the development app, for loopback addresses only"),
        ));
    }
    if let Some(directory) = &settings.directory {
        text.push_str(&format!("more apps at {}, which are not looked at\n", directory.url));
    }
    if let Some(url) = &server.backplane {
        text.push_str(&format!("backplane {url}\n"));
    }
    let tls = match server.tls_port {
        Some(port) => format!(", TLS on port {port}"),
        None => tells(server.has_certificates(), " with TLS").to_owned(),
    };
    text.push_str(&format!("good: serves on {} port {}{tls}", server.host, server.port));
    print(&text)
}

/// Where the settings come from: all but the environment, which does not change.
#[derive(Debug)]
pub(super) struct Sources {
    config: Option<PathBuf>,
    flags: (ServerOptions, AppOptions),
}

impl Sources {
    /// The settings as they are now.
    pub(super) fn load(&self) -> Result<Settings, ConfigError> {
        load(self.config.clone(), self.flags.clone())
    }
}

#[cfg(feature = "otlp")]
use super::traces::Sender;

/// It does not exist.
#[cfg(not(feature = "otlp"))]
#[derive(Debug)]
enum Sender {}

#[cfg(not(feature = "otlp"))]
impl Sender {
    fn end(self) {
        match self {}
    }
}

/// The levels to log at.
pub(super) fn levels(settings: &Settings, dev: bool) -> Result<Targets, String> {
    let default = if dev { logging::DEV } else { logging::DEFAULT };
    logging::parse(settings.log.as_deref().unwrap_or(default))
}

/// What sends traces, if they are wanted.
#[cfg(feature = "otlp")]
fn traces(endpoint: Option<&str>) -> Result<Option<(Sender, logging::Traces)>, String> {
    endpoint.map(super::traces::start).transpose()
}

/// There is nothing to send traces with.
#[cfg(not(feature = "otlp"))]
fn traces(endpoint: Option<&str>) -> Result<Option<(Sender, logging::Traces)>, String> {
    match endpoint {
        None => Ok(None),
        Some(_) => Err("option `otlp_endpoint` is set, but this program was built without the feature `otlp`: build \
             it with `--features otlp`"
            .into()),
    }
}

/// Serves until a signal ends it.
pub(super) fn run(args: Args) -> ExitCode {
    let dev = args.dev;
    let sources = Sources { config: args.config, flags: (args.server, args.app) };
    let mut settings = match sources.load() {
        Ok(loaded) => loaded,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    let format = match logging::format(settings.log_format.as_deref()) {
        Ok(format) => format,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    let traces = match traces(settings.otlp_endpoint.as_deref()) {
        Ok(traces) => traces,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    let (traces, layer) = traces.unzip();
    let log = match levels(&settings, dev) {
        Ok(levels) => match logging::start(&levels, format, !dev, layer) {
            Ok(log) => log,
            Err(error) => return fail(1, &error),
        },
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    for warning in std::mem::take(&mut settings.warnings) {
        tracing::warn!("{warning}");
    }
    // A socket is a descriptor, and the usual limit of 1,024 would be the limit of connections.
    if let Err(error) = rlimit::increase_nofile_limit(rlimit::INFINITY) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    let reload = Reload {
        sources,
        started: settings.options.clone(),
        options: settings.options.clone(),
        list: settings.apps.clone(),
        directory: None,
        found: None,
        arrivals: Vec::new(),
        log,
        dev,
    };
    // One thread waits for signals; the server has threads of its own.
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(serve(settings, reload));
            if let Some(traces) = traces {
                traces.end();
            }
            code
        }
        Err(error) => fail(1, &error),
    }
}

pub(super) fn load(
    config: Option<PathBuf>,
    flags: (ServerOptions, AppOptions),
) -> Result<Settings, ConfigError> {
    let variables = std::env::vars_os();
    let unicode =
        variables.filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)));
    Settings::load(config, flags, read_environment(unicode)?)
}

/// The signals that the program knows.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one that asks for the end.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn serve(settings: Settings, mut reload: Reload) -> ExitCode {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return fail(1, &error),
    };
    let opened = match kept::open(settings.directory).await {
        Ok(opened) => opened,
        Err(error) => return fail(1, &error),
    };
    let directories = opened.as_ref().map(|(directory, _)| directory.subscribe());
    (reload.directory, reload.found) = opened.unzip();
    let apps = match reload.apps(&settings.apps) {
        Ok((apps, warnings)) => {
            reload::warn(&warnings);
            apps
        }
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    let (news, mut told) = mpsc::channel(16);
    let (dev, prefix) = (reload.dev, settings.server.path_prefix.clone());
    let unix = settings.server.listen_unix.clone();
    let server =
        Server::builder().config(settings.server).checked_apps(apps).listen_as_configured();
    let finder =
        directories.clone().and_then(|directories| kept::finder(directories, news.clone()));
    let server = match finder {
        Some(finder) => server.find_apps(finder),
        None => server,
    };
    let server = if dev { server.dev() } else { server }.start();
    let server = match server {
        Ok(server) => server,
        Err(StartError::DevelopmentAppExposed { address }) => {
            return fail(EXIT_USAGE, &exposed(address));
        }
        Err(error @ (StartError::DevModeExposed { .. } | StartError::Certificate(_))) => {
            return fail(EXIT_USAGE, &error);
        }
        Err(error) => return fail(1, &error),
    };
    // Whoever started it may have closed its end of the pipe, which is no reason not to serve.
    let banner = banner::text(server.apps(), &places(&server), unix.as_deref(), &prefix, dev);
    let _ = io::stdout().write_all(banner.as_bytes());

    if let Some(directories) = directories {
        tokio::spawn(kept::look(directories, news));
    }
    loop {
        tokio::select! {
            Some(news) = told.recv() => reload.take(news, &server),
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = signals.hang_up.recv() => reload.run(&server),
        }
    }
    shut_down(&server, signals).await
}

/// Where the server listens, and how it speaks there.
fn places(server: &ServerHandle) -> Vec<banner::Place> {
    let tls = server.tls_addresses();
    let place =
        |address: &SocketAddr| banner::Place { address: *address, tls: tls.contains(address) };
    server.addresses().iter().map(place).collect()
}

/// Why the development app is not served to other machines, and what to do.
fn exposed(address: SocketAddr) -> String {
    format!(
        "refusing to serve the development app on {address}, since everyone knows its secret: set \
         TIDINGS_APP_ID, TIDINGS_APP_KEY and TIDINGS_APP_SECRET (or [[apps]] in a file given by \
         --config), or listen on 127.0.0.1"
    )
}

/// Ends within the grace time; at once when asked again.
async fn shut_down(server: &ServerHandle, mut signals: Signals) -> ExitCode {
    tracing::info!("shutting down; a second signal ends at once");
    tokio::select! {
        () = server.shutdown() => ExitCode::SUCCESS,
        () = signals.end() => {
            tracing::warn!("ended at once");
            std::process::exit(1);
        }
    }
}
