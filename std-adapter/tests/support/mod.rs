//! A server on a free port, and clients that speak WebSocket through an independent library.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of it")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use tidings::{App, Server, ServerBuilder, ServerConfig, ServerHandle};
use tidings_core::auth::{SigningKey, sign_channel, sign_user};
use tungstenite::protocol::CloseFrame;
use tungstenite::{Message, WebSocket};

/// Long enough for any answer on a busy machine; nothing is measured with it.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long to wait before "nothing came" is believed.
const QUIET: Duration = Duration::from_millis(200);

pub fn app() -> App {
    let mut app = App::new("id", "key", "secret");
    app.client_events = true;
    app
}

pub fn builder() -> ServerBuilder {
    Server::builder().listen("127.0.0.1:0")
}

/// A server with one app and two shards, so that the way between shards is tested too.
pub fn start() -> ServerHandle {
    start_with(app(), |_| ())
}

pub fn start_with(app: App, change: impl FnOnce(&mut ServerConfig)) -> ServerHandle {
    let mut config = ServerConfig::default();
    config.threads = 2;
    change(&mut config);
    builder().config(config).app(app).start().expect("the server starts")
}

pub fn address(server: &ServerHandle) -> SocketAddr {
    server.addresses()[0]
}

/// A runtime for the asynchronous part of the handle.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub struct Client {
    pub ws: WebSocket<TcpStream>,
    pub socket_id: String,
}

impl Client {
    /// Connects and takes the first event.
    pub fn connect(server: &ServerHandle) -> Self {
        let mut client = Self::open(server, "/app/key?protocol=7&client=test&version=1");
        let first = client.event();
        assert_eq!(first["event"], "pusher:connection_established");
        let data: Value = serde_json::from_str(first["data"].as_str().unwrap()).unwrap();
        client.socket_id = data["socket_id"].as_str().unwrap().to_owned();
        client
    }

    /// Makes the opening handshake only.
    pub fn open(server: &ServerHandle, path: &str) -> Self {
        let address = address(server);
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let (ws, _) = tungstenite::client(format!("ws://{address}{path}"), stream).unwrap();
        Self { ws, socket_id: String::new() }
    }

    pub fn send(&mut self, message: Value) {
        self.send_text(&message.to_string());
    }

    pub fn send_text(&mut self, text: &str) {
        self.ws.send(Message::text(text)).unwrap();
    }

    pub fn event(&mut self) -> Value {
        loop {
            match self.ws.read().expect("an event") {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("expected an event, got {other:?}"),
            }
        }
    }

    /// The next event with this name; others before it are passed over.
    pub fn wait_for(&mut self, name: &str) -> Value {
        loop {
            let event = self.event();
            if event["event"] == name {
                return event;
            }
        }
    }

    /// What comes before the answer to a ping of ours: all that was on its way.
    pub fn pending(&mut self) -> Vec<Value> {
        self.send(json!({"event": "pusher:ping", "data": {}}));
        let mut events = Vec::new();
        loop {
            match self.event() {
                event if event["event"] == "pusher:pong" => return events,
                event => events.push(event),
            }
        }
    }

    /// Nothing comes for a while.
    pub fn expect_nothing(&mut self) {
        self.ws.get_ref().set_read_timeout(Some(QUIET)).unwrap();
        match self.ws.read() {
            Err(tungstenite::Error::Io(e))
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) => {}
            other => panic!("expected nothing, got {other:?}"),
        }
        self.ws.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
    }

    /// The close frame that ends the connection; events before it are passed over.
    pub fn closed(&mut self) -> CloseFrame {
        loop {
            match self.ws.read().expect("a close frame") {
                Message::Close(Some(frame)) => return frame,
                Message::Close(None) => panic!("a close frame without a code"),
                _ => {}
            }
        }
    }

    pub fn subscribe(&mut self, channel: &str) -> Value {
        let data = self.subscription(channel, None);
        self.send(json!({"event": "pusher:subscribe", "data": data}));
        self.subscribed(channel)
    }

    /// Joins a presence channel as `user_id`.
    pub fn join(&mut self, channel: &str, user_id: &str) -> Value {
        self.join_with(channel, &json!({"user_id": user_id, "user_info": {"n": user_id}}))
    }

    pub fn join_with(&mut self, channel: &str, channel_data: &Value) -> Value {
        let data = self.subscription(channel, Some(&channel_data.to_string()));
        self.send(json!({"event": "pusher:subscribe", "data": data}));
        self.subscribed(channel)
    }

    fn subscribed(&mut self, channel: &str) -> Value {
        let answer = self.event();
        assert_eq!(answer["event"], "pusher_internal:subscription_succeeded", "{answer}");
        assert_eq!(answer["channel"], channel);
        serde_json::from_str(answer["data"].as_str().expect("data is a string")).unwrap()
    }

    /// The data of a subscription, signed if the channel's name asks for it.
    pub fn subscription(&self, channel: &str, channel_data: Option<&str>) -> Value {
        let mut data = json!({"channel": channel});
        if channel.starts_with("private-") || channel.starts_with("presence-") {
            let key = SigningKey::new(b"secret");
            let signature = sign_channel(&key, &self.socket_id, channel, channel_data);
            data["auth"] = format!("key:{}", signature.as_str()).into();
        }
        if let Some(channel_data) = channel_data {
            data["channel_data"] = channel_data.into();
        }
        data
    }

    pub fn unsubscribe(&mut self, channel: &str) {
        self.send(json!({"event": "pusher:unsubscribe", "data": {"channel": channel}}));
    }

    pub fn sign_in(&mut self, user_data: &Value) -> Value {
        let user_data = user_data.to_string();
        let signature = sign_user(&SigningKey::new(b"secret"), &self.socket_id, &user_data);
        let auth = format!("key:{}", signature.as_str());
        self.send(json!({
            "event": "pusher:signin", "data": {"auth": auth, "user_data": user_data},
        }));
        self.event()
    }

    pub fn trigger(&mut self, channel: &str, event: &str, data: Value) {
        self.send(json!({"event": event, "channel": channel, "data": data}));
    }

    /// Ends without a word, as a cut cable does.
    pub fn drop_connection(self) {
        drop(self.ws);
    }
}

/// Polls until `done`, for what happens on the server's side without an answer.
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !done() {
        assert!(std::time::Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends raw bytes and reads until the server ends the connection.
pub fn raw(server: &ServerHandle, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address(server)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// A server with [`app`] and, if it helps, other limits.
pub fn start_app(change: impl FnOnce(&mut App)) -> ServerHandle {
    let mut app = app();
    change(&mut app);
    start_with(app, |_| ())
}
