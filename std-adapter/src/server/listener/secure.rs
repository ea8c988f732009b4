//! The TLS that new connections get: as the files have it now.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::certificates::{self, CertificateError};
use crate::config::ServerConfig;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What begins each TLS connection, exchanged when the files change, or which files they are.
#[derive(Debug)]
pub(crate) struct Secure(Mutex<Now>);

#[derive(Debug, Clone)]
struct Now {
    /// It names the files.
    config: Arc<ServerConfig>,
    tls: Arc<rustls::ServerConfig>,
    /// The files as they were when they were last read, well or not.
    seen: Vec<Stamp>,
}

/// Certificates that have been read and are not yet in use.
#[derive(Debug)]
pub(crate) struct PreparedCertificates(Now);

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
        let PreparedCertificates(now) = Self::prepare(config)?;
        Ok(Arc::new(Self(Mutex::new(now))))
    }

    /// Reads the certificates that a configuration names.
    pub(crate) fn prepare(config: &ServerConfig) -> Result<PreparedCertificates, CertificateError> {
        let (config, seen) = (Arc::new(config.clone()), stamps(config));
        let tls = certificates::load(&config)?;
        Ok(PreparedCertificates(Now { config, tls, seen }))
    }

    /// Uses certificates for connections that begin from now on.
    pub(crate) fn put(&self, PreparedCertificates(prepared): PreparedCertificates) {
        *self.lock() = prepared;
        tracing::info!("certificates read anew");
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a connection that begins now.
    pub(super) fn config(&self) -> Arc<rustls::ServerConfig> {
        self.lock().tls.clone()
    }

    /// Reads the files anew. Connections that live keep what they have; when the files are not good, new
    /// ones get what there was.
    pub(crate) fn reload(&self) -> Result<(), CertificateError> {
        let config = self.lock().config.clone();
        let seen = stamps(&config);
        let loaded = certificates::load(&config);
        let mut now = self.lock();
        // Other files may have taken their place meanwhile.
        if Arc::ptr_eq(&now.config, &config) {
            now.seen = seen;
            now.tls = loaded?;
            tracing::info!("certificates read anew");
        }
        Ok(())
    }

    fn has_changed(&self) -> bool {
        let Now { config, seen, .. } = self.lock().clone();
        stamps(&config) != seen
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
