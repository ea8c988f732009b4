//! Requests to the console, as a browser sends them.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of it")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use tidings::{ServerConfig, ServerHandle};

use crate::support::{address, app, start_with};
use crate::support_http::{Answer, Connection};

pub const PATIENCE: Duration = Duration::from_secs(20);

/// The password.
pub const PASSWORD: &str = "correct horse";

/// `admin:correct horse` and `admin:wrong`, as HTTP Basic has them.
pub const RIGHT: &str = "Authorization: Basic YWRtaW46Y29ycmVjdCBob3JzZQ==\r\n";
pub const WRONG: &str = "Authorization: Basic YWRtaW46d3Jvbmc=\r\n";

pub fn guarded(change: impl FnOnce(&mut ServerConfig)) -> ServerHandle {
    start_with(app(), |config| {
        config.console_password = Some(PASSWORD.into());
        change(config);
    })
}

/// Sends a request as it is written here; `headers` end with a line break.
pub fn send(server: &ServerHandle, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let (host, length) = (address(server), body.len());
    let host = if headers.contains("Host:") { String::new() } else { format!("Host: {host}\r\n") };
    let head = format!(
        "{method} {path} HTTP/1.1\r\n{host}{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    let mut connection = Connection::open(address(server));
    connection.send(head.as_bytes());
    connection.answer(method == "HEAD")
}

pub fn get(server: &ServerHandle, path: &str) -> Answer {
    send(server, "GET", path, RIGHT, "")
}

pub fn look(server: &ServerHandle, path: &str) -> Value {
    let answer = get(server, &format!("/console/api/{path}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// A request from the console's own page.
pub fn act(server: &ServerHandle, path: &str, body: &Value) -> Answer {
    let headers = own(server);
    send(server, "POST", &format!("/console/api/{path}"), &headers, &body.to_string())
}

pub fn own(server: &ServerHandle) -> String {
    format!("{RIGHT}X-Tidings-Console: 1\r\nOrigin: http://{}\r\n", address(server))
}

/// The events of the stream.
pub struct Stream(BufReader<TcpStream>);

impl Stream {
    pub fn open(server: &ServerHandle, headers: &str) -> Self {
        let mut stream = TcpStream::connect(address(server)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = address(server);
        let head =
            format!("GET /console/api/stream?app=id HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut stream = Self(BufReader::new(stream));
        assert_eq!(stream.line(), "HTTP/1.1 200 OK");
        while !stream.line().is_empty() {}
        stream
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "ended");
        line.trim_end().to_owned()
    }

    /// One piece of the body; `None` after the last.
    pub fn piece(&mut self) -> Option<String> {
        let length = usize::from_str_radix(&self.line(), 16).unwrap();
        let mut bytes = vec![0; length + 2];
        self.0.read_exact(&mut bytes).unwrap();
        bytes.truncate(length);
        (length > 0).then(|| String::from_utf8(bytes).unwrap())
    }

    /// The events of the next piece, each with its name.
    pub fn page(&mut self) -> Vec<(String, Value)> {
        let piece = self.piece().expect("a piece");
        let event = |text: &str| {
            let (name, data) = text.split_once('\n').unwrap();
            let name = name.strip_prefix("event: ").unwrap().to_owned();
            (name, serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap())
        };
        piece.trim_end().split("\n\n").map(event).collect()
    }

    /// Reads until `enough` has been told.
    pub fn until(&mut self, enough: impl Fn(&[(String, Value)]) -> bool) -> Vec<(String, Value)> {
        let mut all = Vec::new();
        while !enough(&all) {
            all.extend(self.page());
        }
        all
    }
}

pub fn named(events: &[(String, Value)], name: &str) -> Vec<Value> {
    events.iter().filter(|(known, _)| known == name).map(|(_, data)| data.clone()).collect()
}
