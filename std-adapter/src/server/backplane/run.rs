//! The thread that keeps a link and its bus going.

use super::bus::{Connection, Incoming, connect};
use super::link::Link;
use super::node::HubNode;
use super::{BackplaneUrl, Outlet, Told, View};
use crate::server::handle::Thread;
use crate::server::hub::Hub;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The first pause before connecting again, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// What shards tell or the bus brings that is taken at once.
const MAX_BATCH: usize = 1024;

/// The thread, as seen from the server's handle.
pub(in crate::server) struct Runner {
    thread: Thread,
    stop: oneshot::Sender<()>,
}

impl Runner {
    pub(in crate::server) fn spawn(
        hub: Hub,
        outlet: Outlet,
        url: BackplaneUrl,
    ) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let thread = Thread::spawn("tidings-backplane".into(), move |runtime| {
            runtime.block_on(run(hub, outlet, url, stopped));
        })?;
        Ok(Self { thread, stop })
    }

    /// Says goodbye to the other nodes and ends the thread.
    pub(in crate::server) fn stop(self) -> Thread {
        let _ = self.stop.send(()); // it has ended by itself
        self.thread
    }
}

type Connecting = Pin<Box<dyn Future<Output = Result<Connection, String>> + Send>>;

/// The bus: there, or being connected to.
enum Bus {
    There(Connection),
    Away(Connecting),
}

impl Bus {
    fn away(url: &BackplaneUrl, topic: &str, pause: Duration) -> Self {
        let (url, topic) = (url.clone(), topic.to_owned());
        Self::Away(Box::pin(async move {
            tokio::time::sleep(pause).await;
            connect(&url, &topic).await
        }))
    }
}

/// What the loop is woken by.
enum Woken {
    Told,
    Connected(Result<Connection, String>),
    Came(Incoming),
    Tick,
    /// The apps have changed.
    Apps,
    Stop,
}

/// A link with its bus.
struct Line {
    link: Link,
    view: Arc<View>,
    node: HubNode,
    bus: Bus,
    url: BackplaneUrl,
    topic: String,
    /// Attempts to connect that have failed since the bus was there.
    failures: u32,
}

async fn run(hub: Hub, mut outlet: Outlet, url: BackplaneUrl, mut stopped: oneshot::Receiver<()>) {
    let (topic, lease) = {
        let config = hub.config();
        (format!("{}:nodes", config.backplane_prefix), config.backplane_lease)
    };
    let view = Arc::clone(&outlet.view);
    let mut line = Line {
        view: Arc::clone(&view),
        link: Link::new(view, lease, Instant::now()),
        node: HubNode::new(hub.clone(), &outlet),
        bus: Bus::away(&url, &topic, Duration::ZERO),
        url,
        topic,
        failures: 0,
    };
    let mut told = Vec::new();
    let mut changes = hub.app_changes();
    loop {
        let woken = tokio::select! {
            Ok(()) = changes.changed() => Woken::Apps,
            woken = line.wait(&mut outlet, &mut told, &mut stopped) => woken,
        };
        match woken {
            Woken::Told => line.link.tell(&mut told, Instant::now(), &mut line.node),
            Woken::Connected(Ok(connection)) => line.connected(connection),
            Woken::Connected(Err(error)) | Woken::Came(Incoming::Lost(error)) => line.lost(&error),
            Woken::Came(Incoming::Frame(frame)) => line.take(frame),
            Woken::Tick => line.tick(),
            Woken::Apps => line.link.ask_all(Instant::now(), &mut line.node),
            Woken::Stop => break,
        }
        line.flush();
    }
    // What was told last, such as which webhooks have been sent.
    while let Ok(last) = outlet.told.try_recv() {
        told.push(last);
    }
    line.link.tell(&mut told, Instant::now(), &mut line.node);
    line.link.bye(&mut line.node);
    line.flush();
    // The goodbye needs a moment to go out; without it the others wait for the lease.
    tokio::time::sleep(Duration::from_millis(20)).await;
}

impl Line {
    /// Waits for something to do. What shards tell is put into `told`.
    async fn wait(
        &mut self,
        outlet: &mut Outlet,
        told: &mut Vec<Told>,
        stopped: &mut oneshot::Receiver<()>,
    ) -> Woken {
        let next_tick = tokio::time::sleep_until(self.link.next_tick().into());
        let came = async {
            match &mut self.bus {
                Bus::There(connection) => Woken::Came(connection.next().await),
                Bus::Away(connecting) => Woken::Connected(connecting.await),
            }
        };
        tokio::select! {
            _ = stopped => Woken::Stop,
            came = came => came,
            count = outlet.told.recv_many(told, MAX_BATCH) => {
                if count == 0 { Woken::Stop } else { Woken::Told }
            }
            () = next_tick => Woken::Tick,
        }
    }

    fn connected(&mut self, connection: Connection) {
        tracing::info!(backplane = %self.url, "connected to the backplane");
        (self.bus, self.failures) = (Bus::There(connection), 0);
        self.link.connected(Instant::now(), &mut self.node);
    }

    fn lost(&mut self, error: &str) {
        self.link.disconnected(error, &mut self.node);
        self.node.out.clear(); // it is kept where it is to be sent again
        if self.failures.is_multiple_of(10) {
            tracing::warn!(backplane = %self.url, %error, "the backplane is away; serving alone");
        }
        self.bus = Bus::away(&self.url, &self.topic, pause(self.failures));
        self.failures = self.failures.saturating_add(1);
    }

    /// Takes in a frame and those that have come with it.
    fn take(&mut self, frame: bytes::Bytes) {
        let now = Instant::now();
        self.link.receive(&frame, now, &mut self.node);
        self.view.count_frames(0, 1);
        for _ in 0..MAX_BATCH {
            let Bus::There(connection) = &mut self.bus else { return };
            match connection.try_next() {
                Some(Incoming::Frame(frame)) => {
                    self.link.receive(&frame, now, &mut self.node);
                    self.view.count_frames(0, 1);
                }
                Some(Incoming::Lost(error)) => return self.lost(&error),
                None => return,
            }
        }
    }

    fn tick(&mut self) {
        if !self.link.tick(Instant::now(), &mut self.node) {
            self.lost("what was sent does not come back");
        }
    }

    fn flush(&mut self) {
        if let Bus::There(connection) = &self.bus {
            self.view.count_frames(self.node.out.len() as u64, 0);
            self.node.out.drain(..).for_each(|frame| connection.send(frame));
        }
    }
}

/// The pause before the next attempt: doubling, with a quarter of it left to chance.
fn pause(failures: u32) -> Duration {
    let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(MAX_PAUSE);
    let chance = f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX);
    pause.mul_f64(0.75 + chance / 4.0)
}
