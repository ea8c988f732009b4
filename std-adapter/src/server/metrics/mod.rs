//! What operators measure: gauges that are computed from the tables when somebody asks, and counters that each shard
//! keeps for itself.
//!
//! Nothing is counted up and down beside the tables, so that no gauge can drift. Counters are plain cells of a
//! shard's thread; whoever asks gets them by mail and sums them.

mod family;
mod gather;
mod histogram;
mod http;
mod listener;
mod meters;
mod names;
mod process;
mod render;
mod traffic;

pub(crate) use gather::Measured;
pub(crate) use histogram::Histogram;
pub(crate) use http::{CONSOLE, FAULTS, Made, OTHER, Requests};
pub(crate) use listener::Listener;
pub(crate) use meters::Meters;
pub(crate) use render::text;
pub(crate) use traffic::{Ledger, Traffic, TrafficCounts, count};
