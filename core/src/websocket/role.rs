//! The two ends of a connection, which differ in who masks.

use core::fmt;

use crate::entropy::Entropy;

/// An end of a connection, as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that opened the connection: it masks what it sends.
    Client,
    /// The end that accepted it: it sends unmasked.
    Server,
}

/// An end of a connection, as a type: [`ServerRole`] or [`ClientRole`].
pub trait Masking {
    /// Which end it is.
    const ROLE: Role;

    /// The key for the next frame to be sent; `None` when frames are sent unmasked.
    fn next_key(&mut self) -> Option<[u8; 4]>;
}

/// The server's end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerRole;

impl Masking for ServerRole {
    const ROLE: Role = Role::Server;

    #[inline]
    fn next_key(&mut self) -> Option<[u8; 4]> {
        None
    }
}

/// The client's end, with the source of its masking keys.
///
/// Each frame takes a fresh key (RFC 6455 section 5.3).
#[derive(Clone, Copy, Default)]
pub struct ClientRole<E>(pub E);

impl<E: Entropy> Masking for ClientRole<E> {
    const ROLE: Role = Role::Client;

    #[inline(always)]
    fn next_key(&mut self) -> Option<[u8; 4]> {
        let mut key = [0; 4];
        self.0.fill(&mut key);
        Some(key)
    }
}

/// The state of the source stays out of logs: it would foretell the keys.
impl<E> fmt::Debug for ClientRole<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientRole(..)")
    }
}
