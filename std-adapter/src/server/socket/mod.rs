//! Sockets: from an accepted stream to the end of its connection.

mod conn;
mod opening;
mod outbox;
mod policy;
mod reading;
mod stream;
mod tls;
mod user;

pub(crate) use conn::{Conn, Sent, Sub};
pub(crate) use opening::{Adopted, Arrival, Asked, adopt, serve};
#[cfg(test)]
pub(crate) use policy::handle;
pub(crate) use policy::{acknowledge, presence_full};
pub(crate) use stream::{Detached, Stream};
pub(crate) use user::{SignedIn, signed_out, watched};
