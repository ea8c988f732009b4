use super::*;

#[test]
fn the_first_frame_is_connection_established() {
    let config = ServerConfig::new();
    let mut peer = Peer { conn: ServerConn::new(ID, &config, at(0)), config, out: vec![] };
    assert_eq!(peer.feed(at(0), vec![]), Ok(vec![]));
    peer.write(|conn, config, tx| conn.establish(config, at(5), tx)).unwrap();
    assert_eq!(
        texts(&peer.out),
        [
            r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1001.2001\",\"activity_timeout\":120}"}"#
        ]
    );
    let twice = peer.write(|conn, config, tx| conn.establish(config, at(5), tx));
    assert_eq!(twice, Err(SendError::Usage(UsageError::NotOpen)));
    assert!(peer.conn.is_open());
    assert_eq!(peer.conn.socket_id(), ID);
}

#[test]
fn nothing_is_read_before_the_connection_is_established() {
    let config = ServerConfig::new();
    let mut conn = ServerConn::new(ID, &config, at(0));
    let mut memory = [0; 2048];
    let mut tx = TxBuf::new(&mut memory);
    let mut input = client_frame(Opcode::Text, br#"{"event":"pusher:ping","data":{}}"#);
    let before = input.clone();
    let step = conn.handle_input(&config, at(0), &mut input, &mut tx).unwrap();
    assert_eq!((step.consumed, step.progress), (0, Progress::NeedInput { at_least: 1 }));
    assert_eq!((conn.poll_timeout(&config), tx.len()), (None, 0));
    assert_eq!(input, before);
}

#[test]
fn a_refusal_is_an_error_event_and_a_close_frame_with_one_code() {
    let config = ServerConfig::new();
    let mut peer = Peer { conn: ServerConn::new(ID, &config, at(0)), config, out: vec![] };
    peer.write(|conn, _, tx| conn.refuse(ErrorCode::APP_UNKNOWN, "no app", at(0), tx)).unwrap();
    let sent = frames(&peer.out);
    assert_eq!(sent[0], (Opcode::Text, error("4001", "no app").into_bytes()));
    assert_eq!(sent[1], (Opcode::Close, b"\x0f\xa1no app".to_vec()));
    assert_eq!(sent.len(), 2);

    // The client's echo ends it, and it was the server that began.
    let events = peer.feed(at(1), client_frame(Opcode::Close, &4001u16.to_be_bytes())).unwrap();
    let closed = Closed { by: Initiator::Local, code: Some(4001) };
    assert_eq!(events, [format!("{:?}", ServerEvent::Closed(closed))]);
    assert_eq!(peer.conn.poll_timeout(&peer.config), None);
}

#[test]
fn a_long_message_is_cut_between_characters_in_the_close_frame_alone() {
    for (message, kept) in [("é".repeat(100), 122), ("e".repeat(123), 123), ("e".repeat(124), 123)]
    {
        let mut peer = Peer::new(ServerConfig::new());
        peer.write(|conn, _, tx| conn.close(ErrorCode::RECONNECT, &message, at(0), tx)).unwrap();
        let sent = frames(&peer.out);
        assert_eq!(sent[0].1, error("4200", &message).into_bytes());
        assert_eq!(&sent[1].1[2..], &message.as_bytes()[..kept]);
    }
}

#[test]
fn a_close_that_does_not_fit_changes_nothing_and_tells_a_room_that_suffices() {
    let mut peer = Peer::new(ServerConfig::new());
    let message = "x".repeat(60);
    for room in 0..400 {
        let mut memory = vec![0; room];
        let mut tx = TxBuf::new(&mut memory);
        match peer.conn.close(ErrorCode::OVER_CAPACITY, &message, at(0), &mut tx) {
            Ok(()) => {
                assert_eq!(frames(tx.written()).len(), 2);
                return;
            }
            Err(SendError::Capacity(crate::error::CapacityError::Tx(TxFull { at_least }))) => {
                assert!(tx.is_empty() && peer.conn.is_open());
                assert!(at_least > room && at_least < 300, "{at_least} for {room}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("400 bytes were not enough");
}

#[test]
fn codes_that_must_not_close_are_refused_and_those_of_websocket_come_without_an_event() {
    let mut peer = Peer::new(ServerConfig::new());
    for code in [4300, 4301, 5000, 1005, 1006, 0, 999] {
        let result = peer.write(|conn, _, tx| conn.close(ErrorCode::new(code), "", at(0), tx));
        assert_eq!(result, Err(SendError::Usage(UsageError::CloseCode)), "{code}");
        assert!(peer.conn.is_open() && peer.out.is_empty());
    }
    peer.write(|conn, _, tx| conn.close(ErrorCode::new(1001), "bye", at(0), tx)).unwrap();
    assert_eq!(frames(&peer.out), [(Opcode::Close, b"\x03\xe9bye".to_vec())]);
    let again = peer.write(|conn, _, tx| conn.close(ErrorCode::RECONNECT, "", at(0), tx));
    assert_eq!(again, Err(SendError::Usage(UsageError::NotOpen)));
}

#[test]
fn the_clients_close_frame_is_answered_and_reported() {
    for (body, code) in [(&b"\x03\xe8bye"[..], Some(1000)), (&b""[..], None)] {
        let mut peer = Peer::new(ServerConfig::new());
        let events = peer.feed(at(0), client_frame(Opcode::Close, body)).unwrap();
        let closed = Closed { by: Initiator::Peer, code };
        assert_eq!(events, [format!("{:?}", ServerEvent::Closed(closed))]);
        assert_eq!(frames(&peer.out)[0].0, Opcode::Close);
        assert!(!peer.conn.is_open());
        assert_eq!(peer.conn.poll_timeout(&peer.config), None);
    }
}

#[test]
fn the_end_of_the_transport_tells_who_began_to_close() {
    let mut peer = Peer::new(ServerConfig::new());
    assert_eq!(peer.conn.handle_eof(), Closed { by: Initiator::Peer, code: None });
    let mut peer = Peer::new(ServerConfig::new());
    peer.write(|conn, _, tx| conn.close(ErrorCode::RECONNECT, "", at(0), tx)).unwrap();
    assert_eq!(peer.conn.handle_eof(), Closed { by: Initiator::Local, code: None });
}

#[test]
fn a_broken_frame_ends_the_connection_with_its_close_code() {
    let mut peer = Peer::new(ServerConfig::new());
    let mut unmasked = client_frame(Opcode::Text, b"{}");
    unmasked[1] &= 0x7f;
    let broken = peer.feed(at(0), unmasked).unwrap_err();
    assert_eq!(broken, PeerError::MaskMissing);
    peer.write(|conn, _, tx| conn.fail(broken, tx)).unwrap();
    assert_eq!(frames(&peer.out)[0].1[..2], 1002u16.to_be_bytes());
    assert!(!peer.conn.is_open());
}

#[test]
fn input_after_the_close_frame_does_not_delay_the_end() {
    let mut peer = Peer::new(ServerConfig::new());
    peer.write(|conn, _, tx| conn.close(ErrorCode::RECONNECT, "", at(10), tx)).unwrap();
    peer.out.clear();
    let frame = client_frame(Opcode::Text, br#"{"event":"pusher:ping"}"#);
    assert_eq!(peer.feed(at(4000), frame), Ok(vec![]));
    assert_eq!(peer.out, b"");
    let next = Deadline { at: at(5010), timer: Timer::Close };
    assert_eq!(peer.conn.poll_timeout(&peer.config), Some(next));
}

#[test]
fn a_step_without_room_changes_nothing() {
    let config = ServerConfig::new();
    let mut peer = Peer::new(config);
    let mut memory = vec![0; MIN_TX - 1];
    let mut tx = TxBuf::new(&mut memory);
    let mut input = client_frame(Opcode::Text, br#"{"event":"pusher:ping"}"#);
    let before = input.clone();
    let step = peer.conn.handle_input(&config, at(99), &mut input, &mut tx).unwrap();
    assert_eq!((step.consumed, step.progress), (0, Progress::NeedOutput { at_least: MIN_TX }));
    assert_eq!(input, before);
    assert_eq!(peer.conn.poll_timeout(&config).unwrap().at, at(120_000));
    assert_eq!(peer.feed(at(99), input), Ok(vec![]));
}
