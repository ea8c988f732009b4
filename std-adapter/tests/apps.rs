//! Apps that are added, changed, disabled and removed while the server runs.

mod support;
mod support_hooks;
mod support_http;

use serde_json::{Value, json};
use std::time::Duration;
use support::{Client, address, app, eventually, start, start_app, start_with};
use support_hooks::{Receiver, sign};
use support_http::Request;
use tidings::{App, Apps, Event, ServerHandle, Webhook};
use tidings_core::auth::{SigningKey, sign_channel};

/// Puts the only app of the server again, changed.
fn change(server: &ServerHandle, change: impl FnOnce(&mut App)) {
    let mut app = App::clone(&server.apps().by_id("id").unwrap());
    change(&mut app);
    let changes = server.put_app(app).unwrap();
    assert_eq!(names(&changes.changed), ["id"]);
}

fn names(ids: &[Box<str>]) -> Vec<&str> {
    ids.iter().map(|id| &**id).collect()
}

/// The answer to a subscription to a private channel that is signed with `secret`.
fn subscribe_with(client: &mut Client, channel: &str, secret: &str) -> Value {
    let signature =
        sign_channel(&SigningKey::new(secret.as_bytes()), &client.socket_id, channel, None);
    let auth = format!("key:{}", signature.as_str());
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": channel, "auth": auth}}));
    client.event()["event"].clone()
}

#[test]
fn an_app_that_is_added_serves_at_once() {
    let server = start();
    let mut refused = Client::open(&server, "/app/other-key?protocol=7");
    assert_eq!(u16::from(refused.closed().code), 4001);

    let changes = server.put_app(App::new("other", "other-key", "s")).unwrap();
    assert_eq!(names(&changes.added), ["other"]);
    let mut client = Client::open(&server, "/app/other-key?protocol=7");
    assert_eq!(client.event()["event"], "pusher:connection_established");
    client.subscribe("a");
    server.publish("other", Event::new("a", "e", "{}")).unwrap();
    assert_eq!(client.event()["event"], "e");
    assert_eq!(server.connections("other"), 1);
}

#[test]
fn settings_change_for_those_who_are_connected() {
    let server = start_app(|app| app.client_events = false);
    let (mut ann, mut bob) = (Client::connect(&server), Client::connect(&server));
    ann.subscribe("private-a");
    bob.subscribe("private-a");
    ann.trigger("private-a", "client-e", json!({}));
    assert_eq!(ann.event()["event"], "pusher:error");

    change(&server, |app| {
        app.client_events = true;
        app.limits.max_event_bytes = 5;
    });
    ann.trigger("private-a", "client-e", json!("1"));
    assert_eq!(bob.event()["event"], "client-e", "the subscription has stayed");
    ann.trigger("private-a", "client-e", json!("123456"));
    assert_eq!(ann.event()["event"], "pusher:error");
    assert_eq!(server.connections("id"), 2);
}

#[test]
fn a_quota_that_is_lowered_keeps_who_is_there_and_lets_nobody_else_in() {
    let server = start();
    let mut first = Client::connect(&server);
    let _second = Client::connect(&server);
    change(&server, |app| app.max_connections = Some(2));
    let mut third = Client::open(&server, "/app/key?protocol=7");
    assert_eq!(u16::from(third.closed().code), 4004);
    assert_eq!(first.pending(), [Value::Null; 0]);
    change(&server, |app| app.max_connections = None);
    Client::connect(&server);
}

#[test]
fn sockets_of_a_disabled_app_are_closed_with_4003_and_come_back_when_it_is_enabled() {
    let server = start();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    change(&server, |app| app.enabled = false);
    assert_eq!(u16::from(client.closed().code), 4003);
    let mut refused = Client::open(&server, "/app/key?protocol=7");
    assert_eq!(u16::from(refused.closed().code), 4003);
    let body = r#"{"channel":"a","name":"e","data":"{}"}"#;
    assert_eq!(Request::post("/apps/id/events", body).send(address(&server)).status, 403);

    change(&server, |app| app.enabled = true);
    Client::connect(&server).subscribe("a");
}

#[test]
fn sockets_of_a_removed_app_are_closed_with_4001_and_what_was_kept_is_forgotten() {
    let server = start_app(|app| app.history.max_events = 10);
    let mut client = Client::connect(&server);
    client.subscribe("cache-a");
    server.publish("id", Event::new("cache-a", "e", "{}")).unwrap();
    client.wait_for("e");
    assert!(server.remove_app("id"));
    assert!(!server.remove_app("id"), "it is gone already");
    assert_eq!(u16::from(client.closed().code), 4001);
    let get = |path: &str| Request::get(path).send(address(&server)).status;
    assert_eq!(get("/apps/id/channels"), 404);
    assert!(server.publish("id", Event::new("a", "e", "{}")).is_err());

    server.put_app(app()).unwrap();
    let mut client = Client::connect(&server);
    client.subscribe("cache-a");
    assert_eq!(client.event()["event"], "pusher:cache_miss", "the old event is not there");
    eventually("the old socket is gone", || server.connections("id") == 1);
    assert_eq!(get("/apps/id/channels"), 200);
}

#[test]
fn a_list_takes_the_place_of_another_and_only_who_is_concerned_notices() {
    let server = start();
    server.put_app(App::new("b", "b", "b")).unwrap();
    let mut stays = Client::connect(&server);
    stays.subscribe("a");
    let mut goes = Client::open(&server, "/app/b?protocol=7");
    goes.event();

    let list = Apps::new(vec![App::new("c", "c", "c"), app()]).unwrap();
    let changes = server.replace_apps(&list).unwrap();
    assert_eq!((names(&changes.added), names(&changes.removed)), (vec!["c"], vec!["b"]));
    assert!(changes.changed.is_empty(), "an app that is configured as before is left alone");
    assert!(server.replace_apps(&list).unwrap().is_empty());
    assert_eq!(u16::from(goes.closed().code), 4001);
    assert_eq!(stays.pending(), [Value::Null; 0]);
    let ids: Vec<_> = server.apps().iter().map(|app| app.id.clone()).collect();
    assert_eq!(names(&ids), ["c", "id"]);
}

#[test]
fn a_list_that_contradicts_itself_changes_nothing() {
    let server = start();
    let error = server.put_app(App::new("other", "key", "s")).unwrap_err();
    assert!(error.to_string().contains("both have the key `key`"), "{error}");
    assert_eq!(server.apps().len(), 1);
    Client::connect(&server);
}

#[test]
fn two_secrets_are_taken_while_one_takes_the_place_of_the_other() {
    let server = start();
    let body = r#"{"channel":"unheard","name":"e","data":"{}"}"#;
    let publish = |secret: &str| {
        let mut request = Request::post("/apps/id/events", body);
        request.secret = secret.to_owned();
        request.send(address(&server)).status
    };
    let renewed = || {
        let mut app = App::new("id", "key", "new");
        app.client_events = true;
        app
    };
    assert_eq!((publish("secret"), publish("new")), (200, 401));

    server.put_app(renewed().previous_secret("secret")).unwrap();
    assert_eq!((publish("secret"), publish("new"), publish("other")), (200, 200, 401));
    let mut client = Client::connect(&server);
    let subscribed = "pusher_internal:subscription_succeeded";
    assert_eq!(subscribe_with(&mut client, "private-a", "secret"), subscribed);
    assert_eq!(subscribe_with(&mut client, "private-b", "new"), subscribed);
    assert_eq!(subscribe_with(&mut client, "private-c", "other"), "pusher:subscription_error");

    server.put_app(renewed()).unwrap();
    assert_eq!((publish("secret"), publish("new")), (401, 200));
    assert_eq!(subscribe_with(&mut client, "private-d", "secret"), "pusher:subscription_error");
    server.publish("id", Event::new("private-a", "e", "{}")).unwrap();
    client.wait_for("e");
}

#[test]
fn a_key_that_changes_leaves_the_connections_that_came_with_the_old_one() {
    let server = start();
    let mut old = Client::connect(&server);
    old.subscribe("a");
    let mut app = App::new("id", "key-2", "secret");
    app.client_events = true;
    server.put_app(app).unwrap();
    let mut new = Client::open(&server, "/app/key-2?protocol=7");
    new.event();
    new.subscribe("a");
    server.publish("id", Event::new("a", "e", "{}")).unwrap();
    assert_eq!(
        (old.event()["event"].clone(), new.event()["event"].clone()),
        (json!("e"), json!("e"))
    );
    let mut refused = Client::open(&server, "/app/key?protocol=7");
    assert_eq!(u16::from(refused.closed().code), 4001);
}

#[test]
fn webhooks_follow_their_app() {
    let (first, second) = (Receiver::start(), Receiver::start());
    let mut with_hook = app();
    with_hook.webhooks = vec![Webhook::new(&*first.url)];
    let server = start_with(with_hook, |config| config.webhook_delay = Duration::ZERO);
    let mut client = Client::connect(&server);
    client.subscribe("a");
    assert_eq!(first.event()["channel"], "a");

    let mut renewed = App::new("id", "key", "new");
    renewed.webhooks = vec![Webhook::new(&*first.url), Webhook::new(&*second.url)];
    server.put_app(renewed).unwrap();
    client.subscribe("b");
    for receiver in [&first, &second] {
        let hook = receiver.next();
        let body: Value = serde_json::from_slice(&hook.body).unwrap();
        assert_eq!(body["events"][0]["channel"], "b");
        let signature = hook.header("x-pusher-signature").map(str::to_owned);
        assert_eq!(signature, Some(sign("new", &hook.body)), "signed with the new secret");
    }
    eventually("the endpoint that stayed keeps its counts", || {
        let stats = server.webhooks("id");
        stats.iter().map(|stats| stats.delivered).eq([2, 1])
    });

    change(&server, |app| drop(app.webhooks.remove(0)));
    client.subscribe("c");
    let body: Value = serde_json::from_slice(&second.next().body).unwrap();
    assert_eq!(body["events"][0]["channel"], "c");
    assert!(first.rest().is_empty());
}

#[test]
fn the_answers_of_soketi_are_given_to_who_wants_them() {
    let mut app = app();
    app.max_connections = Some(1);
    let server = start_with(app, |config| config.soketi_answers = true);
    let mut client = Client::connect(&server);
    client.subscribe("a");
    let mut over = Client::open(&server, "/app/key?protocol=7");
    assert_eq!(u16::from(over.closed().code), 4100, "clients try again after that");
    let channels = Request::get("/apps/id/channels").send(address(&server)).json();
    assert_eq!(channels, json!({"channels": {"a": {"subscription_count": 1, "occupied": true}}}));
}
