//! Metrics: gauges that are true whatever happens to connections, counters that add up, and the listener for them.

mod support;
mod support_http;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use support::{Client, address, app, block_on, eventually, start, start_with};
use support_http::{Connection, Request};
use tidings::{App, BackplaneUrl, Event, ServerHandle};
use tungstenite::Message;

/// Every metric with its labels, as it stands in the text.
fn scrape(server: &ServerHandle) -> BTreeMap<String, f64> {
    parse(&block_on(server.metrics()))
}

fn parse(text: &str) -> BTreeMap<String, f64> {
    let metrics = text.lines().filter(|line| !line.starts_with('#'));
    metrics
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

/// The metric of the app of the tests by its name and, behind the app's id, its other labels.
fn of_app(server: &ServerHandle, name: &str) -> f64 {
    let port = address(server).port();
    let (ours, soketi) = (
        format!("tidings_{name}{{app_id=\"id\"}}"),
        format!("tidings_{name}{{app_id=\"id\",port=\"{port}\"}}"),
    );
    let metrics = scrape(server);
    let found = metrics.get(&ours).or_else(|| metrics.get(&soketi));
    *found.unwrap_or_else(|| panic!("no {name} in {metrics:#?}"))
}

const GAUGES: [&str; 5] =
    ["connected", "channels", "subscriptions", "presence_members", "presence_users"];

/// Ends a connection in one of many ways.
fn end(server: &ServerHandle, mut client: Client, way: usize) {
    match way {
        0 => client.drop_connection(),
        1 => client.ws.close(None).unwrap(),
        2 => client.ws.get_mut().write_all(b"\x81\x01a").unwrap(),
        3 => {
            // All that is left of it is a reset.
            socket2::SockRef::from(client.ws.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
        }
        4 => {
            let _ = client.ws.send(Message::binary(vec![0; 200_000])); // it may be cut while it sends
        }
        5 => {
            client.sign_in(&json!({"id": "leaver"}));
            block_on(server.terminate("id", "leaver")).unwrap();
        }
        _ => {
            client.ws.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
            let _ = client.ws.read();
        }
    }
}

#[test]
fn fr_138_after_5000_connections_of_all_ends_every_gauge_is_true_again() {
    let server = start_with(app(), |config| config.close_timeout = Duration::from_millis(100));
    let mut staying = Client::connect(&server);
    staying.subscribe("a");
    staying.join("presence-a", "stayer");
    let mut ended = 0;
    while ended < 5_000 {
        let mut batch: Vec<Client> = (0..100).map(|_| Client::connect(&server)).collect();
        for (n, client) in batch.iter_mut().enumerate().filter(|(n, _)| n % 5 == 0) {
            client.subscribe("a");
            client.join("presence-b", &format!("user-{}", n % 3));
        }
        if ended == 0 {
            assert_eq!(of_app(&server, "connected"), 101.0);
            assert_eq!(of_app(&server, "channels"), 3.0);
            assert_eq!(of_app(&server, "subscriptions"), 42.0);
            assert_eq!(of_app(&server, "presence_members"), 21.0);
            assert_eq!(of_app(&server, "presence_users"), 4.0);
        }
        // Some never become connections.
        let mut half = TcpStream::connect(address(&server)).unwrap();
        half.write_all(b"GET /app/key HTTP/1.1\r\n").unwrap();
        Client::open(&server, "/app/nobody?protocol=7").closed();
        for (n, client) in batch.into_iter().enumerate() {
            end(&server, client, n % 7);
            ended += 1;
        }
    }
    eventually("all others are gone", || of_app(&server, "connected") == 1.0);
    let values = GAUGES.map(|name| of_app(&server, name));
    assert_eq!(values, [1.0, 2.0, 2.0, 1.0, 1.0]);
    assert_eq!(server.connections("id"), 1);
    assert_eq!(of_app(&server, "new_connections_total"), 5_001.0);
    assert_eq!(of_app(&server, "new_disconnections_total"), 5_000.0);
    drop(staying);
    eventually("the last is gone", || of_app(&server, "connected") == 0.0);
    assert_eq!(GAUGES.map(|name| of_app(&server, name)), [0.0; 5]);
}

#[test]
fn silent_connections_are_gone_from_the_gauges_too() {
    let server = start_with(app(), |config| {
        config.activity_timeout = Duration::from_secs(1);
        config.pong_timeout = Duration::from_secs(1);
        config.close_timeout = Duration::from_millis(100);
    });
    let mut silent: Vec<Client> = (0..20).map(|_| Client::connect(&server)).collect();
    silent.iter_mut().for_each(|client| drop(client.join("presence-a", "u")));
    assert_eq!(of_app(&server, "presence_members"), 20.0);
    eventually("they are given up", || of_app(&server, "connected") == 0.0);
    assert_eq!(GAUGES.map(|name| of_app(&server, name)), [0.0; 5]);
}

#[test]
fn what_goes_through_sockets_is_counted_to_the_byte() {
    let server = start();
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(&server)).collect();
    clients.iter_mut().for_each(|client| drop(client.subscribe("private-a")));
    let before = ["ws_messages_sent_total", "socket_transmitted_bytes", "socket_received_bytes"]
        .map(|name| of_app(&server, name));
    let received = of_app(&server, "ws_messages_received_total");
    // Each greeting is a frame, and so is each acknowledgement.
    assert_eq!((before[0], received), (6.0, 3.0));
    for n in 0..10 {
        server.publish("id", Event::new("private-a", "e", &format!("{n}"))).unwrap();
    }
    for client in &mut clients {
        (0..10).for_each(|_| drop(client.event()));
    }
    let frame = r#"{"event":"e","channel":"private-a","data":"0"}"#.len() + 2;
    assert_eq!(of_app(&server, "ws_messages_sent_total"), before[0] + 30.0);
    let sent = of_app(&server, "socket_transmitted_bytes");
    assert_eq!(sent, before[1] + (30 * frame) as f64);
    // The sender of a client event does not get it.
    let text = json!({"event": "client-e", "channel": "private-a", "data": "x"}).to_string();
    clients[0].send_text(&text);
    clients[1].event();
    clients[2].event();
    eventually("it is counted", || of_app(&server, "ws_messages_sent_total") == before[0] + 32.0);
    let frame = r#"{"event":"client-e","channel":"private-a","data":"x"}"#.len() + 2;
    assert_eq!(of_app(&server, "socket_transmitted_bytes"), sent + (2 * frame) as f64);
    assert_eq!(of_app(&server, "socket_received_bytes"), before[2] + (text.len() + 6) as f64);
    let metrics = scrape(&server);
    assert_eq!(metrics[r#"tidings_events_total{app_id="id",source="application"}"#], 10.0);
    assert_eq!(metrics[r#"tidings_events_total{app_id="id",source="client"}"#], 1.0);
    assert!(metrics["tidings_publish_to_write_seconds_count"] >= 11.0);
}

#[test]
fn requests_and_refusals_are_counted_by_route_status_and_reason() {
    let server = start();
    let body = json!({"channel": "a", "name": "e", "data": "{}"}).to_string();
    let mut connection = Connection::open(address(&server));
    for _ in 0..3 {
        assert_eq!(connection.request(&Request::post("/apps/id/events", &body)).status, 200);
    }
    // Out of the ordinary, so that the other way through HTTP is counted too.
    let foreign = Request::post("/apps/id/events", &body).header("Expect: 100-continue");
    let mut other = Connection::open(address(&server));
    other.send(&foreign.bytes());
    let mut wrong = Request::get("/apps/id/channels");
    wrong.secret = "wrong".to_owned();
    assert_eq!(wrong.send(address(&server)).status, 401);
    assert_eq!(Request::get("/nothing").send(address(&server)).status, 404);
    assert_eq!(Request::get("/console").send(address(&server)).status, 404);
    Client::open(&server, "/app/nobody?protocol=7").closed();
    eventually("the other way is counted", || of_app(&server, "http_calls_received_total") == 5.0);
    assert_eq!(of_app(&server, "http_received_bytes"), (4 * body.len()) as f64);
    let metrics = scrape(&server);
    for (name, count) in [
        (r#"http_requests_total{route="events",status="200"}"#, 4.0),
        (r#"http_requests_total{route="channels",status="401"}"#, 1.0),
        (r#"http_requests_total{route="other",status="404"}"#, 1.0),
        (r#"http_requests_total{route="console",status="404"}"#, 1.0),
        (r#"http_request_seconds_count{route="events"}"#, 4.0),
        (r#"refusals_total{app_id="id",kind="http",code="401"}"#, 1.0),
        (r#"refusals_total{app_id="",kind="http",code="404"}"#, 1.0),
        (r#"refusals_total{app_id="",kind="socket",code="4001"}"#, 1.0),
        ("scrape_incomplete", 0.0),
        ("draining", 0.0),
        ("shards", 2.0),
    ] {
        assert_eq!(metrics.get(&format!("tidings_{name}")), Some(&count), "{name}: {metrics:#?}");
    }
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(metrics[&format!("tidings_build_info{{version=\"{version}\"}}")], 1.0);
}

#[test]
fn bytes_that_wait_for_a_slow_socket_are_seen() {
    let server = start();
    let mut slow = Client::connect(&server);
    slow.subscribe("a");
    let data = "x".repeat(10_000);
    eventually("something waits", || {
        server.publish("id", Event::new("a", "e", &data)).unwrap();
        of_app(&server, "queue_bytes") > 0.0 && of_app(&server, "queue_bytes_max") > 0.0
    });
    slow.drop_connection();
    eventually("nothing waits", || of_app(&server, "queue_bytes") == 0.0);
}

#[test]
fn fr_139_a_scrape_reads_local_numbers_only() {
    let bus: BackplaneUrl = "redis://127.0.0.1:1".parse().unwrap();
    let server = start_with(app(), |config| config.backplane = Some(bus));
    let mut client = Client::connect(&server);
    client.subscribe("a");
    for _ in 0..3 {
        let metrics = scrape(&server);
        assert_eq!(metrics["tidings_backplane_degraded"], 1.0);
        assert_eq!(metrics["tidings_backplane_nodes"], 0.0);
        assert_eq!(metrics["tidings_backplane_frames_sent_total"], 0.0, "nobody was asked");
        assert_eq!(metrics[r#"tidings_subscriptions{app_id="id"}"#], 1.0);
    }
}

#[test]
fn webhooks_are_counted_by_endpoint_without_the_query() {
    let mut hooked = app();
    hooked.webhooks = vec![tidings::Webhook::new("http://127.0.0.1:1/hook?token=hunter2")];
    let server = start_with(hooked, |_| ());
    Client::connect(&server).subscribe("a");
    let failed =
        r#"tidings_webhook_attempts_failed_total{app_id="id",url="http://127.0.0.1:1/hook"}"#;
    eventually("it has failed", || scrape(&server)[failed] > 0.0);
    assert!(!block_on(server.metrics()).contains("hunter2"));
}

#[test]
fn the_listener_has_what_soketi_has_there() {
    let server = start_with(app(), |config| {
        config.metrics = true;
        config.metrics_port = 0;
        config.metrics_soketi_prefix = Some("soketi_".into());
    });
    let at = server.metrics_address().expect("metrics are served");
    assert!(at.ip().is_loopback());
    let mut connection = Connection::open(at);
    let mut get = |path: &str| {
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        connection.answer(false)
    };
    let answer = get("/metrics");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4"));
    let port = address(&server).port();
    let metrics = parse(&answer.text);
    for name in ["connected", "new_connections_total", "ws_messages_sent_total"] {
        let labels = format!("{{app_id=\"id\",port=\"{port}\"}}");
        assert!(metrics.contains_key(&format!("soketi_{name}{labels}")), "{name}");
        assert!(metrics.contains_key(&format!("tidings_{name}{labels}")), "{name}");
    }
    if cfg!(target_os = "linux") {
        for prefix in ["", "soketi_"] {
            assert!(metrics[&format!("{prefix}process_resident_memory_bytes")] > 0.0);
            assert!(metrics[&format!("{prefix}process_open_fds")] > 0.0);
        }
    }
    let families = get("/metrics?json=1").json();
    let connected = families.as_array().unwrap().iter().find(|f| f["name"] == "soketi_connected");
    let expected = json!({"value": 0, "labels": {"app_id": "id", "port": port.to_string()}});
    assert_eq!(connected.unwrap()["values"], json!([expected]));
    assert!(get("/usage").json()["memory"]["total"].is_u64());
    assert_eq!((get("/").text.as_str(), get("/ready").text.as_str()), ("OK", "OK"));
    assert_eq!(get("/apps/id/channels").status, 404, "the API is elsewhere");
    connection.send(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(connection.answer(false).status, 405);
    block_on(server.shutdown());
    assert!(TcpStream::connect(at).is_err(), "it ends with the server");
}

#[test]
fn a_port_in_use_is_told_at_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = tidings::ServerConfig::default();
    (config.metrics, config.metrics_port) = (true, taken.local_addr().unwrap().port());
    let error = tidings::Server::builder().app(app()).config(config).start().unwrap_err();
    assert!(error.to_string().contains("stop what listens there"), "{error}");
}

#[test]
fn an_app_without_traffic_has_its_metrics_at_zero() {
    let server = support::builder().app(app()).app(App::new("idle", "idle", "s")).start().unwrap();
    let metrics = scrape(&server);
    assert_eq!(metrics[r#"tidings_channels{app_id="idle"}"#], 0.0);
    assert_eq!(metrics[r#"tidings_queue_bytes{app_id="idle"}"#], 0.0);
}
