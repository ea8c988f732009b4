//! What a run of the program is to do: the sources of options laid over each other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::apps::AppList;
use super::compat;
use super::env::Environment;
use super::error::ConfigError;
use super::file;
use super::options::{AppOptions, CertificateEntry, Compare as _, ServerOptions};
use super::soketi_file;
use super::value::{Seconds, Text};
use super::{Certificate, ServerConfig};
use crate::directory::DirectoryConfig;

/// The configuration of a run of `tidings serve`.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) server: ServerConfig,
    pub(crate) apps: AppList,
    /// Where more apps are kept.
    pub(crate) directory: Option<DirectoryConfig>,
    /// The level to log at, or a filter such as `tidings=debug`, if one is set.
    pub(crate) log: Option<String>,
    /// The options of the server as they were given, to compare with those of another time.
    pub(crate) options: ServerOptions,
    /// How log lines are written, if that is set.
    pub(crate) log_format: Option<String>,
    /// Where traces go, if anywhere.
    pub(crate) otlp_endpoint: Option<String>,
    /// Things that look like mistakes but may be none of ours.
    pub(crate) warnings: Vec<String>,
}

impl Settings {
    /// Lays the sources over each other: flags over environment over file over defaults.
    ///
    /// # Errors
    ///
    /// When a value is out of its range, or the apps are incomplete or name each other's names.
    pub(crate) fn load(
        config: Option<PathBuf>,
        flags: (ServerOptions, AppOptions),
        environment: Environment,
    ) -> Result<Self, ConfigError> {
        let here = Path::new("");
        let mut app = flags.1;
        app.read_secret_files(here)?;
        let mut of_environment = environment.app;
        of_environment.read_secret_files(here)?;
        let app = app.or(of_environment);
        let path = config.or_else(|| environment.config.map(PathBuf::from));
        let is_json = path.as_deref().and_then(Path::extension).is_some_and(|end| end == "json");
        let (mut file, found) = match path.as_deref() {
            None => (ServerOptions::default(), Vec::new()),
            // A file of ours is never JSON, and one of Soketi always is.
            Some(path) if is_json => soketi_file::read(path)?,
            Some(path) => (file::read(path)?, Vec::new()),
        };
        let mut warnings = [environment.warnings, found].concat();
        let mut entries = file.apps.take().unwrap_or_default();
        let folder = path.as_deref().and_then(Path::parent).unwrap_or(here);
        for entry in &mut entries {
            entry.read_secret_files(folder)?;
        }
        let mut defaults = file.defaults.take().unwrap_or_default();

        let above = flags.0.or(environment.server);
        // A fault of what the file says is told with its line.
        let placed = |error: ConfigError| match (&error, path.as_deref()) {
            (ConfigError::Option { name, .. }, Some(path)) if !is_json => {
                let is_of_file = above.compared(&ServerOptions::default()).contains(&(*name, true));
                if is_of_file { file::in_line(error, path) } else { error }
            }
            _ => error,
        };
        let mut options = above.clone().or(file);
        let (soketi, tell) =
            compat::wanted(options.compat.as_ref(), environment.of_soketi || is_json)?;
        if soketi {
            let has_app = app.secret.is_some() || !entries.is_empty() || options.apps_url.is_some();
            options = options.or(compat::server_defaults(has_app));
            defaults = defaults.or(compat::app_defaults());
        }
        if tell {
            warnings.push(compat::NOTICE.to_owned());
        }
        let log = options.log.clone().map(|log| log.0);
        let log_format = options.log_format.clone().map(|format| format.0);
        let otlp_endpoint = options.otlp_endpoint.clone().map(|url| url.0);
        Ok(Self {
            server: ServerConfig {
                soketi_answers: soketi,
                ..server_config(options.clone()).map_err(placed)?
            },
            apps: AppList::read(app, defaults, entries)?,
            directory: directory(&options).map_err(placed)?,
            options,
            log,
            log_format,
            otlp_endpoint,
            warnings,
        })
    }
}

/// Where more apps are kept.
fn directory(options: &ServerOptions) -> Result<Option<DirectoryConfig>, ConfigError> {
    let Some(url) = options.apps_url.clone() else { return Ok(None) };
    let refresh = options.apps_refresh.map_or(APPS_REFRESH, |seconds| seconds.0);
    if refresh < Duration::from_millis(100) {
        let (value, rule) = (format!("{refresh:?}"), "at least 100 ms are needed");
        return Err(ConfigError::Option { name: "apps_refresh", value, rule });
    }
    let table = options.apps_table.clone().map_or_else(|| "apps".into(), |table| table.0.into());
    let lookups = options.apps_lookups_per_second.unwrap_or(APPS_LOOKUPS);
    let token = options.apps_token.clone();
    Ok(Some(DirectoryConfig { url, table, refresh, lookups, token }))
}

/// Apps that are looked up in a second.
const APPS_LOOKUPS: u32 = 50;

const APPS_REFRESH: Duration = Duration::from_secs(5);

/// The defaults, with what is set of how the server is reached.
fn doors(options: &mut ServerOptions) -> ServerConfig {
    let mut config = ServerConfig::default();
    config.tls_port = options.tls_port;
    config.tls_cert = options.tls_cert.take();
    config.tls_key = options.tls_key.take();
    config.tls_client_ca = options.tls_client_ca.take();
    config.certificates = certificates(options.certificates.take());
    config.listen_unix = options.listen_unix.take();
    config.listen_unix_mode =
        options.listen_unix_mode.map_or(config.listen_unix_mode, |mode| mode.0);
    config.reuse_port = options.reuse_port.unwrap_or(config.reuse_port);
    config.proxy_protocol = options.proxy_protocol.unwrap_or(config.proxy_protocol);
    config.trusted_proxies = options.trusted_proxies.take().unwrap_or_default().0;
    config.allowed_origins = options.allowed_origins.take().unwrap_or_default().0;
    config.max_connections_per_address =
        options.max_connections_per_address.and_then(|bound| bound.0);
    config.max_accepts_per_second = options.max_accepts_per_second.and_then(|bound| bound.0);
    config.max_pending_handshakes =
        options.max_pending_handshakes.unwrap_or(config.max_pending_handshakes);
    config
}

fn server_config(mut options: ServerOptions) -> Result<ServerConfig, ConfigError> {
    let default = doors(&mut options);
    let span = |set: Option<Seconds>, default| set.map_or(default, |seconds| seconds.0);
    let text = |set: Option<Text>, default| set.map_or(default, |text| text.0.into());
    let config = ServerConfig {
        host: text(options.host, default.host),
        port: options.port.unwrap_or(default.port),
        path_prefix: path_prefix(&text(options.path_prefix, default.path_prefix))?,
        threads: options.threads.unwrap_or(default.threads),
        max_message_bytes: options.max_message_bytes.unwrap_or(default.max_message_bytes),
        max_queue_bytes: options.max_queue_bytes.unwrap_or(default.max_queue_bytes),
        max_head_bytes: options.max_head_bytes.unwrap_or(default.max_head_bytes),
        max_headers: options.max_headers.unwrap_or(default.max_headers),
        max_body_bytes: options.max_body_bytes.unwrap_or(default.max_body_bytes),
        handshake_timeout: span(options.handshake_timeout, default.handshake_timeout),
        keep_alive_timeout: span(options.keep_alive_timeout, default.keep_alive_timeout),
        activity_timeout: span(options.activity_timeout, default.activity_timeout),
        pong_timeout: span(options.pong_timeout, default.pong_timeout),
        close_timeout: span(options.close_timeout, default.close_timeout),
        user_authentication_timeout: span(
            options.user_authentication_timeout,
            default.user_authentication_timeout,
        ),
        shutdown_grace: span(options.shutdown_grace, default.shutdown_grace),
        shutdown_delay: span(options.shutdown_delay, default.shutdown_delay),
        webhook_delay: span(options.webhook_delay, default.webhook_delay),
        webhook_timeout: span(options.webhook_timeout, default.webhook_timeout),
        webhook_retry: span(options.webhook_retry, default.webhook_retry),
        webhook_backoff: span(options.webhook_backoff, default.webhook_backoff),
        webhook_batching: options.webhook_batching.unwrap_or(default.webhook_batching),
        webhook_batch_window: span(options.webhook_batch_window, default.webhook_batch_window),
        max_webhook_batch: options.max_webhook_batch.unwrap_or(default.max_webhook_batch),
        max_webhook_queue: options.max_webhook_queue.unwrap_or(default.max_webhook_queue),
        max_webhook_queue_bytes: options
            .max_webhook_queue_bytes
            .unwrap_or(default.max_webhook_queue_bytes),
        feed_keep_alive: span(options.feed_keep_alive, default.feed_keep_alive),
        feed_retention: span(options.feed_retention, default.feed_retention),
        max_feed_queue: options.max_feed_queue.unwrap_or(default.max_feed_queue),
        backplane: options.backplane.map(|url| url.0),
        backplane_prefix: text(options.backplane_prefix, default.backplane_prefix),
        backplane_lease: span(options.backplane_lease, default.backplane_lease),
        metrics: options.metrics.unwrap_or(default.metrics),
        metrics_host: text(options.metrics_host, default.metrics_host),
        metrics_port: options.metrics_port.unwrap_or(default.metrics_port),
        metrics_prefix: text(options.metrics_prefix, default.metrics_prefix),
        metrics_soketi_prefix: options.metrics_soketi_prefix.map(|prefix| prefix.0.into()),
        console_password: options.console_password.map(|secret| secret.0.into()),
        console_read_only: options.console_read_only.unwrap_or(default.console_read_only),
        ..default
    };
    check(&config)?;
    Ok(config)
}

fn certificates(entries: Option<Vec<CertificateEntry>>) -> Vec<Certificate> {
    let made = |entry: CertificateEntry| {
        let mut certificate = Certificate::new(entry.cert, entry.key);
        certificate.names = entry.names.into_iter().map(Into::into).collect();
        certificate
    };
    entries.unwrap_or_default().into_iter().map(made).collect()
}

/// Whether the options of TLS belong together.
fn check_tls(config: &ServerConfig) -> Result<(), ConfigError> {
    let lacking = |name, rule| Err(ConfigError::Option { name, value: "set".to_owned(), rule });
    match (&config.tls_cert, &config.tls_key) {
        (Some(_), None) => return lacking("tls_cert", "it needs its key: set `tls_key` too"),
        (None, Some(_)) => return lacking("tls_key", "it is of a certificate: set `tls_cert` too"),
        (Some(_), Some(_)) | (None, None) => {}
    }
    if !config.has_certificates() {
        let rule = "there is no certificate: set `tls_cert` and `tls_key`";
        if config.tls_port.is_some() {
            return lacking("tls_port", rule);
        }
        if config.tls_client_ca.is_some() {
            return lacking("tls_client_ca", rule);
        }
    }
    if config.tls_port.is_some_and(|port| port != 0 && port == config.port) {
        return lacking(
            "tls_port",
            "it is the same as `port`: leave it out to speak TLS on that port alone",
        );
    }
    Ok(())
}

fn check(config: &ServerConfig) -> Result<(), ConfigError> {
    check_tls(config)?;
    let least = |name, value: usize, least, rule| {
        let value_text = value.to_string();
        let error = || ConfigError::Option { name, value: value_text, rule };
        if value < least { Err(error()) } else { Ok(()) }
    };
    least("threads", config.threads, 1, "at least 1 is needed")?;
    let lease = usize::try_from(config.backplane_lease.as_millis()).unwrap_or(usize::MAX);
    least("backplane_lease", lease, 300, "milliseconds: less than 300 would make ghosts of all")?;
    if config.threads > MAX_THREADS {
        let value = config.threads.to_string();
        return Err(ConfigError::Option {
            name: "threads",
            value,
            rule: "at most 1024 make sense",
        });
    }
    let head = config.max_head_bytes as usize;
    least("max_head_bytes", head, 512, "a WebSocket handshake needs at least 512")?;
    let headers = config.max_headers as usize;
    least("max_headers", headers, 16, "browsers and proxies send at least 16")?;
    let message = config.max_message_bytes as usize;
    least("max_message_bytes", message, 1_024, "a subscription needs at least 1024")?;
    let queue = config.max_queue_bytes as usize;
    least("max_queue_bytes", queue, 16 * 1024, "at least 16384 are needed for one event")?;
    for (name, value) in [
        ("max_pending_handshakes", config.max_pending_handshakes),
        ("max_accepts_per_second", config.max_accepts_per_second.unwrap_or(u32::MAX)),
        ("max_connections_per_address", config.max_connections_per_address.unwrap_or(u32::MAX)),
        ("max_webhook_batch", config.max_webhook_batch),
        ("max_webhook_queue", config.max_webhook_queue),
        ("max_feed_queue", config.max_feed_queue),
    ] {
        least(name, value as usize, 1, "at least 1 is needed")?;
    }
    check_times(config)
}

fn check_times(config: &ServerConfig) -> Result<(), ConfigError> {
    for (name, span) in [
        ("handshake_timeout", config.handshake_timeout),
        ("pong_timeout", config.pong_timeout),
        ("keep_alive_timeout", config.keep_alive_timeout),
        ("webhook_timeout", config.webhook_timeout),
        ("feed_keep_alive", config.feed_keep_alive),
        ("webhook_backoff", config.webhook_backoff),
    ] {
        if span.is_zero() {
            let value = "0".to_owned();
            return Err(ConfigError::Option { name, value, rule: "it must be more than 0" });
        }
    }
    check_texts(config)?;
    if config.activity_timeout < Duration::from_secs(1) {
        return Err(ConfigError::Option {
            name: "activity_timeout",
            value: format!("{:?}", config.activity_timeout),
            rule: "clients are told it in whole seconds, so it must be at least 1",
        });
    }
    Ok(())
}

fn check_texts(config: &ServerConfig) -> Result<(), ConfigError> {
    if config.console_password.as_ref().is_some_and(|password| password.len() < MIN_PASSWORD) {
        return Err(ConfigError::Option {
            name: "console_password",
            value: "too short".to_owned(),
            rule: "at least 8 characters are needed, and a long random text is better",
        });
    }
    let prefixes = [
        ("metrics_prefix", Some(&config.metrics_prefix)),
        ("metrics_soketi_prefix", config.metrics_soketi_prefix.as_ref()),
    ];
    for (name, prefix) in prefixes.into_iter().filter_map(|(name, set)| Some((name, set?))) {
        check_prefix(name, prefix)?;
    }
    Ok(())
}

/// What may begin the name of a metric.
fn check_prefix(name: &'static str, prefix: &str) -> Result<(), ConfigError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b':';
    if prefix.bytes().all(plain) && !prefix.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(());
    }
    let (value, rule) =
        (format!("`{prefix}`"), "only ASCII letters, digits, _ and :, no digit first");
    Err(ConfigError::Option { name, value, rule })
}

const MAX_THREADS: usize = 1_024;

/// Characters of a password that others may try to guess.
const MIN_PASSWORD: usize = 8;

/// A path prefix with a slash at its start and none at its end.
fn path_prefix(text: &str) -> Result<Box<str>, ConfigError> {
    let path = text.trim_matches('/');
    let in_path = |b: u8| b.is_ascii_alphanumeric() || b"-_.~/".contains(&b);
    if !path.bytes().all(in_path) || path.contains("//") {
        return Err(ConfigError::Option {
            name: "path_prefix",
            value: format!("`{text}`"),
            rule: "it may hold only ASCII letters, digits, - _ . ~ and single slashes",
        });
    }
    Ok(if path.is_empty() { "".into() } else { format!("/{path}").into() })
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
