//! Reading the head of an HTTP/1.1 message.

use core::{fmt, str};

use super::fields::{FieldIter, Fields};
use super::scan::{target_len, text_len, token_len};
use crate::io::Parse;

/// Bounds on the size of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeadLimits {
    /// The most bytes from the first one to the end of the empty line (default 8192).
    pub max_bytes: usize,
    /// The most fields (default 100).
    pub max_fields: usize,
}

impl HeadLimits {
    /// The default bounds.
    #[must_use]
    pub const fn new() -> Self {
        Self { max_bytes: 8192, max_fields: 100 }
    }

    /// Sets the most bytes.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the most fields.
    #[must_use]
    pub const fn max_fields(mut self, fields: usize) -> Self {
        self.max_fields = fields;
        self
    }
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self::new()
    }
}

/// The version of HTTP that a head names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1, and later minor versions, which have the same form (RFC 9110 section 2.5).
    Http11,
}

/// What is wrong with a head; nothing after it can be trusted, so answer and close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeadError {
    /// A line ends in LF without CR.
    BareLf,
    /// More than one empty line stands before the first line.
    EmptyLine,
    /// A field is continued on a second line, as old mail headers are (RFC 9112 section 5.2).
    FieldFolded,
    /// A field's name is not a token, or white space stands before its colon (RFC 9112 section 5.1).
    FieldName,
    /// A field's value has a control character.
    FieldValue,
    /// The first line does not begin with a method: this is not HTTP.
    Method,
    /// The status line is malformed (RFC 9112 section 4).
    StatusLine,
    /// The request's target is malformed.
    Target,
    /// The first line alone fills [`HeadLimits::max_bytes`].
    TargetTooLong,
    /// The head has more than [`HeadLimits::max_bytes`].
    TooLarge,
    /// The head has more than [`HeadLimits::max_fields`].
    TooManyFields,
    /// The first line does not end in a version of HTTP.
    Version,
    /// The version is none of HTTP/1.
    VersionNotSupported,
}

impl HeadError {
    /// The status to answer a request with.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::TargetTooLong => 414,
            Self::TooLarge | Self::TooManyFields => 431,
            Self::VersionNotSupported => 505,
            Self::BareLf
            | Self::EmptyLine
            | Self::FieldFolded
            | Self::FieldName
            | Self::FieldValue
            | Self::Method
            | Self::StatusLine
            | Self::Target
            | Self::Version => 400,
        }
    }

    /// The error in words.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::BareLf => "a line of the head ends in LF alone: end each line in CR LF",
            Self::EmptyLine => "empty lines stand before the head: send the request at once",
            Self::FieldFolded => "a header field is folded: write it on one line",
            Self::FieldName => "a header field's name is malformed: write name, colon, value",
            Self::FieldValue => "a header field's value has a control character: remove it",
            Self::Method => "this is not an HTTP request: is TLS spoken to a plain-text port?",
            Self::StatusLine => "this is not an HTTP response: is the port a TLS one?",
            Self::Target => "the request target is malformed: percent-encode it",
            Self::TargetTooLong => "the request target is too long",
            Self::TooLarge => "the head is too large: send fewer or shorter header fields",
            Self::TooManyFields => "the head has too many header fields: send fewer",
            Self::Version => "the first line has no HTTP version: send HTTP/1.1",
            Self::VersionNotSupported => "this HTTP version is not supported: send HTTP/1.1",
        }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl core::error::Error for HeadError {}

/// The head of a request: everything up to the first empty line.
///
/// What is accepted is what RFC 9112 asks a sender to send, and one empty line before it. Refused are lines
/// that end in LF alone, folded fields, white space before a colon, and control characters: each is read
/// differently by different servers, and is how requests are smuggled past a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead<'i> {
    /// The method, such as `GET`.
    pub method: &'i str,
    /// The target as it was written: usually the path and the query.
    pub target: &'i str,
    /// The version.
    pub version: Version,
    /// The fields.
    pub fields: Fields<'i>,
}

impl<'i> RequestHead<'i> {
    /// Reads the head at the front of `input`; what follows it stays with the caller.
    ///
    /// A call costs time linear in the head's size. Where a peer may send the head in many pieces, read it
    /// through a [`HeadScanner`].
    ///
    /// # Errors
    /// [`HeadError`] as soon as a line shows the mistake, or when `limits` is exceeded.
    pub fn parse(input: &'i [u8], limits: HeadLimits) -> Result<Parse<Self>, HeadError> {
        parse_head(input, limits, |line| {
            let Some((method, rest)) = method(line)? else { return Ok(None) };
            let Some((target, rest)) = target(rest)? else { return Ok(None) };
            let Some((version, rest)) = version(rest, HeadError::Version)? else { return Ok(None) };
            Ok(line_end(rest, HeadError::Version)?.map(|rest| ((method, target, version), rest)))
        })
        .map(|parse| {
            map(parse, |((method, target, version), fields)| Self {
                method,
                target,
                version,
                fields,
            })
        })
    }

    /// The value of the first field of this name; the case of letters does not matter.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'i [u8]> {
        self.fields.first(name)
    }

    /// As [`header`](Self::header), `None` also when the value is not UTF-8.
    #[must_use]
    pub fn header_str(&self, name: &str) -> Option<&'i str> {
        str::from_utf8(self.header(name)?).ok()
    }

    /// The fields one by one.
    #[must_use]
    pub const fn headers(&self) -> FieldIter<'i> {
        self.fields.iter()
    }

    /// The elements of the comma-separated lists in all fields of this name, none of them empty.
    pub fn header_tokens<'n>(&self, name: &'n str) -> impl Iterator<Item = &'i [u8]> + use<'i, 'n> {
        self.fields.tokens(name)
    }

    /// Whether the request asks for the WebSocket protocol in its Upgrade field.
    #[must_use]
    pub fn wants_upgrade(&self) -> bool {
        self.fields.has_token("upgrade", "websocket")
    }
}

/// The head of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHead<'i> {
    /// The version.
    pub version: Version,
    /// The status, 100 to 999.
    pub status: u16,
    /// The phrase after the status, often empty.
    pub phrase: &'i [u8],
    /// The fields.
    pub fields: Fields<'i>,
}

impl<'i> ResponseHead<'i> {
    /// Reads the head at the front of `input`; what follows it stays with the caller.
    ///
    /// # Errors
    /// [`HeadError`] as soon as a line shows the mistake, or when `limits` is exceeded.
    #[cfg(all(feature = "client-basic", feature = "small"))]
    pub fn parse(input: &'i [u8], limits: HeadLimits) -> Result<Parse<Self>, HeadError> {
        super::lines::parse_response(input, limits, &mut |_, _| {})
    }

    /// Reads the head at the front of `input`; what follows it stays with the caller.
    ///
    /// # Errors
    /// [`HeadError`] as soon as a line shows the mistake, or when `limits` is exceeded.
    #[cfg(not(all(feature = "client-basic", feature = "small")))]
    pub fn parse(input: &'i [u8], limits: HeadLimits) -> Result<Parse<Self>, HeadError> {
        parse_head(input, limits, |line| {
            let Some((version, rest)) = version(line, HeadError::StatusLine)? else {
                return Ok(None);
            };
            let Some((status, rest)) = status(rest)? else { return Ok(None) };
            let Some((phrase, rest)) = rest.split_at_checked(text_len(rest)) else {
                return Ok(None);
            };
            let Some(rest) = line_end(rest, HeadError::StatusLine)? else { return Ok(None) };
            // The space before an empty phrase is often left out.
            let phrase = match phrase {
                [] => phrase,
                [b' ', phrase @ ..] => phrase,
                [..] => return Err(HeadError::StatusLine),
            };
            Ok(Some(((version, status, phrase), rest)))
        })
        .map(|parse| {
            map(parse, |((version, status, phrase), fields)| Self {
                version,
                status,
                phrase,
                fields,
            })
        })
    }

    /// The value of the first field of this name; the case of letters does not matter.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'i [u8]> {
        self.fields.first(name)
    }
}

/// Remembers how far the end of a head was looked for, so that a head which arrives byte by byte costs no more
/// than one that arrives whole.
///
/// Use one for each head. Each call gets all bytes since the head's first one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeadScanner {
    scanned: usize,
    first_line: bool,
}

impl HeadScanner {
    /// A scanner at the start of a head.
    #[must_use]
    pub const fn new() -> Self {
        Self { scanned: 0, first_line: false }
    }

    /// As [`RequestHead::parse`].
    ///
    /// # Errors
    /// As [`RequestHead::parse`]; a mistake may be noticed only when the head has ended.
    pub fn request<'i>(
        &mut self,
        input: &'i [u8],
        limits: HeadLimits,
    ) -> Result<Parse<RequestHead<'i>>, HeadError> {
        if self.may_have_ended(input, limits) {
            RequestHead::parse(input, limits)
        } else {
            Ok(need_more(input))
        }
    }

    /// As [`ResponseHead::parse`].
    ///
    /// # Errors
    /// As [`ResponseHead::parse`]; a mistake may be noticed only when the head has ended.
    pub fn response<'i>(
        &mut self,
        input: &'i [u8],
        limits: HeadLimits,
    ) -> Result<Parse<ResponseHead<'i>>, HeadError> {
        if self.may_have_ended(input, limits) {
            ResponseHead::parse(input, limits)
        } else {
            Ok(need_more(input))
        }
    }

    /// Whether parsing can give anything but "more": on the first call, at the end of the first line, when the
    /// new bytes have an empty line or a line that ends in LF alone, or when the head is full.
    fn may_have_ended(&mut self, input: &[u8], limits: HeadLimits) -> bool {
        let first_call = self.scanned == 0;
        let new = input.get(self.scanned.saturating_sub(3)..).unwrap_or_default();
        self.scanned = input.len();
        let first_line = !self.first_line && new.contains(&b'\n');
        self.first_line |= first_line;
        first_call
            || first_line
            || input.len() >= limits.max_bytes
            || new.windows(4).any(|w| w == b"\r\n\r\n")
            || new.windows(2).any(|w| matches!(w, [before, b'\n'] if *before != b'\r'))
    }
}

/// What a part of the first line gives: its value and the bytes after it, or nothing when the input ends in it.
type Part<'i, T> = Result<Option<(T, &'i [u8])>, HeadError>;

fn parse_head<'i, T>(
    input: &'i [u8],
    limits: HeadLimits,
    first_line: impl FnOnce(&'i [u8]) -> Part<'i, T>,
) -> Result<Parse<(T, Fields<'i>)>, HeadError> {
    // Bytes over the limit are not looked at, so that the outcome is the same however the head is cut.
    let (head, full) = match input.get(..limits.max_bytes) {
        Some(head) => (head, true),
        None => (input, false),
    };
    let start = head.strip_prefix(b"\r\n").unwrap_or(head);
    if matches!(start, [b'\r' | b'\n', ..]) {
        return match start {
            [b'\r'] if !full => Ok(need_more(input)),
            [b'\n', ..] => Err(HeadError::BareLf),
            [..] => Err(HeadError::EmptyLine),
        };
    }
    let Some((line, block)) = first_line(start)? else {
        return if full { Err(HeadError::TargetTooLong) } else { Ok(need_more(input)) };
    };
    let Some(rest) = fields_end(block, limits.max_fields)? else {
        return if full { Err(HeadError::TooLarge) } else { Ok(need_more(input)) };
    };
    let block_len = block.len().saturating_sub(rest.len()).saturating_sub(2);
    let fields = Fields::new(block.get(..block_len).unwrap_or_default());
    Ok(Parse::Done { value: (line, fields), consumed: head.len().saturating_sub(rest.len()) })
}

/// Checks the fields and the empty line after them, and gives what follows.
fn fields_end(mut rest: &[u8], max_fields: usize) -> Result<Option<&[u8]>, HeadError> {
    let mut count = 0_usize;
    loop {
        let Some((name, after)) = rest.split_at_checked(token_len(rest)) else { return Ok(None) };
        let value = match (name, after) {
            ([], [b'\r', b'\n', after @ ..]) => return Ok(Some(after)),
            (_, []) | ([], [b'\r']) => return Ok(None),
            ([], [b'\n', ..]) => return Err(HeadError::BareLf),
            ([], [b' ' | b'\t', ..]) => return Err(HeadError::FieldFolded),
            ([_, ..], [b':', value @ ..]) => value,
            _ => return Err(HeadError::FieldName),
        };
        count = count.saturating_add(1);
        if count > max_fields {
            return Err(HeadError::TooManyFields);
        }
        let Some(end) = value.get(text_len(value)..) else { return Ok(None) };
        match line_end(end, HeadError::FieldValue)? {
            Some(next) => rest = next,
            None => return Ok(None),
        }
    }
}

fn method(input: &[u8]) -> Part<'_, &str> {
    match input.split_at_checked(token_len(input)) {
        None | Some((_, [])) => Ok(None),
        Some((method @ [_, ..], [b' ', rest @ ..])) => {
            Ok(Some((str::from_utf8(method).map_err(|_| HeadError::Method)?, rest)))
        }
        Some(_) => Err(HeadError::Method),
    }
}

fn target(input: &[u8]) -> Part<'_, &str> {
    match input.split_at_checked(target_len(input)) {
        None | Some((_, [])) => Ok(None),
        Some((target @ [_, ..], [b' ', rest @ ..])) => {
            Ok(Some((str::from_utf8(target).map_err(|_| HeadError::Target)?, rest)))
        }
        Some(([_, ..], [b'\n', ..])) => Err(HeadError::BareLf),
        Some(([_, ..], [b'\r', ..])) => Err(HeadError::Version),
        Some(_) => Err(HeadError::Target),
    }
}

fn version(input: &[u8], malformed: HeadError) -> Part<'_, Version> {
    const NAME: &[u8] = b"HTTP/";
    if input.iter().zip(NAME).any(|(byte, expected)| byte != expected) {
        return Err(malformed);
    }
    match input.strip_prefix(NAME).unwrap_or_default() {
        [b'1', b'.', b'0', rest @ ..] => Ok(Some((Version::Http10, rest))),
        [b'1', b'.', b'1'..=b'9', rest @ ..] => Ok(Some((Version::Http11, rest))),
        [b'0'..=b'9', b'.', b'0'..=b'9', ..] => Err(HeadError::VersionNotSupported),
        [] | [b'0'..=b'9'] | [b'0'..=b'9', b'.'] => Ok(None),
        [..] => Err(malformed),
    }
}

#[cfg(not(all(feature = "client-basic", feature = "small")))]
fn status(input: &[u8]) -> Part<'_, u16> {
    let digit = |b: u8| u16::from(b.wrapping_sub(b'0'));
    match input {
        [b' ', a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
            let tens = digit(*a).wrapping_mul(10).wrapping_add(digit(*b));
            Ok(Some((tens.wrapping_mul(10).wrapping_add(digit(*c)), rest)))
        }
        [] | [b' '] | [b' ', b'1'..=b'9'] | [b' ', b'1'..=b'9', b'0'..=b'9'] => Ok(None),
        [..] => Err(HeadError::StatusLine),
    }
}

/// What follows the end of the line, or `wrong` when something else stands there.
fn line_end(input: &[u8], wrong: HeadError) -> Result<Option<&[u8]>, HeadError> {
    match input {
        [b'\r', b'\n', rest @ ..] => Ok(Some(rest)),
        [] | [b'\r'] => Ok(None),
        [b'\n', ..] => Err(HeadError::BareLf),
        [..] => Err(wrong),
    }
}

/// A head ends in CR LF CR LF: so many bytes are missing at the least.
fn need_more<T>(input: &[u8]) -> Parse<T> {
    let at_least = match input {
        [.., b'\r', b'\n', b'\r'] => 1,
        [_, .., b'\r', b'\n'] => 2,
        [.., b'\r'] => 3,
        [..] => 4,
    };
    Parse::NeedMore { at_least }
}

fn map<T, U>(parse: Parse<T>, f: impl FnOnce(T) -> U) -> Parse<U> {
    match parse {
        Parse::Done { value, consumed } => Parse::Done { value: f(value), consumed },
        Parse::NeedMore { at_least } => Parse::NeedMore { at_least },
    }
}
