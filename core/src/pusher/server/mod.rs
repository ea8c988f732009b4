//! The server's end of one connection.
//!
//! [`ServerConn`] knows the wire and the clock; who may subscribe, who gets an event and how much is too much is
//! the adapter's business, which it learns about through [`ServerEvent`].

mod command;
mod config;
mod conn;
mod event;
mod fault;
#[cfg(test)]
mod tests;

pub use config::ServerConfig;
pub use conn::{MIN_TX, ServerConn, Timeout};
pub use event::ServerEvent;
pub use fault::Fault;
