//! Making a server.

use super::backplane::{self, Backplane};
use super::handle::{Doors, ServerHandle, Thread};
use super::hub::Hub;
use super::listener::{self, Bound, CertificateError, Gate, Listener, Secure};
use super::lookup::{self, AppFinder, Lookups};
use super::metrics;
use super::shard::Shard;
use super::webhook;
use crate::app::{App, AppError, Apps};
use crate::config::ServerConfig;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;
use tokio::task::LocalSet;

/// A realtime channel service. See [`Server::builder`].
#[derive(Debug)]
pub struct Server(());

impl Server {
    /// A builder with the default [`ServerConfig`], no app and no listener.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }
}

/// Collects what a server needs; [`start`](Self::start) makes it run.
#[derive(Debug, Default)]
#[must_use]
pub struct ServerBuilder {
    config: ServerConfig,
    apps: Vec<App>,
    checked: Option<Apps>,
    finder: Option<AppFinder>,
    listen: Vec<Listen>,
    dev: bool,
}

/// What to listen on.
#[derive(Debug)]
enum Listen {
    Address { address: String, tls: bool },
    Unix(PathBuf),
}

impl Listen {
    const fn is_tls(&self) -> bool {
        matches!(self, Self::Address { tls: true, .. })
    }
}

/// Why a server could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The apps contradict one another or lack something.
    #[error(transparent)]
    Apps(#[from] AppError),
    /// An address could not be listened on.
    #[error("cannot listen on {address}: {source}{}", hint(source))]
    Listen {
        /// The address as it was given.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The development app is for loopback addresses.
    #[error(
        "the development app (key `app-key`, secret `app-secret`) must not be served on {address}: configure an app of your own, or listen on 127.0.0.1"
    )]
    DevelopmentAppExposed {
        /// The address that is reachable from elsewhere.
        address: SocketAddr,
    },
    /// Dev mode is for loopback addresses.
    #[error(
        "dev mode must not be served on {address}, since it trusts everybody: listen on 127.0.0.1"
    )]
    DevModeExposed {
        /// The address that is reachable from elsewhere.
        address: SocketAddr,
    },
    /// A certificate cannot be used, or there is none for a listener that speaks TLS.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A thread or its runtime could not be made.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; stop what listens there, or choose another port",
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need a privilege, choose a higher one"
        }
        _ => "",
    }
}

impl ServerBuilder {
    /// Takes the place of the default configuration. Its host and port are used when
    /// [`listen`](Self::listen) names no address and [`listen_as_configured`](Self::listen_as_configured)
    /// asks for them.
    pub fn config(mut self, config: ServerConfig) -> Self {
        self.config = config;
        self
    }

    /// Adds an app.
    pub fn app(mut self, app: App) -> Self {
        self.apps.push(app);
        self
    }

    /// Adds several apps.
    pub fn apps(mut self, apps: impl IntoIterator<Item = App>) -> Self {
        self.apps.extend(apps);
        self
    }

    /// Serves the development app in place of others: key `app-key`, id `app-id`, secret `app-secret`,
    /// which everybody knows. Such a server starts on loopback addresses only.
    pub fn development_app(self) -> Self {
        self.checked_apps(Apps::development())
    }

    /// Takes apps that have been checked already, in place of those [added](Self::app) one by one.
    pub fn checked_apps(mut self, apps: Apps) -> Self {
        self.checked = Some(apps);
        self
    }

    /// Looks apps up that the server does not know when somebody names them, before they are refused. Such a server may
    /// start without any app.
    pub fn find_apps(mut self, finder: AppFinder) -> Self {
        self.finder = Some(finder);
        self
    }

    /// Turns on dev mode, for people who test their own application: any key is taken, each as an app that
    /// trusts every signature, and `POST /dev/faults` makes things go wrong. Such a server starts on
    /// loopback addresses only, and its [`service`](ServerHandle::service) answers nothing.
    pub fn dev(mut self) -> Self {
        self.dev = true;
        self
    }

    /// Adds an address to listen on, such as `127.0.0.1:6001` or `localhost:0`.
    ///
    /// Without one the server has no listener of its own: mount its
    /// [`service`](ServerHandle::service) instead.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen.push(Listen::Address { address: address.into(), tls: false });
        self
    }

    /// Adds an address to listen on where TLS is spoken, with the certificates of the configuration.
    pub fn listen_tls(mut self, address: impl Into<String>) -> Self {
        self.listen.push(Listen::Address { address: address.into(), tls: true });
        self
    }

    /// Adds a unix socket to listen on, at this path and with the permissions that the configuration states. A
    /// socket that nobody listens at any more is replaced; it goes when the server ends.
    pub fn listen_unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.listen.push(Listen::Unix(path.into()));
        self
    }

    /// Adds the addresses that the configuration made so far states: its host with its port, and with its port for
    /// TLS. Without the latter the port speaks TLS if there is a certificate.
    /// The unix socket, if there is one, comes besides.
    pub fn listen_as_configured(self) -> Self {
        let address = |port: u16| match &*self.config.host {
            host if host.contains(':') => format!("[{host}]:{port}"),
            host => format!("{host}:{port}"),
        };
        let (first, second) = (address(self.config.port), self.config.tls_port.map(address));
        let unix = self.config.listen_unix.clone();
        let listening = match second {
            Some(second) => self.listen(first).listen_tls(second),
            None if self.config.has_certificates() => self.listen_tls(first),
            None => self.listen(first),
        };
        match unix {
            Some(path) => listening.listen_unix(path),
            None => listening,
        }
    }

    /// Starts the server's threads. They run until [`shutdown`](ServerHandle::shutdown) or until the
    /// last handle is gone.
    ///
    /// # Errors
    /// [`StartError`] says what stands in the way; nothing is left running.
    pub fn start(mut self) -> Result<ServerHandle, StartError> {
        let apps = match self.checked.take() {
            Some(apps) => apps,
            None => Apps::new(std::mem::take(&mut self.apps))?,
        };
        let apps = if self.dev { apps.with_any_key() } else { apps };
        let (apps, finder) = match self.finder.take() {
            Some(finder) => {
                let (lookups, wanted) = Lookups::new(&finder);
                (apps.with_lookups(lookups), Some((finder, wanted)))
            }
            None => (apps, None),
        };
        let (listeners, mut doors) = self.bind(&apps)?;
        let secure = doors.secure.clone();
        let metrics = self.config.metrics.then(|| bind_metrics(&self.config)).transpose()?;
        let (backplane, outlet) = match &self.config.backplane {
            Some(url) => {
                let (backplane, outlet) = Backplane::new(url.is_ordered());
                (Some(backplane), Some((outlet, url.clone())))
            }
            None => (None, None),
        };
        let threads = self.config.threads;
        let (hub, mail, facts) = Hub::new(apps, self.config.clone(), threads, backplane);
        let mut listeners = Some(listeners);
        hub.meters().set_port(doors.addresses.first().map_or(0, SocketAddr::port));
        let mut threads = Vec::new();
        for (id, mail) in (0u16..).zip(mail) {
            // One thread accepts for all, so that sockets are shared out evenly.
            let listeners = listeners.take().unwrap_or_default();
            let secure = secure.clone().filter(|_| id == 0);
            let hub = hub.clone();
            let thread = Thread::spawn(format!("tidings-{id}"), move |runtime| {
                let begin = |shard: &std::rc::Rc<Shard>| {
                    let shard = || std::rc::Rc::clone(shard);
                    for listener in listeners {
                        tokio::task::spawn_local(listener::accept(shard(), listener));
                    }
                    if let Some(secure) = secure {
                        tokio::task::spawn_local(listener::watch(shard(), secure));
                    }
                };
                LocalSet::new().block_on(runtime, Shard::run(id, hub, mail, begin));
            });
            threads.push(thread.map_err(StartError::Thread)?);
        }
        if let Some((finder, wanted)) = finder {
            let hub = hub.clone();
            let thread = Thread::spawn("tidings-lookup".into(), move |runtime| {
                runtime.block_on(lookup::run(hub, finder, wanted));
            });
            threads.push(thread.map_err(StartError::Thread)?);
        }
        let webhooks = webhook::Sender::spawn(hub.clone(), facts).map_err(StartError::Thread)?;
        let runner = outlet.map(|(outlet, url)| backplane::Runner::spawn(hub.clone(), outlet, url));
        let runner = runner.transpose().map_err(StartError::Thread)?;
        let metrics = metrics.map(|bound| metrics::Listener::spawn(hub.clone(), bound));
        doors.metrics = metrics.transpose().map_err(StartError::Thread)?;
        Ok(ServerHandle::new(hub, doors, threads, webhooks, runner))
    }

    /// Takes all addresses that are listened on.
    fn bind(&self, apps: &Apps) -> Result<(Vec<Listener>, Doors), StartError> {
        let secure = match self.listen.iter().any(Listen::is_tls) {
            true => Some(Secure::load(&self.config)?),
            false => None,
        };
        let gate = Arc::new(Gate::default());
        let (mut listeners, mut doors) = (Vec::new(), Doors { secure, ..Doors::default() });
        for listen in &self.listen {
            let (address, tls) = match listen {
                Listen::Address { address, tls } => (address, *tls),
                Listen::Unix(path) => {
                    let bound = listener::bind_unix(path, self.config.listen_unix_mode);
                    let address = format!("unix:{}", path.display());
                    let bound = bound.map_err(|source| StartError::Listen { address, source })?;
                    listeners.push(Listener { bound, secure: None, gate: gate.clone() });
                    continue;
                }
            };
            for resolved in resolve(address)? {
                if self.dev && !resolved.ip().is_loopback() {
                    return Err(StartError::DevModeExposed { address: resolved });
                }
                if apps.is_development() && !resolved.ip().is_loopback() {
                    return Err(StartError::DevelopmentAppExposed { address: resolved });
                }
                let failed = |source| StartError::Listen { address: address.clone(), source };
                let bound = listener::bind(resolved, self.config.reuse_port).map_err(failed)?;
                let bound = Bound::Tcp(bound);
                let found = bound.address().map_err(failed)?;
                doors.addresses.extend(found);
                if tls {
                    doors.tls_addresses.extend(found);
                }
                let secure = doors.secure.clone().filter(|_| tls);
                listeners.push(Listener { bound, secure, gate: gate.clone() });
            }
        }
        Ok((listeners, doors))
    }
}

/// The listener that metrics are scraped from.
fn bind_metrics(config: &ServerConfig) -> Result<TcpListener, StartError> {
    let (host, port) = (&config.metrics_host, config.metrics_port);
    let address =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let resolved = resolve(&address)?;
    let bound = resolved.first().map(|first| listener::bind(*first, config.reuse_port));
    let none = || io::Error::from(io::ErrorKind::NotFound);
    let bound = bound.unwrap_or_else(|| Err(none()));
    bound.map_err(|source| StartError::Listen { address, source })
}

fn resolve(address: &str) -> Result<Vec<SocketAddr>, StartError> {
    let failed = |source| StartError::Listen { address: address.into(), source };
    let mut resolved: Vec<SocketAddr> = address.to_socket_addrs().map_err(failed)?.collect();
    // Port 0 would give each address of a name a port of its own.
    if resolved.iter().any(|a| a.port() == 0) {
        resolved.truncate(1);
    }
    if resolved.is_empty() {
        let source = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        return Err(StartError::Listen { address: address.into(), source });
    }
    Ok(resolved)
}
