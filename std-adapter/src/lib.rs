//! Tidings: a realtime channel service, and its protocol for tokio programs.
//!
//! With the feature `server`, [`Server`] takes the sockets of an application's clients and fans out what
//! the application publishes, speaking the protocol of Pusher Channels: start one from a program, mount it in
//! an HTTP server that is there already, or run the program `tidings serve`. The protocol itself, without
//! I/O, is [`core`].

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
#[cfg(feature = "server")]
mod server;

#[cfg(feature = "server")]
pub use app::{App, AppError, AppLimits, Apps};
#[cfg(feature = "client")]
pub use client::Client;
#[cfg(feature = "server")]
pub use config::ServerConfig;
#[cfg(feature = "server")]
pub use server::{
    ChannelInfo, Event, EventError, Events, Lagged, ResponseBody, Server, ServerBuilder,
    ServerEvent, ServerHandle, Service, StartError, UnknownEvent, Webhook, WebhookEvent,
    WebhookStats,
};
pub use tidings_core as core;
