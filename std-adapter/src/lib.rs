//! The tokio adapter of tidings.

mod app;

pub use app::{App, AppError, AppLimits, Apps};
