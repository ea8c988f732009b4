//! Tidings: a realtime channel service, and its protocol for tokio programs.
//!
//! With the feature `server`, [`Server`] takes the sockets of an application's clients and fans out what
//! the application publishes, speaking the protocol of Pusher Channels: start one from a program, mount it in
//! an HTTP server that is there already, or run the program `tidings serve`. The protocol itself, without
//! I/O, is [`core`].
//!
//! With the feature `client`, [`Client`] keeps a connection to any such server and hands on what comes; with
//! `publisher`, [`Publisher`] publishes over its HTTP API.

#[cfg(feature = "server")]
mod app;
#[cfg(all(feature = "bench", target_os = "linux"))]
mod bench;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
mod config;
#[cfg(feature = "cli")]
mod directory;
#[cfg(any(feature = "client", feature = "publisher", feature = "server"))]
mod outbound;
#[cfg(feature = "publisher")]
pub mod publisher;
#[cfg(feature = "server")]
mod server;

#[cfg(feature = "server")]
pub use app::{App, AppChanges, AppError, AppLimits, Apps, History};
#[cfg(feature = "client")]
pub use client::Client;
#[cfg(feature = "server")]
pub use config::{
    Certificate, ConfigChanges, Network, NetworkError, Origin, OriginError, Password, ServerConfig,
};
#[cfg(any(feature = "client", feature = "publisher", feature = "server"))]
pub use outbound::{Tls, TlsError};
#[cfg(feature = "publisher")]
pub use publisher::Publisher;
#[cfg(feature = "server")]
pub use server::{
    AppFinder, AppName, BackplaneError, BackplaneState, BackplaneUrl, CertificateError,
    ChannelInfo, Event, EventError, Events, Lagged, ReconfigureError, Refusal, RefusalKind,
    ResponseBody, Server, ServerBuilder, ServerEvent, ServerHandle, Service, StartError,
    UnknownEvent, Webhook, WebhookEvent, WebhookStats,
};
pub use tidings_core as core;

/// The examples of the README.
#[cfg(all(doctest, feature = "client", feature = "publisher"))]
#[doc = include_str!("../README.md")]
#[expect(missing_debug_implementations, reason = "only its documentation is compiled")]
pub struct Readme;
