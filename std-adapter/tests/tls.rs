//! The server's own TLS.

mod support;
mod support_http;
mod support_tls;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::ClientConfig;
use serde_json::json;
use support::{app, eventually};
use support_http::Request;
use support_tls::{Authority, Client, Pair, certificate, connect, shown};
use tidings::{
    App, Certificate, Event, EventError, Server, ServerConfig, ServerHandle, StartError,
};
use tungstenite::Message;

/// A server that speaks TLS with a certificate for `localhost`, and another change to its configuration.
fn start(authority: &Authority, change: impl FnOnce(&mut ServerConfig)) -> ServerHandle {
    let Pair { cert, key } = authority.certify("own", &["localhost"]);
    let mut config = ServerConfig::default();
    config.threads = 2;
    (config.tls_cert, config.tls_key) = (Some(cert), Some(key));
    change(&mut config);
    serve(config, app()).expect("the server starts")
}

fn serve(config: ServerConfig, app: App) -> Result<ServerHandle, StartError> {
    Server::builder().config(config).app(app).listen_tls("127.0.0.1:0").start()
}

fn address(server: &ServerHandle) -> SocketAddr {
    server.tls_addresses()[0]
}

fn client(server: &ServerHandle, config: ClientConfig) -> Client {
    Client::over(connect(address(server), "localhost", config))
}

#[test]
fn sockets_and_events_work_over_tls() {
    let authority = Authority::new();
    let server = start(&authority, |_| ());
    // One for each shard.
    let mut clients = [(); 2].map(|()| client(&server, authority.client()));
    for client in &mut clients {
        client.subscribe("a");
    }
    server.publish("id", Event::new("a", "x", r#"{"n":1}"#)).unwrap();
    for client in &mut clients {
        assert_eq!(client.event()["data"], r#"{"n":1}"#);
    }
    let [mut first, second] = clients;
    drop(second);
    first.ws.close(None).unwrap();
    // The answer to the close, then TLS's own end, then that of the socket.
    while first.ws.read().is_ok() {}
    let mut rest = Vec::new();
    assert_eq!(first.ws.get_mut().read_to_end(&mut rest).expect("ends with close_notify"), 0);
    eventually("both are gone", || server.connections("id") == 0);
}

#[test]
fn one_host_can_have_a_plain_port_and_one_with_tls() {
    let authority = Authority::new();
    let Pair { cert, key } = authority.certify("own", &["localhost"]);
    let mut config = ServerConfig::default();
    (config.port, config.tls_port) = (0, Some(0));
    (config.tls_cert, config.tls_key) = (Some(cert), Some(key));
    let server =
        Server::builder().config(config).app(app()).listen_as_configured().start().unwrap();
    assert_eq!(server.addresses().len(), 2);
    assert_eq!(server.tls_addresses(), &server.addresses()[1..]);
    let mut plain = support::Client::connect(&server);
    plain.subscribe("a");
    let mut secure = client(&server, authority.client());
    secure.subscribe("a");
    server.publish("id", Event::new("a", "x", "1")).unwrap();
    assert_eq!(
        (plain.event()["data"].as_str(), secure.event()["data"].as_str()),
        (Some("1"), Some("1"))
    );
}

#[test]
fn without_a_port_of_its_own_the_main_port_speaks_tls() {
    let authority = Authority::new();
    let Pair { cert, key } = authority.certify("own", &["localhost"]);
    let mut config = ServerConfig::default();
    config.port = 0;
    config.certificates.push(Certificate::new(cert, key));
    let server =
        Server::builder().config(config).app(app()).listen_as_configured().start().unwrap();
    assert_eq!(server.tls_addresses(), server.addresses());
    client(&server, authority.client()).subscribe("a");
}

/// Reads an answer with a length from a kept-alive connection.
fn answer(stream: &mut BufReader<support_tls::Secured>) -> (String, String) {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        assert_ne!(stream.read_line(&mut line).unwrap(), 0, "ended after {head}");
        if let Some(text) = line.to_lowercase().strip_prefix("content-length: ") {
            length = text.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

#[test]
fn the_http_api_the_feed_and_a_late_upgrade_work_over_tls() {
    let authority = Authority::new();
    let server = start(&authority, |_| ());
    let mut subscriber = client(&server, authority.client());
    subscriber.subscribe("a");
    let mut stream = BufReader::new(connect(address(&server), "localhost", authority.client()));
    // As an SDK sends it; then with a header that is for hyper.
    let body = json!({"name": "x", "channels": ["a"], "data": "y".repeat(5_000)}).to_string();
    for header in ["Accept: */*", "Transfer-Encoding: identity"] {
        let request = Request::post("/apps/id/events", &body).header(header);
        let bytes = match header.starts_with('T') {
            // Chunks go to hyper.
            true => {
                let mut bytes =
                    Request::post("/apps/id/events", &body).head("Transfer-Encoding: chunked\r\n");
                bytes.extend(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).bytes());
                bytes
            }
            false => request.bytes(),
        };
        stream.get_mut().write_all(&bytes).unwrap();
        let (head, body) = answer(&mut stream);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}{body}");
        assert_eq!(subscriber.event()["data"].as_str().map(str::len), Some(5_000));
    }
    // The same connection becomes a WebSocket, which hyper has to hand over.
    let mut late = Client::over(stream.into_inner());
    late.subscribe("b");
    server.publish("id", Event::new("b", "x", "late")).unwrap();
    assert_eq!(late.event()["data"], "late");

    let mut feed = BufReader::new(connect(address(&server), "localhost", authority.client()));
    feed.get_mut().write_all(&Request::get("/apps/id/feed").bytes()).unwrap();
    let mut wait_for = |text: &str| {
        loop {
            let mut line = String::new();
            assert_ne!(feed.read_line(&mut line).unwrap(), 0, "no {text}");
            if line.contains(text) {
                break;
            }
        }
    };
    wait_for("event: ready");
    late.subscribe("c");
    wait_for("channel_occupied");
}

#[test]
fn the_certificate_is_chosen_by_the_name_that_is_asked_for() {
    let authority = Authority::new();
    let own = authority.certify("own", &["localhost"]);
    let shop = authority.certify("shop", &["Shop.example", "*.shop.example"]);
    let blog = authority.certify("blog", &["blog.example", "localhost"]);
    let server = start(&authority, |config| {
        (config.tls_cert, config.tls_key) = (Some(own.cert.clone()), Some(own.key));
        config.certificates.push(Certificate::new(&shop.cert, shop.key));
        let mut named = Certificate::new(&blog.cert, blog.key);
        named.names = vec!["blog.example".into()];
        config.certificates.push(named);
    });
    for (name, expected) in [
        ("localhost", &own.cert),
        ("shop.example", &shop.cert),
        ("EU.shop.example", &shop.cert),
        ("blog.example", &blog.cert),
    ] {
        let found = shown(address(&server), name, authority.client());
        assert_eq!(found, certificate(expected), "{name}");
    }
    // A name of nobody gets the first, which the client then refuses by itself.
    for name in ["a.b.shop.example", "elsewhere.example"] {
        let mut stream = connect(address(&server), name, authority.client());
        let error = stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap_err().to_string();
        assert!(error.contains("certificate not valid for name"), "{error}");
    }
}

#[test]
fn changed_files_are_for_new_connections_and_broken_ones_change_nothing() {
    let authority = Authority::new();
    let server = start(&authority, |_| ());
    let mut before = client(&server, authority.client());
    before.subscribe("a");
    let shown_now = || shown(address(&server), "localhost", authority.client());
    let first = shown_now();

    let renewed = authority.certify("own", &["localhost"]);
    eventually("the new one is found", || shown_now() == certificate(&renewed.cert));
    assert_ne!(first, shown_now());

    let good = certificate(&renewed.cert);
    authority.write("own.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let error = server.reload_certificates().unwrap_err().to_string();
    assert!(error.contains("own.pem"), "{error}");
    assert_eq!(shown_now(), good);

    let again = authority.certify("own", &["localhost"]);
    server.reload_certificates().unwrap();
    assert_eq!(shown_now(), certificate(&again.cert));

    before.ping();
    server.publish("id", Event::new("a", "x", "still")).unwrap();
    assert_eq!(before.event()["data"], "still");
}

#[test]
fn fr_127_client_certificates_are_demanded_and_checked_in_whatever_order_the_options_come() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let Pair { cert, key } = authority.certify("own", &["localhost"]);
    let root = clients.root();
    let orders: [fn(&mut ServerConfig, [std::path::PathBuf; 3]); 2] = [
        |config, [cert, key, ca]| {
            config.tls_client_ca = Some(ca);
            (config.tls_cert, config.tls_key) = (Some(cert), Some(key));
        },
        |config, [cert, key, ca]| {
            (config.tls_key, config.tls_cert) = (Some(key), Some(cert));
            config.tls_client_ca = Some(ca);
        },
    ];
    for order in orders {
        let server =
            start(&authority, |config| order(config, [cert.clone(), key.clone(), root.clone()]));
        client(&server, authority.client_certified_by(&clients)).subscribe("a");
        for refused in [authority.client(), authority.client_certified_by(&authority)] {
            let mut stream = connect(address(&server), "localhost", refused);
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            let error = stream.read(&mut [0; 100]).expect_err("no answer without a certificate");
            assert!(error.to_string().contains("alert"), "{error}");
        }
    }
}

#[test]
fn fr_115_a_slow_consumer_is_cut_and_told_why_over_tls_too() {
    let authority = Authority::new();
    let server = start(&authority, |config| config.max_queue_bytes = 200_000);
    let mut slow = client(&server, authority.client());
    slow.subscribe("a");
    let mut healthy = client(&server, authority.client());
    healthy.subscribe("a");
    let received = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&received);
    let healthy = std::thread::spawn(move || {
        while healthy.event()["event"] != "last" {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let data = "x".repeat(10_000);
    // More than the system's buffers take (some megabytes).
    for n in 0..2_000 {
        while server.publish("id", Event::new("a", "x", &data)) == Err(EventError::Congested) {
            std::thread::sleep(Duration::from_millis(1));
        }
        // The healthy one is never behind by half of what may wait.
        eventually("the healthy one follows", || n < received.load(Ordering::SeqCst) + 10);
    }
    server.publish("id", Event::new("a", "last", "")).unwrap();
    healthy.join().unwrap();
    assert_eq!(received.load(Ordering::SeqCst), 2_000);
    let (mut events, mut told) = (0, String::new());
    let close = loop {
        match slow.ws.read().expect("whole frames up to the close frame") {
            Message::Text(text) if text.contains("pusher:error") => told = text.to_string(),
            Message::Text(_) => events += 1,
            Message::Close(frame) => break frame.unwrap(),
            _ => {}
        }
    };
    assert!(events < 2_000);
    assert!(told.contains("4100") && told.contains("200000"), "{told}");
    assert_eq!(u16::from(close.code), 4100);
}

#[test]
fn one_that_catches_up_in_time_loses_nothing_over_tls() {
    let authority = Authority::new();
    let server = start(&authority, |config| config.max_queue_bytes = 64 * 1024 * 1024);
    let mut client = client(&server, authority.client());
    client.subscribe("a");
    let data = "x".repeat(9_000);
    for n in 0..1_500 {
        let data = format!("{n} {data}");
        while server.publish("id", Event::new("a", "x", &data)) == Err(EventError::Congested) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    for n in 0..1_500 {
        let event = client.event();
        assert!(event["data"].as_str().unwrap().starts_with(&format!("{n} ")));
    }
}

#[test]
fn messages_larger_than_a_record_pass_both_ways() {
    let authority = Authority::new();
    let Pair { cert, key } = authority.certify("own", &["localhost"]);
    let mut config = ServerConfig::default();
    config.threads = 2;
    (config.tls_cert, config.tls_key) = (Some(cert), Some(key));
    config.max_message_bytes = 1_000_000;
    let mut app = app();
    app.limits.max_event_bytes = 1_000_000;
    let server = serve(config, app).unwrap();
    // Both connections prove themselves by one subscription each on a private channel.
    let mut clients = [(); 2].map(|()| {
        let stream = connect(address(&server), "localhost", authority.client());
        let (mut ws, _) = tungstenite::client("ws://localhost/app/key?protocol=7", stream).unwrap();
        let first = ws.read().unwrap().into_text().unwrap();
        let first: serde_json::Value = serde_json::from_str(&first).unwrap();
        let data: serde_json::Value =
            serde_json::from_str(first["data"].as_str().unwrap()).unwrap();
        let id = data["socket_id"].as_str().unwrap();
        let signing = tidings_core::auth::SigningKey::new(b"secret");
        let signature = tidings_core::auth::sign_channel(&signing, id, "private-a", None);
        let auth = format!("key:{}", signature.as_str());
        let mut client = Client { ws };
        client.send(
            json!({"event": "pusher:subscribe", "data": {"channel": "private-a", "auth": auth}}),
        );
        assert_eq!(client.event()["event"], "pusher_internal:subscription_succeeded");
        client
    });
    for size in [16_384, 16_385, 70_000, 500_000] {
        let data = "z".repeat(size);
        clients[0].send(json!({"event": "client-x", "channel": "private-a", "data": data}));
        let event = clients[1].event();
        assert!(event["data"].as_str() == Some(&data), "{size}");
    }
}

#[test]
fn a_client_that_sends_and_reads_byte_by_byte_is_served() {
    let authority = Authority::new();
    let server = start(&authority, |_| ());
    let mut stream = connect(address(&server), "localhost", authority.client());
    stream.sock.bytewise = true;
    let mut client = Client::over(stream);
    client.subscribe("a");
    server.publish("id", Event::new("a", "x", "1")).unwrap();
    assert_eq!(client.event()["data"], "1");
    client.ping();
}

#[test]
fn plain_http_on_the_port_for_tls_is_told_so() {
    let authority = Authority::new();
    let server = start(&authority, |_| ());
    let mut stream = TcpStream::connect(address(&server)).unwrap();
    stream.write_all(b"GET /app/key HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(body.contains("This port speaks TLS"), "{answer}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{answer}");
}

#[test]
fn only_http_1_1_is_agreed_on() {
    let authority = Authority::new();
    let server = start(&authority, |_| ());
    let offering = |protocols: &[&[u8]]| {
        let mut config = authority.client();
        config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
        let mut stream = connect(address(&server), "localhost", config);
        let done = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        done.map(|()| stream.conn.alpn_protocol().map(<[u8]>::to_vec))
    };
    assert_eq!(offering(&[b"h2", b"http/1.1"]).unwrap().unwrap(), b"http/1.1");
    assert_eq!(offering(&[]).unwrap(), None);
    assert!(offering(&[b"h2"]).is_err());
}

#[test]
fn a_handshake_that_is_not_finished_ends_in_time() {
    let authority = Authority::new();
    let server = start(&authority, |config| config.handshake_timeout = Duration::from_millis(300));
    for begun in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"] {
        let mut stream = TcpStream::connect(address(&server)).unwrap();
        stream.write_all(begun).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer); // a reset is an end as well
        assert_eq!(answer, b"");
    }
}

#[test]
fn fr_135_what_is_wrong_with_a_certificate_is_said_with_its_file() {
    let authority = Authority::new();
    let (one, two) =
        (authority.certify("one", &["localhost"]), authority.certify("two", &["localhost"]));
    let empty = authority.write("empty", "nothing here\n");
    let locked = authority.write(
        "locked",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let refused = |cert: &std::path::Path, key: &std::path::Path| {
        let mut config = ServerConfig::default();
        (config.tls_cert, config.tls_key) = (Some(cert.into()), Some(key.into()));
        match serve(config, app()) {
            Err(StartError::Certificate(error)) => error.to_string(),
            other => panic!("it starts: {other:?}"),
        }
    };
    for (cert, key, parts) in [
        (&authority.path("absent.pem"), &one.key, ["absent.pem", "No such file"]),
        (&empty, &one.key, ["empty", "no certificate"]),
        (&one.cert, &empty, ["empty", "no private key"]),
        (&one.cert, &locked, ["locked", "openssl pkey"]),
        (&one.cert, &two.key, ["two.key", "does not belong to the certificate"]),
    ] {
        let error = refused(cert, key);
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    match serve(ServerConfig::default(), app()) {
        Err(StartError::Certificate(error)) => assert!(error.to_string().contains("tls_cert")),
        other => panic!("it starts: {other:?}"),
    }
}
