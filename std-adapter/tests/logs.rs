//! Log lines for programs, ids of requests, and what is never logged.

#![cfg(feature = "cli")]

mod support_http;

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support_http::{Connection, Request};
use tungstenite::Message;

/// Runs the program while `act` uses it; its log, and its exit code.
fn log_of(arguments: &[&str], act: impl FnOnce(SocketAddr)) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    let ours = |name: &str| name.starts_with("TIDINGS_") || name.starts_with("SOKETI_");
    for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    command.args(["serve", "--port", "0", "--shutdown-grace", "1"]).args(arguments);
    command.env("TIDINGS_APP_ID", "id").env("TIDINGS_APP_KEY", "key");
    command.env("TIDINGS_APP_SECRET", "secret-hunter2");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A pipe that nobody reads would hold the program up.
    let mut stderr = child.stderr.take().unwrap();
    let log = std::thread::spawn(move || {
        let mut log = String::new();
        stderr.read_to_string(&mut log).unwrap();
        log
    });
    let (mut banner, mut stdout) = (String::new(), BufReader::new(child.stdout.take().unwrap()));
    while !banner.contains("trigger(") {
        if stdout.read_line(&mut banner).unwrap() == 0 {
            return (log.join().unwrap(), child.wait().unwrap().code());
        }
    }
    let address = banner.split_once("ws://").unwrap().1.split('/').next().unwrap();
    act(address.parse().unwrap());
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    let code = child.wait().unwrap().code();
    (log.join().unwrap(), code)
}

fn publish(secret: &str, id: &str) -> Request {
    let body = json!({"channel": "orders", "name": "e", "data": "{}"}).to_string();
    let mut request = Request::post("/apps/id/events", &body);
    request.secret = secret.to_owned();
    request.header(&format!("X-Request-Id: {id}"))
}

/// Does what goes well and what is refused; the signatures that were used.
fn use_it(address: SocketAddr) -> Vec<String> {
    let mut connection = Connection::open(address);
    let (good, wrong) = (publish("secret-hunter2", "good-1"), publish("wrong-secret", "wrong-1"));
    for (request, status, id) in [(&good, 200, "good-1"), (&wrong, 401, "wrong-1")] {
        let answer = connection.request(request);
        assert_eq!((answer.status, answer.header("x-request-id")), (status, Some(id)));
    }
    // The other way through HTTP.
    connection.send(&publish("secret-hunter2", "good-2").header("Connection: close").bytes());
    let answer = connection.answer(false);
    assert_eq!((answer.status, answer.header("x-request-id")), (200, Some("good-2")));
    let made = publish("secret-hunter2", "not plain").send(address);
    assert_eq!(made.header("x-request-id").map(str::len), Some(24), "{made:?}");

    let stream = TcpStream::connect(address).unwrap();
    let url = format!("ws://{address}/app/key?protocol=7");
    let (mut ws, _) = tungstenite::client(url, stream).unwrap();
    let auth = "key:00000000000000000000000000000000000000000000000000000000badc0ffe";
    for message in [
        json!({"event": "pusher:subscribe", "data": {"channel": "private-a", "auth": auth}}),
        json!({"event": "pusher:subscribe", "data": {"channel": "private-a", "auth": "wrong:secret-hunter2"}}),
        json!({"event": "pusher:signin", "data": {"auth": auth, "user_data": "{}"}}),
        json!({"event": "pusher:ping", "data": {}}),
    ] {
        ws.send(Message::text(message.to_string())).unwrap();
    }
    while !ws.read().unwrap().to_text().unwrap().contains("pusher:pong") {}
    vec![good.signature(), wrong.signature(), "badc0ffe".to_owned()]
}

#[test]
fn json_lines_carry_the_id_of_their_request_and_no_secret() {
    let mut signatures = Vec::new();
    let arguments = ["--log", "trace", "--log-format", "json"];
    let (log, code) = log_of(&arguments, |address| signatures = use_it(address));
    assert_eq!(code, Some(0));
    for secret in signatures.iter().map(String::as_str).chain(["hunter2", "wrong-secret"]) {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    let find = |id: &str, message: &str| {
        let found = |line: &&Value| line["span"]["id"] == id && line["message"] == message;
        let line = lines.iter().find(found);
        line.unwrap_or_else(|| panic!("no `{message}` of {id}: {log}")).clone()
    };
    for id in ["good-1", "good-2"] {
        let answered = find(id, "request answered");
        assert_eq!((&answered["status"], &answered["level"]), (&json!(200), &json!("DEBUG")));
        assert_eq!(answered["path"], "/apps/id/events");
        assert_eq!(find(id, "published")["channel"], "orders");
    }
    assert_eq!(find("wrong-1", "request refused")["status"], 401);
    let refused = lines.iter().filter(|line| line["message"] == "subscription refused");
    assert_eq!(refused.count(), 2, "{log}");
}

#[test]
fn text_lines_carry_it_too_and_no_secret() {
    let mut signatures = Vec::new();
    let (log, _) = log_of(&["--log", "debug"], |address| signatures = use_it(address));
    assert!(
        log.lines().any(|line| line.contains("id=wrong-1") && line.contains("refused")),
        "{log}"
    );
    for secret in signatures.iter().map(String::as_str).chain(["hunter2", "wrong-secret"]) {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
}

#[test]
fn at_the_usual_level_requests_are_not_logged() {
    let (log, _) = log_of(&[], |address| drop(use_it(address)));
    assert!(!log.contains("orders") && !log.contains("good-1"), "{log}");
}

#[test]
fn another_format_is_refused_by_name() {
    let (log, code) = log_of(&["--log-format", "xml"], |_| panic!("it serves"));
    assert_eq!(code, Some(2));
    assert!(log.contains("option `log_format` is `xml`: use text or json"), "{log}");
}
