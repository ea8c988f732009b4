//! A connection whose peer sends anything.

use tidings_core::io::{Progress, Step, TxBuf};
use tidings_core::limits::Limits;
use tidings_core::websocket::{Connection, Event, MIN_TX, Masking, PeerError, Role, State};

use super::cuts::Cuts;
use super::model::{self, Reading, Seen};

/// Runs `connection` over what the peer sends; see [`websocket_session`](super::websocket_session).
pub(super) fn hostile<M: Masking>(
    mut connection: Connection<M>,
    limits: Limits,
    sent: &[u8],
    cuts: u8,
) {
    let expected = model::read(M::ROLE, limits, sent);
    let (reading, answers) = run(&mut connection, sent, Cuts::new(cuts));
    assert_eq!(reading, expected);

    let peer = match M::ROLE {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    };
    let answers = model::read(peer, Limits::new(), &answers);
    assert_eq!(answers, Reading { seen: answers_to(&expected), error: None });

    let answered = matches!(expected.seen.last(), Some(Seen::Close(..)));
    let state = match (expected.error, answered) {
        (Some(_), _) => State::Closed,
        (None, true) => State::RemoteClosing,
        (None, false) => State::Open,
    };
    assert_eq!(connection.state(), state);
    let lost = if state == State::Open { Err(PeerError::EndOfStream) } else { Ok(()) };
    assert_eq!(connection.handle_eof(), lost);
}

/// What the connection owes the peer for what it saw.
fn answers_to(reading: &Reading) -> Vec<Seen> {
    let mut answers = Vec::new();
    for seen in &reading.seen {
        match seen {
            Seen::Ping(payload) => answers.push(Seen::Pong(payload.clone())),
            Seen::Close(code, _) => answers.push(Seen::Close(*code, String::new())),
            Seen::Message(..) | Seen::Pong(_) | Seen::Skipped(_) => {}
        }
    }
    if let Some(error) = reading.error {
        answers.push(Seen::Close(Some(error.close_code().as_u16()), error.reason().to_owned()));
    }
    answers
}

/// Steps through all that is sent; returns what was reported and all that was written.
fn run<M: Masking>(
    connection: &mut Connection<M>,
    mut sent: &[u8],
    mut cuts: Cuts,
) -> (Reading, Vec<u8>) {
    let mut reading = Reading::default();
    let mut written = Vec::new();
    let mut memory = [0; MIN_TX + 30];
    let mut tx = TxBuf::new(&mut memory);
    let mut buffer = Vec::new();
    let mut steps = 16 + 8 * sent.len();
    loop {
        steps = steps.checked_sub(1).expect("the connection to make progress");
        let room = tx.remaining();
        let Step { consumed, progress } = match connection.handle_input(&mut buffer, &mut tx) {
            Ok(step) => step,
            Err(error) => {
                connection.fail(error, &mut tx).expect("room for the close frame");
                reading.error = Some(error);
                break;
            }
        };
        let starved = matches!(progress, Progress::NeedInput { .. });
        match progress {
            Progress::Event(event) => {
                let event = see(event);
                let last = matches!(event, Seen::Close(..));
                reading.seen.push(event);
                if last {
                    break;
                }
            }
            Progress::Advanced => {}
            Progress::NeedInput { at_least } => assert!(at_least >= 1),
            Progress::NeedOutput { at_least } => {
                assert!(room < at_least && at_least <= MIN_TX && consumed == 0);
                written.extend_from_slice(tx.written());
                tx.clear();
            }
        }
        buffer.drain(..consumed);
        if starved {
            if sent.is_empty() {
                break;
            }
            buffer.extend_from_slice(cuts.take(&mut sent));
        }
    }
    written.extend_from_slice(tx.written());
    (reading, written)
}

pub(super) fn see(event: Event<'_>) -> Seen {
    match event {
        Event::Message { kind, payload } => Seen::Message(kind, payload.to_vec()),
        Event::Ping(payload) => Seen::Ping(payload.to_vec()),
        Event::Pong(payload) => Seen::Pong(payload.to_vec()),
        Event::Skipped { size } => Seen::Skipped(size),
        Event::Closed { code, reason } => {
            Seen::Close(code.map(|code| code.as_u16()), reason.to_owned())
        }
        other => panic!("{other:?} on a connection that hands out whole messages"),
    }
}
