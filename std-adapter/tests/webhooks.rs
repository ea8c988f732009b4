//! Webhooks: what is told, to whom, and what becomes of it.

mod support;
mod support_hooks;

use std::time::Duration;

use serde_json::json;
use support::{Client, app, block_on, eventually, start_with};
use support_hooks::{Receiver, sign, status};
use tidings::{App, ServerConfig, ServerHandle, Webhook, WebhookEvent};

/// A time that does not come in a test.
const NEVER: Duration = Duration::from_secs(3_600);

/// A server whose app tells the receivers, with departures told at once if nothing else is said.
fn start(
    receivers: &[&Receiver],
    change: impl FnOnce(&mut App, &mut ServerConfig),
) -> ServerHandle {
    let mut app = app();
    app.webhooks = receivers.iter().map(|receiver| Webhook::new(&*receiver.url)).collect();
    let mut config = ServerConfig::default();
    config.webhook_delay = Duration::ZERO;
    config.webhook_backoff = Duration::from_millis(10);
    change(&mut app, &mut config);
    config.threads = 2;
    start_with(app, |into| *into = config)
}

#[test]
fn each_kind_is_told_with_its_fields() {
    let receiver = Receiver::start();
    let server =
        start(&[&receiver], |app, _| app.webhooks[0].event_types = WebhookEvent::ALL.into());
    let mut client = Client::connect(&server);
    let socket_id = client.socket_id.clone();
    assert_eq!(receiver.event(), json!({"name": "connected", "socket_id": socket_id}));

    let channel = "presence-room";
    client.join(channel, "ann");
    let mut came = [receiver.event(), receiver.event()];
    came.sort_by_key(|event| event["name"].to_string());
    assert_eq!(came[0], json!({"name": "channel_occupied", "channel": channel}));
    let user_id = "ann";
    assert_eq!(came[1], json!({"name": "member_added", "channel": channel, "user_id": user_id}));

    client.trigger(channel, "client-typing", json!({"on": "Zoë"}));
    assert_eq!(
        receiver.event(),
        json!({
            "name": "client_event", "channel": channel, "event": "client-typing",
            "data": r#"{"on":"Zoë"}"#, "socket_id": socket_id, "user_id": user_id,
        })
    );

    client.unsubscribe(channel);
    assert_eq!(
        receiver.event(),
        json!({"name": "member_removed", "channel": channel, "user_id": user_id})
    );
    assert_eq!(receiver.event(), json!({"name": "channel_vacated", "channel": channel}));
    client.drop_connection();
    assert_eq!(receiver.event(), json!({"name": "disconnected", "socket_id": socket_id}));
    assert_eq!(receiver.rest(), []);
}

#[test]
fn a_cache_without_an_event_and_the_number_of_subscribers_are_told() {
    let receiver = Receiver::start();
    let server = start(&[&receiver], |app, _| {
        app.subscription_count = true;
        app.webhooks[0].event_types =
            vec![WebhookEvent::CacheMiss, WebhookEvent::SubscriptionCount];
    });
    let (mut first, mut second) = (Client::connect(&server), Client::connect(&server));
    first.subscribe("cache-a");
    let told = [receiver.event(), receiver.event()];
    let miss = json!({"name": "cache_miss", "channel": "cache-a"});
    let count = |count: u32| json!({"name": "subscription_count", "channel": "cache-a", "subscription_count": count});
    assert!(told.contains(&miss) && told.contains(&count(1)), "{told:?}");
    second.subscribe("cache-a");
    assert_eq!(receiver.event(), count(2), "a miss is told once");
}

#[test]
fn fr_102_a_request_has_the_headers_that_receivers_look_at() {
    let receiver = Receiver::start();
    let server = start(&[&receiver], |app, _| {
        app.webhooks[0].headers.push(("X-Team".into(), "blue".into()));
    });
    Client::connect(&server).subscribe("a");
    let hook = receiver.next();
    assert_eq!(hook.head[0], "POST /hook?token=t HTTP/1.1");
    // Receivers that do not know that case is no matter must find them too.
    assert!(hook.head.contains(&"X-Pusher-Key: key".to_owned()), "{:?}", hook.head);
    let signature = format!("X-Pusher-Signature: {}", sign("secret", &hook.body));
    assert!(hook.head.contains(&signature), "{:?}", hook.head);
    assert_eq!(hook.header("content-type"), Some("application/json"));
    assert_eq!(hook.header("x-team"), Some("blue"));
    assert!(hook.header("user-agent").unwrap().starts_with("tidings/"));
}

#[test]
fn what_pusher_does_not_have_is_told_only_to_who_asks_for_it() {
    let receiver = Receiver::start();
    let server = start(&[&receiver], |_, _| ());
    let mut client = Client::connect(&server);
    client.subscribe("a");
    client.drop_connection();
    assert_eq!(receiver.names(2), ["channel_occupied", "channel_vacated"]);
    block_on(server.shutdown());
    assert_eq!(receiver.rest(), []);
}

#[test]
fn an_endpoint_gets_what_its_filter_lets_through_and_nothing_empty() {
    let (some, all) = (Receiver::start(), Receiver::start());
    let server = start(&[&some, &all], |app, _| {
        app.webhooks[0].event_types = vec![WebhookEvent::ChannelVacated];
        app.webhooks[0].channel_name_starts_with = Some("order-".into());
        app.webhooks[0].channel_name_ends_with = Some("-eu".into());
    });
    let mut client = Client::connect(&server);
    for channel in ["order-1-us", "news-eu", "order-2-eu"] {
        client.subscribe(channel);
        client.unsubscribe(channel);
        assert_eq!(all.names(2), ["channel_occupied", "channel_vacated"]);
    }
    assert_eq!(some.event(), json!({"name": "channel_vacated", "channel": "order-2-eu"}));
    block_on(server.shutdown());
    assert_eq!(some.rest(), []);
}

#[test]
fn fr_101_who_comes_back_in_time_was_never_gone() {
    let receiver = Receiver::start();
    let server = start(&[&receiver], |_, config| config.webhook_delay = NEVER);
    let mut client = Client::connect(&server);
    client.join("presence-a", "ann");
    assert_eq!(receiver.names(2).len(), 2);
    for _ in 0..3 {
        client.unsubscribe("presence-a");
        client.join("presence-a", "ann");
    }
    client.subscribe("fence");
    assert_eq!(receiver.event(), json!({"name": "channel_occupied", "channel": "fence"}));
    // A departure that is final is told once, here by the end of all waiting.
    block_on(server.shutdown());
    let mut last: Vec<_> = (0..3).map(|_| receiver.event()).collect();
    last.sort_by_key(ToString::to_string);
    assert_eq!(
        last,
        [
            json!({"name": "channel_vacated", "channel": "fence"}),
            json!({"name": "channel_vacated", "channel": "presence-a"}),
            json!({"name": "member_removed", "channel": "presence-a", "user_id": "ann"}),
        ]
    );
    assert_eq!(receiver.rest(), []);
}

#[test]
fn a_departure_is_told_when_its_delay_is_over() {
    let receiver = Receiver::start();
    let server = start(&[&receiver], |_, config| config.webhook_delay = Duration::from_millis(50));
    let mut client = Client::connect(&server);
    client.subscribe("a");
    client.unsubscribe("a");
    assert_eq!(receiver.names(2), ["channel_occupied", "channel_vacated"]);
}

#[test]
fn fr_100_every_way_to_leave_is_told_once() {
    let receiver = Receiver::start();
    let server = start(&[&receiver], |app, config| {
        app.webhooks[0].event_types = vec![WebhookEvent::MemberRemoved];
        config.activity_timeout = Duration::from_secs(1);
        config.pong_timeout = Duration::from_secs(1);
    });
    let left = |user_id: &str| {
        let expected =
            json!({"name": "member_removed", "channel": "presence-a", "user_id": user_id});
        assert_eq!(receiver.event(), expected);
    };
    let join = |user_id: &str| {
        let mut client = Client::connect(&server);
        client.sign_in(&json!({"id": user_id}));
        client.join("presence-a", user_id);
        client
    };
    let mut closing = join("closing");
    closing.ws.close(None).unwrap();
    left("closing");
    join("killed").drop_connection();
    left("killed");
    let terminated = join("terminated");
    block_on(server.terminate("id", "terminated")).unwrap();
    left("terminated");
    let silent = join("silent"); // answers no ping, since nobody reads it
    left("silent");
    drop((closing, terminated, silent));
    block_on(server.shutdown());
    assert_eq!(receiver.rest(), []);
}

#[test]
fn fr_103_events_that_share_a_request_are_in_order() {
    let receiver = Receiver::start();
    let server = start(&[&receiver], |app, config| {
        app.webhooks[0].batching = Some(true);
        config.webhook_batch_window = NEVER;
        config.max_webhook_batch = 3;
    });
    let mut client = Client::connect(&server);
    client.subscribe("private-a");
    client.trigger("private-a", "client-x", json!(1));
    client.unsubscribe("private-a");
    let events = receiver.next().events();
    let names: Vec<_> = events.iter().map(|event| event["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["channel_occupied", "client_event", "channel_vacated"]);
    assert_eq!(events[1]["data"], "1");
}

#[test]
fn batches_of_two_endpoints_are_not_mixed() {
    let (a, b) = (Receiver::start(), Receiver::start());
    let server = start(&[&a, &b], |app, config| {
        config.webhook_batching = true;
        config.webhook_batch_window = NEVER;
        config.max_webhook_batch = 2;
        app.webhooks[0].channel_name_starts_with = Some("a".into());
        app.webhooks[1].channel_name_starts_with = Some("b".into());
    });
    let mut client = Client::connect(&server);
    for channel in ["a1", "b1", "a2", "b2"] {
        client.subscribe(channel);
    }
    for (receiver, letter) in [(&a, 'a'), (&b, 'b')] {
        let events = receiver.next().events();
        let of_letter = |event: &serde_json::Value| {
            event["channel"].as_str().is_some_and(|channel| channel.starts_with(letter))
        };
        assert!(events.len() == 2 && events.iter().all(of_letter), "{events:?}");
    }
}

#[test]
fn fr_104_what_failed_is_sent_again_unchanged_and_before_what_came_later() {
    let receiver = Receiver::answering(|n| if n < 3 { status(500) } else { status(204) });
    let server = start(&[&receiver], |_, _| ());
    let mut client = Client::connect(&server);
    client.subscribe("a");
    client.subscribe("b");
    let first = receiver.next();
    assert_eq!(first.events(), [json!({"name": "channel_occupied", "channel": "a"})]);
    for _ in 0..3 {
        let again = receiver.next();
        assert_eq!(
            (&again.body, again.header("x-pusher-signature")),
            (&first.body, first.header("x-pusher-signature"))
        );
    }
    assert_eq!(receiver.event()["channel"], "b");
    eventually("both are counted", || server.webhooks("id")[0].delivered == 2);
    let stats = &server.webhooks("id")[0];
    assert_eq!((stats.failed_attempts, stats.dropped_late, stats.waiting), (3, 0, 0));
    assert!(!stats.url.contains("token"), "{stats:?}");
}

#[test]
fn fr_104_what_is_never_taken_is_dropped_and_counted() {
    let receiver = Receiver::answering(|_| status(503));
    let server = start(&[&receiver], |_, config| config.webhook_retry = Duration::from_millis(200));
    Client::connect(&server).subscribe("a");
    eventually("it is given up", || server.webhooks("id")[0].dropped_late > 0);
    let stats = &server.webhooks("id")[0];
    assert!(stats.failed_attempts >= 1 && stats.delivered == 0, "{stats:?}");
}

#[test]
fn fr_104_a_redirect_is_not_followed() {
    let elsewhere = Receiver::start();
    let target = elsewhere.url.clone();
    let receiver = Receiver::answering(move |n| match n {
        0 => format!("HTTP/1.1 307 Go\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"),
        _ => status(200),
    });
    let server = start(&[&receiver], |_, _| ());
    Client::connect(&server).subscribe("a");
    assert_eq!(receiver.next(), receiver.next(), "it is sent again to the same place");
    eventually("it is taken", || server.webhooks("id")[0].delivered >= 1);
    assert_eq!(elsewhere.rest(), []);
}

#[test]
fn an_endpoint_that_is_not_there_is_tried_again() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let receiver = Receiver::start();
    let server = start(&[&receiver], |app, _| {
        app.webhooks.push(Webhook::new(format!("http://127.0.0.1:{port}/")));
    });
    Client::connect(&server).subscribe("a");
    assert_eq!(receiver.event()["channel"], "a", "others are not held up");
    eventually("attempts fail", || server.webhooks("id")[1].failed_attempts > 1);
}

#[test]
fn endpoints_with_one_url_take_turns() {
    let receiver = Receiver::start();
    let server = start(&[&receiver], |app, _| {
        let again = app.webhooks[0].clone();
        app.webhooks.extend(std::iter::repeat_n(again, 4));
    });
    let mut client = Client::connect(&server);
    (0..20).for_each(|n| drop(client.subscribe(&format!("c{n}"))));
    assert_eq!(receiver.names(100).len(), 100);
    assert_eq!(receiver.at_once(), 1);
}

#[test]
fn an_endpoint_that_never_answers_holds_up_nobody_and_has_a_bounded_queue() {
    let receiver = Receiver::answering(|_| {
        std::thread::sleep(NEVER);
        status(200)
    });
    let server = start(&[&receiver], |app, config| {
        app.max_client_events_per_second = None;
        app.webhooks[0].event_types = vec![WebhookEvent::ClientEvent];
        config.max_webhook_queue = 5;
        config.webhook_timeout = NEVER;
        config.shutdown_grace = Duration::from_millis(200);
    });
    let (mut sender, mut other) = (Client::connect(&server), Client::connect(&server));
    sender.subscribe("private-a");
    other.subscribe("private-a");
    for n in 0..100 {
        sender.trigger("private-a", "client-n", json!(n));
        assert_eq!(other.event()["data"], n.to_string());
    }
    let dropped = || server.webhooks("id")[0].dropped_full;
    eventually("the rest is dropped", || dropped() >= 94);
    let stats = &server.webhooks("id")[0];
    // One may be on its way beside those that wait.
    assert!((5..=6).contains(&stats.waiting), "{stats:?}");
    assert_eq!(stats.waiting + stats.dropped_full, 100);
    block_on(server.shutdown());
    let stats = &server.webhooks("id")[0];
    assert_eq!((stats.waiting, stats.dropped_at_shutdown + stats.dropped_full), (0, 100));
}

#[test]
fn the_end_of_the_server_is_told_before_it_has_ended() {
    let receiver = Receiver::answering(|n| if n == 1 { status(500) } else { status(200) });
    let server = start(&[&receiver], |app, config| {
        config.webhook_delay = NEVER;
        config.webhook_backoff = Duration::from_millis(1);
        app.webhooks[0].event_types = vec![
            WebhookEvent::ChannelOccupied,
            WebhookEvent::ChannelVacated,
            WebhookEvent::Disconnected,
        ];
    });
    let mut client = Client::connect(&server);
    client.subscribe("a");
    assert_eq!(receiver.names(1), ["channel_occupied"]);
    block_on(server.shutdown());
    let told: Vec<_> = receiver.rest().iter().flat_map(|hook| hook.events()).collect();
    let names: Vec<_> = told.iter().map(|event| event["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"channel_vacated") && names.contains(&"disconnected"), "{names:?}");
    assert_eq!(server.webhooks("id")[0].delivered, 3);
}

#[test]
fn an_endpoint_that_cannot_be_sent_to_stops_the_start() {
    let mut app = app();
    app.webhooks.push(Webhook::new("shop.example/hook?token=hunter2"));
    let error = support::builder().app(app).start().unwrap_err().to_string();
    assert!(error.contains("shop.example/hook") && !error.contains("hunter2"), "{error}");
}
