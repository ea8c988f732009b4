//! One look at all shards.

use super::histogram::Histogram;
use super::http::Requests;
use super::traffic::TrafficCounts;
use crate::server::hub::Hub;
use crate::server::hub::mail::Mail;
use hashbrown::HashMap;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a shard may take to answer before it is left out.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the tables hold of one app, on this node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AppGauges {
    pub(crate) connections: u64,
    pub(crate) subscriptions: u64,
    /// Channels with subscribers.
    pub(crate) channels: u64,
    /// Subscriptions of presence channels.
    pub(crate) presence_members: u64,
    /// Users in presence channels, each once for each channel.
    pub(crate) presence_users: u64,
    /// Bytes that wait for slow sockets.
    pub(crate) queue_bytes: u64,
    /// The most that waits for one of them.
    pub(crate) queue_bytes_max: u64,
}

impl AppGauges {
    fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        self.subscriptions += other.subscriptions;
        self.channels += other.channels;
        self.presence_members += other.presence_members;
        self.presence_users += other.presence_users;
        self.queue_bytes += other.queue_bytes;
        self.queue_bytes_max = self.queue_bytes_max.max(other.queue_bytes_max);
    }
}

/// What one shard tells, or all of them together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    /// By the app's place.
    pub(crate) gauges: HashMap<u32, AppGauges>,
    /// By the app's place.
    pub(crate) traffic: HashMap<u32, TrafficCounts>,
    /// Some kilobytes, so that what waits for it stays small.
    pub(crate) requests: Box<Requests>,
    /// From the acceptance of an event to its write to the sockets of a shard.
    pub(crate) delivery: Histogram,
    /// Shards that have not answered.
    pub(crate) missing: u16,
}

impl Measured {
    /// The gauges of an app, to be added to.
    pub(crate) fn app(&mut self, app: u32) -> &mut AppGauges {
        self.gauges.entry(app).or_default()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (app, more) in &other.gauges {
            self.app(*app).add(more);
        }
        for (app, more) in &other.traffic {
            self.traffic.entry(*app).or_default().add(more);
        }
        self.requests.add(&other.requests);
        self.delivery.add(&other.delivery);
    }
}

impl Hub {
    /// Asks every shard of this node; one that does not answer in a second is left out.
    pub(crate) async fn measure(&self) -> Measured {
        let (reply, mut answers) = mpsc::unbounded_channel();
        for shard in 0..self.shards() {
            self.send(shard, Mail::Measure { reply: reply.clone() });
        }
        drop(reply);
        let mut all = Measured { missing: self.shards(), ..Measured::default() };
        let gathered = tokio::time::timeout(PATIENCE, async {
            while let Some(measured) = answers.recv().await {
                all.add(&measured);
                all.missing = all.missing.saturating_sub(1);
            }
        });
        let _ = gathered.await; // what is missing is counted
        all.requests.add(&self.meters().requests());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Apps;
    use crate::config::ServerConfig;

    #[tokio::test(start_paused = true)]
    async fn a_shard_that_does_not_answer_is_left_out_after_a_second() {
        let apps = Apps::development();
        let (hub, mut mail, _facts) = Hub::new(apps, ServerConfig::default(), 2, None);
        let mut answering = mail.remove(0);
        let begun = tokio::time::Instant::now();
        let (measured, ()) = tokio::join!(hub.measure(), async {
            let Some(Mail::Measure { reply }) = answering.recv().await else { panic!("no mail") };
            let mut measured = Measured::default();
            measured.app(0).connections = 7;
            reply.send(measured).unwrap();
        });
        assert_eq!((measured.missing, measured.gauges[&0].connections), (1, 7));
        assert_eq!(begun.elapsed().as_secs(), 1);
    }

    #[tokio::test]
    async fn after_the_end_of_the_shards_nobody_waits() {
        let apps = Apps::development();
        let (hub, mail, _facts) = Hub::new(apps, ServerConfig::default(), 2, None);
        drop(mail);
        assert_eq!(hub.measure().await.missing, 2);
    }
}
