//! Publishing from inside the process: what is refused, with the limit and the value seen.

mod support;

use support::{Client, app, start, start_with};
use tidings::{App, Event, EventError, Server};
use tidings_core::channel::NameError;

#[test]
fn what_is_refused_says_why_and_nothing_is_published() {
    let server = start();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    let publish = |event| server.publish("id", event).unwrap_err();
    assert_eq!(server.publish("nobody", Event::new("a", "x", "")), Err(EventError::UnknownApp));
    let space = NameError::Character { at: 1 };
    assert_eq!(publish(Event::new("a b", "x", "")), EventError::Channel(space));
    let name = "n".repeat(201);
    let too_long = EventError::NameTooLong { len: 201, max: 200 };
    assert_eq!(publish(Event::new("a", &name, "")), too_long);
    let data = "d".repeat(10_241);
    let too_large = EventError::DataTooLarge { len: 10_241, max: 10_240 };
    assert_eq!(publish(Event::new("a", "x", &data)), too_large);
    assert!(too_large.to_string().contains("10241") && too_large.to_string().contains("10240"));
    server.publish("id", Event::new("a", &name[1..], &data[1..])).unwrap();
    assert_eq!(client.event()["event"], name[1..], "the first event that is let through");
}

#[test]
fn a_disabled_app_publishes_nothing() {
    let mut disabled = app();
    disabled.enabled = false;
    let server = start_with(disabled, |_| ());
    let refused = server.publish("id", Event::new("a", "x", ""));
    assert_eq!(refused, Err(EventError::AppDisabled));
}

#[test]
fn an_event_stays_within_its_app() {
    let apps = [App::new("1", "key", "s"), App::new("2", "other", "s")];
    let server = Server::builder().apps(apps).listen("127.0.0.1:0").start().unwrap();
    let mut client = Client::connect(&server);
    client.subscribe("a");
    server.publish("2", Event::new("a", "not for you", "")).unwrap();
    server.publish("1", Event::new("a", "for you", "")).unwrap();
    assert_eq!(client.event()["event"], "for you");
}
