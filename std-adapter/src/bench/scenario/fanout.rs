//! One channel, many subscribers, a fixed rate.

use clap::{Args, ValueEnum};

use super::super::engine::Engine;
use super::super::error::BenchError;
use super::super::load::{self, Plan};
use super::super::publisher::Publisher;
use super::super::report::Record;
use super::{Bench, Measure, SETTLE, WARM_SECS, bounds, put_outcome};

/// How messages get to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Publishers {
    /// Requests to the HTTP API
    Http,
    /// Client events of one more subscriber of a private channel
    ClientEvent,
}

#[derive(Debug, Args)]
pub(super) struct Fanout {
    /// Subscribers of the one channel
    #[arg(long, default_value_t = 1000)]
    subs: usize,
    /// Messages published a second
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Seconds to measure, after one of warm-up
    #[arg(long, default_value_t = 10.0)]
    secs: f64,
    /// Bytes of event data
    #[arg(long, default_value_t = 128)]
    size: usize,
    /// How messages get to the server
    #[arg(long, value_enum, default_value_t = Publishers::Http)]
    publishers: Publishers,
    /// Keep-alive connections that publish; with more than one, the server may see messages in another order
    #[arg(long, default_value_t = 4)]
    http_conns: usize,
}

impl Fanout {
    const fn channel(&self) -> &'static str {
        match self.publishers {
            Publishers::Http => "bench",
            Publishers::ClientEvent => "private-bench",
        }
    }

    fn publisher(&self, engine: &mut Engine) -> Result<Publisher, BenchError> {
        let channel = self.channel().to_owned();
        match self.publishers {
            Publishers::Http => {
                Publisher::http(engine, self.http_conns, &[channel], self.size, self.subs)
            }
            Publishers::ClientEvent => {
                let ramp = load::ramp(engine, 1, |_| vec![channel.clone()])?;
                Ok(Publisher::client_event(ramp.ids[0], &channel, self.size, self.subs))
            }
        }
    }
}

impl Measure for Fanout {
    fn case(&self) -> String {
        let via = match self.publishers {
            Publishers::Http => "http",
            Publishers::ClientEvent => "client-event",
        };
        format!("fanout subs={} rate={} size={} via={via}", self.subs, self.rate, self.size)
    }

    fn check(&self) -> Result<(), BenchError> {
        bounds::conns("--subs", self.subs)?;
        bounds::conns("--http-conns", self.http_conns)?;
        bounds::secs("--secs", self.secs)?;
        bounds::rate("--rate", self.rate)?;
        bounds::size(self.size)
    }

    fn connections(&self) -> usize {
        self.subs + self.http_conns
    }

    fn measure(&self, bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
        let mut engine = bench.engine()?;
        load::ramp(&mut engine, self.subs, |_| vec![self.channel().to_owned()])?;
        let mut publisher = self.publisher(&mut engine)?;
        load::linger(&mut engine, SETTLE)?;
        let plan = Plan {
            rate: self.rate,
            warm_secs: WARM_SECS,
            secs: self.secs,
            give_up_backlog_secs: None,
        };
        let outcome = load::at_rate(&mut engine, &mut publisher, &plan, bench.pids())?;
        put_outcome(record, &engine, &outcome);
        let publishing = usize::from(self.publishers == Publishers::ClientEvent);
        record.put_count("subscribers_left", engine.tally.open.saturating_sub(publishing));
        Ok(())
    }
}
