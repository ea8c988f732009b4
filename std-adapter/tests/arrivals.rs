//! Who comes in: from where, how many at once, and how slowly.

mod support;
mod support_http;
mod support_tls;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use support::{address, app, eventually, start_with};
use support_http::{Connection, Request};
use tidings::{Server, ServerConfig, ServerHandle};
use tungstenite::{Message, WebSocket};

const PATIENCE: Duration = Duration::from_secs(20);

fn tcp(server: &ServerHandle) -> TcpStream {
    let stream = TcpStream::connect(address(server)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Connects with these bytes before the handshake and these fields in it, and takes the first event.
fn socket(server: &ServerHandle, before: &[u8], fields: &str) -> (WebSocket<TcpStream>, String) {
    let mut stream = tcp(server);
    let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let head = format!(
        "GET /app/key?protocol=7 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{key}{fields}\r\n"
    );
    stream.write_all(&[before, head.as_bytes()].concat()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer to the handshake");
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    let mut ws = WebSocket::from_raw_socket(stream, tungstenite::protocol::Role::Client, None);
    let first = ws.read().unwrap().into_text().unwrap().to_string();
    (ws, first)
}

fn is_let_in(first: &str) -> bool {
    first.contains("pusher:connection_established")
}

/// The close code of one that is not let in.
fn turned_away((mut ws, first): (WebSocket<TcpStream>, String)) -> u16 {
    assert!(first.contains("pusher:error"), "{first}");
    match ws.read() {
        Ok(Message::Close(Some(frame))) => frame.code.into(),
        other => panic!("no close frame: {other:?}"),
    }
}

/// Version 2 of the PROXY protocol, for a client of IPv4.
fn version_2(client: [u8; 4]) -> Vec<u8> {
    let head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c";
    [&head[..], &client, &[192, 0, 2, 1, 0x12, 0x34, 0x01, 0xbb]].concat()
}

#[test]
fn an_address_has_its_limit_and_gets_its_places_back() {
    let server = start_with(app(), |config| config.max_connections_per_address = Some(2));
    let first = socket(&server, b"", "");
    assert!(is_let_in(&first.1));
    let mut second = Connection::open(address(&server));
    assert_eq!(second.request(&Request::get("/apps/id/channels")).status, 200);
    // A third is told why, each in its way.
    let (ws, text) = socket(&server, b"", "");
    assert!(text.contains("4100") && text.contains("2 connections from this address"), "{text}");
    assert_eq!(turned_away((ws, text)), 4100);
    let refused = support::raw(&server, b"GET /apps/id/channels HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("this address"), "{refused}");
    drop(first);
    eventually("its place is free", || is_let_in(&socket(&server, b"", "").1));
    // Whoever was turned away took no place and no connection of the app.
    eventually("all are gone", || server.connections("id") == 0);
}

#[test]
fn a_place_stays_taken_when_a_request_is_followed_by_an_upgrade() {
    let server = start_with(app(), |config| config.max_connections_per_address = Some(1));
    let mut stream = tcp(&server);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nOK") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    let (mut ws, _) = tungstenite::client("ws://localhost/app/key?protocol=7", stream).unwrap();
    assert!(is_let_in(&ws.read().unwrap().into_text().unwrap()));
    assert_eq!(turned_away(socket(&server, b"", "")), 4100);
    drop(ws);
    eventually("its place is free", || is_let_in(&socket(&server, b"", "").1));
}

#[test]
fn the_proxy_protocol_says_who_the_client_is() {
    let server = start_with(app(), |config| {
        config.proxy_protocol = true;
        config.max_connections_per_address = Some(1);
    });
    let one = socket(&server, b"PROXY TCP4 203.0.113.1 192.0.2.1 4660 443\r\n", "");
    assert!(is_let_in(&one.1));
    let two = socket(&server, b"PROXY TCP6 2001:db8::7 2001:db8::1 4660 443\r\n", "");
    assert!(is_let_in(&two.1));
    let three = socket(&server, &version_2([203, 0, 113, 3]), "");
    assert!(is_let_in(&three.1));
    assert_eq!(turned_away(socket(&server, &version_2([203, 0, 113, 1]), "")), 4100);
    // The proxy itself looks whether the server is there.
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00GET / HTTP/1.0\r\n\r\n";
    assert!(support::raw(&server, local).contains(" 200 OK"));
}

#[test]
fn where_the_proxy_protocol_is_demanded_nobody_comes_without_it() {
    let server = start_with(app(), |config| config.proxy_protocol = true);
    for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PUT / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let answer = support::raw(&server, request.as_bytes());
        assert!(
            answer.starts_with("HTTP/1.1 400 ") && answer.contains("PROXY protocol"),
            "{answer}"
        );
    }
}

#[test]
fn the_proxy_protocol_comes_before_tls() {
    let authority = support_tls::Authority::new();
    let support_tls::Pair { cert, key } = authority.certify("own", &["localhost"]);
    let mut config = ServerConfig::default();
    config.proxy_protocol = true;
    config.max_connections_per_address = Some(1);
    (config.tls_cert, config.tls_key) = (Some(cert), Some(key));
    let server =
        Server::builder().config(config).app(app()).listen_tls("127.0.0.1:0").start().unwrap();
    // Some of TLS may come together with the header, or none.
    let kept = [b"PROXY TCP4 203.0.113.1 192.0.2.1 1 2\r\n".to_vec(), version_2([203, 0, 113, 2])]
        .map(|header| {
            let mut stream =
                support_tls::connect(address(&server), "localhost", authority.client());
            let mut hello = Vec::new();
            stream.conn.write_tls(&mut hello).unwrap();
            stream.sock.tcp.write_all(&[header, hello].concat()).unwrap();
            support_tls::Client::over(stream)
        });
    let mut stream = support_tls::connect(address(&server), "localhost", authority.client());
    let _ = stream.write_all(b"GET / HTTP/1.1\r\n\r\n");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(answer, b"", "without the header there is no TLS");
    drop(kept);
}

#[test]
fn a_trusted_proxy_is_believed_and_nobody_else() {
    let limit = |trusted: &[&str]| {
        let trusted = trusted.iter().map(|text| text.parse().unwrap()).collect();
        start_with(app(), |config| {
            config.trusted_proxies = trusted;
            config.max_connections_per_address = Some(1);
        })
    };
    let server = limit(&["127.0.0.0/8", "10.0.0.0/8"]);
    let one = socket(&server, b"", "X-Forwarded-For: 6.6.6.6, 203.0.113.1, 10.0.0.9\r\n");
    assert!(is_let_in(&one.1));
    let two = socket(&server, b"", "Forwarded: for=203.0.113.2\r\n");
    assert!(is_let_in(&two.1));
    let third = socket(&server, b"", "X-Forwarded-For: 7.7.7.7, 203.0.113.1\r\n");
    assert_eq!(turned_away(third), 4100, "what the client wrote itself changes nothing");

    let server = limit(&["10.0.0.0/8"]);
    let one = socket(&server, b"", "X-Forwarded-For: 203.0.113.1\r\n");
    assert!(is_let_in(&one.1));
    let two = socket(&server, b"", "X-Forwarded-For: 203.0.113.2\r\n");
    assert_eq!(turned_away(two), 4100, "both come from 127.0.0.1");
}

#[test]
fn a_further_handshake_waits_until_another_is_done() {
    let server = start_with(app(), |config| {
        config.max_pending_handshakes = 2;
        config.handshake_timeout = Duration::from_secs(600);
    });
    let mut idle = vec![tcp(&server), tcp(&server)];
    // Those are looked at before the third, since they came before it.
    let mut third = tcp(&server);
    third.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    third.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let waits = third.read(&mut [0]).unwrap_err().kind();
    assert!(matches!(waits, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{waits}");
    drop(idle.pop());
    third.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = String::new();
    third.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("OK"), "{answer}");
}

#[test]
fn heads_that_never_end_are_bounded_in_number_and_time() {
    let server = start_with(app(), |config| {
        config.max_pending_handshakes = 50;
        config.handshake_timeout = Duration::from_millis(200);
    });
    let half_open: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = tcp(&server);
            stream.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
            stream
        })
        .collect();
    // One that goes on sending a byte now and then gains nothing by it.
    let mut dripping = tcp(&server);
    dripping.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut ended = false;
    for _ in 0..1_000 {
        let sent = dripping.write_all(b"x");
        let read = dripping.read(&mut [0; 10]);
        let waits =
            |e: &std::io::Error| matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        ended = sent.is_err() || !matches!(&read, Err(error) if waits(error));
        if ended {
            break;
        }
    }
    assert!(ended, "it is still being waited for");
    for mut stream in half_open {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer); // a reset is an end as well
        assert_eq!(answer, b"");
    }
    assert!(is_let_in(&socket(&server, b"", "").1));
}

#[test]
fn with_a_bound_on_accepting_all_come_in_sooner_or_later() {
    let server = start_with(app(), |config| config.max_accepts_per_second = Some(3));
    let clients: Vec<_> = (0..7).map(|_| socket(&server, b"", "")).collect();
    assert!(clients.iter().all(|(_, first)| is_let_in(first)));
    assert_eq!(server.connections("id"), 7);
}
