//! Subscribing and unsubscribing.

mod support;

use serde_json::{Value, json};
use support::{Client, block_on, eventually, start, start_app, start_with};
use tidings::Event;
use tidings_core::pusher::SocketId;

#[test]
fn events_arrive_in_the_order_of_their_publishing() {
    let server = start();
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(&server)).collect();
    clients.iter_mut().for_each(|client| drop(client.subscribe("orders")));
    for n in 0..1000 {
        server.publish("id", Event::new("orders", "created", &n.to_string())).unwrap();
    }
    for client in &mut clients {
        for n in 0..1000 {
            assert_eq!(client.event()["data"], n.to_string());
        }
    }
}

#[test]
fn the_excluded_socket_gets_the_events_around_the_one_it_must_not_get() {
    let server = start();
    let (mut one, mut two) = (Client::connect(&server), Client::connect(&server));
    one.subscribe("a");
    two.subscribe("a");
    let except = SocketId::parse(&one.socket_id).unwrap();
    for n in 0..60 {
        let data = n.to_string();
        let event = Event::new("a", "n", &data);
        let event = if n % 3 == 1 { event.except(except) } else { event };
        server.publish("id", event).unwrap();
    }
    server.publish("id", Event::new("a", "end", "")).unwrap();
    let numbers = |client: &mut Client| -> Vec<u32> {
        let events = std::iter::from_fn(|| Some(client.event()).filter(|e| e["event"] == "n"));
        events.map(|e| e["data"].as_str().unwrap().parse().unwrap()).collect()
    };
    assert_eq!(numbers(&mut two), (0..60).collect::<Vec<_>>());
    assert_eq!(numbers(&mut one), (0..60).filter(|n| n % 3 != 1).collect::<Vec<_>>());
}

#[test]
fn data_reaches_subscribers_as_it_was_published() {
    let server = start();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    for data in ["hello", "123", "\"x\"", "", "{\"a\":\"é\\n\u{1}\u{1f389}\"}", "\\u0041\\"] {
        server.publish("id", Event::new("a", "App\\Events\\X \"é\"", data)).unwrap();
        let event = client.event();
        assert_eq!(event["data"], data, "FR-105, FR-106");
        assert_eq!(event["event"], "App\\Events\\X \"é\"", "FR-107");
    }
}

#[test]
fn a_second_subscription_is_an_error_and_changes_nothing() {
    let server = start();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": "a"}}));
    let error = client.event();
    assert_eq!(error["data"]["message"], "Existing subscription to channel a");
    assert_eq!(error["data"]["code"], Value::Null);
    server.publish("id", Event::new("a", "x", "1")).unwrap();
    assert_eq!(client.event()["data"], "1");
    assert_eq!(client.pending(), [] as [Value; 0]);
    let channels = block_on(server.channels("id", "")).unwrap();
    assert_eq!(channels[0].subscriptions, 1);
}

#[test]
fn fr_055_an_unsubscribe_touches_nobody_else() {
    let server = start();
    let (mut one, mut two) = (Client::connect(&server), Client::connect(&server));
    two.subscribe("a");
    for channel in ["a", "never-heard-of"] {
        one.unsubscribe(channel);
        let text = format!("No current subscription to channel {channel}");
        assert_eq!(one.event()["data"]["message"], *text);
    }
    server.publish("id", Event::new("a", "x", "1")).unwrap();
    assert_eq!(two.event()["data"], "1");
}

#[test]
fn after_an_unsubscribe_nothing_comes() {
    let server = start();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    client.unsubscribe("a");
    assert_eq!(client.pending(), [] as [Value; 0]);
    eventually("the channel is vacant", || block_on(server.channels("id", "")).unwrap().is_empty());
    server.publish("id", Event::new("a", "x", "1")).unwrap();
    client.expect_nothing();
    client.subscribe("a");
    server.publish("id", Event::new("a", "x", "2")).unwrap();
    assert_eq!(client.event()["data"], "2");
}

#[test]
fn fr_062_a_subscription_without_a_usable_signature_is_refused_by_name() {
    let server = start();
    let mut client = Client::connect(&server);
    let cases = [
        json!({}),
        json!({"auth": null}),
        json!({"auth": 5}),
        json!({"auth": ""}),
        json!({"auth": "no colon"}),
        json!({"auth": "otherkey:00"}),
        json!({"auth": format!("key:{}", "0".repeat(64))}),
    ];
    for case in cases {
        let mut data = case.clone();
        data["channel"] = "private-x".into();
        client.send(json!({"event": "pusher:subscribe", "data": data}));
        let refused = client.event();
        assert_eq!(refused["event"], "pusher:subscription_error", "{case}: {refused}");
        assert_eq!(refused["channel"], "private-x");
        assert_eq!(refused["data"]["status"], 401);
        assert!(!refused.to_string().contains("secret"), "{refused}");
    }
    client.subscribe("private-x");
}

#[test]
fn fr_086_one_byte_more_of_channel_data_breaks_the_signature() {
    let server = start();
    let mut client = Client::connect(&server);
    let mut data = client.subscription("presence-x", Some(r#"{"user_id":"u"}"#));
    data["channel_data"] = r#"{"user_id":"u" }"#.into();
    client.send(json!({"event": "pusher:subscribe", "data": data}));
    assert_eq!(client.event()["event"], "pusher:subscription_error");
}

#[test]
fn fr_113_the_name_has_a_limit_on_both_sides_of_its_edge() {
    let server = start();
    let mut client = Client::connect(&server);
    client.subscribe(&"n".repeat(164));
    client.subscribe(&"n".repeat(200));
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": "n".repeat(201)}}));
    let refused = client.event();
    assert_eq!(refused["event"], "pusher:subscription_error");
    let text = refused["data"]["error"].as_str().unwrap();
    assert!(text.contains("201") && text.contains("200"), "{text}");
}

#[test]
fn the_number_of_channels_has_a_limit_on_both_sides_of_its_edge() {
    let server = start_app(|app| app.limits.max_channels_per_connection = 3);
    let mut client = Client::connect(&server);
    for name in ["a", "b", "c"] {
        client.subscribe(name);
    }
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": "d"}}));
    let refused = client.event();
    assert_eq!(refused["data"]["type"], "LimitReached");
    assert!(refused["data"]["error"].as_str().unwrap().contains('3'), "{refused}");
    client.unsubscribe("a");
    client.subscribe("d");
}

#[test]
fn a_users_channel_is_for_that_user() {
    let server = start();
    let mut client = Client::connect(&server);
    let subscribe = json!({"event": "pusher:subscribe", "data": {"channel": "#server-to-user-7"}});
    client.send(subscribe.clone());
    assert_eq!(client.event()["event"], "pusher:subscription_error");
    let success = client.sign_in(&json!({"id": "7"}));
    assert_eq!(success["event"], "pusher:signin_success", "{success}");
    client.send(subscribe);
    assert_eq!(client.event()["event"], "pusher_internal:subscription_succeeded");
    server.publish("id", Event::new("#server-to-user-7", "note", "1")).unwrap();
    assert_eq!(client.event()["channel"], "#server-to-user-7");
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": "#server-to-user-8"}}));
    assert_eq!(client.event()["event"], "pusher:subscription_error");
}

#[test]
fn terminating_a_user_closes_the_sockets_that_are_signed_in_as_it() {
    let server = start();
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(&server)).collect();
    clients[0].sign_in(&json!({"id": "7"}));
    clients[1].sign_in(&json!({"id": "7"}));
    clients[2].sign_in(&json!({"id": "8"}));
    block_on(server.terminate("id", "7")).unwrap();
    for client in &mut clients[..2] {
        assert_eq!(client.wait_for("pusher:error")["data"]["code"], 4009);
        assert_eq!(u16::from(client.closed().code), 4009);
    }
    assert_eq!(clients[2].pending(), [] as [Value; 0]);
}

#[test]
fn one_socket_in_many_busy_channels_gets_each_channel_in_order() {
    let server = start_with(support::app(), |config| config.threads = 3);
    let mut client = Client::connect(&server);
    let names: Vec<String> = (0..20).map(|n| format!("channel-{n}")).collect();
    names.iter().for_each(|name| drop(client.subscribe(name)));
    for n in 0..50 {
        for name in &names {
            server.publish("id", Event::new(name, "n", &n.to_string())).unwrap();
        }
    }
    let mut next = std::collections::HashMap::<String, u32>::new();
    for _ in 0..1000 {
        let event = client.event();
        let next = next.entry(event["channel"].as_str().unwrap().into()).or_default();
        assert_eq!(event["data"], next.to_string());
        *next += 1;
    }
    assert_eq!(client.pending(), [] as [Value; 0]);
}
