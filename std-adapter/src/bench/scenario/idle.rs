//! Many connections that do nothing.

use std::time::Duration;

use clap::Args;

use super::super::error::BenchError;
use super::super::load;
use super::super::process::{Meter, Usage};
use super::super::report::Record;
use super::super::schedule::SECOND;
use super::{Bench, Measure, SETTLE, bounds, put_errors};

#[derive(Debug, Args)]
pub(super) struct Idle {
    /// Connections
    #[arg(long, default_value_t = 10_000)]
    conns: usize,
    /// Channels of its own that each connection subscribes to
    #[arg(long, default_value_t = 0)]
    channels_per_conn: usize,
    /// Seconds to hold them
    #[arg(long, visible_alias = "hold", default_value_t = 10.0)]
    secs: f64,
}

impl Measure for Idle {
    fn case(&self) -> String {
        format!("idle conns={} channels={}", self.conns, self.channels_per_conn)
    }

    fn check(&self) -> Result<(), BenchError> {
        bounds::conns("--conns", self.conns)?;
        bounds::secs("--secs", self.secs)?;
        if self.channels_per_conn > 100 {
            let text = "--channels-per-conn must be at most 100".to_owned();
            return Err(BenchError::Arguments(text));
        }
        Ok(())
    }

    fn connections(&self) -> usize {
        self.conns
    }

    fn measure(&self, bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
        let mut engine = bench.engine()?;
        let before = Usage::of(bench.pids());
        let opening = Meter::start(bench.pids());
        let channels = self.channels_per_conn;
        let ramp = load::ramp(&mut engine, self.conns, |conn| {
            (0..channels).map(|channel| format!("idle-{conn}-{channel}")).collect()
        })?;
        let opened = opening.stop();
        record.put("connects_per_s", self.conns as f64 / ramp.secs);
        let times = if channels == 0 { &engine.tally.connect } else { &engine.tally.ready };
        record.put("connect_p50_ms", times.millis(0.5));
        record.put("connect_p99_ms", times.millis(0.99));
        if let Some(server) = &opened.server {
            record.put("cpu_us_per_connect", server.micros_each(self.conns as u64));
        }
        load::linger(&mut engine, SETTLE * 2)?;
        engine.begin("holding", Some((self.secs * SECOND as f64) as u64));
        let holding = Meter::start(bench.pids());
        let closed = load::linger(&mut engine, Duration::from_secs_f64(self.secs))?;
        let held = holding.stop();
        if let Some((before, after)) = before.zip(held.server) {
            record.put("rss_before_mb", before.rss_kb as f64 / 1024.0);
            let growth = after.rss_kb as f64 - before.rss_kb as f64;
            record.put("rss_kb_per_conn", growth / self.conns as f64);
            record.put("idle_cpu_pct", after.pct);
            record.put_count("threads", before.threads);
        }
        record.put_count("closed_while_idle", closed);
        record.put_taken(&held);
        put_errors(record, &engine);
        Ok(())
    }
}
