use super::*;

fn authorize(channel: ChannelId, socket_id: SocketId) -> String {
    format!("{:?}", ClientEvent::Authorize { channel, socket_id })
}

fn on(channel: ChannelId, event: ChannelEvent<'_>) -> String {
    format!("{:?}", ClientEvent::Channel { channel, event })
}

const SUBSCRIBED: ChannelEvent<'static> = ChannelEvent::Subscribed { presence: None };

fn subscribe(channel: &str, auth: &str) -> String {
    format!(r#"{{"event":"pusher:subscribe","data":{{"auth":"{auth}","channel":"{channel}"}}}}"#)
}

#[test]
fn channels_are_subscribed_to_in_order_on_every_connection() {
    let mut session = Session::online(&["a", "b"]);
    assert_eq!(session.sent(), [subscribe("a", ""), subscribe("b", "")]);
    session.feed(at(1), [succeeded("a"), succeeded("b")].concat());
    let _ = session.client.handle_eof(at(2));
    session.connect(at(3));
    assert_eq!(session.sent(), [subscribe("a", ""), subscribe("b", "")]);
    // One that is added later goes by itself.
    session.client.subscribe("c").unwrap();
    session.feed(at(4), vec![]);
    assert_eq!(session.sent(), [subscribe("c", "")]);
    session.feed(at(4), vec![]);
    assert_eq!(session.sent(), [""; 0]);
}

#[test]
fn fr_053_a_subscription_that_was_not_answered_is_asked_for_again() {
    let mut session = Session::online(&["a"]);
    let channel = session.client.find("a").unwrap();
    assert_eq!(session.sent(), [subscribe("a", "")]);
    let _ = session.client.handle_eof(at(1));
    session.connect(at(2));
    assert_eq!(session.sent(), [subscribe("a", "")]);
    assert_eq!(session.feed(at(3), succeeded("a")), [on(channel, SUBSCRIBED)]);
}

#[test]
fn fr_060_a_channel_waits_for_the_attempt_that_succeeds() {
    let mut session = Session::new();
    let config = session.config;
    session.write(|client, tx| client.open(&config, at(0), tx)).unwrap();
    session.out.clear();
    let channel = session.client.subscribe("a").unwrap();
    session.feed(at(0), b"HTTP/1.1 503 Service Unavailable\r\n\r\n".to_vec());
    assert_eq!(session.sent(), [""; 0]);
    session.upgrade(at(1));
    assert_eq!(session.sent(), [""; 0], "the connection is not established yet");
    session.feed(at(1), established(ID, 120));
    assert_eq!(session.sent(), [subscribe("a", "")]);
    assert_eq!(session.client.subscription(channel), Some(Subscription::Requested));
}

#[test]
fn a_private_channel_asks_for_a_signature_of_this_connection() {
    let mut session = Session::new();
    let a = session.client.subscribe("private-a").unwrap();
    let b = session.client.subscribe("b").unwrap();
    let events = session.connect(at(0));
    assert_eq!(events[1..], [authorize(a, ID)]);
    // Others do not wait for it.
    assert_eq!(session.sent(), [subscribe("b", "")]);
    assert_eq!(session.client.subscription(b), Some(Subscription::Requested));
    let early = session.write(|client, tx| client.trigger(a, "client-x", None, tx));
    assert_eq!(early, Err(UsageError::NotSubscribed.into()));
    session.write(|client, tx| client.authorize(a, ID, "k:s", None, tx)).unwrap();
    assert_eq!(session.sent(), [subscribe("private-a", "k:s")]);
    assert_eq!(session.feed(at(1), succeeded("private-a")), [on(a, SUBSCRIBED)]);
    session.write(|client, tx| client.trigger(a, "client-x", None, tx)).unwrap();
    assert_eq!(session.sent(), [r#"{"event":"client-x","channel":"private-a"}"#]);
}

#[test]
fn fr_058_a_signature_never_survives_a_reconnect() {
    let mut session = Session::new();
    let a = session.client.subscribe("private-a").unwrap();
    session.connect(at(0));
    let _ = session.client.handle_eof(at(1));
    let stale = Err(UsageError::AuthorizationStale.into());
    // While there is no connection, before the next is established, and after it is.
    assert_eq!(session.write(|client, tx| client.authorize(a, ID, "k:s", None, tx)), stale);
    let next = SocketId::new(7, 7);
    session.upgrade(at(2));
    assert_eq!(session.write(|client, tx| client.authorize(a, ID, "k:s", None, tx)), stale);
    let events = session.feed(at(2), established(next, 120));
    assert_eq!(events[1..], [authorize(a, next)]);
    assert_eq!(session.write(|client, tx| client.authorize(a, ID, "k:s", None, tx)), stale);
    assert_eq!(session.client.refuse(a, ID), Err(UsageError::AuthorizationStale));
    assert_eq!(session.sent(), [""; 0]);
    session.write(|client, tx| client.authorize(a, next, "k:t", None, tx)).unwrap();
    assert_eq!(session.sent(), [subscribe("private-a", "k:t")]);
    // An answer that comes twice is one too many.
    assert_eq!(session.write(|client, tx| client.authorize(a, next, "k:t", None, tx)), stale);
}

#[test]
fn one_refusal_leaves_the_others_alone_and_can_be_retried() {
    let mut session = Session::new();
    let a = session.client.subscribe("private-a").unwrap();
    let b = session.client.subscribe("private-b").unwrap();
    assert_eq!(session.connect(at(0))[1..], [authorize(a, ID), authorize(b, ID)]);
    session.client.refuse(a, ID).unwrap();
    session.write(|client, tx| client.authorize(b, ID, "k:s", None, tx)).unwrap();
    assert_eq!(session.feed(at(1), succeeded("private-b")), [on(b, SUBSCRIBED)]);
    assert_eq!(session.client.subscription(a), Some(Subscription::Rejected));
    assert_eq!(session.feed(at(1), vec![]), [""; 0]);
    session.client.retry(a).unwrap();
    assert_eq!(session.feed(at(1), vec![]), [authorize(a, ID)]);
    // So does the server's own no.
    session.write(|client, tx| client.authorize(a, ID, "k:bad", None, tx)).unwrap();
    let kind = SubscriptionErrorKind::Auth;
    let no = server(|tx| encode_subscription_error(tx, "private-a", kind, &"no", 401));
    let rejected = ChannelEvent::Rejected { kind: "AuthError", error: "no", status: Some(401) };
    assert_eq!(session.feed(at(2), no), [on(a, rejected)]);
    assert_eq!(session.client.subscription(b), Some(Subscription::Subscribed));
    // The next connection asks for both.
    let _ = session.client.handle_eof(at(3));
    session.out.clear();
    assert_eq!(session.connect(at(4))[1..], [authorize(a, ID), authorize(b, ID)]);
}

#[test]
fn fr_072_presence_tells_who_is_there_and_who_comes_and_goes() {
    let mut session = Session::new();
    let room = session.client.subscribe("presence-room").unwrap();
    session.connect(at(0));
    let data = r#"{"user_id":"me"}"#;
    session.write(|client, tx| client.authorize(room, ID, "k:s", Some(data), tx)).unwrap();
    let sent = session.sent();
    assert!(sent[0].contains(r#""channel_data":"{\"user_id\":\"me\"}""#), "{sent:?}");
    let members = [("me", None), ("you", Some(r#"{"name":"Y"}"#))];
    let list = server(|tx| encode_presence_succeeded(tx, "presence-room", members.into_iter()));
    let events = session.feed(at(1), list);
    assert!(events[0].contains("presence: Some(Presence"), "{events:?}");
    let added = server(|tx| encode_member_added(tx, "presence-room", "it", Some("1")));
    let removed = server(|tx| encode_member_removed(tx, "presence-room", "you"));
    let events = session.feed(at(2), [added, removed].concat());
    assert!(events[0].contains(r#"MemberAdded { user_id: "it""#), "{events:?}");
    assert_eq!(events[1], on(room, ChannelEvent::MemberRemoved { user_id: "you" }));
}

#[test]
fn a_users_channel_waits_for_the_sign_in() {
    let mut session = Session::new();
    let user = session.client.subscribe("#server-to-user-7").unwrap();
    session.client.sign_in();
    for connection in 0..2 {
        let now = at(connection * 1000);
        let events = session.connect(now);
        assert_eq!(events[1..], [format!("{:?}", ClientEvent::AuthorizeUser { socket_id: ID })]);
        assert_eq!(session.sent(), [""; 0]);
        let stale = SocketId::new(9, 9);
        let answer = session.write(|client, tx| client.authorize_user(stale, "k:s", "{}", tx));
        assert_eq!(answer, Err(UsageError::AuthorizationStale.into()));
        let data = r#"{"id":"7"}"#;
        session.write(|client, tx| client.authorize_user(ID, "k:s", data, tx)).unwrap();
        assert!(session.sent()[0].starts_with(r#"{"event":"pusher:signin","data":{"auth":"k:s""#));
        let events = session.feed(now, server(|tx| encode_signin_success(tx, data)));
        assert_eq!(events, [format!("{:?}", ClientEvent::SignedIn { user_data: data })]);
        assert_eq!(session.sent(), [subscribe("#server-to-user-7", "")]);
        let events = session.feed(now, succeeded("#server-to-user-7"));
        assert_eq!(events, [on(user, SUBSCRIBED)]);
        let _ = session.client.handle_eof(now);
    }
}

#[test]
fn events_reach_their_channel_and_no_other() {
    let mut session = Session::new();
    let a = session.client.subscribe("a").unwrap();
    let b = session.client.subscribe("cache-b").unwrap();
    session.connect(at(0));
    session.feed(at(0), [succeeded("a"), succeeded("cache-b")].concat());
    let miss = server(|tx| encode_cache_miss(tx, "cache-b"));
    let count = server(|tx| encode_subscription_count(tx, "a", 3));
    let input = [event("cache-b", "e", "1"), event("c", "e", "2"), count, miss].concat();
    let message =
        ChannelEvent::Message { event: "e", data: Some("1"), user_id: None, serial: None };
    let expected = [on(b, message), on(a, ChannelEvent::Count(3)), on(b, ChannelEvent::CacheMiss)];
    assert_eq!(session.feed(at(1), input), expected);
    let global = frame(Opcode::Text, br#"{"event":"e","data":"x"}"#);
    let unrouted = ClientEvent::Unrouted { event: "e", data: Some("x") };
    assert_eq!(session.feed(at(1), global), [format!("{unrouted:?}")]);
}

#[test]
fn what_is_given_up_stops_at_once_and_its_id_means_nothing_more() {
    let mut session = Session::new();
    let a = session.client.subscribe("a").unwrap();
    session.connect(at(0));
    session.feed(at(0), succeeded("a"));
    session.out.clear();
    session.write(|client, tx| client.unsubscribe(a, tx)).unwrap();
    assert_eq!(session.sent(), [r#"{"event":"pusher:unsubscribe","data":{"channel":"a"}}"#]);
    assert_eq!(session.feed(at(1), event("a", "e", "late")), [""; 0]);
    let again = session.write(|client, tx| client.unsubscribe(a, tx));
    assert_eq!(again, Err(UsageError::ChannelUnknown.into()));
    // Its place goes to another channel.
    let b = session.client.subscribe("private-b").unwrap();
    assert_eq!((b.index(), a == b), (a.index(), false));
    assert_eq!(session.client.name(a), None);
    assert_eq!(session.client.name(b), Some(&"private-b"));
    assert_eq!(session.client.subscription(a), None);
    // One that was never asked for needs no word to the server.
    session.write(|client, tx| client.unsubscribe(b, tx)).unwrap();
    assert_eq!(session.sent(), [""; 0]);
}

#[test]
fn a_channel_that_is_left_and_joined_again_is_in_force() {
    let mut session = Session::new();
    let first = session.client.subscribe("a").unwrap();
    session.connect(at(0));
    session.write(|client, tx| client.unsubscribe(first, tx)).unwrap();
    let second = session.client.subscribe("a").unwrap();
    session.feed(at(1), vec![]);
    assert_eq!(session.sent().len(), 3);
    // Both acknowledgements were under way.
    let events = session.feed(at(2), [succeeded("a"), succeeded("a")].concat());
    assert_eq!(events, [on(second, SUBSCRIBED), on(second, SUBSCRIBED)]);
}

#[test]
fn the_table_and_the_names_have_their_rules() {
    let mut session = Session::new();
    for name in ["a", "b", "c", "d"] {
        session.client.subscribe(name).unwrap();
    }
    assert_eq!(session.client.subscribe("e"), Err(CapacityError::Channels.into()));
    assert_eq!(session.client.subscribe("d"), Err(UsageError::AlreadySubscribed.into()));
    assert_eq!(session.client.subscribe("#x"), Err(UsageError::ChannelName.into()));
    assert_eq!(session.client.subscribe(""), Err(UsageError::ChannelName.into()));
}

#[test]
fn only_client_events_go_out_and_only_where_they_may() {
    let mut session = Session::new();
    let public = session.client.subscribe("a").unwrap();
    let private = session.client.subscribe("private-a").unwrap();
    session.connect(at(0));
    session.write(|client, tx| client.authorize(private, ID, "k:s", None, tx)).unwrap();
    session.feed(at(0), [succeeded("a"), succeeded("private-a")].concat());
    session.out.clear();
    let mut trigger = |channel, event: &str| {
        let data = Some(TriggerData::Text("21.5"));
        session.write(|client, tx| client.trigger(channel, event, data, tx))
    };
    assert_eq!(trigger(public, "client-e"), Err(UsageError::NotTriggerable.into()));
    assert_eq!(trigger(private, "e"), Err(UsageError::EventName.into()));
    assert_eq!(trigger(private, "client-e"), Ok(()));
    assert_eq!(session.sent(), [r#"{"event":"client-e","data":"21.5","channel":"private-a"}"#]);
}

#[test]
fn a_subscription_waits_for_room_in_the_output() {
    let mut session = Session::new();
    let long: &'static str =
        "a-name-that-makes-the-subscription-longer-than-the-room-that-a-step-asks-for-itself";
    session.client.subscribe(long).unwrap();
    session.upgrade(at(0));
    let mut memory = [0; MIN_TX];
    let mut input = established(ID, 120);
    let mut tx = TxBuf::new(&mut memory);
    let step = session.client.handle_input(at(0), &mut input, &mut tx).unwrap();
    assert!(matches!(step.progress, Progress::Event(ClientEvent::Connected { .. })));
    let step = session.client.handle_input(at(0), &mut [], &mut tx).unwrap();
    let Progress::NeedOutput { at_least } = step.progress else { panic!("{step:?}") };
    assert!(tx.is_empty() && at_least > MIN_TX);
    let mut memory = vec![0; at_least];
    let mut tx = TxBuf::new(&mut memory);
    let step = session.client.handle_input(at(0), &mut [], &mut tx).unwrap();
    assert_eq!(step.progress, Progress::Advanced);
    assert_eq!(tx.len(), at_least);
}

#[cfg(feature = "encrypted")]
#[test]
fn encrypted_events_arrive_plain_and_a_changed_secret_is_told() {
    use crate::auth::MasterKey;
    let sealed = |master: u8, payload: &str| {
        let secret = MasterKey::new([master; 32]).shared_secret("private-encrypted-a");
        let data = server(|tx| encode_encrypted(tx, &secret, [3; 24], payload));
        event("private-encrypted-a", "e", core::str::from_utf8(&data).unwrap())
    };
    let secret = |master: u8| MasterKey::new([master; 32]).shared_secret("private-encrypted-a");
    let mut session = Session::new();
    let a = session.client.subscribe("private-encrypted-a").unwrap();
    session.connect(at(0));
    session.write(|client, tx| client.authorize_encrypted(a, ID, "k:s", secret(1), tx)).unwrap();
    session.feed(at(0), succeeded("private-encrypted-a"));
    let message =
        |data| ChannelEvent::Message { event: "e", data: Some(data), user_id: None, serial: None };
    let data = r#"{"n":"Zoë"}"#;
    assert_eq!(session.feed(at(1), sealed(1, data)), [on(a, message(data))]);
    assert_eq!(
        session.feed(at(1), sealed(2, data)),
        [on(a, ChannelEvent::Undecryptable { event: "e" })]
    );
    session.client.set_secret(a, secret(2)).unwrap();
    assert_eq!(session.feed(at(2), sealed(2, data)), [on(a, message(data))]);
    // The secret is asked for again with each connection.
    let _ = session.client.handle_eof(at(3));
    session.out.clear();
    session.connect(at(4));
    session.write(|client, tx| client.authorize(a, ID, "k:s", None, tx)).unwrap();
    session.feed(at(4), succeeded("private-encrypted-a"));
    assert!(session.feed(at(4), sealed(2, data))[0].contains("ciphertext"));
}
