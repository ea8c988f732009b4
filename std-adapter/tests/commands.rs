//! `subscribe`, `publish`, `sign` and `verify` as a person meets them, against a running server.

#![cfg(feature = "cli")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tidings::{App, Server, ServerHandle};

fn server() -> ServerHandle {
    serving(|app| app.client_events = true)
}

fn serving(change: impl FnOnce(&mut App)) -> ServerHandle {
    let mut app = App::new("id", "key", "secret");
    change(&mut app);
    Server::builder().listen("127.0.0.1:0").app(app).start().unwrap()
}

/// The program, with an environment that holds nothing but what names this app.
fn tidings(server: Option<&ServerHandle>, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    let ours = |name: &str| ["TIDINGS_", "SOKETI_", "PUSHER_"].iter().any(|p| name.starts_with(p));
    for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    let port = server.map_or(1, |server| server.addresses()[0].port());
    command
        .args(arguments)
        .env("PUSHER_HOST", "127.0.0.1")
        .env("PUSHER_PORT", port.to_string())
        .env("PUSHER_APP_ID", "id")
        .env("PUSHER_APP_KEY", "key")
        .env("PUSHER_APP_SECRET", "secret")
        .stdin(Stdio::null());
    command
}

fn finished(mut command: Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A running `subscribe`; it ends with the test.
struct Subscriber {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    stderr: BufReader<ChildStderr>,
}

impl Subscriber {
    fn start(server: &ServerHandle, arguments: &[&str]) -> Self {
        let mut command = tidings(Some(server), arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = Some(BufReader::new(child.stdout.take().unwrap()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// The next line of standard output.
    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.stdout.as_mut().unwrap().read_line(&mut line).unwrap(), 0, "a line");
        line.trim_end_matches('\n').to_owned()
    }

    /// Waits for this on standard error.
    fn told(&mut self, part: &str) {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            assert_ne!(self.stderr.read_line(&mut line).unwrap(), 0, "{part}");
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    fn code(&mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_is_published_is_printed() {
    let server = server();
    let mut all = Subscriber::start(&server, &["subscribe", "private-all", "--count", "2"]);
    all.told("subscribed to private-all");
    let published = finished(tidings(Some(&server), &["publish", "private-all", "new", "-1"]));
    assert_eq!(published, (0, String::new(), String::new()));
    assert_eq!(all.line(), "private-all new -1");

    let mut publish = tidings(Some(&server), &["publish", "private-all", "new", "-", "--json"]);
    let publish = publish.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = publish.spawn().unwrap();
    child.stdin.take().unwrap().write_all("a\nä".as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let counts: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(counts, json!({"channels": {"private-all": {"subscription_count": 1}}}));
    assert_eq!(all.line(), "private-all new a\\nä");
    assert_eq!(all.code(), 0, "it ends after as many messages as were asked for");
}

#[test]
fn lines_can_be_objects() {
    let server = server();
    let arguments = ["subscribe", "presence-room", "--json", "--user-id", "ann"];
    let mut room = Subscriber::start(&server, &arguments);
    let object = |line: String| serde_json::from_str::<Value>(&line).unwrap();
    assert_eq!(object(room.line()), json!({"type": "subscribed", "channel": "presence-room"}));
    let info = ["--user-id", "bob", "--user-info", r#"{"n":1}"#];
    let mut bob =
        Subscriber::start(&server, &[&["subscribe", "presence-room"], &info[..]].concat());
    bob.told("subscribed to presence-room");
    let mut joined = object(room.line());
    while joined["type"] != "member_added" {
        joined = object(room.line());
    }
    assert_eq!(joined["user_id"], "bob");
    assert_eq!(joined["user_info"], json!({"n": 1}));
}

#[test]
fn a_later_run_goes_on_from_a_serial() {
    let server = serving(|app| app.history.max_events = 10);
    let arguments = ["subscribe", "news", "--json", "--count", "1"];
    let mut first = Subscriber::start(&server, &[&arguments[..], &["--resume"]].concat());
    let object = |line: String| serde_json::from_str::<Value>(&line).unwrap();
    assert_eq!(object(first.line())["type"], "subscribed");
    assert_eq!(object(first.line())["complete"], true);
    for event in ["seen", "missed"] {
        finished(tidings(Some(&server), &["publish", "news", event, "1"]));
    }
    let seen = object(first.line());
    assert_eq!(seen["event"], "seen");
    let resume = format!("--resume={}", seen["serial"].as_str().unwrap());
    let mut second = Subscriber::start(&server, &[&arguments[..], &[&resume]].concat());
    assert_eq!(object(second.line())["type"], "subscribed");
    let resumed = json!({"type": "resumed", "channel": "news", "complete": true, "events": 1});
    assert_eq!(object(second.line()), resumed);
    assert_eq!(object(second.line())["event"], "missed");

    let (code, _, error) = finished(tidings(Some(&server), &["subscribe", "news", "--resume=x"]));
    assert_eq!(code, 2);
    assert!(error.contains("0a1b2c3d-7"), "{error}");
}

#[test]
fn a_signal_ends_it_with_code_0() {
    let server = server();
    for name in ["INT", "TERM"] {
        let mut all = Subscriber::start(&server, &["subscribe", "all"]);
        all.told("subscribed to all");
        all.signal(name);
        assert_eq!(all.code(), 0, "{name}");
        let mut rest = String::new();
        all.stderr.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "{name}");
    }
}

#[test]
fn it_ends_quietly_when_nobody_reads_any_more() {
    let server = server();
    let mut all = Subscriber::start(&server, &["subscribe", "all"]);
    all.told("subscribed to all");
    drop(all.stdout.take());
    // A process that is being started in parallel may hold the reading end for a moment, so one line may go through.
    let mut ended = None;
    for _ in 0..1000 {
        server.publish("id", tidings::Event::new("all", "new", "1")).unwrap();
        ended = all.child.try_wait().unwrap();
        if ended.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(ended.and_then(|status| status.code()), Some(0));
    let mut rest = String::new();
    all.stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn refusals_have_codes_and_say_what_to_do() {
    let server = server();
    let mut command = tidings(Some(&server), &["subscribe", "all"]);
    command.env("PUSHER_APP_KEY", "unknown");
    let (code, stdout, stderr) = finished(command);
    assert_eq!((code, &*stdout), (1, ""));
    assert!(stderr.contains("4001") && stderr.contains("check the key"), "{stderr}");

    let mut command = tidings(Some(&server), &["subscribe", "private-all"]);
    command.env("PUSHER_APP_SECRET", "wrong");
    let (code, _, stderr) = finished(command);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("private-all is refused"), "{stderr}");

    let mut command = tidings(Some(&server), &["publish", "all", "new", "1"]);
    command.env("PUSHER_APP_SECRET", "wrong");
    let (code, _, stderr) = finished(command);
    assert!(code == 1 && stderr.contains("401") && stderr.contains("check key"), "{stderr}");

    for arguments in [&["subscribe", "no spaces"][..], &["publish", "no spaces", "e", "1"]] {
        let (code, _, stderr) = finished(tidings(Some(&server), arguments));
        assert!(code == 2 && stderr.contains("no spaces"), "{stderr}");
    }
    let mut command = tidings(Some(&server), &["subscribe", "all"]);
    command.env("PUSHER_HOST", "example.com").env_remove("PUSHER_APP_KEY");
    let (code, _, stderr) = finished(command);
    assert!(code == 2 && stderr.contains("PUSHER_APP_KEY"), "{stderr}");
}

#[test]
fn what_is_signed_is_valid_and_anything_else_is_not() {
    let run = |arguments: &[&str]| finished(tidings(None, arguments));
    let data = r#"{"user_id":"ann"}"#;
    let (code, auth, _) = run(&["sign", "channel", "1.2", "presence-a", "--data", data]);
    assert_eq!(code, 0);
    let auth = auth.trim_end();
    let verify = ["verify", "channel", "1.2", "presence-a", auth, "--data"];
    assert_eq!(run(&[&verify[..], &[data]].concat()), (0, "valid\n".into(), String::new()));
    let (code, stdout, stderr) = run(&[&verify[..], &["{}"]].concat());
    assert_eq!((code, &*stdout), (1, ""));
    assert!(stderr.contains("does not match"), "{stderr}");
    let (code, object, _) = run(&[&verify[..], &["{}", "--json"]].concat());
    assert_eq!(code, 1);
    assert_eq!(serde_json::from_str::<Value>(&object).unwrap()["valid"], false);

    let (code, auth, _) = run(&["sign", "user", "1.2", r#"{"id":"ann"}"#, "--json"]);
    assert_eq!(code, 0);
    let auth: Value = serde_json::from_str(&auth).unwrap();
    let user_data = auth["user_data"].as_str().unwrap();
    let verified = run(&["verify", "user", "1.2", user_data, auth["auth"].as_str().unwrap()]);
    assert_eq!(verified.0, 0, "{verified:?}");

    let (_, signature, _) = run(&["sign", "webhook", "{}"]);
    assert_eq!(run(&["verify", "webhook", signature.trim_end(), "{}"]).0, 0);
    assert_eq!(run(&["verify", "webhook", signature.trim_end(), "[]"]).0, 1);

    let (_, path, _) = run(&["sign", "request", "POST", "/apps/id/events", "{}"]);
    let path = path.trim_end();
    assert_eq!(run(&["verify", "request", "POST", path, "{}"]).0, 0);
    assert_eq!(run(&["verify", "request", "GET", path, "{}"]).0, 1);

    assert_eq!(run(&["sign", "channel", "1.2", "public"]).0, 2);
    assert_eq!(run(&["sign", "channel", "one", "private-a"]).0, 2);
    assert_eq!(run(&["sign", "channel", "1.2", "presence-a"]).0, 2);
}

#[test]
fn help_has_the_exit_codes_and_the_environment() {
    for command in ["subscribe", "publish", "sign", "verify"] {
        let (code, help, _) = finished(tidings(None, &[command, "--help"]));
        assert_eq!(code, 0);
        for part in ["Exit codes: 0", "PUSHER_APP_SECRET"] {
            assert!(help.contains(part), "{command}: {part}: {help}");
        }
    }
}

#[test]
fn a_secret_can_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "secret\n").unwrap();
    let mut command =
        tidings(None, &["sign", "webhook", "{}", "--secret-file", path.to_str().unwrap()]);
    command.env_remove("PUSHER_APP_SECRET");
    let from_environment = finished(tidings(None, &["sign", "webhook", "{}"]));
    assert_eq!(finished(command), from_environment);
}
