//! Whatever the server refuses is noted with its reason, and without what came in place of a signature.

mod support;
mod support_http;

use std::time::Duration;

use serde_json::json;
use support::{Client, address, app, block_on, builder, eventually, raw, start, start_with};
use support_http::Request;
use tidings::{App, Refusal, RefusalKind, ServerHandle};

#[track_caller]
fn last(server: &ServerHandle, kind: RefusalKind, code: u16, part: &str) -> Refusal {
    let refusals = server.refusals();
    let last = refusals.last().expect("something was refused").clone();
    assert_eq!((last.kind, last.code), (kind, code), "{last:?}");
    assert!(last.text.contains(part), "{last:?}");
    assert!(last.at_ms > 1_700_000_000_000, "{last:?}");
    last
}

#[test]
fn sockets_that_are_not_let_in() {
    let mut full = App::new("full", "full", "s");
    full.max_connections = Some(0);
    let mut off = App::new("off", "off", "s");
    off.enabled = false;
    let server = builder().app(full).app(off).start().unwrap();
    for (path, code, app, part) in [
        ("/app/nobody?protocol=7", 4001, None, "nobody"),
        ("/app/off?protocol=7", 4003, Some("off"), "not enabled"),
        ("/app/full?protocol=7", 4004, Some("full"), "limit of 0"),
        ("/app/full?protocol=99", 4007, Some("full"), ""),
        ("/elsewhere", 4005, None, "/app/KEY"),
    ] {
        let mut client = Client::open(&server, path);
        assert_eq!(u16::from(client.closed().code), code);
        let refusal = last(&server, RefusalKind::Socket, code, part);
        assert_eq!(refusal.app.as_deref(), app, "{path}");
    }
}

#[test]
fn subscriptions_and_what_else_a_socket_asks_for() {
    let server = start();
    let mut client = Client::connect(&server);
    let mut ask = |message| {
        client.send(message);
        client.event();
    };
    for (auth, part) in [
        ("key:0123456789abcdef", "Invalid signature: expected"),
        ("wrong:by mistake", "Invalid key in subscription auth data"),
    ] {
        ask(json!({"event": "pusher:subscribe", "data": {"channel": "private-a", "auth": auth}}));
        let refusal = last(&server, RefusalKind::Subscription, 401, part);
        assert_eq!(refusal.channel.as_deref(), Some("private-a"));
        assert_eq!(refusal.app.as_deref(), Some("id"));
        assert!(!refusal.text.contains("0123456789abcdef") && !refusal.text.contains("mistake"));
    }
    let data = json!({"channel": "private-a", "auth": "a secret by mistake"});
    ask(json!({"event": "pusher:subscribe", "data": data}));
    // The answer may be there before the note.
    let noted = || server.refusals().last().is_some_and(|last| last.kind == RefusalKind::Message);
    eventually("the note", noted);
    let refusal = last(&server, RefusalKind::Message, 0, "KEY:SIGNATURE");
    assert!(!refusal.text.contains("mistake"));
    ask(json!({"event": "client-x", "channel": "public", "data": {}}));
    let refusal = last(&server, RefusalKind::ClientEvent, 0, "only private and presence");
    assert_eq!(refusal.channel.as_deref(), Some("public"));
    ask(json!({"event": "pusher:unsubscribe", "data": {"channel": "public"}}));
    last(&server, RefusalKind::Message, 0, "No current subscription");
    ask(json!({"event": "pusher:signin", "data": {"auth": "key:0123", "user_data": "{}"}}));
    let refusal = last(&server, RefusalKind::SignIn, 4009, "Invalid signature");
    assert!(!refusal.text.contains("0123"), "{refusal:?}");
    client.send_text("no JSON");
    client.pending();
    last(&server, RefusalKind::Message, 0, "Malformed message");
}

#[test]
fn sockets_that_are_closed_for_what_they_do() {
    let mut app = app();
    app.user_authentication = true;
    let server = start_with(app, |config| {
        config.user_authentication_timeout = Duration::from_millis(10);
    });
    let mut client = Client::connect(&server);
    assert_eq!(u16::from(client.closed().code), 4009);
    last(&server, RefusalKind::Unproven, 4009, "not authorized within timeout");

    let server = start();
    let mut client = Client::connect(&server);
    // An unmasked frame.
    std::io::Write::write_all(client.ws.get_mut(), b"\x81\x01a").unwrap();
    assert_eq!(u16::from(client.closed().code), 1002);
    last(&server, RefusalKind::Protocol, 1002, "mask");
}

#[test]
fn requests_of_http() {
    let server = start_with(app(), |config| config.max_body_bytes = 1_000);
    let at = address(&server);
    let post = |body: &str| Request::post("/apps/id/events", body).send(at).status;
    assert_eq!(post("{}"), 400);
    let refusal = last(&server, RefusalKind::Http, 400, "");
    assert_eq!(refusal.path.as_deref(), Some("/apps/id/events"));
    assert_eq!(refusal.app.as_deref(), Some("id"));
    assert_eq!(post(&"x".repeat(1_001)), 413);
    last(&server, RefusalKind::Http, 413, "");

    let mut request = Request::post("/apps/id/events", "{}");
    request.secret = "wrong".to_owned();
    let signature = request.signature();
    assert_eq!(request.send(at).status, 401);
    let refusal = last(&server, RefusalKind::Http, 401, "auth_signature does not match");
    assert!(!refusal.text.contains(&signature), "{refusal:?}");

    assert_eq!(Request::get("/apps/nobody/channels").send(at).status, 404);
    assert_eq!(last(&server, RefusalKind::Http, 404, "nobody").app, None);
    raw(&server, b"no HTTP\r\n\r\n");
    last(&server, RefusalKind::Http, 400, "");
    block_on(server.shutdown());
}

#[test]
fn a_slow_consumer_that_is_cut() {
    let server = start_with(app(), |config| config.max_queue_bytes = 16 * 1024);
    let mut client = Client::connect(&server);
    client.subscribe("a");
    let data = "x".repeat(10_000);
    eventually("the socket is full", || {
        let _ = server.publish("id", tidings::Event::new("a", "x", &data));
        !server.refusals().is_empty()
    });
    last(&server, RefusalKind::SlowConsumer, 4100, "Slow consumer");
}
