//! Many channels with a few subscribers each.

use clap::Args;

use super::super::error::BenchError;
use super::super::load::{self, Plan};
use super::super::publisher::Publisher;
use super::super::report::Record;
use super::{Bench, Measure, SETTLE, WARM_SECS, bounds, put_outcome};

#[derive(Debug, Args)]
pub(super) struct Many {
    /// Channels
    #[arg(long, default_value_t = 1000)]
    channels: usize,
    /// Subscribers of each channel, one connection each
    #[arg(long, default_value_t = 10)]
    subs_per_channel: usize,
    /// Messages published a second, to the channels in turn
    #[arg(long, default_value_t = 1000.0)]
    rate: f64,
    /// Seconds to measure, after one of warm-up
    #[arg(long, default_value_t = 10.0)]
    secs: f64,
    /// Bytes of event data
    #[arg(long, default_value_t = 128)]
    size: usize,
    /// Keep-alive connections that publish
    #[arg(long, default_value_t = 4)]
    http_conns: usize,
}

impl Measure for Many {
    fn case(&self) -> String {
        let Self { channels, subs_per_channel, rate, size, .. } = self;
        format!(
            "many channels={channels} subs_per_channel={subs_per_channel} rate={rate} size={size}"
        )
    }

    fn check(&self) -> Result<(), BenchError> {
        bounds::conns("--channels", self.channels)?;
        bounds::conns("--subs-per-channel", self.subs_per_channel)?;
        bounds::conns("--channels times --subs-per-channel", self.subscribers())?;
        bounds::conns("--http-conns", self.http_conns)?;
        bounds::secs("--secs", self.secs)?;
        bounds::rate("--rate", self.rate)?;
        bounds::size(self.size)
    }

    fn connections(&self) -> usize {
        self.subscribers() + self.http_conns
    }

    fn measure(&self, bench: &Bench, record: &mut Record) -> Result<(), BenchError> {
        let mut engine = bench.engine()?;
        let name = |channel: usize| format!("room-{channel}");
        load::ramp(&mut engine, self.subscribers(), |conn| vec![name(conn % self.channels)])?;
        let channels: Vec<String> = (0..self.channels).map(name).collect();
        let (conns, each) = (self.http_conns, self.subs_per_channel);
        let mut publisher = Publisher::http(&mut engine, conns, &channels, self.size, each)?;
        load::linger(&mut engine, SETTLE)?;
        let plan = Plan {
            rate: self.rate,
            warm_secs: WARM_SECS,
            secs: self.secs,
            give_up_backlog_secs: None,
        };
        let outcome = load::at_rate(&mut engine, &mut publisher, &plan, bench.pids())?;
        put_outcome(record, &engine, &outcome);
        record.put_count("subscribers_left", engine.tally.open);
        Ok(())
    }
}

impl Many {
    const fn subscribers(&self) -> usize {
        self.channels.saturating_mul(self.subs_per_channel)
    }
}
