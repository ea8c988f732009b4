//! The publisher against a running server.

#![cfg(all(feature = "publisher", feature = "server"))]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use support::{Client, address, start};
use tidings::ServerHandle;
use tidings::core::auth::{SigningKey, sign_webhook};
use tidings::core::pusher::SocketId;
use tidings::publisher::{Event, Info, PublishError, Publisher, PublisherBuilder, WebhookError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn options(server: &ServerHandle) -> PublisherBuilder {
    Publisher::builder("id", "key", "secret").host("127.0.0.1", address(server).port())
}

fn publisher(server: &ServerHandle) -> Publisher {
    options(server).build().unwrap()
}

#[tokio::test]
async fn an_event_reaches_its_channels_and_leaves_one_socket_out() {
    let server = start();
    let publisher = publisher(&server);
    let (mut a, mut b) = (Client::connect(&server), Client::connect(&server));
    for client in [&mut a, &mut b] {
        client.subscribe("one");
        client.subscribe("two");
    }
    let event = Event::json("one", "new", &json!({"id": 7})).unwrap().also_to("two");
    let id = SocketId::parse(&a.socket_id).unwrap();
    let channels = publisher.trigger(&event.except(id).subscription_count()).await.unwrap();
    assert_eq!(channels["one"].subscription_count, Some(2));
    assert_eq!(channels["two"].subscription_count, Some(2));
    // Each channel has an order of its own, the two of them have none.
    let mut reached = [b.wait_for("new"), b.wait_for("new")];
    reached.sort_by_key(|event| event["channel"].to_string());
    for (event, channel) in reached.iter().zip(["one", "two"]) {
        assert_eq!((&event["channel"], &event["data"]), (&json!(channel), &json!(r#"{"id":7}"#)));
    }
    assert!(a.pending().iter().all(|event| event["event"] != "new"));
}

#[tokio::test]
async fn a_batch_keeps_its_order() {
    let server = start();
    let publisher = publisher(&server);
    let mut client = Client::connect(&server);
    client.subscribe("all");
    let events: Vec<_> = (0..5).map(|n| Event::new("all", "n", n.to_string())).collect();
    assert_eq!(publisher.trigger_batch(&events).await.unwrap(), []);
    for n in 0..5 {
        assert_eq!(client.wait_for("n")["data"], n.to_string());
    }
    let error = publisher.trigger_batch(&[Event::new("a", "n", "").also_to("b")]).await;
    assert!(matches!(error, Err(PublishError::Invalid(_))), "{error:?}");
}

#[tokio::test]
async fn who_is_where_is_told() {
    let server = start();
    let publisher = publisher(&server);
    assert!(publisher.channels(None, Info::none()).await.unwrap().is_empty());
    let (mut a, mut b) = (Client::connect(&server), Client::connect(&server));
    a.join("presence-room", "ann");
    b.join("presence-room", "bob ä/?");
    b.subscribe("all");
    let all = publisher.channels(None, Info::none()).await.unwrap();
    assert_eq!(all.keys().collect::<Vec<_>>(), ["all", "presence-room"]);
    let rooms = publisher.channels(Some("presence-"), Info::none().user_count()).await.unwrap();
    assert_eq!((rooms.len(), rooms["presence-room"].user_count), (1, Some(2)));
    let info = Info::none().user_count().subscription_count();
    let room = publisher.channel("presence-room", info).await.unwrap();
    assert_eq!((room.occupied, room.user_count), (Some(true), Some(2)));
    let nobody = publisher.channel("nobody", Info::none()).await.unwrap();
    assert_eq!(nobody.occupied, Some(false));
    let mut users = publisher.users("presence-room").await.unwrap();
    users.sort();
    assert_eq!(users, ["ann", "bob ä/?"]);
}

#[tokio::test]
async fn a_user_is_sent_to_and_sent_away() {
    let server = start();
    let publisher = publisher(&server);
    let mut client = Client::connect(&server);
    client.sign_in(&json!({"id": "ann"}));
    client.send(json!({"event": "pusher:subscribe", "data": {"channel": "#server-to-user-ann"}}));
    client.wait_for("pusher_internal:subscription_succeeded");
    publisher.send_to_user("ann", "hello", "1").await.unwrap();
    assert_eq!(client.wait_for("hello")["data"], "1");
    publisher.terminate("ann").await.unwrap();
    assert_eq!(u16::from(client.closed().code), 4009);
}

#[tokio::test]
async fn what_is_refused_says_host_status_reason_and_what_to_do() {
    let server = start();
    let wrong = Publisher::builder("id", "key", "wrong").host("127.0.0.1", address(&server).port());
    let error = wrong.build().unwrap().trigger(&Event::new("c", "e", "")).await.unwrap_err();
    assert_eq!(error.status(), Some(401));
    let text = error.to_string();
    for part in [&address(&server).to_string(), "401", "check key and secret"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let large = publisher(&server).trigger(&Event::new("c", "e", "x".repeat(20_000))).await;
    assert_eq!(large.unwrap_err().status(), Some(413));
    let name = publisher(&server).trigger(&Event::new("no spaces", "e", "")).await;
    assert!(name.unwrap_err().to_string().contains("no spaces"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    drop(held);
    let publisher = Publisher::builder("id", "key", "s").host("127.0.0.1", port).retries(0);
    let error = publisher.build().unwrap().trigger(&Event::new("c", "e", "")).await.unwrap_err();
    assert!(matches!(error, PublishError::Connect { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
}

/// A server that gives these answers, one after the other, each on any connection, and counts connections and requests.
async fn scripted(answers: &'static [&'static str]) -> (Publisher, Arc<[AtomicU32; 2]>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let counts = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
    let counted = Arc::clone(&counts);
    tokio::spawn(async move {
        let mut answers = answers.iter();
        'connections: while let Ok((mut stream, _)) = listener.accept().await {
            counted[0].fetch_add(1, Ordering::Relaxed);
            loop {
                let mut request = Vec::new();
                while !request.windows(4).any(|w| w == b"\r\n\r\n") {
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        continue 'connections;
                    }
                }
                counted[1].fetch_add(1, Ordering::Relaxed);
                match answers.next() {
                    // Nothing: the connection breaks.
                    None | Some(&"") => continue 'connections,
                    Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                }
            }
        }
    });
    let publisher = Publisher::builder("id", "key", "s").host("127.0.0.1", port);
    (publisher.timeout(Duration::from_secs(30)).build().unwrap(), counts)
}

fn counts(counts: &[AtomicU32; 2]) -> [u32; 2] {
    counts.each_ref().map(|count| count.load(Ordering::Relaxed))
}

const DONE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

#[tokio::test]
async fn one_connection_carries_request_after_request() {
    let (publisher, seen) = scripted(&[DONE; 5]).await;
    for _ in 0..5 {
        publisher.channels(None, Info::none()).await.unwrap();
    }
    assert_eq!(counts(&seen), [1, 5]);
}

#[tokio::test]
async fn a_question_is_asked_again_and_an_event_is_not_published_twice() {
    let (publisher, seen) = scripted(&["", "", DONE]).await;
    publisher.channels(None, Info::none()).await.unwrap();
    assert_eq!(counts(&seen)[1], 3);

    let (publisher, seen) = scripted(&["", DONE]).await;
    let error = publisher.trigger(&Event::new("c", "e", "")).await.unwrap_err();
    assert!(matches!(error, PublishError::Transport { .. }), "{error:?}");
    assert!(error.to_string().contains("may have been carried out"), "{error}");
    assert_eq!(counts(&seen)[1], 1);
}

#[tokio::test]
async fn an_event_is_sent_again_when_the_server_says_when() {
    const BUSY: &str = "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 4\r\n\r\nbusy";
    let (publisher, seen) = scripted(&[BUSY, BUSY, DONE]).await;
    publisher.trigger(&Event::new("c", "e", "")).await.unwrap();
    assert_eq!(counts(&seen)[1], 3);

    let (publisher, seen) = scripted(&[BUSY, BUSY, BUSY, DONE]).await;
    let error = publisher.trigger(&Event::new("c", "e", "")).await.unwrap_err();
    assert!(error.status() == Some(503) && error.to_string().contains("busy"), "{error}");
    assert_eq!(counts(&seen)[1], 3, "twice again at most");
}

#[tokio::test]
async fn an_answer_of_something_else_is_told() {
    let (publisher, _) = scripted(&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html"]).await;
    let error = publisher.channels(None, Info::none()).await.unwrap_err();
    assert!(matches!(error, PublishError::Answer { .. }), "{error:?}");
}

#[test]
fn signatures_are_those_of_the_official_sdks() {
    let publisher = Publisher::builder("3", "278d425bdf160c739803", "7ad3773142a6692b25b8");
    let publisher = publisher.build().unwrap();
    let id = SocketId::new(1234, 1234);
    let mut compared = 0;
    for line in include_str!("../../tests/vectors/channel_signatures.tsv").lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [channel, data, signature, _] = fields[..] else { continue };
        let data = Some(data).filter(|data| !data.is_empty());
        // Encrypted channels need a key beside the signature.
        let Ok(auth) = publisher.authorize_channel(id, channel, data) else { continue };
        assert_eq!(auth.auth, format!("278d425bdf160c739803:{signature}"), "{line}");
        compared += 1;
    }
    assert!(compared >= 3, "{compared}");
    let error = publisher.authorize_channel(id, "presence-a", None).unwrap_err();
    assert!(error.to_string().contains("user_id"), "{error}");
    let error = publisher.authorize_channel(id, "public", None).unwrap_err();
    assert!(error.to_string().contains("public"), "{error}");
    assert!(publisher.authenticate_user(id, r#"{"name":"ann"}"#).is_err());
    let user = publisher.authenticate_user(id, r#"{"id":"ann"}"#).unwrap();
    assert!(user.auth.starts_with("278d425bdf160c739803:"), "{user:?}");
    assert!(!format!("{publisher:?}").contains("7ad37"));
}

#[test]
fn a_webhook_is_read_when_its_signature_is_right() {
    let publisher = Publisher::builder("id", "key", "secret").build().unwrap();
    let body =
        br#"{"time_ms":1,"events":[{"name":"member_added","channel":"presence-a","user_id":"u"}]}"#;
    let signature = sign_webhook(&SigningKey::new(b"secret"), body);
    let webhook = publisher.webhook("key", signature.as_str(), body).unwrap();
    assert_eq!(webhook.events[0].name, "member_added");
    assert_eq!(webhook.events[0].more["user_id"], "u");
    assert_eq!(publisher.webhook("k", signature.as_str(), body), Err(WebhookError::Key));
    let changed = [body, &b" "[..]].concat();
    assert_eq!(
        publisher.webhook("key", signature.as_str(), &changed),
        Err(WebhookError::Signature)
    );
    let signature = sign_webhook(&SigningKey::new(b"secret"), b"[]");
    let error = publisher.webhook("key", signature.as_str(), b"[]");
    assert!(matches!(error, Err(WebhookError::Body(_))), "{error:?}");
}
