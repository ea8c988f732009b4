//! Subscribers that are told how many they are.

mod support;

use serde_json::{Value, json};
use support::{Client, start, start_app};
use tidings::ServerEvent;

fn count(client: &mut Client, channel: &str) -> u64 {
    let event = client.event();
    assert_eq!(event["event"], "pusher_internal:subscription_count");
    assert_eq!(event["channel"], channel);
    let data: Value = serde_json::from_str(event["data"].as_str().unwrap()).unwrap();
    assert_eq!(data.as_object().unwrap().len(), 1);
    data["subscription_count"].as_u64().unwrap()
}

#[test]
fn every_subscriber_hears_of_each_coming_and_going_after_its_own_acknowledgement() {
    let server = start_app(|app| app.subscription_count = true);
    for channel in ["a", "private-a", "private-encrypted-a", "private-cache-a"] {
        let mut first = Client::connect(&server);
        first.subscribe(channel);
        let cache = channel.contains("cache");
        if cache {
            first.wait_for("pusher:cache_miss");
        }
        assert_eq!(count(&mut first, channel), 1);
        let mut second = Client::connect(&server);
        second.subscribe(channel);
        if cache {
            second.wait_for("pusher:cache_miss");
        }
        assert_eq!(count(&mut second, channel), 2);
        assert_eq!(count(&mut first, channel), 2);
        second.drop_connection();
        assert_eq!(count(&mut first, channel), 1);
    }
}

#[test]
fn members_of_presence_channels_know_already() {
    let server = start_app(|app| app.subscription_count = true);
    let mut client = Client::connect(&server);
    client.join("presence-a", "u");
    assert_eq!(client.pending(), [Value::Null; 0]);
}

#[test]
fn it_is_off_unless_the_app_turns_it_on() {
    let server = start();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    assert_eq!(client.pending(), [Value::Null; 0]);
}

#[test]
fn the_program_hears_of_the_count_until_nobody_is_left() {
    let server = start_app(|app| app.subscription_count = true);
    let mut events = server.events();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    client.unsubscribe("a");
    client.send(json!({"event": "pusher:ping", "data": {}}));
    let mut counts = Vec::new();
    support::block_on(async {
        loop {
            match events.next().await.unwrap().unwrap() {
                ServerEvent::SubscriptionCount { channel, count, .. } => {
                    assert_eq!(&*channel, "a");
                    counts.push(count);
                }
                ServerEvent::ChannelVacated { .. } => break,
                _ => {}
            }
        }
    });
    assert_eq!(counts, [1, 0]);
}
