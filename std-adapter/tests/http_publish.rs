//! Publishing through the HTTP API, with subscribers that see what arrives.

mod support;
mod support_http;

use serde_json::{Value, json};
use support::{Client, address, start, start_app};
use support_http::{Answer, Connection, Request, md5};
use tidings::ServerHandle;

fn publish(server: &ServerHandle, body: &Value) -> Answer {
    Request::post("/apps/id/events", &body.to_string()).send(address(server))
}

fn publish_batch(server: &ServerHandle, body: &Value) -> Answer {
    Request::post("/apps/id/batch_events", &body.to_string()).send(address(server))
}

/// How many events have come on channel `a` before one that is published now.
fn until_end(server: &ServerHandle, client: &mut Client) -> usize {
    is_done(&publish(server, &json!({"name": "end", "channel": "a", "data": ""})));
    std::iter::from_fn(|| Some(client.event()).filter(|event| event["event"] != "end")).count()
}

fn is_done(answer: &Answer) {
    assert_eq!((answer.status, answer.text.as_str()), (200, "{}"), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[test]
fn fr_092_every_channel_but_not_the_excluded_socket_gets_the_data_unchanged() {
    let server = start();
    let (mut sender, mut other) = (Client::connect(&server), Client::connect(&server));
    for client in [&mut sender, &mut other] {
        client.subscribe("a");
        client.subscribe("private-b");
    }
    let data = r#"{ "odd" :  "spacing", "é": "\u00e9" }"#;
    let body = json!({
        "name": "e", "channels": ["a", "private-b"], "data": data, "socket_id": sender.socket_id,
    });
    is_done(&publish(&server, &body));
    // Each channel has an order of its own; two have none between them.
    let mut events = [other.event(), other.event()];
    events.sort_by_key(|event| event["channel"].to_string());
    for (event, channel) in events.iter().zip(["a", "private-b"]) {
        assert_eq!(event, &json!({"event": "e", "channel": channel, "data": data}));
    }
    for channel in ["a", "private-b"] {
        is_done(&publish(&server, &json!({"name": "end", "channel": channel, "data": ""})));
        assert_eq!(sender.event()["event"], "end");
    }
}

#[test]
fn fr_105_an_object_as_data_arrives_as_its_json_text() {
    let server = start();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    is_done(&publish(&server, &json!({"name": "e", "channel": "a", "data": {"a": [1, "x"]}})));
    assert_eq!(client.event()["data"], r#"{"a":[1,"x"]}"#);
}

#[test]
fn fr_106_and_107_texts_and_names_arrive_as_they_were_meant() {
    let server = start();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    for (name, data) in
        [("App\\Events\\X", "hello"), ("q\"uo.te:s", "123"), ("Zoë 🎉", "\"x\""), ("n", "")]
    {
        is_done(&publish(&server, &json!({"name": name, "channel": "a", "data": data})));
        let event = client.event();
        assert_eq!((&event["event"], &event["data"]), (&json!(name), &json!(data)));
    }
}

#[test]
fn a_channel_named_twice_is_served_once() {
    let server = start();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    is_done(&publish(&server, &json!({"name": "e", "channels": ["a", "a"], "data": ""})));
    assert_eq!(until_end(&server, &mut client), 1);
}

#[test]
fn a_user_is_reached_by_the_channel_of_the_user() {
    let server = start();
    let mut client = Client::connect(&server);
    client.sign_in(&json!({"id": "u1"}));
    client.send(json!({
        "event": "pusher:subscribe", "data": {"channel": "#server-to-user-u1", "auth": ""},
    }));
    client.wait_for("pusher_internal:subscription_succeeded");
    let body = json!({"name": "e", "channels": ["#server-to-user-u1"], "data": "x"});
    is_done(&publish(&server, &body));
    assert_eq!(client.wait_for("e")["channel"], "#server-to-user-u1");
}

#[test]
fn a_batch_is_delivered_in_order() {
    let server = start();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    let events: Vec<Value> =
        (0..10).map(|i| json!({"channel": "a", "name": format!("e{i}"), "data": ""})).collect();
    is_done(&publish_batch(&server, &json!({"batch": events})));
    for i in 0..10 {
        assert_eq!(client.event()["event"], format!("e{i}"));
    }
}

#[test]
fn fr_099_one_bad_event_refuses_the_whole_batch() {
    let server = start();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    let good = json!({"channel": "a", "name": "e", "data": ""});
    let bad = json!({"channel": "a", "name": "e"});
    let answer = publish_batch(&server, &json!({"batch": [good, bad]}));
    assert_eq!(answer.status, 400);
    assert!(answer.error().contains("`batch[1].data` is missing"), "{answer:?}");
    let answer = publish_batch(&server, &json!({"batch": vec![good; 11]}));
    assert!(answer.status == 400 && answer.error().contains("the limit is 10"), "{answer:?}");
    assert_eq!(client.pending(), Vec::<Value>::new());
}

#[test]
fn fr_099_malformed_bodies_are_400_and_the_connection_goes_on() {
    let server = start();
    let mut connection = Connection::open(address(&server));
    for body in ["", "[]", "{", r#"{"channel":"a","data":""}"#, r#"{"name":"n","channel":"a"}"#] {
        let answer = connection.request(&Request::post("/apps/id/events", body));
        assert_eq!(answer.status, 400, "{body}");
        assert!(!answer.error().is_empty());
    }
    let good = Request::post("/apps/id/events", r#"{"name":"n","channel":"a","data":""}"#);
    is_done(&connection.request(&good));
}

#[test]
fn fr_098_a_bad_socket_id_or_channel_is_400_with_the_field_named() {
    let server = start();
    for socket_id in ["123", "a.b", "1.2.3"] {
        let body = json!({"name": "n", "channel": "a", "data": "", "socket_id": socket_id});
        let answer = publish(&server, &body);
        assert!(answer.status == 400 && answer.error().contains("`socket_id`"), "{answer:?}");
    }
    for channel in ["a b", "a#b", ""] {
        let answer = publish(&server, &json!({"name": "n", "channel": channel, "data": ""}));
        assert!(answer.status == 400 && answer.error().contains("`channel`"), "{answer:?}");
    }
}

#[test]
fn fr_110_the_limit_that_is_set_rules_and_is_named() {
    let server = start_app(|app| app.limits.max_event_bytes = 250 * 1024);
    let mut client = Client::connect(&server);
    client.subscribe("a");
    let of = |kilobytes: usize| json!({"name": "e", "channel": "a", "data": "x".repeat(kilobytes * 1024)});
    is_done(&publish(&server, &of(240)));
    assert_eq!(client.event()["data"].as_str().unwrap().len(), 240 * 1024);
    let answer = publish(&server, &of(260));
    assert_eq!(answer.status, 413);
    let error = answer.error();
    assert!(error.contains("266240") && error.contains("256000"), "{error}");
    assert_eq!(client.pending(), Vec::<Value>::new());
}

#[test]
fn info_tells_what_applies_to_each_channel() {
    let server = start();
    let mut members: Vec<Client> = (0..3).map(|_| Client::connect(&server)).collect();
    for (client, user) in members.iter_mut().zip(["u", "u", "v"]) {
        client.join("presence-a", user);
        client.subscribe("b");
    }
    let body = json!({
        "name": "e", "channels": ["presence-a", "b", "c"], "data": "",
        "info": "user_count,subscription_count",
    });
    let expected = json!({"channels": {
        "presence-a": {"user_count": 2}, "b": {"subscription_count": 3}, "c": {"subscription_count": 0},
    }});
    assert_eq!(publish(&server, &body).json(), expected);
    let batch = json!({"batch": [
        {"channel": "presence-a", "name": "e", "data": "", "info": "user_count"},
        {"channel": "b", "name": "e", "data": ""},
    ]});
    assert_eq!(publish_batch(&server, &batch).json(), json!({"batch": [{"user_count": 2}, {}]}));
}

#[test]
fn fr_017_a_body_in_pieces_and_a_chunked_one_are_read_whole() {
    let server = start();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    let body = json!({"name": "e", "channel": "a", "data": "x".repeat(300)}).to_string();
    let request = Request::post("/apps/id/events", &body);
    let mut connection = Connection::open(address(&server));
    connection.send(&request.head(&format!("Content-Length: {}\r\n", body.len())));
    for piece in body.as_bytes().chunks(100) {
        std::thread::sleep(std::time::Duration::from_millis(5)); // apart on the wire
        connection.send(piece);
    }
    is_done(&connection.answer(false));
    connection.send(&request.head("Transfer-Encoding: chunked\r\n"));
    for piece in body.as_bytes().chunks(100) {
        connection.send(format!("{:x}\r\n", piece.len()).as_bytes());
        connection.send(piece);
        connection.send(b"\r\n");
    }
    connection.send(b"0\r\n\r\n");
    is_done(&connection.answer(false));
    assert_eq!(until_end(&server, &mut client), 2);
}

#[test]
fn requests_sent_ahead_on_one_connection_are_answered_in_order() {
    let server = start();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    let mut connection = Connection::open(address(&server));
    let request = |i: usize| {
        let body = json!({"name": format!("e{i}"), "channel": "a", "data": ""});
        Request::post("/apps/id/events", &body.to_string())
    };
    let all: Vec<u8> = (0..20).flat_map(|i| request(i).bytes()).collect();
    connection.send(&all);
    for _ in 0..20 {
        is_done(&connection.answer(false));
    }
    for i in 0..20 {
        assert_eq!(client.event()["event"], format!("e{i}"));
    }
}

#[test]
fn fr_090_the_signature_is_over_the_bytes_as_they_are() {
    let server = start();
    let body = "{ \"data\" : \"\\u00eb\",\n\"channels\":[\"a\"] , \"name\":\"x\" }";
    let request = Request::post("/apps/id/events", body);
    is_done(&request.send(address(&server)));
    let other = request.with("body_md5", &md5(b"{}"));
    let answer = other.send(address(&server));
    assert!(answer.status == 401 && answer.error().contains("body_md5"), "{answer:?}");
}

#[test]
fn an_app_of_its_own_gets_only_its_events() {
    let other = tidings::App::new("other", "other-key", "other-secret");
    let server = support::builder().app(support::app()).app(other).start().unwrap();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    let body = json!({"name": "e", "channel": "a", "data": ""}).to_string();
    let mut request = Request::post("/apps/other/events", &body).with("auth_key", "other-key");
    request.secret = "other-secret".to_owned();
    is_done(&request.send(address(&server)));
    assert_eq!(client.pending(), Vec::<Value>::new());
}
