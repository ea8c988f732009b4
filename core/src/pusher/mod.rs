//! The Pusher Channels protocol, version 7.
//!
//! The reader is tolerant, the writer exact: what any known client sends is understood, and what is sent is what
//! every known client reads. [`client`] and [`server`] are the ends of a connection; the functions `encode_*` write the
//! messages of both directions, [`ServerMessage`] reads those of a server; [`ConnectTarget`] and [`check_protocol`]
//! judge a connection attempt.

#[cfg(feature = "client-basic")]
pub mod client;
mod closed;
mod code;
mod encode;
#[cfg(feature = "encrypted")]
mod encrypted;
mod fields;
mod message;
#[cfg(feature = "serde")]
mod payload;
#[cfg(feature = "client-basic")]
pub mod rest;
mod serial;
#[cfg(feature = "server")]
pub mod server;
mod socket_id;
mod target;

pub use closed::{Closed, Initiator};
pub use code::{Advice, ErrorCode};
pub use encode::*;
#[cfg(feature = "encrypted")]
pub use encrypted::{encode_encrypted, open_encrypted};
pub use message::{MessageError, Presence, ServerMessage, UserIds, Watchlist};
#[cfg(feature = "serde")]
pub use payload::{PayloadError, parse_payload};
pub use serial::{Serial, SerialText};
pub use socket_id::{SocketId, SocketIdError, SocketIdText};
pub use target::{AppKey, ConnectTarget, TargetError, check_protocol};
