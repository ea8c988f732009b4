//! The options from the environment: `TIDINGS_…`, and the names of Soketi that mean the same.

use std::path::Path;

use serde::Deserialize;
use serde::de::value::{Error as ValueError, MapDeserializer};
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::error::ConfigError;
use super::nearest::nearest;
use super::options::{AppOptions, FILE_ONLY, ServerOptions};
use super::secret_file;
use super::soketi_adapter::Adapter;
use super::soketi_apps::AppManager;
use super::value::Text;

/// What the environment says.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    pub(crate) server: ServerOptions,
    pub(crate) app: AppOptions,
    /// The configuration file, from `TIDINGS_CONFIG`.
    pub(crate) config: Option<String>,
    /// Variables of Soketi say something.
    pub(crate) of_soketi: bool,
    /// Things that look like mistakes but may be none of ours.
    pub(crate) warnings: Vec<String>,
}

/// How a value of Soketi becomes one of ours.
#[derive(Debug, Clone, Copy)]
enum Soketi {
    Same,
    Kilobytes,
    Milliseconds,
    /// A count where 0 is, as any negative number, no bound.
    Quota,
    /// A switch that turns on debug logging.
    Debug,
}

/// Soketi's variables (without `SOKETI_`) that have an equal here.
const SOKETI: &[(&str, &str, Soketi)] = &[
    ("CHANNEL_CACHE_TTL", "cache_ttl", Soketi::Same),
    ("CHANNEL_LIMITS_MAX_NAME_LENGTH", "max_channel_name", Soketi::Same),
    ("DEBUG", "log", Soketi::Debug),
    ("DEFAULT_APP_ENABLED", "enabled", Soketi::Same),
    ("DEFAULT_APP_ENABLE_CLIENT_MESSAGES", "client_events", Soketi::Same),
    ("DEFAULT_APP_ID", "app_id", Soketi::Same),
    ("DEFAULT_APP_KEY", "app_key", Soketi::Same),
    ("DEFAULT_APP_MAX_BACKEND_EVENTS_PER_SEC", "max_backend_events_per_second", Soketi::Quota),
    ("DEFAULT_APP_MAX_CLIENT_EVENTS_PER_SEC", "max_client_events_per_second", Soketi::Quota),
    ("DEFAULT_APP_MAX_CONNS", "max_connections", Soketi::Quota),
    ("DEFAULT_APP_MAX_READ_REQ_PER_SEC", "max_read_requests_per_second", Soketi::Quota),
    ("DEFAULT_APP_SECRET", "app_secret", Soketi::Same),
    ("DEFAULT_APP_USER_AUTHENTICATION", "user_authentication", Soketi::Same),
    ("DEFAULT_APP_WEBHOOKS", "webhooks", Soketi::Same),
    ("EVENT_MAX_BATCH_SIZE", "max_batch", Soketi::Same),
    ("EVENT_MAX_CHANNELS_AT_ONCE", "max_channels_per_event", Soketi::Same),
    ("EVENT_MAX_NAME_LENGTH", "max_event_name", Soketi::Same),
    ("EVENT_MAX_SIZE_IN_KB", "max_event_bytes", Soketi::Kilobytes),
    ("HOST", "host", Soketi::Same),
    ("METRICS_ENABLED", "metrics", Soketi::Same),
    ("METRICS_HOST", "metrics_host", Soketi::Same),
    ("METRICS_PROMETHEUS_PREFIX", "metrics_soketi_prefix", Soketi::Same),
    ("METRICS_SERVER_PORT", "metrics_port", Soketi::Same),
    ("PATH_PREFIX", "path_prefix", Soketi::Same),
    ("PORT", "port", Soketi::Same),
    ("PRESENCE_MAX_MEMBERS", "max_presence_members", Soketi::Same),
    ("PRESENCE_MAX_MEMBER_SIZE", "max_presence_user_bytes", Soketi::Kilobytes),
    ("SHUTDOWN_GRACE_PERIOD", "shutdown_grace", Soketi::Milliseconds),
    ("SSL_CA", "tls_client_ca", Soketi::Same),
    ("SSL_CERT", "tls_cert", Soketi::Same),
    ("SSL_KEY", "tls_key", Soketi::Same),
    ("USER_AUTHENTICATION_TIMEOUT", "user_authentication_timeout", Soketi::Milliseconds),
    ("WEBHOOKS_BATCHING", "webhook_batching", Soketi::Same),
    ("WEBHOOKS_BATCHING_DURATION", "webhook_batch_window", Soketi::Milliseconds),
];

/// Options of one app alone, which have `APP_` before their name.
const OWN: &[&str] =
    &["id", "key", "secret", "secret_file", "previous_secret", "previous_secret_file"];

/// Reads the options from pairs of name and value; an empty value is as good as none.
///
/// # Errors
///
/// When a value does not fit its option. A `TIDINGS_…` name that is no option is a warning, since
/// others name variables too.
pub(crate) fn read(
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Environment, ConfigError> {
    let mut ours = Environment::default();
    let mut soketi = Environment::default();
    let mut adapter = Adapter::default();
    let mut manager = AppManager::default();
    for (name, value) in variables.filter(|(_, value)| !value.is_empty()) {
        if let Some(option) = name.strip_prefix("TIDINGS_") {
            read_ours(&mut ours, &name, option, value)?;
        } else if let Some(option) = name.strip_prefix("SOKETI_")
            && !adapter.0.take(option, &value)
            && !manager.0.take(option, &value)
        {
            read_soketi(&mut soketi, &name, option, &value)?;
        }
    }
    let is_set = soketi.server != ServerOptions::default() || soketi.app != AppOptions::default();
    ours.of_soketi = is_set || !adapter.0.is_empty() || !manager.0.is_empty();
    let backplane = adapter.backplane();
    if let Some(url) = backplane.url {
        set(&mut soketi, "SOKETI_ADAPTER_DRIVER", "backplane", &url)?;
    }
    if let Some(prefix) = backplane.prefix.filter(|prefix| !prefix.is_empty()) {
        set(&mut soketi, "SOKETI_ADAPTER_DRIVER", "backplane_prefix", &prefix)?;
    }
    soketi.warnings.extend(backplane.warnings);
    let kept = manager.kept();
    if let Some(url) = kept.url {
        set(&mut soketi, "SOKETI_APP_MANAGER_DRIVER", "apps_url", &url)?;
    }
    if let Some(table) = kept.table {
        set(&mut soketi, "SOKETI_APP_MANAGER_DRIVER", "apps_table", &table)?;
    }
    soketi.warnings.extend(kept.warnings);
    keep_metric_names(&mut soketi.server);
    ours.server = ours.server.or(soketi.server);
    ours.app = ours.app.or(soketi.app);
    ours.warnings.append(&mut soketi.warnings);
    Ok(ours)
}

/// Reads one option of an app from the variable that it stands for.
///
/// # Errors
///
/// What is wrong with the value.
pub(crate) fn read_app(variable: String, value: String) -> Result<AppOptions, String> {
    match read(std::iter::once((variable, value))) {
        Ok(read) => Ok(read.app),
        Err(ConfigError::Environment { message, .. }) => Err(message),
        Err(error) => Err(error.to_string()),
    }
}

fn read_ours(
    into: &mut Environment,
    name: &str,
    option: &str,
    value: String,
) -> Result<(), ConfigError> {
    let option = option.to_ascii_lowercase();
    // Kubernetes sets TIDINGS_PORT=tcp://… in every container beside a service named tidings.
    if option == "port" && value.contains("://") {
        into.warnings.push(format!("ignoring {name}={value}, which is an address and no port"));
    } else if option == "config" {
        into.config = Some(value);
    } else if let Some(secret) = option.strip_suffix("_file")
        && !names().contains(&option)
        && names().iter().any(|known| known == secret)
    {
        // Containers are given secrets as files.
        set(into, name, secret, &secret_file::read(Path::new(&value))?)?;
    } else if !set(into, name, &option, &value)? {
        let known = names();
        into.warnings.push(match nearest(&option, known.iter().map(String::as_str)) {
            Some(near) => {
                let near = near.to_ascii_uppercase();
                format!("unknown variable {name} is ignored; did you mean TIDINGS_{near}?")
            }
            None => format!("unknown variable {name} is ignored"),
        });
    }
    Ok(())
}

fn read_soketi(
    into: &mut Environment,
    name: &str,
    option: &str,
    value: &str,
) -> Result<(), ConfigError> {
    if option == "SSL_PASS" {
        into.warnings.push(format!(
            "{name} is ignored, since a key with a passphrase is not supported: write it without one, as by \
             `openssl pkey -in KEY -out PLAIN`"
        ));
        return Ok(());
    }
    if option == "METRICS_DRIVER" {
        if value.trim_matches('"') != "prometheus" {
            let text = format!("{name} is ignored: metrics are for Prometheus");
            into.warnings.push(text);
        }
        return Ok(());
    }
    let Ok(found) = SOKETI.binary_search_by(|(soketi, ..)| soketi.cmp(&option)) else {
        into.warnings.push(format!("{name} has no equal in tidings and is ignored"));
        return Ok(());
    };
    let (_, ours, kind) = SOKETI[found];
    // Soketi reads each value as JSON where that is possible.
    let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
    let number = || value.parse::<f64>().ok().filter(|number| *number >= 0.0);
    let value = match (kind, number()) {
        (Soketi::Kilobytes, Some(number)) => format!("{:.0}", number * 1024.0),
        (Soketi::Milliseconds, Some(_)) => format!("{value}ms"),
        (Soketi::Quota, Some(number)) if number > 0.0 => value.to_owned(),
        (Soketi::Quota, _) => "unlimited".to_owned(),
        (Soketi::Debug, _) if matches!(value, "1" | "true") => "debug".to_owned(),
        (Soketi::Debug, _) => return Ok(()),
        (Soketi::Same, _) if is_switch(ours) && matches!(value, "1" | "0") => {
            (value == "1").to_string()
        }
        (Soketi::Same | Soketi::Kilobytes | Soketi::Milliseconds, _) => value.to_owned(),
    };
    set(into, name, ours, &value)?;
    Ok(())
}

/// Who had Soketi's metrics on finds them by their names.
fn keep_metric_names(soketi: &mut ServerOptions) {
    if soketi.metrics == Some(true) && soketi.metrics_soketi_prefix.is_none() {
        soketi.metrics_soketi_prefix = Some(Text("soketi_".into()));
    }
}

fn is_switch(option: &str) -> bool {
    matches!(
        option,
        "enabled"
            | "client_events"
            | "metrics"
            | "proxy_protocol"
            | "reuse_port"
            | "subscription_count"
            | "user_authentication"
            | "watchlists"
            | "webhook_batching"
    )
}

/// Sets one option by name; `false` when there is none of that name.
fn set(into: &mut Environment, name: &str, option: &str, value: &str) -> Result<bool, ConfigError> {
    if ServerOptions::NAMES.contains(&option) && !FILE_ONLY.contains(&option) {
        let one: ServerOptions = one(name, option, value)?;
        into.server = one.or(std::mem::take(&mut into.server));
        return Ok(true);
    }
    let option = match option.strip_prefix("app_") {
        Some(own) if OWN.contains(&own) => own,
        _ if OWN.contains(&option) => return Ok(false),
        _ => option,
    };
    if AppOptions::NAMES.contains(&option) {
        let one: AppOptions = one(name, option, value)?;
        into.app = one.or(std::mem::take(&mut into.app));
        return Ok(true);
    }
    Ok(false)
}

/// The names of all variables of ours, in lower case and without `TIDINGS_`.
fn names() -> Vec<String> {
    let app = AppOptions::NAMES.iter().map(|name| match *name {
        own if OWN.contains(&own) => format!("app_{own}"),
        other => other.to_owned(),
    });
    let server = ServerOptions::NAMES.iter().filter(|name| !FILE_ONLY.contains(name));
    let server = server.map(|name| (*name).to_owned());
    let config = std::iter::once("config".to_owned());
    app.chain(server).chain(config).collect()
}

/// Options with one of them set.
fn one<T: for<'de> Deserialize<'de>>(
    name: &str,
    option: &str,
    value: &str,
) -> Result<T, ConfigError> {
    let map = MapDeserializer::new(std::iter::once((option, Value(value))));
    T::deserialize(map).map_err(|error: ValueError| ConfigError::Environment {
        name: name.to_owned(),
        message: error.to_string(),
    })
}

/// A value of the environment: a text that becomes what its option takes.
#[derive(Debug, Clone, Copy)]
struct Value<'v>(&'v str);

impl<'de> IntoDeserializer<'de, ValueError> for Value<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Value<'_> {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_some(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.0 {
            "true" | "1" | "yes" | "on" => visitor.visit_bool(true),
            "false" | "0" | "no" | "off" => visitor.visit_bool(false),
            other => Err(de::Error::custom(format_args!("`{other}` is neither true nor false"))),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.0.trim().parse() {
            Ok(number) => visitor.visit_u64(number),
            Err(_) => Err(de::Error::custom(format_args!("`{}` is no whole number", self.0))),
        }
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        self.deserialize_u64(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Result<Environment, ConfigError> {
        read(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn every_option_has_a_variable() {
        let env = environment(&[
            ("TIDINGS_PORT", "7000"),
            ("TIDINGS_CLIENT_EVENTS", "true"),
            ("TIDINGS_APP_ID", "007"),
            ("TIDINGS_MAX_CONNECTIONS", "unlimited"),
            ("TIDINGS_PONG_TIMEOUT", "0.5"),
            ("TIDINGS_THREADS", "2"),
            ("TIDINGS_CONFIG", "x.toml"),
            ("TIDINGS_HOST", ""),
            ("HOME", "/root"),
        ])
        .unwrap();
        assert_eq!(env.server.port, Some(7000));
        assert_eq!(env.server.threads, Some(2));
        assert_eq!(env.server.host, None);
        assert_eq!(env.app.client_events, Some(true));
        assert_eq!(env.app.id.unwrap().0, "007");
        assert_eq!(env.app.max_connections.unwrap().0, None);
        assert_eq!(env.config.as_deref(), Some("x.toml"));
        assert!(env.warnings.is_empty(), "{:?}", env.warnings);
    }

    #[test]
    fn every_name_of_the_list_can_be_set() {
        for name in names() {
            let name = format!("TIDINGS_{}", name.to_ascii_uppercase());
            let value = match &*name {
                "TIDINGS_WEBHOOKS" => "[]",
                "TIDINGS_BACKPLANE" => "redis://127.0.0.1",
                "TIDINGS_ALLOWED_ORIGINS" => "https://*.shop.example,blog.example",
                "TIDINGS_TRUSTED_PROXIES" => "10.0.0.0/8, ::1",
                "TIDINGS_APPS_URL" => "sqlite:apps.db",
                _ => "1",
            };
            let env = environment(&[(&name, value)]).unwrap();
            assert!(env.warnings.is_empty(), "{name}: {:?}", env.warnings);
        }
    }

    #[test]
    fn soketi_names_are_sorted_and_name_options_of_ours() {
        assert!(SOKETI.is_sorted_by_key(|(name, ..)| *name));
        for (name, ours, _) in SOKETI {
            assert!(names().iter().any(|known| known == ours), "{name}");
        }
    }

    #[test]
    fn soketi_values_are_converted() {
        let env = environment(&[
            ("SOKETI_DEFAULT_APP_ID", "\"a\""),
            ("SOKETI_DEFAULT_APP_MAX_CONNS", "0"),
            ("SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES", "1"),
            ("SOKETI_EVENT_MAX_SIZE_IN_KB", "100"),
            ("SOKETI_SHUTDOWN_GRACE_PERIOD", "3000"),
            ("SOKETI_DEBUG", "1"),
        ])
        .unwrap();
        assert_eq!(env.app.id.unwrap().0, "a");
        assert_eq!(env.app.max_connections.unwrap().0, None);
        assert_eq!(env.app.client_events, Some(true));
        assert_eq!(env.app.max_event_bytes, Some(102_400));
        assert_eq!(env.server.shutdown_grace.unwrap().0.as_secs(), 3);
        assert_eq!(env.server.log.unwrap().0, "debug");
    }

    #[test]
    fn metrics_of_soketi_keep_their_names() {
        let prefix = |pairs: &[(&str, &str)]| {
            let env = environment(pairs).unwrap();
            assert!(env.warnings.is_empty(), "{:?}", env.warnings);
            env.server.metrics_soketi_prefix.map(|prefix| prefix.0)
        };
        let driver = ("SOKETI_METRICS_DRIVER", "prometheus");
        let on = ("SOKETI_METRICS_ENABLED", "1");
        let named = ("SOKETI_METRICS_PROMETHEUS_PREFIX", "x_");
        assert_eq!(prefix(&[driver, on]).as_deref(), Some("soketi_"));
        assert_eq!(prefix(&[on, named]).as_deref(), Some("x_"));
        assert_eq!(prefix(&[("SOKETI_METRICS_ENABLED", "0")]), None);
        let other = environment(&[("SOKETI_METRICS_DRIVER", "statsd")]).unwrap();
        assert_eq!(other.warnings.len(), 1);
    }

    #[test]
    fn our_names_beat_those_of_soketi() {
        let env = environment(&[("TIDINGS_PORT", "1"), ("SOKETI_PORT", "2")]).unwrap();
        assert_eq!(env.server.port, Some(1));
    }

    #[test]
    fn fr_135_a_bad_value_names_its_variable() {
        let error = environment(&[("TIDINGS_PORT", "70000")]).unwrap_err().to_string();
        assert!(error.starts_with("environment variable TIDINGS_PORT: "), "{error}");
        let error = environment(&[("TIDINGS_ENABLED", "maybe")]).unwrap_err().to_string();
        assert_eq!(
            error,
            "environment variable TIDINGS_ENABLED: `maybe` is neither true nor false"
        );
    }

    #[test]
    fn fr_135_an_unknown_variable_of_ours_is_a_warning_with_the_nearest_name() {
        let env = environment(&[("TIDINGS_PROT", "1")]).unwrap();
        let expected = "unknown variable TIDINGS_PROT is ignored; did you mean TIDINGS_PORT?";
        assert_eq!(env.warnings, [expected]);
    }

    #[test]
    fn an_address_in_the_port_variable_is_not_taken_for_a_port() {
        let env = environment(&[("TIDINGS_PORT", "tcp://10.0.0.1:6001")]).unwrap();
        assert_eq!(env.server.port, None);
        assert_eq!(env.warnings.len(), 1);
    }
}
