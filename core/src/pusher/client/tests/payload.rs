use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Reading<'a> {
    celsius: f64,
    ratio: f32,
    count: u64,
    delta: i32,
    on: bool,
    name: &'a str,
    label: heapless::String<16>,
    last: Option<i8>,
    position: Position,
    samples: [i16; 3],
    mode: Mode,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Position {
    x: i32,
    y: i32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Mode {
    Idle,
    Busy,
}

fn reading() -> Reading<'static> {
    Reading {
        celsius: 21.5,
        ratio: -0.25,
        count: u64::MAX,
        delta: i32::MIN,
        on: true,
        name: "a",
        label: "b".try_into().unwrap(),
        last: None,
        position: Position { x: -1, y: 2 },
        samples: [1, -2, 3],
        mode: Mode::Busy,
    }
}

/// A client with a private channel in force.
fn session() -> (Session, ChannelId) {
    let mut session = Session::new();
    let channel = session.client.subscribe("private-a").unwrap();
    session.connect(at(0));
    session.write(|client, tx| client.authorize(channel, ID, "k:s", None, tx)).unwrap();
    session.feed(at(0), succeeded("private-a"));
    session.out.clear();
    (session, channel)
}

/// The data of the event that `value` is sent as.
fn sent(value: &impl Serialize) -> String {
    let (mut session, channel) = session();
    session.write(|client, tx| client.trigger_value(channel, "client-e", value, tx)).unwrap();
    let frame = session.sent().remove(0);
    let data = frame.strip_prefix(r#"{"event":"client-e","data":"#).unwrap();
    data.strip_suffix(r#","channel":"private-a"}"#).unwrap().into()
}

#[test]
fn a_value_is_sent_as_json_and_read_back() {
    let text = sent(&reading());
    let expected = concat!(
        r#"{"celsius":21.5,"ratio":-0.25,"count":18446744073709551615,"delta":-2147483648,"on":true,"name":"a","#,
        r#""label":"b","last":null,"position":{"x":-1,"y":2},"samples":[1,-2,3],"mode":"Busy"}"#
    );
    assert_eq!(text, expected);
    assert_eq!(parse_payload(&text, &mut []), Ok(reading()));
}

#[test]
fn a_value_that_does_not_fit_leaves_nothing_behind() {
    let (mut session, channel) = session();
    let whole = sent(&reading()).len() + 6 + 55;
    for room in 0..whole + 20 {
        let mut memory = vec![0; room];
        let mut tx = TxBuf::new(&mut memory);
        match session.client.trigger_value(channel, "client-e", &reading(), &mut tx) {
            Ok(()) => return assert!(room >= whole - 10, "{room} of {whole}"),
            Err(SendError::Capacity(CapacityError::Tx(full))) => {
                assert!(tx.is_empty());
                assert!(full.at_least > room, "{room}: {full:?}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it never fits");
}

#[test]
fn a_payload_of_another_type_is_told_apart_from_one_that_is_no_json() {
    for (data, memory, error) in [
        (r#"{"x":1}"#, 0, PayloadError::Type),
        (r#"{"x":"1","y":2}"#, 0, PayloadError::Type),
        (r#"{"x":1,"y":99999999999}"#, 0, PayloadError::Type),
        (r#"{"x":1,"y":"#, 0, PayloadError::Json),
        (r#"{"x":1,"y":2} x"#, 0, PayloadError::Json),
        ("", 0, PayloadError::Json),
    ] {
        let mut memory = vec![0; memory];
        assert_eq!(parse_payload::<Position>(data, &mut memory), Err(error), "{data}");
    }
    let text = r#""a\n""#;
    type Text = heapless::String<4>;
    assert_eq!(parse_payload::<Text>(text, &mut [0; 1]), Err(PayloadError::Memory));
    assert_eq!(parse_payload::<Text>(text, &mut [0; 2]).as_deref(), Ok("a\n"));
    assert_eq!(parse_payload::<&str>(text, &mut [0; 2]), Err(PayloadError::Type));
    assert_eq!(
        parse_payload(" {\"x\":1,\"z\":[{}],\"y\":2} ", &mut []),
        Ok(Position { x: 1, y: 2 })
    );
    use std::string::ToString as _;
    assert_eq!(PayloadError::Type.to_string(), "the payload is not of this type");
}

proptest! {
    #[test]
    fn values_come_back_as_they_went(
        numbers in any::<(u64, i32, bool, Option<i8>, i32, [i16; 3])>(),
        thousandths in -1_000_000i32..1_000_000,
        name in "[a-z é🎉]{0,12}",
        label in "[ -~\n]{0,16}",
    ) {
        let (count, delta, on, last, x, samples) = numbers;
        let value = Reading {
            celsius: f64::from(thousandths) / 1000.0,
            count, delta, on, last, samples,
            name: &name,
            label: label.as_str().try_into().unwrap(),
            position: Position { x, y: delta },
            ..reading()
        };
        let text = sent(&value);
        let mut memory = [0; 64];
        prop_assert_eq!(parse_payload(&text, &mut memory), Ok(value));
    }
}
