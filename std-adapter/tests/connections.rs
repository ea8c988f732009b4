//! The opening of connections, and every way for them to end.

mod support;

use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;
use support::{
    Client, address, app, block_on, builder, eventually, raw, start, start_app, start_with,
};
use tidings::{App, Event, ServerConfig, StartError};
use tungstenite::Message;

const UPGRADE: &str = "GET /app/key?protocol=7 HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Reads until `enough` says so.
fn read_until(stream: &mut TcpStream, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    while !enough(&read) {
        let n = stream.read(&mut chunk).expect("an answer");
        assert!(n > 0, "the server ended after {:?}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&chunk[..n]);
    }
    read
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn masked_text(text: &str) -> Vec<u8> {
    let len = u8::try_from(text.len()).unwrap();
    assert!(len < 126);
    // A masking key of zeros leaves the payload as it is.
    [&[0x81, 0x80 | len, 0, 0, 0, 0], text.as_bytes()].concat()
}

#[test]
fn fr_016_a_head_may_be_cut_anywhere() {
    let server = start();
    for cut in (1..UPGRADE.len()).step_by(7) {
        let mut stream = TcpStream::connect(address(&server)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&UPGRADE.as_bytes()[..cut]).unwrap();
        std::thread::sleep(Duration::from_millis(2));
        stream.write_all(&UPGRADE.as_bytes()[cut..]).unwrap();
        let read = read_until(&mut stream, |b| contains(b, "activity_timeout"));
        assert!(read.starts_with(b"HTTP/1.1 101 "), "cut at {cut}");
        assert!(contains(&read, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "cut at {cut}");
    }
}

#[test]
fn fr_013_a_frame_in_the_same_segment_as_the_handshake_is_handled() {
    let server = start();
    let mut stream = TcpStream::connect(address(&server)).unwrap();
    let subscribe = masked_text(r#"{"event":"pusher:subscribe","data":{"channel":"a"}}"#);
    stream.write_all(&[UPGRADE.as_bytes(), &subscribe].concat()).unwrap();
    read_until(&mut stream, |b| contains(b, "subscription_succeeded"));
}

#[test]
fn frames_cut_at_every_octet_are_put_together() {
    let server = start();
    let mut stream = TcpStream::connect(address(&server)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(UPGRADE.as_bytes()).unwrap();
    read_until(&mut stream, |b| contains(b, "activity_timeout"));
    for octet in masked_text(r#"{"event":"pusher:subscribe","data":{"channel":"a"}}"#) {
        stream.write_all(&[octet]).unwrap();
        std::thread::sleep(Duration::from_micros(300));
    }
    read_until(&mut stream, |b| contains(b, "subscription_succeeded"));
}

#[test]
fn fr_018_forty_frames_in_one_segment_are_forty_messages() {
    let server = start();
    let mut client = Client::connect(&server);
    let frames: Vec<u8> =
        (0..40).flat_map(|_| masked_text(r#"{"event":"pusher:ping","data":{}}"#)).collect();
    client.ws.get_mut().write_all(&frames).unwrap();
    for _ in 0..40 {
        assert_eq!(client.event()["event"], "pusher:pong");
    }
}

#[test]
fn fr_027_an_unknown_key_is_told_by_event_and_close_code() {
    let server = start();
    let mut client = Client::open(&server, "/app/NOPE?protocol=7");
    let error = client.event();
    assert_eq!(error["event"], "pusher:error");
    assert_eq!(error["data"]["code"], 4001);
    assert!(error["data"]["message"].as_str().unwrap().contains("NOPE"), "{error}");
    assert_eq!(u16::from(client.closed().code), 4001);
}

#[test]
fn every_refusal_has_its_code() {
    let disabled = || {
        let mut app = app();
        app.enabled = false;
        app
    };
    let cases = [
        (app(), "/app/key?protocol=4", 4007),
        (app(), "/app/key?protocol=8", 4007),
        (app(), "/app/key?protocol=x", 4006),
        (app(), "/app/key?protocol=", 4008),
        (app(), "/apps/key?protocol=7", 4005),
        (app(), "/", 4005),
        (disabled(), "/app/key?protocol=7", 4003),
    ];
    for (app, path, code) in cases {
        let server = start_with(app, |config| config.threads = 1);
        let mut client = Client::open(&server, path);
        assert_eq!(client.event()["data"]["code"], code, "{path}");
        assert_eq!(u16::from(client.closed().code), code, "{path}");
    }
}

#[test]
fn protocols_five_to_seven_and_none_are_let_in() {
    let server = start();
    for path in ["/app/key", "/app/key?protocol=5", "/app/key?client=x&protocol=6", "//app/key"] {
        let mut client = Client::open(&server, path);
        assert_eq!(client.event()["event"], "pusher:connection_established", "{path}");
    }
}

#[test]
fn fr_097_over_the_quota_is_4004_and_room_is_made_by_leaving() {
    let server = start_app(|app| app.max_connections = Some(2));
    let first = Client::connect(&server);
    let mut second = Client::connect(&server);
    let mut third = Client::open(&server, "/app/key");
    assert_eq!(third.event()["data"]["code"], 4004);
    assert_eq!(u16::from(third.closed().code), 4004);
    second.subscribe("a");
    server.publish("id", Event::new("a", "x", "1")).unwrap();
    assert_eq!(second.event()["data"], "1");
    first.drop_connection();
    eventually("the place is free", || server.connections("id") == 1);
    Client::connect(&server);
}

#[test]
fn fr_022_what_is_no_websocket_gets_a_clean_answer() {
    let server = start();
    let head = |method: &str| {
        format!("{method} /app/key HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    };
    for method in ["GET", "HEAD", "POST"] {
        let answer = raw(&server, head(method).as_bytes());
        assert!(answer.starts_with("HTTP/1.1 4"), "{method}: {answer}");
    }
    let old = UPGRADE.replace("Version: 13", "Version: 8");
    let answer = raw(&server, old.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("sec-websocket-version: 13"), "{answer}");
    Client::connect(&server);
}

#[test]
fn fr_023_a_head_has_a_limit_in_bytes_and_headers() {
    let server = start_with(app(), |config| {
        config.max_head_bytes = 1000;
        config.max_headers = 20;
    });
    let padded = |bytes: usize| {
        let pad = "x".repeat(bytes - UPGRADE.len() - "Pad: \r\n".len());
        UPGRADE.replacen("Host", &format!("Pad: {pad}\r\nHost"), 1)
    };
    let answer = raw(&server, padded(1001).as_bytes());
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let mut stream = TcpStream::connect(address(&server)).unwrap();
    stream.write_all(padded(1000).as_bytes()).unwrap();
    read_until(&mut stream, |b| contains(b, "activity_timeout"));
    let many = UPGRADE.replacen("Host", &format!("{}Host", "A: b\r\n".repeat(20)), 1);
    let answer = raw(&server, many.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 431 "), "FR-024: {answer}");
    Client::connect(&server);
}

#[test]
fn fr_025_silent_connections_stand_in_nobodys_way_and_are_closed() {
    let server = start_with(app(), |config| config.handshake_timeout = Duration::from_millis(300));
    let mut silent: Vec<TcpStream> =
        (0..50).map(|_| TcpStream::connect(address(&server)).unwrap()).collect();
    Client::connect(&server);
    for stream in &mut silent {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(stream.read(&mut [0; 16]).expect("closed by the server"), 0);
    }
}

#[test]
fn fr_034_a_silent_client_is_pinged_then_closed_with_4201() {
    let server = start_with(app(), |config| {
        config.activity_timeout = Duration::from_secs(1);
        config.pong_timeout = Duration::from_secs(1);
    });
    let mut observer = Client::connect(&server);
    observer.join("presence-a", "o");
    let mut silent = Client::connect(&server);
    silent.join("presence-a", "s");
    observer.wait_for("pusher_internal:member_added");
    // The socket's bytes are read without the library that would answer the ping.
    let mut bytes = Vec::new();
    let mut chunk = [0; 1024];
    while !contains(&bytes, "\"code\":4201") {
        let n = silent.ws.get_mut().read(&mut chunk).unwrap();
        assert!(n > 0, "told nothing: {:?}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&chunk[..n]);
        observer.pending();
    }
    assert_eq!(bytes[0], 0x89, "a ping came first");
    eventually("the silent one has left", || {
        observer.pending();
        block_on(server.users("id", "presence-a")).unwrap() == ["o".into()] as [Box<str>; 1]
    });
    eventually("its place is free", || {
        observer.pending();
        server.connections("id") == 1
    });
}

#[test]
fn fr_033_pongs_of_the_websocket_protocol_keep_a_client() {
    let server = start_with(app(), |config| {
        config.activity_timeout = Duration::from_secs(1);
        config.pong_timeout = Duration::from_secs(1);
    });
    let mut client = Client::connect(&server);
    let mut pings = 0;
    while pings < 4 {
        // The library queues the pong while it reads and sends it with the flush.
        if let Message::Ping(_) = client.ws.read().unwrap() {
            client.ws.flush().unwrap();
            pings += 1;
        }
    }
    assert_eq!(client.pending(), [] as [Value; 0]);
}

#[test]
fn fr_109_a_message_over_the_limit_is_refused_at_its_header() {
    let server = start_with(app(), |config| config.max_message_bytes = 1000);
    let message = |len: usize| {
        let frame = r#"{"event":"pusher:ping","data":""}"#.len();
        format!(r#"{{"event":"pusher:ping","data":"{}"}}"#, "x".repeat(len - frame))
    };
    let mut client = Client::connect(&server);
    client.send_text(&message(1000));
    assert_eq!(client.event()["event"], "pusher:pong");
    client.ws.get_mut().write_all(&[0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 9, 9, 9, 9]).unwrap();
    assert_eq!(u16::from(client.closed().code), 1009);
    let mut client = Client::connect(&server);
    client.send_text(&message(1001));
    assert_eq!(u16::from(client.closed().code), 1009);
}

#[test]
fn violations_are_told_by_their_close_code() {
    let cases: [(&[u8], u16); 5] = [
        (b"\x81\x02hi", 1002),                       // FR-003: not masked
        (b"\xc1\x80\x00\x00\x00\x00", 1002),         // FR-004: RSV1
        (b"\x83\x80\x00\x00\x00\x00", 1002),         // FR-004: reserved opcode
        (b"\x80\x80\x00\x00\x00\x00", 1002),         // FR-009: lone continuation
        (b"\x81\x82\x00\x00\x00\x00\xc0\xaf", 1007), // FR-007: not UTF-8
    ];
    let server = start();
    for (bytes, code) in cases {
        let mut client = Client::connect(&server);
        client.ws.get_mut().write_all(bytes).unwrap();
        assert_eq!(u16::from(client.closed().code), code, "{bytes:x?}");
    }
    eventually("all are gone", || server.connections("id") == 0);
}

#[test]
fn what_is_no_message_is_answered_and_the_connection_stays() {
    let server = start();
    let mut client = Client::connect(&server);
    for text in ["no json", "{}", "[]", r#"{"event":"pusher:subscribe"}"#, r#"{"event":"message"}"#]
    {
        client.send_text(text);
        let error = client.event();
        assert_eq!(error["event"], "pusher:error", "{text}");
        assert_eq!(error["data"]["code"], Value::Null, "{text}");
    }
    client.ws.send(Message::binary(vec![1, 2, 3])).unwrap();
    assert_eq!(client.event()["event"], "pusher:error");
    client.subscribe("a");
}

#[test]
fn fr_030_the_close_code_is_echoed() {
    let server = start();
    for code in [1000, 1001, 3000, 4999] {
        let mut client = Client::connect(&server);
        let frame = tungstenite::protocol::CloseFrame { code: code.into(), reason: "done".into() };
        client.ws.close(Some(frame)).unwrap();
        let echo = loop {
            if let Message::Close(echo) = client.ws.read().unwrap() {
                break echo;
            }
        };
        assert_eq!(u16::from(echo.unwrap().code), code);
    }
    eventually("all are gone", || server.connections("id") == 0);
}

#[test]
fn fr_118_after_every_kind_of_end_the_tables_are_empty() {
    let server = start_with(app(), |config| {
        config.activity_timeout = Duration::from_secs(1);
        config.pong_timeout = Duration::from_secs(1);
        config.close_timeout = Duration::from_secs(1);
        config.max_queue_bytes = 100_000;
    });
    let client = || {
        let mut client = Client::connect(&server);
        client.sign_in(&json!({"id": "u"}));
        client.subscribe("a");
        client.join("presence-a", "u");
        client
    };
    client().drop_connection();
    client().ws.close(None).unwrap();
    client().ws.get_mut().write_all(b"\x81\x02hi").unwrap();
    let mut keep = vec![client(), client()];
    block_on(server.terminate("id", "u")).unwrap();
    keep.push(client()); // says nothing any more
    let slow = client();
    let data = "x".repeat(10_000);
    for _ in 0..2_000 {
        if server.publish("id", Event::new("a", "x", &data)).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    eventually("everyone is gone", || server.connections("id") == 0);
    assert!(block_on(server.channels("id", "")).unwrap().is_empty());
    assert!(block_on(server.users("id", "presence-a")).unwrap().is_empty());
    drop((keep, slow));
}

#[test]
fn the_development_app_is_for_loopback_only() {
    let exposed = tidings::Server::builder().development_app().listen("0.0.0.0:0").start();
    assert!(matches!(exposed, Err(StartError::DevelopmentAppExposed { .. })), "{exposed:?}");
    assert!(exposed.unwrap_err().to_string().contains("app of your own"));
    builder().development_app().start().unwrap();
}

#[test]
fn a_taken_port_is_named_with_a_way_out() {
    let server = start();
    let taken = address(&server).to_string();
    let error = tidings::Server::builder().app(App::new("a", "b", "c")).listen(&*taken).start();
    let text = error.unwrap_err().to_string();
    assert!(text.contains(&taken) && text.contains("another port"), "{text}");
}

#[test]
fn fr_137_one_prefix_for_sockets_and_api() {
    let mut config = ServerConfig::default();
    config.path_prefix = "/ws".into();
    let server = builder().config(config).app(app()).start().unwrap();
    let mut client = Client::open(&server, "/ws/app/key?protocol=7");
    assert_eq!(client.event()["event"], "pusher:connection_established");
    let mut client = Client::open(&server, "/app/key?protocol=7");
    assert_eq!(client.event()["data"]["code"], 4005);
}
