//! The Pusher Channels protocol, version 7.

mod code;
mod encode;
mod socket_id;
mod target;

pub use code::{Advice, ErrorCode};
pub use encode::*;
pub use socket_id::{SocketId, SocketIdError, SocketIdText};
pub use target::{AppKey, ConnectTarget, TargetError, check_protocol};
