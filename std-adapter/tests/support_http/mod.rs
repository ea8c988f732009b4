//! Requests of the HTTP API, signed by code that shares nothing with the server's.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of it")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use serde_json::Value;
use sha2::Sha256;

/// Long enough for any answer on a busy machine; nothing is measured with it.
const PATIENCE: Duration = Duration::from_secs(20);

/// The answer to a request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The text of a refusal, which has the shape that Soketi's users know.
    pub fn error(&self) -> String {
        let body = self.json();
        assert_eq!(body["code"], self.status, "{self:?}");
        body["error"].as_str().expect("a text").to_owned()
    }
}

/// A kept-alive connection.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// Reads one answer; `head` is for the answer to a HEAD request, which has no body.
    pub fn answer(&mut self, head: bool) -> Answer {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "ended after {lines:?}");
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let status = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &String| {
            line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        let headers: Vec<_> = lines[1..].iter().filter_map(header).collect();
        let mut answer = Answer { status, headers, text: String::new() };
        let length = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; if head { 0 } else { length }];
        self.0.read_exact(&mut body).unwrap();
        answer.text = String::from_utf8(body).unwrap();
        answer
    }

    pub fn request(&mut self, request: &Request) -> Answer {
        self.send(&request.bytes());
        self.answer(request.method == "HEAD")
    }

    /// Waits for the server to end the connection, and takes nothing but that.
    pub fn ended(mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }
}

/// A request to be signed.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: &'static str,
    pub path: String,
    /// Names and values as they are signed; on the wire values are percent-encoded.
    pub query: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub headers: String,
    pub secret: String,
    /// Put on the wire in place of `path`.
    pub wire_path: Option<String>,
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

pub fn md5(body: &[u8]) -> String {
    hex(&Md5::digest(body))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Request {
    /// A request with the parameters that every SDK sends, for the app of the tests.
    pub fn new(method: &'static str, path: &str, body: &str) -> Self {
        let mut request = Self {
            method,
            path: path.to_owned(),
            query: Vec::new(),
            body: body.as_bytes().to_vec(),
            headers: String::new(),
            secret: "secret".to_owned(),
            wire_path: None,
        };
        request = request.with("auth_key", "key").with("auth_timestamp", &now().to_string());
        request = request.with("auth_version", "1.0");
        if body.is_empty() { request } else { request.with("body_md5", &md5(body.as_bytes())) }
    }

    pub fn get(path: &str) -> Self {
        Self::new("GET", path, "")
    }

    pub fn post(path: &str, body: &str) -> Self {
        Self::new("POST", path, body)
    }

    /// Sets a parameter.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self = self.without(name);
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes a parameter away.
    pub fn without(mut self, name: &str) -> Self {
        self.query.retain(|(known, _)| known != name);
        self
    }

    pub fn header(mut self, line: &str) -> Self {
        self.headers.push_str(line);
        self.headers.push_str("\r\n");
        self
    }

    /// The text that an SDK signs.
    pub fn text_to_sign(&self) -> String {
        let mut pairs: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| format!("{}={value}", name.to_lowercase()))
            .collect();
        pairs.sort();
        format!("{}\n{}\n{}", self.method, self.path, pairs.join("&"))
    }

    pub fn signature(&self) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).unwrap();
        mac.update(self.text_to_sign().as_bytes());
        hex(&mac.finalize().into_bytes())
    }

    /// The head and the body on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head(&format!("Content-Length: {}\r\n", self.body.len()));
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The head alone, with the headers that tell the body's length.
    pub fn head(&self, length: &str) -> Vec<u8> {
        let mut query: Vec<String> =
            self.query.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        query.push(format!("auth_signature={}", self.signature()));
        let path = self.wire_path.as_ref().unwrap_or(&self.path);
        let (method, headers, query) = (self.method, &self.headers, query.join("&"));
        format!("{method} {path}?{query} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n")
            .into_bytes()
    }

    pub fn send(&self, address: SocketAddr) -> Answer {
        Connection::open(address).request(self)
    }
}

fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~,".contains(&byte);
    let one =
        |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}
