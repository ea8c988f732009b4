//! What a shard tells whoever measures.

use super::Shard;
use crate::server::hub::Seen;
use crate::server::metrics::{Measured, TrafficCounts};

impl Shard {
    /// What the tables hold now, and what has been counted.
    pub(super) fn measure(&self) -> Measured {
        let mut measured = self.local.borrow().measure();
        self.home.borrow().measure(&mut measured);
        *measured.requests = self.requests.borrow().clone();
        measured
    }

    /// What went through the sockets of an app.
    pub(super) fn traffic(&self, app: u32) -> TrafficCounts {
        self.local.borrow().ledger.of(app).counts()
    }

    /// The `most` connections of an app that began last.
    pub(super) fn newest(&self, app: u32, most: usize) -> Vec<Seen> {
        self.local.borrow().newest(app, most, self.now())
    }
}
