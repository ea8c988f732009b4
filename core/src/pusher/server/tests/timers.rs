use super::*;

/// FR-033: whatever a client sends shows that it lives.
#[test]
fn every_kind_of_input_is_activity_and_pings_are_answered() {
    for (frame, answer) in [
        (client_frame(Opcode::Ping, b"x"), Some((Opcode::Pong, b"x".to_vec()))),
        (client_frame(Opcode::Pong, b""), None),
        (client_frame(Opcode::Text, br#"{"event":"pusher:pong","data":{}}"#), None),
        (
            client_frame(Opcode::Text, br#"{"event": "pusher:ping"}"#),
            Some((Opcode::Text, br#"{"event":"pusher:pong","data":{}}"#.to_vec())),
        ),
    ] {
        let mut peer = Peer::new(ServerConfig::new());
        let ping = peer.write(|conn, config, tx| conn.handle_timeout(config, at(120_000), tx));
        assert_eq!(ping, Ok(Timeout::Pinged));
        peer.out.clear();
        assert_eq!(peer.feed(at(149_999), frame), Ok(vec![]));
        assert_eq!(frames(&peer.out), Vec::from_iter(answer));
        let next = Deadline { at: at(149_999 + 120_000), timer: Timer::Activity };
        assert_eq!(peer.conn.poll_timeout(&peer.config), Some(next));
    }
}

/// FR-034: silence, ping, silence, 4201, silence, drop; each at its time and not before.
#[test]
fn a_silent_client_is_pinged_then_closed_then_dropped() {
    let mut peer = Peer::new(ServerConfig::new());
    for (due, timer, outcome) in [
        (120_000, Timer::Activity, Timeout::Pinged),
        (150_000, Timer::Pong, Timeout::Closing),
        (155_000, Timer::Close, Timeout::Drop),
    ] {
        assert_eq!(peer.conn.poll_timeout(&peer.config), Some(Deadline { at: at(due), timer }));
        peer.out.clear();
        let mut tick = |now| peer.write(|conn, config, tx| conn.handle_timeout(config, now, tx));
        assert_eq!(tick(at(due - 1)), Ok(Timeout::Early));
        assert_eq!(tick(at(due)), Ok(outcome));
        let sent = frames(&peer.out);
        match outcome {
            Timeout::Pinged => assert_eq!(sent, [(Opcode::Ping, vec![])]),
            Timeout::Closing => {
                let text = "Pong reply not received in time";
                assert_eq!(sent[0].1, error("4201", text).into_bytes());
                assert_eq!(sent[1].1[..2], 4201u16.to_be_bytes());
            }
            Timeout::Drop | Timeout::Early => assert_eq!(sent, []),
        }
    }
    assert_eq!(peer.conn.poll_timeout(&peer.config), None);
    let late = peer.write(|conn, config, tx| conn.handle_timeout(config, at(u64::MAX), tx));
    assert_eq!(late, Ok(Timeout::Early));
}

/// FR-040: a timeout of 0 is the default, never a busy loop and never off.
#[test]
fn zero_seconds_stand_for_the_defaults() {
    let mut config = ServerConfig::new();
    (config.activity_timeout_s, config.pong_timeout_s, config.close_timeout_s) = (0, 0, 0);
    let mut peer = Peer::new(config);
    for due in [120_000, 150_000, 155_000] {
        assert_eq!(peer.conn.poll_timeout(&config).map(|deadline| deadline.at), Some(at(due)));
        let tick = peer.write(|conn, config, tx| conn.handle_timeout(config, at(due), tx));
        assert_ne!(tick, Ok(Timeout::Early));
    }
    assert_eq!(config.effective_activity_timeout_s(), 120);
    config.activity_timeout_s = 1;
    assert_eq!(config.effective_activity_timeout_s(), 1);
}

/// FR-038: after a suspension the client still has its whole time to answer.
#[test]
fn a_late_timer_pings_before_it_gives_up() {
    let mut peer = Peer::new(ServerConfig::new());
    let tick = peer.write(|conn, config, tx| conn.handle_timeout(config, at(900_000), tx));
    assert_eq!(tick, Ok(Timeout::Pinged));
    let next = Deadline { at: at(930_000), timer: Timer::Pong };
    assert_eq!(peer.conn.poll_timeout(&peer.config), Some(next));
}

#[test]
fn a_timer_without_room_stays_due() {
    let mut peer = Peer::new(ServerConfig::new());
    let mut none = TxBuf::new(&mut []);
    let config = peer.config;
    let full = peer.conn.handle_timeout(&config, at(120_000), &mut none);
    assert_eq!(full, Err(TxFull { at_least: 2 }));
    assert_eq!(peer.conn.poll_timeout(&config).unwrap().timer, Timer::Activity);
}

#[test]
fn a_step_without_input_is_no_activity() {
    let mut peer = Peer::new(ServerConfig::new());
    assert_eq!(peer.feed(at(60_000), vec![]), Ok(vec![]));
    assert_eq!(peer.conn.poll_timeout(&peer.config).map(|next| next.at), Some(at(120_000)));
    let first_byte = client_frame(Opcode::Ping, b"x")[..1].to_vec();
    let mut input = first_byte;
    peer.write(|conn, config, tx| {
        let step = conn.handle_input(config, at(70_000), &mut input, tx).unwrap();
        assert_eq!(step.consumed, 0);
    });
    assert_eq!(peer.conn.poll_timeout(&peer.config).map(|next| next.at), Some(at(190_000)));
}

/// What is sent shows nothing about the client: only input moves the deadline.
#[test]
fn sending_does_not_extend_the_deadline() {
    let mut peer = Peer::new(ServerConfig::new());
    peer.write(|conn, config, tx| {
        let early = conn.handle_timeout(config, at(100_000), tx);
        assert_eq!(early, Ok(Timeout::Early));
    });
    let ping = peer.write(|conn, config, tx| conn.handle_timeout(config, at(125_000), tx));
    assert_eq!(ping, Ok(Timeout::Pinged));
    let next = Deadline { at: at(155_000), timer: Timer::Pong };
    assert_eq!(peer.conn.poll_timeout(&peer.config), Some(next));
}
