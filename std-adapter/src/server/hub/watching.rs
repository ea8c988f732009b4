//! What the hub shows to who watches the server live.

use super::mail::Mail;
use super::{Hub, Seen};
use crate::app::App;
use crate::server::attempts::Attempts;
use crate::server::metrics::TrafficCounts;
use crate::server::tap::{Tap, Watch};
use std::sync::Arc;
use tokio::sync::mpsc;

impl AsRef<Tap> for Hub {
    fn as_ref(&self) -> &Tap {
        self.tap()
    }
}

impl Hub {
    /// Where events are shown to those who watch.
    pub(crate) fn tap(&self) -> &Tap {
        &self.0.tap
    }

    /// Begins to watch events; `None` when too many do.
    pub(crate) fn watch(&self) -> Option<Watch<Self>> {
        self.tap().watch(self.clone())
    }

    /// Guesses at the password of who may watch.
    pub(crate) fn attempts(&self) -> &Attempts {
        &self.0.attempts
    }

    /// What went through the sockets of an app on this node, since it started.
    pub(crate) async fn traffic(&self, app: &App) -> TrafficCounts {
        let (reply, mut answers) = mpsc::unbounded_channel();
        for shard in 0..self.shards() {
            self.send(shard, Mail::Traffic { app: app.index(), reply: reply.clone() });
        }
        drop(reply);
        let mut all = TrafficCounts::default();
        while let Some(some) = answers.recv().await {
            all.add(&some);
        }
        all
    }

    /// The `most` connections of an app to this node that began last, the newest first.
    pub(crate) async fn newest(&self, app: &Arc<App>, most: usize) -> Vec<Seen> {
        let app = app.index();
        let (reply, mut answers) = mpsc::unbounded_channel();
        for shard in 0..self.shards() {
            self.send(shard, Mail::Newest { app, most, reply: reply.clone() });
        }
        drop(reply);
        let mut newest = Vec::new();
        while let Some(some) = answers.recv().await {
            newest.extend(some);
        }
        newest.sort_unstable_by_key(|seen: &Seen| (seen.seconds, seen.socket_id));
        newest.truncate(most);
        newest
    }
}
