//! The tokio adapter of tidings.
