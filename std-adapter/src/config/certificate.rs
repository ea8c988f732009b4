//! A certificate by its files.

use std::path::PathBuf;

use super::ServerConfig;

/// A certificate and its key, for the names of one site.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificate {
    /// A PEM file with the certificate, and after it those that lead to its authority.
    pub cert: PathBuf,
    /// A PEM file with the private key, without a passphrase.
    pub key: PathBuf,
    /// The names that a client may ask for, such as `ws.example.com` or `*.example.com`. With none it is those
    /// that the certificate states.
    pub names: Vec<Box<str>>,
}

impl Certificate {
    /// A certificate for the names that it states itself.
    #[must_use]
    pub fn new(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { cert: cert.into(), key: key.into(), names: Vec::new() }
    }
}

impl ServerConfig {
    /// Whether there is a certificate, so that TLS can be spoken.
    pub(crate) fn has_certificates(&self) -> bool {
        (self.tls_cert.is_some() && self.tls_key.is_some()) || !self.certificates.is_empty()
    }
}
