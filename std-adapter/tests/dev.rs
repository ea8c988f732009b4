//! Dev mode: any key, and faults on demand.

mod support;
mod support_http;

use serde_json::{Value, json};
use support::{Client, address, app, builder, start};
use support_http::{Answer, Connection, Request};
use tidings::{Server, ServerConfig, ServerHandle, StartError};
use tower_service::Service as _;

fn dev() -> ServerHandle {
    let mut config = ServerConfig::default();
    config.threads = 2;
    builder().config(config).app(app()).dev().start().expect("the server starts")
}

/// A request to the endpoint of the faults, unsigned as curl sends it.
fn faults(server: &ServerHandle, method: &str, body: &str, headers: &str) -> Answer {
    let length = body.len();
    let head = format!(
        "{method} /dev/faults HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    let mut connection = Connection::open(address(server));
    connection.send(head.as_bytes());
    connection.answer(false)
}

fn fault(server: &ServerHandle, fault: Value) -> Value {
    let answer = faults(server, "POST", &fault.to_string(), "");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn publish(server: &ServerHandle, key: &str, channel: &str, data: &str) -> Answer {
    let body = json!({"name": "n", "channel": channel, "data": data}).to_string();
    Request::post("/apps/whatever/events", &body).with("auth_key", key).send(address(server))
}

fn connect(server: &ServerHandle, key: &str) -> Client {
    let mut client = Client::open(server, &format!("/app/{key}?protocol=7"));
    let first = client.event();
    assert_eq!(first["event"], "pusher:connection_established", "{first}");
    let data: Value = serde_json::from_str(first["data"].as_str().unwrap()).unwrap();
    client.socket_id = data["socket_id"].as_str().unwrap().to_owned();
    client
}

#[test]
fn any_key_is_an_app_of_its_own_that_trusts_every_signature() {
    let server = dev();
    let (mut one, mut other) = (connect(&server, "one"), connect(&server, "other"));
    for client in [&mut one, &mut other] {
        // The signature is made with another secret, for another key.
        client.join("presence-a", "ann");
    }
    assert_eq!(publish(&server, "one", "presence-a", "1").text, "{}");
    assert_eq!(one.event()["data"], "1");
    assert_eq!(other.pending(), [0; 0]);
    one.trigger("presence-a", "client-x", json!({}));
    assert_eq!(one.pending(), [0; 0], "client events are on, so nothing is said against it");
}

#[test]
fn what_is_wrong_with_more_than_a_signature_is_still_told() {
    let server = dev();
    let mut client = connect(&server, "one");
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": "private-a"}}));
    assert_eq!(client.event()["event"], "pusher:subscription_error");
    let body = Request::post("/apps/x/events", "{}").with("auth_key", "one");
    assert_eq!(body.send(address(&server)).status, 400);
}

#[test]
fn an_app_that_is_configured_is_as_strict_as_ever() {
    let server = dev();
    let request = Request { secret: "wrong".into(), ..Request::get("/apps/id/channels") };
    assert_eq!(request.send(address(&server)).status, 401);
    assert_eq!(publish(&server, "key", "a", "1").status, 404, "its id is another");
    assert_eq!(Request::get("/apps/id/channels").send(address(&server)).status, 200);
}

#[test]
fn it_is_for_loopback_addresses_only() {
    let start = |address: &str| Server::builder().app(app()).dev().listen(address).start();
    assert!(start("127.0.0.1:0").is_ok() && start("[::1]:0").is_ok());
    let error = start("0.0.0.0:0").unwrap_err();
    assert!(matches!(error, StartError::DevModeExposed { .. }));
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
}

#[test]
fn a_mounted_service_answers_nothing() {
    let server = dev();
    let request = http::Request::get("/").body(http_body_util::Full::<bytes::Bytes>::default());
    let answer = support::block_on(server.service().call(request.unwrap())).unwrap();
    assert_eq!(answer.status(), 403);
}

#[test]
fn events_can_be_lost() {
    let server = dev();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    assert_eq!(fault(&server, json!({"fault": "drop", "count": 2}))["drop"], 2);
    for n in 0..3 {
        server.publish("id", tidings::Event::new("a", "n", &n.to_string())).unwrap();
    }
    assert_eq!(client.event()["data"], "2");
    assert_eq!(faults(&server, "GET", "", "").json()["drop"], 0);
}

#[test]
fn events_can_be_late_and_keep_their_order() {
    let server = dev();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    fault(&server, json!({"fault": "delay", "ms": 100}));
    server.publish("id", tidings::Event::new("a", "n", "first")).unwrap();
    assert_eq!(fault(&server, json!({"fault": "none"}))["delay_ms"], 0);
    server.publish("id", tidings::Event::new("a", "n", "second")).unwrap();
    assert_eq!(client.event()["data"], "first");
    assert_eq!(client.event()["data"], "second");

    fault(&server, json!({"fault": "delay", "ms": 60_000}));
    server.publish("id", tidings::Event::new("a", "n", "late")).unwrap();
    assert_eq!(client.pending(), [0; 0]);
}

#[test]
fn connections_can_be_closed_one_by_one() {
    let server = dev();
    let (mut one, mut other) = (Client::connect(&server), Client::connect(&server));
    fault(&server, json!({"fault": "close", "code": 4200, "socket_id": one.socket_id}));
    assert_eq!(u16::from(one.closed().code), 4200);
    assert_eq!(other.pending(), [0; 0]);
    fault(&server, json!({"fault": "close", "code": 4100, "key": "key", "message": "Enough."}));
    let told = other.wait_for("pusher:error");
    assert_eq!(told["data"], json!({"code": 4100, "message": "Enough."}));
    assert_eq!(u16::from(other.closed().code), 4100);
}

#[test]
fn connections_can_be_cut_without_a_word() {
    let server = dev();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    fault(&server, json!({"fault": "cut"}));
    let end = client.ws.read().unwrap_err();
    assert!(!matches!(end, tungstenite::Error::ConnectionClosed), "{end}");
    support::eventually("it is gone", || server.connections("id") == 0);
}

#[test]
fn a_key_can_be_rotated_and_restored() {
    let server = dev();
    let (mut known, mut made) = (Client::connect(&server), connect(&server, "made"));
    for (key, client) in [("key", &mut known), ("made", &mut made)] {
        fault(&server, json!({"fault": "rotate", "key": key}));
        assert_eq!(u16::from(client.closed().code), 4001);
        let mut again = Client::open(&server, &format!("/app/{key}?protocol=7"));
        assert_eq!(again.event()["data"]["code"], 4001);
    }
    for (id, key) in [("id", "key"), ("any", "made"), ("made", "made")] {
        let request = Request::get(&format!("/apps/{id}/channels")).with("auth_key", key);
        let answer = request.send(address(&server));
        assert!(answer.status == 401 && answer.error().contains("rotated"), "{answer:?}");
    }
    assert_eq!(faults(&server, "GET", "", "").json()["rotated"], json!(["key", "made"]));
    assert_eq!(faults(&server, "DELETE", "", "").json()["rotated"], json!([]));
    Client::connect(&server);
    assert_eq!(Request::get("/apps/id/channels").send(address(&server)).status, 200);
}

#[test]
fn a_wish_that_makes_no_sense_is_told_what_would() {
    let server = dev();
    for body in [
        "",
        "[]",
        "{}",
        r#"{"fault":"fire"}"#,
        r#"{"fault":"delay"}"#,
        r#"{"fault":"delay","ms":60001}"#,
        r#"{"fault":"drop","count":-1}"#,
        r#"{"fault":"close","code":4301}"#,
        r#"{"fault":"cut","socket_id":"x"}"#,
        r#"{"fault":"rotate"}"#,
    ] {
        let answer = faults(&server, "POST", body, "");
        assert!(answer.status == 400 && answer.error().contains("rotate"), "{body}: {answer:?}");
    }
    assert_eq!(faults(&server, "PUT", "", "").status, 405);
}

#[test]
fn a_page_cannot_make_things_go_wrong() {
    let server = dev();
    let answer = faults(&server, "POST", r#"{"fault":"cut"}"#, "Origin: http://evil.example\r\n");
    assert_eq!(answer.status, 403);
}

#[test]
fn outside_dev_mode_there_is_nothing_of_it() {
    let server = start();
    assert_eq!(faults(&server, "GET", "", "").status, 404);
    let mut client = Client::open(&server, "/app/any?protocol=7");
    assert_eq!(client.event()["data"]["code"], 4001);
}
