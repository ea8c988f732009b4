//! From the start of a server to its first client.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;

use super::super::engine::Note;
use super::super::error::BenchError;
use super::super::process::Usage;
use super::super::report::Record;
use super::super::schedule::SECOND;
use super::{Bench, Measure, bounds};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(1);

#[derive(Debug, Args)]
pub(super) struct Ready {
    /// Seconds to try
    #[arg(long, visible_alias = "timeout", default_value_t = 30.0)]
    secs: f64,
    /// When the server was started, in Unix milliseconds (as of `date +%s%3N`); now, when absent
    #[arg(long)]
    since_ms: Option<f64>,
}

fn unix_millis() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs_f64() * 1000.0
}

/// Tries once; whether a client got `pusher:connection_established`.
fn try_to_connect(bench: &Bench) -> Result<bool, BenchError> {
    let mut engine = bench.engine()?;
    let id = engine.open_subscriber(Vec::new())?;
    let until = engine.now() + SECOND;
    while engine.is_open(id) && engine.now() < until {
        match engine.step(until) {
            Err(BenchError::NothingListens(_)) => return Ok(false),
            other => other?,
        }
        if engine.take_notes().contains(&Note::Established(id)) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Measure for Ready {
    fn case(&self) -> String {
        "start".to_owned()
    }

    fn check(&self) -> Result<(), BenchError> {
        bounds::secs("--secs", self.secs)
    }

    fn connections(&self) -> usize {
        1
    }

    fn measure(&self, bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
        let since = self.since_ms.unwrap_or_else(unix_millis);
        let stop = Instant::now() + Duration::from_secs_f64(self.secs);
        while !try_to_connect(bench)? {
            if Instant::now() >= stop {
                let text = format!("no client could connect within {} s", self.secs);
                return Err(BenchError::Server(text));
            }
            std::thread::sleep(PAUSE);
        }
        record.put("start_ms", unix_millis() - since);
        if let Some(usage) = Usage::of(bench.pids()) {
            record.put("rss_mb", usage.rss_kb as f64 / 1024.0);
            record.put_count("threads", usage.threads);
        }
        Ok(())
    }
}
