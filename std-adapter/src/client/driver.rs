//! The task: connections, one after the other.

use std::sync::Arc;
use std::time::Duration;

use tidings_core::pusher::Advice;
use tidings_core::reconnect::{Next, Reconnect};
use tidings_core::time::Instant;

use super::ClientBuilder;
use super::error::ClientError;
use super::event::State;
use super::session::Session;
use super::shared::Shared;
use super::table::Random;
use super::{connect, session};

/// Runs until the application closes the client or the server sends it away for good.
pub(super) async fn run(shared: Arc<Shared>, mut options: ClientBuilder) {
    // However the task ends, the subscriptions end with it.
    let end = End(Arc::clone(&shared));
    let clock = Clock::start();
    let mut reconnect = Reconnect::new();
    let error = loop {
        shared.state.send_replace(State::Connecting);
        let ended = attempt(&shared, &options, clock, &mut reconnect).await;
        let Some((advice, error)) = ended else { break None };
        let next = reconnect.ended(clock.now(), advice, Random::number());
        let Next::After { delay, tls } = next else { break Some(error) };
        shared.interrupted();
        if tls {
            options.target.use_tls();
        }
        let delay = Duration::from_millis(delay.as_millis());
        tracing::debug!(%error, ?delay, "the client's connection has ended");
        shared.state.send_replace(State::Waiting { error, delay });
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = closing(&shared) => break None,
        }
    };
    shared.stop(error);
    drop(end);
}

/// One connection, from the first packet to the last. `None` when the application closed the client.
async fn attempt(
    shared: &Arc<Shared>,
    options: &ClientBuilder,
    clock: Clock,
    reconnect: &mut Reconnect,
) -> Option<(Advice, ClientError)> {
    let connected = tokio::select! {
        connected = connect::connect(&options.target, options.times.connect) => connected,
        () = closing(shared) => return None,
    };
    let stream = match connected {
        Ok(stream) => stream,
        Err(error) => return Some((Advice::BackOff, error)),
    };
    Session::new(shared, options, clock, stream).run(reconnect).await
}

/// Waits until the application closes the client.
async fn closing(shared: &Shared) {
    while !shared.lock().closing {
        shared.wake.notified().await;
    }
}

/// The task's time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(tokio::time::Instant);

impl Clock {
    fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    pub(super) fn now(self) -> Instant {
        Instant::from_millis(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// The moment on tokio's clock, not too early.
    pub(super) fn at(self, moment: Instant) -> tokio::time::Instant {
        // Milliseconds are rounded down on the way here.
        let span = Duration::from_millis(moment.as_millis().saturating_add(1));
        self.0.checked_add(span).unwrap_or(self.0 + session::LONG)
    }
}

struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        if !self.0.lock().stopped {
            self.0.stop(None);
        }
    }
}
