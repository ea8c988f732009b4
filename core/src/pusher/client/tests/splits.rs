use proptest::prelude::*;

use super::*;

/// Everything that a server may say, one piece each.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(event("a", "e", "{\"n\":1}")),
        Just(event("b", "e", "\"\u{e9}\\\"")),
        Just(succeeded("a")),
        Just(succeeded("private-b")),
        Just(frame(Opcode::Ping, b"p")),
        Just(frame(Opcode::Pong, b"")),
        Just(frame(Opcode::Text, br#"{"event":"pusher:ping"}"#)),
        Just(frame(Opcode::Text, b"nothing")),
        Just(event("a", "long", &"x".repeat(700))),
        Just(server(|tx| encode_error(tx, Some(ErrorCode::CLIENT_EVENT_REJECTED), &"no"))),
        Just(server(|tx| encode_member_added(tx, "a", "u", None))),
    ]
}

/// What a client makes of `input` in parts of these sizes, and of a last one with the rest.
fn run(input: &[u8], sizes: &[usize]) -> (Vec<String>, Vec<(Opcode, Vec<u8>)>) {
    let mut session = Session::new();
    session.client.subscribe("a").unwrap();
    session.client.subscribe("private-b").unwrap();
    session.connect(at(0));
    session.out.clear();
    let mut events = vec![];
    let mut waiting: Vec<u8> = vec![];
    let mut rest = input;
    let mut sizes = sizes.iter();
    while !rest.is_empty() {
        let take = sizes.next().map_or(rest.len(), |size| (*size).clamp(1, rest.len()));
        waiting.extend_from_slice(&rest[..take]);
        rest = &rest[take..];
        loop {
            let (consumed, event, more) = session.write(|client, tx| {
                let step = client.handle_input(at(1), &mut waiting, tx).unwrap();
                let more = !matches!(step.progress, Progress::NeedInput { .. });
                match step.progress {
                    Progress::Event(event) => (step.consumed, Some(format!("{event:?}")), more),
                    _ => (step.consumed, None, more),
                }
            });
            waiting.drain(..consumed);
            events.extend(event);
            if !more {
                break;
            }
        }
    }
    let sent = frames(&session.out);
    (events, sent)
}

proptest! {
    #[test]
    fn events_do_not_depend_on_how_the_input_is_cut(
        pieces in prop::collection::vec(pieces(), 1..8),
        sizes in prop::collection::vec(1usize..40, 0..60),
    ) {
        let input = pieces.concat();
        let whole = run(&input, &[]);
        prop_assert_eq!(&run(&input, &sizes), &whole);
        prop_assert_eq!(&run(&input, &vec![1; input.len()]), &whole);
    }

    #[test]
    fn any_bytes_give_progress_a_need_or_an_error(
        opening in any::<bool>(),
        mut input in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut session = Session::new();
        session.client.subscribe("private-b").unwrap();
        let config = session.config;
        if opening {
            session.write(|client, tx| client.open(&config, at(0), tx)).unwrap();
        } else {
            session.connect(at(0));
        }
        for _ in 0..2 * input.len() + 8 {
            let mut memory = [0; 512];
            let mut tx = TxBuf::new(&mut memory);
            let Ok(step) = session.client.handle_input(at(1), &mut input, &mut tx) else {
                return Ok(());
            };
            let (consumed, done) =
                (step.consumed, matches!(step.progress, Progress::NeedInput { .. }));
            prop_assert!(consumed <= input.len());
            if done {
                return Ok(());
            }
            input.drain(..consumed);
        }
        prop_assert!(false, "it never asks for input");
    }
}
