//! What is measured outside of the shards.

use super::http::{Made, Requests};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

/// One for each server, for all threads.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    /// Requests that no shard has answered, but the HTTP server that this one is mounted in.
    foreign: Mutex<Requests>,
    /// The port that the server listens on.
    port: AtomicU16,
}

impl Meters {
    /// Notes a request that the thread of another HTTP server has answered.
    pub(crate) fn note(&self, made: &Made) {
        self.foreign.lock().unwrap_or_else(PoisonError::into_inner).note(made);
    }

    pub(super) fn requests(&self) -> Requests {
        self.foreign.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes which port the server listens on.
    pub(crate) fn set_port(&self, port: u16) {
        self.port.store(port, Ordering::Relaxed);
    }

    pub(super) fn port(&self) -> u16 {
        self.port.load(Ordering::Relaxed)
    }
}
