//! Realtime channels on microcontrollers: a client of Pusher Channels over embassy, without a heap.
//!
//! The protocol is that of [`tidings_core`]; here is what moves its bytes:
//!
//! - [`Session`] runs one connection over anything that reads and writes (`embedded-io-async`).
//! - [`net`] connects it over embassy-net, again and again; with the feature `tls` over TLS.
//! - [`Outbox`] is the application's end: events to trigger, queued or of each kind the latest only.
//! - [`Application`] is told what happens; [`Authorizer`] signs for private channels.
#![no_std]
#![forbid(unsafe_code)]
// Everything runs on one executor; nothing needs to be sent to another thread.
#![allow(async_fn_in_trait)]

#[cfg(test)]
extern crate std;

mod application;
#[cfg(feature = "net")]
pub mod net;
mod outbox;
mod session;
#[cfg(feature = "tls")]
pub mod tls;

pub use application::{Application, Authorizer, Denied, LocalSigner};
pub use outbox::{Outbox, OutboxFull, Outgoing};
pub use session::{Buffers, End, Session};
