//! Publishes as fast as they go.

use clap::Args;

use super::super::error::BenchError;
use super::super::load;
use super::super::process::Taken;
use super::super::publisher::Publisher;
use super::super::report::Record;
use super::{Bench, Measure, SETTLE, bounds, put_errors};

#[derive(Debug, Args)]
pub(super) struct Publish {
    /// Keep-alive connections, each with one request in flight
    #[arg(long, default_value_t = 16)]
    conns: usize,
    /// Seconds to measure, with no subscriber and again with one
    #[arg(long, default_value_t = 5.0)]
    secs: f64,
    /// Bytes of event data
    #[arg(long, default_value_t = 128)]
    size: usize,
}

impl Measure for Publish {
    fn case(&self) -> String {
        format!("publish conns={} size={}", self.conns, self.size)
    }

    fn check(&self) -> Result<(), BenchError> {
        bounds::conns("--conns", self.conns)?;
        bounds::secs("--secs", self.secs)?;
        bounds::size(self.size)
    }

    fn connections(&self) -> usize {
        self.conns * 2 + 1
    }

    fn measure(&self, bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
        let mut engine = bench.engine()?;
        let channels = ["bench".to_owned()];
        let mut last = Taken::default();
        for subs in [0, 1] {
            // The answers to the last requests come in before anything else goes on.
            load::linger(&mut engine, SETTLE)?;
            if subs == 1 {
                load::ramp(&mut engine, 1, |_| channels.to_vec())?;
            }
            let mut publisher =
                Publisher::http(&mut engine, self.conns, &channels, self.size, subs)?;
            let pids = bench.pids();
            let out =
                load::as_fast_as_it_goes(&mut engine, &mut publisher, self.conns, self.secs, pids)?;
            let name = |what: &str| format!("subs{subs}_{what}");
            record.put(&name("requests_per_s"), out.done as f64 / out.secs);
            record.put(&name("p50_ms"), out.request.millis(0.5));
            record.put(&name("p99_ms"), out.request.millis(0.99));
            if let Some(server) = &out.taken.server {
                record.put(&name("cpu_us_per_request"), server.micros_each(out.done));
            }
            record.put_count(&name("failed"), out.failed);
            record.put_count(&name("http_reconnects"), out.reconnects);
            last = out.taken;
        }
        load::linger(&mut engine, SETTLE)?;
        record.put_taken(&last);
        put_errors(record, &engine);
        Ok(())
    }
}
