//! Questions to the hub: who and what is in the channels.

use super::mail::{Channel, Mail};
use super::{CachedEvent, Hub, Missed, Occupancy};
use crate::app::App;
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

impl Hub {
    fn channel(&self, app: &Arc<App>, name: &str) -> Channel {
        let app = app.index();
        let hash = self.hash(app, name.as_bytes());
        Channel { app, hash, name: Bytes::copy_from_slice(name.as_bytes()) }
    }

    pub(crate) async fn occupancy(&self, app: &Arc<App>, channel: &str) -> Occupancy {
        let channel = self.channel(app, channel);
        let (reply, answer) = oneshot::channel();
        self.send(self.home_of(channel.hash), Mail::Occupancy { channel, reply });
        answer.await.unwrap_or_default()
    }

    /// What a cache channel holds for whoever subscribes next.
    pub(crate) async fn cached(&self, app: &Arc<App>, channel: &str) -> Option<CachedEvent> {
        let channel = self.channel(app, channel);
        let (reply, answer) = oneshot::channel();
        self.send(self.home_of(channel.hash), Mail::Cached { channel, reply });
        answer.await.unwrap_or_default()
    }

    /// At most `limit` kept events of a channel: the first after `from`, or the latest.
    pub(crate) async fn history(
        &self,
        app: &Arc<App>,
        channel: &str,
        from: Option<&str>,
        limit: usize,
    ) -> Option<Missed> {
        let channel = self.channel(app, channel);
        let (reply, answer) = oneshot::channel();
        let home = self.home_of(channel.hash);
        self.send(home, Mail::History { channel, from: from.map(Into::into), limit, reply });
        answer.await.ok()
    }

    /// The occupied channels whose names begin with `prefix`, sorted by name.
    pub(crate) async fn channels(
        &self,
        app: &Arc<App>,
        prefix: &str,
    ) -> Vec<(Box<str>, Occupancy)> {
        let app = app.index();
        let (reply, mut answers) = mpsc::unbounded_channel();
        for shard in 0..self.shards() {
            self.send(shard, Mail::Channels { app, prefix: prefix.into(), reply: reply.clone() });
        }
        drop(reply);
        let mut channels = Vec::new();
        while let Some(some) = answers.recv().await {
            channels.extend(some);
        }
        channels.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        channels
    }

    /// The users in a presence channel, sorted.
    pub(crate) async fn users(&self, app: &Arc<App>, channel: &str) -> Vec<Box<str>> {
        let channel = self.channel(app, channel);
        let (reply, answer) = oneshot::channel();
        self.send(self.home_of(channel.hash), Mail::Users { channel, reply });
        let mut users = answer.await.unwrap_or_default();
        users.sort_unstable();
        users
    }
}
