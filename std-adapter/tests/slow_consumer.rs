//! Subscribers that read too slowly, or not at all.

mod support;

use std::time::Duration;
use support::{Client, app, eventually, start_with};
use tidings::{Event, EventError, ServerHandle};
use tungstenite::Message;

fn publish(server: &ServerHandle, data: &str) {
    while server.publish("id", Event::new("a", "x", data)) == Err(EventError::Congested) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn fr_115_the_slow_one_is_cut_and_told_why_and_the_others_get_everything() {
    let server = start_with(app(), |config| {
        config.max_queue_bytes = 200_000;
        config.close_timeout = Duration::from_secs(1);
    });
    let mut slow = Client::connect(&server);
    slow.subscribe("a");
    let healthy: Vec<_> = (0..5)
        .map(|_| {
            let mut client = Client::connect(&server);
            client.subscribe("a");
            std::thread::spawn(move || {
                let mut received = 0;
                while client.event()["event"] != "last" {
                    received += 1;
                }
                received
            })
        })
        .collect();
    let data = "x".repeat(10_000);
    // More than the system's buffers take (some megabytes), at a pace that the healthy ones follow.
    for n in 0..2_000 {
        publish(&server, &data);
        if n % 10 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    server.publish("id", Event::new("a", "last", "")).unwrap();
    for client in healthy {
        assert_eq!(client.join().unwrap(), 2_000);
    }
    // It reads again after the time for closing, which is no time to read all that lies before the reason.
    std::thread::sleep(Duration::from_millis(2_500));
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
    assert!(close.reason.contains("Slow consumer"), "{}", close.reason);
    drop(slow);
    eventually("it is gone", || server.connections("id") == 0);
}

#[test]
fn one_that_catches_up_in_time_loses_nothing() {
    let server = start_with(app(), |config| config.max_queue_bytes = 64 * 1024 * 1024);
    let mut client = Client::connect(&server);
    client.subscribe("a");
    let data = "x".repeat(10_000);
    for n in 0..1_500 {
        publish(&server, &format!("{n} {}", &data[..9_000]));
    }
    for n in 0..1_500 {
        let event = client.event();
        assert!(event["data"].as_str().unwrap().starts_with(&format!("{n} ")));
    }
}

#[test]
fn fr_116_one_that_asks_and_never_reads_stalls_itself() {
    let server = start_with(app(), |config| config.max_queue_bytes = 1_000_000);
    let mut client = Client::connect(&server);
    let stream = client.ws.get_mut();
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    // Pings of 125 bytes whose pongs nobody reads: the server must stop reading, not pile them up.
    let ping = [&[0x89, 0x80 | 125, 0, 0, 0, 0][..], &[7; 125]].concat();
    let burst = ping.repeat(500);
    let mut stalled = false;
    for _ in 0..2_000 {
        if std::io::Write::write_all(stream, &burst).is_err() {
            stalled = true;
            break;
        }
    }
    assert!(stalled, "the server has taken 130 MB of pings");
    assert_eq!(server.connections("id"), 1);
    Client::connect(&server).subscribe("a");
}
