//! Where a client connects: `[prefix]/app/{key}?protocol=7&client=js&version=8.6.0`.

use core::fmt;

use super::code::ErrorCode;

/// The request target of a connection attempt.
///
/// The key may be percent-encoded; query parameters come in any order, unknown ones are ignored, and of one
/// that is there twice the first counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectTarget<'a> {
    /// The application's key, as in the path.
    pub key: AppKey<'a>,
    /// The protocol's version, as text.
    pub protocol: Option<&'a str>,
    /// The client library's name.
    pub client: Option<&'a str>,
    /// The client library's version.
    pub version: Option<&'a str>,
}

/// An application's key as it stands in a path, perhaps percent-encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppKey<'a> {
    text: &'a str,
}

/// The request target is none for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TargetError {
    /// The path is under `/app`, but has no key or more than a key.
    Key,
    /// The path is another one.
    Path,
}

impl TargetError {
    /// What a socket is told that came this way.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Key | Self::Path => ErrorCode::PATH_NOT_FOUND,
        }
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "the path must be /app/ and an application's key",
            Self::Path => "Path not found",
        })
    }
}

impl core::error::Error for TargetError {}

impl<'a> ConnectTarget<'a> {
    /// Reads the target of an HTTP request; `prefix` is the operator's path before `/app`, or empty.
    ///
    /// Several slashes at the front, after the prefix or before the key count as one, and those at the end as none:
    /// people join paths that way.
    ///
    /// # Errors
    /// [`TargetError`] when the path is not of this form.
    pub fn parse(target: &'a str, prefix: &str) -> Result<Self, TargetError> {
        let (target, _) = target.split_once('#').unwrap_or((target, ""));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut path = path.trim_start_matches('/');
        for part in parts(prefix, '/').filter(|part| !part.is_empty()) {
            path = segment(path, part).ok_or(TargetError::Path)?;
        }
        let key = segment(path, "app").ok_or(TargetError::Path)?.trim_end_matches('/');
        if key.is_empty() || key.contains('/') {
            return Err(TargetError::Key);
        }
        let parameter = |name: &str| {
            let mut pairs = parts(query, '&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        Ok(Self {
            key: AppKey { text: key },
            protocol: parameter("protocol"),
            client: parameter("client"),
            version: parameter("version"),
        })
    }
}

/// The parts of `text` between separators. The standard library's way keeps a panic path.
fn parts(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        let text = rest?;
        let (part, behind) = match text.split_once(separator) {
            Some((part, behind)) => (part, Some(behind)),
            None => (text, None),
        };
        rest = behind;
        Some(part)
    })
}

/// What follows the segment `name` and the slashes after it.
fn segment<'p>(path: &'p str, name: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(name)?;
    if !rest.is_empty() && !rest.starts_with('/') {
        return None;
    }
    Some(rest.trim_start_matches('/'))
}

impl<'a> AppKey<'a> {
    /// The text as it stands in the path.
    #[must_use]
    pub const fn as_encoded(self) -> &'a str {
        self.text
    }

    /// The key, if it is not percent-encoded. Official clients never encode one.
    #[must_use]
    pub fn as_plain(self) -> Option<&'a str> {
        (!self.text.contains('%')).then_some(self.text)
    }

    /// The bytes of the key. A `%` without two digits after it stands for itself.
    pub fn bytes(self) -> impl Iterator<Item = u8> + 'a {
        let mut rest = self.text.as_bytes();
        core::iter::from_fn(move || {
            let (&byte, behind) = rest.split_first()?;
            rest = behind;
            if byte == b'%'
                && let [high, low, behind @ ..] = behind
                && let (Some(high), Some(low)) = (hex(*high), hex(*low))
            {
                rest = behind;
                return Some(high << 4 | low);
            }
            Some(byte)
        })
    }

    /// Whether this is the key `other`.
    #[must_use]
    pub fn is(self, other: &str) -> bool {
        self.bytes().eq(other.bytes())
    }

    /// Decodes the key into `buf`; `None` if it does not fit or is no UTF-8 (no application has such a key).
    #[must_use]
    pub fn decode_into(self, buf: &mut [u8]) -> Option<&str> {
        let mut len = 0usize;
        for byte in self.bytes() {
            *buf.get_mut(len)? = byte;
            len = len.saturating_add(1);
        }
        core::str::from_utf8(buf.get(..len)?).ok()
    }
}

fn hex(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

/// Checks the protocol version that a client announces.
///
/// 5, 6 and 7 are served alike, the official Java and .NET clients announce 5. No version at all is taken as 7.
///
/// # Errors
/// The code to close with and its text: 4008 for an empty version, 4006 for one that is no number, 4007 for another
/// number.
pub fn check_protocol(version: Option<&str>) -> Result<(), (ErrorCode, &'static str)> {
    match version {
        None | Some("5" | "6" | "7") => Ok(()),
        Some("") => Err((ErrorCode::VERSION_MISSING, "No protocol version supplied")),
        Some(version) if version.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err((ErrorCode::VERSION_UNSUPPORTED, "Unsupported protocol version: use 5, 6 or 7"))
        }
        Some(_) => Err((ErrorCode::VERSION_INVALID, "Invalid protocol version: use 5, 6 or 7")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_targets_of_official_clients_are_read() {
        for (target, client, version, protocol) in [
            ("/app/K?protocol=7&client=js&version=8.6.0&flash=false", "js", "8.6.0", "7"),
            (
                "/app/K?client=pusher-websocket-swift&version=10.1.10&protocol=7",
                "pusher-websocket-swift",
                "10.1.10",
                "7",
            ),
            ("/app/K?client=java-client&protocol=5&version=2.4.4", "java-client", "2.4.4", "5"),
            (
                "/app/K?protocol=5&client=pusher-dotnet-client&version=2.3.0",
                "pusher-dotnet-client",
                "2.3.0",
                "5",
            ),
        ] {
            let read = ConnectTarget::parse(target, "").unwrap();
            assert_eq!(read.key.as_plain(), Some("K"));
            assert_eq!(read.client, Some(client));
            assert_eq!(read.version, Some(version));
            assert_eq!(read.protocol, Some(protocol));
            assert_eq!(check_protocol(read.protocol), Ok(()));
        }
    }

    #[test]
    fn slashes_and_prefixes_are_taken_as_meant() {
        for (target, prefix) in [
            ("/app/K", ""),
            ("//app/K", ""),
            ("/app//K", ""),
            ("/app/K/", ""),
            ("/app/K?", "/"),
            ("/ws/app/K", "/ws"),
            ("/ws/app/K", "ws/"),
            ("//ws//app/K", "/ws"),
            ("/a/b/app/K?x", "/a/b"),
        ] {
            let read = ConnectTarget::parse(target, prefix).unwrap();
            assert!(read.key.is("K"), "{target}");
            assert_eq!((read.protocol, read.client, read.version), (None, None, None));
        }
    }

    #[test]
    fn other_paths_are_refused() {
        for (target, prefix, error) in [
            ("/", "", TargetError::Path),
            ("", "", TargetError::Path),
            ("/apps/1/events", "", TargetError::Path),
            ("/application/K", "", TargetError::Path),
            ("/ws/app/K", "", TargetError::Path),
            ("/app/K", "/ws", TargetError::Path),
            ("/wsx/app/K", "/ws", TargetError::Path),
            ("/app", "", TargetError::Key),
            ("/app/", "", TargetError::Key),
            ("/app/?protocol=7", "", TargetError::Key),
            ("/app/K/xhr_streaming", "", TargetError::Key),
        ] {
            assert_eq!(ConnectTarget::parse(target, prefix), Err(error), "{target}");
        }
    }

    #[test]
    fn a_key_is_compared_decoded() {
        let key = |target| ConnectTarget::parse(target, "").unwrap().key;
        assert!(key("/app/a%2Db").is("a-b"));
        assert!(key("/app/a%2db").is("a-b"));
        assert_eq!(key("/app/a%2Db").as_plain(), None);
        assert_eq!(key("/app/a%2Db").as_encoded(), "a%2Db");
        assert!(key("/app/100%").is("100%"));
        assert!(key("/app/%zz").is("%zz"));
        let mut buf = [0; 3];
        assert_eq!(key("/app/a%2Db").decode_into(&mut buf), Some("a-b"));
        assert_eq!(key("/app/abcd").decode_into(&mut buf), None);
        assert_eq!(key("/app/%ff").decode_into(&mut buf), None);
    }

    #[test]
    fn the_first_of_equal_parameters_counts_and_others_are_ignored() {
        let read =
            ConnectTarget::parse("/app/K?x=1&&protocol&protocol=7&protocol=4#f", "").unwrap();
        assert_eq!(read.protocol, Some("7"));
    }

    #[test]
    fn versions_5_to_7_are_served_and_each_other_one_has_its_code() {
        for version in [None, Some("5"), Some("6"), Some("7")] {
            assert_eq!(check_protocol(version), Ok(()));
        }
        for (version, code) in [
            ("", 4008),
            ("1", 4007),
            ("4", 4007),
            ("8", 4007),
            ("70", 4007),
            ("99999999999999999999", 4007),
            ("x", 4006),
            ("7.0", 4006),
            ("-7", 4006),
            (" 7", 4006),
        ] {
            let (told, text) = check_protocol(Some(version)).unwrap_err();
            assert_eq!(told.as_u16(), code, "{version}");
            assert!(!text.is_empty());
        }
    }
}
