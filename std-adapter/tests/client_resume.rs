//! The client goes on where it was interrupted, against a server that keeps events.

#![cfg(all(feature = "client", feature = "server"))]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use support::{address, start_app};
use tidings::client::{Client, Event, Message, Position, Serial, Subscription};
use tidings::{Event as Publish, ServerHandle};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Long enough for any answer on a busy machine; nothing is measured with it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A way to the server that can be cut, and is then closed until it is mended.
struct Cable {
    address: SocketAddr,
    mended: watch::Sender<bool>,
}

impl Cable {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mended, state) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut state = state.clone();
                tokio::spawn(async move {
                    if !*state.borrow() {
                        return;
                    }
                    let mut far = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = state.wait_for(|mended| !mended) => {}
                    }
                });
            }
        });
        Self { address, mended }
    }
}

fn keeping(events: u32) -> ServerHandle {
    start_app(|app| app.history.max_events = events)
}

fn publish(server: &ServerHandle, name: &str) {
    server.publish("id", Publish::new("news", name, "1")).unwrap();
}

fn client(address: SocketAddr) -> Client {
    let builder = Client::builder("key").host(address.ip().to_string(), address.port());
    builder.start().unwrap()
}

async fn next(subscription: &mut Subscription) -> Event {
    tokio::time::timeout(PATIENCE, subscription.next()).await.expect("it comes").expect("an event")
}

/// A subscription that resumes, in force.
async fn resuming(client: &Client) -> Subscription {
    let mut news = client.subscribe_from("news", Position::Latest).unwrap();
    assert_eq!(next(&mut news).await, Event::Subscribed);
    assert_eq!(next(&mut news).await, Event::Resumed { complete: true, events: 0 });
    news
}

async fn message(subscription: &mut Subscription) -> Message {
    match next(subscription).await {
        Event::Message(message) => message,
        other => panic!("{other:?} in place of a message"),
    }
}

#[tokio::test]
async fn what_was_published_while_the_cable_was_out_comes_in_order_and_once() {
    let server = keeping(100);
    let cable = Cable::to(address(&server)).await;
    let client = client(cable.address);
    let mut news = resuming(&client).await;
    publish(&server, "before");
    assert_eq!(&*message(&mut news).await.event, "before");
    for round in 0..3 {
        cable.mended.send_replace(false);
        assert_eq!(next(&mut news).await, Event::Interrupted);
        let missed: Vec<String> = (0..5).map(|n| format!("missed-{round}-{n}")).collect();
        missed.iter().for_each(|name| publish(&server, name));
        cable.mended.send_replace(true);
        assert_eq!(next(&mut news).await, Event::Subscribed);
        assert_eq!(next(&mut news).await, Event::Resumed { complete: true, events: 5 });
        for name in &missed {
            assert_eq!(&*message(&mut news).await.event, name);
        }
        publish(&server, "live");
        assert_eq!(&*message(&mut news).await.event, "live");
    }
}

#[tokio::test]
async fn a_restarted_program_goes_on_from_the_serial_that_it_stored() {
    let server = keeping(100);
    let address = address(&server);
    let first = client(address);
    let mut news = resuming(&first).await;
    publish(&server, "seen");
    let serial = message(&mut news).await.serial.expect("it is kept").to_string();
    first.close().await;
    publish(&server, "missed");

    let second = client(address);
    let stored = Position::After(Serial::parse(&serial).unwrap());
    let mut news = second.subscribe_from("news", stored).unwrap();
    assert_eq!(next(&mut news).await, Event::Subscribed);
    assert_eq!(next(&mut news).await, Event::Resumed { complete: true, events: 1 });
    assert_eq!(&*message(&mut news).await.event, "missed");
}

#[tokio::test]
async fn fr_108_more_than_is_kept_is_a_gap() {
    let server = keeping(2);
    let cable = Cable::to(address(&server)).await;
    let client = client(cable.address);
    let mut news = resuming(&client).await;
    cable.mended.send_replace(false);
    assert_eq!(next(&mut news).await, Event::Interrupted);
    ["1", "2", "3"].iter().for_each(|name| publish(&server, name));
    cable.mended.send_replace(true);
    assert_eq!(next(&mut news).await, Event::Subscribed);
    assert_eq!(next(&mut news).await, Event::Resumed { complete: false, events: 2 });
    assert_eq!(&*message(&mut news).await.event, "2");
    assert_eq!(&*message(&mut news).await.event, "3");
}

#[tokio::test]
async fn where_nothing_is_kept_every_interruption_is_a_gap() {
    let server = keeping(0);
    let client = client(address(&server));
    let mut news = client.subscribe_from("news", Position::Latest).unwrap();
    assert_eq!(next(&mut news).await, Event::Subscribed);
    assert_eq!(next(&mut news).await, Event::Resumed { complete: false, events: 0 });
    publish(&server, "live");
    assert_eq!(message(&mut news).await.serial, None);
}
