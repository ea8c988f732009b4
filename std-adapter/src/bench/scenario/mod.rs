//! The scenarios, one a subcommand.

mod bounds;
mod churn;
mod fanout;
mod idle;
mod many;
mod publish;
mod ready;
mod saturate;
mod slow;

use std::time::Duration;

use clap::{Args, Subcommand};

use super::compare::ReportArgs;
use super::engine::Engine;
use super::error::BenchError;
use super::load::Outcome;
use super::process;
use super::report::Record;
use super::server::ServerArgs;

/// How long connections rest between being opened and being used.
const SETTLE: Duration = Duration::from_millis(500);
/// How long a run publishes before it measures.
const WARM_SECS: f64 = 1.0;

/// Put load on a Pusher-compatible server and measure it.
#[derive(Debug, Args)]
#[command(after_help = "The defaults are the development app of `tidings serve`. Examples:
  tidings bench fanout --subs 1000 --rate 100 --secs 8 --size 128
  tidings bench idle --conns 10000 --pid \"$(pgrep -n tidings)\"
  tidings bench publish --port 6001 --json")]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// Open many connections and watch the server hold them
    Idle(On<idle::Idle>),
    /// One channel, many subscribers, a fixed rate of publishes
    Fanout(On<fanout::Fanout>),
    /// HTTP publishes as fast as they go, with no subscriber and then with one
    Publish(On<publish::Publish>),
    /// The highest rate of fan-out without loss and with p99 in bounds
    Saturate(On<saturate::Saturate>),
    /// Many channels with a few subscribers each
    Many(On<many::Many>),
    /// Connect, subscribe and close, again and again
    Churn(On<churn::Churn>),
    /// Healthy subscribers, without and with one beside them that never reads
    Slow(On<slow::Slow>),
    /// Wait until a client can connect, and tell how long that took
    Ready(On<ready::Ready>),
    /// Medians of many --json results as a Markdown table
    Report(ReportArgs),
}

/// A scenario and the server it goes to.
#[derive(Debug, Args)]
struct On<S: Args> {
    #[command(flatten)]
    scenario: S,
    #[command(flatten)]
    server: ServerArgs,
}

/// A scenario with its arguments.
trait Measure {
    /// The scenario and its parameters on one line; runs with the same line can be compared.
    fn case(&self) -> String;

    /// Refuses arguments that are out of bounds, before anything is opened.
    fn check(&self) -> Result<(), BenchError>;

    /// The most connections that are open at once.
    fn connections(&self) -> usize;

    /// Carries it out and notes the figures in `record`.
    fn measure(&self, bench: &Bench, record: &mut Record) -> Result<(), BenchError>;
}

/// What every scenario needs to begin.
#[derive(Debug)]
struct Bench {
    server: ServerArgs,
}

impl Bench {
    fn engine(&self) -> Result<Engine, BenchError> {
        Engine::new(self.server.target()?, self.server.output.spin)
    }

    fn pids(&self) -> &[u32] {
        &self.server.pid
    }
}

impl BenchArgs {
    /// Carries out the scenario; the result is text for standard output.
    ///
    /// # Errors
    /// Arguments out of bounds, a server that is not there or refuses, and failures of the system.
    pub(super) fn run(&self) -> Result<String, BenchError> {
        match &self.scenario {
            Scenario::Idle(on) => on.run(),
            Scenario::Fanout(on) => on.run(),
            Scenario::Publish(on) => on.run(),
            Scenario::Saturate(on) => on.run(),
            Scenario::Many(on) => on.run(),
            Scenario::Churn(on) => on.run(),
            Scenario::Slow(on) => on.run(),
            Scenario::Ready(on) => on.run(),
            Scenario::Report(args) => args.run(),
        }
    }
}

impl<S: Args + Measure> On<S> {
    fn run(&self) -> Result<String, BenchError> {
        self.scenario.check()?;
        self.server.target()?;
        process::make_room(self.scenario.connections(), &self.server.pid)?;
        let output = &self.server.output;
        let mut record = Record::new(&output.label, output.round, self.scenario.case());
        let bench = Bench { server: self.server.clone() };
        self.scenario.measure(&bench, &mut record)?;
        if output.json {
            let text = serde_json::to_string(&record).map_err(std::io::Error::from)?;
            return Ok(text + "\n");
        }
        Ok(record.table())
    }
}

/// Notes what a run at a fixed rate gave.
fn put_outcome(record: &mut Record, engine: &Engine, outcome: &Outcome) {
    let got = &engine.tally.received;
    record.put("delivered_per_s", outcome.delivered_per_s);
    record.put_times("", &got.latency);
    record.put_count("lost", got.lost(outcome.expected));
    record.put_count("repeated", got.repeated);
    record.put_count("reordered", got.reordered);
    if got.delivered > 0 {
        if let Some(server) = &outcome.taken.server {
            record.put("cpu_us_per_delivery", server.micros_each(got.delivered));
        }
        record.put("wire_bytes_per_delivery", got.bytes as f64 / got.delivered as f64);
    }
    record.put_count("published", outcome.published);
    record.put_count("rejected", outcome.rejected);
    record.put_count("http_reconnects", outcome.reconnects);
    record.put("request_p99_ms", outcome.request.millis(0.99));
    record.put("generator_late_p99_ms", outcome.late.millis(0.99));
    record.put_taken(&outcome.taken);
    put_errors(record, engine);
}

/// Notes what the server complained about.
fn put_errors(record: &mut Record, engine: &Engine) {
    record.put_count("protocol_errors", engine.tally.error_count);
    record.errors.clone_from(&engine.tally.errors);
}

#[cfg(test)]
mod tests;
