//! The tokio adapter of tidings.

mod app;
mod config;

pub use app::{App, AppError, AppLimits, Apps};
pub use config::ServerConfig;
