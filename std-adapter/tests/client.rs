//! The client against a running server.

#![cfg(all(feature = "client", feature = "server"))]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use support::{address, app, start, start_with};
use tidings::client::{
    AuthorizeError, Authorizer, Client, ClientBuilder, ClientError, Event, Identity, Message,
    NotReady, Notice, State, Subject, SubscribeError, Subscription, TriggerError,
};
use tidings::{Event as Publish, Server, ServerHandle};
use tidings_core::error::UsageError;
use tidings_core::time::Timer;

/// Long enough for any answer on a busy machine; nothing is measured with it.
const PATIENCE: Duration = Duration::from_secs(30);

fn options(server: &ServerHandle) -> ClientBuilder {
    let address = address(server);
    let ann = Authorizer::secret("key", "secret").identity(Identity::new("ann"));
    Client::builder("key").host(address.ip().to_string(), address.port()).authorizer(ann)
}

fn client(server: &ServerHandle) -> Client {
    options(server).start().unwrap()
}

fn named(server: &ServerHandle, user_id: &str) -> Client {
    let identity = Identity::new(user_id).info(json!({"name": user_id.to_uppercase()}));
    let authorizer = Authorizer::secret("key", "secret").identity(identity);
    options(server).authorizer(authorizer).start().unwrap()
}

async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens")
}

async fn next(subscription: &mut Subscription) -> Event {
    patiently(subscription.next()).await.expect("an event")
}

async fn message(subscription: &mut Subscription) -> Message {
    loop {
        if let Event::Message(message) = next(subscription).await {
            return message;
        }
    }
}

/// Waits for a state that `wanted` accepts.
async fn state(client: &Client, wanted: impl Fn(&State) -> bool) -> State {
    let mut states = client.states();
    patiently(async {
        loop {
            let state = states.next().await.expect("a state");
            if wanted(&state) {
                return state;
            }
        }
    })
    .await
}

fn publish(server: &ServerHandle, channel: &str, event: &str, data: &str) {
    server.publish("id", Publish::new(channel, event, data)).unwrap();
}

/// A server at an address that was free a moment ago.
fn serve_on(address: SocketAddr) -> ServerHandle {
    Server::builder().listen(address.to_string()).app(app()).start().unwrap()
}

async fn eventually(what: &str, done: impl Fn() -> bool) {
    let polling = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, polling).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn every_kind_of_channel_is_heard() {
    let server = start();
    let client = client(&server);
    for channel in
        ["public", "private-p", "presence-p", "cache-c", "private-cache-c", "presence-cache-c"]
    {
        let mut subscription = client.subscribe(channel).unwrap();
        assert_eq!(next(&mut subscription).await, Event::Subscribed, "{channel}");
        publish(&server, channel, "hello", r#"{"n":1}"#);
        let message = message(&mut subscription).await;
        assert_eq!((&*message.event, message.data.as_deref()), ("hello", Some(r#"{"n":1}"#)));
        assert_eq!(message.json::<serde_json::Value>().unwrap()["n"], 1);
    }
}

#[tokio::test]
async fn connected_tells_the_socket_id_that_a_publish_can_leave_out() {
    let server = start();
    let client = client(&server);
    let socket_id = patiently(client.connected()).await.unwrap();
    let mut all = client.subscribe("all").unwrap();
    patiently(all.ready()).await.unwrap();
    server.publish("id", Publish::new("all", "a", "1").except(socket_id)).unwrap();
    publish(&server, "all", "b", "2");
    assert_eq!(&*message(&mut all).await.event, "b");
}

#[tokio::test]
async fn fr_072_who_is_there_is_known_and_kept() {
    let server = start();
    let (ann, bob) = (named(&server, "ann"), named(&server, "bob"));
    let mut room = ann.subscribe("presence-room").unwrap();
    assert_eq!(next(&mut room).await, Event::Subscribed);
    assert_eq!(room.me().as_deref(), Some("ann"));
    assert_eq!(room.members().len(), 1);

    let bobs = bob.subscribe("presence-room").unwrap();
    let Event::MemberAdded(member) = next(&mut room).await else { panic!("bob has come") };
    assert_eq!((&*member.user_id, member.user_info.as_deref()), ("bob", Some(r#"{"name":"BOB"}"#)));
    patiently(bobs.ready()).await.unwrap();
    for members in [room.members(), bobs.members()] {
        let ids: Vec<_> = members.iter().map(|m| &*m.user_id).collect();
        assert_eq!(ids, ["ann", "bob"]);
        assert_eq!(members[0].user_info.as_deref(), Some(r#"{"name":"ANN"}"#));
    }
    drop(bobs);
    assert_eq!(next(&mut room).await, Event::MemberRemoved { user_id: "bob".into() });
    assert_eq!(room.members().len(), 1);
}

#[tokio::test]
async fn fr_143_client_events_reach_the_others_and_all_can_be_done_where_one_is_handled() {
    let server = start();
    let (ann, bob) = (named(&server, "ann"), named(&server, "bob"));
    let mut anns = ann.subscribe("presence-room").unwrap();
    let mut bobs = bob.subscribe("presence-room").unwrap();
    let early = anns.trigger("client-hi", "x").await;
    assert!(matches!(early, Err(TriggerError::NotSent(UsageError::NotSubscribed))), "{early:?}");
    patiently(anns.ready()).await.unwrap();
    patiently(bobs.ready()).await.unwrap();
    patiently(anns.trigger("client-hi", &json!({"text": "ä\"\n"}))).await.unwrap();
    let heard = message(&mut bobs).await;
    assert_eq!(&*heard.event, "client-hi");
    assert_eq!(heard.json::<serde_json::Value>().unwrap(), json!({"text": "ä\"\n"}));
    assert_eq!(heard.user_id.as_deref(), Some("ann"));
    patiently(bobs.trigger("client-answer", "x")).await.unwrap();
    drop(bobs);
    let bobs = bob.subscribe("presence-room").unwrap();
    patiently(bobs.ready()).await.unwrap();
    assert_eq!(&*message(&mut anns).await.event, "client-answer");
    patiently(bob.close()).await;

    let wrong = anns.trigger("hi", "x").await;
    assert!(matches!(wrong, Err(TriggerError::NotSent(UsageError::EventName))), "{wrong:?}");
    let large = anns.trigger("client-hi", &"x".repeat(300_000)).await;
    assert!(matches!(large, Err(TriggerError::TooLarge { .. })), "{large:?}");
}

#[tokio::test]
async fn what_the_server_objects_to_is_a_notice() {
    let server = support::start_app(|app| app.client_events = false);
    let client = client(&server);
    let mut notices = client.notices();
    let room = client.subscribe("private-room").unwrap();
    patiently(room.ready()).await.unwrap();
    room.trigger("client-x", &1).await.unwrap();
    let Some(Notice::Error { code, .. }) = patiently(notices.next()).await else {
        panic!("an error")
    };
    assert_eq!(code.map(|c| c.as_u16()), Some(4301));
    assert!(room.is_ready(), "the connection goes on");
}

#[tokio::test]
async fn a_signed_in_user_hears_what_is_sent_to_the_user() {
    let server = start();
    let client = client(&server);
    let mut notices = client.notices();
    let mut own = client.subscribe("#server-to-user-ann").unwrap();
    client.sign_in();
    let Some(Notice::SignedIn { user_data }) = patiently(notices.next()).await else {
        panic!("the sign-in")
    };
    assert_eq!(&*user_data, r#"{"id":"ann"}"#);
    assert_eq!(next(&mut own).await, Event::Subscribed);
    publish(&server, "#server-to-user-ann", "hello", "1");
    assert_eq!(&*message(&mut own).await.event, "hello");
}

#[tokio::test]
async fn a_restarted_server_has_every_subscription_again_once() {
    let server = start();
    let address = address(&server);
    let client = client(&server);
    let mut subscriptions = Vec::new();
    for channel in ["public", "private-a", "presence-b"] {
        let mut subscription = client.subscribe(channel).unwrap();
        assert_eq!(next(&mut subscription).await, Event::Subscribed);
        subscriptions.push(subscription);
    }
    let first = client.connected().await.unwrap();
    server.shutdown().await;
    let State::Waiting { error, .. } =
        state(&client, |state| matches!(state, State::Waiting { .. })).await
    else {
        unreachable!()
    };
    assert_eq!(error.code().map(|c| c.as_u16()), Some(4200), "{error}");
    drop(server);

    let server = serve_on(address);
    for subscription in &mut subscriptions {
        assert_eq!(next(subscription).await, Event::Interrupted);
        assert_eq!(next(subscription).await, Event::Subscribed);
        publish(&server, subscription.name(), "back", "1");
        assert_eq!(&*message(subscription).await.event, "back");
        assert_eq!(subscription.try_next(), None);
    }
    assert_ne!(client.connected().await.unwrap(), first, "the id is that of the new connection");
}

#[tokio::test]
async fn fr_045_an_unknown_key_is_not_tried_again_and_the_error_says_what_to_do() {
    let server = start();
    let address = address(&server);
    let client = Client::builder("nokey").host("127.0.0.1", address.port()).start().unwrap();
    let mut orders = client.subscribe("orders").unwrap();
    let error = patiently(client.connected()).await.unwrap_err().expect("a reason");
    assert_eq!(error.code().map(|c| c.as_u16()), Some(4001));
    let text = error.to_string();
    assert!(text.contains(&address.to_string()) && text.contains("check the key"), "{text}");
    assert_eq!(patiently(orders.next()).await, None);
    let not_ready = patiently(orders.ready()).await;
    assert!(matches!(not_ready, Err(NotReady::Stopped(Some(_)))), "{not_ready:?}");
    assert!(matches!(client.state(), State::Stopped { error: Some(_) }));
    assert_eq!(client.subscribe("x").unwrap_err(), SubscribeError::Stopped);
}

#[tokio::test]
async fn fr_050_a_server_that_is_not_there_is_waited_for() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    drop(held);
    let client = Client::builder("key").host("127.0.0.1", address.port()).start().unwrap();
    let mut orders = client.subscribe("orders").unwrap();
    let State::Waiting { error, delay } =
        state(&client, |state| matches!(state, State::Waiting { .. })).await
    else {
        unreachable!()
    };
    assert!(matches!(error, ClientError::Connect { .. }), "{error:?}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert!(delay <= Duration::from_millis(1200), "{delay:?}");
    let _server = serve_on(address);
    assert_eq!(next(&mut orders).await, Event::Subscribed);
}

#[tokio::test(start_paused = true)]
async fn fr_043_a_host_that_cannot_be_reached_is_tried_for_ever() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    drop(held);
    let client = Client::builder("key").host("127.0.0.1", port).start().unwrap();
    let mut waits = Vec::new();
    let mut states = client.states();
    while waits.len() < 50 {
        match states.next().await.expect("it does not stop") {
            State::Waiting { delay, .. } => waits.push(delay),
            State::Connecting => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(waits.iter().all(|delay| *delay <= Duration::from_secs(72)), "{waits:?}");
    assert!(waits[49] >= Duration::from_secs(48), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn fr_049_a_server_that_says_nothing_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = Client::builder("key").host("127.0.0.1", port).start().unwrap();
    let (_silent, _) = listener.accept().await.unwrap();
    let waits = |state: &State| matches!(state, State::Waiting { .. });
    let State::Waiting { error, .. } = state(&client, waits).await else { unreachable!() };
    assert!(matches!(error, ClientError::TimedOut { timer: Timer::Handshake, .. }), "{error:?}");
}

#[tokio::test]
async fn fr_058_one_refused_channel_leaves_the_others_alone() {
    let server = start();
    let own = Authorizer::secret("key", "secret");
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let authorizer = Authorizer::new(move |request| {
        count.fetch_add(1, Ordering::Relaxed);
        let own = own.clone();
        async move {
            match &request.subject {
                Subject::Channel(name) if &**name == "private-no" => {
                    Err(AuthorizeError::refused("not for you"))
                }
                Subject::Channel(name) if &**name == "private-panic" => panic!("as the test wants"),
                _ => own.authorize(request).await,
            }
        }
    });
    let client = options(&server).authorizer(authorizer).start().unwrap();
    let mut refused = client.subscribe("private-no").unwrap();
    let panicking = client.subscribe("private-panic").unwrap();
    let mut good = client.subscribe("private-yes").unwrap();
    assert_eq!(next(&mut good).await, Event::Subscribed);
    let Event::Rejected(rejection) = next(&mut refused).await else { panic!("it is refused") };
    assert_eq!((&*rejection.message, rejection.again), ("not for you", false));
    for subscription in [&refused, &panicking] {
        let not_ready = patiently(subscription.ready()).await;
        assert!(matches!(not_ready, Err(NotReady::Rejected(_))), "{not_ready:?}");
    }
    publish(&server, "private-yes", "hello", "1");
    assert_eq!(&*message(&mut good).await.event, "hello");
    assert_eq!(asked.load(Ordering::Relaxed), 3);

    refused.retry();
    let Event::Rejected(_) = next(&mut refused).await else { panic!("it is refused again") };
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn an_authoriser_that_fails_is_asked_again() {
    let server = start();
    let own = Authorizer::secret("key", "secret");
    let failures = Arc::new(AtomicU32::new(1));
    let authorizer = Authorizer::new(move |request| {
        let own = own.clone();
        let fails = failures.swap(0, Ordering::Relaxed) > 0;
        async move {
            if fails { Err(AuthorizeError::failed("away")) } else { own.authorize(request).await }
        }
    });
    let client = options(&server).authorizer(authorizer).start().unwrap();
    let mut orders = client.subscribe("private-orders").unwrap();
    let Event::Rejected(rejection) = next(&mut orders).await else { panic!("it failed") };
    assert!(rejection.again && rejection.to_string().contains("away"), "{rejection}");
    assert_eq!(next(&mut orders).await, Event::Subscribed);
}

#[tokio::test]
async fn without_an_authoriser_a_private_channel_is_rejected_with_the_way_out() {
    let server = start();
    let port = address(&server).port();
    let client = Client::builder("key").host("127.0.0.1", port).start().unwrap();
    let mut orders = client.subscribe("private-orders").unwrap();
    let Event::Rejected(rejection) = next(&mut orders).await else { panic!("it is rejected") };
    assert!(rejection.to_string().contains("no authoriser"), "{rejection}");
    let mut public = client.subscribe("public").unwrap();
    assert_eq!(next(&mut public).await, Event::Subscribed);
}

#[tokio::test]
async fn a_wrong_secret_is_rejected_by_the_server() {
    let server = start();
    let wrong = Authorizer::secret("key", "not the secret");
    let client = options(&server).authorizer(wrong).start().unwrap();
    let mut orders = client.subscribe("private-orders").unwrap();
    let Event::Rejected(rejection) = next(&mut orders).await else { panic!("it is rejected") };
    assert_eq!((&*rejection.kind, rejection.status), ("AuthError", Some(401)));
}

#[tokio::test]
async fn a_wait_that_is_given_up_loses_no_event() {
    let server = start();
    let client = client(&server);
    let mut all = client.subscribe("all").unwrap();
    patiently(all.ready()).await.unwrap();
    let publisher = server.clone();
    let publishing = std::thread::spawn(move || {
        for n in 0..500 {
            publish(&publisher, "all", "n", &n.to_string());
            if n % 50 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
    assert_eq!(next(&mut all).await, Event::Subscribed);
    let mut given_up = 0;
    let mut expected = 0;
    while expected < 500 {
        let message = tokio::select! {
            biased;
            event = all.next() => event.expect("an event"),
            () = tokio::task::yield_now() => { given_up += 1; continue }
        };
        let Event::Message(message) = message else { panic!("{message:?}") };
        assert_eq!(message.json::<u32>().unwrap(), expected);
        expected += 1;
    }
    publishing.join().unwrap();
    assert!(given_up > 0);
}

#[tokio::test]
async fn who_does_not_read_is_told_of_the_gap_and_has_the_newest() {
    // On one thread what is published last arrives last, also on another channel.
    let server = start_with(app(), |config| config.threads = 1);
    let client = options(&server).queue(10, 1 << 20).start().unwrap();
    let mut slow = client.subscribe("all").unwrap();
    let mut other = client.subscribe("end").unwrap();
    patiently(slow.ready()).await.unwrap();
    patiently(other.ready()).await.unwrap();
    for n in 0..100 {
        publish(&server, "all", "n", &n.to_string());
    }
    publish(&server, "end", "end", "1");
    assert_eq!(&*message(&mut other).await.event, "end");
    // The subscription's own event was the first.
    assert_eq!(next(&mut slow).await, Event::Missed { count: 91 });
    for n in 90..100 {
        assert_eq!(message(&mut slow).await.json::<u32>().unwrap(), n);
    }
    assert_eq!(slow.try_next(), None);
}

#[tokio::test]
async fn a_dropped_subscription_is_given_up_and_can_be_had_again() {
    let server = start();
    let client = client(&server);
    let first = client.subscribe("private-a").unwrap();
    patiently(first.ready()).await.unwrap();
    assert_eq!(
        client.subscribe("private-a").unwrap_err(),
        SubscribeError::Already("private-a".into())
    );
    drop(first);
    let mut second = client.subscribe("private-a").unwrap();
    assert_eq!(next(&mut second).await, Event::Subscribed);
    drop(second);
    patiently(async {
        while !server.channels("id", "").await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let bad = client.subscribe("no spaces").unwrap_err();
    assert!(bad.to_string().contains("no spaces"), "{bad}");
}

#[tokio::test]
async fn closing_ends_the_connection_and_the_subscriptions() {
    let server = start();
    let client = client(&server);
    let mut all = client.subscribe("all").unwrap();
    patiently(all.ready()).await.unwrap();
    publish(&server, "all", "a", "1");
    assert_eq!(&*message(&mut all).await.event, "a");
    patiently(client.close()).await;
    assert!(matches!(client.state(), State::Stopped { error: None }));
    assert_eq!(patiently(all.next()).await, None);
    assert_eq!(patiently(client.connected()).await.unwrap_err().map(|e| e.to_string()), None);
    eventually("the connection has ended", || server.connections("id") == 0).await;
}

#[tokio::test]
async fn fr_047_closing_does_not_wait_for_the_next_attempt() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    drop(held);
    let client = Client::builder("key").host("127.0.0.1", port).start().unwrap();
    // From the eighth attempt on the client waits for a minute, which nobody has here.
    tokio::time::pause();
    let long = |s: &State| matches!(s, State::Waiting { delay, .. } if delay.as_secs() > 40);
    let mut states = client.states();
    while !long(&states.next().await.expect("it does not stop")) {}
    let before = tokio::time::Instant::now();
    client.close().await;
    assert!(before.elapsed() < Duration::from_secs(1), "by the paused clock");
    assert!(matches!(client.state(), State::Stopped { error: None }));
}

#[tokio::test]
async fn the_last_user_ends_the_connection() {
    let server = start();
    let client = client(&server);
    let mut all = client.subscribe("all").unwrap();
    drop(client);
    assert_eq!(next(&mut all).await, Event::Subscribed, "a subscription keeps it");
    drop(all);
    eventually("the connection has ended", || server.connections("id") == 0).await;
}
