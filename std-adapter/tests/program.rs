//! The program as a person meets it: what it prints, what it refuses, how it ends.

#![cfg(feature = "cli")]

mod support_tls;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// The program, with an environment that holds nothing of ours.
fn tidings(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    let ours = |name: &str| name.starts_with("TIDINGS_") || name.starts_with("SOKETI_");
    for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

fn finished(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = tidings(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A refusal is one line on standard error that starts with the program's name.
fn refusal(arguments: &[&str]) -> (i32, String) {
    let (code, stdout, stderr) = finished(arguments);
    assert_eq!(stdout, "");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("tidings: "), "{stderr}");
    (code, stderr)
}

/// A running server; it ends with the test.
struct Serving {
    child: Child,
    stdout: BufReader<ChildStdout>,
    banner: String,
    address: SocketAddr,
}

impl Serving {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        // The last line of the banner is the publish call.
        while !banner.contains("trigger(") {
            assert_ne!(stdout.read_line(&mut banner).unwrap(), 0, "{banner}");
        }
        let (_, rest) = banner.split_once("ws://").unwrap();
        let address = rest.split('/').next().unwrap().parse().unwrap();
        Self { child, stdout, banner, address }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// A WebSocket of the app with this key, with all read that comes at first.
    fn socket(&self, key: &str) -> TcpStream {
        let mut socket = TcpStream::connect(self.address).unwrap();
        write!(
            socket,
            "GET /app/{key}?protocol=7 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .unwrap();
        let mut came = Vec::new();
        while !came.ends_with(b"}") {
            let mut part = [0; 512];
            let n = socket.read(&mut part).unwrap();
            assert_ne!(n, 0, "{}", String::from_utf8_lossy(&came));
            came.extend_from_slice(&part[..n]);
        }
        socket
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn version_and_help_are_readable() {
    let (code, version, _) = finished(&["--version"]);
    let commit = version.strip_prefix(concat!("tidings ", env!("CARGO_PKG_VERSION")));
    let commit = commit.map(|commit| commit.trim().trim_matches(['(', ')']));
    assert!(
        commit.is_some_and(|commit| commit.bytes().all(|b| b.is_ascii_hexdigit())),
        "{version}"
    );
    assert_eq!(code, 0);
    let (code, help, _) = finished(&["serve", "--help"]);
    assert_eq!(code, 0);
    for part in
        ["--port", "--max-event-bytes", "127.0.0.1:6001", "[[apps]]", "TIDINGS_MAX_BODY_BYTES"]
    {
        assert!(help.contains(part), "{part}: {help}");
    }
}

#[test]
fn fr_136_without_options_but_a_free_port_it_serves_the_development_app() {
    let server = Serving::start(tidings(&["serve", "--port", "0"]));
    assert!(server.banner.contains("app-key"), "{}", server.banner);
    assert!(server.get("/").ends_with("\r\n\r\nOK"));
    assert!(server.get("/apps/app-id/channels").starts_with("HTTP/1.1 401 "));
}

#[test]
fn fr_136_off_loopback_the_development_app_is_refused_with_the_way_out() {
    let (code, text) = refusal(&["serve", "--host", "0.0.0.0", "--port", "0"]);
    assert_eq!(code, 2);
    assert!(text.contains("TIDINGS_APP_SECRET") && text.contains("0.0.0.0"), "{text}");
}

#[test]
fn an_own_app_may_be_served_to_all() {
    let mut command = tidings(&["serve", "--host", "0.0.0.0", "--port", "0"]);
    command.env("TIDINGS_APP_SECRET", "hunter2").env("TIDINGS_APP_ID", "77");
    let server = Serving::start(command);
    assert!(server.banner.contains("ID 77"), "{}", server.banner);
    assert!(!server.banner.contains("hunter2"), "{}", server.banner);
}

#[test]
fn fr_137_one_prefix_serves_sockets_and_api_and_is_told() {
    let server = Serving::start(tidings(&["serve", "--port", "0", "--path-prefix", "ws"]));
    assert!(server.banner.contains(&format!("ws://{}/ws/app/KEY", server.address)));
    assert!(server.banner.contains(&format!("http://{}/ws/apps/ID/events", server.address)));
    assert!(server.get("/ws/apps/app-id/channels").starts_with("HTTP/1.1 401 "));
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, text) = refusal(&["serve", "--port", &port]);
    assert_eq!(code, 1);
    assert!(text.contains(&format!("127.0.0.1:{port}")) && text.contains("another port"), "{text}");
}

#[test]
fn fr_135_what_is_wrong_with_the_configuration_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    std::fs::write(&path, "port = 0\nprot = 1\n").unwrap();
    let path = path.to_str().unwrap();
    let (code, text) = refusal(&["serve", "--config", path]);
    assert_eq!(
        (code, text),
        (2, format!("tidings: {path}:2:1: unknown option `prot`; did you mean `port`?\n"))
    );
    let (code, text) = refusal(&["serve", "--config", "/nowhere/t.toml"]);
    assert!(code == 2 && text.contains("/nowhere/t.toml"), "{text}");
    let (code, text) = refusal(&["serve", "--log", "loud"]);
    assert!(code == 2 && text.contains("option `log` is `loud`"), "{text}");
    let (code, text) = refusal(&["serve", "--threads", "0"]);
    assert!(code == 2 && text.contains("option `threads` is 0"), "{text}");
    let (code, _, text) = finished(&["serve", "--prot", "1"]);
    assert!(code == 2 && text.contains("--port"), "{text}");
}

#[test]
fn fr_135_a_file_can_be_checked_before_it_is_served() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let secret = "a-secret-that-is-not-shown";
    let good = format!("port = 7000\n[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = \"{secret}\"\n");
    std::fs::write(file.path(), &good).unwrap();
    let (code, stdout, _) = finished(&["check", path]);
    assert_eq!(code, 0);
    assert_eq!(stdout, "app 1: key k\ngood: serves on 127.0.0.1 port 7000\n");
    std::fs::write(file.path(), format!("{good}max_conections = 5\n")).unwrap();
    let (code, line) = refusal(&["check", path]);
    assert_eq!(code, 2);
    assert!(line.contains(":6:1:") && line.contains("did you mean `max_connections`?"), "{line}");
}

#[test]
fn health_finds_the_server_by_its_configuration_and_tells_why_not() {
    let serving = Serving::start(tidings(&["serve", "--port", "0", "--shutdown-delay", "60"]));
    let port = serving.address.port().to_string();
    let health = |arguments: &[&str]| {
        let arguments = [&["health"], arguments].concat();
        let output = tidings(&arguments).env("TIDINGS_PORT", &port).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(health(&[]), (0, String::new()));
    assert_eq!(health(&["--ready"]), (0, String::new()));
    assert_eq!(health(&[&format!("http://127.0.0.1:{port}/ready")]), (0, String::new()));
    let (code, line) = health(&[&format!("http://127.0.0.1:{port}/nowhere")]);
    assert_eq!(code, 1);
    assert!(line.contains("404"), "{line}");
    serving.signal("TERM");
    while serving.get("/ready").starts_with("HTTP/1.1 200") {}
    let (code, line) = health(&["--ready"]);
    assert_eq!(code, 1);
    assert!(line.starts_with("tidings: http://127.0.0.1:") && line.contains(": 503 "), "{line}");
    assert_eq!(health(&[]), (0, String::new()), "it is alive all the same");
    drop(serving);
    let (code, line) = health(&[]);
    assert_eq!(code, 1);
    assert!(line.contains("nobody answers"), "{line}");
    let (code, line) = health(&["127.0.0.1:1"]);
    assert_eq!(code, 2);
    assert!(line.contains("http://"), "{line}");
}

#[test]
fn a_configuration_file_of_soketi_is_served_as_it_is() {
    let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    let text = r#"{"port":0,"metrics.enabled":true,"appManager.array.apps":[{"id":7,"key":"k","secret":"s"}]}"#;
    std::fs::write(file.path(), text).unwrap();
    let serving = Serving::start(tidings(&["serve", "--config", file.path().to_str().unwrap()]));
    assert!(serving.banner.contains("ID 7   KEY k"), "{}", serving.banner);
    assert!(serving.get("/apps/7/channels").starts_with("HTTP/1.1 401"), "the app is known");
}

#[test]
fn what_the_environment_misspells_is_logged() {
    let mut command = tidings(&["serve", "--port", "0"]);
    command.env("TIDINGS_PROT", "1").env("SOKETI_DB_REDIS_HOST", "x");
    let mut server = Serving::start(command);
    server.signal("TERM");
    let mut log = String::new();
    server.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(log.contains("did you mean TIDINGS_PORT?"), "{log}");
    assert!(log.contains("SOKETI_DB_REDIS_HOST"), "{log}");
}

/// Reads the log until a line holds all of `parts`.
fn wait_for_line(log: &mut impl std::io::BufRead, parts: &[&str]) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "the log has ended without {parts:?}");
        if parts.iter().all(|part| line.contains(part)) {
            return line;
        }
    }
}

#[test]
fn sighup_reads_the_configuration_again_and_drops_no_connection() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidings.toml");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    let first = "[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret_file = \"secret\"\n";
    std::fs::write(folder.path().join("secret"), "a long random text\n").unwrap();
    write(&format!("port = 0\n{first}"));
    let mut server = Serving::start(tidings(&["serve", "--config", path.to_str().unwrap()]));
    let mut log = BufReader::new(server.child.stderr.take().unwrap());
    let mut socket = server.socket("k");
    assert!(server.get("/apps/2/channels").starts_with("HTTP/1.1 404"));

    let second = "[[apps]]\nid = \"2\"\nkey = \"k2\"\nsecret = \"x\"\n";
    let own = "port = 0\nmax_headers = 20\nthreads = 777\nlog = \"debug\"\n\
               console_password = \"a long secret\"\n";
    write(&format!("{own}{first}{second}"));
    server.signal("HUP");
    for name in ["max_headers", "console_password", "log"] {
        let line = wait_for_line(&mut log, &["INFO", &format!("`{name}` has changed"), "in force"]);
        assert!(!line.contains("secret"), "{line}");
    }
    wait_for_line(&mut log, &["WARN", "`threads` has changed", "next start"]);
    let line = wait_for_line(&mut log, &["configuration read again"]);
    assert!(line.contains(r#"added=["2"]"#) && line.contains("changed=[]"), "{line}");
    assert!(server.get("/apps/2/channels").starts_with("HTTP/1.1 401"), "the app is there");
    wait_for_line(&mut log, &["DEBUG"]);

    write(&format!("log_format = \"json\"\n{own}{first}{second}"));
    server.signal("HUP");
    wait_for_line(&mut log, &["INFO", "`log_format` has changed", "in force"]);
    wait_for_line(&mut log, &["WARN", "`threads` has changed", "next start"]);
    wait_for_line(&mut log, &[r#"{"timestamp":"#, "configuration read again"]);

    assert!(server.get("/console").starts_with("HTTP/1.1 401"), "there is a console now");

    write("port = 0\nmax_headers = 90\n[[apps]]\nid = \"1\"\nkey = \"k\"\nsecrt = \"x\"\n");
    server.signal("HUP");
    let line = wait_for_line(&mut log, &["ERROR", "all stays as it was"]);
    assert!(line.contains("tidings.toml:6:1") && line.contains("did you mean `secret`?"), "{line}");
    assert!(server.get("/apps/2/channels").starts_with("HTTP/1.1 401"), "all is as it was");

    socket.set_nonblocking(true).unwrap();
    let nothing = socket.read(&mut [0; 64]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock, "the first socket is still there");
}

/// An HTTP endpoint that answers with what `list` holds, or with 500 when it holds nothing, to who has the token.
fn serve_list(list: std::sync::Arc<std::sync::Mutex<String>>, token: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/apps", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
            assert!(head.contains(&format!("Bearer {token}\r\n")), "{head}");
            let body = list.lock().unwrap().clone();
            let status = if body.is_empty() { "500 No" } else { "200 OK" };
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    url
}

#[test]
fn apps_behind_an_http_endpoint_come_and_go_while_it_serves() {
    let app = |id: u32, rest: &str| format!(r#"{{"id":{id},"key":"k{id}","secret":"s"{rest}}}"#);
    let list = std::sync::Arc::new(std::sync::Mutex::new(format!("[{}]", app(1, ""))));
    let url = serve_list(list.clone(), "a-token");
    let mut command =
        tidings(&["serve", "--port", "0", "--apps-url", &url, "--apps-refresh", "100ms"]);
    command.env("TIDINGS_APPS_TOKEN", "a-token");
    let mut server = Serving::start(command);
    assert!(server.banner.contains("ID 1   KEY k1"), "{}", server.banner);
    let mut log = BufReader::new(server.child.stderr.take().unwrap());
    let first = server.socket("k1");

    *list.lock().unwrap() = format!(r#"{{"apps":[{},{}]}}"#, app(1, ""), app(2, ""));
    wait_for_line(&mut log, &["apps read again", r#"added=["2"]"#, "removed=[]"]);
    let second = server.socket("k2");
    *list.lock().unwrap() = String::new();
    wait_for_line(&mut log, &["WARN", "500", "the apps stay as they were"]);
    server.socket("k2");
    *list.lock().unwrap() = format!("[{},{}]", app(1, ""), app(3, r#","colour":"red""#));
    wait_for_line(&mut log, &["WARN", "app number 2 is left out", "`colour`"]);
    wait_for_line(&mut log, &["apps read again", r#"removed=["2"]"#]);
    let mut rest = Vec::new();
    (&second).read_to_end(&mut rest).unwrap();
    assert!(String::from_utf8_lossy(&rest).contains("4001"), "told in the error event");
    first.set_nonblocking(true).unwrap();
    let nothing = (&first).read(&mut [0; 64]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn sighup_turns_to_another_place_where_apps_are_kept() {
    let app = |id: u32| format!(r#"[{{"id":{id},"key":"k{id}","secret":"s"}}]"#);
    let list = |text: String| std::sync::Arc::new(std::sync::Mutex::new(text));
    let (first, second) = (list(app(1)), list(String::new()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidings.toml");
    let write = |url: &str, refresh: &str, rest: &str| {
        let text = format!(
            "port = 0\napps_url = \"{url}\"\napps_refresh = \"{refresh}\"\napps_token = {rest}\n"
        );
        std::fs::write(&path, text).unwrap();
    };
    write(&serve_list(first, "a-token"), "60s", "\"a-token\"");
    let mut server = Serving::start(tidings(&["serve", "--config", path.to_str().unwrap()]));
    let mut log = BufReader::new(server.child.stderr.take().unwrap());
    let socket = server.socket("k1");

    // It fails at first, which takes nothing away; the time to the next look is of the configuration as well.
    let other = serve_list(second.clone(), "another");
    write(&other, "60s", "\"another\"\napps_lookups_per_second = 7");
    server.signal("HUP");
    for name in ["apps_url", "apps_token"] {
        let line = wait_for_line(&mut log, &["INFO", &format!("`{name}` has changed"), "in force"]);
        assert!(!line.contains("another"), "{line}");
    }
    wait_for_line(&mut log, &["WARN", "`apps_lookups_per_second`", "next start"]);
    wait_for_line(&mut log, &["WARN", "500", "the apps stay as they were"]);
    server.socket("k1");
    *second.lock().unwrap() = app(2);
    write(&other, "100ms", "\"another\"");
    server.signal("HUP");
    wait_for_line(&mut log, &["INFO", "`apps_refresh` has changed", "in force"]);
    wait_for_line(&mut log, &["apps read again", r#"added=["2"]"#, r#"removed=["1"]"#]);
    server.socket("k2");
    let mut rest = Vec::new();
    (&socket).read_to_end(&mut rest).unwrap();
    assert!(String::from_utf8_lossy(&rest).contains("4001"), "its app is gone");

    std::fs::write(&path, "port = 0\n").unwrap();
    server.signal("HUP");
    wait_for_line(&mut log, &["WARN", "`apps_url` has changed", "next start"]);
    server.socket("k2");
}

#[test]
fn a_directory_that_is_not_there_is_one_clear_line() {
    let (code, line) = refusal(&["serve", "--port", "0", "--apps-url", "http://127.0.0.1:1/a"]);
    assert_eq!(code, 1);
    assert!(line.contains("the apps at http://127.0.0.1:1/a cannot be read"), "{line}");
    let (code, _) = refusal(&["migrate"]);
    assert_eq!(code, 2);
}

#[test]
fn fr_140_a_signal_ends_it_with_code_0() {
    for name in ["TERM", "INT"] {
        let mut server = Serving::start(tidings(&["serve", "--port", "0"]));
        server.signal(name);
        assert_eq!(server.child.wait().unwrap().code(), Some(0), "{name}");
        let mut rest = String::new();
        server.stdout.read_to_string(&mut rest).unwrap();
    }
}

#[test]
fn fr_141_a_second_signal_ends_at_once() {
    let arguments = ["serve", "--port", "0", "--shutdown-grace", "100000"];
    let mut server = Serving::start(tidings(&arguments));
    // A socket that does not answer the close holds the shutdown up.
    let _socket = server.socket("app-key");
    server.signal("TERM");
    let mut log = BufReader::new(server.child.stderr.take().unwrap());
    wait_for_line(&mut log, &["shutting down"]);
    server.signal("TERM");
    assert_eq!(server.child.wait().unwrap().code(), Some(1));
}

#[test]
fn dev_mode_is_refused_off_loopback() {
    for host in ["0.0.0.0", "::"] {
        let mut command = tidings(&["serve", "--dev", "--host", host, "--port", "0"]);
        // An app of one's own does not make it any safer.
        command.env("TIDINGS_APP_SECRET", "hunter2");
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("dev mode") && text.contains("127.0.0.1"), "{text}");
    }
}

#[test]
fn dev_mode_tells_its_steps_and_where_faults_are_asked_for() {
    let mut server = Serving::start(tidings(&["serve", "--dev", "--port", "0"]));
    assert!(server.banner.contains(&format!("http://{}/dev/faults", server.address)));
    let body = r#"{"name":"hello","channel":"room","data":"{\"a\":1}"}"#;
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(
        stream,
        "POST /apps/1/events?auth_key=mine HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\n{}"), "{answer}");
    assert!(server.get("/apps/1/nothing").starts_with("HTTP/1.1 404 "));
    server.signal("TERM");
    let mut log = String::new();
    server.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    for part in ["app made on the fly", "key=mine", "published", "channel=room", "request refused"]
    {
        assert!(log.contains(part), "{part}: {log}");
    }
}

#[test]
fn check_reads_the_certificates_too() {
    let authority = support_tls::Authority::new();
    let support_tls::Pair { cert, key } = authority.certify("own", &["localhost"]);
    let file = |key: &std::path::Path| {
        let (cert, key) = (cert.display(), key.display());
        let text = format!("tls_port = 7001\ntls_cert = \"{cert}\"\ntls_key = \"{key}\"\n");
        authority.write("tidings.toml", &text).to_str().unwrap().to_owned()
    };
    let (code, text, _) = finished(&["check", &file(&key)]);
    assert_eq!(code, 0);
    assert!(text.contains("good: serves on 127.0.0.1 port 6001, TLS on port 7001"), "{text}");
    let (code, text) = refusal(&["check", &file(&cert)]);
    assert_eq!(code, 2);
    assert!(text.contains("own.pem") && text.contains("no private key"), "{text}");
}
