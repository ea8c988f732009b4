use super::*;

const NEWS: &str = "news";

fn logged(number: u64) -> Vec<u8> {
    let serial = Serial::new(0xab, number);
    server(|tx| encode_logged_event(tx, NEWS, "e", "1", &serial.as_text()))
}

fn resumed(complete: bool, events: u32, number: u64) -> Vec<u8> {
    let serial = Serial::new(0xab, number);
    server(|tx| encode_resumed(tx, NEWS, complete, events, &serial.as_text()))
}

/// A session whose only channel resumes, and that channel.
fn session(from: Position) -> (Session, ChannelId) {
    let mut session = Session::new();
    let channel = session.client.subscribe(NEWS).unwrap();
    session.client.resume(channel, from).unwrap();
    session.connect(at(0));
    (session, channel)
}

/// Breaks the connection and makes another; what the subscription asks for.
fn reconnect(session: &mut Session) -> String {
    let _ = session.client.handle_eof(at(1));
    session.connect(at(2));
    let sent = session.sent();
    let [subscribe] = &sent[..] else { panic!("one subscription: {sent:?}") };
    let from = subscribe.split_once(r#""resume_from":""#).expect("a place").1;
    from.split_once('"').unwrap().0.into()
}

#[test]
fn a_channel_asks_first_for_the_latest_place_and_then_for_what_it_missed() {
    let (mut session, channel) = session(Position::Latest);
    let subscribe = r#"{"event":"pusher:subscribe","data":{"auth":"","resume_from":"latest","channel":"news"}}"#;
    assert_eq!(session.sent(), [subscribe]);
    session.feed(at(0), succeeded(NEWS));
    let events = session.feed(at(0), resumed(true, 0, 6));
    assert_eq!(events.len(), 1);
    assert!(events[0].contains("Resumed { complete: true, events: 0 }"), "{events:?}");
    assert_eq!(session.client.position(channel), Some(Position::After(Serial::new(0xab, 6))));
    assert_eq!(reconnect(&mut session), "000000ab-6");
}

#[test]
fn each_event_moves_the_place_on() {
    let (mut session, _) = session(Position::After(Serial::new(1, u64::MAX)));
    assert!(session.sent()[0].contains("00000001-18446744073709551615"));
    session.feed(at(0), [succeeded(NEWS), logged(7), logged(9)].concat());
    assert_eq!(reconnect(&mut session), "000000ab-9");
}

#[test]
fn a_replay_that_breaks_off_is_asked_for_again() {
    let (mut session, _) = session(Position::After(Serial::new(0xab, 1)));
    session.sent();
    session.feed(at(0), [succeeded(NEWS), resumed(true, 3, 4), logged(2)].concat());
    assert_eq!(reconnect(&mut session), "000000ab-2", "3 and 4 have not come");
}

#[test]
fn fr_063_fr_108_a_gap_is_told_and_the_place_is_that_of_the_server() {
    let (mut session, _) = session(Position::After(Serial::new(0xcd, 90)));
    session.sent();
    session.feed(at(0), succeeded(NEWS));
    let events = session.feed(at(0), resumed(false, 0, 3));
    assert!(events[0].contains("Resumed { complete: false, events: 0 }"), "{events:?}");
    assert_eq!(reconnect(&mut session), "000000ab-3");
}

#[test]
fn a_channel_that_was_not_told_to_asks_for_nothing() {
    let mut session = Session::online(&[NEWS]);
    session.sent();
    session.feed(at(0), [succeeded(NEWS), logged(7)].concat());
    let _ = session.client.handle_eof(at(1));
    session.connect(at(2));
    assert_eq!(
        session.sent(),
        [r#"{"event":"pusher:subscribe","data":{"auth":"","channel":"news"}}"#]
    );
}

#[test]
fn a_place_is_forgotten_with_its_channel() {
    let (mut session, channel) = session(Position::Latest);
    session.write(|client, tx| client.unsubscribe(channel, tx)).unwrap();
    assert_eq!(session.client.position(channel), None);
    assert_eq!(session.client.resume(channel, Position::Latest), Err(UsageError::ChannelUnknown));
    let again = session.client.subscribe(NEWS).unwrap();
    assert_eq!(session.client.position(again), None);
}

#[test]
fn an_answer_without_a_readable_serial_leaves_the_place() {
    let (mut session, channel) = session(Position::Latest);
    session.feed(at(0), succeeded(NEWS));
    let foreign = server(|tx| encode_resumed(tx, NEWS, true, 0, "another-form"));
    session.feed(at(0), foreign);
    session.feed(at(0), server(|tx| encode_logged_event(tx, NEWS, "e", "1", "?")));
    assert_eq!(session.client.position(channel), Some(Position::Latest));
}
