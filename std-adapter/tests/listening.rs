//! Where a server listens beside its port, and for how long.

mod support;
mod support_http;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::json;
use support::{Client, address, app, block_on, builder, eventually, start_with};
use support_http::Request;
use tidings::{Event, Server, ServerConfig, ServerHandle, StartError};
use tungstenite::Message;

fn on_unix(path: &std::path::Path) -> Result<ServerHandle, StartError> {
    let mut config = ServerConfig::default();
    config.threads = 2;
    config.listen_unix_mode = 0o600;
    Server::builder().config(config).app(app()).listen_unix(path).start()
}

#[test]
fn sockets_and_the_http_api_work_over_a_unix_socket_which_goes_with_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let server = on_unix(&path).unwrap();
    assert!(server.addresses().is_empty());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // One for each shard.
    let mut clients = [(); 2].map(|()| {
        let stream = UnixStream::connect(&path).unwrap();
        let (mut ws, _) = tungstenite::client("ws://localhost/app/key?protocol=7", stream).unwrap();
        assert!(ws.read().unwrap().into_text().unwrap().contains("connection_established"));
        let subscribe = json!({"event": "pusher:subscribe", "data": {"channel": "a"}});
        ws.send(Message::text(subscribe.to_string())).unwrap();
        assert!(ws.read().unwrap().into_text().unwrap().contains("subscription_succeeded"));
        ws
    });
    let mut publisher = UnixStream::connect(&path).unwrap();
    let request = Request::post("/apps/id/events", r#"{"name":"x","channel":"a","data":"1"}"#);
    publisher.write_all(&request.header("Connection: close").bytes()).unwrap();
    let mut answer = String::new();
    publisher.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for client in &mut clients {
        assert!(client.read().unwrap().into_text().unwrap().contains(r#""data":"1""#));
    }
    match on_unix(&path) {
        Err(StartError::Listen { address, source }) => {
            assert_eq!(address, format!("unix:{}", path.display()));
            assert!(source.to_string().contains("another server listens there"), "{source}");
        }
        other => panic!("a live socket is taken away: {other:?}"),
    }
    drop(server);
    assert!(!path.exists());
    on_unix(&path).unwrap();
}

fn sharing(address: &str, grace: Duration) -> ServerHandle {
    let mut config = ServerConfig::default();
    config.threads = 2;
    config.reuse_port = true;
    config.shutdown_grace = grace;
    Server::builder().config(config).app(app()).listen(address).start().expect("the server starts")
}

#[test]
fn a_second_server_takes_over_the_port_while_the_first_drains() {
    let first = sharing("127.0.0.1:0", Duration::from_secs(4));
    let shared = address(&first);
    let mut old: Vec<Client> = (0..20).map(|_| Client::connect(&first)).collect();
    let second = sharing(&shared.to_string(), Duration::from_secs(1));
    assert_eq!(address(&second), shared);
    let draining = first.clone();
    let shutdown = std::thread::spawn(move || block_on(draining.shutdown()));
    // The first has no listener any more once one of its clients is told to go.
    assert_eq!(old[0].wait_for("pusher:error")["data"]["code"], 4200);
    let before = second.connections("id");
    for _ in 0..20 {
        let mut client = Client::connect(&second);
        client.subscribe("a");
        second.publish("id", Event::new("a", "x", "1")).unwrap();
        assert_eq!(client.wait_for("x")["data"], "1");
        client.drop_connection();
    }
    eventually("they were the second's", || second.connections("id") == before);
    for mut client in old {
        client.ws.get_ref().set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(u16::from(client.closed().code), 4200);
    }
    shutdown.join().unwrap();
}

#[test]
fn without_reuse_port_a_second_server_is_refused() {
    let first = start_with(app(), |_| ());
    let second = builder().app(app()).listen(address(&first).to_string()).start();
    match second {
        Err(error @ StartError::Listen { .. }) => {
            assert!(error.to_string().contains("choose another port"), "{error}");
        }
        other => panic!("it starts: {other:?}"),
    }
    TcpStream::connect(address(&first)).unwrap();
}
