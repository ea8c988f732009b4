//! What a run may ask for. There is no unbounded run.

use super::super::error::BenchError;
use super::super::payload;

const MAX_CONNS: usize = 200_000;
const MAX_SECS: f64 = 600.0;
const MAX_RATE: f64 = 1_000_000.0;

fn refuse(text: String) -> Result<(), BenchError> {
    Err(BenchError::Arguments(text))
}

/// A number of connections.
pub(super) fn conns(option: &str, count: usize) -> Result<(), BenchError> {
    match count {
        1..=MAX_CONNS => Ok(()),
        _ => refuse(format!("{option} must be from 1 to {MAX_CONNS}, not {count}")),
    }
}

/// A time in seconds.
pub(super) fn secs(option: &str, secs: f64) -> Result<(), BenchError> {
    if (0.1..=MAX_SECS).contains(&secs) {
        return Ok(());
    }
    refuse(format!("{option} must be from 0.1 to {MAX_SECS} seconds, not {secs}"))
}

/// Events a second.
pub(super) fn rate(option: &str, rate: f64) -> Result<(), BenchError> {
    if (0.1..=MAX_RATE).contains(&rate) {
        return Ok(());
    }
    refuse(format!("{option} must be from 0.1 to {MAX_RATE} a second, not {rate}"))
}

/// A size of event data.
pub(super) fn size(size: usize) -> Result<(), BenchError> {
    const MIN: usize = payload::MIN_SIZE;
    const MAX: usize = payload::MAX_SIZE;
    match size {
        MIN..=MAX => Ok(()),
        _ => refuse(format!("--size must be from {MIN} to {MAX} bytes, not {size}")),
    }
}
