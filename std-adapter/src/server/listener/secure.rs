//! The TLS that new connections get: as the files have it now.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::certificates::{self, CertificateError};
use crate::config::ServerConfig;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What begins each TLS connection, exchanged when the files change.
#[derive(Debug)]
pub(crate) struct Secure {
    config: ServerConfig,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    tls: Arc<rustls::ServerConfig>,
    /// The files as they were when they were last read, well or not.
    seen: Vec<Stamp>,
}

/// What tells one state of a file from another, without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp(PathBuf, Option<(u64, SystemTime, u64)>);

impl Stamp {
    fn of(path: PathBuf) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(&path).ok();
        let stamp = metadata.and_then(|m| Some((m.len(), m.modified().ok()?, m.ino())));
        Self(path, stamp)
    }
}

impl Secure {
    pub(crate) fn load(config: &ServerConfig) -> Result<Arc<Self>, CertificateError> {
        let seen = stamps(config);
        let tls = certificates::load(config)?;
        Ok(Arc::new(Self { config: config.clone(), now: Mutex::new(Now { tls, seen }) }))
    }

    /// For a connection that begins now.
    pub(super) fn config(&self) -> Arc<rustls::ServerConfig> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).tls.clone()
    }

    /// Reads the files anew. Connections that live keep what they have; when the files are not good, new
    /// ones get what there was.
    pub(crate) fn reload(&self) -> Result<(), CertificateError> {
        let seen = stamps(&self.config);
        let loaded = certificates::load(&self.config);
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.seen = seen;
        now.tls = loaded?;
        tracing::info!("certificates read anew");
        Ok(())
    }

    fn has_changed(&self) -> bool {
        let seen = stamps(&self.config);
        self.now.lock().unwrap_or_else(PoisonError::into_inner).seen != seen
    }

    /// Reads the files when they have changed, until the server ends.
    pub(super) async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            let looking = Arc::clone(&self);
            // A file may lie on a slow disk, and a shard must not wait for that.
            let looked = tokio::task::spawn_blocking(move || {
                if looking.has_changed() { looking.reload() } else { Ok(()) }
            });
            if let Ok(Err(error)) = looked.await {
                tracing::error!(%error, "the certificates stay as they were");
            }
        }
    }
}

fn stamps(config: &ServerConfig) -> Vec<Stamp> {
    certificates::files(config).into_iter().map(Stamp::of).collect()
}

/// Reads the certificates that a configuration names, if it names some.
///
/// # Errors
/// [`CertificateError`] names the file and what is wrong with it.
#[cfg(feature = "cli")]
pub(crate) fn check(config: &ServerConfig) -> Result<(), CertificateError> {
    if config.has_certificates() { certificates::load(config).map(drop) } else { Ok(()) }
}
