//! Cache channels: whoever subscribes later has the last event at once.

mod support;
mod support_http;

use serde_json::{Value, json};
use std::time::Duration;
use support::{Client, address, app, start, start_app, start_with};
use support_http::Request;
use tidings::{Event, ServerEvent, ServerHandle};
use tidings_core::pusher::SocketId;

/// Every kind of cache channel.
const KINDS: [&str; 4] =
    ["cache-a", "private-cache-a", "presence-cache-a", "private-encrypted-cache-a"];

fn publish(server: &ServerHandle, channel: &str, name: &str, data: &str) {
    let body = json!({"channel": channel, "name": name, "data": data}).to_string();
    let answer = Request::post("/apps/id/events", &body).send(address(server));
    assert_eq!((answer.status, &*answer.text), (200, "{}"));
}

fn enter(client: &mut Client, channel: &str) -> Value {
    if channel.starts_with("presence-") {
        client.join(channel, "u")
    } else {
        client.subscribe(channel)
    }
}

fn ask(server: &ServerHandle, channel: &str) -> Value {
    let request = Request::get(&format!("/apps/id/channels/{channel}")).with("info", "cache");
    request.send(address(server)).json()
}

#[test]
fn fr_084_a_subscriber_gets_the_acknowledgement_and_then_the_last_event_only() {
    let server = start();
    for channel in KINDS {
        publish(&server, channel, "e1", r#"{"n":1}"#);
        publish(&server, channel, "e2", r#"{"text":"é \"two\""}"#);
        let mut client = Client::connect(&server);
        enter(&mut client, channel);
        let events = client.pending();
        let two = json!({"event": "e2", "channel": channel, "data": r#"{"text":"é \"two\""}"#});
        assert_eq!(events, [two]);
    }
}

#[test]
fn fr_084_a_subscriber_is_told_when_nothing_is_kept() {
    let server = start();
    for channel in KINDS {
        let mut client = Client::connect(&server);
        enter(&mut client, channel);
        let miss = json!({"event": "pusher:cache_miss", "channel": channel, "data": "{}"});
        assert_eq!(client.pending(), [miss]);
    }
}

#[test]
fn other_channels_keep_nothing() {
    let server = start();
    for channel in ["a", "my-cache-a", "private-a", "private-x-cache-a"] {
        publish(&server, channel, "e", "1");
        let mut client = Client::connect(&server);
        client.subscribe(channel);
        assert_eq!(client.pending(), [Value::Null; 0]);
    }
}

#[test]
fn what_is_published_while_somebody_listens_is_kept_for_the_next() {
    let server = start();
    let mut first = Client::connect(&server);
    first.subscribe("cache-a");
    first.wait_for("pusher:cache_miss");
    publish(&server, "cache-a", "live", "{}");
    assert_eq!(first.event()["event"], "live");
    let mut second = Client::connect(&server);
    second.subscribe("cache-a");
    assert_eq!(second.event()["event"], "live");
    assert_eq!(first.pending(), [Value::Null; 0], "the first one does not get it again");
}

#[test]
fn the_event_outlives_its_last_subscriber() {
    let server = start();
    let mut client = Client::connect(&server);
    client.subscribe("cache-a");
    client.wait_for("pusher:cache_miss");
    publish(&server, "cache-a", "kept", "{}");
    client.wait_for("kept");
    client.unsubscribe("cache-a");
    assert_eq!(client.pending(), [Value::Null; 0]);
    client.subscribe("cache-a");
    assert_eq!(client.event()["event"], "kept");
}

#[test]
fn an_event_that_leaves_its_cause_out_is_kept_all_the_same() {
    let server = start();
    let mut client = Client::connect(&server);
    client.subscribe("cache-a");
    client.wait_for("pusher:cache_miss");
    let id = SocketId::parse(&client.socket_id).unwrap();
    server.publish("id", Event::new("cache-a", "e", "{}").except(id)).unwrap();
    let mut other = Client::connect(&server);
    other.subscribe("cache-a");
    assert_eq!(other.event()["event"], "e");
    assert_eq!(client.pending(), [Value::Null; 0]);
}

#[test]
fn what_clients_send_each_other_is_not_kept() {
    let server = start();
    let mut sender = Client::connect(&server);
    sender.subscribe("private-cache-a");
    sender.wait_for("pusher:cache_miss");
    sender.trigger("private-cache-a", "client-x", json!({}));
    assert_eq!(sender.pending(), [Value::Null; 0]);
    let mut other = Client::connect(&server);
    other.subscribe("private-cache-a");
    assert_eq!(other.event()["event"], "pusher:cache_miss");
}

#[test]
fn the_api_shows_what_is_kept_and_for_how_long() {
    let server = start();
    assert_eq!(ask(&server, "cache-a"), json!({"occupied": false, "cache": null}));
    publish(&server, "cache-a", "e", "line\nand \"quotes\"");
    let answer = ask(&server, "cache-a");
    assert_eq!(answer["occupied"], false);
    assert_eq!(answer["cache"]["data"], "line\nand \"quotes\"");
    let ttl = answer["cache"]["ttl"].as_u64().unwrap();
    assert!((1..=1800).contains(&ttl), "{ttl}");
    let refused = Request::get("/apps/id/channels/a").with("info", "cache").send(address(&server));
    assert_eq!(refused.status, 400);
    assert!(refused.error().contains("cache channel: `a`"), "{refused:?}");
    let list = Request::get("/apps/id/channels").with("info", "cache").send(address(&server));
    assert_eq!(list.status, 400);
}

#[test]
fn an_app_can_keep_nothing_at_all() {
    let server = start_app(|app| app.cache_ttl = Duration::ZERO);
    publish(&server, "cache-a", "e", "{}");
    let mut client = Client::connect(&server);
    client.subscribe("cache-a");
    assert_eq!(client.event()["event"], "pusher:cache_miss");
}

#[test]
fn the_bound_of_an_app_gives_up_what_was_published_longest_ago() {
    let mut app = app();
    app.limits.max_cached_events = 2;
    let server = start_with(app, |config| config.threads = 1);
    for channel in ["cache-a", "cache-b", "cache-c"] {
        publish(&server, channel, "e", "{}");
    }
    assert_eq!(ask(&server, "cache-a")["cache"], Value::Null);
    assert_ne!(ask(&server, "cache-b")["cache"], Value::Null);
    assert_ne!(ask(&server, "cache-c")["cache"], Value::Null);
}

#[test]
fn a_miss_is_told_to_the_program_once_until_an_event_comes() {
    let server = start();
    let mut events = server.events();
    let mut client = Client::connect(&server);
    client.subscribe("cache-a");
    let mut other = Client::connect(&server);
    other.subscribe("cache-a");
    other.wait_for("pusher:cache_miss");
    publish(&server, "cache-a", "e", "{}");
    other.wait_for("e");
    server.publish("id", Event::new("a", "done", "{}")).unwrap();
    let mut last = Client::connect(&server);
    last.subscribe("end");
    let mut missed = 0;
    support::block_on(async {
        loop {
            match events.next().await.unwrap().unwrap() {
                ServerEvent::CacheMissed { channel, .. } => {
                    assert_eq!(&*channel, "cache-a");
                    missed += 1;
                }
                ServerEvent::ChannelOccupied { channel, .. } if &*channel == "end" => break,
                _ => {}
            }
        }
    });
    assert_eq!(missed, 1);
}
