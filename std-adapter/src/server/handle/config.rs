//! A configuration in place of another, while the server runs.

use super::{Running, ServerHandle};
use crate::config::{ConfigChanges, ServerConfig};
use crate::server::listener::{CertificateError, PreparedCertificates, Secure};
use std::sync::{MutexGuard, PoisonError};
use thiserror::Error;

/// Why a configuration is not put in force.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReconfigureError {
    /// A certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// A configuration that can be put in force.
pub(crate) struct Reconfiguration<'h> {
    running: &'h Running,
    /// Two at once would each take back what the other does.
    _alone: MutexGuard<'h, ()>,
    next: ServerConfig,
    changes: ConfigChanges,
    certificates: Option<PreparedCertificates>,
}

impl ServerHandle {
    /// Puts a configuration in force, as far as a running server can. No connection is dropped.
    ///
    /// Bounds, rates, times, origins, proxies, the path prefix, and the settings of webhooks, feeds, console and
    /// metrics hold at once, where they are about connections for those that are there too. Two things a connection
    /// keeps from its beginning: [`activity_timeout`](ServerConfig::activity_timeout), which was announced to it, and
    /// [`max_message_bytes`](ServerConfig::max_message_bytes). The files of certificates are read for connections to
    /// come, if TLS is spoken. What the server listens on, its threads and its backplane stay as they are, and are
    /// named among those that [wait](ConfigChanges::waiting).
    ///
    /// With certificates it waits for the disk.
    ///
    /// # Errors
    /// [`ReconfigureError`]; nothing is changed then.
    pub fn reconfigure(&self, config: &ServerConfig) -> Result<ConfigChanges, ReconfigureError> {
        Ok(self.prepare(config)?.apply())
    }

    /// Does all of [`reconfigure`](Self::reconfigure) that can fail.
    pub(crate) fn prepare(
        &self,
        config: &ServerConfig,
    ) -> Result<Reconfiguration<'_>, ReconfigureError> {
        let running = &*self.0;
        let alone = running.reconfiguring.lock().unwrap_or_else(PoisonError::into_inner);
        let has_tls = running.secure.is_some() && config.has_certificates();
        let certificates = has_tls.then(|| Secure::prepare(config)).transpose()?;
        let (next, changes) = running.hub.config().adopting(config, has_tls);
        Ok(Reconfiguration { running, _alone: alone, next, changes, certificates })
    }
}

impl Reconfiguration<'_> {
    /// Puts it in force.
    pub(crate) fn apply(self) -> ConfigChanges {
        if let (Some(secure), Some(certificates)) = (&self.running.secure, self.certificates) {
            secure.put(certificates);
        }
        if !self.changes.in_force.is_empty() {
            self.running.hub.reconfigure(self.next);
        }
        self.changes
    }
}
