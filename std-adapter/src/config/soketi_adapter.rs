//! Soketi's adapter: several of its variables, and several of a database, are one URL here.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::soketi_variables::Variables;

/// Variables (without `SOKETI_`) that say together how servers reach each other.
const NAMES: &[&str] = &[
    "ADAPTER_DRIVER",
    "ADAPTER_NATS_PASSWORD",
    "ADAPTER_NATS_PREFIX",
    "ADAPTER_NATS_SERVERS",
    "ADAPTER_NATS_TOKEN",
    "ADAPTER_NATS_USER",
    "ADAPTER_REDIS_CLUSTER_MODE",
    "ADAPTER_REDIS_PREFIX",
    "DB_REDIS_CLUSTER_NODES",
    "DB_REDIS_DB",
    "DB_REDIS_HOST",
    "DB_REDIS_INSTANCE_NAME",
    "DB_REDIS_PASSWORD",
    "DB_REDIS_PORT",
    "DB_REDIS_SENTINELS",
    "DB_REDIS_USERNAME",
];

/// What the variables say.
pub(super) struct Adapter(pub(super) Variables);

impl Default for Adapter {
    fn default() -> Self {
        Self(Variables::of(NAMES))
    }
}

/// What comes of them: options and their values, or a warning.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Backplane {
    pub(super) url: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Host {
    host: String,
    port: Option<u16>,
}

impl Adapter {
    pub(super) fn backplane(&self) -> Backplane {
        match self.0.get("ADAPTER_DRIVER") {
            Some("redis") => Backplane {
                url: Some(self.redis()),
                prefix: self.0.get("ADAPTER_REDIS_PREFIX").map(Into::into),
                warnings: self.0.unused(|name| name.starts_with("ADAPTER_NATS")),
            },
            Some("nats") => Backplane {
                url: Some(self.nats()),
                prefix: self.0.get("ADAPTER_NATS_PREFIX").map(Into::into),
                warnings: self.0.unused(|name| name.contains("REDIS")),
            },
            None | Some("local") => {
                let warnings = self.0.unused(|name| name != "ADAPTER_DRIVER");
                Backplane { warnings, ..Backplane::default() }
            }
            Some(other) => Backplane {
                warnings: vec![format!(
                    "SOKETI_ADAPTER_DRIVER={other} has no equal in tidings: set it to redis or nats, or \
                     set TIDINGS_BACKPLANE; until then this server is on its own"
                )],
                ..Backplane::default()
            },
        }
    }

    fn redis(&self) -> String {
        let user = self.0.get("DB_REDIS_USERNAME").unwrap_or_default();
        let password = self.0.get("DB_REDIS_PASSWORD").unwrap_or_default();
        let login = match (user, password) {
            ("", "") => String::new(),
            (user, password) => format!("{}:{}@", escape(user), escape(password)),
        };
        let is_cluster = matches!(self.0.get("ADAPTER_REDIS_CLUSTER_MODE"), Some("1" | "true"));
        let hosts = |name, port| self.0.get(name).and_then(|list| hosts(list, port));
        if let Some(sentinels) = hosts("DB_REDIS_SENTINELS", 26379) {
            let master = self.0.get("DB_REDIS_INSTANCE_NAME").unwrap_or("mymaster");
            return format!("redis-sentinel://{login}{sentinels}/{master}");
        }
        if let Some(nodes) = hosts("DB_REDIS_CLUSTER_NODES", 6379).filter(|_| is_cluster) {
            return format!("redis-cluster://{login}{nodes}");
        }
        let host = self.0.get("DB_REDIS_HOST").unwrap_or("127.0.0.1");
        let port = self.0.get("DB_REDIS_PORT").unwrap_or("6379");
        let database = self.0.get("DB_REDIS_DB").unwrap_or("0");
        format!("redis://{login}{host}:{port}/{database}")
    }

    fn nats(&self) -> String {
        let login = match (self.0.get("ADAPTER_NATS_TOKEN"), self.0.get("ADAPTER_NATS_USER")) {
            (Some(token), _) => format!("{}@", escape(token)),
            (None, Some(user)) => {
                let password = self.0.get("ADAPTER_NATS_PASSWORD").unwrap_or_default();
                format!("{}:{}@", escape(user), escape(password))
            }
            (None, None) => String::new(),
        };
        let servers = self.0.get("ADAPTER_NATS_SERVERS").unwrap_or("127.0.0.1:4222");
        let list: Vec<String> =
            serde_json::from_str(servers).unwrap_or_else(|_| vec![servers.to_owned()]);
        let bare = |server: &String| server.trim_start_matches("nats://").to_owned();
        format!("nats://{login}{}", list.iter().map(bare).collect::<Vec<_>>().join(","))
    }
}

pub(super) fn escape(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A JSON list of hosts with ports as `host:port,host:port`; `None` when it is empty or none.
fn hosts(list: &str, port: u16) -> Option<String> {
    let hosts: Vec<Host> = serde_json::from_str(list).ok()?;
    let text = |host: Host| format!("{}:{}", host.host, host.port.unwrap_or(port));
    let hosts: Vec<String> = hosts.into_iter().map(text).collect();
    (!hosts.is_empty()).then(|| hosts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backplane(variables: &[(&str, &str)]) -> Backplane {
        let mut adapter = Adapter::default();
        for (name, value) in variables {
            assert!(adapter.0.take(name, value), "{name}");
        }
        adapter.backplane()
    }

    fn url(variables: &[(&str, &str)]) -> String {
        backplane(variables).url.unwrap()
    }

    #[test]
    fn a_redis_of_soketi_is_a_url() {
        assert_eq!(url(&[("ADAPTER_DRIVER", "redis")]), "redis://127.0.0.1:6379/0");
        let login = [
            ("ADAPTER_DRIVER", "redis"),
            ("DB_REDIS_HOST", "r"),
            ("DB_REDIS_PASSWORD", "p@s/s"),
            ("DB_REDIS_DB", "2"),
        ];
        assert_eq!(url(&login), "redis://:p%40s%2Fs@r:6379/2");
        let cluster = [
            ("ADAPTER_DRIVER", "redis"),
            ("ADAPTER_REDIS_CLUSTER_MODE", "true"),
            ("DB_REDIS_CLUSTER_NODES", r#"[{"host":"a","port":7000},{"host":"b"}]"#),
        ];
        assert_eq!(url(&cluster), "redis-cluster://a:7000,b:6379");
        let sentinels = [
            ("ADAPTER_DRIVER", "redis"),
            ("DB_REDIS_SENTINELS", r#"[{"host":"a","port":26379}]"#),
            ("DB_REDIS_INSTANCE_NAME", "main"),
        ];
        assert_eq!(url(&sentinels), "redis-sentinel://a:26379/main");
    }

    #[test]
    fn a_nats_of_soketi_is_a_url() {
        let nats = [
            ("ADAPTER_DRIVER", "nats"),
            ("ADAPTER_NATS_SERVERS", r#"["a:4222","nats://b:4223"]"#),
            ("ADAPTER_NATS_USER", "u"),
            ("ADAPTER_NATS_PASSWORD", "p"),
            ("ADAPTER_NATS_PREFIX", "x"),
        ];
        let backplane = backplane(&nats);
        assert_eq!(backplane.url.as_deref(), Some("nats://u:p@a:4222,b:4223"));
        assert_eq!(backplane.prefix.as_deref(), Some("x"));
    }

    #[test]
    fn no_adapter_is_no_backplane_and_another_one_is_told() {
        let unused = backplane(&[("DB_REDIS_HOST", "r")]);
        assert_eq!((unused.url, unused.warnings.len()), (None, 1));
        assert_eq!(backplane(&[("ADAPTER_DRIVER", "local")]), Backplane::default());
        let warning = backplane(&[("ADAPTER_DRIVER", "cluster")]).warnings.remove(0);
        assert!(warning.contains("redis or nats"), "{warning}");
    }
}
