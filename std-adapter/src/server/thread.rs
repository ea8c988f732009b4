//! Threads of the server.

use std::io;
use std::thread::JoinHandle;
use tokio::runtime::Runtime;

/// A thread with a single-threaded runtime.
#[derive(Debug)]
pub(super) struct Thread(JoinHandle<()>);

impl Thread {
    /// Begins to do `work`.
    pub(super) fn spawn(
        name: String,
        work: impl FnOnce(&Runtime) + Send + 'static,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            work(&runtime);
            // A name that is still being resolved is of no interest any more.
            runtime.shutdown_background();
        })?;
        Ok(Self(thread))
    }

    /// Waits for its end.
    pub(super) fn join(self) {
        let name = self.0.thread().name().map(ToOwned::to_owned);
        if self.0.join().is_err() {
            tracing::error!(thread = name, "a thread has panicked");
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}
