//! The console: who may see it, what it shows, and what it does.

mod support;
mod support_console;
mod support_http;

use serde_json::{Value, json};
use support::{Client, address, app, builder, start, start_with};
use support_console::{RIGHT, Stream, WRONG, act, get, guarded, look, own, send};
use support_http::Request;
use tidings::{App, ServerConfig, ServerHandle, Webhook};

/// The app's secret, which no answer may hold.
const SECRET: &str = "a-secret-that-nobody-sees";

fn dev() -> ServerHandle {
    let mut config = ServerConfig::default();
    config.threads = 2;
    builder().config(config).app(app()).dev().start().expect("the server starts")
}

#[test]
fn without_a_password_there_is_no_console_and_the_answer_says_how_to_have_it() {
    let server = start();
    for path in ["/console", "/console/", "/console/api/overview", "/console/console.js"] {
        for headers in ["", RIGHT] {
            let answer = send(&server, "GET", path, headers, "");
            assert_eq!(answer.status, 404, "{path}");
            assert!(answer.text.contains("TIDINGS_CONSOLE_PASSWORD"), "{answer:?}");
            assert_eq!(answer.header("www-authenticate"), None);
        }
    }
}

#[test]
fn only_who_gives_the_password_gets_in() {
    let server = guarded(|_| ());
    for path in ["/console", "/console/console.js", "/console/api/overview", "/console/nothing"] {
        for headers in ["", WRONG, "Authorization: Bearer x\r\n", "Authorization: Basic !\r\n"] {
            let answer = send(&server, "GET", path, headers, "");
            assert!(matches!(answer.status, 401 | 429), "{path} {headers}");
            assert!(!answer.text.contains("tidings console</title>"), "{answer:?}");
        }
    }
    let server = guarded(|_| ());
    let asked = send(&server, "GET", "/console", "", "");
    assert_eq!(asked.status, 401);
    assert!(asked.header("www-authenticate").unwrap().starts_with("Basic realm="), "{asked:?}");
    assert!(asked.text.contains("the user is admin"), "{asked:?}");
    assert_eq!(get(&server, "/console").status, 200);
}

#[test]
fn after_ten_wrong_passwords_no_other_is_looked_at_but_from_who_has_been_in() {
    let server = guarded(|_| ());
    let inside = get(&server, "/console");
    let cookie = inside.header("set-cookie").expect("a cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/console"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    // A minute may begin in between, and then there are as many again.
    let statuses: Vec<u16> =
        (0..25).map(|_| send(&server, "GET", "/console", WRONG, "").status).collect();
    assert_eq!(statuses[..10], [401; 10]);
    let late = statuses.iter().find(|status| **status != 401);
    assert_eq!(late, Some(&429), "{statuses:?}");
    let (cookie, _) = cookie.split_once(';').unwrap();
    let known = format!("{RIGHT}Cookie: other=1; {cookie}\r\n");
    assert_eq!(send(&server, "GET", "/console", &known, "").status, 200);
    let unproven = format!("{WRONG}Cookie: {cookie}\r\n");
    assert_eq!(send(&server, "GET", "/console", &unproven, "").status, 401, "it opens nothing");
    let refusals = look_with(&server, "refusals?app=id", &known);
    assert!(refusals.to_string().contains("not the password of the console"), "{refusals}");
}

fn look_with(server: &ServerHandle, path: &str, headers: &str) -> Value {
    send(server, "GET", &format!("/console/api/{path}"), headers, "").json()
}

#[test]
fn the_page_and_its_files_run_nothing_from_elsewhere() {
    let server = guarded(|config| config.path_prefix = "/ws".into());
    let page = get(&server, "/ws/console");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let mut files = vec!["/ws/console".to_owned()];
    for piece in page.text.split(['"', '\'']).filter(|piece| piece.starts_with("console/")) {
        files.push(format!("/ws/{piece}"));
    }
    for script in ["chart", "events", "lists", "send", "server"] {
        files.push(format!("/ws/console/{script}.js"));
    }
    assert_eq!(files.len(), 8, "{files:?}");
    for file in files {
        let answer = get(&server, &file);
        assert_eq!(answer.status, 200, "{file}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("access-control-allow-origin"), None);
        for foreign in ["https://", "//cdn", "<style", "style=", "onclick", "innerHTML", "eval("] {
            assert!(!answer.text.contains(foreign), "{file} has {foreign}");
        }
    }
    let moved = get(&server, "/ws/console/");
    assert_eq!((moved.status, moved.header("location")), (308, Some("../console")));
}

#[test]
fn another_page_gets_no_leave_to_read() {
    let server = guarded(|_| ());
    let headers = format!("{RIGHT}Origin: http://evil.example\r\n");
    for method in ["GET", "OPTIONS"] {
        let answer = send(&server, method, "/console/api/overview", &headers, "");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{answer:?}");
    }
}

#[test]
fn apps_channels_members_and_connections_are_shown() {
    let server = guarded(|_| ());
    let (mut ann, mut bob) = (Client::connect(&server), Client::connect(&server));
    ann.join("presence-a", "ann");
    bob.join("presence-a", "bob");
    bob.subscribe("news");
    ann.sign_in(&json!({"id": "ann"}));
    let overview = look(&server, "overview");
    assert_eq!((&overview["dev"], &overview["read_only"]), (&json!(false), &json!(false)));
    assert_eq!(overview["backplane"], Value::Null);
    assert_eq!(
        overview["apps"],
        json!([{"id": "id", "key": "key", "enabled": true, "connections": 2, "max_connections": null}])
    );
    let channels = json!([
        {"name": "news", "subscriptions": 1, "users": null},
        {"name": "presence-a", "subscriptions": 2, "users": 2},
    ]);
    assert_eq!(look(&server, "channels?app=id"), json!({"total": 2, "channels": channels}));
    let found = look(&server, "channels?app=id&prefix=pre");
    assert_eq!(found, json!({"total": 1, "channels": [channels[1]]}));
    let after = look(&server, "channels?app=id&after=news");
    assert_eq!(after, json!({"total": 2, "channels": [channels[1]]}));
    let members = look(&server, "members?app=id&channel=presence-a");
    assert_eq!(members, json!({"total": 2, "members": ["ann", "bob"]}));
    let connections = look(&server, "connections?app=id");
    assert_eq!(connections["total"], 2);
    let of = |id: &str| {
        let all = connections["connections"].as_array().unwrap();
        let mut found = all.iter().find(|seen| seen["socket_id"] == id).unwrap().clone();
        assert!(found.as_object_mut().unwrap().remove("seconds").unwrap().is_u64());
        found
    };
    let ann_id = ann.socket_id.clone();
    assert_eq!(of(&ann_id), json!({"socket_id": ann_id, "user_id": "ann", "channels": 1}));
    let bob_id = bob.socket_id.clone();
    assert_eq!(of(&bob_id), json!({"socket_id": bob_id, "user_id": null, "channels": 2}));
    for path in ["channels", "connections?app=x", "members?app=", "refusals", "webhooks", "stream"]
    {
        assert_eq!(get(&server, &format!("/console/api/{path}")).status, 404, "{path}");
    }
}

#[test]
fn lists_are_bounded() {
    let server = guarded(|_| ());
    let mut clients: Vec<Client> = (0..205).map(|_| Client::connect(&server)).collect();
    for client in clients.iter_mut().take(2) {
        for at in 0..300 {
            client.subscribe(&format!("c-{}-{at:03}", client.socket_id));
        }
    }
    let seen = look(&server, "connections?app=id");
    assert_eq!(seen["total"], 205);
    assert_eq!(seen["connections"].as_array().unwrap().len(), 200);
    let first = look(&server, "channels?app=id&prefix=c-");
    let names = |page: &Value| -> Vec<String> {
        let rows = page["channels"].as_array().unwrap().iter();
        rows.map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((&first["total"], names(&first).len()), (&json!(600), 500));
    let last = names(&first).pop().unwrap();
    let next = look(&server, &format!("channels?app=id&prefix=c-&after={last}"));
    assert_eq!(names(&next).len(), 100);
    assert!(names(&next)[0] > last);
}

#[test]
fn what_is_refused_is_shown_with_its_reason() {
    let server = guarded(|_| ());
    let mut client = Client::connect(&server);
    client.send(
        json!({"event": "pusher:subscribe", "data": {"channel": "private-x", "auth": "key:00"}}),
    );
    client.wait_for("pusher:subscription_error");
    let refused = &look(&server, "refusals?app=id")["refusals"][0];
    assert_eq!((&refused["kind"], &refused["code"]), (&json!("subscription"), &json!(401)));
    assert_eq!(refused["channel"], "private-x");
    assert!(!refused["text"].as_str().unwrap().is_empty());
    assert_eq!(refused["request_id"], Value::Null);

    let mut wrong = Request::get("/apps/id/channels").header("X-Request-Id: trace-7");
    wrong.secret = "wrong".to_owned();
    assert_eq!(wrong.send(address(&server)).status, 401);
    let refused = &look(&server, "refusals?app=id")["refusals"][0];
    assert_eq!((&refused["kind"], &refused["request_id"]), (&json!("http"), &json!("trace-7")));
    assert_eq!(refused["path"], "/apps/id/channels");
}

#[test]
fn an_event_is_sent_from_the_own_page_only() {
    let server = guarded(|_| ());
    let (mut ann, mut bob) = (Client::connect(&server), Client::connect(&server));
    ann.subscribe("c");
    bob.subscribe("c");
    let event =
        json!({"channel": "c", "name": "n", "data": "{\"a\":1}", "socket_id": bob.socket_id});
    let sent = act(&server, "events?app=id", &event);
    assert_eq!((sent.status, &*sent.text), (200, "{}"));
    assert_eq!(ann.event(), json!({"event": "n", "channel": "c", "data": "{\"a\":1}"}));
    let (host, text) = (address(&server), event.to_string());
    for headers in [
        String::new(),
        "X-Tidings-Console: 1\r\n".to_owned(),
        format!("Origin: http://{host}\r\n"),
        format!("X-Tidings-Console: 2\r\nOrigin: http://{host}\r\n"),
        "X-Tidings-Console: 1\r\nOrigin: http://evil.example\r\n".to_owned(),
        format!("X-Tidings-Console: 1\r\nOrigin: http://{}:1\r\n", host.ip()),
        "X-Tidings-Console: 1\r\nOrigin: null\r\n".to_owned(),
    ] {
        let headers = format!("{RIGHT}{headers}");
        let answer = send(&server, "POST", "/console/api/events?app=id", &headers, &text);
        assert_eq!(answer.status, 403, "{headers}");
    }
    let without_password = own(&server).replace(RIGHT, "");
    let answer = send(&server, "POST", "/console/api/events?app=id", &without_password, &text);
    assert_eq!(answer.status, 401);
    assert_eq!(ann.pending(), [0; 0]);
    assert_eq!(bob.pending(), [0; 0]);
}

#[test]
fn what_cannot_be_sent_is_refused_with_the_reason() {
    let server = guarded(|_| ());
    for (event, reason) in [
        (json!({"channel": "c", "name": "n", "data": "hello"}), "`data` is no JSON"),
        (json!({"channel": "c", "name": "n", "data": "{\"a\":}"}), "`data` is no JSON"),
        (json!({"channel": "c", "name": "n"}), "data"),
        (json!({"channel": "a b", "name": "n", "data": "1"}), "channel"),
        (json!({"channel": "private-encrypted-x", "name": "n", "data": "1"}), "sealed"),
        (json!({"channel": "c", "name": "n", "data": "1", "socket_id": "x"}), "socket_id"),
        (json!([]), "object"),
    ] {
        let answer = act(&server, "events?app=id", &event);
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.error().contains(reason), "{answer:?}");
    }
    assert_eq!(act(&server, "events?app=other", &json!({})).status, 404);
    assert_eq!(act(&server, "other", &json!({})).status, 404);
    assert_eq!(act(&server, "terminate?app=id", &json!({})).status, 400);
    let large = json!({"channel": "c", "name": "n", "data": format!("\"{}\"", "x".repeat(10_240))});
    assert_eq!(act(&server, "events?app=id", &large).status, 413);
    let put = send(&server, "PUT", "/console/api/events?app=id", RIGHT, "");
    assert_eq!((put.status, put.header("allow")), (405, Some("GET, HEAD, POST")));
}

#[test]
fn the_connections_of_a_user_can_be_ended() {
    let server = guarded(|_| ());
    let mut ann = Client::connect(&server);
    ann.sign_in(&json!({"id": "ann"}));
    assert_eq!(act(&server, "terminate?app=id", &json!({"user_id": "ann"})).status, 200);
    assert_eq!(u16::from(ann.closed().code), 4009);
}

#[test]
fn a_console_that_only_shows_does_nothing() {
    let server = guarded(|config| config.console_read_only = true);
    assert_eq!(look(&server, "overview")["read_only"], true);
    let event = json!({"channel": "c", "name": "n", "data": "1"});
    for (path, body) in [
        ("events?app=id", &event),
        ("terminate?app=id", &json!({"user_id": "u"})),
        ("faults", &json!({"fault": "none"})),
    ] {
        let answer = act(&server, path, body);
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.error().contains("console_read_only"), "{answer:?}");
    }
}

#[test]
fn dev_mode_needs_no_password_by_a_name_of_this_machine() {
    let server = dev();
    let with_host = |host: &str| {
        send(&server, "GET", "/console/api/overview", &format!("Host: {host}\r\n"), "")
    };
    let port = address(&server).port();
    let answer = with_host(&format!("localhost:{port}"));
    assert_eq!((answer.status, &answer.json()["dev"]), (200, &json!(true)));
    assert_eq!(with_host(&format!("127.0.0.1:{port}")).status, 200);
    for host in [format!("evil.example:{port}"), String::new()] {
        assert_eq!(with_host(&host).status, 403, "{host}");
    }
    let headers = own(&server).replace(RIGHT, "");
    let fault = json!({"fault": "drop", "count": 1}).to_string();
    let answer = send(&server, "POST", "/console/api/faults", &headers, &fault);
    assert_eq!(answer.json()["drop"], 1, "{answer:?}");
    let now = send(&server, "GET", "/console/api/faults", "", "").json();
    assert_eq!(now["drop"], 1);
    let foreign = "X-Tidings-Console: 1\r\nOrigin: http://evil.example\r\n";
    assert_eq!(send(&server, "POST", "/console/api/faults", foreign, &fault).status, 403);
}

#[test]
fn faults_are_for_dev_mode() {
    let server = guarded(|_| ());
    assert_eq!(get(&server, "/console/api/faults").status, 403);
    assert_eq!(act(&server, "faults", &json!({"fault": "none"})).status, 403);
}

#[test]
fn no_answer_holds_a_secret() {
    let mut app = App::new("id", "key", SECRET);
    app.client_events = true;
    app.webhooks = vec![Webhook::new(format!("http://127.0.0.1:9/hook?token={SECRET}"))];
    let server = start_with(app, |config| config.console_password = Some("correct horse".into()));
    let mut client = Client::connect(&server);
    // Signed with another secret, so it is refused.
    client.send(json!({"event": "pusher:subscribe",
        "data": {"channel": "private-x", "auth": "key:00"}}));
    client.wait_for("pusher:subscription_error");
    client.sign_in(&json!({"id": "u"}));
    assert_eq!(Request::get("/apps/id/channels").send(address(&server)).status, 401);
    let mut texts = Vec::new();
    for path in ["overview", "channels", "connections", "members", "refusals", "webhooks"] {
        let answer = get(&server, &format!("/console/api/{path}?app=id&channel=c"));
        assert_eq!(answer.status, 200, "{path}");
        texts.push(answer.text);
    }
    assert!(texts[4].contains("private-x") && texts[5].contains("/hook"), "{texts:?}");
    texts.push(get(&server, "/console").text);
    texts.push(act(&server, "events?app=id", &json!({"channel": "c"})).text);
    texts.push(act(&server, "events?app=x", &json!({})).text);
    texts.push(send(&server, "GET", "/console", WRONG, "").text);
    texts.push(format!("{:?}", Stream::open(&server, RIGHT).page()));
    for text in texts {
        assert!(!text.contains(SECRET) && !text.contains("correct horse"), "{text}");
    }
}
