//! Sockets: from an accepted stream to the end of its connection.

mod conn;
mod opening;
mod outbox;
mod policy;
mod reading;
mod stream;

pub(crate) use conn::{Conn, Sent, Sub};
pub(crate) use opening::{Adopted, adopt, serve};
pub(crate) use policy::{acknowledge, presence_full};
pub(crate) use stream::{Detached, Stream};
