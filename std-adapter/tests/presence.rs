//! Presence channels: users and not sockets are members.

mod support;

use serde_json::{Value, json};
use support::{Client, block_on, eventually, start, start_app};
use tidings::Event;

const CHANNEL: &str = "presence-room";

fn data(event: &Value) -> Value {
    serde_json::from_str(event["data"].as_str().expect("data is a string")).unwrap()
}

#[test]
fn fr_064_two_tabs_of_one_user_are_one_member() {
    let server = start();
    let mut observer = Client::connect(&server);
    observer.join(CHANNEL, "o");
    let (mut first, mut second) = (Client::connect(&server), Client::connect(&server));
    first.join(CHANNEL, "u");
    let snapshot = second.join(CHANNEL, "u");
    assert_eq!(snapshot["presence"]["count"], 2);
    let added = observer.event();
    assert_eq!(added["event"], "pusher_internal:member_added");
    assert_eq!(data(&added), json!({"user_id": "u", "user_info": {"n": "u"}}));
    first.drop_connection();
    eventually("the first tab is gone", || server.connections("id") == 2);
    assert_eq!(observer.pending(), [] as [Value; 0]);
    second.drop_connection();
    let removed = observer.event();
    assert_eq!(removed["event"], "pusher_internal:member_removed");
    assert_eq!(data(&removed), json!({"user_id": "u"}));
}

#[test]
fn fr_065_counts_and_lists_are_of_users() {
    let server = start();
    let mut clients: Vec<Client> = (0..4).map(|_| Client::connect(&server)).collect();
    for (client, user) in clients.iter_mut().zip(["u", "u", "u", "v"]) {
        client.join(CHANNEL, user);
    }
    let channels = block_on(server.channels("id", "presence-")).unwrap();
    assert_eq!((channels.len(), channels[0].users, channels[0].subscriptions), (1, 2, 4));
    let users = block_on(server.users("id", CHANNEL)).unwrap();
    assert_eq!(users, ["u".into(), "v".into()] as [Box<str>; 2]);
}

#[test]
fn fr_066_every_way_to_leave_is_one_member_removed() {
    let server = start();
    let mut observer = Client::connect(&server);
    observer.join(CHANNEL, "o");
    let leave: [fn(Client); 3] = [
        |client| client.drop_connection(),
        |mut client| {
            client.ws.close(None).unwrap();
            while client.ws.read().is_ok() {}
        },
        |mut client| {
            client.unsubscribe(CHANNEL);
            client.pending();
        },
    ];
    for (n, leave) in leave.into_iter().enumerate() {
        let user = format!("u{n}");
        let mut client = Client::connect(&server);
        client.join(CHANNEL, &user);
        assert_eq!(data(&observer.event())["user_id"], *user);
        leave(client);
        let removed = observer.event();
        assert_eq!(removed["event"], "pusher_internal:member_removed", "way {n}");
        assert_eq!(data(&removed), json!({"user_id": user}));
    }
}

#[test]
fn fr_067_only_the_others_hear_of_a_join() {
    let server = start();
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(&server)).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.join(CHANNEL, &format!("u{n}"));
    }
    let mut hear = |at: usize| data(&clients[at].event())["user_id"].as_str().unwrap().to_owned();
    assert_eq!([hear(0), hear(0)], ["u1", "u2"]);
    assert_eq!(hear(1), "u2");
    for client in &mut clients {
        assert_eq!(client.pending(), [] as [Value; 0]);
    }
}

#[test]
fn fr_068_the_snapshot_is_a_json_string_with_ids_hash_and_count() {
    let server = start();
    let mut first = Client::connect(&server);
    first.join(CHANNEL, "u-7");
    let mut second = Client::connect(&server);
    let snapshot = second.join_with(CHANNEL, &json!({"user_id": 42}));
    let presence = &snapshot["presence"];
    assert_eq!(presence["ids"], json!(["u-7", "42"]));
    assert_eq!(presence["count"], 2);
    assert_eq!(presence["hash"]["u-7"], json!({"n": "u-7"}));
    assert!(presence["hash"].as_object().unwrap().contains_key("42"));
}

#[test]
fn fr_070_members_are_kept_by_channel() {
    let server = start();
    let mut observer = Client::connect(&server);
    observer.join("presence-1", "o");
    observer.join("presence-2", "o");
    let mut client = Client::connect(&server);
    client.join("presence-1", "u");
    client.join("presence-2", "u");
    client.unsubscribe("presence-1");
    client.unsubscribe("presence-2");
    client.pending();
    let mut heard: Vec<(String, String)> = Vec::new();
    while heard.len() < 4 {
        let event = observer.event();
        heard.push((
            event["channel"].as_str().unwrap().into(),
            event["event"].as_str().unwrap().trim_start_matches("pusher_internal:").into(),
        ));
    }
    heard.sort();
    let expected = [("presence-1", "member_added"), ("presence-1", "member_removed")];
    let expected = expected
        .into_iter()
        .chain([("presence-2", "member_added"), ("presence-2", "member_removed")]);
    assert!(heard.iter().map(|(a, b)| (&**a, &**b)).eq(expected), "{heard:?}");
}

#[test]
fn fr_071_the_first_user_info_holds() {
    let server = start();
    let (mut first, mut second) = (Client::connect(&server), Client::connect(&server));
    first.join_with(CHANNEL, &json!({"user_id": "u", "user_info": {"n": 1}}));
    let snapshot = second.join_with(CHANNEL, &json!({"user_id": "u", "user_info": {"n": 2}}));
    assert_eq!(snapshot["presence"]["hash"]["u"], json!({"n": 1}));
}

#[test]
fn the_member_limit_counts_users_and_is_told() {
    let server = start_app(|app| app.limits.max_presence_members = 1);
    let (mut first, mut again) = (Client::connect(&server), Client::connect(&server));
    first.join(CHANNEL, "u");
    again.join(CHANNEL, "u");
    let mut other = Client::connect(&server);
    let data = other.subscription(CHANNEL, Some(r#"{"user_id":"v"}"#));
    other.send(json!({"event": "pusher:subscribe", "data": data}));
    let refused = other.event();
    assert_eq!(refused["event"], "pusher:subscription_error");
    assert_eq!(refused["channel"], CHANNEL);
    assert_eq!(refused["data"]["status"], 4100);
    assert!(refused["data"]["error"].as_str().unwrap().contains("1 members"), "{refused}");
    first.drop_connection();
    again.drop_connection();
    eventually("room is made", || block_on(server.users("id", CHANNEL)).unwrap().is_empty());
    other.join(CHANNEL, "v");
}

#[test]
fn the_user_object_has_a_limit_on_both_sides_of_its_edge() {
    let exact = r#"{"user_id":"u","user_info":{"x":"yyyy"}}"#;
    let server = start_app(|app| app.limits.max_presence_user_bytes = exact.len() as u32);
    let mut client = Client::connect(&server);
    let data = client.subscription("presence-b", Some(&exact.replace("yyyy", "yyyyy")));
    client.send(json!({"event": "pusher:subscribe", "data": data}));
    let refused = client.event();
    assert_eq!(refused["data"]["type"], "LimitReached", "{refused}");
    let text = refused["data"]["error"].as_str().unwrap();
    assert!(text.contains(&exact.len().to_string()), "{text}");
    let data = client.subscription("presence-b", Some(exact));
    client.send(json!({"event": "pusher:subscribe", "data": data}));
    assert_eq!(client.event()["event"], "pusher_internal:subscription_succeeded");
}

#[test]
fn a_signed_in_user_may_join_without_channel_data() {
    let server = start();
    let mut client = Client::connect(&server);
    let data = client.subscription(CHANNEL, None);
    client.send(json!({"event": "pusher:subscribe", "data": data}));
    assert_eq!(client.event()["event"], "pusher:subscription_error");
    client.sign_in(&json!({"id": "u"}));
    assert_eq!(client.subscribe(CHANNEL)["presence"]["ids"], json!(["u"]));
}

#[test]
fn events_reach_members_once_each() {
    let server = start();
    let mut clients: Vec<Client> = (0..5).map(|_| Client::connect(&server)).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.join(CHANNEL, &format!("u{}", n % 2));
    }
    for n in 0..100 {
        server.publish("id", Event::new(CHANNEL, "n", &n.to_string())).unwrap();
    }
    for client in &mut clients {
        for n in 0..100 {
            assert_eq!(client.wait_for("n")["data"], n.to_string());
        }
        assert_eq!(client.pending(), [] as [Value; 0]);
    }
}

#[test]
fn fr_073_a_connection_that_dies_after_its_user_came_back_takes_nobody_away() {
    let server = start();
    let mut observer = Client::connect(&server);
    observer.join("presence-a", "o");
    for _ in 0..20 {
        let mut old = Client::connect(&server);
        old.join("presence-a", "k");
        let mut new = Client::connect(&server);
        new.join("presence-a", "k");
        old.drop_connection();
        eventually("the old one is gone", || server.connections("id") == 2);
        assert_eq!(
            &*block_on(server.users("id", "presence-a")).unwrap(),
            ["k", "o"].map(Box::from)
        );
        new.drop_connection();
        assert_eq!(observer.event()["event"], "pusher_internal:member_added");
        assert_eq!(observer.event()["event"], "pusher_internal:member_removed");
    }
    assert_eq!(observer.pending(), [Value::Null; 0]);
}

#[test]
fn fr_074_who_comes_back_with_a_new_socket_is_there_once() {
    let server = start();
    let mut first = Client::connect(&server);
    first.join("presence-a", "u");
    first.drop_connection();
    let mut second = Client::connect(&server);
    let data = second.join("presence-a", "u");
    assert_eq!(data["presence"]["ids"], json!(["u"]));
    eventually("the first one is gone", || server.connections("id") == 1);
    assert_eq!(&*block_on(server.users("id", "presence-a")).unwrap(), [Box::from("u")]);
}

#[test]
fn fr_075_a_join_and_a_leave_cost_each_member_one_event() {
    let server = start();
    let mut observer = Client::connect(&server);
    observer.join("presence-a", "o");
    let mut visitor = Client::connect(&server);
    for n in 0..200 {
        visitor.join("presence-a", &format!("u{n}"));
        visitor.unsubscribe("presence-a");
    }
    assert_eq!(visitor.pending(), [Value::Null; 0]);
    eventually("all have left", || block_on(server.users("id", "presence-a")).unwrap().len() == 1);
    let events = (0..400)
        .map(|_| observer.event())
        .filter(|event| event["event"].as_str().unwrap().starts_with("pusher_internal:member_"));
    assert_eq!(events.count(), 400);
    assert_eq!(observer.pending(), [Value::Null; 0]);
}
