//! What one subscriber that does not read costs the others, and what it is told.

mod sluggard;

use std::time::Duration;

use clap::Args;

use self::sluggard::Sluggard;
use super::super::error::BenchError;
use super::super::load::{self, Plan};
use super::super::process::Usage;
use super::super::publisher::Publisher;
use super::super::report::Record;
use super::{Bench, Measure, SETTLE, WARM_SECS, bounds, put_outcome};

/// Between the two runs.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct Slow {
    /// Healthy subscribers
    #[arg(long, default_value_t = 50)]
    subs: usize,
    /// Messages published a second
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// Seconds to measure, without the slow subscriber and again with it
    #[arg(long, default_value_t = 6.0)]
    secs: f64,
    /// Bytes of event data
    #[arg(long, default_value_t = 8000)]
    size: usize,
    /// Receive buffer of the slow subscriber, in bytes
    #[arg(long, default_value_t = 4096)]
    receive_buffer: usize,
}

impl Slow {
    /// One run. Its figures go to the record it returns.
    fn once(&self, bench: &Bench, slow: bool) -> Result<(Record, Option<Sluggard>), BenchError> {
        let mut engine = bench.engine()?;
        let channels = ["bench".to_owned()];
        load::ramp(&mut engine, self.subs, |_| channels.to_vec())?;
        let sluggard = if slow {
            Some(Sluggard::subscribe(engine.target(), &channels[0], self.receive_buffer)?)
        } else {
            None
        };
        // One connection, so that there is one order.
        let mut publisher = Publisher::http(&mut engine, 1, &channels, self.size, self.subs)?;
        load::linger(&mut engine, SETTLE)?;
        let before = Usage::of(bench.pids());
        let plan = Plan {
            rate: self.rate,
            warm_secs: WARM_SECS,
            secs: self.secs,
            give_up_backlog_secs: None,
        };
        let outcome = load::at_rate(&mut engine, &mut publisher, &plan, bench.pids())?;
        let mut record = Record::new("", 0, String::new());
        put_outcome(&mut record, &engine, &outcome);
        record.put_count("subscribers_left", engine.tally.open);
        if let Some((before, after)) = before.zip(outcome.taken.server) {
            let growth = after.rss_kb as f64 - before.rss_kb as f64;
            record.put("slow_rss_growth_mb", growth / 1024.0);
        }
        Ok((record, sluggard))
    }
}

impl Measure for Slow {
    fn case(&self) -> String {
        format!("slow subs={} rate={} size={}", self.subs, self.rate, self.size)
    }

    fn check(&self) -> Result<(), BenchError> {
        bounds::conns("--subs", self.subs)?;
        bounds::secs("--secs", self.secs)?;
        bounds::rate("--rate", self.rate)?;
        bounds::size(self.size)?;
        match self.receive_buffer {
            1024..=1_048_576 => Ok(()),
            _ => Err(BenchError::Arguments(
                "--receive-buffer must be from 1024 to 1048576 bytes".to_owned(),
            )),
        }
    }

    fn connections(&self) -> usize {
        self.subs + 2
    }

    fn measure(&self, bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
        let (without, _) = self.once(bench, false)?;
        std::thread::sleep(PAUSE);
        let (with, sluggard) = self.once(bench, true)?;
        for quantile in ["p50", "p99"] {
            let name = format!("{quantile}_ms");
            let times = without.number(&name).zip(with.number(&name));
            let (before, after) = times.unwrap_or((f64::NAN, f64::NAN));
            record.put(&format!("without_{name}"), before);
            record.put(&format!("{quantile}_ratio"), after / before);
        }
        if let Some(sluggard) = sluggard {
            let told = sluggard.read_at_last();
            record.put_count("slow_messages", told.messages);
            if let Some(code) = told.code {
                record.put_count("slow_close_code", code);
            }
            record.put_count("slow_told", told.words);
        }
        record.append(with);
        Ok(())
    }
}
