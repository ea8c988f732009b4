//! A connection to the bus, whichever it is.

use super::url::BackplaneUrl;
#[cfg(any(feature = "nats", feature = "redis"))]
use super::url::Kind;
use bytes::Bytes;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How long connecting may take.
pub(super) const CONNECT: Duration = Duration::from_secs(3);

/// Frames from the bus that may wait to be taken in.
const MAX_INBOX: usize = 4096;

/// What comes from the bus.
#[derive(Debug)]
pub(super) enum Incoming {
    Frame(Bytes),
    /// The connection is of no use any more.
    Lost(String),
}

/// A connection; its tasks end with it.
pub(super) struct Connection {
    out: mpsc::UnboundedSender<Bytes>,
    inbox: mpsc::Receiver<Incoming>,
    _tasks: JoinSet<()>,
}

/// The ends of a connection that its tasks hold.
pub(super) struct Ends {
    pub(super) out: mpsc::UnboundedReceiver<Bytes>,
    pub(super) inbox: mpsc::Sender<Incoming>,
}

impl Connection {
    /// A connection without tasks, and what they need.
    pub(super) fn new(tasks: impl FnOnce(Ends, &mut JoinSet<()>)) -> Self {
        let (out, out_end) = mpsc::unbounded_channel();
        let (inbox_end, inbox) = mpsc::channel(MAX_INBOX);
        let mut joined = JoinSet::new();
        tasks(Ends { out: out_end, inbox: inbox_end }, &mut joined);
        Self { out, inbox, _tasks: joined }
    }

    pub(super) fn send(&self, frame: Bytes) {
        let _ = self.out.send(frame); // the loss is told by the inbox
    }

    /// What comes next. Cancel-safe.
    pub(super) async fn next(&mut self) -> Incoming {
        let lost = || Incoming::Lost("the connection has ended".into());
        self.inbox.recv().await.unwrap_or_else(lost)
    }

    /// What is there already.
    pub(super) fn try_next(&mut self) -> Option<Incoming> {
        self.inbox.try_recv().ok()
    }
}

/// Connects and subscribes to the topic.
pub(super) async fn connect(url: &BackplaneUrl, topic: &str) -> Result<Connection, String> {
    tokio::time::timeout(CONNECT, connect_to(url, topic))
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {CONNECT:?}")))
}

#[cfg(any(feature = "nats", feature = "redis"))]
async fn connect_to(url: &BackplaneUrl, topic: &str) -> Result<Connection, String> {
    match url.kind {
        #[cfg(feature = "nats")]
        Kind::Nats => Box::pin(super::nats::connect(url, topic)).await,
        #[cfg(feature = "redis")]
        Kind::Redis | Kind::RedisCluster | Kind::RedisSentinel => {
            Box::pin(super::redis::connect(url, topic)).await
        }
        #[cfg(not(all(feature = "nats", feature = "redis")))]
        _ => Err("the program was built without it".into()),
    }
}

#[cfg(not(any(feature = "nats", feature = "redis")))]
async fn connect_to(_: &BackplaneUrl, _: &str) -> Result<Connection, String> {
    Err("the program was built without any".into())
}
