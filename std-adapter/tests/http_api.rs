//! The rest of the HTTP API: queries, users, signatures, and what is refused.

mod support;
mod support_http;

use serde_json::json;
use support::{Client, address, start, start_app, start_with};
use support_http::{Answer, Connection, Request, md5, now};
use tidings::ServerHandle;

fn get(server: &ServerHandle, path: &str, query: &[(&str, &str)]) -> Answer {
    let request = Request::get(path);
    let request = query.iter().fold(request, |request, (name, value)| request.with(name, value));
    request.send(address(server))
}

fn refused(answer: &Answer, status: u16, part: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.error().contains(part), "{part}: {answer:?}");
}

/// `u` with two sockets and `v` with one in `presence-a`, all three in `b`.
fn occupied() -> (ServerHandle, Vec<Client>) {
    let server = start();
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(&server)).collect();
    for (client, user) in clients.iter_mut().zip(["u", "u", "v"]) {
        client.join("presence-a", user);
        client.subscribe("b");
    }
    (server, clients)
}

#[test]
fn channels_are_an_object_even_when_there_are_none() {
    let server = start();
    assert_eq!(get(&server, "/apps/id/channels", &[]).text, r#"{"channels":{}}"#);
}

#[test]
fn fr_094_channels_tell_counts_where_they_apply() {
    let (server, _clients) = occupied();
    let channels = |query: &[(&str, &str)]| get(&server, "/apps/id/channels", query);
    assert_eq!(channels(&[]).json(), json!({"channels": {"b": {}, "presence-a": {}}}));
    assert_eq!(
        channels(&[("filter_by_prefix", "presence-"), ("info", "user_count")]).json(),
        json!({"channels": {"presence-a": {"user_count": 2}}})
    );
    assert_eq!(
        channels(&[("info", "subscription_count")]).json(),
        json!({"channels": {
            "b": {"subscription_count": 3}, "presence-a": {"subscription_count": 3},
        }})
    );
    let text = "filter_by_prefix beginning with presence-";
    refused(&channels(&[("info", "user_count")]), 400, text);
    refused(&channels(&[("info", "user_count"), ("filter_by_prefix", "b")]), 400, text);
    refused(&channels(&[("info", "members")]), 400, "`members`");
}

#[test]
fn fr_095_a_channel_tells_whether_it_is_occupied() {
    let (server, _clients) = occupied();
    let channel = |name: &str, info: &str| {
        get(&server, &format!("/apps/id/channels/{name}"), &[("info", info)])
    };
    assert_eq!(channel("x", "").text, r#"{"occupied":false}"#);
    assert_eq!(channel("b", "").text, r#"{"occupied":true}"#);
    assert_eq!(
        channel("b", "subscription_count").json(),
        json!({"occupied": true, "subscription_count": 3})
    );
    assert_eq!(
        channel("x", "subscription_count").json(),
        json!({"occupied": false, "subscription_count": 0})
    );
    assert_eq!(
        channel("presence-a", "user_count").json(),
        json!({"occupied": true, "user_count": 2})
    );
    refused(&channel("b", "user_count"), 400, "Cannot retrieve the user count");
    refused(&channel("a:b", ""), 400, "the channel of the path is `a:b`");
}

#[test]
fn fr_065_the_users_of_a_presence_channel_are_each_told_once() {
    let (server, _clients) = occupied();
    let users = |name: &str, query: &[(&str, &str)]| {
        get(&server, &format!("/apps/id/channels/{name}/users"), query)
    };
    assert_eq!(users("presence-a", &[]).json(), json!({"users": [{"id": "u"}, {"id": "v"}]}));
    assert_eq!(users("presence-empty", &[]).text, r#"{"users":[]}"#);
    refused(&users("b", &[]), 400, "`b` does not begin with presence-");
    refused(&users("presence-a", &[("info", "user_count")]), 400, "`info` is not for the list");
}

#[test]
fn a_path_is_understood_encoded_and_not() {
    let (server, _clients) = occupied();
    let mut request = Request::get("/apps/id/channels/presence-a@b=c,d.e;f/users");
    assert_eq!(request.send(address(&server)).text, r#"{"users":[]}"#);
    // Some HTTP stacks encode what the SDK has signed as it was.
    request.wire_path = Some("/apps/id/channels/presence-a%40b%3Dc%2Cd.e%3Bf/users".to_owned());
    assert_eq!(request.send(address(&server)).text, r#"{"users":[]}"#);
}

#[test]
fn a_users_connections_are_ended() {
    let server = start();
    let (mut signed_in, mut member) = (Client::connect(&server), Client::connect(&server));
    signed_in.sign_in(&json!({"id": "u"}));
    member.join("presence-a", "u");
    let request = Request::post("/apps/id/users/u/terminate_connections", "{}");
    assert_eq!(request.send(address(&server)).text, "{}");
    assert_eq!(u16::from(signed_in.closed().code), 4009);
    assert!(member.pending().is_empty(), "who only joined as the user stays");
    let unknown = Request::post("/apps/id/users/nobody/terminate_connections", "{}");
    assert_eq!(unknown.send(address(&server)).text, "{}");
}

#[test]
fn the_python_sdks_path_ends_connections_too() {
    let server = start();
    let mut client = Client::connect(&server);
    client.sign_in(&json!({"id": "u"}));
    let request = Request::post("/users/u/terminate_connections", "{}");
    refused(&request.clone().with("auth_key", "nobody").send(address(&server)), 401, "auth_key");
    refused(&request.clone().without("auth_key").send(address(&server)), 401, "auth_key");
    assert_eq!(request.send(address(&server)).text, "{}");
    assert_eq!(u16::from(client.closed().code), 4009);
}

#[test]
fn fr_145_a_401_names_the_check_and_shows_the_text_to_sign() {
    let server = start();
    let request = Request::post("/apps/id/events", r#"{"name":"n","channel":"a","data":""}"#);
    let mut wrong = request.clone();
    wrong.secret = "secret\n".to_owned();
    let answer = wrong.send(address(&server));
    refused(&answer, 401, "signature");
    assert!(answer.error().contains(&request.text_to_sign()), "{}", answer.error());
    assert!(!answer.text.contains("secret\\n"), "{answer:?}");
    for (name, value) in [
        ("body_md5", md5(b"x")),
        ("auth_key", "other".to_owned()),
        ("auth_version", "2.0".to_owned()),
    ] {
        refused(&request.clone().with(name, &value).send(address(&server)), 401, name);
        refused(&request.clone().without(name).send(address(&server)), 401, name);
    }
    let stale = (now() - 700).to_string();
    refused(&request.with("auth_timestamp", &stale).send(address(&server)), 401, "auth_timestamp");
}

#[test]
fn fr_089_timestamps_have_both_sides_of_their_limit() {
    let server = start();
    let at = |text: &str| {
        Request::get("/apps/id/channels").with("auth_timestamp", text).send(address(&server))
    };
    for skew in [-590_i64, 590] {
        let time = now().checked_add_signed(skew).unwrap().to_string();
        assert_eq!(at(&time).status, 200, "{skew}");
    }
    for skew in [-660_i64, 660] {
        let time = now().checked_add_signed(skew).unwrap().to_string();
        let answer = at(&time);
        refused(&answer, 401, "600");
        let server_time = &now().to_string()[..7];
        assert!(answer.error().contains(server_time), "{answer:?}");
    }
    for text in ["abc", "", "99999999999999999999", "-1"] {
        assert_eq!(at(text).status, 401, "{text}");
    }
}

#[test]
fn fr_091_parameters_verify_in_any_order() {
    let server = start();
    let request = Request::get("/apps/id/channels")
        .with("filter_by_prefix", "a b+é")
        .with("info", "subscription_count");
    for turn in 0..request.query.len() {
        let mut turned = request.clone();
        turned.query.rotate_left(turn);
        assert_eq!(turned.send(address(&server)).status, 200, "{turned:?}");
    }
}

#[test]
fn an_empty_get_may_carry_the_digest_of_nothing() {
    let server = start();
    let request = Request::get("/apps/id/channels").with("body_md5", &md5(b""));
    assert_eq!(request.send(address(&server)).status, 200);
}

#[test]
fn fr_137_with_a_prefix_the_signature_may_be_over_the_path_with_or_without_it() {
    let server = start_with(support::app(), |config| config.path_prefix = "/ws".into());
    let whole = Request::get("/ws/apps/id/channels");
    assert_eq!(whole.send(address(&server)).status, 200);
    let mut bare = Request::get("/apps/id/channels");
    bare.wire_path = Some("/ws/apps/id/channels".to_owned());
    assert_eq!(bare.send(address(&server)).status, 200);
}

#[test]
fn unknown_apps_and_paths_are_404() {
    let server = start();
    refused(&get(&server, "/apps/nobody/channels", &[]), 404, "`nobody`");
    refused(&get(&server, "/apps/key/channels", &[]), 404, "that is an app's key");
    refused(&get(&server, "/nothing", &[]), 404, "`/nothing`");
}

#[test]
fn a_wrong_method_is_405_and_names_the_right_one() {
    let server = start();
    let answer = get(&server, "/apps/id/events", &[]);
    refused(&answer, 405, "POST");
    assert_eq!(answer.header("allow"), Some("POST"));
    refused(&Request::post("/apps/id/channels", "{}").send(address(&server)), 405, "GET");
}

#[test]
fn a_disabled_app_is_403_for_whoever_signs() {
    let server = start_app(|app| app.enabled = false);
    refused(&get(&server, "/apps/id/channels", &[]), 403, "enabled");
    let mut stranger = Request::get("/apps/id/channels");
    stranger.secret = "other".to_owned();
    assert_eq!(stranger.send(address(&server)).status, 401);
}

#[test]
fn a_body_over_the_limit_is_413_and_names_it() {
    let server = start_with(support::app(), |config| config.max_body_bytes = 1_000);
    let body = |length: usize| {
        let empty = r#"{"name":"n","channel":"a","data":""}"#;
        empty.replace("\"\"}", &format!("\"{}\"}}", "x".repeat(length - empty.len())))
    };
    let post = |length| Request::post("/apps/id/events", &body(length)).send(address(&server));
    assert_eq!(post(1_000).status, 200);
    refused(&post(1_001), 413, "1000 (max_body_bytes)");
    refused(&post(200_000), 413, "1000 (max_body_bytes)");
}

#[test]
fn fr_096_health_answers_get_and_head_with_a_length() {
    let server = start();
    let mut connection = Connection::open(address(&server));
    for path in ["/", "/ready"] {
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        let answer = connection.answer(false);
        assert_eq!((answer.status, answer.text.as_str()), (200, "OK"));
        connection.send(format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        let answer = connection.answer(true);
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("2")));
    }
    connection.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(connection.answer(false).header("connection"), Some("close"));
}

#[test]
fn a_browser_of_any_origin_may_read() {
    let server = start();
    let mut connection = Connection::open(address(&server));
    connection.send(b"OPTIONS /apps/id/events HTTP/1.1\r\nHost: x\r\nOrigin: http://a\r\n\r\n");
    let answer = connection.answer(false);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some("*")));
    let methods = answer.header("access-control-allow-methods").unwrap();
    assert!(methods.contains("POST"), "{methods}");
    let request = Request::get("/apps/id/channels").header("Origin: http://a");
    let answer = connection.request(&request);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("*")));
}

#[test]
fn the_short_way_and_hyper_answer_alike() {
    let (server, _clients) = occupied();
    let event = r#"{"name":"n","channels":["b","presence-a"],"data":"x","info":"user_count"}"#;
    for request in [
        Request::get("/"),
        Request::get("/nothing"),
        Request::get("/app/key"),
        Request::get("/apps/id/events"),
        Request::get("/apps/id/channels"),
        Request::get("/apps/id/channels/presence-a/users"),
        Request::get("/apps/id/channels/presence-a").with("info", "user_count"),
        Request::post("/apps/id/events", event),
        Request::post("/apps/id/events", event).with("auth_key", "x"),
        Request::post("/apps/id/events", "[]"),
        Request::post("/apps/id/batch_events", r#"{"batch":[]}"#),
    ] {
        let request = request.header("Origin: http://a").header("X-Request-Id: one");
        let short = request.send(address(&server));
        // A header that the short way leaves to hyper.
        let long = request.header("Connection: close").send(address(&server));
        let headers = |answer: &Answer| {
            let mut headers = answer.headers.clone();
            headers.retain(|(name, _)| name != "date" && name != "connection");
            headers.sort();
            headers
        };
        assert_eq!((short.status, &short.text), (long.status, &long.text));
        assert_eq!(headers(&short), headers(&long), "{short:?}");
    }
}

#[test]
fn fr_022_a_socket_path_without_an_upgrade_is_426() {
    let server = start();
    for method in ["GET", "HEAD", "POST"] {
        let mut connection = Connection::open(address(&server));
        connection.send(format!("{method} /app/key HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        assert_eq!(connection.answer(method == "HEAD").status, 426, "{method}");
    }
}

#[test]
fn what_is_over_the_rate_of_an_app_is_refused_whole_and_says_how_it_stands() {
    let server = start_app(|app| {
        app.max_backend_events_per_second = Some(3);
        app.max_read_requests_per_second = Some(0);
    });
    let mut connection = Connection::open(address(&server));
    let answer = connection.request(&Request::post(
        "/apps/id/events",
        r#"{"name":"n","channels":["a","b","c","d"],"data":""}"#,
    ));
    refused(&answer, 429, "3 in a second (max_backend_events_per_second)");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.header("x-ratelimit-limit"), Some("3"));
    let two = Request::post("/apps/id/events", r#"{"name":"n","channels":["a","b"],"data":""}"#);
    let answer = connection.request(&two);
    assert_eq!((answer.status, answer.header("x-ratelimit-remaining")), (200, Some("1")));
    assert_eq!(answer.header("retry-after"), None);
    refused(&connection.request(&Request::get("/apps/id/channels")), 429, "0 in a second");
}

#[test]
fn whether_there_is_memory_for_more_is_told_as_soketi_tells_it() {
    let server = start();
    let mut connection = Connection::open(address(&server));
    for path in ["/live", "/accept-traffic"] {
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        let answer = connection.answer(false);
        assert!(answer.status == 200 || answer.text.contains("choose another"), "{path}");
        assert_eq!(answer.text == "OK", path == "/live");
    }
}
