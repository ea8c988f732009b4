//! The configuration of a server.

#[cfg(feature = "cli")]
mod apps;
mod certificate;
mod changes;
#[cfg(feature = "cli")]
mod compat;
mod current;
#[cfg(feature = "cli")]
mod env;
#[cfg(feature = "cli")]
mod error;
#[cfg(feature = "cli")]
mod file;
#[cfg(feature = "cli")]
mod nearest;
mod network;
#[cfg(feature = "cli")]
mod options;
pub(crate) mod origin;
mod password;
#[cfg(feature = "cli")]
mod secret_file;
#[cfg(feature = "cli")]
mod settings;
#[cfg(feature = "cli")]
mod soketi_adapter;
#[cfg(feature = "cli")]
mod soketi_apps;
#[cfg(feature = "cli")]
mod soketi_file;
#[cfg(feature = "cli")]
mod soketi_variables;
#[cfg(feature = "cli")]
mod value;
#[cfg(feature = "cli")]
mod webhooks;

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::server::BackplaneUrl;

pub use certificate::Certificate;
pub use changes::ConfigChanges;
pub(crate) use current::CurrentConfig;
pub use network::{Network, NetworkError};
pub use origin::{Origin, OriginError};

#[cfg(feature = "cli")]
pub(crate) use apps::AppList;
#[cfg(feature = "cli")]
pub(crate) use env::{read as read_environment, read_app};
#[cfg(feature = "cli")]
pub(crate) use error::ConfigError;
#[cfg(feature = "cli")]
pub(crate) use options::{AppOptions, Compare, ServerOptions};
pub use password::Password;
#[cfg(feature = "cli")]
pub(crate) use settings::Settings;
#[cfg(all(feature = "cli", test))]
pub(crate) use value::Bound;
#[cfg(feature = "cli")]
pub(crate) use value::SecretText;
#[cfg(feature = "sql")]
pub(crate) use value::Text;

/// Everything about a server that is not about one app.
///
/// Start from the default and set what differs:
///
/// ```
/// let mut config = tidings::ServerConfig::default();
/// config.port = 0; // any free port
/// config.path_prefix = "/ws".into();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The address or host name to listen on (default `127.0.0.1`).
    pub host: Box<str>,
    /// The port for sockets and the HTTP API alike (default 6001); 0 takes any free one.
    pub port: u16,
    /// A second port of the same host, where TLS is spoken (default none). Without it, [`port`](Self::port) speaks
    /// TLS as soon as there is a certificate.
    pub tls_port: Option<u16>,
    /// A PEM file with the server's certificate, and after it those that lead to its authority (default none). It is
    /// for clients that ask for no name, or for one that no certificate has. It is read again when it changes.
    pub tls_cert: Option<PathBuf>,
    /// A PEM file with the key of [`tls_cert`](Self::tls_cert), without a passphrase.
    pub tls_key: Option<PathBuf>,
    /// A PEM file with the authorities of which a client must show a certificate (default none: clients need none).
    pub tls_client_ca: Option<PathBuf>,
    /// More certificates, chosen by the name that a client asks for (default none).
    pub certificates: Vec<Certificate>,
    /// The path of a unix socket where the server listens besides (default none), for a proxy on the same machine.
    pub listen_unix: Option<PathBuf>,
    /// The permissions of the unix socket (default `0o660`: its user and its group may connect).
    pub listen_unix_mode: u32,
    /// Whether other servers may listen on the same port, so that one can start while another ends (default no).
    /// All of them must want it, and be of the same user.
    pub reuse_port: bool,
    /// Whether every connection begins with the PROXY protocol, version 1 or 2 (default no). Then one without it is
    /// refused, and the address in it is that of the client. Only the proxy may be able to connect.
    pub proxy_protocol: bool,
    /// The proxies whose word on the client's address counts (default none): of `X-Forwarded-For`, else `Forwarded`, the
    /// rightmost address that is none of them.
    pub trusted_proxies: Vec<Network>,
    /// The pages that may connect and read answers of the HTTP API, for apps that do not say so themselves (default none:
    /// all pages may). A WebSocket of another page is closed with 4009. Who names no origin is no page, and may.
    pub allowed_origins: Vec<Origin>,
    /// Connections that one address may have at once, of IPv6 one /64 network (default `None`, no limit). A further one
    /// is closed with 4100, or answered with 429. Where the address is not known, as on a unix socket, nothing is counted.
    pub max_connections_per_address: Option<u32>,
    /// Connections that are accepted in a second (default `None`, no limit). Further ones wait with the system.
    pub max_accepts_per_second: Option<u32>,
    /// Connections whose first request has not come, nor their TLS handshake ended (default 4,096). Further ones
    /// wait with the system, until one of them is done or has used up its [time](Self::handshake_timeout).
    pub max_pending_handshakes: u32,
    /// A path before both `/app/…` and `/apps/…`, such as `/ws` (default none). Written with a
    /// slash at its start and none at its end.
    pub path_prefix: Box<str>,
    /// Threads that serve connections, each with its own part of them (default: one for each core
    /// that the process may use).
    pub threads: usize,
    /// Bytes of one message from a client, summed over its fragments (default 131,072). A longer
    /// one ends the connection with 1009.
    pub max_message_bytes: u32,
    /// Bytes that may wait to be written to one connection (default 1 MiB). A client that reads
    /// so slowly that more would wait is disconnected.
    pub max_queue_bytes: u32,
    /// Bytes of a request's head: request line and headers (default 8,192). A longer one is
    /// answered with 431.
    pub max_head_bytes: u32,
    /// Headers in a request (default 100). More are answered with 431.
    pub max_headers: u32,
    /// Bytes of an HTTP API request's body (default 1 MiB). A longer one is answered with 413.
    pub max_body_bytes: u32,
    /// How long a client may take to send its request's head (default 10 s).
    pub handshake_timeout: Duration,
    /// How long a connection of the HTTP API may stay open between two requests (default 75 s).
    pub keep_alive_timeout: Duration,
    /// How long a client may be silent before it is pinged; announced to clients in whole seconds
    /// (default 120 s, as with Pusher).
    pub activity_timeout: Duration,
    /// How long a pinged client may stay silent before it is closed with 4201 (default 30 s).
    /// A client that is cut because it reads too slowly has this long to read the reason.
    pub pong_timeout: Duration,
    /// How long to wait for a client's answer to a close frame (default 5 s).
    pub close_timeout: Duration,
    /// How long a connection of an app with [`App::user_authentication`](crate::App) may take to
    /// prove itself before it is closed with 4009 (default 30 s).
    pub user_authentication_timeout: Duration,
    /// How long a shutdown may take; the closes with 4200 are spread over its first half
    /// (default 5 s).
    pub shutdown_grace: Duration,
    /// Answers as Soketi gives them where the two differ (default no): a connection over the quota is closed with
    /// 4100, after which clients try again, instead of 4004; a list of channels always has `subscription_count`
    /// and `occupied`.
    pub soketi_answers: bool,
    /// How long a server that is told to end goes on as before, but for `/ready`, which says no: time for load
    /// balancers to notice, before [`shutdown_grace`](Self::shutdown_grace) begins (default 0).
    pub shutdown_delay: Duration,
    /// How long a departure (`channel_vacated`, `member_removed`) is held back from webhooks; who comes
    /// back within that time was never gone, and neither is told (default 3 s, as with Pusher).
    pub webhook_delay: Duration,
    /// How long an endpoint may take to answer a webhook before it is sent again (default 10 s).
    pub webhook_timeout: Duration,
    /// How long after an event a webhook may still be sent (default 300 s, the oldest that receivers
    /// accept).
    pub webhook_retry: Duration,
    /// The pause before a failed webhook is sent again (default 1 s). It doubles with each failure, up
    /// to a minute.
    pub webhook_backoff: Duration,
    /// Whether several events may share a request, where an endpoint does not say itself (default no).
    pub webhook_batching: bool,
    /// How long the first event of a shared request waits for others (default 50 ms, as with Soketi).
    pub webhook_batch_window: Duration,
    /// Events in one shared request (default 100).
    pub max_webhook_batch: u32,
    /// Events that may wait for one endpoint (default 10,000). Further ones are dropped and counted.
    pub max_webhook_queue: u32,
    /// Bytes of events that may wait for one endpoint (default 16 MiB).
    pub max_webhook_queue_bytes: u32,
    /// How long a feed may be silent before a comment says that it is alive (default 15 s).
    pub feed_keep_alive: Duration,
    /// How long a feed that nobody listens to keeps its events for who comes back (default 60 s).
    pub feed_retention: Duration,
    /// Events that a feed keeps for a slow or returning listener (default 1,024). Who has missed more
    /// is told how many.
    pub max_feed_queue: u32,
    /// The Redis or NATS servers through which several servers act as one (default: none, the server is on
    /// its own). All of them need the same apps.
    pub backplane: Option<BackplaneUrl>,
    /// Begins the names of topics on the backplane (default `tidings`). Servers with different prefixes do not
    /// hear of each other.
    pub backplane_prefix: Box<str>,
    /// How long a server may be silent on the backplane before the others forget it and its connections
    /// (default 10 s).
    pub backplane_lease: Duration,
    /// Whether metrics are served to Prometheus, on a listener of their own (default no).
    pub metrics: bool,
    /// The address or host name of that listener (default `127.0.0.1`). Who can reach it sees the ids of the apps and
    /// how much they are used.
    pub metrics_host: Box<str>,
    /// The port of that listener (default 9601, as with Soketi); 0 takes any free one.
    pub metrics_port: u16,
    /// Begins the names of metrics (default `tidings_`).
    pub metrics_prefix: Box<str>,
    /// Begins the names of Soketi's metrics, which are served under that prefix too (default: none, they are served
    /// under [`metrics_prefix`](Self::metrics_prefix) only).
    pub metrics_soketi_prefix: Option<Box<str>>,
    /// The password of the console in the browser, at `/console` behind
    /// [`path_prefix`](Self::path_prefix), for the user `admin` (default none: there is no console, except
    /// in [dev mode](crate::ServerBuilder::dev), where it needs no password unless one is set).
    pub console_password: Option<Password>,
    /// Whether the console only shows: it then sends no events and ends no connections (default no).
    pub console_read_only: bool,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 6001,
            tls_port: None,
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            certificates: Vec::new(),
            listen_unix: None,
            listen_unix_mode: 0o660,
            reuse_port: false,
            proxy_protocol: false,
            trusted_proxies: Vec::new(),
            allowed_origins: Vec::new(),
            max_connections_per_address: None,
            max_accepts_per_second: None,
            max_pending_handshakes: 4096,
            path_prefix: "".into(),
            threads: thread::available_parallelism().map_or(1, usize::from),
            max_message_bytes: 128 * 1024,
            max_queue_bytes: 1024 * 1024,
            max_head_bytes: 8 * 1024,
            max_headers: 100,
            max_body_bytes: 1024 * 1024,
            handshake_timeout: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(75),
            activity_timeout: Duration::from_secs(120),
            pong_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            user_authentication_timeout: Duration::from_secs(30),
            shutdown_grace: Duration::from_secs(5),
            soketi_answers: false,
            shutdown_delay: Duration::ZERO,
            webhook_delay: Duration::from_secs(3),
            webhook_timeout: Duration::from_secs(10),
            webhook_retry: Duration::from_secs(300),
            webhook_backoff: Duration::from_secs(1),
            webhook_batching: false,
            webhook_batch_window: Duration::from_millis(50),
            max_webhook_batch: 100,
            max_webhook_queue: 10_000,
            max_webhook_queue_bytes: 16 * 1024 * 1024,
            feed_keep_alive: Duration::from_secs(15),
            feed_retention: Duration::from_secs(60),
            max_feed_queue: 1024,
            backplane: None,
            backplane_prefix: "tidings".into(),
            backplane_lease: Duration::from_secs(10),
            metrics: false,
            metrics_host: "127.0.0.1".into(),
            metrics_port: 9601,
            metrics_prefix: "tidings_".into(),
            metrics_soketi_prefix: None,
            console_password: None,
            console_read_only: false,
        }
    }
}
