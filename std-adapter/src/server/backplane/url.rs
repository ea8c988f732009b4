//! Where the bus is, as it is configured.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The address of the Redis or NATS servers that connect several servers. Its credentials are not shown by `Debug`.
///
/// | URL | server |
/// |---|---|
/// | `redis://[user:password@]host[:6379][/db]` | Redis 7 or Valkey; `rediss://` with TLS |
/// | `redis-cluster://[user:password@]host:port,host:port` | any node of a Redis cluster; `rediss-cluster://` with TLS |
/// | `redis-sentinel://[user:password@]host:26379,host:26379/master` | the master that the sentinels name |
/// | `nats://[user:password@ or token@]host[:4222],host` | NATS; `tls://` with TLS |
///
/// ```
/// let url: tidings::BackplaneUrl = "redis://:a-password@10.0.0.7".parse()?;
/// assert_eq!(format!("{url:?}"), "redis://***@10.0.0.7");
/// # Ok::<(), tidings::BackplaneError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct BackplaneUrl {
    pub(super) kind: Kind,
    pub(super) tls: bool,
    /// What is before the `@`, as it was written.
    pub(super) credentials: Option<Box<str>>,
    /// `host` or `host:port`, one or more.
    pub(super) hosts: Box<[Box<str>]>,
    /// What is behind the host: the number of a database, or the name of a master.
    pub(super) path: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Redis,
    RedisCluster,
    RedisSentinel,
    Nats,
}

/// Why a text names no backplane.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BackplaneError {
    /// It does not begin as any of the known ones.
    #[error(
        "a backplane is redis://HOST, rediss://, redis-cluster://, redis-sentinel://HOST,HOST/MASTER, nats://HOST or tls://HOST"
    )]
    Scheme,
    /// There is no host, or an empty one.
    #[error("the backplane's URL names no host")]
    Host,
    /// Sentinels need the name of a master.
    #[error("name the master that the sentinels watch: redis-sentinel://HOST:26379/MASTER")]
    Master,
    /// The database is no number.
    #[error("the database of the backplane's URL must be a number, as in redis://HOST/0")]
    Database,
    /// The program was built without it.
    #[error("this program was built without the feature `{0}`")]
    NotBuilt(&'static str),
}

impl FromStr for BackplaneUrl {
    type Err = BackplaneError;

    fn from_str(text: &str) -> Result<Self, BackplaneError> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(BackplaneError::Scheme)?;
        let (kind, tls) = match scheme {
            "redis" | "valkey" => (Kind::Redis, false),
            "rediss" | "valkeys" => (Kind::Redis, true),
            "redis-cluster" => (Kind::RedisCluster, false),
            "rediss-cluster" => (Kind::RedisCluster, true),
            "redis-sentinel" | "redis+sentinel" => (Kind::RedisSentinel, false),
            "rediss-sentinel" | "rediss+sentinel" => (Kind::RedisSentinel, true),
            "nats" => (Kind::Nats, false),
            "tls" | "nats+tls" => (Kind::Nats, true),
            _ => return Err(BackplaneError::Scheme),
        };
        if kind == Kind::Nats && !cfg!(feature = "nats") {
            return Err(BackplaneError::NotBuilt("nats"));
        }
        if kind != Kind::Nats && !cfg!(feature = "redis") {
            return Err(BackplaneError::NotBuilt("redis"));
        }
        let (credentials, rest) = match rest.rsplit_once('@') {
            Some((credentials, rest)) => (Some(credentials.into()), rest),
            None => (None, rest),
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let hosts: Box<[Box<str>]> = hosts.split(',').map(Into::into).collect();
        if hosts.iter().any(|host| host.is_empty() || host.starts_with(':')) {
            return Err(BackplaneError::Host);
        }
        let path = path.split('?').next().unwrap_or_default();
        match kind {
            Kind::RedisSentinel if path.is_empty() => return Err(BackplaneError::Master),
            Kind::Redis if !path.is_empty() && path.parse::<u32>().is_err() => {
                return Err(BackplaneError::Database);
            }
            _ => {}
        }
        Ok(Self { kind, tls, credentials, hosts, path: path.into() })
    }
}

impl BackplaneUrl {
    const fn scheme(&self) -> &'static str {
        match (self.kind, self.tls) {
            (Kind::Redis, false) => "redis",
            (Kind::Redis, true) => "rediss",
            (Kind::RedisCluster, false) => "redis-cluster",
            (Kind::RedisCluster, true) => "rediss-cluster",
            (Kind::RedisSentinel, false) => "redis-sentinel",
            (Kind::RedisSentinel, true) => "rediss-sentinel",
            (Kind::Nats, false) => "nats",
            (Kind::Nats, true) => "tls",
        }
    }

    /// Whether it brings the messages of all who publish in one order to all: one server of Redis does. A server of NATS
    /// and the nodes of a Redis cluster keep the order of each publisher.
    pub(in crate::server) const fn is_ordered(&self) -> bool {
        matches!(self.kind, Kind::Redis | Kind::RedisSentinel)
    }

    /// User and password as they are meant, without percent signs; either may be empty.
    #[cfg(any(feature = "nats", feature = "redis"))]
    pub(super) fn user_and_password(&self) -> Option<(String, String)> {
        let decode = |text| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into();
        let credentials = self.credentials.as_deref()?;
        Some(match credentials.split_once(':') {
            Some((user, password)) => (decode(user), decode(password)),
            None => (decode(credentials), String::new()),
        })
    }
}

impl fmt::Debug for BackplaneUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The URL without what is secret in it.
impl fmt::Display for BackplaneUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme())?;
        if self.credentials.is_some() {
            f.write_str("***@")?;
        }
        f.write_str(&self.hosts.join(","))?;
        if !self.path.is_empty() {
            write!(f, "/{}", self.path)?;
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "nats", feature = "redis"))]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_read_and_secrets_are_not_shown() {
        for (text, shown) in [
            ("redis://127.0.0.1", "redis://127.0.0.1"),
            ("rediss://u:p%40ss@r.example:6380/3", "rediss://***@r.example:6380/3"),
            ("redis-cluster://a:7000,b:7001", "redis-cluster://a:7000,b:7001"),
            ("redis-sentinel://:pw@a:26379,b/mymaster", "redis-sentinel://***@a:26379,b/mymaster"),
            ("nats://token@n1,n2:4223", "nats://***@n1,n2:4223"),
            ("tls://n", "tls://n"),
        ] {
            let url: BackplaneUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }

    #[test]
    fn credentials_are_decoded() {
        let url: BackplaneUrl = "redis://u:p%40s:s@h".parse().unwrap();
        assert_eq!(url.user_and_password(), Some(("u".into(), "p@s:s".into())));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let error = |text: &str| text.parse::<BackplaneUrl>().unwrap_err();
        assert_eq!(error("kafka://x"), BackplaneError::Scheme);
        assert_eq!(error("localhost:6379"), BackplaneError::Scheme);
        assert_eq!(error("redis://"), BackplaneError::Host);
        assert_eq!(error("nats://a,,b"), BackplaneError::Host);
        assert_eq!(error("redis-sentinel://a:26379"), BackplaneError::Master);
        assert_eq!(error("redis://a/main"), BackplaneError::Database);
    }
}
