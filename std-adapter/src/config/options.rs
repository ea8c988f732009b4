//! The options by name: one definition each for the file, the environment and the command line.
//!
//! An option `max_body_bytes` is the key `max_body_bytes` in the file, the variable
//! `TIDINGS_MAX_BODY_BYTES` and the flag `--max-body-bytes`.

use std::path::PathBuf;

use serde::Deserialize;

use super::value::{Backplane, Bound, List, Mode, Seconds, SecretText, Text};
use super::webhooks::Webhooks;
use super::{Network, Origin};
use crate::directory::DirectoryUrl;

/// Options that can be held against others of their kind.
pub(crate) trait Compare {
    /// Each name, with whether the option is the same in both.
    fn compared(&self, other: &Self) -> Vec<(&'static str, bool)>;
}

/// Defines a struct of options, all of them unset by default.
macro_rules! options {
    (
        $(#[$meta:meta])*
        struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Deserialize, clap::Args)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $($(#[$field_meta])* pub(crate) $field: Option<$type>,)*
        }

        impl $name {
            /// The names, as the file spells them.
            pub(crate) const NAMES: &'static [&'static str] = &[$(stringify!($field)),*];

            /// These options where they are set, `lower` elsewhere.
            pub(crate) fn or(self, lower: Self) -> Self {
                Self { $($field: self.$field.or(lower.$field),)* }
            }
        }

        impl Compare for $name {
            fn compared(&self, other: &Self) -> Vec<(&'static str, bool)> {
                vec![$((stringify!($field), self.$field == other.$field)),*]
            }
        }
    };
}

options! {
    /// Options of the server.
    struct ServerOptions {
        /// Address or name to listen on [default: 127.0.0.1]
        #[arg(long, value_name = "HOST", help_heading = "Server")]
        host: Text,
        /// Port for sockets and the HTTP API; 0 takes any free one [default: 6001]
        #[arg(long, value_name = "PORT", help_heading = "Server")]
        port: u16,
        /// Second port, where TLS is spoken; without it the first one speaks TLS if it has a certificate [default: none]
        #[arg(long, value_name = "PORT", help_heading = "TLS")]
        tls_port: u16,
        /// PEM file with the certificate chain [default: none]
        #[arg(long, value_name = "FILE", help_heading = "TLS")]
        tls_cert: PathBuf,
        /// PEM file with the key of the certificate [default: none]
        #[arg(long, value_name = "FILE", help_heading = "TLS")]
        tls_key: PathBuf,
        /// PEM file with the authorities of which clients must show a certificate [default: none]
        #[arg(long, value_name = "FILE", help_heading = "TLS")]
        tls_client_ca: PathBuf,
        /// Unix socket to listen on besides, for a proxy on this machine [default: none]
        #[arg(long, value_name = "PATH", help_heading = "Server")]
        listen_unix: PathBuf,
        /// Permissions of the unix socket [default: 0660]
        #[arg(long, value_name = "OCTAL", help_heading = "Server")]
        listen_unix_mode: Mode,
        /// Whether another server may start on the port while this one ends [default: false]
        #[arg(long, value_name = "BOOL", help_heading = "Server", num_args = 0..=1, default_missing_value = "true")]
        reuse_port: bool,
        /// Whether every connection begins with the PROXY protocol [default: false]
        #[arg(long, value_name = "BOOL", help_heading = "Proxies", num_args = 0..=1, default_missing_value = "true")]
        proxy_protocol: bool,
        /// Proxies that are believed whom they speak for: addresses and networks, with commas [default: none]
        #[arg(long, value_name = "LIST", help_heading = "Proxies")]
        trusted_proxies: List<Network>,
        /// Pages that may connect: origins such as https://*.shop.example, with commas [default: all]
        #[arg(long, value_name = "LIST", help_heading = "Server")]
        allowed_origins: List<Origin>,
        /// Connections of one address at once [default: unlimited]
        #[arg(long, value_name = "COUNT", help_heading = "Bounds of the server")]
        max_connections_per_address: Bound,
        /// Connections that are accepted in a second [default: unlimited]
        #[arg(long, value_name = "COUNT", help_heading = "Bounds of the server")]
        max_accepts_per_second: Bound,
        /// Connections at once whose first request has not come [default: 4096]
        #[arg(long, value_name = "COUNT", help_heading = "Bounds of the server")]
        max_pending_handshakes: u32,
        /// Path before both /app/… and /apps/…, such as /ws [default: none]
        #[arg(long, value_name = "PATH", help_heading = "Server")]
        path_prefix: Text,
        /// Threads that serve connections [default: one per core]
        #[arg(long, value_name = "COUNT", help_heading = "Server")]
        threads: usize,
        /// Whose defaults and answers: soketi or none [default: soketi if its variables or file are used]
        #[arg(long, value_name = "WHOSE", help_heading = "Server")]
        compat: Text,
        /// What to log: error, warn, info, debug or trace [default: info]
        #[arg(long, value_name = "LEVEL", help_heading = "Server")]
        log: Text,
        /// How log lines are written: text, or json for programs [default: text]
        #[arg(long, value_name = "FORMAT", help_heading = "Server")]
        log_format: Text,
        /// Collector that traces go to, such as `http://127.0.0.1:4318/v1/traces`; needs the feature otlp [default: none]
        #[arg(long, value_name = "URL", help_heading = "Server")]
        otlp_endpoint: Text,
        /// Bytes of one message from a client [default: 131072]
        #[arg(long, value_name = "BYTES", help_heading = "Bounds of the server")]
        max_message_bytes: u32,
        /// Bytes that may wait for one slow client before it is cut [default: 1048576]
        #[arg(long, value_name = "BYTES", help_heading = "Bounds of the server")]
        max_queue_bytes: u32,
        /// Bytes of a request's head [default: 8192]
        #[arg(long, value_name = "BYTES", help_heading = "Bounds of the server")]
        max_head_bytes: u32,
        /// Headers in a request [default: 100]
        #[arg(long, value_name = "COUNT", help_heading = "Bounds of the server")]
        max_headers: u32,
        /// Bytes of a request's body [default: 1048576]
        #[arg(long, value_name = "BYTES", help_heading = "Bounds of the server")]
        max_body_bytes: u32,
        /// Time for a client to send its request's head [default: 10]
        #[arg(long, value_name = "SECONDS", help_heading = "Times")]
        handshake_timeout: Seconds,
        /// Time that an HTTP connection may stay open without a request [default: 75]
        #[arg(long, value_name = "SECONDS", help_heading = "Times")]
        keep_alive_timeout: Seconds,
        /// Silence after which a client is pinged; announced to it [default: 120]
        #[arg(long, value_name = "SECONDS", help_heading = "Times")]
        activity_timeout: Seconds,
        /// Time for a pinged client to answer before it is closed [default: 30]
        #[arg(long, value_name = "SECONDS", help_heading = "Times")]
        pong_timeout: Seconds,
        /// Time for a client to answer a close frame [default: 5]
        #[arg(long, value_name = "SECONDS", help_heading = "Times")]
        close_timeout: Seconds,
        /// Time for a client to sign in where the app demands it [default: 30]
        #[arg(long, value_name = "SECONDS", help_heading = "Times")]
        user_authentication_timeout: Seconds,
        /// Time that a shutdown may take [default: 5]
        #[arg(long, value_name = "SECONDS", help_heading = "Times")]
        shutdown_grace: Seconds,
        /// Time for load balancers to notice that /ready says no, before a shutdown begins [default: 0]
        #[arg(long, value_name = "SECONDS", help_heading = "Times")]
        shutdown_delay: Seconds,
        /// Time that a departure is held back from webhooks; a return cancels it [default: 3]
        #[arg(long, value_name = "SECONDS", help_heading = "Webhooks")]
        webhook_delay: Seconds,
        /// Time for an endpoint to answer a webhook [default: 10]
        #[arg(long, value_name = "SECONDS", help_heading = "Webhooks")]
        webhook_timeout: Seconds,
        /// Time after an event in which its webhook is tried again [default: 300]
        #[arg(long, value_name = "SECONDS", help_heading = "Webhooks")]
        webhook_retry: Seconds,
        /// First pause before a webhook is tried again; it doubles each time [default: 1]
        #[arg(long, value_name = "SECONDS", help_heading = "Webhooks")]
        webhook_backoff: Seconds,
        /// Whether several events may share a request [default: false]
        #[arg(long, value_name = "BOOL", help_heading = "Webhooks", num_args = 0..=1, default_missing_value = "true")]
        webhook_batching: bool,
        /// Time that the first event of a shared request waits for others [default: 0.05]
        #[arg(long, value_name = "SECONDS", help_heading = "Webhooks")]
        webhook_batch_window: Seconds,
        /// Events in one shared request [default: 100]
        #[arg(long, value_name = "COUNT", help_heading = "Webhooks")]
        max_webhook_batch: u32,
        /// Events that may wait for one endpoint [default: 10000]
        #[arg(long, value_name = "COUNT", help_heading = "Webhooks")]
        max_webhook_queue: u32,
        /// Bytes of events that may wait for one endpoint [default: 16777216]
        #[arg(long, value_name = "BYTES", help_heading = "Webhooks")]
        max_webhook_queue_bytes: u32,
        /// Silence after which a feed says that it is alive [default: 15]
        #[arg(long, value_name = "SECONDS", help_heading = "Feed")]
        feed_keep_alive: Seconds,
        /// Time that a feed keeps events when nobody listens [default: 60]
        #[arg(long, value_name = "SECONDS", help_heading = "Feed")]
        feed_retention: Seconds,
        /// Events that a feed keeps for a slow or returning listener [default: 1024]
        #[arg(long, value_name = "COUNT", help_heading = "Feed")]
        max_feed_queue: u32,
        /// Redis or NATS that makes several servers one: `redis://HOST`, `nats://HOST` [default: none]
        #[arg(long, value_name = "URL", help_heading = "Several servers")]
        backplane: Backplane,
        /// Begins the names of topics on the backplane [default: tidings]
        #[arg(long, value_name = "TEXT", help_heading = "Several servers")]
        backplane_prefix: Text,
        /// Silence after which the others forget a server and its connections [default: 10]
        #[arg(long, value_name = "SECONDS", help_heading = "Several servers")]
        backplane_lease: Seconds,
        /// Whether metrics are served to Prometheus, on a listener of their own [default: false]
        #[arg(long, value_name = "BOOL", help_heading = "Metrics", num_args = 0..=1, default_missing_value = "true")]
        metrics: bool,
        /// Address or name that metrics are served on [default: 127.0.0.1]
        #[arg(long, value_name = "HOST", help_heading = "Metrics")]
        metrics_host: Text,
        /// Port that metrics are served on; 0 takes any free one [default: 9601]
        #[arg(long, value_name = "PORT", help_heading = "Metrics")]
        metrics_port: u16,
        /// Begins the names of metrics [default: tidings_]
        #[arg(long, value_name = "TEXT", help_heading = "Metrics")]
        metrics_prefix: Text,
        /// Serves Soketi's metrics under this prefix too, such as soketi_ [default: none]
        #[arg(long, value_name = "TEXT", help_heading = "Metrics")]
        metrics_soketi_prefix: Text,
        #[arg(
            help = "Password of the console at /console (user admin); other users of the machine see flags: prefer TIDINGS_CONSOLE_PASSWORD [default: none, no console]",
            long, value_name = "PASSWORD", help_heading = "Console")]
        console_password: SecretText,
        /// Whether the console only shows, and sends and ends nothing [default: false]
        #[arg(long, value_name = "BOOL", help_heading = "Console", num_args = 0..=1, default_missing_value = "true")]
        console_read_only: bool,
        /// More certificates, chosen by the name that a client asks for (file only).
        #[arg(skip)]
        certificates: Vec<CertificateEntry>,
        /// Where more apps are kept: `https://…`, `postgres://…`, `mysql://…` or `sqlite:FILE` [default: none]
        #[arg(long, value_name = "URL", help_heading = "Apps kept elsewhere")]
        apps_url: DirectoryUrl,
        /// Table of the apps in a database [default: apps]
        #[arg(long, value_name = "NAME", help_heading = "Apps kept elsewhere")]
        apps_table: Text,
        /// How often to look there for changes [default: 5]
        #[arg(long, value_name = "SECONDS", help_heading = "Apps kept elsewhere")]
        apps_refresh: Seconds,
        /// How many apps may be looked up there in a second when they are named before they were read; 0 looks none up [default: 50]
        #[arg(long, value_name = "COUNT", help_heading = "Apps kept elsewhere")]
        apps_lookups_per_second: u32,
        #[arg(
            help = "What an HTTP endpoint of apps knows us by, as a bearer token; prefer TIDINGS_APPS_TOKEN",
            long, value_name = "TOKEN", help_heading = "Apps kept elsewhere")]
        apps_token: SecretText,
        /// Options for every app that does not set them itself (file only).
        #[arg(skip)]
        defaults: AppOptions,
        /// The apps (file only).
        #[arg(skip)]
        apps: Vec<AppOptions>,
    }
}

options! {
    /// Options of an app.
    struct AppOptions {
        /// Id of an app: it names the app in /apps/ID/events [default: app-id]
        #[arg(long = "app-id", id = "app-id", value_name = "ID", help_heading = "App")]
        id: Text,
        /// Key of that app: it names the app in /app/KEY [default: app-key]
        #[arg(long = "app-key", id = "app-key", value_name = "KEY", help_heading = "App")]
        key: Text,
        #[arg(
            help = "Secret of that app; other users of the machine see flags: prefer TIDINGS_APP_SECRET",
            long = "app-secret", id = "app-secret", value_name = "SECRET", help_heading = "App")]
        secret: SecretText,
        /// File that holds the secret of that app; line ends at its end do not count
        #[arg(long = "app-secret-file", id = "app-secret-file", value_name = "FILE", help_heading = "App")]
        secret_file: Text,
        #[arg(
            help = "Secret that is on its way out: its signatures still count; prefer TIDINGS_APP_PREVIOUS_SECRET",
            long = "app-previous-secret", id = "app-previous-secret", value_name = "SECRET", help_heading = "App")]
        previous_secret: SecretText,
        /// File that holds that secret
        #[arg(long = "app-previous-secret-file", id = "app-previous-secret-file", value_name = "FILE", help_heading = "App")]
        previous_secret_file: Text,
        /// Whether apps take connections and events [default: true]
        #[arg(long, value_name = "BOOL", help_heading = "Every app")]
        enabled: bool,
        /// Whether clients may send client- events to each other [default: false]
        #[arg(long, value_name = "BOOL", help_heading = "Every app", num_args = 0..=1, default_missing_value = "true")]
        client_events: bool,
        /// Connections of one app at once, or unlimited [default: unlimited]
        #[arg(long, value_name = "COUNT", help_heading = "Every app", allow_hyphen_values = true)]
        max_connections: Bound,
        /// Client events that one connection may send in a second, or unlimited [default: 10]
        #[arg(long, value_name = "COUNT", help_heading = "Every app", allow_hyphen_values = true)]
        max_client_events_per_second: Bound,
        /// Events that one app may publish in a second, each channel counted, or unlimited [default: unlimited]
        #[arg(long, value_name = "COUNT", help_heading = "Every app", allow_hyphen_values = true)]
        max_backend_events_per_second: Bound,
        /// Questions of one app that the HTTP API answers in a second, or unlimited [default: unlimited]
        #[arg(long, value_name = "COUNT", help_heading = "Every app", allow_hyphen_values = true)]
        max_read_requests_per_second: Bound,
        /// Whether a connection must sign in or join a private channel in time [default: false]
        #[arg(long, value_name = "BOOL", help_heading = "Every app", num_args = 0..=1, default_missing_value = "true")]
        user_authentication: bool,
        /// Endpoints to tell what happens, as a JSON list; better written in a file [default: none]
        #[arg(long, value_name = "JSON", help_heading = "Webhooks")]
        webhooks: Webhooks,
        /// Whether subscribers are told how many they are [default: false]
        #[arg(long, value_name = "BOOL", help_heading = "Every app", num_args = 0..=1, default_missing_value = "true")]
        subscription_count: bool,
        /// Whether users may watch others come and go [default: false]
        #[arg(long, value_name = "BOOL", help_heading = "Every app", num_args = 0..=1, default_missing_value = "true")]
        watchlists: bool,
        /// Characters of a channel's name [default: 200]
        #[arg(long, value_name = "COUNT", help_heading = "Every app")]
        max_channel_name: u32,
        /// Characters of an event's name [default: 200]
        #[arg(long, value_name = "COUNT", help_heading = "Every app")]
        max_event_name: u32,
        /// Bytes of an event's data [default: 10240]
        #[arg(long, value_name = "BYTES", help_heading = "Every app")]
        max_event_bytes: u32,
        /// Channels that one publish may name [default: 100]
        #[arg(long, value_name = "COUNT", help_heading = "Every app")]
        max_channels_per_event: u32,
        /// Events in one batch [default: 10]
        #[arg(long, value_name = "COUNT", help_heading = "Every app")]
        max_batch: u32,
        /// Users in one presence channel [default: 100]
        #[arg(long, value_name = "COUNT", help_heading = "Every app")]
        max_presence_members: u32,
        /// Bytes of the user object in a presence channel [default: 1024]
        #[arg(long, value_name = "BYTES", help_heading = "Every app")]
        max_presence_user_bytes: u32,
        /// Characters of a user id [default: 128]
        #[arg(long, value_name = "COUNT", help_heading = "Every app")]
        max_user_id: u32,
        /// Users that one connection may watch [default: 100]
        #[arg(long, value_name = "COUNT", help_heading = "Every app")]
        max_watchlist: u32,
        /// Channels that one connection may be subscribed to [default: 1000]
        #[arg(long, value_name = "COUNT", help_heading = "Every app")]
        max_channels_per_connection: u32,
        /// Events kept of one channel for clients that were away; 0 keeps none [default: 0]
        #[arg(long, value_name = "COUNT", help_heading = "Every app")]
        history_events: u32,
        /// Bytes that all kept events of one app may take [default: 67108864]
        #[arg(long, value_name = "BYTES", help_heading = "Every app")]
        history_bytes: u32,
        /// Time that an event is kept [default: 120]
        #[arg(long, value_name = "SECONDS", help_heading = "Every app")]
        history_age: Seconds,
        /// Beginnings of the names of channels whose events are kept, with commas [default: all]
        #[arg(long, value_name = "PREFIXES", help_heading = "Every app")]
        history_prefixes: Text,
        /// Time that a cache channel keeps its last event [default: 1800]
        #[arg(long, value_name = "SECONDS", help_heading = "Every app")]
        cache_ttl: Seconds,
        /// Cache channels of one app whose last event is kept at once [default: 10000]
        #[arg(long, value_name = "COUNT", help_heading = "Every app")]
        max_cached_events: u32,
        /// Bytes that these events may take together [default: 67108864]
        #[arg(long, value_name = "BYTES", help_heading = "Every app")]
        max_cached_bytes: u32,
        /// Pages that may connect to this app, in place of those of the server (file only).
        #[arg(skip)]
        allowed_origins: List<Origin>,
    }
}

/// An entry of `[[certificates]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateEntry {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    #[serde(default)]
    pub(crate) names: Vec<String>,
}

/// Options of the server that only a file can hold.
pub(crate) const FILE_ONLY: &[&str] = &["apps", "certificates", "defaults"];
