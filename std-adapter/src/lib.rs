//! The tokio adapter of tidings.

#[allow(dead_code, reason = "the server takes the secret")]
mod app;
#[allow(dead_code, unused_imports, reason = "the program reads it")]
mod config;

pub use app::{App, AppError, AppLimits, Apps};
pub use config::ServerConfig;
