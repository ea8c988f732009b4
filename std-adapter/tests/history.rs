//! History: a client that was away gets what it has missed, and is told when it cannot.

mod support;
mod support_http;

use serde_json::{Value, json};
use support::{Client, address, start, start_app};
use support_http::Request;
use tidings::{Event, ServerHandle};

fn keeping(events: u32) -> ServerHandle {
    start_app(|app| app.history.max_events = events)
}

fn publish(server: &ServerHandle, channel: &str, name: &str) {
    server.publish("id", Event::new(channel, name, r#"{"é":"\""}"#)).unwrap();
}

/// Subscribes and resumes; the answer's data and the events that follow.
fn resume(client: &mut Client, channel: &str, from: &str) -> (Value, Vec<Value>) {
    let member = channel.starts_with("presence-").then_some(r#"{"user_id":"u"}"#);
    let mut data = client.subscription(channel, member);
    data["resume_from"] = from.into();
    client.send(json!({"event": "pusher:subscribe", "data": data}));
    assert_eq!(client.event()["event"], "pusher_internal:subscription_succeeded");
    let answer = client.event();
    assert_eq!(answer["event"], "pusher_internal:resumed");
    assert_eq!(answer["channel"], channel);
    let data: Value = serde_json::from_str(answer["data"].as_str().unwrap()).unwrap();
    let events = client.pending();
    (data, events)
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[test]
fn a_client_that_was_away_gets_what_it_missed_in_order_and_then_live_events() {
    let server = keeping(10);
    for channel in ["a", "private-a", "presence-a", "private-encrypted-a"] {
        let mut client = Client::connect(&server);
        let (first, none) = resume(&mut client, channel, "latest");
        assert_eq!((&first["result"], &first["events"]), (&json!("complete"), &json!(0)));
        assert_eq!(none, [Value::Null; 0]);
        publish(&server, channel, "one");
        let one = client.event();
        assert_eq!(one["data"], r#"{"é":"\""}"#, "the data is relayed as it is");
        client.drop_connection();
        publish(&server, channel, "two");
        publish(&server, channel, "three");

        let mut client = Client::connect(&server);
        let (answer, events) = resume(&mut client, channel, one["serial"].as_str().unwrap());
        assert_eq!((&answer["result"], &answer["events"]), (&json!("complete"), &json!(2)));
        assert_eq!(names(&events), ["two", "three"]);
        assert_eq!(events[1]["serial"], answer["serial"]);
        publish(&server, channel, "live");
        assert_eq!(client.event()["event"], "live");

        let mut client = Client::connect(&server);
        let (_, events) = resume(&mut client, channel, first["serial"].as_str().unwrap());
        assert_eq!(names(&events), ["one", "two", "three", "live"]);
    }
}

#[test]
fn what_is_lost_is_a_gap_and_the_rest_follows() {
    let server = keeping(2);
    let mut client = Client::connect(&server);
    let (first, _) = resume(&mut client, "a", "latest");
    for name in ["one", "two", "three"] {
        publish(&server, "a", name);
    }
    for from in [first["serial"].as_str().unwrap(), "nonsense", "00000000-1"] {
        let mut client = Client::connect(&server);
        let (answer, events) = resume(&mut client, "a", from);
        assert_eq!((&answer["result"], &answer["events"]), (&json!("gap"), &json!(2)), "{from}");
        assert_eq!(names(&events), ["two", "three"]);
    }
}

#[test]
fn where_nothing_is_kept_a_resume_is_a_gap_and_events_have_no_serial() {
    let off = start();
    let other = start_app(|app| {
        app.history.max_events = 10;
        app.history.prefixes = vec!["kept-".into()];
    });
    for server in [&off, &other] {
        let mut client = Client::connect(server);
        let (answer, _) = resume(&mut client, "a", "latest");
        assert_eq!(answer, json!({"result": "gap", "events": 0, "serial": ""}));
        publish(server, "a", "e");
        assert_eq!(client.event().get("serial"), None);
        let request = Request::get("/apps/id/channels/a/history").send(address(server));
        assert_eq!(request.status, 400);
        assert!(request.error().contains("history_events"), "{request:?}");
    }
    let mut client = Client::connect(&other);
    client.subscribe("kept-a");
    publish(&other, "kept-a", "e");
    assert!(client.event()["serial"].is_string());
}

#[test]
fn a_client_that_does_not_resume_is_not_answered() {
    let server = keeping(10);
    publish(&server, "a", "before");
    let mut client = Client::connect(&server);
    client.subscribe("a");
    assert_eq!(client.pending(), [Value::Null; 0]);
}

#[test]
fn what_clients_send_each_other_is_not_kept() {
    let server = keeping(10);
    let mut sender = Client::connect(&server);
    let (first, _) = resume(&mut sender, "private-a", "latest");
    let mut listener = Client::connect(&server);
    listener.subscribe("private-a");
    sender.trigger("private-a", "client-x", json!({}));
    assert_eq!(listener.event().get("serial"), None);
    let mut late = Client::connect(&server);
    let (answer, events) = resume(&mut late, "private-a", first["serial"].as_str().unwrap());
    assert_eq!((&answer["result"], events.len()), (&json!("complete"), 0));
}

#[test]
fn a_cache_channel_gives_the_state_once() {
    let server = keeping(10);
    let mut client = Client::connect(&server);
    let mut data = client.subscription("cache-a", None);
    data["resume_from"] = "none".into();
    client.send(json!({"event": "pusher:subscribe", "data": data}));
    client.wait_for("pusher_internal:resumed");
    assert_eq!(client.event()["event"], "pusher:cache_miss", "there is nothing at all");
    publish(&server, "cache-a", "one");
    let one = client.event();
    let mut client = Client::connect(&server);
    let (_, events) = resume(&mut client, "cache-a", "gone");
    assert_eq!(names(&events), ["one"], "what follows a gap holds the state");
    let mut client = Client::connect(&server);
    let (answer, events) = resume(&mut client, "cache-a", one["serial"].as_str().unwrap());
    assert_eq!((&answer["result"], events.len()), (&json!("complete"), 0));
    let mut client = Client::connect(&server);
    client.subscribe("cache-a");
    assert_eq!(client.event(), one, "who does not resume gets the state as ever");
}

#[test]
fn the_api_gives_history_in_pages() {
    let server = keeping(10);
    for n in 0..5 {
        publish(&server, "a", &format!("e{n}"));
    }
    let ask = |query: &[(&str, &str)]| {
        let mut request = Request::get("/apps/id/channels/a/history");
        for (name, value) in query {
            request = request.with(name, value);
        }
        request.send(address(&server))
    };
    let all = ask(&[]).json();
    let events = all["events"].as_array().unwrap();
    assert_eq!(names(events), ["e0", "e1", "e2", "e3", "e4"]);
    assert_eq!((&events[4]["channel"], &events[4]["data"]), (&json!("a"), &json!(r#"{"é":"\""}"#)));
    assert_eq!(all["serial"], events[4]["serial"]);
    let page = ask(&[("from", events[0]["serial"].as_str().unwrap()), ("limit", "2")]).json();
    assert_eq!(names(page["events"].as_array().unwrap()), ["e1", "e2"]);
    assert_eq!(page["complete"], true);
    let page = ask(&[("from", page["serial"].as_str().unwrap()), ("limit", "2")]).json();
    assert_eq!(names(page["events"].as_array().unwrap()), ["e3", "e4"]);
    assert_eq!(ask(&[("limit", "0")]).status, 400);
    assert_eq!(ask(&[("limit", "1001")]).status, 400);
}
