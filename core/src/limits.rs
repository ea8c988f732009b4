//! Bounds on what a peer may send.

/// Bounds that a connection enforces, checked before a byte is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest message in payload bytes, summed over its fragments (default 128 KiB).
    pub max_message: u32,
    /// What happens to a larger one.
    pub oversize: Oversize,
}

/// What to do with a message over the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Oversize {
    /// End the connection with close code 1009, as soon as the header tells the size.
    #[default]
    Close,
    /// Let it pass by unread and report its size; the connection lives.
    Skip,
}

impl Limits {
    /// The default bounds.
    #[must_use]
    pub const fn new() -> Self {
        Self { max_message: 128 * 1024, oversize: Oversize::Close }
    }

    /// Sets the largest message.
    #[must_use]
    pub const fn max_message(mut self, bytes: u32) -> Self {
        self.max_message = bytes;
        self
    }

    /// Chooses what happens to a larger message.
    #[must_use]
    pub const fn oversize(mut self, oversize: Oversize) -> Self {
        self.oversize = oversize;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}
