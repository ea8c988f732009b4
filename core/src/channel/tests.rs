use std::format;
use std::string::String;

use super::*;

fn parse(name: &str) -> Result<ChannelName<'_>, NameError> {
    ChannelName::parse(name, DEFAULT_MAX_LEN)
}

#[test]
fn a_prefix_tells_kind_cache_and_auth() {
    use ChannelKind::{Encrypted, Presence, Private, Public, User};
    for (name, kind, cache, auth) in [
        ("private-encrypted-cache-x", Encrypted, true, true),
        ("private-encrypted-x", Encrypted, false, true),
        ("private-cache-x", Private, true, true),
        ("private-x", Private, false, true),
        ("presence-cache-x", Presence, true, true),
        ("presence-x", Presence, false, true),
        ("cache-x", Public, true, false),
        ("#server-to-user-12345", User, false, false),
        ("x", Public, false, false),
        // Without the dash it is no prefix.
        ("private", Public, false, false),
        ("privatex", Public, false, false),
        ("presence", Public, false, false),
        ("cache", Public, false, false),
        ("private-encrypted", Private, false, true),
        ("private-cachex", Private, false, true),
        // Case counts.
        ("Private-x", Public, false, false),
        // Nothing after the prefix is a name all the same.
        ("private-", Private, false, true),
    ] {
        let channel = parse(name).unwrap();
        assert_eq!((channel.kind(), channel.is_cache()), (kind, cache), "{name}");
        assert_eq!(channel.needs_auth(), auth, "{name}");
        assert_eq!(channel.as_str(), name);
    }
}

#[test]
fn a_prefix_in_the_middle_means_nothing() {
    for name in ["my-private-x", "x-cache-y", "x-presence-y", "my-private-encrypted-x"] {
        let channel = parse(name).unwrap();
        assert_eq!((channel.kind(), channel.is_cache()), (ChannelKind::Public, false), "{name}");
    }
}

#[test]
fn every_allowed_character_passes_and_every_other_is_named_by_place() {
    let allowed = "-abcxyzABCXYZ0189_=@,.;";
    assert_eq!(parse(allowed).unwrap().as_str(), allowed);
    for byte in 0..=127u8 {
        let name = format!("ab{}", char::from(byte));
        let ok = byte.is_ascii_alphanumeric() || b"-_=@,.;".contains(&byte);
        assert_eq!(parse(&name).is_ok(), ok, "{name:?}");
        if !ok {
            assert_eq!(parse(&name), Err(NameError::Character { at: 2 }));
        }
    }
    assert_eq!(parse("private-ünïcode"), Err(NameError::Character { at: 8 }));
    assert_eq!(parse("private-a:b"), Err(NameError::Character { at: 9 }));
}

#[test]
fn a_number_sign_only_starts_the_channel_of_a_user() {
    assert_eq!(parse("#server-to-user-a@b.c").unwrap().user_id(), Some("a@b.c"));
    assert_eq!(parse("private-x").unwrap().user_id(), None);
    assert_eq!(parse("#server-to-user-"), Err(NameError::Empty));
    assert_eq!(parse("#server-to-user-a#b"), Err(NameError::Character { at: 17 }));
    assert_eq!(parse("#other"), Err(NameError::Reserved));
    assert_eq!(parse("#"), Err(NameError::Reserved));
    assert_eq!(parse("a#b"), Err(NameError::Character { at: 1 }));
    assert_eq!(parse(""), Err(NameError::Empty));
}

/// FR-113: both sides of the edge, at the default and at a set limit.
#[test]
fn the_longest_name_passes_and_one_more_byte_does_not() {
    for (max, len) in [(200, 164), (200, 200), (164, 164), (1, 1)] {
        assert!(ChannelName::parse(&"a".repeat(len), max).is_ok(), "{len} of {max}");
    }
    for (max, len) in [(200, 201u32), (164, 165), (0, 1)] {
        let name: String = "a".repeat(len as usize);
        let error = ChannelName::parse(&name, max);
        assert_eq!(error, Err(NameError::TooLong { len, max }));
        let text = format!("{}", error.unwrap_err());
        assert!(text.contains(&format!("{len}")) && text.contains(&format!("{max}")), "{text}");
    }
}

#[test]
fn clients_trigger_on_private_and_presence_channels_alone() {
    for (name, ok) in [
        ("private-x", true),
        ("private-cache-x", true),
        ("presence-x", true),
        ("private-encrypted-x", false),
        ("public", false),
        ("cache-x", false),
        ("#server-to-user-1", false),
    ] {
        assert_eq!(parse(name).unwrap().kind().takes_client_events(), ok, "{name}");
    }
}

#[test]
fn sizes_are_pinned() {
    assert!(size_of::<ChannelName<'_>>() <= 24);
    assert!(size_of::<NameError>() <= 12);
}
