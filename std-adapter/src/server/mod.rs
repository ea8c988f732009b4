//! The server: sockets, hub and HTTP API.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use tidings::{App, Event, Server};
//!
//! let server = Server::builder()
//!     .app(App::new("shop", "shop-key", "a long random secret"))
//!     .listen("127.0.0.1:0")
//!     .start()?;
//! println!("ws://{}/app/shop-key", server.addresses()[0]);
//! server.publish("shop", Event::new("orders", "created", r#"{"id":1}"#))?;
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # How it is built
//!
//! Each core has a *shard*: a thread with a single-threaded runtime that owns its sockets, without
//! locks. A channel is at home on one shard, which gives the channel its one order; an event is
//! encoded once and goes to each shard with subscribers, which write the same bytes to all of them.

mod attempts;
pub(crate) mod backplane;
mod builder;
mod dev;
mod dialect;
mod events;
mod handle;
pub(crate) mod http;
pub(crate) mod hub;
pub(crate) mod listener;
mod lookup;
mod metrics;
mod refusals;
mod shard;
mod socket;
mod steps;
mod tap;
mod thread;
pub(crate) mod webhook;
mod wheel;

pub(crate) use dev::AnyKey;
pub(crate) use lookup::{Lookups, Verdict};
pub(crate) use steps::STEPS;
#[cfg(feature = "cli")]
pub(crate) use steps::TRACES;

pub use backplane::{BackplaneError, BackplaneState, BackplaneUrl};
pub use builder::{Server, ServerBuilder, StartError};
pub use events::ServerEvent;
pub use handle::{ChannelInfo, Event, EventError, Events, Lagged, ReconfigureError, ServerHandle};
pub use http::{ResponseBody, Service};
pub use listener::CertificateError;
pub use lookup::{AppFinder, AppName};
pub use refusals::{Refusal, RefusalKind};
pub use webhook::{UnknownEvent, Webhook, WebhookEvent, WebhookStats};

use crate::config::ServerConfig;
use tidings_core::limits::Limits;
use tidings_core::pusher::server::ServerConfig as Protocol;

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What the core needs to know of the configuration; its times are in whole seconds.
fn protocol(config: &ServerConfig) -> Protocol {
    let seconds = |d: std::time::Duration| {
        u16::try_from(d.as_millis().div_ceil(1000)).unwrap_or(u16::MAX).max(1)
    };
    let mut protocol = Protocol::new();
    protocol.limits = Limits::new().max_message(config.max_message_bytes);
    protocol.activity_timeout_s = seconds(config.activity_timeout);
    protocol.pong_timeout_s = seconds(config.pong_timeout);
    protocol.close_timeout_s = seconds(config.close_timeout);
    // What an app may use is checked where the app is known.
    protocol.max_channel_name = u16::MAX;
    protocol.max_event_name = u16::MAX;
    protocol
}
