//! JSON text and channel names.

use serde_json::Value;
use serde_json::value::RawValue;
use tidings_core::channel::{ChannelKind, ChannelName, NameError};
use tidings_core::io::TxBuf;
use tidings_core::json::{
    EscapedJson, JsonErrorKind, Kind, Limits, ObjectReader, Raw, compact_into, compact_len,
    escape_into, escape_twice_into, escaped_len, escaped_twice_len, unescape,
};

/// Reads the input as JSON text and, whatever it is, as text to be escaped.
///
/// Invariant: exactly what `serde_json` takes for JSON is taken, as deep as the limit allows; what is taken means the
/// same to both; an error lies within the text; reading undoes escaping, once and twice.
pub fn json(data: &[u8]) {
    let read = Raw::parse(data, Limits::new());
    if let Err(error) = read {
        assert!(error.at <= data.len(), "{error}");
    }
    let Ok(text) = core::str::from_utf8(data) else {
        return assert_eq!(read.map_err(|error| error.kind), Err(JsonErrorKind::Utf8));
    };
    match (read, serde_json::from_str::<&RawValue>(text)) {
        (Ok(value), Ok(theirs)) => {
            assert_eq!(value.text(), theirs.get());
            check_value(value);
        }
        (Err(error), Ok(_)) => assert_eq!(error.kind, JsonErrorKind::Depth),
        (Ok(value), Err(error)) => panic!("{value:?} is taken: {error}"),
        (Err(_), Err(_)) => {}
    }
    check_object(text, read.ok());
    check_escapes(text);
}

/// A valid value means what `serde_json` reads, where that reads it: it refuses halves of surrogates and huge numbers.
fn check_value(value: Raw<'_>) {
    let compact = written(compact_len(value), |tx| compact_into(tx, value).is_ok());
    let again = Raw::parse_str(&compact, Limits::new()).expect("compact text is JSON");
    assert_eq!(written(compact.len(), |tx| compact_into(tx, again).is_ok()), compact);
    if let Ok(theirs) = serde_json::from_str::<Value>(value.text()) {
        assert_eq!(rebuild(value), theirs);
        assert_eq!(rebuild(again), theirs);
    }
}

/// The value, through this reader; names that are there twice are settled alike.
fn rebuild(raw: Raw<'_>) -> Value {
    match raw.kind() {
        Kind::Object => {
            Value::Object(raw.members().map(|(k, v)| (k.chars().collect(), rebuild(v))).collect())
        }
        Kind::Array => raw.elements().map(rebuild).collect(),
        Kind::String => Value::String(raw.as_str_raw().expect("a string").chars().collect()),
        Kind::Null => Value::Null,
        Kind::Bool => Value::Bool(raw.as_bool().expect("a truth value")),
        Kind::Number => serde_json::from_str(raw.text()).expect("a number"),
    }
}

/// The reader that checks as it goes takes the same objects.
fn check_object(text: &str, value: Option<Raw<'_>>) {
    let members = ObjectReader::new(text, Limits::new()).and_then(|mut object| {
        let mut members = 0;
        while object.next_member()?.is_some() {
            members += 1;
        }
        Ok(members)
    });
    let expected = value.filter(|value| value.kind() == Kind::Object);
    assert_eq!(members.ok(), expected.map(|value| value.members().count()));
}

fn check_escapes(text: &str) {
    let once = written(escaped_len(text), |tx| escape_into(tx, text).is_ok());
    let twice = written(escaped_twice_len(text), |tx| escape_twice_into(tx, text).is_ok());
    assert_eq!(unescape(&mut twice.into_bytes()), Ok(once.as_str()));
    let span = EscapedJson::parse(&once).expect("escaped text");
    assert!(span.unescaped_eq(text) && span.unescaped_len() == text.len());
    assert_eq!(unescape(&mut once.clone().into_bytes()), Ok(text));
    // The input as if it were escaped already.
    if let Ok(span) = EscapedJson::parse(text) {
        let mut bytes = text.to_owned().into_bytes();
        let meaning = unescape(&mut bytes).expect("whole escapes");
        assert!(span.chars().eq(meaning.chars()) && span.unescaped_eq(meaning));
        assert_eq!(span.unescaped_len(), meaning.len());
        assert!(meaning.len() <= text.len());
    }
}

/// What is written into exactly `len` bytes of room.
fn written(len: usize, write: impl FnOnce(&mut TxBuf<'_>) -> bool) -> String {
    let mut memory = vec![0; len];
    let mut tx = TxBuf::new(&mut memory);
    assert!(write(&mut tx) && tx.len() == len);
    String::from_utf8(memory).expect("UTF-8")
}

/// Reads the input as a channel name.
///
/// Invariant: a name is taken exactly if its characters are allowed, its `#` starts the channel of a user, and it is
/// as long as the limit or shorter; a prefix that is not at the start changes nothing.
pub fn channel_name(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
    let user = text.strip_prefix("#server-to-user-");
    let rest = user.unwrap_or(text);
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_=@,.;".contains(c);
    let valid = !rest.is_empty() && rest.chars().all(allowed);
    let read = ChannelName::parse(text, u16::MAX);
    assert_eq!(read.is_ok(), valid && text.len() <= usize::from(u16::MAX), "{text:?}: {read:?}");
    match read {
        Ok(name) => {
            assert_eq!(name.as_str(), text);
            assert_eq!(name.kind() == ChannelKind::User, user.is_some());
            assert_eq!(ChannelName::parse(text, len), Ok(name));
            let error = NameError::TooLong { len: u32::from(len), max: len - 1 };
            assert_eq!(ChannelName::parse(text, len - 1), Err(error));
            if user.is_none() {
                let behind = format!("x{text}");
                let behind = ChannelName::parse(&behind, u16::MAX)
                    .map(|name| (name.kind(), name.is_cache()));
                assert!(matches!(behind, Ok((ChannelKind::Public, false)) | Err(_)), "x{text}");
            }
        }
        Err(NameError::Character { at }) => {
            let at = usize::try_from(at).expect("an offset");
            assert!(!text[at..].starts_with(allowed));
        }
        Err(NameError::Empty) => assert!(rest.is_empty()),
        Err(NameError::Reserved) => assert!(text.starts_with('#') && user.is_none()),
        Err(error) => assert!(text.len() > usize::from(u16::MAX), "{error}"),
    }
}
