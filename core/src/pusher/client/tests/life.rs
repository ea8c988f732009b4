use super::*;

#[test]
fn the_request_names_app_protocol_and_program() {
    let mut session = Session::new();
    session.config.path_prefix = "/ws";
    session.config.headers = &[("Origin", "http://example.test")];
    let config = session.config;
    session.write(|client, tx| client.open(&config, at(0), tx)).unwrap();
    let request = String::from_utf8(session.out.clone()).unwrap();
    let line = concat!(
        "GET /ws/app/app-key?protocol=7&client=tidings&version=",
        env!("CARGO_PKG_VERSION"),
        "&flash=false HTTP/1.1\r\nHost: localhost:6001\r\n"
    );
    assert!(request.starts_with(line), "{request}");
    assert!(request.ends_with("\r\nOrigin: http://example.test\r\n\r\n"), "{request}");
    let twice = session.write(|client, tx| client.open(&config, at(0), tx));
    assert_eq!(twice, Err(UsageError::NotOpen.into()));
}

#[test]
fn a_request_that_cannot_be_written_changes_nothing() {
    for (key, error) in [("a b", true), ("a/b", true), ("a?b", true), ("", true), ("a-b_1", false)]
    {
        let mut session = Session::new();
        session.config.key = key;
        let config = session.config;
        let opened = session.write(|client, tx| client.open(&config, at(0), tx));
        assert_eq!(opened == Err(UsageError::HandshakeField.into()), error, "{key}");
        assert_eq!(session.client.is_idle(), error, "{key}");
    }
    let mut session = Session::new();
    let mut tx = TxBuf::new(&mut []);
    let full = session.client.open(&session.config, at(0), &mut tx);
    assert!(matches!(full, Err(SendError::Capacity(CapacityError::Tx(_)))));
    assert!(session.client.is_idle());
}

#[test]
fn the_connection_stands_with_the_servers_first_message() {
    let mut session = Session::new();
    session.upgrade(at(0));
    assert!(!session.client.is_online());
    assert_eq!(session.client.socket_id(), None);
    let events = session.feed(at(5), established(ID, 30));
    assert_eq!(events, [format!("{:?}", ClientEvent::Connected { socket_id: ID })]);
    assert_eq!(session.client.socket_id(), Some(ID));
    // Another one changes nothing.
    assert_eq!(session.feed(at(6), established(SocketId::new(1, 1), 30)), [""; 0]);
    assert_eq!(session.client.socket_id(), Some(ID));
}

#[test]
fn what_comes_with_the_answer_is_not_lost() {
    let mut session = Session::new();
    let config = session.config;
    session.write(|client, tx| client.open(&config, at(0), tx)).unwrap();
    let answer = accept(&std::mem::take(&mut session.out));
    let events = session.feed(at(0), [answer, established(ID, 30)].concat());
    assert_eq!(events, [format!("{:?}", ClientEvent::Connected { socket_id: ID })]);
}

#[test]
fn an_answer_that_opens_no_websocket_is_told() {
    let mut session = Session::new();
    let config = session.config;
    session.write(|client, tx| client.open(&config, at(0), tx)).unwrap();
    let events = session.feed(at(0), b"HTTP/1.1 502 Bad Gateway\r\n\r\nsorry".to_vec());
    let error = HandshakeError::Status(502);
    assert_eq!(events, [format!("{:?}", ClientEvent::Refused { error })]);
    assert!(session.client.is_idle());
    assert_eq!(session.client.handle_eof(at(1)), None);
    session.out.clear();
    session.connect(at(2));
    assert!(session.client.is_online());
}

#[test]
fn opening_has_one_time_for_all_of_it() {
    let mut session = Session::new();
    let config = session.config;
    session.write(|client, tx| client.open(&config, at(1000), tx)).unwrap();
    let deadline = Deadline { at: at(16_000), timer: Timer::Handshake };
    assert_eq!(session.client.poll_timeout(&config), Some(deadline));
    let answer = accept(&std::mem::take(&mut session.out));
    session.feed(at(9000), answer);
    assert_eq!(session.client.poll_timeout(&config), Some(deadline));
    let timeout = session.write(|client, tx| client.handle_timeout(&config, at(15_999), tx));
    assert_eq!(timeout, Ok(Timeout::Early));
    let timeout = session.write(|client, tx| client.handle_timeout(&config, at(16_000), tx));
    assert_eq!(timeout, Ok(Timeout::Drop { advice: Advice::BackOff, timer: Timer::Handshake }));
    assert!(session.client.is_idle());
}

#[test]
fn fr_036_fr_039_fr_041_silence_is_asked_about_and_then_ends_the_connection() {
    let mut session = Session::new();
    session.upgrade(at(0));
    session.feed(at(0), established(ID, 30));
    let config = session.config;
    let deadline = Deadline { at: at(30_000), timer: Timer::Activity };
    assert_eq!(session.client.poll_timeout(&config), Some(deadline));
    let timeout = session.write(|client, tx| client.handle_timeout(&config, at(30_000), tx));
    assert_eq!(timeout, Ok(Timeout::Pinged));
    assert_eq!(session.sent(), [r#"{"event":"pusher:ping","data":{}}"#]);
    let deadline = Deadline { at: at(60_000), timer: Timer::Pong };
    assert_eq!(session.client.poll_timeout(&config), Some(deadline));

    // Any frame will do, of the websocket as well.
    session.feed(at(40_000), frame(Opcode::Pong, b""));
    let deadline = Deadline { at: at(70_000), timer: Timer::Activity };
    assert_eq!(session.client.poll_timeout(&config), Some(deadline));

    let timeout = session.write(|client, tx| client.handle_timeout(&config, at(80_000), tx));
    assert_eq!(timeout, Ok(Timeout::Pinged));
    let timeout = session.write(|client, tx| client.handle_timeout(&config, at(110_000), tx));
    assert_eq!(timeout, Ok(Timeout::Drop { advice: Advice::ReconnectNow, timer: Timer::Pong }));
    assert!(session.client.is_idle());
    assert_eq!(session.client.handle_eof(at(110_001)), None, "it has ended once");
}

#[test]
fn fr_035_what_a_connection_left_behind_does_not_hold_up_the_next_ones_pings() {
    let mut session = Session::online(&[]);
    let config = session.config;
    let full = session.client.close(at(1), &mut TxBuf::new(&mut []));
    assert!(matches!(full, Err(SendError::Capacity(_))), "{full:?}");
    let timeout = session.write(|client, tx| client.handle_timeout(&config, at(120_000), tx));
    assert_eq!(timeout, Ok(Timeout::Pinged));
    session.write(|client, tx| client.close(at(120_001), tx)).unwrap();
    let _ = session.client.handle_eof(at(120_002));
    session.out.clear();
    session.connect(at(200_000));
    session.out.clear();
    let timeout = session.write(|client, tx| client.handle_timeout(&config, at(320_000), tx));
    assert_eq!(timeout, Ok(Timeout::Pinged));
    assert_eq!(session.sent(), [r#"{"event":"pusher:ping","data":{}}"#]);
}

#[test]
fn fr_048_a_hundred_connections_in_turn_and_none_twice() {
    let mut session = Session::new();
    for round in 0..100 {
        session.connect(at(round));
        let config = session.config;
        let again = session.write(|client, tx| client.open(&config, at(round), tx));
        assert_eq!(again, Err(UsageError::NotOpen.into()));
        assert!(session.client.is_online());
        session.out.clear();
        session.write(|client, tx| client.close(at(round), tx)).unwrap();
        session.feed(at(round), frame(Opcode::Close, &[3, 232]));
        assert!(session.client.is_idle());
        session.out.clear();
    }
}

#[test]
fn fr_133_pings_are_on_time_where_a_clock_of_32_bits_wraps() {
    for wrap in [1u64 << 31, 1 << 32] {
        let mut session = Session::new();
        session.config.activity_timeout_s = 10;
        let config = session.config;
        let mut now = wrap - 5000;
        session.connect(at(now));
        session.out.clear();
        for _ in 0..6 {
            now += 10_000;
            let deadline = session.client.poll_timeout(&config);
            assert_eq!(deadline, Some(Deadline { at: at(now), timer: Timer::Activity }));
            let timeout = session.write(|client, tx| client.handle_timeout(&config, at(now), tx));
            assert_eq!(timeout, Ok(Timeout::Pinged));
            session.feed(at(now), frame(Opcode::Text, br#"{"event":"pusher:pong"}"#));
        }
    }
}

#[test]
fn the_shorter_time_of_server_and_client_rules() {
    for (announced, own, expected) in [
        (r#",\"activity_timeout\":30"#, 0, 30),
        (r#",\"activity_timeout\":300"#, 0, 120),
        (r#",\"activity_timeout\":99999999"#, 0, 120),
        (r#",\"activity_timeout\":30"#, 10, 10),
        (r#",\"activity_timeout\":0"#, 0, 120),
        ("", 0, 120),
    ] {
        let mut session = Session::new();
        session.config.activity_timeout_s = own;
        session.upgrade(at(0));
        let event = r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.2\""#;
        session.feed(at(0), frame(Opcode::Text, format!("{event}{announced}}}\"}}").as_bytes()));
        let deadline = session.client.poll_timeout(&session.config).unwrap();
        assert_eq!(deadline.at, at(expected * 1000), "{announced} {own}");
    }
}

#[test]
fn bytes_that_cannot_be_used_yet_are_no_sign_of_life() {
    let mut session = Session::online(&[]);
    let before = session.client.poll_timeout(&session.config);
    session.feed(at(50_000), b"\x81".to_vec());
    assert_eq!(session.client.poll_timeout(&session.config), before);
}

#[test]
fn fr_037_pings_of_both_kinds_are_answered() {
    let mut session = Session::online(&[]);
    let ping = frame(Opcode::Text, br#"{"event":"pusher:ping","data":{}}"#);
    assert_eq!(session.feed(at(1), [ping, frame(Opcode::Ping, b"x")].concat()), [""; 0]);
    let out = std::mem::take(&mut session.out);
    let pong = br#"{"event":"pusher:pong","data":{}}"#.to_vec();
    assert_eq!(frames(&out), [(Opcode::Text, pong), (Opcode::Pong, b"x".to_vec())]);
}

#[test]
fn fr_045_every_close_code_has_its_advice() {
    for (code, advice) in [
        (1000, Advice::BackOff),
        (4000, Advice::UseTls),
        (4001, Advice::DoNotReconnect),
        (4009, Advice::DoNotReconnect),
        (4100, Advice::BackOff),
        (4200, Advice::ReconnectNow),
        (4301, Advice::DoNotReconnect),
    ] {
        let mut session = Session::online(&[]);
        let events = session.feed(at(1), frame(Opcode::Close, &u16::to_be_bytes(code)));
        let closed = Closed { by: Initiator::Peer, code: Some(code) };
        assert_eq!(events, [format!("{:?}", ClientEvent::Closed { closed, advice })]);
        assert!(session.client.is_idle());
        assert_eq!(session.client.handle_eof(at(2)), None);
        assert_eq!(frames(&session.out)[0].0, Opcode::Close);
    }
}

#[test]
fn an_error_before_the_end_tells_what_a_missing_code_does_not() {
    for (code, end, advice) in [
        (4001, None, Advice::DoNotReconnect),
        (4200, None, Advice::ReconnectNow),
        (4100, Some(1000), Advice::BackOff),
        (4001, Some(4200), Advice::ReconnectNow),
        (4301, None, Advice::BackOff), // it ends no connection
    ] {
        let mut session = Session::new();
        session.upgrade(at(0));
        let code = ErrorCode::new(code);
        let events = session.feed(at(1), server(|tx| encode_error(tx, Some(code), &"why")));
        let error = ClientEvent::Error { code: Some(code), message: "why" };
        assert_eq!(events, [format!("{error:?}")]);
        let event = match end {
            None => format!("{:?}", session.client.handle_eof(at(2)).unwrap()),
            Some(end) => {
                session.feed(at(2), frame(Opcode::Close, &u16::to_be_bytes(end))).remove(0)
            }
        };
        let closed = Closed { by: Initiator::Peer, code: end };
        assert_eq!(event, format!("{:?}", ClientEvent::Closed { closed, advice }));
    }
}

#[test]
fn what_an_error_told_is_forgotten_with_its_connection() {
    let mut session = Session::online(&[]);
    let code = ErrorCode::APP_UNKNOWN;
    session.feed(at(1), server(|tx| encode_error(tx, Some(code), &"why")));
    let _ = session.client.handle_eof(at(2));
    session.out.clear();
    session.connect(at(3));
    let event = session.client.handle_eof(at(4));
    let closed = Closed { by: Initiator::Peer, code: None };
    assert_eq!(event, Some(ClientEvent::Closed { closed, advice: Advice::BackOff }));
}

#[test]
fn fr_031_closing_waits_for_the_servers_part_but_not_for_ever() {
    let mut session = Session::new();
    assert_eq!(
        session.write(|client, tx| client.close(at(0), tx)),
        Err(UsageError::NotOpen.into())
    );
    session.connect(at(0));
    session.write(|client, tx| client.close(at(10), tx)).unwrap();
    let out = std::mem::take(&mut session.out);
    assert_eq!(frames(&out), [(Opcode::Close, vec![3, 232])]);
    assert!(!session.client.is_online());
    // What was under way is thrown away.
    assert_eq!(session.feed(at(11), event("c", "e", "{}")), [""; 0]);
    let config = session.config;
    let deadline = Deadline { at: at(5010), timer: Timer::Close };
    assert_eq!(session.client.poll_timeout(&config), Some(deadline));
    let events = session.feed(at(12), frame(Opcode::Close, &[3, 232]));
    let closed = Closed { by: Initiator::Local, code: Some(1000) };
    let closed = ClientEvent::Closed { closed, advice: Advice::BackOff };
    assert_eq!(events, [format!("{closed:?}")]);
    assert_eq!(session.client.poll_timeout(&config), None);

    session.connect(at(20));
    session.write(|client, tx| client.close(at(20), tx)).unwrap();
    let timeout = session.write(|client, tx| client.handle_timeout(&config, at(5020), tx));
    assert_eq!(timeout, Ok(Timeout::Drop { advice: Advice::BackOff, timer: Timer::Close }));
}

#[test]
fn a_broken_rule_is_told_to_the_server() {
    let mut session = Session::online(&[]);
    // A server must not mask.
    let error = session.try_feed(at(1), b"\x81\x81\0\0\0\0x".to_vec()).unwrap_err();
    session.out.clear();
    session.write(|client, tx| client.fail(error, tx)).unwrap();
    let sent = frames(&session.out);
    assert_eq!(sent[0].0, Opcode::Close);
    assert_eq!(sent[0].1[..2], 1002u16.to_be_bytes());
    assert!(session.client.is_idle());
}

#[test]
fn fr_111_fr_120_a_message_over_the_limit_passes_by_and_is_told_with_its_size() {
    let mut session = Session::online(&["a"]);
    session.feed(at(1), succeeded("a"));
    let long = event("a", "e", &"x".repeat(600));
    let size = (long.len() - 4) as u64;
    let events = session.feed(at(1), [long, event("a", "e", "short")].concat());
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0], format!("{:?}", ClientEvent::Skipped { size }));
    assert!(events[1].contains("short"));
}

#[test]
fn what_cannot_be_read_is_told_and_the_connection_stays() {
    let mut session = Session::online(&[]);
    let events = session.feed(at(1), frame(Opcode::Text, b"[1]"));
    assert!(events[0].starts_with("Unreadable"), "{events:?}");
    let events = session.feed(at(1), frame(Opcode::Text, br#"{"event":"pusher:new_thing"}"#));
    assert_eq!(events, [""; 0]);
    assert_eq!(session.feed(at(1), frame(Opcode::Binary, b"x")), [""; 0]);
    assert!(session.client.is_online());
}

#[test]
fn without_room_a_step_changes_nothing() {
    let mut session = Session::online(&[]);
    let mut input = frame(Opcode::Text, br#"{"event":"pusher:ping","data":{}}"#);
    let before = input.clone();
    let mut memory = [0; MIN_TX - 1];
    let mut tx = TxBuf::new(&mut memory);
    let step = session.client.handle_input(at(1), &mut input, &mut tx).unwrap();
    assert_eq!((step.consumed, step.progress), (0, Progress::NeedOutput { at_least: MIN_TX }));
    assert_eq!(input, before);
    let config = session.config;
    let mut tx = TxBuf::new(&mut []);
    assert!(session.client.handle_timeout(&config, at(120_000), &mut tx).is_err());
    let deadline = session.client.poll_timeout(&config).unwrap();
    assert_eq!(deadline, Deadline { at: at(120_000), timer: Timer::Activity });
}
