//! Users: who watches whom, and who must prove itself in time.

mod support;

use serde_json::{Value, json};
use std::time::Duration;
use support::{Client, app, eventually, start, start_app, start_with};

/// What a client is told next of the users it watches: those who are there and those who are not.
fn told(client: &mut Client) -> (Vec<String>, Vec<String>) {
    let event = client.event();
    assert_eq!(event["event"], "pusher_internal:watchlist_events", "{event}");
    assert_eq!(event.get("channel"), None);
    let data: Value = serde_json::from_str(event["data"].as_str().unwrap()).unwrap();
    let (mut online, mut offline) = (Vec::new(), Vec::new());
    for event in data["events"].as_array().unwrap() {
        let ids = event["user_ids"].as_array().unwrap().iter();
        let ids = ids.map(|id| id.as_str().unwrap().to_owned());
        match event["name"].as_str().unwrap() {
            "online" => online.extend(ids),
            "offline" => offline.extend(ids),
            other => panic!("{other}"),
        }
    }
    online.sort();
    offline.sort();
    (online, offline)
}

fn signed_in(server: &tidings::ServerHandle, id: &str, watchlist: &[&str]) -> Client {
    let mut client = Client::connect(server);
    let answer = client.sign_in(&json!({"id": id, "watchlist": watchlist}));
    assert_eq!(answer["event"], "pusher:signin_success");
    client
}

fn only(id: &str) -> Vec<String> {
    vec![id.to_owned()]
}

#[test]
fn a_watcher_learns_the_state_at_once_and_every_change_once() {
    let server = start_app(|app| app.watchlists = true);
    let here = signed_in(&server, "here", &[]);
    let ids = ["here", "a", "b", "c", "d", "e", "f", "g"];
    let mut watcher = signed_in(&server, "w", &ids);
    let (online, offline) = told(&mut watcher);
    assert_eq!(online, only("here"));
    assert_eq!(offline, ids[1..], "one event tells all, whatever shards know them");

    // Sockets of one user, on both shards.
    let mut tabs: Vec<Client> = (0..4).map(|_| signed_in(&server, "a", &[])).collect();
    assert_eq!(told(&mut watcher), (only("a"), vec![]));
    let last = tabs.pop().unwrap();
    tabs.into_iter().for_each(Client::drop_connection);
    here.drop_connection();
    assert_eq!(told(&mut watcher), (vec![], only("here")));
    last.drop_connection();
    assert_eq!(told(&mut watcher), (vec![], only("a")));
    assert_eq!(watcher.pending(), [Value::Null; 0]);
}

#[test]
fn ending_the_connections_of_a_user_is_seen_by_who_watches() {
    let server = start_app(|app| app.watchlists = true);
    let mut tabs: Vec<Client> = (0..4).map(|_| signed_in(&server, "u", &[])).collect();
    let mut watcher = signed_in(&server, "w", &["u"]);
    assert_eq!(told(&mut watcher), (only("u"), vec![]));
    support::block_on(server.terminate("id", "u")).unwrap();
    assert_eq!(told(&mut watcher), (vec![], only("u")));
    for tab in &mut tabs {
        assert_eq!(u16::from(tab.closed().code), 4009);
    }
}

#[test]
fn who_does_not_watch_any_more_is_not_told() {
    let server = start_app(|app| app.watchlists = true);
    let mut watcher = signed_in(&server, "w", &["u"]);
    told(&mut watcher);
    watcher.drop_connection();
    let mut other = signed_in(&server, "o", &["w", "u"]);
    while told(&mut other).1 != only("w") {
        // "w" may still be seen at first.
        if server.connections("id") == 1 {
            break;
        }
    }
    let _user = signed_in(&server, "u", &[]);
    assert_eq!(told(&mut other), (only("u"), vec![]));
}

#[test]
fn a_watchlist_that_is_too_long_is_cut_and_the_client_told() {
    let server = start_app(|app| app.watchlists = true);
    let ids: Vec<String> = (0..101).map(|n| format!("u{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
    let mut client = signed_in(&server, "w", &ids);
    let error = client.event();
    assert_eq!(error["data"]["code"], 4302);
    let text = error["data"]["message"].as_str().unwrap();
    assert!(text.contains("101 users") && text.contains("limit is 100"), "{text}");
    assert_eq!(told(&mut client).1.len(), 100);
    let _last = signed_in(&server, "u100", &[]);
    let _first = signed_in(&server, "u0", &[]);
    assert_eq!(told(&mut client), (only("u0"), vec![]));
}

#[test]
fn a_user_may_watch_itself_and_ids_may_be_numbers() {
    let server = start_app(|app| app.watchlists = true);
    let mut client = Client::connect(&server);
    client.sign_in(&json!({"id": "7", "watchlist": [7, "7", 8]}));
    assert_eq!(told(&mut client), (only("7"), only("8")));
    let mut other = Client::connect(&server);
    let refused = other.sign_in(&json!({"id": "8", "watchlist": [{}]}));
    assert_eq!(refused["data"]["code"], 4009);
    assert!(refused["data"]["message"].as_str().unwrap().contains("watchlist"), "{refused}");
}

#[test]
fn watchlists_are_off_unless_the_app_turns_them_on() {
    let server = start();
    let mut watcher = signed_in(&server, "w", &["u"]);
    let _user = signed_in(&server, "u", &[]);
    assert_eq!(watcher.pending(), [Value::Null; 0]);
}

#[test]
fn signing_in_again_as_the_same_user_changes_nothing() {
    let server = start_app(|app| app.watchlists = true);
    let mut watcher = signed_in(&server, "w", &["u"]);
    told(&mut watcher);
    let mut user = signed_in(&server, "u", &[]);
    assert_eq!(user.sign_in(&json!({"id": "u"}))["event"], "pusher:signin_success");
    assert_eq!(user.sign_in(&json!({"id": "v"}))["data"]["code"], 4009);
    assert_eq!(told(&mut watcher), (only("u"), vec![]));
    user.drop_connection();
    assert_eq!(told(&mut watcher), (vec![], only("u")));
}

fn demanding(timeout: Duration) -> tidings::ServerHandle {
    let mut app = app();
    app.user_authentication = true;
    start_with(app, |config| {
        config.user_authentication_timeout = timeout;
        config.close_timeout = Duration::from_millis(100);
    })
}

#[test]
fn who_does_not_prove_itself_in_time_is_closed_for_good() {
    let server = demanding(Duration::from_millis(50));
    let mut client = Client::connect(&server);
    client.subscribe("public");
    let error = client.wait_for("pusher:error");
    assert_eq!(error["data"]["code"], 4009);
    let text = error["data"]["message"].as_str().unwrap();
    assert!(text.contains("within timeout") && text.ends_with("50ms"), "{text}");
    assert_eq!(u16::from(client.closed().code), 4009);
    eventually("it is gone", || server.connections("id") == 0);
}

#[test]
fn who_signs_in_or_subscribes_with_a_signature_may_stay() {
    let server = demanding(Duration::from_millis(500));
    let mut silent = Client::connect(&server);
    let mut user = signed_in(&server, "u", &[]);
    let mut subscriber = Client::connect(&server);
    subscriber.subscribe("private-a");
    let mut member = Client::connect(&server);
    member.join("presence-a", "m");
    // The one that came first is also the first whose time ends.
    assert_eq!(u16::from(silent.closed().code), 4009);
    let mut later = Client::connect(&server);
    assert_eq!(u16::from(later.closed().code), 4009, "by now the time of all others is over");
    for client in [&mut user, &mut subscriber, &mut member] {
        assert_eq!(client.pending(), [Value::Null; 0]);
    }
}

#[test]
fn where_a_proof_is_asked_for_a_wrong_one_closes() {
    let server = demanding(Duration::from_secs(30));
    let mut client = Client::connect(&server);
    client.send(json!({"event": "pusher:signin", "data": {"auth": "key:00", "user_data": "{\"id\":\"u\"}"}}));
    assert_eq!(u16::from(client.closed().code), 4009);
}
