//! The highest rate of fan-out that a server sustains.

use clap::Args;

use super::super::engine::Engine;
use super::super::error::BenchError;
use super::super::load::{self, Outcome, Plan};
use super::super::publisher::Publisher;
use super::super::report::Record;
use super::{Bench, Measure, SETTLE, bounds, put_outcome};

/// From one rate to the next until a step fails.
const UP: f64 = 1.6;
/// From one rate to the next until a step holds.
const DOWN: f64 = 4.0;
/// Halvings of the last gap.
const BISECTIONS: usize = 4;
/// A step fails when so many seconds of publishes wait.
const BACKLOG_SECS: f64 = 0.5;
const WARM_SECS: f64 = 0.5;

#[derive(Debug, Args)]
pub(super) struct Saturate {
    /// Subscribers of the one channel
    #[arg(long, default_value_t = 1000)]
    subs: usize,
    /// Bytes of event data
    #[arg(long, default_value_t = 128)]
    size: usize,
    /// Seconds of each step
    #[arg(long, default_value_t = 4.0)]
    secs: f64,
    /// Deliveries a second of the first step
    #[arg(long, default_value_t = 50_000.0)]
    from: f64,
    /// A step fails when p99 passes this many milliseconds
    #[arg(long, default_value_t = 100.0)]
    p99_ms: f64,
    /// Keep-alive connections that publish
    #[arg(long, default_value_t = 16)]
    http_conns: usize,
}

/// The steps of one search.
struct Search<'b> {
    plan: &'b Saturate,
    bench: &'b Bench,
    /// With its subscribers, unless a failed step may have left queues or closed connections behind.
    engine: Option<Engine>,
}

impl Search<'_> {
    fn engine(&mut self) -> Result<Engine, BenchError> {
        if let Some(engine) = self.engine.take() {
            return Ok(engine);
        }
        let mut engine = self.bench.engine()?;
        load::ramp(&mut engine, self.plan.subs, |_| vec!["bench".to_owned()])?;
        load::linger(&mut engine, SETTLE)?;
        Ok(engine)
    }

    /// One bad step may be the machine's fault, so a rate fails only when it fails twice.
    fn step(&mut self, rate: f64) -> Result<Option<Record>, BenchError> {
        match self.try_step(rate)? {
            None => self.try_step(rate),
            held => Ok(held),
        }
    }

    fn try_step(&mut self, rate: f64) -> Result<Option<Record>, BenchError> {
        let Saturate { subs, size, secs, http_conns, .. } = *self.plan;
        let mut engine = self.engine()?;
        let channels = ["bench".to_owned()];
        let mut publisher = Publisher::http(&mut engine, http_conns, &channels, size, subs)?;
        let plan =
            Plan { rate, warm_secs: WARM_SECS, secs, give_up_backlog_secs: Some(BACKLOG_SECS) };
        (engine.tally.errors, engine.tally.error_count) = (Vec::new(), 0);
        let outcome = load::at_rate(&mut engine, &mut publisher, &plan, self.bench.pids())?;
        let held = self.held(&engine, &outcome);
        let mut record = Record::new("", 0, String::new());
        put_outcome(&mut record, &engine, &outcome);
        publisher.hang_up(&mut engine);
        if held {
            self.engine = Some(engine);
            return Ok(Some(record));
        }
        load::linger(&mut engine, SETTLE * 2)?;
        Ok(None)
    }

    fn held(&self, engine: &Engine, outcome: &Outcome) -> bool {
        let got = &engine.tally.received;
        !outcome.gave_up
            && outcome.published > 0
            && got.lost(outcome.expected) == 0
            && outcome.rejected == 0
            && engine.tally.open == self.plan.subs
            && got.latency.millis(0.99) <= self.plan.p99_ms
    }
}

impl Measure for Saturate {
    fn case(&self) -> String {
        format!("saturate subs={} size={}", self.subs, self.size)
    }

    fn check(&self) -> Result<(), BenchError> {
        bounds::conns("--subs", self.subs)?;
        bounds::conns("--http-conns", self.http_conns)?;
        bounds::secs("--secs", self.secs)?;
        bounds::rate("--from divided by --subs", self.from / self.subs as f64)?;
        if !(1.0..=10_000.0).contains(&self.p99_ms) {
            return Err(BenchError::Arguments("--p99-ms must be from 1 to 10000".to_owned()));
        }
        bounds::size(self.size)
    }

    fn connections(&self) -> usize {
        self.subs + 2 * self.http_conns
    }

    fn measure(&self, bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
        let mut search = Search { plan: self, bench, engine: None };
        let mut rate = self.from / self.subs as f64;
        // Down until a step holds, then up until one fails, then between the two.
        let mut best = loop {
            if let Some(figures) = search.step(rate)? {
                break figures;
            }
            rate /= DOWN;
            if rate < 0.01 {
                let text = "no rate could be sustained".to_owned();
                return Err(BenchError::Server(text));
            }
        };
        let mut bad = rate * UP;
        while let Some(figures) = search.step(bad)? {
            (rate, best) = (bad, figures);
            bad *= UP;
            bounds::rate("the next rate", bad)?;
        }
        for _ in 0..BISECTIONS {
            let middle = f64::midpoint(rate, bad);
            match search.step(middle)? {
                Some(figures) => (rate, best) = (middle, figures),
                None => bad = middle,
            }
        }
        record.put("deliveries_per_s", rate * self.subs as f64);
        record.put("publishes_per_s", rate);
        record.append(best);
        Ok(())
    }
}
