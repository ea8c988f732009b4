//! How a connection ended.

/// The end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Closed {
    /// Who began to end it.
    pub by: Initiator,
    /// The code in the peer's close frame; `None` when it had none or never came.
    pub code: Option<u16>,
}

/// An end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Initiator {
    /// This end.
    Local,
    /// The other end.
    Peer,
}
