//! Events from client to client.

mod support;

use serde_json::{Value, json};
use support::{Client, start, start_app};

const CHANNEL: &str = "private-a";

#[test]
fn fr_077_the_others_get_it_and_the_sender_does_not() {
    let server = start();
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(&server)).collect();
    clients.iter_mut().for_each(|client| drop(client.subscribe(CHANNEL)));
    clients[0].trigger(CHANNEL, "client-x", json!({"a": "é\"\\"}));
    assert_eq!(clients[0].pending(), [] as [Value; 0]);
    for client in &mut clients[1..] {
        let event = client.event();
        assert_eq!(event["event"], "client-x");
        assert_eq!(event["channel"], CHANNEL);
        let data: Value = serde_json::from_str(event["data"].as_str().unwrap()).unwrap();
        assert_eq!(data, json!({"a": "é\"\\"}));
        assert_eq!(event.get("user_id"), None);
    }
}

#[test]
fn fr_076_a_socket_that_is_not_subscribed_is_refused() {
    let server = start();
    let (mut sender, mut listener) = (Client::connect(&server), Client::connect(&server));
    listener.subscribe(CHANNEL);
    sender.trigger(CHANNEL, "client-x", json!(1));
    let error = sender.event();
    assert_eq!(error["event"], "pusher:error");
    assert!(error["data"]["message"].as_str().unwrap().contains("not subscribed"), "{error}");
    assert_eq!(listener.pending(), [] as [Value; 0]);
}

#[test]
fn fr_077_public_channels_and_too_much_data_are_refused() {
    let server = start();
    let (mut sender, mut listener) = (Client::connect(&server), Client::connect(&server));
    for channel in ["open", CHANNEL] {
        sender.subscribe(channel);
        listener.subscribe(channel);
    }
    sender.trigger("open", "client-x", json!(1));
    assert_eq!(sender.event()["event"], "pusher:error");
    sender.trigger(CHANNEL, "client-x", "x".repeat(10_240).into());
    assert_eq!(listener.event()["data"], "x".repeat(10_240));
    sender.trigger(CHANNEL, "client-x", "x".repeat(10_241).into());
    let error = sender.event();
    let text = error["data"]["message"].as_str().unwrap();
    assert!(text.contains("10241") && text.contains("10240"), "{text}");
    assert_eq!(listener.pending(), [] as [Value; 0]);
}

#[test]
fn fr_078_the_refusal_names_the_setting() {
    let server = start_app(|app| app.client_events = false);
    let mut client = Client::connect(&server);
    client.subscribe(CHANNEL);
    client.trigger(CHANNEL, "client-x", json!(1));
    let error = client.event();
    assert_eq!(error["data"]["code"], 4301);
    assert!(error["data"]["message"].as_str().unwrap().contains("client_events"), "{error}");
}

#[test]
fn fr_079_an_event_before_an_unsubscribe_still_goes_out() {
    let server = start();
    let (mut sender, mut listener) = (Client::connect(&server), Client::connect(&server));
    sender.subscribe(CHANNEL);
    listener.subscribe(CHANNEL);
    sender.trigger(CHANNEL, "client-bye", json!({}));
    sender.unsubscribe(CHANNEL);
    assert_eq!(listener.event()["event"], "client-bye");
}

#[test]
fn fr_080_the_rate_is_limited_by_connection_and_the_connection_stays() {
    let server = start_app(|app| app.max_client_events_per_second = Some(10));
    let mut senders = [Client::connect(&server), Client::connect(&server)];
    senders.iter_mut().for_each(|client| drop(client.subscribe(CHANNEL)));
    let mut listener = Client::connect(&server);
    listener.subscribe(CHANNEL);
    for sender in &mut senders {
        // The window is a second of the server's clock: 35 events span at most two of them.
        (0..35).for_each(|n| sender.trigger(CHANNEL, "client-x", json!(n)));
        let errors = sender.pending();
        let refused = errors.iter().filter(|e| e["data"]["code"] == 4301).count();
        assert!((15..=25).contains(&refused), "{refused} refused");
    }
    for _ in 0..20 {
        assert_eq!(listener.event()["event"], "client-x");
    }
}

#[test]
fn the_event_name_has_a_limit_on_both_sides_of_its_edge() {
    let server = start();
    let (mut sender, mut listener) = (Client::connect(&server), Client::connect(&server));
    sender.subscribe(CHANNEL);
    listener.subscribe(CHANNEL);
    let name = |len: usize| format!("client-{}", "n".repeat(len - 7));
    sender.trigger(CHANNEL, &name(201), json!(1));
    let text = sender.event()["data"]["message"].as_str().unwrap().to_owned();
    assert!(text.contains("201") && text.contains("200"), "{text}");
    sender.trigger(CHANNEL, &name(200), json!(1));
    assert_eq!(listener.event()["event"], *name(200));
}

#[test]
fn the_user_id_is_the_members_own() {
    let server = start();
    let (mut sender, mut listener) = (Client::connect(&server), Client::connect(&server));
    listener.join("presence-a", "l");
    sender.join("presence-a", "s");
    listener.event();
    sender.send(json!({
        "event": "client-x", "channel": "presence-a", "data": {}, "user_id": "someone else",
    }));
    assert_eq!(listener.event()["user_id"], "s");
}

#[test]
fn names_of_the_protocol_are_never_relayed() {
    let server = start();
    let (mut sender, mut listener) = (Client::connect(&server), Client::connect(&server));
    sender.subscribe(CHANNEL);
    listener.subscribe(CHANNEL);
    for name in ["pusher_internal:member_added", "pusher:error", "x-client-y", "message"] {
        sender.trigger(CHANNEL, name, json!({}));
        assert_eq!(sender.event()["event"], "pusher:error", "{name}");
    }
    assert_eq!(listener.pending(), [] as [Value; 0]);
}
