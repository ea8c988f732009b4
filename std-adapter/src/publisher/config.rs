//! The options of a publisher.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tidings_core::auth::{MasterKey, SigningKey};

use super::{Inner, Publisher};
use crate::outbound::http::HttpClient;
use crate::outbound::{Tls, TlsError, authority, path_prefix};

/// Collects the options of a [`Publisher`].
#[derive(Clone)]
#[must_use]
pub struct PublisherBuilder {
    app_id: String,
    key: String,
    signing: SigningKey,
    host: String,
    port: u16,
    secure: bool,
    tls: Option<Tls>,
    path_prefix: String,
    master_key: Option<MasterKey>,
    connect: Duration,
    patience: Duration,
    retries: u32,
}

/// What is wrong with the options of a publisher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublisherConfigError {
    /// Host and port make no address.
    #[error("{address} is no address of a server: give a host name or an IP address, and a port")]
    Address {
        /// What they make.
        address: Box<str>,
    },
    /// The app's id or key is empty.
    #[error("the app's {0} is empty")]
    Empty(&'static str),
    /// There is nobody to trust.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl fmt::Debug for PublisherBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = authority(&self.host, self.port);
        f.debug_struct("PublisherBuilder").field("address", &address).finish_non_exhaustive()
    }
}

impl PublisherBuilder {
    pub(super) fn new(app_id: String, key: String, signing: SigningKey) -> Self {
        Self {
            app_id,
            key,
            signing,
            host: "127.0.0.1".into(),
            port: 6001,
            secure: false,
            tls: None,
            path_prefix: String::new(),
            master_key: None,
            connect: Duration::from_secs(5),
            patience: Duration::from_secs(20),
            retries: 2,
        }
    }

    /// The server's name or address, and its port (default 127.0.0.1, 6001: a tidings server on this machine).
    pub fn host(mut self, host: impl Into<String>, port: u16) -> Self {
        self.host = host.into();
        self.port = port;
        self
    }

    /// Pusher's own service in this cluster, such as `eu`.
    pub fn cluster(mut self, cluster: &str) -> Self {
        self.host = format!("api-{cluster}.pusher.com");
        self.port = 443;
        self.secure = true;
        self
    }

    /// Whether to use TLS, trusting the authorities that the system trusts.
    pub const fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Uses TLS, and says whom to trust.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.secure = true;
        self.tls = Some(tls);
        self
    }

    /// A path that the server has before `/apps/…`, such as `/ws`.
    pub fn path_prefix(mut self, prefix: &str) -> Self {
        self.path_prefix = path_prefix(prefix);
        self
    }

    /// The key that the secrets of encrypted channels are made from. No server knows it.
    pub fn encryption_master_key(mut self, key: MasterKey) -> Self {
        self.master_key = Some(key);
        self
    }

    /// How long one attempt may take, the answer included (default 20 seconds).
    pub const fn timeout(mut self, span: Duration) -> Self {
        self.patience = span;
        self
    }

    /// How long a connection may take to be made (default 5 seconds).
    pub const fn connect_timeout(mut self, span: Duration) -> Self {
        self.connect = span;
        self
    }

    /// How often a request is sent again where that is safe (default twice).
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// The publisher. It connects with the first request.
    ///
    /// # Errors
    /// [`PublisherConfigError`].
    pub fn build(self) -> Result<Publisher, PublisherConfigError> {
        for (name, value) in [("id", &self.app_id), ("key", &self.key)] {
            if value.is_empty() {
                return Err(PublisherConfigError::Empty(name));
            }
        }
        let host = authority(&self.host, self.port);
        let scheme = if self.secure { "https" } else { "http" };
        let base = format!("{scheme}://{host}{}", self.path_prefix);
        let well_formed = base.parse::<Uri>().is_ok_and(|uri| uri.query().is_none());
        if self.host.is_empty() || self.port == 0 || !well_formed {
            return Err(PublisherConfigError::Address { address: host.into() });
        }
        let tls = match self.tls {
            None if self.secure => Some(Tls::system()?),
            tls => tls,
        };
        Ok(Publisher(Arc::new(Inner {
            host: host.into(),
            base,
            app_id: self.app_id,
            key: self.key,
            signing: self.signing,
            master_key: self.master_key,
            http: HttpClient::new(tls.as_ref(), self.connect, usize::MAX),
            patience: self.patience,
            retries: self.retries,
        })))
    }
}
