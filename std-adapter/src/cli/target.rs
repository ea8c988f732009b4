//! Which server and app a command talks to: flags, then the environment, then the development app.

use std::path::PathBuf;

use crate::Tls;
use crate::client::{Client, ClientBuilder};
use crate::publisher::{Publisher, PublisherBuilder};

/// What every command's help says about the environment.
pub(super) const ENVIRONMENT: &str = "\
Environment, where a flag is not given: PUSHER_HOST, PUSHER_PORT, PUSHER_SCHEME (http or https),
PUSHER_APP_CLUSTER, PUSHER_APP_ID, PUSHER_APP_KEY, PUSHER_APP_SECRET. An empty variable is as good as
none. Without a key, and on this machine, it is the development app of `tidings serve`.";

/// The server and the app.
#[derive(Debug, Default, clap::Args)]
pub(super) struct TargetArgs {
    /// Name or address of the server [default: 127.0.0.1]
    #[arg(long, value_name = "HOST", help_heading = "Server and app")]
    host: Option<String>,
    /// Port of the server [default: 6001, with TLS 443]
    #[arg(long, value_name = "PORT", help_heading = "Server and app")]
    port: Option<u16>,
    /// Use TLS
    #[arg(long, help_heading = "Server and app")]
    tls: bool,
    /// PEM file with the authorities to trust, in place of the system's
    #[arg(long, value_name = "FILE", help_heading = "Server and app")]
    roots: Option<PathBuf>,
    /// Path that the server has before /app/… and /apps/…
    #[arg(long, value_name = "PATH", help_heading = "Server and app")]
    path_prefix: Option<String>,
    /// Cluster of Pusher's own service, such as eu, in place of host and port
    #[arg(long, value_name = "NAME", conflicts_with = "host", help_heading = "Server and app")]
    cluster: Option<String>,
    /// Id of the app
    #[arg(long, value_name = "ID", help_heading = "Server and app")]
    app_id: Option<String>,
    /// Key of the app
    #[arg(long, value_name = "KEY", help_heading = "Server and app")]
    key: Option<String>,
    /// Secret of the app; other users of this machine can see it: better use the environment or a file
    #[arg(long, value_name = "SECRET", help_heading = "Server and app")]
    secret: Option<Secret>,
    /// File whose first line is the secret of the app
    #[arg(long, value_name = "FILE", conflicts_with = "secret", help_heading = "Server and app")]
    secret_file: Option<PathBuf>,
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl AsRef<[u8]> for Secret {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The server and the app, with nothing left open.
#[derive(Debug)]
pub(super) struct Target {
    place: Place,
    secure: bool,
    tls: Option<Tls>,
    path_prefix: String,
    app_id: Option<String>,
    pub(super) key: String,
    secret: Option<Secret>,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Cluster(String),
    Host(String, u16),
}

impl TargetArgs {
    /// Fills the gaps. `environment` gives variables; empty ones count as none.
    pub(super) fn resolve(
        self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Target, String> {
        let variable = |name| environment(name).filter(|value| !value.is_empty());
        let tls = match &self.roots {
            None => None,
            Some(path) => {
                let shown = path.display();
                let pem = std::fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
                Some(Tls::with_roots(&pem).map_err(|error| format!("{shown}: {error}"))?)
            }
        };
        let scheme = variable("PUSHER_SCHEME");
        let secure = match scheme.as_deref() {
            _ if self.tls || tls.is_some() => true,
            None | Some("http") => false,
            Some("https") => true,
            Some(other) => return Err(format!("PUSHER_SCHEME is {other}: it is http or https")),
        };
        let port =
            match (self.port, variable("PUSHER_PORT")) {
                (Some(port), _) => Some(port),
                (None, Some(text)) => Some(text.parse().map_err(|_| {
                    format!("PUSHER_PORT is {text}: it is a number from 1 to 65535")
                })?),
                (None, None) => None,
            };
        let variable_host = || variable("PUSHER_HOST");
        let place = match (self.host, self.cluster) {
            (Some(host), _) => Err(host),
            (None, Some(cluster)) => Ok(cluster),
            (None, None) => match (variable_host(), variable("PUSHER_APP_CLUSTER")) {
                (None, Some(cluster)) => Ok(cluster),
                (host, _) => Err(host.unwrap_or_else(|| "127.0.0.1".into())),
            },
        };
        let place = match place {
            Ok(cluster) => Place::Cluster(cluster),
            Err(host) => Place::Host(host, port.unwrap_or(if secure { 443 } else { 6001 })),
        };
        let secret = match self.secret_file {
            None => self.secret,
            Some(path) => {
                let text = std::fs::read_to_string(&path);
                let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
                Some(Secret(text.lines().next().unwrap_or_default().to_owned()))
            }
        };
        let secret = secret.or_else(|| variable("PUSHER_APP_SECRET").map(Secret));
        let app_id = self.app_id.or_else(|| variable("PUSHER_APP_ID"));
        let (app_id, key, secret) = match self.key.or_else(|| variable("PUSHER_APP_KEY")) {
            Some(key) => (app_id, key, secret),
            None if secret.is_none() && place.is_here() => {
                let id = app_id.unwrap_or_else(|| "app-id".into());
                (Some(id), "app-key".into(), Some(Secret("app-secret".into())))
            }
            None => return Err("the app's key is missing: give --key or set PUSHER_APP_KEY".into()),
        };
        let path_prefix = self.path_prefix.unwrap_or_default();
        Ok(Target { place, secure, tls, path_prefix, app_id, key, secret })
    }

    /// As [`resolve`](Self::resolve) with the environment of the process.
    pub(super) fn resolved(self) -> Result<Target, String> {
        self.resolve(|name| std::env::var(name).ok())
    }
}

impl Place {
    fn is_here(&self) -> bool {
        matches!(self, Self::Host(host, _) if matches!(&**host, "127.0.0.1" | "localhost" | "::1"))
    }
}

impl Target {
    /// The secret, if there is one.
    pub(super) const fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }

    /// The secret.
    pub(super) fn needed_secret(&self) -> Result<&Secret, String> {
        self.secret.as_ref().ok_or_else(|| {
            "the app's secret is missing: set PUSHER_APP_SECRET, or give --secret-file".into()
        })
    }

    pub(super) fn client(&self) -> ClientBuilder {
        let builder = Client::builder(self.key.clone());
        let builder = match &self.place {
            Place::Cluster(cluster) => builder.cluster(cluster),
            Place::Host(host, port) => builder.host(host.clone(), *port).secure(self.secure),
        };
        let builder = builder.path_prefix(&self.path_prefix);
        match &self.tls {
            Some(tls) => builder.tls(tls.clone()),
            None => builder,
        }
    }

    pub(super) fn publisher(&self) -> Result<Publisher, String> {
        let Some(app_id) = &self.app_id else {
            return Err("the app's id is missing: give --app-id or set PUSHER_APP_ID".into());
        };
        let builder: PublisherBuilder =
            Publisher::builder(app_id.clone(), self.key.clone(), self.needed_secret()?);
        let builder = match &self.place {
            Place::Cluster(cluster) => builder.cluster(cluster),
            Place::Host(host, port) => builder.host(host.clone(), *port).secure(self.secure),
        };
        let builder = builder.path_prefix(&self.path_prefix);
        let builder = match &self.tls {
            Some(tls) => builder.tls(tls.clone()),
            None => builder,
        };
        builder.build().map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(args: TargetArgs, environment: &[(&str, &str)]) -> Result<Target, String> {
        args.resolve(|name| {
            environment.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn place(args: TargetArgs, environment: &[(&str, &str)]) -> (Place, bool) {
        let key = [("PUSHER_APP_KEY", "k")];
        let target = resolve(args, &[environment, &key].concat()).unwrap();
        (target.place, target.secure)
    }

    fn host(host: &str, port: u16) -> Place {
        Place::Host(host.into(), port)
    }

    #[test]
    fn flags_beat_the_environment_and_a_host_beats_a_cluster() {
        let none = TargetArgs::default;
        assert_eq!(place(none(), &[]), (host("127.0.0.1", 6001), false));
        let environment =
            [("PUSHER_HOST", "h"), ("PUSHER_PORT", "1"), ("PUSHER_APP_CLUSTER", "eu")];
        assert_eq!(place(none(), &environment), (host("h", 1), false));
        assert_eq!(place(none(), &environment[2..]).0, Place::Cluster("eu".into()));
        let cluster = TargetArgs { cluster: Some("us2".into()), ..none() };
        assert_eq!(place(cluster, &environment).0, Place::Cluster("us2".into()));
        let port = TargetArgs { port: Some(2), ..none() };
        assert_eq!(place(port, &environment), (host("h", 2), false));
        let scheme = [("PUSHER_HOST", "h"), ("PUSHER_SCHEME", "https"), ("PUSHER_PORT", "")];
        assert_eq!(place(none(), &scheme), (host("h", 443), true));
    }

    #[test]
    fn the_development_app_is_for_this_machine() {
        let target = resolve(TargetArgs::default(), &[]).unwrap();
        assert_eq!(target.key, "app-key");
        target.publisher().unwrap();
        let error = resolve(TargetArgs::default(), &[("PUSHER_HOST", "example.com")]).unwrap_err();
        assert!(error.contains("PUSHER_APP_KEY"), "{error}");
        let own = resolve(TargetArgs::default(), &[("PUSHER_APP_KEY", "k")]).unwrap();
        assert!(own.secret().is_none(), "its secret is not that of another app");
        assert!(own.publisher().unwrap_err().contains("PUSHER_APP_ID"));
    }

    #[test]
    fn what_is_malformed_is_named() {
        for (name, value) in [("PUSHER_PORT", "http"), ("PUSHER_SCHEME", "ws")] {
            let error = resolve(TargetArgs::default(), &[(name, value)]).unwrap_err();
            assert!(error.contains(name) && error.contains(value), "{error}");
        }
        let file = TargetArgs { secret_file: Some("/nowhere".into()), ..TargetArgs::default() };
        assert!(resolve(file, &[]).unwrap_err().contains("/nowhere"));
    }

    #[test]
    fn the_secret_does_not_show() {
        let target = resolve(
            TargetArgs::default(),
            &[("PUSHER_APP_KEY", "k"), ("PUSHER_APP_SECRET", "hunter2")],
        );
        assert!(!format!("{target:?}").contains("hunter2"));
    }
}
