use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;
use crate::io::TxBuf;

fn parse(text: &str) -> Result<Raw<'_>, JsonError> {
    Raw::parse(text.as_bytes(), Limits::new())
}

fn written(write: impl Fn(&mut TxBuf<'_>) -> Result<(), crate::error::TxFull>) -> String {
    let mut memory = [0; 4096];
    let mut tx = TxBuf::new(&mut memory);
    write(&mut tx).unwrap();
    let text = String::from_utf8(tx.written().to_vec()).unwrap();
    // One byte less room: nothing is written, and the need is told exactly.
    let mut small = vec![0; text.len().saturating_sub(1)];
    let mut tx = TxBuf::new(&mut small);
    if !text.is_empty() {
        assert_eq!(write(&mut tx).unwrap_err().at_least, text.len());
        assert!(tx.is_empty());
    }
    text
}

#[test]
fn the_grammar_is_kept_strictly() {
    for text in [
        "null",
        " true\n",
        "\t[ ]\r",
        "{ }",
        "0",
        "-0",
        "10",
        "1.5",
        "1e5",
        "1E+5",
        "-0.0e-0",
        r#""""#,
        r#""\u0000\/\b\f\n\r\t\"\\""#,
        r#"{"a":{"b":[1,{"c":null}]},"a":2}"#,
        "\"\u{7f}\u{2028}\"",
        r#""\ud83d\ude00 \ud800""#,
    ] {
        assert!(parse(text).is_ok(), "{text:?}");
    }
    for (text, kind, at) in [
        ("", JsonErrorKind::End, 0),
        ("  ", JsonErrorKind::End, 2),
        ("[1,", JsonErrorKind::End, 3),
        ("[1 2]", JsonErrorKind::Syntax, 3),
        ("[1,]", JsonErrorKind::Syntax, 3),
        ("[}", JsonErrorKind::Syntax, 1),
        ("[1}", JsonErrorKind::Syntax, 2),
        ("{1:2}", JsonErrorKind::Syntax, 1),
        (r#"{"a" 1}"#, JsonErrorKind::Syntax, 5),
        (r#"{"a":1,}"#, JsonErrorKind::Syntax, 7),
        (r#"{"a":}"#, JsonErrorKind::Syntax, 5),
        ("{'a':1}", JsonErrorKind::Syntax, 1),
        ("01", JsonErrorKind::Number, 1),
        ("-", JsonErrorKind::Number, 1),
        ("1.", JsonErrorKind::Number, 2),
        ("1.e5", JsonErrorKind::Number, 2),
        ("1e", JsonErrorKind::Number, 2),
        (".5", JsonErrorKind::Syntax, 0),
        ("+1", JsonErrorKind::Syntax, 0),
        ("tru", JsonErrorKind::Syntax, 0),
        ("NaN", JsonErrorKind::Syntax, 0),
        ("nullx", JsonErrorKind::Trailing, 4),
        ("{} {}", JsonErrorKind::Trailing, 3),
        ("\"a\nb\"", JsonErrorKind::ControlCharacter, 2),
        ("\"a\u{0}b\"", JsonErrorKind::ControlCharacter, 2),
        (r#""\x""#, JsonErrorKind::Escape, 1),
        (r#""\u12g4""#, JsonErrorKind::Escape, 1),
        (r#""\u12"#, JsonErrorKind::End, 1),
        (r#""\"#, JsonErrorKind::End, 1),
        (r#""abc"#, JsonErrorKind::End, 4),
        ("\u{feff}{}", JsonErrorKind::Syntax, 0),
        ("/* */ 1", JsonErrorKind::Syntax, 0),
    ] {
        assert_eq!(parse(text), Err(JsonError { kind, at }), "{text:?}");
    }
    assert_eq!(
        Raw::parse(b"\"a\xff\"", Limits::new()),
        Err(JsonError { kind: JsonErrorKind::Utf8, at: 2 })
    );
}

#[test]
fn nesting_up_to_the_limit_passes_and_one_more_does_not() {
    for (depth, max) in [(64, 64), (1, 1), (32, 32), (64, 200)] {
        for (open, close) in [("[", "]"), (r#"{"":"#, "}")] {
            let limits = Limits::new().max_depth(max);
            let text = |n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
            assert!(Raw::parse(text(depth).as_bytes(), limits).is_ok());
            let error = Raw::parse(text(depth + 1).as_bytes(), limits).unwrap_err();
            assert_eq!(error.kind, JsonErrorKind::Depth);
            assert_eq!(error.at, open.len() * depth);
        }
    }
    assert!(Raw::parse(b"1", Limits::new().max_depth(0)).is_ok());
    assert!(Raw::parse(b"[]", Limits::new().max_depth(0)).is_err());
    let deep = "[".repeat(1_000_000);
    assert_eq!(parse(&deep).unwrap_err().kind, JsonErrorKind::Depth);
}

#[test]
fn members_come_in_order_and_the_last_of_a_name_counts() {
    let value = parse(r#" { "a" : 1 , "b\u0061" : [ 2, {} ], "a":"x" } "#).unwrap();
    let members: Vec<_> = value.members().map(|(k, v)| (k.as_str(), v.text())).collect();
    assert_eq!(members, [("a", "1"), (r"b\u0061", "[ 2, {} ]"), ("a", r#""x""#)]);
    assert_eq!(value.member("a").unwrap().text(), r#""x""#);
    assert_eq!(value.member("ba").unwrap().elements().count(), 2);
    assert_eq!(value.member("c"), None);
    assert_eq!(parse("[1]").unwrap().members().count(), 0);
    assert_eq!(parse("{}").unwrap().elements().count(), 0);
    assert_eq!(parse("[[1,2],[],3]").unwrap().elements().count(), 3);
}

#[test]
fn the_object_reader_checks_what_it_passes() {
    let collect = |text: &'static str| {
        let mut reader = ObjectReader::new(text, Limits::new())?;
        let mut names = Vec::new();
        while let Some((name, _)) = reader.next_member()? {
            names.push(name.as_str());
        }
        assert_eq!(reader.next_member(), Ok(None));
        Ok::<_, JsonError>(names)
    };
    assert_eq!(collect(r#" {"a":[1],"b":{"c":2}} "#), Ok(vec!["a", "b"]));
    assert_eq!(collect("{}"), Ok(vec![]));
    for (text, kind) in [
        ("[1]", JsonErrorKind::Kind),
        (r#""x""#, JsonErrorKind::Kind),
        ("", JsonErrorKind::End),
        ("not json", JsonErrorKind::Kind),
        ("oops", JsonErrorKind::Syntax),
        (r#"{"a":1} x"#, JsonErrorKind::Trailing),
        (r#"{"a":1 "b":2}"#, JsonErrorKind::Syntax),
        (r#"{"a":1,}"#, JsonErrorKind::Syntax),
        (r#"{,"a":1}"#, JsonErrorKind::Syntax),
        (r#"{"a":1"#, JsonErrorKind::End),
    ] {
        assert_eq!(collect(text).unwrap_err().kind, kind, "{text}");
    }
}

#[test]
fn an_error_ends_the_object_reader() {
    let mut reader = ObjectReader::new(r#"{"a":?,"b":1}"#, Limits::new()).unwrap();
    assert!(reader.next_member().is_err());
    assert_eq!(reader.next_member(), Ok(None));
}

#[test]
fn scalars_are_read_by_kind() {
    let value = |text| parse(text).unwrap();
    assert_eq!(value("18446744073709551615").as_u64(), Some(u64::MAX));
    assert_eq!(value("18446744073709551616").as_u64(), None);
    assert_eq!(value("-5").as_i64(), Some(-5));
    assert_eq!(value("-5").as_u64(), None);
    assert_eq!(value("1.0").as_u64(), None);
    assert_eq!(value("1e2").as_i64(), None);
    assert_eq!(value(r#""1""#).as_u64(), None);
    assert_eq!(value("1e2").as_number_text(), Some("1e2"));
    assert_eq!(value(r#""1""#).as_number_text(), None);
    assert_eq!(value("true").as_bool(), Some(true));
    assert_eq!(value("false").as_bool(), Some(false));
    assert_eq!(value("null").as_bool(), None);
    assert!(value("null").is_null());
    assert!(value("1").as_str_raw().is_none());
    for (text, kind) in [
        ("[]", Kind::Array),
        ("true", Kind::Bool),
        ("null", Kind::Null),
        ("-1", Kind::Number),
        ("{}", Kind::Object),
        (r#""""#, Kind::String),
    ] {
        assert_eq!(value(text).kind(), kind);
    }
}

#[test]
fn a_surrogate_without_its_half_becomes_the_replacement_character() {
    for (text, meaning) in [
        (r"\ud83c\udf89", "🎉"),
        (r"\uD83C\uDF89", "🎉"),
        (r"\ud83c", "\u{fffd}"),
        (r"\udf89", "\u{fffd}"),
        (r"\ud83cx", "\u{fffd}x"),
        (r"\ud83c\n", "\u{fffd}\n"),
        (r"\ud83c\u0041", "\u{fffd}A"),
        (r"\ud83c\ud83c\udf89", "\u{fffd}🎉"),
        (r"\udf89\ud83c", "\u{fffd}\u{fffd}"),
        (r"\udf89\udf89", "\u{fffd}\u{fffd}"),
    ] {
        let escaped = EscapedJson::parse(text).unwrap();
        assert_eq!(escaped.chars().collect::<String>(), meaning, "{text}");
        assert_eq!(escaped.unescaped_len(), meaning.len(), "{text}");
        assert!(escaped.unescaped_eq(meaning), "{text}");
        assert_eq!(unescape(&mut text.to_string().into_bytes()), Ok(meaning), "{text}");
    }
}

#[test]
fn text_that_equals_the_escapes_does_not_equal_their_meaning() {
    let escaped = EscapedJson::parse(r"a\n").unwrap();
    assert!(!escaped.unescaped_eq(r"a\n"));
    assert!(escaped.unescaped_eq("a\n"));
    assert!(!escaped.unescaped_eq("a"));
    assert!(!escaped.unescaped_eq("a\nb"));
    assert!(escaped.unescaped_starts_with("a"));
    assert!(escaped.unescaped_starts_with("a\n"));
    assert!(!escaped.unescaped_starts_with("a\nb"));
    assert!(EscapedJson::parse(r"\u0063lient-").unwrap().unescaped_starts_with("client-"));
}

#[test]
fn only_the_inside_of_a_literal_is_taken_as_one() {
    for text in ["", "abc", r#"\"\u00e9"#, "é"] {
        assert_eq!(EscapedJson::parse(text).map(EscapedJson::as_str), Ok(text));
    }
    for text in ["\"", "a\"b", "a\nb", r"\", r"\u00", r"\x", r#"\\""#] {
        assert!(EscapedJson::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_broken_escape_is_reported_by_unescape() {
    for text in [r"ab\", r"ab\x", r"ab\u12", r"ab\u12g4"] {
        let error = unescape(&mut text.to_string().into_bytes()).unwrap_err();
        assert_eq!((error.kind, error.at), (JsonErrorKind::Escape, 2), "{text}");
    }
    assert_eq!(unescape(&mut [b'a', 0xff]).unwrap_err().kind, JsonErrorKind::Utf8);
}

#[test]
fn escapes_take_their_short_form() {
    let text = "\u{0}\u{1}\u{8}\t\n\u{b}\u{c}\r\u{1f} \"\\/\u{7f}é\u{2028}🎉";
    let escaped = r#"\u0000\u0001\b\t\n\u000b\f\r\u001f \"\\/"#.to_string() + "\u{7f}é\u{2028}🎉";
    assert_eq!(written(|tx| escape_into(tx, text)), escaped);
    assert_eq!(written(|tx| escape_into(tx, "")), "");
}

#[test]
fn white_space_goes_outside_strings_and_stays_inside() {
    let value = parse("{ \"a b\" :\t[ 1 ,\n2 ], \"c\\\" d\\\\\" : \" x \" }").unwrap();
    let compact = r#"{"a b":[1,2],"c\" d\\":" x "}"#;
    assert_eq!(written(|tx| compact_into(tx, value)), compact);
    assert_eq!(compact_len(value), compact.len());
    assert_eq!(
        written(|tx| compact_escape_into(tx, value)),
        written(|tx| escape_into(tx, compact))
    );
}

#[test]
fn decimals_have_no_leading_zero() {
    for number in [0, 1, 9, 10, 99, 100, 12_345, u64::MAX / 10, u64::MAX - 1, u64::MAX] {
        assert_eq!(written(|tx| put_decimal(tx, number)), number.to_string());
        assert_eq!(decimal_len(number), number.to_string().len());
    }
}

#[test]
fn sizes_are_pinned() {
    assert!(size_of::<Raw<'_>>() <= 16);
    assert!(size_of::<EscapedJson<'_>>() <= 16);
    assert!(size_of::<JsonError>() <= 16);
}

/// Texts near JSON: its tokens in any order.
fn tokens() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just(" "),
        Just("\""),
        Just("\"a\""),
        Just("\"b\":"),
        Just("1"),
        Just("-0.5e+7"),
        Just("0"),
        Just("true"),
        Just("null"),
        Just("\\u00e9"),
        Just("\\ud83d"),
        Just("\\n"),
        Just("\\"),
        Just("\n"),
        Just("é"),
    ];
    prop::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Rebuilds a value through this reader.
fn rebuild(raw: Raw<'_>) -> Value {
    match raw.kind() {
        Kind::Object => {
            Value::Object(raw.members().map(|(k, v)| (k.chars().collect(), rebuild(v))).collect())
        }
        Kind::Array => raw.elements().map(rebuild).collect(),
        Kind::String => Value::String(raw.as_str_raw().unwrap().chars().collect()),
        Kind::Null => Value::Null,
        Kind::Bool => Value::Bool(raw.as_bool().unwrap()),
        Kind::Number => serde_json::from_str(raw.text()).unwrap(),
    }
}

proptest! {
    #[test]
    fn the_same_texts_are_json_as_for_serde_json(text in prop_oneof![tokens(), any::<String>()]) {
        let theirs = serde_json::from_str::<&RawValue>(&text);
        let ours = parse(&text);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs);
        if let Ok(ours) = ours {
            prop_assert_eq!(ours.text(), theirs.unwrap().get());
        }
    }

    #[test]
    fn any_bytes_end_in_a_value_or_an_error_inside_the_text(bytes: Vec<u8>) {
        match Raw::parse(&bytes, Limits::new()) {
            Ok(value) => prop_assert!(value.text().len() <= bytes.len()),
            Err(error) => prop_assert!(error.at <= bytes.len()),
        }
    }

    #[test]
    fn a_value_means_what_serde_json_wrote(value in value(), pretty: bool) {
        let text = if pretty {
            serde_json::to_string_pretty(&value).unwrap()
        } else {
            value.to_string()
        };
        let raw = parse(&text).unwrap();
        // Numbers are compared as serde_json reads them back.
        prop_assert_eq!(rebuild(raw), serde_json::from_str::<Value>(&text).unwrap());
        let mut memory = vec![0; text.len()];
        let mut tx = TxBuf::new(&mut memory);
        compact_into(&mut tx, raw).unwrap();
        prop_assert_eq!(core::str::from_utf8(tx.written()).unwrap(), value.to_string());
    }

    #[test]
    fn reading_undoes_escaping(text: String) {
        let escaped = written(|tx| escape_into(tx, &text));
        prop_assert_eq!(&format!("\"{escaped}\""), &serde_json::to_string(&text).unwrap());
        prop_assert_eq!(escaped_len(&text), escaped.len());
        let span = EscapedJson::parse(&escaped).unwrap();
        prop_assert_eq!(span.unescaped_len(), text.len());
        prop_assert_eq!(span.is_plain(), escaped == text);
        prop_assert!(span.unescaped_eq(&text));
        prop_assert!(span.chars().eq(text.chars()));
        let twice = written(|tx| escape_twice_into(tx, &text));
        prop_assert_eq!(escaped_twice_len(&text), twice.len());
        prop_assert_eq!(&twice, &written(|tx| escape_into(tx, &escaped)));
        let mut bytes = twice.into_bytes();
        prop_assert_eq!(unescape(&mut bytes).unwrap(), &escaped);
        let mut bytes = escaped.into_bytes();
        prop_assert_eq!(unescape(&mut bytes).unwrap(), &text);
    }

    #[test]
    fn unescaping_in_place_agrees_with_the_characters(text in tokens()) {
        let span = EscapedJson::parse(&text);
        let mut bytes = text.clone().into_bytes();
        match (span, unescape(&mut bytes)) {
            (Ok(span), Ok(meaning)) => {
                prop_assert_eq!(span.chars().collect::<String>(), meaning);
                prop_assert_eq!(span.unescaped_len(), meaning.len());
                prop_assert!(meaning.len() <= text.len());
            }
            // Unescaping does not look for quotes and control characters.
            (Err(_), _) => {}
            (Ok(_), Err(error)) => prop_assert!(false, "{error}"),
        }
    }
}
