//! The options of a client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tidings_core::io::TxBuf;
use tidings_core::pusher::client::{ClientConfig, FixedClient};

use super::Client;
use super::authorize::Authorizer;
use super::connect::Proxy;
use super::error::ConfigError;
use super::mail::Bounds;
use super::table::Random;
use crate::outbound::{Tls, authority, path_prefix};

/// Collects the options of a [`Client`]; [`start`](Self::start) makes it run.
#[derive(Debug, Clone)]
#[must_use]
pub struct ClientBuilder {
    pub(super) target: Target,
    pub(super) authorizer: Option<Authorizer>,
    pub(super) bounds: Bounds,
    pub(super) times: Times,
}

/// Where to connect to and what to say there.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) secure: bool,
    pub(super) path_prefix: String,
    key: String,
    headers: Vec<(String, String)>,
    pub(super) tls: Option<Tls>,
    pub(super) proxy: Option<Proxy>,
    max_message: u32,
    activity_timeout_s: u16,
    pong_timeout_s: u16,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) connect: Duration,
    pub(super) authorize: Duration,
}

impl ClientBuilder {
    pub(super) fn new(key: String) -> Self {
        Self {
            target: Target {
                host: "127.0.0.1".into(),
                port: 6001,
                secure: false,
                path_prefix: String::new(),
                key,
                headers: Vec::new(),
                tls: None,
                proxy: None,
                max_message: 128 * 1024,
                activity_timeout_s: 0,
                pong_timeout_s: 0,
            },
            authorizer: None,
            bounds: Bounds { events: 1024, bytes: 1024 * 1024, members: 10_000 },
            times: Times { connect: Duration::from_secs(15), authorize: Duration::from_secs(15) },
        }
    }

    /// The server's name or address, and its port (default 127.0.0.1, 6001: a tidings server on this machine).
    pub fn host(mut self, host: impl Into<String>, port: u16) -> Self {
        self.target.host = host.into();
        self.target.port = port;
        self
    }

    /// A path that the server has before `/app/…`, such as `/ws`.
    pub fn path_prefix(mut self, prefix: &str) -> Self {
        self.target.path_prefix = path_prefix(prefix);
        self
    }

    /// Pusher's own service in this cluster, such as `eu`.
    pub fn cluster(mut self, cluster: &str) -> Self {
        self.target.host = format!("ws-{cluster}.pusher.com");
        self.target.port = 443;
        self.target.secure = true;
        self
    }

    /// Whether to use TLS, trusting the authorities that the system trusts. A server that takes TLS only (4000) is
    /// connected to with TLS in any case from then on, on port 443 in place of 80.
    pub const fn secure(mut self, secure: bool) -> Self {
        self.target.secure = secure;
        self
    }

    /// Uses TLS, and says whom to trust.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.target.secure = true;
        self.target.tls = Some(tls);
        self
    }

    /// Connects through an HTTP proxy, which is asked to `CONNECT`: `http://[USER:PASSWORD@]HOST[:PORT]`.
    ///
    /// # Errors
    /// [`ConfigError::Value`] when this is no such address.
    pub fn proxy(mut self, url: &str) -> Result<Self, ConfigError> {
        self.target.proxy = Some(Proxy::parse(url)?);
        Ok(self)
    }

    /// A further header of the opening request, such as `Origin`.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.target.headers.push((name.into(), value.into()));
        self
    }

    /// Who signs for private, presence and encrypted channels and for the sign-in. Without one such channels are
    /// rejected.
    pub fn authorizer(mut self, authorizer: Authorizer) -> Self {
        self.authorizer = Some(authorizer);
        self
    }

    /// How many events, and bytes of them, may wait in one subscription (default 1,024, 1 MiB). When the application
    /// does not read them the oldest make way for the newest, and [`Event::Missed`](super::Event::Missed) stands in
    /// their place.
    pub const fn queue(mut self, events: usize, bytes: usize) -> Self {
        self.bounds.events = if events == 0 { 1 } else { events };
        self.bounds.bytes = bytes;
        self
    }

    /// How many members of one presence channel are remembered (default 10,000).
    pub const fn max_members(mut self, members: usize) -> Self {
        self.bounds.members = members;
        self
    }

    /// The longest message in bytes (default 128 KiB). A longer one is skipped, which
    /// [`Notice::Skipped`](super::Notice::Skipped) tells.
    pub const fn max_message(mut self, bytes: u32) -> Self {
        self.target.max_message = bytes;
        self
    }

    /// After how long a silence to ask the server whether it is there, and how long to wait for its answer (default 120
    /// and 30 seconds). The server may ask for less silence. Whole seconds count.
    pub fn silence(mut self, activity: Duration, pong: Duration) -> Self {
        let seconds = |span: Duration| u16::try_from(span.as_secs().max(1)).unwrap_or(u16::MAX);
        self.target.activity_timeout_s = seconds(activity);
        self.target.pong_timeout_s = seconds(pong);
        self
    }

    /// How long one attempt may take until the transport is there (default 15 seconds). The opening handshake has 15
    /// seconds of its own.
    pub const fn connect_timeout(mut self, span: Duration) -> Self {
        self.times.connect = span;
        self
    }

    /// How long the authoriser may take for one answer (default 15 seconds). Then it is asked again.
    pub const fn authorize_timeout(mut self, span: Duration) -> Self {
        self.times.authorize = span;
        self
    }

    /// Starts the client: a task that connects, keeps the connection and makes a new one when it ends. It does not wait
    /// for the connection: [`Client::connected`] does.
    ///
    /// # Errors
    /// [`ConfigError`] when an option has a value that no server could make sense of.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(mut self) -> Result<Client, ConfigError> {
        self.target.check()?;
        if self.target.secure && self.target.tls.is_none() {
            self.target.tls = Some(Tls::system()?);
        }
        Ok(Client::spawn(self))
    }
}

impl fmt::Debug for Target {
    /// Headers may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.name()).finish()
    }
}

impl Target {
    /// Calls `with` with the core's form.
    pub(super) fn with<T>(&self, with: impl FnOnce(&ClientConfig<'_>) -> T) -> T {
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let mut config = ClientConfig::new(&self.host, self.port, &self.key, self.max_message)
            .secure(self.secure);
        config.path_prefix = &self.path_prefix;
        config.headers = &headers;
        config.activity_timeout_s = self.activity_timeout_s;
        config.pong_timeout_s = self.pong_timeout_s;
        with(&config)
    }

    /// Host and port, for errors.
    pub(super) fn name(&self) -> Arc<str> {
        authority(&self.host, self.port).into()
    }

    /// Follows a server that takes TLS only.
    pub(super) const fn use_tls(&mut self) {
        self.secure = true;
        if self.port == 80 {
            self.port = 443;
        }
    }

    /// Writes the opening request for nobody.
    fn check(&self) -> Result<(), ConfigError> {
        if self.port == 0 {
            let hint = "a server listens on a port from 1 to 65535";
            return Err(ConfigError::Value { option: "port", value: "0".into(), hint });
        }
        let mut client: FixedClient<&str, Random, 0> = FixedClient::new(Random, Default::default());
        let mut memory = vec![0; 64 * 1024];
        let mut tx = TxBuf::new(&mut memory);
        let now = tidings_core::time::Instant::default();
        match self.with(|config| client.open(config, now, &mut tx)) {
            Ok(()) => Ok(()),
            Err(tidings_core::error::SendError::Usage(error)) => Err(ConfigError::Request(error)),
            Err(_) => Err(ConfigError::Value {
                option: "headers",
                value: format!("{} fields", self.headers.len()).into(),
                hint: "the whole request has at most 64 KiB",
            }),
        }
    }
}
