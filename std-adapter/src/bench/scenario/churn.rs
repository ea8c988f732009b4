//! Clients that come and go.

use clap::Args;

use super::super::engine::{Engine, Note};
use super::super::error::BenchError;
use super::super::process::Meter;
use super::super::report::Record;
use super::super::schedule::SECOND;
use super::{Bench, Measure, bounds, put_errors};

/// Channels that the clients share.
const CHANNELS: u64 = 100;
/// How long the last clients may take to end.
const DRAIN: u64 = 3 * SECOND;

#[derive(Debug, Args)]
pub(super) struct Churn {
    /// Clients a second; 0: as many as --inflight allows
    #[arg(long, default_value_t = 0.0)]
    rate: f64,
    /// Clients at once
    #[arg(long, default_value_t = 32)]
    inflight: usize,
    /// Seconds to measure
    #[arg(long, default_value_t = 5.0)]
    secs: f64,
}

/// How far the clients came.
#[derive(Debug, Default)]
struct Cycles {
    opened: u64,
    ready: u64,
    finished: u64,
    broken: u64,
}

impl Churn {
    /// How many clients should have been opened after `elapsed`.
    fn wanted(&self, elapsed: u64) -> u64 {
        if self.rate == 0.0 {
            u64::MAX
        } else {
            (elapsed as f64 / SECOND as f64 * self.rate) as u64
        }
    }

    fn cycle(&self, engine: &mut Engine) -> Result<Cycles, BenchError> {
        let mut cycles = Cycles::default();
        let start = engine.now();
        let span = (self.secs * SECOND as f64) as u64;
        engine.begin("coming and going", Some(span));
        let stop = start + span;
        loop {
            let now = engine.now();
            if now >= stop && (engine.tally.open == 0 || now >= stop + DRAIN) {
                return Ok(cycles);
            }
            let wanted = self.wanted(now - start);
            while now < stop && engine.tally.open < self.inflight && cycles.opened < wanted {
                engine.open_subscriber(vec![format!("churn-{}", cycles.opened % CHANNELS)])?;
                cycles.opened += 1;
            }
            engine.step(now + SECOND / 1000)?;
            for note in engine.take_notes() {
                match note {
                    Note::Ready(id) => {
                        cycles.ready += 1;
                        engine.close(id)?;
                    }
                    Note::Closed { expected: true, .. } => {
                        cycles.finished += u64::from(engine.now() < stop);
                    }
                    Note::Closed { expected: false, .. } => cycles.broken += 1,
                    Note::Established(_) | Note::Answer { .. } => {}
                }
            }
        }
    }
}

impl Measure for Churn {
    fn case(&self) -> String {
        if self.rate == 0.0 {
            format!("churn inflight={}", self.inflight)
        } else {
            format!("churn rate={} inflight={}", self.rate, self.inflight)
        }
    }

    fn check(&self) -> Result<(), BenchError> {
        bounds::conns("--inflight", self.inflight)?;
        bounds::secs("--secs", self.secs)?;
        if self.rate == 0.0 { Ok(()) } else { bounds::rate("--rate", self.rate) }
    }

    fn connections(&self) -> usize {
        self.inflight
    }

    fn measure(&self, bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
        let mut engine = bench.engine()?;
        let meter = Meter::start(bench.pids());
        let cycles = self.cycle(&mut engine)?;
        let taken = meter.stop();
        record.put("cycles_per_s", cycles.finished as f64 / self.secs);
        record.put("ready_p50_ms", engine.tally.ready.millis(0.5));
        record.put("ready_p99_ms", engine.tally.ready.millis(0.99));
        if let Some(server) = &taken.server {
            record.put("cpu_us_per_cycle", server.micros_each(cycles.ready));
        }
        record.put_count("broken", cycles.broken);
        record.put_count("unfinished", engine.tally.open);
        record.put_taken(&taken);
        put_errors(record, &engine);
        Ok(())
    }
}
