//! A configuration file of Soketi: JSON whose keys are paths with dots.
//!
//! Each key that has a meaning here is one of Soketi's variables by another name, and is read as that.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::env::{self, Environment};
use super::error::ConfigError;
use super::options::{AppOptions, ServerOptions};

/// Keys of the server and their variables, without `SOKETI_`.
const KEYS: &[(&str, &str)] = &[
    ("adapter.driver", "ADAPTER_DRIVER"),
    ("adapter.nats.pass", "ADAPTER_NATS_PASSWORD"),
    ("adapter.nats.prefix", "ADAPTER_NATS_PREFIX"),
    ("adapter.nats.servers", "ADAPTER_NATS_SERVERS"),
    ("adapter.nats.token", "ADAPTER_NATS_TOKEN"),
    ("adapter.nats.user", "ADAPTER_NATS_USER"),
    ("adapter.redis.clusterMode", "ADAPTER_REDIS_CLUSTER_MODE"),
    ("adapter.redis.prefix", "ADAPTER_REDIS_PREFIX"),
    ("appManager.driver", "APP_MANAGER_DRIVER"),
    ("appManager.mysql.table", "APP_MANAGER_MYSQL_TABLE"),
    ("appManager.postgres.table", "APP_MANAGER_POSTGRES_TABLE"),
    ("channelLimits.cacheTtl", "CHANNEL_CACHE_TTL"),
    ("channelLimits.maxNameLength", "CHANNEL_LIMITS_MAX_NAME_LENGTH"),
    ("database.mysql.database", "DB_MYSQL_DATABASE"),
    ("database.mysql.host", "DB_MYSQL_HOST"),
    ("database.mysql.password", "DB_MYSQL_PASSWORD"),
    ("database.mysql.port", "DB_MYSQL_PORT"),
    ("database.mysql.user", "DB_MYSQL_USERNAME"),
    ("database.postgres.database", "DB_POSTGRES_DATABASE"),
    ("database.postgres.host", "DB_POSTGRES_HOST"),
    ("database.postgres.password", "DB_POSTGRES_PASSWORD"),
    ("database.postgres.port", "DB_POSTGRES_PORT"),
    ("database.postgres.user", "DB_POSTGRES_USERNAME"),
    ("database.redis.clusterNodes", "DB_REDIS_CLUSTER_NODES"),
    ("database.redis.db", "DB_REDIS_DB"),
    ("database.redis.host", "DB_REDIS_HOST"),
    ("database.redis.name", "DB_REDIS_INSTANCE_NAME"),
    ("database.redis.password", "DB_REDIS_PASSWORD"),
    ("database.redis.port", "DB_REDIS_PORT"),
    ("database.redis.sentinels", "DB_REDIS_SENTINELS"),
    ("database.redis.username", "DB_REDIS_USERNAME"),
    ("debug", "DEBUG"),
    ("eventLimits.maxBatchSize", "EVENT_MAX_BATCH_SIZE"),
    ("eventLimits.maxChannelsAtOnce", "EVENT_MAX_CHANNELS_AT_ONCE"),
    ("eventLimits.maxNameLength", "EVENT_MAX_NAME_LENGTH"),
    ("eventLimits.maxPayloadInKb", "EVENT_MAX_SIZE_IN_KB"),
    ("host", "HOST"),
    ("metrics.enabled", "METRICS_ENABLED"),
    ("metrics.host", "METRICS_HOST"),
    ("metrics.port", "METRICS_SERVER_PORT"),
    ("metrics.prometheus.prefix", "METRICS_PROMETHEUS_PREFIX"),
    ("pathPrefix", "PATH_PREFIX"),
    ("port", "PORT"),
    ("presence.maxMemberSizeInKb", "PRESENCE_MAX_MEMBER_SIZE"),
    ("presence.maxMembersPerChannel", "PRESENCE_MAX_MEMBERS"),
    ("shutdownGracePeriod", "SHUTDOWN_GRACE_PERIOD"),
    ("ssl.caPath", "SSL_CA"),
    ("ssl.certPath", "SSL_CERT"),
    ("ssl.keyPath", "SSL_KEY"),
    ("userAuthenticationTimeout", "USER_AUTHENTICATION_TIMEOUT"),
    ("webhooks.batching.duration", "WEBHOOKS_BATCHING_DURATION"),
    ("webhooks.batching.enabled", "WEBHOOKS_BATCHING"),
];

/// Fields of an app and their variables.
const APP_KEYS: &[(&str, &str)] = &[
    ("enableClientMessages", "DEFAULT_APP_ENABLE_CLIENT_MESSAGES"),
    ("enableUserAuthentication", "DEFAULT_APP_USER_AUTHENTICATION"),
    ("enabled", "DEFAULT_APP_ENABLED"),
    ("id", "DEFAULT_APP_ID"),
    ("key", "DEFAULT_APP_KEY"),
    ("maxBackendEventsPerSecond", "DEFAULT_APP_MAX_BACKEND_EVENTS_PER_SEC"),
    ("maxChannelNameLength", "CHANNEL_LIMITS_MAX_NAME_LENGTH"),
    ("maxClientEventsPerSecond", "DEFAULT_APP_MAX_CLIENT_EVENTS_PER_SEC"),
    ("maxConnections", "DEFAULT_APP_MAX_CONNS"),
    ("maxEventBatchSize", "EVENT_MAX_BATCH_SIZE"),
    ("maxEventChannelsAtOnce", "EVENT_MAX_CHANNELS_AT_ONCE"),
    ("maxEventNameLength", "EVENT_MAX_NAME_LENGTH"),
    ("maxEventPayloadInKb", "EVENT_MAX_SIZE_IN_KB"),
    ("maxPresenceMemberSizeInKb", "PRESENCE_MAX_MEMBER_SIZE"),
    ("maxPresenceMembersPerChannel", "PRESENCE_MAX_MEMBERS"),
    ("maxReadRequestsPerSecond", "DEFAULT_APP_MAX_READ_REQ_PER_SEC"),
    ("secret", "DEFAULT_APP_SECRET"),
    ("webhooks", "DEFAULT_APP_WEBHOOKS"),
];

/// Where the apps are.
const APPS: &str = "appManager.array.apps";

/// What only says what is so anyway.
const MEANS_NOTHING: &[(&str, &str)] =
    &[("appManager.driver", "array"), ("metrics.driver", "prometheus")];

/// Reads the options of a file, with what is worth a warning.
///
/// # Errors
///
/// When the file cannot be read or is no JSON, or a value does not fit its option.
pub(crate) fn read(path: &Path) -> Result<(ServerOptions, Vec<String>), ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<(ServerOptions, Vec<String>), ConfigError> {
    let json: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| ConfigError::File {
            path: path.to_owned(),
            line: error.line(),
            column: error.column(),
            message: error.to_string(),
        })?;
    let mut flat = BTreeMap::new();
    flatten("", json, &mut flat);
    let apps = take_apps(&mut flat).map_err(|key| ConfigError::Key {
        path: path.to_owned(),
        key,
        message: "it must be a list of objects, one for each app".into(),
    })?;
    let mut warnings = Vec::new();
    let read = of_keys(path, "", flat, KEYS, &mut warnings)?;
    let mut options = read.server;
    options.defaults = Some(read.app);
    if !apps.is_empty() {
        let mut read = Vec::<AppOptions>::new();
        for (number, app) in apps {
            let mut flat = BTreeMap::new();
            flat.extend(app);
            let prefix = format!("{APPS}.{number}.");
            read.push(of_keys(path, &prefix, flat, APP_KEYS, &mut warnings)?.app);
        }
        options.apps = Some(read);
    }
    Ok((options, warnings))
}

/// Reads keys as the variables that they stand for.
fn of_keys(
    path: &Path,
    prefix: &str,
    keys: BTreeMap<String, Value>,
    known: &[(&str, &str)],
    warnings: &mut Vec<String>,
) -> Result<Environment, ConfigError> {
    let mut variables = Vec::new();
    for (key, value) in keys {
        let text = match &value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let Some((_, variable)) = known.iter().find(|(name, _)| *name == key) else {
            if !MEANS_NOTHING.contains(&(&key, &text)) {
                let path = path.display();
                warnings.push(format!(
                    "`{prefix}{key}` of {path} has no equal in tidings and is ignored"
                ));
            }
            continue;
        };
        let variable = (format!("SOKETI_{variable}"), text);
        // Alone first, so that an error names the key; some mean something only together.
        env::read(std::iter::once(variable.clone())).map_err(|error| match error {
            ConfigError::Environment { message, .. } => {
                ConfigError::Key { path: path.to_owned(), key: format!("{prefix}{key}"), message }
            }
            other => other,
        })?;
        variables.push(variable);
    }
    let mut read = env::read(variables.into_iter())?;
    warnings.append(&mut read.warnings);
    Ok(read)
}

/// Takes objects apart into paths; lists and what is in them stay as they are.
fn flatten(prefix: &str, object: Map<String, Value>, into: &mut BTreeMap<String, Value>) {
    for (key, value) in object {
        let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Value::Object(object) => flatten(&key, object, into),
            other => drop(into.insert(key, other)),
        }
    }
}

/// Takes the apps out, written as a list or one by one with their numbers; fails with the key of what is no app.
fn take_apps(
    flat: &mut BTreeMap<String, Value>,
) -> Result<BTreeMap<usize, Map<String, Value>>, String> {
    let mut apps = BTreeMap::<usize, Map<String, Value>>::new();
    match flat.remove(APPS) {
        None => {}
        Some(Value::Array(list)) => {
            for (at, app) in list.into_iter().enumerate() {
                let Value::Object(app) = app else { return Err(format!("{APPS}.{at}")) };
                apps.insert(at, app);
            }
        }
        Some(_) => return Err(APPS.to_owned()),
    }
    let prefix = format!("{APPS}.");
    let numbered = |key: &str| {
        let (number, field) = key.strip_prefix(&prefix)?.split_once('.')?;
        Some((number.parse::<usize>().ok()?, field.to_owned()))
    };
    let keys: Vec<String> = flat.keys().filter(|key| numbered(key).is_some()).cloned().collect();
    for key in keys {
        if let (Some((number, field)), Some(value)) = (numbered(&key), flat.remove(&key)) {
            apps.entry(number).or_default().insert(field, value);
        }
    }
    Ok(apps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> (ServerOptions, Vec<String>) {
        parse(Path::new("soketi.json"), text).unwrap()
    }

    fn error(text: &str) -> String {
        parse(Path::new("soketi.json"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_file_of_soketi_is_read_as_it_is() {
        let (options, warnings) = options(
            r#"{
                "debug": true, "port": 7001, "shutdownGracePeriod": 4000,
                "eventLimits": { "maxPayloadInKb": 10 },
                "adapter.driver": "redis", "database.redis.host": "r",
                "appManager.driver": "array",
                "appManager.array.apps": [
                    {
                        "id": 1, "key": "k", "secret": "s", "maxConnections": -1, "enableClientMessages": true,
                        "webhooks": [{ "url": "https://x/hook", "event_types": ["channel_occupied"] }]
                    },
                    { "id": "two", "key": "k2", "secret": "s2", "maxEventPayloadInKb": 1, "maxBackendEventsPerSecond": 5 }
                ],
                "metrics": { "driver": "prometheus", "enabled": true, "port": 9602 }, "cors.credentials": true
            }"#,
        );
        assert_eq!((options.port, options.log.unwrap().0), (Some(7001), "debug".into()));
        assert_eq!(options.shutdown_grace.unwrap().0.as_millis(), 4000);
        assert_eq!(options.backplane.unwrap().0.to_string(), "redis://r:6379/0");
        assert_eq!(options.defaults.unwrap().max_event_bytes, Some(10 * 1024));
        let apps = options.apps.unwrap();
        assert_eq!(apps[0].id.as_ref().unwrap().0, "1");
        assert_eq!(apps[0].max_connections.unwrap().0, None);
        assert_eq!(apps[0].client_events, Some(true));
        assert_eq!(apps[0].webhooks.as_ref().unwrap().0.len(), 1);
        assert_eq!(apps[1].max_event_bytes, Some(1024));
        assert_eq!(apps[1].max_backend_events_per_second.unwrap().0, Some(5));
        assert_eq!((options.metrics, options.metrics_port), (Some(true), Some(9602)));
        assert_eq!(options.metrics_soketi_prefix.unwrap().0, "soketi_");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("`cors.credentials` of soketi.json"), "{warnings:?}");
    }

    #[test]
    fn apps_may_be_written_one_by_one() {
        let (options, _) = options(
            r#"{"appManager.array.apps.0.id": "a", "appManager.array.apps.0.key": "k", "appManager.array.apps.0.secret": "s"}"#,
        );
        assert_eq!(options.apps.unwrap()[0].key.as_ref().unwrap().0, "k");
    }

    #[test]
    fn fr_135_a_wrong_value_names_its_key_and_a_slip_its_line() {
        assert!(error(r#"{"port": "six"}"#).starts_with("soketi.json: `port`: "));
        let text = error(r#"{"appManager.array.apps": [{"enabled": "maybe"}]}"#);
        assert!(text.starts_with("soketi.json: `appManager.array.apps.0.enabled`: "), "{text}");
        assert!(error(r#"{"appManager.array.apps": 1}"#).contains("must be a list"));
        assert!(error(r#"{"appManager.array.apps": [1]}"#).contains("apps.0`"));
        assert!(error("{\n\"port\": 1,\n}").starts_with("soketi.json:3:"));
    }

    #[test]
    fn every_key_is_a_variable_that_is_known() {
        for (key, variable) in KEYS.iter().chain(APP_KEYS) {
            // What is of one driver is known beside it.
            let driver = if key.contains("nats") { "nats" } else { "redis" };
            let manager = if variable.contains("POSTGRES") { "postgres" } else { "mysql" };
            let value = match *variable {
                "APP_MANAGER_DRIVER" => manager,
                "ADAPTER_DRIVER" => driver,
                _ => "[]",
            };
            let variables = [
                ("SOKETI_ADAPTER_DRIVER", driver),
                ("SOKETI_APP_MANAGER_DRIVER", manager),
                (&format!("SOKETI_{variable}"), value),
            ];
            let pairs = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let warned = env::read(pairs.into_iter()).map(|read| read.warnings);
            assert!(
                warned.is_err() || warned.as_ref().is_ok_and(Vec::is_empty),
                "{key}: {warned:?}"
            );
        }
    }
}
