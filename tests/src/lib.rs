//! Shared parts of the tests.

pub mod echo;
pub mod session;
