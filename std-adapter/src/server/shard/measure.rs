//! What a shard tells whoever measures.

use super::Shard;
use crate::server::metrics::Measured;

impl Shard {
    /// What the tables hold now, and what has been counted.
    pub(super) fn measure(&self) -> Measured {
        let mut measured = self.local.borrow().measure();
        self.home.borrow().measure(&mut measured);
        measured.requests = self.requests.borrow().clone();
        measured
    }
}
