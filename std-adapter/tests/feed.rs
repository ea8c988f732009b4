//! The feed: what happens in an app, as server-sent events.

mod support;
mod support_http;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Client, address, app, block_on, eventually, start_with};
use support_http::Request;
use tidings::{ServerConfig, ServerHandle, Webhook};

const PATIENCE: Duration = Duration::from_secs(20);

fn start(change: impl FnOnce(&mut ServerConfig)) -> ServerHandle {
    start_with(app(), |config| {
        config.webhook_delay = Duration::ZERO;
        change(config);
    })
}

/// One event of a stream.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    id: Option<String>,
    name: String,
    data: Value,
}

/// One who listens.
struct Listener {
    stream: BufReader<TcpStream>,
    head: Vec<String>,
    comments: usize,
}

impl Listener {
    fn open(server: &ServerHandle, request: &Request) -> Self {
        let mut stream = TcpStream::connect(address(server)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&request.bytes()).unwrap();
        let mut listener = Self { stream: BufReader::new(stream), head: Vec::new(), comments: 0 };
        loop {
            match listener.line() {
                line if line.is_empty() => return listener,
                line => listener.head.push(line),
            }
        }
    }

    fn listen(server: &ServerHandle, request: &Request) -> Self {
        let listener = Self::open(server, request);
        assert!(listener.head[0].starts_with("HTTP/1.1 200 "), "{:?}", listener.head);
        listener
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.stream.read_line(&mut line).unwrap(), 0, "ended");
        line.trim_end().to_owned()
    }

    /// One chunk of the body; `None` after the last.
    fn chunk(&mut self) -> Option<String> {
        let length = usize::from_str_radix(&self.line(), 16).unwrap();
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes.truncate(length);
        (length > 0).then(|| String::from_utf8(bytes).unwrap())
    }

    /// The next event; the server writes each in one chunk.
    fn next(&mut self) -> Option<Event> {
        loop {
            let chunk = self.chunk()?;
            let field = |name: &str| {
                let mut lines = chunk.lines();
                lines.find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
            };
            let Some(name) = field("event:") else {
                assert_eq!(chunk, ":\n\n");
                self.comments += 1;
                continue;
            };
            let data = serde_json::from_str(&field("data:").unwrap()).unwrap();
            return Some(Event { id: field("id:"), name, data });
        }
    }

    fn event(&mut self) -> Event {
        self.next().expect("an event")
    }

    /// The next event, with the time taken away that it must have.
    fn fact(&mut self) -> Value {
        let Event { name, mut data, id } = self.event();
        assert!(id.is_some() && data["name"] == *name, "{data}");
        assert!(data.as_object_mut().unwrap().remove("time_ms").unwrap().is_u64());
        data
    }
}

fn feed() -> Request {
    Request::get("/apps/id/feed")
}

#[test]
fn a_back_end_hears_what_happens() {
    let server = start(|_| ());
    let mut listener = Listener::listen(&server, &feed());
    assert!(listener.head.contains(&"content-type: text/event-stream".to_owned()));
    assert!(listener.head.contains(&"cache-control: no-store".to_owned()));
    assert_eq!(listener.event().name, "ready");
    let mut client = Client::connect(&server);
    client.join("presence-a", "ann");
    let mut came = [listener.fact(), listener.fact()];
    came.sort_by_key(|fact| fact["name"].to_string());
    assert_eq!(
        came,
        [
            json!({"name": "channel_occupied", "channel": "presence-a"}),
            json!({"name": "member_added", "channel": "presence-a", "user_id": "ann"}),
        ]
    );
    client.trigger("presence-a", "client-x", json!({"a": 1}));
    let fact = listener.fact();
    assert_eq!((&fact["name"], &fact["user_id"]), (&json!("client_event"), &json!("ann")));
    assert_eq!(fact["data"], r#"{"a":1}"#);
}

#[test]
fn only_who_knows_the_secret_may_listen() {
    let server = start(|_| ());
    let status = |request: &Request| request.send(address(&server)).status;
    assert_eq!(status(&Request { secret: "wrong".into(), ..feed() }), 401);
    assert_eq!(status(&feed().without("auth_timestamp")), 401);
    assert_eq!(status(&Request::get("/apps/404/feed")), 404);
    assert_eq!(status(&Request::post("/apps/id/feed", "{}")), 405);
    let answer = feed().with("event_types", "nonsense").send(address(&server));
    assert!(answer.status == 400 && answer.error().contains("channel_vacated"), "{answer:?}");
}

#[test]
fn a_listener_gets_the_types_and_channels_that_it_asks_for() {
    let server = start(|_| ());
    let some = feed()
        .with("event_types", "channel_vacated,disconnected")
        .with("filter_by_prefix", "order-");
    let mut listener = Listener::listen(&server, &some);
    assert_eq!(listener.event().name, "ready");
    let mut client = Client::connect(&server);
    for channel in ["news", "order-1"] {
        client.subscribe(channel);
        client.unsubscribe(channel);
    }
    let socket_id = client.socket_id.clone();
    client.pending();
    client.drop_connection();
    let mut told = [listener.fact(), listener.fact()];
    told.sort_by_key(|fact| fact["name"].to_string());
    assert_eq!(
        told,
        [
            json!({"name": "channel_vacated", "channel": "order-1"}),
            json!({"name": "disconnected", "socket_id": socket_id}),
        ]
    );
}

#[test]
fn who_comes_back_goes_on_where_it_was() {
    let server = start(|_| ());
    let mut listener = Listener::listen(&server, &feed());
    let start = listener.event().id.unwrap();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    let first = listener.event();
    drop(listener);
    client.subscribe("b");
    let channels = |request: Request| {
        let mut listener = Listener::listen(&server, &request);
        assert_eq!(listener.event().name, "ready");
        let mut channels = Vec::new();
        while channels.last().is_none_or(|channel| channel != "b") {
            channels.push(listener.fact()["channel"].as_str().unwrap().to_owned());
        }
        channels
    };
    let id = first.id.unwrap();
    assert_eq!(channels(feed().header(&format!("Last-Event-ID: {id}"))), ["b"]);
    assert_eq!(channels(feed().with("last_event_id", &start)), ["a", "b"]);
}

#[test]
fn an_id_that_is_no_more_known_gives_a_gap_and_not_silence() {
    let server = start(|_| ());
    let mut listener = Listener::listen(&server, &feed().with("last_event_id", "12345-678"));
    assert_eq!(listener.event().name, "ready");
    let missed = listener.event();
    assert_eq!((&*missed.name, missed.data), ("missed", json!({"missed": null})));
}

#[test]
fn what_is_kept_for_who_comes_back_is_of_the_bounds_of_now() {
    let server = start(|config| config.feed_retention = Duration::ZERO);
    let mut client = Client::connect(&server);
    let mut number = 0;
    // What one who was away for two facts is told first.
    let mut first = || {
        let ready = Listener::listen(&server, &feed()).event().id.unwrap();
        for _ in 0..2 {
            number += 1;
            client.subscribe(&format!("channel-{number}"));
        }
        client.pending();
        let mut listener = Listener::listen(&server, &feed().with("last_event_id", &ready));
        assert_eq!(listener.event().name, "ready");
        let event = listener.event();
        (event.name, event.data["missed"].clone())
    };
    let change = |max_feed_queue: u32| {
        let mut config = ServerConfig::default();
        (config.threads, config.webhook_delay) = (2, Duration::ZERO);
        config.max_feed_queue = max_feed_queue;
        server.reconfigure(&config).unwrap();
    };
    // That nobody listens any more shows a little later.
    let missed = |count| ("missed".to_owned(), count);
    eventually("nothing is kept", || first() == missed(Value::Null));
    change(8);
    assert_eq!(first().0, "channel_occupied");
    change(1);
    eventually("one is kept", || first() == missed(json!(1)));
}

#[test]
fn a_slow_listener_holds_up_nobody_and_is_told_what_it_missed() {
    let mut app = app();
    app.max_client_events_per_second = None;
    let server = start_with(app, |config| config.max_feed_queue = 8);
    let mut slow = Listener::listen(&server, &feed());
    assert_eq!(slow.event().name, "ready");
    let mut quick = Listener::listen(&server, &feed().with("event_types", "channel_vacated"));
    assert_eq!(quick.event().name, "ready");
    let mut client = Client::connect(&server);
    client.subscribe("private-a");
    // Far more than the buffers of the system take, so that the listener falls behind.
    let large = "x".repeat(9_000);
    let total = 3_000;
    for n in 0..total {
        client.trigger("private-a", "client-n", json!({"n": n, "large": large}));
    }
    client.pending();
    let mut told = 0;
    let mut missed = 0;
    loop {
        let event = slow.event();
        match &*event.name {
            "missed" => missed += event.data["missed"].as_u64().unwrap(),
            _ => told += 1,
        }
        if told + missed == total + 1 {
            break; // each client event and the channel's first subscriber
        }
    }
    assert!(missed > 0 && told > 0, "{told} told, {missed} missed");
}

#[test]
fn silence_is_broken_by_comments() {
    let server = start(|config| config.feed_keep_alive = Duration::from_millis(20));
    let mut listener = Listener::listen(&server, &feed());
    assert_eq!(listener.event().name, "ready");
    let subscribe = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        Client::connect(&server).subscribe("a");
        server
    });
    assert_eq!(listener.fact()["channel"], "a");
    assert!(listener.comments > 0);
    drop(subscribe.join().unwrap());
}

#[test]
fn the_end_of_the_server_ends_a_feed_after_the_last_departures() {
    let server = start(|config| config.webhook_delay = PATIENCE * 100);
    let mut listener = Listener::listen(&server, &feed());
    assert_eq!(listener.event().name, "ready");
    Client::connect(&server).subscribe("a"); // and gone
    assert_eq!(listener.fact()["name"], "channel_occupied");
    block_on(server.shutdown());
    assert_eq!(listener.fact()["name"], "channel_vacated");
    assert_eq!(listener.next(), None, "the last chunk");
}

#[test]
fn webhooks_and_the_feed_tell_the_same() {
    // An endpoint that is not there must not matter to the feed.
    let mut app = app();
    app.webhooks.push(Webhook::new("http://127.0.0.1:1/"));
    let server = start_with(app, |config| config.webhook_delay = Duration::ZERO);
    let mut listener = Listener::listen(&server, &feed());
    assert_eq!(listener.event().name, "ready");
    Client::connect(&server).subscribe("a");
    assert_eq!(listener.fact(), json!({"name": "channel_occupied", "channel": "a"}));
    eventually("the endpoint is tried", || server.webhooks("id")[0].failed_attempts > 0);
}
