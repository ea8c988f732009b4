//! The limits of the hosted service as defaults: what is at a limit passes, what is over it is told the limit, the
//! value seen and the option to change.

mod support;
mod support_http;

use serde_json::{Value, json};
use std::time::Duration;
use support::{Client, address, app, eventually, start, start_app};
use support_http::Request;

/// What a client is told when it asks for too much.
fn refused(client: &mut Client, message: Value) -> String {
    client.send(message);
    let event = client.event();
    let data = &event["data"];
    let text = data["error"].as_str().or_else(|| data["message"].as_str());
    text.unwrap_or_else(|| panic!("no refusal: {event}")).to_owned()
}

#[track_caller]
fn names(text: &str, seen: &str, limit: &str, option: &str) {
    for part in [seen, limit, option] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn the_defaults_are_those_of_the_hosted_service() {
    let app = app();
    let limits = &app.limits;
    assert_eq!(limits.max_channel_name, 200);
    assert_eq!(limits.max_event_name, 200);
    assert_eq!(limits.max_event_bytes, 10_240);
    assert_eq!(limits.max_channels_per_event, 100);
    assert_eq!(limits.max_batch, 10);
    assert_eq!(limits.max_presence_members, 100);
    assert_eq!(limits.max_presence_user_bytes, 1_024);
    assert_eq!(limits.max_user_id, 128);
    assert_eq!(limits.max_watchlist, 100);
    assert_eq!(app.max_client_events_per_second, Some(10));
    assert_eq!(app.cache_ttl, Duration::from_secs(30 * 60));
}

#[test]
fn a_channel_name_at_the_limit_passes_and_one_over_it_is_told_so() {
    let server = start();
    let mut client = Client::connect(&server);
    client.subscribe(&"c".repeat(200));
    let over = json!({"event": "pusher:subscribe", "data": {"channel": "c".repeat(201)}});
    names(&refused(&mut client, over), "201", "200", "max_channel_name");
    let publish = |name: &str| {
        let body = json!({"channel": name, "name": "e", "data": "{}"}).to_string();
        Request::post("/apps/id/events", &body).send(address(&server))
    };
    assert_eq!(publish(&"c".repeat(200)).status, 200);
    let over = publish(&"c".repeat(201));
    assert_eq!(over.status, 400);
    assert!(over.error().contains("201") && over.error().contains("200"), "{over:?}");
}

#[test]
fn names_and_data_of_events_are_bounded_for_clients_and_publishers_alike() {
    let server = start();
    let mut client = Client::connect(&server);
    client.subscribe("private-a");
    let event =
        |name: &str, data: &str| json!({"event": name, "channel": "private-a", "data": data});
    client.send(event(&format!("client-{}", "e".repeat(193)), &"d".repeat(10_240)));
    assert_eq!(client.pending(), [Value::Null; 0]);
    let over = event(&format!("client-{}", "e".repeat(194)), "");
    names(&refused(&mut client, over), "201", "200", "max_event_name");
    let over = event("client-e", &"d".repeat(10_241));
    names(&refused(&mut client, over), "10241", "10240", "max_event_bytes");

    let publish = |name: &str, data: &str| {
        let body = json!({"channel": "a", "name": name, "data": data}).to_string();
        Request::post("/apps/id/events", &body).send(address(&server))
    };
    assert_eq!(publish(&"é".repeat(200), &"\"".repeat(10_240)).status, 200, "escapes do not count");
    let over = publish(&"e".repeat(201), "");
    assert_eq!(over.status, 400);
    names(&over.error(), "201", "200", "max_event_name");
    let over = publish("e", &"d".repeat(10_241));
    assert_eq!(over.status, 413);
    names(&over.error(), "10241", "10240", "max_event_bytes");
}

#[test]
fn a_publish_names_at_most_a_hundred_channels_and_a_batch_ten_events() {
    let server = start();
    let post =
        |path: &str, body: Value| Request::post(path, &body.to_string()).send(address(&server));
    let channels = |count| (0..count).map(|n| format!("c{n}")).collect::<Vec<_>>();
    let event = |count| json!({"channels": channels(count), "name": "e", "data": "{}"});
    assert_eq!(post("/apps/id/events", event(100)).status, 200);
    let over = post("/apps/id/events", event(101));
    assert_eq!(over.status, 400);
    names(&over.error(), "101", "100", "max_channels_per_event");
    let batch =
        |count| json!({"batch": vec![json!({"channel": "c", "name": "e", "data": "{}"}); count]});
    assert_eq!(post("/apps/id/batch_events", batch(10)).status, 200);
    let over = post("/apps/id/batch_events", batch(11));
    assert_eq!(over.status, 400);
    names(&over.error(), "11", "10", "max_batch");
}

#[test]
fn members_of_a_presence_channel_are_bounded_in_number_and_size() {
    let server = start_app(|app| app.limits.max_presence_members = 2);
    let mut client = Client::connect(&server);
    let sized = |len: usize| {
        let empty = json!({"user_id": "u", "user_info": {"n": ""}}).to_string().len();
        json!({"user_id": "u", "user_info": {"n": "x".repeat(len - empty)}})
    };
    client.join_with("presence-a", &sized(1_024));
    let mut over = |channel: &str, data: &Value| {
        let data = client.subscription(channel, Some(&data.to_string()));
        refused(&mut client, json!({"event": "pusher:subscribe", "data": data}))
    };
    let text = over("presence-b", &sized(1_025));
    names(&text, "1025", "1024", "max_presence_user_bytes");
    let text = over("presence-b", &json!({"user_id": "u".repeat(129)}));
    names(&text, "129", "128", "max_user_id");
    Client::connect(&server).join("presence-c", &"u".repeat(128));
    let mut others: Vec<Client> = (0..3).map(|_| Client::connect(&server)).collect();
    others[0].join("presence-d", "a");
    others[1].join("presence-d", "b");
    others[1].join("presence-e", "b");
    let data = others[2].subscription("presence-d", Some(r#"{"user_id":"c"}"#));
    let text = refused(&mut others[2], json!({"event": "pusher:subscribe", "data": data}));
    names(&text, "has 2 members", "limit is 2", "max_presence_members");
}

#[test]
fn a_user_id_that_is_too_long_cannot_sign_in() {
    let server = start();
    let mut client = Client::connect(&server);
    let error = client.sign_in(&json!({"id": "u".repeat(129)}));
    names(error["data"]["message"].as_str().unwrap(), "129", "128", "max_user_id");
    assert_eq!(client.sign_in(&json!({"id": "u".repeat(128)}))["event"], "pusher:signin_success");
}

#[test]
fn subscriptions_of_a_connection_are_bounded() {
    let server = start_app(|app| app.limits.max_channels_per_connection = 2);
    let mut client = Client::connect(&server);
    client.subscribe("a");
    client.subscribe("b");
    let over = json!({"event": "pusher:subscribe", "data": {"channel": "c"}});
    let text = refused(&mut client, over);
    names(&text, "has 2 subscriptions", "limit is 2", "max_channels_per_connection");
    client.unsubscribe("a");
    client.subscribe("c");
}

#[test]
fn fr_080_ten_client_events_a_second_pass_and_the_rest_is_told() {
    let server = start();
    let mut client = Client::connect(&server);
    client.subscribe("private-a");
    let mut listener = Client::connect(&server);
    listener.subscribe("private-a");
    for n in 0..40 {
        client.trigger("private-a", "client-e", json!(n));
    }
    let refusals = client.pending();
    assert!(!refusals.is_empty(), "forty do not fit in the two seconds that they may touch");
    for refusal in &refusals {
        assert_eq!(refusal["data"]["code"], 4301);
        let text = refusal["data"]["message"].as_str().unwrap();
        names(text, "rate limit", "more than 10", "max_client_events_per_second");
    }
    // An event has a longer way than the answer to a ping of the listener's own.
    let mut relayed = 0;
    eventually("each is relayed or refused", || {
        relayed += listener.pending().len();
        relayed + refusals.len() >= 40
    });
    assert_eq!(relayed + refusals.len(), 40);
}
