//! Certificates from files: read, checked, chosen by the name that a client asks for.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};
use thiserror::Error;

use crate::config::{Certificate, ServerConfig};

/// Why certificates cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file holds no certificate.
    #[error(
        "`{}` holds no certificate: it must be PEM text with CERTIFICATE blocks, the server's own first",
        path.display()
    )]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A file holds no key.
    #[error("`{}` holds no private key: it must be PEM text with a PRIVATE KEY block", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// A key has a passphrase.
    #[error(
        "the key in `{}` is encrypted, which is not supported: write it without a passphrase, as by \
         `openssl pkey -in KEY -out PLAIN`, and let only the server read it",
        path.display()
    )]
    EncryptedKey {
        /// The file.
        path: PathBuf,
    },
    /// Key and certificate are not of each other.
    #[error("the key in `{}` does not belong to the certificate in `{}`", key.display(), cert.display())]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// What a file holds cannot be used.
    #[error("`{}` cannot be used: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: Box<str>,
    },
    /// A listener is to speak TLS, and there is nothing to prove who it is.
    #[error("there is no certificate for TLS: set `tls_cert` and `tls_key`")]
    None,
}

/// The certificates by name; the first is for who asks for none, or for one that is not there.
struct Certificates {
    first: Arc<CertifiedKey>,
    /// By the whole name, in lower case.
    exact: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// By what follows the star and its dot.
    wildcard: HashMap<Box<str>, Arc<CertifiedKey>>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("names", &self.exact.keys()).finish_non_exhaustive()
    }
}

impl Certificates {
    fn add(&mut self, name: &str, certified: &Arc<CertifiedKey>) {
        let name = name.to_ascii_lowercase();
        // Of two certificates for a name the earlier one counts.
        match name.strip_prefix("*.") {
            Some(rest) => self.wildcard.entry(rest.into()).or_insert_with(|| certified.clone()),
            None => self.exact.entry(name.into()).or_insert_with(|| certified.clone()),
        };
    }

    fn choose(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let Some(name) = name.map(str::to_ascii_lowercase) else { return self.first.clone() };
        let found = self.exact.get(&*name).or_else(|| {
            let (_, rest) = name.split_once('.')?; // a star is one label
            self.wildcard.get(rest)
        });
        found.unwrap_or(&self.first).clone()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.choose(hello.server_name()))
    }
}

/// What files are to be looked at.
pub(super) fn files(config: &ServerConfig) -> Vec<PathBuf> {
    let pairs = config.certificates.iter().flat_map(|pair| [&pair.cert, &pair.key]);
    let own = [&config.tls_cert, &config.tls_key, &config.tls_client_ca];
    own.into_iter().flatten().chain(pairs).cloned().collect()
}

/// Reads all certificates that a configuration names, and makes of them what a connection begins with.
///
/// # Errors
/// [`CertificateError`] names the file and what is wrong with it.
pub(super) fn load(config: &ServerConfig) -> Result<Arc<rustls::ServerConfig>, CertificateError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let own = config.tls_cert.iter().zip(&config.tls_key);
    let own = own.map(|(cert, key)| Certificate::new(cert, key));
    let mut found: Option<Certificates> = None;
    for pair in own.chain(config.certificates.iter().cloned()) {
        let certified = Arc::new(certified(&pair, &provider)?);
        let certificates = found.get_or_insert_with(|| Certificates {
            first: certified.clone(),
            exact: HashMap::new(),
            wildcard: HashMap::new(),
        });
        if pair.names.is_empty() {
            for name in names(&pair, &certified)? {
                certificates.add(&name, &certified);
            }
        }
        for name in &pair.names {
            certificates.add(name, &certified);
        }
    }
    let certificates = found.ok_or(CertificateError::None)?;
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap_or_else(|error| unreachable!("the provider has ciphers of both versions: {error}"));
    let builder = match &config.tls_client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots(path)?.into(), provider);
            let verifier = verifier.build().map_err(|error| unusable(path, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut tls = builder.with_cert_resolver(Arc::new(certificates));
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Sessions are resumed from what the clients keep, so that all that come back at once cost no memory.
    match rustls::crypto::ring::Ticketer::new() {
        Ok(ticketer) => tls.ticketer = ticketer,
        Err(error) => tracing::warn!(%error, "TLS sessions are not resumed"),
    }
    Ok(Arc::new(tls))
}

fn unusable(path: &Path, error: &dyn fmt::Display) -> CertificateError {
    CertificateError::Unusable { path: path.into(), reason: error.to_string().into() }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    std::fs::read(path).map_err(|source| CertificateError::Read { path: path.into(), source })
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let pem = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|error| unusable(path, &error))?;
    if chain.is_empty() {
        return Err(CertificateError::NoCertificate { path: path.into() });
    }
    Ok(chain)
}

fn roots(path: &Path) -> Result<RootCertStore, CertificateError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(path)? {
        roots.add(certificate).map_err(|error| unusable(path, &error))?;
    }
    Ok(roots)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let pem = read(path)?;
    let has = |text: &[u8]| pem.windows(text.len()).any(|window| window == text);
    if has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED") {
        return Err(CertificateError::EncryptedKey { path: path.into() });
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => {
            CertificateError::NoKey { path: path.into() }
        }
        other => unusable(path, &other),
    })
}

fn certified(
    pair: &Certificate,
    provider: &rustls::crypto::CryptoProvider,
) -> Result<CertifiedKey, CertificateError> {
    let (chain, key) = (chain(&pair.cert)?, key(&pair.key)?);
    let signing = provider.key_provider.load_private_key(key);
    let certified = CertifiedKey::new(chain, signing.map_err(|error| unusable(&pair.key, &error))?);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(CertificateError::Mismatch { cert: pair.cert.clone(), key: pair.key.clone() })
        }
        Err(error) => Err(unusable(&pair.cert, &error)),
    }
}

/// The names that a certificate is for.
fn names(pair: &Certificate, certified: &CertifiedKey) -> Result<Vec<String>, CertificateError> {
    let own = certified.end_entity_cert().map_err(|error| unusable(&pair.cert, &error))?;
    let own = webpki::EndEntityCert::try_from(own).map_err(|error| unusable(&pair.cert, &error))?;
    Ok(own.valid_dns_names().map(str::to_owned).collect())
}
