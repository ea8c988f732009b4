use std::path::Path;

use super::super::{env, file};
use super::*;
use crate::app::Apps;
use crate::config::AppOptions;
use crate::config::SecretText;
use crate::directory::Found;
use tidings_core::auth::{SigningKey, sign_webhook, verify_webhook};

fn load(
    text: &str,
    variables: &[(&str, &str)],
    flags: (ServerOptions, AppOptions),
) -> Result<Settings, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidings.toml");
    std::fs::write(&path, text).unwrap();
    let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::load(Some(path), flags, env::read(pairs).unwrap())
}

fn load_file(text: &str) -> Result<Settings, ConfigError> {
    load(text, &[], Default::default())
}

const ONE_APP: &str = "[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = \"s\"\n";

#[test]
fn flags_beat_the_environment_beats_the_file_beats_the_default() {
    let text = "port = 1\nthreads = 1\nmax_headers = 50\n";
    let variables = [("TIDINGS_PORT", "2"), ("TIDINGS_THREADS", "2")];
    let flags = ServerOptions { port: Some(3), ..ServerOptions::default() };
    let server = load(text, &variables, (flags, AppOptions::default())).unwrap().server;
    assert_eq!((server.port, server.threads, server.max_headers), (3, 2, 50));
    assert_eq!(server.max_head_bytes, 8_192);
}

#[test]
fn a_value_out_of_its_range_is_told_with_its_line() {
    let told = |text: &str, variables: &[(&str, &str)]| {
        load(text, variables, Default::default()).unwrap_err().to_string()
    };
    let text = told("host = \"::1\"\nthreads = 0\n[[apps]]\n", &[]);
    assert!(
        text.ends_with("/tidings.toml:2: option `threads` is 0: at least 1 is needed"),
        "{text}"
    );
    let text = told("threads = 1\n", &[("TIDINGS_THREADS", "0")]);
    assert!(text.starts_with("option `threads` is 0"), "not the file's: {text}");
    let text = told("tls_cert = \"a.pem\"\n", &[]);
    assert!(text.contains("/tidings.toml:1: option `tls_cert`"), "{text}");
}

#[test]
fn without_apps_there_is_the_development_app() {
    let settings = load_file("").unwrap();
    assert!(settings.apps.apps().unwrap().is_development());
    assert!(settings.apps.apps().unwrap().by_key("app-key").is_some());
}

#[test]
fn several_apps_have_rules_of_their_own_over_the_defaults() {
    let text = "[defaults]\nmax_batch = 3\nmax_user_id = 9\n\
                [[apps]]\nid = \"1\"\nkey = \"a\"\nsecret = \"s\"\nclient_events = true\n\
                [[apps]]\nid = \"2\"\nkey = \"b\"\nsecret = \"t\"\nmax_batch = 4\n";
    let apps = load_file(text).unwrap().apps.apps().unwrap();
    let (first, second) = (apps.by_id("1").unwrap(), apps.by_id("2").unwrap());
    assert!(first.client_events && !second.client_events);
    assert_eq!((first.limits.max_batch, second.limits.max_batch), (3, 4));
    assert_eq!((first.limits.max_user_id, second.limits.max_user_id), (9, 9));
    assert_eq!(second.secret(), b"t");
    assert!(!apps.is_development());
}

#[test]
fn flags_rule_every_app_of_the_file() {
    let text = format!("{ONE_APP}max_batch = 4\n");
    let flags = AppOptions { max_batch: Some(5), ..AppOptions::default() };
    let apps = load(&text, &[], (ServerOptions::default(), flags)).unwrap().apps.apps().unwrap();
    assert_eq!(apps.by_id("1").unwrap().limits.max_batch, 5);
}

#[test]
fn the_environment_can_be_the_only_app() {
    let apps =
        load("", &[("TIDINGS_APP_SECRET", "s")], Default::default()).unwrap().apps.apps().unwrap();
    assert!(!apps.is_development());
    assert_eq!(apps.by_id("app-id").unwrap().secret(), b"s");
    let error = load("", &[("TIDINGS_APP_ID", "x")], Default::default()).unwrap_err().to_string();
    assert!(error.contains("TIDINGS_APP_SECRET"), "{error}");
}

#[test]
fn the_environment_can_hold_the_secret_of_the_app_in_the_file() {
    let text = "[[apps]]\nid = \"1\"\nkey = \"k\"\n";
    let apps = load(text, &[("TIDINGS_APP_SECRET", "s")], Default::default())
        .unwrap()
        .apps
        .apps()
        .unwrap();
    assert_eq!(apps.len(), 1);
    assert_eq!(apps.by_id("1").unwrap().secret(), b"s");
}

#[test]
fn secrets_are_read_from_files_whoever_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (new, old) = (file("new", "n\n"), file("old", "o\n"));
    let signed = |apps: Apps| {
        let app = apps.by_id("1").unwrap();
        let takes = |secret: &str| {
            let other = SigningKey::new(secret.as_bytes());
            let signature = sign_webhook(&other, b"x");
            let verify = |key: &SigningKey| {
                let good = verify_webhook(key, b"x", signature.as_str());
                if good { Ok(()) } else { Err(()) }
            };
            app.verified(verify).is_ok()
        };
        ["n", "o", "s", "x"].map(takes)
    };
    let text = format!(
        "[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret_file = \"{new}\"\nprevious_secret_file = \"{old}\"\n"
    );
    assert_eq!(signed(load_file(&text).unwrap().apps.apps().unwrap()), [true, true, false, false]);
    let variables = [("TIDINGS_APP_SECRET_FILE", &*new), ("TIDINGS_APP_PREVIOUS_SECRET", "x")];
    let apps = load(ONE_APP, &variables, Default::default()).unwrap().apps.apps().unwrap();
    assert_eq!(signed(apps), [true, false, false, true]);
    let url = file("url", "redis://user:pass@localhost/\n");
    let server = load("", &[("TIDINGS_BACKPLANE_FILE", &url)], Default::default()).unwrap().server;
    assert!(server.backplane.is_some());
    let both = format!("{ONE_APP}secret_file = \"{new}\"\n");
    assert!(load_file(&both).unwrap_err().to_string().contains("leave one out"));
}

#[test]
fn the_environment_adds_an_app_to_those_of_the_file() {
    let variables =
        [("TIDINGS_APP_ID", "9"), ("TIDINGS_APP_KEY", "z"), ("TIDINGS_APP_SECRET", "s")];
    let apps = load(ONE_APP, &variables, Default::default()).unwrap().apps.apps().unwrap();
    assert_eq!(apps.len(), 2);
    assert!(apps.by_key("z").is_some() && apps.by_key("k").is_some());
}

#[test]
fn fr_135_an_incomplete_app_names_what_is_missing() {
    let error = load_file("[[apps]]\nid = \"1\"\nkey = \"k\"\n").unwrap_err().to_string();
    assert!(error.contains("app number 1 of the file has no secret"), "{error}");
    let error = load_file("[defaults]\nkey = \"k\"\n").unwrap_err().to_string();
    assert!(error.contains("[defaults] cannot hold `key`"), "{error}");
    let error = load_file(&format!("{ONE_APP}{ONE_APP}")).unwrap_err().to_string();
    assert!(error.contains("two apps have the id `1`"), "{error}");
}

#[test]
fn fr_137_the_prefix_is_written_in_any_way() {
    for text in ["ws", "/ws", "ws/", "/ws/"] {
        assert_eq!(&*path_prefix(text).unwrap(), "/ws", "{text}");
    }
    assert_eq!(&*path_prefix("/a/b").unwrap(), "/a/b");
    assert_eq!(&*path_prefix("/").unwrap(), "");
    for text in ["/a b", "/ü", "/a?b", "/a//b"] {
        assert!(path_prefix(text).is_err(), "{text}");
    }
}

#[test]
fn values_out_of_range_name_option_value_and_rule() {
    for (text, part) in [
        ("threads = 0", "option `threads` is 0: at least 1"),
        ("threads = 5000", "option `threads` is 5000: at most"),
        ("max_head_bytes = 511", "option `max_head_bytes` is 511"),
        ("max_headers = 15", "option `max_headers` is 15"),
        ("max_message_bytes = 1023", "option `max_message_bytes` is 1023"),
        ("max_queue_bytes = 16383", "option `max_queue_bytes` is 16383"),
        ("activity_timeout = 0.5", "option `activity_timeout` is 500ms"),
        ("pong_timeout = 0", "option `pong_timeout` is 0"),
        ("metrics_prefix = \"1a\"", "option `metrics_prefix` is `1a`"),
        ("metrics_soketi_prefix = \"a-b\"", "option `metrics_soketi_prefix` is `a-b`"),
        ("console_password = \"1234567\"", "option `console_password` is too short: at least 8"),
    ] {
        let error = load_file(text).unwrap_err().to_string();
        assert!(error.contains(&format!("tidings.toml:1: {part}")), "{error}");
    }
    for text in ["max_head_bytes = 512", "max_headers = 16", "activity_timeout = 1"] {
        assert!(load_file(text).is_ok(), "{text}");
    }
}

#[test]
fn every_option_of_the_server_reaches_the_configuration() {
    let text = "host = \"h\"\nport = 1\npath_prefix = \"p\"\nthreads = 2\n\
        max_message_bytes = 2003\nmax_queue_bytes = 20004\nmax_head_bytes = 1005\n\
        max_headers = 16\nmax_body_bytes = 7\nhandshake_timeout = 8\nkeep_alive_timeout = 9\n\
        activity_timeout = 10\npong_timeout = 11\nclose_timeout = 12\n\
        user_authentication_timeout = 13\nshutdown_grace = 14\nshutdown_delay = 27\n\
        webhook_delay = 15\nwebhook_timeout = 16\nwebhook_retry = 17\nwebhook_backoff = 18\n\
        webhook_batching = true\nwebhook_batch_window = 19\nmax_webhook_batch = 20\n\
        max_webhook_queue = 21\nmax_webhook_queue_bytes = 22\n\
        feed_keep_alive = 23\nfeed_retention = 24\nmax_feed_queue = 25\n\
        backplane = \"redis://:pw@b\"\nbackplane_prefix = \"x\"\nbackplane_lease = 26\n\
        console_password = \"12345678\"\nconsole_read_only = true\nlog = \"warn\"\nlog_format = \"json\"\notlp_endpoint = \"o\"\n\
        metrics = true\nmetrics_host = \"m\"\nmetrics_port = 28\nmetrics_prefix = \"a_\"\nmetrics_soketi_prefix = \"b_\"\n\
        tls_port = 27\ntls_cert = \"c\"\ntls_key = \"k\"\ntls_client_ca = \"ca\"\n\
        listen_unix = \"u\"\nlisten_unix_mode = \"0600\"\nreuse_port = true\n\
        proxy_protocol = true\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n\
        allowed_origins = [\"https://a.example\"]\n\
        max_connections_per_address = 28\nmax_accepts_per_second = 29\nmax_pending_handshakes = 30\n\
        [[certificates]]\ncert = \"c2\"\nkey = \"k2\"\nnames = [\"n\"]\n";
    let settings = load_file(text).unwrap();
    assert_eq!(settings.log.as_deref(), Some("warn"));
    assert_eq!(settings.log_format.as_deref(), Some("json"));
    assert_eq!(settings.otlp_endpoint.as_deref(), Some("o"));
    let expected = "ServerConfig { host: \"h\", port: 1, tls_port: Some(27), tls_cert: Some(\"c\"), tls_key: Some(\"k\"), \
        tls_client_ca: Some(\"ca\"), certificates: [Certificate { cert: \"c2\", key: \"k2\", \
        names: [\"n\"] }], listen_unix: Some(\"u\"), listen_unix_mode: 384, reuse_port: true, proxy_protocol: true, \
        trusted_proxies: [Network(10.0.0.0/8), Network(::1/128)], \
        allowed_origins: [Origin(https://a.example)], max_connections_per_address: Some(28), \
        max_accepts_per_second: Some(29), max_pending_handshakes: 30, path_prefix: \"/p\", threads: 2, \
        max_message_bytes: 2003, max_queue_bytes: 20004, max_head_bytes: 1005, max_headers: 16, \
        max_body_bytes: 7, handshake_timeout: 8s, keep_alive_timeout: 9s, activity_timeout: 10s, \
        pong_timeout: 11s, close_timeout: 12s, user_authentication_timeout: 13s, \
        shutdown_grace: 14s, soketi_answers: false, shutdown_delay: 27s, webhook_delay: 15s, webhook_timeout: 16s, webhook_retry: 17s, \
        webhook_backoff: 18s, webhook_batching: true, webhook_batch_window: 19s, \
        max_webhook_batch: 20, max_webhook_queue: 21, max_webhook_queue_bytes: 22, \
        feed_keep_alive: 23s, feed_retention: 24s, max_feed_queue: 25, \
        backplane: Some(redis://***@b), backplane_prefix: \"x\", backplane_lease: 26s, metrics: true, metrics_host: \"m\", metrics_port: 28, \
        metrics_prefix: \"a_\", metrics_soketi_prefix: Some(\"b_\"), console_password: Some([redacted]), \
        console_read_only: true }";
    assert_eq!(format!("{:?}", settings.server), expected);
}

#[test]
fn every_option_of_an_app_reaches_the_app() {
    let text = format!(
        "{ONE_APP}enabled = false\nallowed_origins = \"*.b.example\"\nclient_events = true\nmax_connections = 1\n\
        max_client_events_per_second = \"unlimited\"\n\
        max_backend_events_per_second = 18\nmax_read_requests_per_second = 19\nuser_authentication = true\n\
        max_channel_name = 2\nmax_event_name = 3\nmax_event_bytes = 4\n\
        max_channels_per_event = 5\nmax_batch = 6\nmax_presence_members = 7\n\
        max_presence_user_bytes = 8\nmax_user_id = 9\nmax_channels_per_connection = 10\n\
        subscription_count = true\nwatchlists = true\nmax_watchlist = 14\nhistory_events = 15\nhistory_bytes = 16\nhistory_age = 17\nhistory_prefixes = \"a,b\"\ncache_ttl = 11\nmax_cached_events = 12\nmax_cached_bytes = 13\n\
        webhooks = [{{ url = \"http://x\" }}]\n"
    );
    let apps = load_file(&text).unwrap().apps.apps().unwrap();
    let expected = "App { id: \"1\", key: \"k\", secret: [redacted], enabled: false, \
        client_events: true, max_connections: Some(1), max_client_events_per_second: None, \
        max_backend_events_per_second: Some(18), max_read_requests_per_second: Some(19), \
        user_authentication: true, allowed_origins: [Origin(*.b.example)], webhooks: [Webhook { url: \"http://x\", event_types: [], \
        channel_name_starts_with: None, channel_name_ends_with: None, headers: [], \
        batching: None }], subscription_count: true, watchlists: true, cache_ttl: 11s, history: History { max_events: 15, \
        max_bytes: 16, max_age: 17s, prefixes: [\"a\", \"b\"] }, \
        limits: AppLimits { max_channel_name: 2, max_event_name: 3, \
        max_event_bytes: 4, max_channels_per_event: 5, max_batch: 6, max_presence_members: 7, \
        max_presence_user_bytes: 8, max_user_id: 9, max_watchlist: 14, max_channels_per_connection: 10, \
        max_cached_events: 12, max_cached_bytes: 13 }, connections: 0 }";
    assert_eq!(format!("{:?}", apps.by_id("1").unwrap()), expected);
}

#[test]
fn the_readme_names_every_option() {
    let readme = include_str!("../../README.md");
    for name in ServerOptions::NAMES.iter().chain(AppOptions::NAMES) {
        assert!(readme.contains(&format!("| `{name}` |")), "std-adapter/README.md lacks `{name}`");
    }
}

#[test]
fn the_file_of_the_readme_is_valid() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```toml\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    assert!(file::parse(Path::new("README.md"), text).is_ok());
    assert_eq!(load_file(text).unwrap().apps.apps().unwrap().len(), 2);
}

#[test]
fn webhooks_of_a_file_and_of_the_environment_become_the_apps_endpoints() {
    let text =
        format!("{ONE_APP}[[apps.webhooks]]\nurl = \"http://x/a\"\nheaders = {{ A = \"b\" }}\n");
    let apps = load_file(&text).unwrap().apps.apps().unwrap();
    assert_eq!(&*apps.by_id("1").unwrap().webhooks[0].url, "http://x/a");
    let variables = [("SOKETI_DEFAULT_APP_WEBHOOKS", r#"[{"url":"http://x/b"}]"#)];
    let apps = load("", &variables, Default::default()).unwrap().apps.apps().unwrap();
    assert_eq!(&*apps.by_id("app-id").unwrap().webhooks[0].url, "http://x/b");
}

#[test]
fn a_webhook_that_cannot_be_sent_to_is_refused_without_its_secrets() {
    let text = format!("{ONE_APP}[[apps.webhooks]]\nurl = \"ftp://x/?token=hunter2\"\n");
    let error = load_file(&text).unwrap_err().to_string();
    assert!(error.contains("ftp://x/") && !error.contains("hunter2"), "{error}");
}

#[test]
fn options_of_tls_that_do_not_belong_together_are_refused_with_the_next_step() {
    for (text, name, step) in [
        ("tls_cert = \"c\"\n", "tls_cert", "set `tls_key`"),
        ("tls_key = \"k\"\n", "tls_key", "set `tls_cert`"),
        ("tls_port = 1\n", "tls_port", "set `tls_cert` and `tls_key`"),
        ("tls_client_ca = \"c\"\n", "tls_client_ca", "set `tls_cert` and `tls_key`"),
        ("port = 7\ntls_port = 7\ntls_cert = \"c\"\ntls_key = \"k\"\n", "tls_port", "leave it out"),
    ] {
        let error = load_file(text).unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}`")) && error.contains(step), "{error}");
    }
}

#[test]
fn the_names_of_soketi_for_tls_are_understood_and_a_passphrase_is_reported() {
    let variables = [
        ("SOKETI_SSL_CERT", "c.pem"),
        ("SOKETI_SSL_KEY", "k.pem"),
        ("SOKETI_SSL_CA", "ca.pem"),
        ("SOKETI_SSL_PASS", "hunter2"),
        ("TIDINGS_COMPAT", "soketi"),
    ];
    let settings = load("", &variables, Default::default()).unwrap();
    assert_eq!(settings.server.tls_cert.as_deref(), Some(Path::new("c.pem")));
    assert_eq!(settings.server.tls_key.as_deref(), Some(Path::new("k.pem")));
    assert_eq!(settings.server.tls_client_ca.as_deref(), Some(Path::new("ca.pem")));
    let [warning] = &settings.warnings[..] else { panic!("{:?}", settings.warnings) };
    assert!(warning.contains("SOKETI_SSL_PASS") && warning.contains("openssl pkey"), "{warning}");
    assert!(!warning.contains("hunter2"), "{warning}");
}

#[test]
fn apps_that_are_kept_elsewhere_stand_beside_those_of_the_file() {
    let list = load_file(&format!("{ONE_APP}[defaults]\nmax_batch = 3\n")).unwrap().apps;
    let kept = |id: &str, key: &str, secret: &str| AppOptions {
        id: Some(Text(id.into())),
        key: Some(Text(key.into())),
        secret: Some(SecretText(secret.into())),
        ..AppOptions::default()
    };
    let found = Found {
        apps: vec![
            kept("2", "b", "s"),
            kept("1", "x", "s"),
            kept("3", "k", "s"),
            kept("4", "d", ""),
        ],
        warnings: vec!["told before".into()],
    };
    let (apps, warnings) = list.with(&found).unwrap();
    assert_eq!(apps.iter().map(|app| app.id.to_string()).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(apps.by_id("2").unwrap().limits.max_batch, 3, "defaults hold for all");
    for (warning, part) in warnings.iter().zip([
        "told before",
        "`1` is left out: another has this id",
        "`3` is left out: another has its key",
        "`4` is left out: the secret of app `4` is empty",
    ]) {
        assert!(warning.contains(part), "{warning}");
    }
    let none = load_file("").unwrap().apps.with(&Found::default()).unwrap().0;
    assert!(none.is_empty() && !none.is_development());
}

#[test]
fn who_comes_from_soketi_gets_its_defaults_unless_they_are_turned_off() {
    let variables = [("SOKETI_DEFAULT_APP_SECRET", "s"), ("SOKETI_EVENT_MAX_BATCH_SIZE", "9")];
    let settings = load("", &variables, Default::default()).unwrap();
    let apps = settings.apps.apps().unwrap();
    let app = apps.by_id("app-id").unwrap();
    assert_eq!((&*settings.server.host, settings.server.soketi_answers), ("0.0.0.0", true));
    assert_eq!((app.limits.max_event_bytes, app.limits.max_batch), (102_400, 9));
    assert_eq!(app.max_client_events_per_second, None);
    assert!(settings.warnings.iter().any(|warning| warning.contains("TIDINGS_COMPAT=none")));

    let variables = [("SOKETI_DEFAULT_APP_SECRET", "s"), ("TIDINGS_COMPAT", "none")];
    let settings = load("", &variables, Default::default()).unwrap();
    let apps = settings.apps.apps().unwrap();
    assert_eq!((&*settings.server.host, settings.server.soketi_answers), ("127.0.0.1", false));
    assert_eq!(apps.by_id("app-id").unwrap().limits.max_event_bytes, 10_240);

    let settings = load("", &[("TIDINGS_COMPAT", "soketi")], Default::default()).unwrap();
    assert_eq!(&*settings.server.host, "127.0.0.1", "the development app stays on this machine");
    assert!(settings.server.soketi_answers && settings.warnings.is_empty());
    let error = load_file("compat = \"pusher\"\n").unwrap_err().to_string();
    assert!(error.contains("it is `soketi` or `none`"), "{error}");
}
