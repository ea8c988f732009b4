//! The end of a server.

mod support;

use std::net::TcpStream;
use std::time::Duration;
use support::{Client, address, app, block_on, start_with};
use tidings::{Event, ServerEvent};

#[test]
fn fr_140_everyone_is_told_to_reconnect_and_nobody_is_let_in() {
    let server = start_with(app(), |config| config.shutdown_grace = Duration::from_millis(600));
    let mut clients: Vec<Client> = (0..20).map(|_| Client::connect(&server)).collect();
    clients.iter_mut().for_each(|client| drop(client.subscribe("a")));
    let reading: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            std::thread::spawn(move || {
                let code = client.wait_for("pusher:error")["data"]["code"].clone();
                (code, u16::from(client.closed().code))
            })
        })
        .collect();
    block_on(server.shutdown());
    for told in reading {
        assert_eq!(told.join().unwrap(), (4200.into(), 4200));
    }
    assert_eq!(server.connections("id"), 0);
    TcpStream::connect(address(&server)).unwrap_err();
    block_on(server.shutdown());
}

#[test]
fn fr_141_before_the_drain_only_the_readiness_says_no() {
    // Far longer than the test, which ends it by dropping the shutdown.
    let server = start_with(app(), |config| config.shutdown_delay = Duration::from_secs(3_600));
    let mut client = Client::connect(&server);
    client.subscribe("a");
    let ready =
        || support::raw(&server, b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(ready().starts_with("HTTP/1.1 200"));
    block_on(async {
        let mut shutdown = std::pin::pin!(server.shutdown());
        let begun = tokio::time::timeout(Duration::from_millis(1), &mut shutdown).await;
        assert!(begun.is_err(), "it waits");
    });
    assert!(ready().starts_with("HTTP/1.1 503"));
    server.publish("id", Event::new("a", "e", "{}")).unwrap();
    assert_eq!(client.event()["event"], "e");
    Client::connect(&server).subscribe("a");
}

#[test]
fn the_last_handle_ends_the_server() {
    let server = start_with(app(), |_| ());
    let address = address(&server);
    let clone = server.clone();
    drop(server);
    TcpStream::connect(address).unwrap();
    drop(clone);
    TcpStream::connect(address).unwrap_err();
}

#[test]
fn the_embedding_program_hears_what_happens() {
    let server = start_with(app(), |config| config.threads = 1);
    let mut events = server.events();
    let mut client = Client::connect(&server);
    client.join("presence-a", "u");
    client.trigger("presence-a", "client-x", serde_json::json!({"a": 1}));
    client.pending();
    server.publish("id", Event::new("presence-a", "x", "1")).unwrap();
    client.drop_connection();
    let mut heard = Vec::new();
    block_on(async {
        while heard.len() < 7 {
            heard.push(events.next().await.unwrap().unwrap());
        }
    });
    let kinds: Vec<&str> = heard
        .iter()
        .map(|event| match event {
            ServerEvent::Connected { .. } => "connected",
            ServerEvent::MemberAdded { user_id, .. } if &**user_id == "u" => "member added",
            ServerEvent::ChannelOccupied { .. } => "occupied",
            ServerEvent::ClientEvent { data, .. } if &**data == r#"{\"a\":1}"# => "client event",
            ServerEvent::MemberRemoved { .. } => "member removed",
            ServerEvent::ChannelVacated { .. } => "vacated",
            ServerEvent::Disconnected { .. } => "disconnected",
            other => panic!("unexpected: {other:?}"),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "connected",
            "member added",
            "occupied",
            "client event",
            "member removed",
            "vacated",
            "disconnected"
        ]
    );
}
