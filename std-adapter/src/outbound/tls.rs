//! Whom to trust.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// TLS 1.2 and 1.3, and the authorities whose certificates are trusted.
///
/// A certificate is always checked; one of a private authority, or a self-signed one, is trusted by giving its root
/// to [`Tls::with_roots`].
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

/// Why there is nothing to trust.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The roots have none that can be read.
    #[error(
        "there is no certificate in the given roots: they are PEM text with CERTIFICATE blocks"
    )]
    NoRoots,
    /// The system has none.
    #[error(
        "the system has no trusted certificates: install them (Debian: ca-certificates), set \
         SSL_CERT_FILE, or give roots"
    )]
    NoSystemRoots,
    /// A root cannot be read.
    #[error("a root certificate cannot be read: {0}")]
    Root(Box<str>),
}

impl Tls {
    /// Trusts the authorities that the system trusts.
    ///
    /// # Errors
    /// [`TlsError::NoSystemRoots`].
    pub fn system() -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(TlsError::NoSystemRoots);
        }
        Self::trusting(roots)
    }

    /// Trusts the authorities in this PEM text, and no others.
    ///
    /// # Errors
    /// [`TlsError`] when there is none in it, or one cannot be read.
    pub fn with_roots(pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let unreadable = |error: &dyn fmt::Display| TlsError::Root(error.to_string().into());
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| unreadable(&error))?;
            roots.add(certificate).map_err(|error| unreadable(&error))?;
        }
        if roots.is_empty() { Err(TlsError::NoRoots) } else { Self::trusting(roots) }
    }

    fn trusting(roots: RootCertStore) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Root(error.to_string().into()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_that_are_none_are_refused() {
        assert_eq!(Tls::with_roots(b"").unwrap_err(), TlsError::NoRoots);
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(Tls::with_roots(broken), Err(TlsError::Root(_))));
    }
}
