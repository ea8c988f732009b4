//! Options of the server that change while it runs: who is connected stays, and what is new is in force.

mod support;
mod support_console;
mod support_hooks;
mod support_http;
mod support_tls;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Client, address, app, block_on, eventually, raw, start, start_with};
use support_console::{PASSWORD, RIGHT, act, guarded, send};
use support_hooks::{Receiver, status};
use support_http::{Connection, Request};
use support_tls::{Authority, Pair, certificate, connect, shown};
use tidings::{
    Certificate, ConfigChanges, ReconfigureError, Server, ServerConfig, ServerHandle, Webhook,
};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::http::HeaderValue;

const HOUR: Duration = Duration::from_secs(3600);

/// Puts the configuration of [`start_with`] in force, changed.
fn change(server: &ServerHandle, change: impl FnOnce(&mut ServerConfig)) -> ConfigChanges {
    let mut config = ServerConfig::default();
    config.threads = 2;
    change(&mut config);
    server.reconfigure(&config).unwrap()
}

/// The names of what is in force now, when nothing has to wait.
fn in_force(changes: ConfigChanges) -> Vec<&'static str> {
    assert_eq!(changes.waiting, [""; 0]);
    changes.in_force
}

/// The close code of a WebSocket that is refused, or 0 of one that is let in.
fn knock(server: &ServerHandle, header: Option<(&'static str, &str)>) -> (u16, Client) {
    let mut request =
        format!("ws://{}/app/key?protocol=7", address(server)).into_client_request().unwrap();
    if let Some((name, value)) = header {
        request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
    }
    let stream = TcpStream::connect(address(server)).unwrap();
    let (ws, _) = tungstenite::client(request, stream).unwrap();
    let mut client = Client { ws, socket_id: String::new() };
    let first = client.event();
    let is_in = first["event"] == "pusher:connection_established";
    (if is_in { 0 } else { client.closed().code.into() }, client)
}

/// The time of silence that a new client is told.
fn told_timeout(server: &ServerHandle) -> Value {
    let mut client = Client::open(server, "/app/key?protocol=7");
    let data = client.event()["data"].as_str().unwrap().to_owned();
    serde_json::from_str::<Value>(&data).unwrap()["activity_timeout"].clone()
}

#[test]
fn times_of_the_protocol_hold_for_all_but_what_was_announced() {
    let server = start_with(app(), |config| {
        config.activity_timeout = Duration::from_secs(1);
        (config.pong_timeout, config.close_timeout) = (HOUR, HOUR);
    });
    // It reads nothing, so it answers no ping.
    let mut silent = Client::connect(&server);
    let changes = change(&server, |config| {
        config.activity_timeout = Duration::from_secs(77);
        config.pong_timeout = Duration::from_secs(1);
        config.close_timeout = Duration::from_secs(1);
    });
    assert_eq!(in_force(changes), ["activity_timeout", "pong_timeout", "close_timeout"]);
    assert_eq!(told_timeout(&server), 77);
    // Pinged after the second that it was told, and ended by the new times.
    eventually("the silent client is given up", || server.connections("id") == 0);
    assert_eq!(u16::from(silent.closed().code), 4201);
}

#[test]
fn a_message_may_be_as_long_as_was_said_when_the_connection_began() {
    let server = start();
    let mut early = Client::connect(&server);
    change(&server, |config| config.max_message_bytes = 2_000);
    let mut late = Client::connect(&server);
    let long = json!({"event": "pusher:ping", "data": {"x": "x".repeat(3_000)}});
    early.send(long.clone());
    assert_eq!(early.event()["event"], "pusher:pong");
    late.send(long);
    assert_eq!(u16::from(late.closed().code), 1009);
}

#[test]
fn a_slow_client_is_measured_by_the_bound_of_now() {
    let server = start_with(app(), |config| config.max_queue_bytes = 256 * 1024 * 1024);
    let mut slow = Client::connect(&server);
    slow.subscribe("a");
    let data = "x".repeat(10_000);
    let publish = || server.publish("id", tidings::Event::new("a", "e", &data)).unwrap();
    // More than the system takes for a socket that nobody reads.
    (0..2_000).for_each(|_| publish());
    assert_eq!(server.connections("id"), 1);
    change(&server, |config| config.max_queue_bytes = 20_000);
    publish();
    // Who read before that might never have this much waiting.
    eventually("it is given up", || server.refusals().iter().any(|refusal| refusal.code == 4100));
    assert_eq!(u16::from(slow.closed().code), 4100);
}

#[test]
fn bounds_of_requests_hold_from_the_next_one_on() {
    let server = start();
    let body = json!({"name": "e", "channel": "a", "data": "x".repeat(500)}).to_string();
    let mut connection = Connection::open(address(&server));
    let mut publish = || connection.request(&Request::post("/apps/id/events", &body)).status;
    assert_eq!(publish(), 200);
    change(&server, |config| {
        config.max_body_bytes = 100;
        config.max_headers = 16;
        config.path_prefix = "/ws".into();
    });
    assert_eq!(publish(), 413, "on the same connection");
    let headers: String = (0..17).map(|n| format!("x-{n}: 1\r\n")).collect();
    assert!(raw(&server, format!("GET / HTTP/1.1\r\n{headers}\r\n").as_bytes()).contains(" 431 "));
    let mut client = Client::open(&server, "/ws/app/key?protocol=7");
    assert_eq!(client.event()["event"], "pusher:connection_established");
}

#[test]
fn addresses_and_proxies_are_looked_at_anew() {
    let server = start();
    let forwarded = |of: &'static str| Some(("X-Forwarded-For", of));
    let mut early = Client::connect(&server);
    let limited = |config: &mut ServerConfig| config.max_connections_per_address = Some(1);
    change(&server, limited);
    let (code, _first) = knock(&server, None);
    assert_eq!(code, 0, "those before it do not count");
    assert_eq!(knock(&server, forwarded("192.0.2.7")).0, 4100, "nobody is believed");
    change(&server, |config| {
        limited(config);
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    });
    let (code, _second) = knock(&server, forwarded("192.0.2.7"));
    assert_eq!(code, 0);
    assert_eq!(knock(&server, forwarded("192.0.2.7")).0, 4100);
    change(&server, |_| ());
    assert_eq!(knock(&server, None).0, 0);
    assert_eq!(early.pending(), [Value::Null; 0]);
}

#[test]
fn who_waits_to_be_let_in_comes_in_when_there_is_more_room() {
    let server = start_with(app(), |config| {
        config.max_pending_handshakes = 1;
        config.handshake_timeout = HOUR;
    });
    let _mute = [(); 2].map(|()| TcpStream::connect(address(&server)).unwrap());
    let waiting = std::thread::spawn({
        let server = server.clone();
        move || Client::connect(&server).pending()
    });
    change(&server, |config| config.handshake_timeout = HOUR);
    assert_eq!(waiting.join().unwrap(), [Value::Null; 0]);
}

#[test]
fn pages_are_let_in_by_the_origins_of_now() {
    let server = start();
    let page = Some(("Origin", "https://shop.example"));
    let (code, mut early) = knock(&server, page);
    assert_eq!(code, 0);
    change(&server, |config| config.allowed_origins = vec!["https://a.example".parse().unwrap()]);
    assert_eq!(knock(&server, page).0, 4009);
    assert_eq!(early.pending(), [Value::Null; 0], "who is in stays");
}

#[test]
fn the_time_to_sign_in_holds_for_those_who_have_not() {
    let mut app = app();
    app.user_authentication = true;
    let server = start_with(app, |config| config.user_authentication_timeout = HOUR);
    let mut client = Client::connect(&server);
    change(&server, |config| config.user_authentication_timeout = Duration::from_millis(1));
    assert_eq!(u16::from(client.closed().code), 4009);
}

#[test]
fn webhooks_go_by_the_settings_of_now() {
    let receiver = Receiver::start();
    let mut app = app();
    app.webhooks = vec![Webhook::new(&*receiver.url)];
    let server = start_with(app, |config| config.webhook_delay = HOUR);
    let mut client = Client::connect(&server);
    client.subscribe("a");
    assert_eq!(receiver.names(1), ["channel_occupied"]);
    client.unsubscribe("a");
    assert_eq!(client.pending(), [Value::Null; 0]);
    let changes = change(&server, |config| config.webhook_delay = Duration::ZERO);
    assert_eq!(in_force(changes), ["webhook_delay"]);
    assert_eq!(receiver.names(1), ["channel_vacated"], "it was held back for an hour");

    change(&server, |config| {
        config.webhook_delay = Duration::ZERO;
        (config.webhook_batching, config.max_webhook_batch) = (true, 3);
        config.webhook_batch_window = HOUR;
    });
    for channel in ["b", "c", "d"] {
        client.subscribe(channel);
    }
    assert_eq!(receiver.next().events().len(), 3);
}

#[test]
fn webhooks_that_fail_are_sent_again_by_the_settings_of_now() {
    // The first is refused, later on one is refused and one gets no answer.
    let receiver = Receiver::answering(|n| match n {
        0 | 1 => status(500),
        3 => String::new(),
        _ => status(200),
    });
    let mut app = app();
    app.webhooks = vec![Webhook::new(&*receiver.url)];
    let server = start_with(app, |config| {
        (config.webhook_backoff, config.webhook_timeout) = (HOUR, HOUR);
    });
    let mut client = Client::connect(&server);
    let mut channels = |name: &str, requests: usize| {
        client.subscribe(name);
        let told = (0..requests).map(|_| receiver.event()["channel"].as_str().unwrap().to_owned());
        assert_eq!(told.collect::<Vec<_>>(), vec![name; requests]);
    };
    channels("given-up", 1);
    eventually("it is given up", || server.webhooks("id")[0].dropped_late == 1);
    let changes = change(&server, |config| {
        config.webhook_retry = HOUR * 2;
        config.webhook_backoff = Duration::from_millis(1);
        config.webhook_timeout = Duration::from_millis(200);
    });
    let names = ["webhook_timeout", "webhook_retry", "webhook_backoff"];
    assert_eq!(in_force(changes), names);
    channels("refused", 2);
    channels("unanswered", 2);
}

#[test]
fn who_waits_to_be_accepted_is_when_more_may_be_in_a_second() {
    let server = start_with(app(), |config| config.max_accepts_per_second = Some(1));
    change(&server, |config| config.max_accepts_per_second = None);
    // More than could come in while somebody waits for any of them.
    let mut clients: Vec<_> = (0..60).map(|_| Client::connect(&server)).collect();
    assert_eq!(clients[59].pending(), [Value::Null; 0]);
}

#[test]
fn an_idle_connection_ends_by_the_time_of_now() {
    let server = start_with(app(), |config| config.keep_alive_timeout = HOUR);
    let mut connection = Connection::open(address(&server));
    let alive = || Request::get("/");
    assert_eq!(connection.request(&alive()).status, 200);
    change(&server, |config| config.keep_alive_timeout = Duration::from_millis(1));
    assert_eq!(connection.request(&alive()).status, 200);
    connection.ended();
}

#[test]
fn a_feed_that_is_listened_to_says_more_often_that_it_is_alive() {
    let server = start_with(app(), |config| config.feed_keep_alive = HOUR);
    let mut stream = TcpStream::connect(address(&server)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&Request::get("/apps/id/feed").bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "event: ready"));
    change(&server, |config| config.feed_keep_alive = Duration::from_millis(10));
    assert!(lines.any(|line| line.ends_with(':')));
}

#[test]
fn the_console_asks_for_the_password_of_now() {
    let server = guarded(|_| ());
    let mut stream = support_console::Stream::open(&server, RIGHT);
    let event = json!({"channel": "c", "name": "n", "data": "1"});
    let read_only = |read_only| {
        change(&server, |config| {
            config.console_password = Some(PASSWORD.into());
            config.console_read_only = read_only;
        });
        act(&server, "events?app=id", &event).status
    };
    assert_eq!([read_only(true), read_only(false)], [403, 200]);
    change(&server, |config| config.console_password = Some("another one".into()));
    assert_eq!(send(&server, "GET", "/console", RIGHT, "").status, 401);
    while stream.piece().is_some() {}
    change(&server, |_| ());
    assert_eq!(send(&server, "GET", "/console", RIGHT, "").status, 404);
}

#[test]
fn metrics_have_the_names_of_now() {
    let server = start();
    assert!(block_on(server.metrics()).contains("\ntidings_connected"));
    change(&server, |config| config.metrics_prefix = "other_".into());
    let text = block_on(server.metrics());
    assert!(text.contains("\nother_connected") && !text.contains("tidings_connected"), "{text}");
}

#[test]
fn a_shutdown_takes_the_time_of_now() {
    let server =
        start_with(app(), |config| (config.shutdown_grace, config.shutdown_delay) = (HOUR, HOUR));
    let _deaf = Client::connect(&server);
    change(&server, |config| config.shutdown_grace = Duration::from_secs(1));
    block_on(server.shutdown());
}

#[test]
fn certificates_of_other_files_are_for_new_connections() {
    let authority = Authority::new();
    let (first, second) =
        (authority.certify("a", &["localhost"]), authority.certify("b", &["localhost"]));
    let with = |pair: &Pair| {
        let mut config = ServerConfig::default();
        config.certificates = vec![Certificate::new(&pair.cert, &pair.key)];
        config
    };
    let builder = Server::builder().config(with(&first)).app(app());
    let server = builder.listen_tls("127.0.0.1:0").start().unwrap();
    let address = server.tls_addresses()[0];
    let show = || shown(address, "localhost", authority.client());
    let mut early = support_tls::Client::over(connect(address, "localhost", authority.client()));
    let changes = server.reconfigure(&with(&second)).unwrap();
    assert_eq!(in_force(changes), ["certificates"]);
    assert_eq!(show(), certificate(&second.cert));

    let mut broken = with(&Pair { cert: second.cert.clone(), key: first.key.clone() });
    broken.activity_timeout = Duration::from_secs(7);
    let Err(ReconfigureError::Certificate(error)) = server.reconfigure(&broken) else {
        panic!("the key is of another certificate");
    };
    assert!(error.to_string().contains("does not belong"), "{error}");
    assert_eq!(show(), certificate(&second.cert), "nothing has changed");
    assert_eq!(server.reconfigure(&with(&second)).unwrap(), ConfigChanges::default());
    early.ping();
}

#[test]
fn what_cannot_change_is_named_each_time() {
    let server = start();
    for _ in 0..2 {
        let changes = change(&server, |config| {
            (config.threads, config.port) = (5, 1);
            config.tls_cert = Some("nowhere.pem".into());
            config.max_head_bytes = 9_000;
        });
        assert_eq!(changes.waiting, ["tls_cert", "port", "threads"]);
    }
    assert_eq!(told_timeout(&server), 120);
}
