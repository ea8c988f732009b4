//! JSON text (RFC 8259): a validating pull reader over a slice, raw spans, unescaping in place and
//! an escaping writer.
//!
//! Nothing is copied and nothing is allocated. A [`Raw`] is a span of text that has been checked to be
//! exactly one JSON value; an [`EscapedJson`] is the inside of a string literal, escapes and all, which can
//! be passed on byte for byte. Nesting is bounded and there is no recursion.
//!
//! Decisions where the RFC leaves room:
//!
//! | question | answer |
//! |---|---|
//! | a surrogate without its half (`\ud800`) | the grammar allows it; unescaping gives U+FFFD |
//! | a name twice in one object | all are yielded in order; the readers of this crate take the last |
//! | a byte order mark | refused |
//! | numbers | only checked for shape; [`Raw::as_u64`] and [`Raw::as_i64`] read integers without exponent |
//!
//! ```
//! use tidings_core::json::{Limits, Raw};
//!
//! let text = br#"{"event":"pusher:ping","data":{}}"#;
//! let value = Raw::parse(text, Limits::new()).unwrap();
//! let (name, event) = value.members().next().unwrap();
//! assert!(name.unescaped_eq("event"));
//! assert!(event.as_str_raw().unwrap().unescaped_eq("pusher:ping"));
//! ```

mod escaped;
mod raw;
mod reader;
mod scan;
mod writer;

#[cfg(test)]
mod tests;

use core::fmt;

pub(crate) use escaped::unescape_in_place;
pub use escaped::{Chars, EscapedJson, unescape};
pub use raw::{Elements, Kind, Members, Raw};
pub use reader::ObjectReader;
pub(crate) use writer::{
    compact, decimal, decimal_before, escape, escape_twice, push_digit, read_decimal,
};
pub use writer::{
    compact_escape_into, compact_escaped_len, compact_into, compact_len, decimal_len, escape_into,
    escape_twice_into, escaped_len, escaped_twice_len, put_decimal,
};

/// Bounds of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many objects and arrays may be open at once (default and most: 64).
    pub max_depth: u8,
}

impl Limits {
    /// The deepest nesting that the reader can follow.
    pub const MAX_DEPTH: u8 = 64;

    /// The default bounds.
    #[must_use]
    pub const fn new() -> Self {
        Self { max_depth: Self::MAX_DEPTH }
    }

    /// Sets how many objects and arrays may be open at once; more than 64 is taken as 64.
    #[must_use]
    pub const fn max_depth(mut self, depth: u8) -> Self {
        self.max_depth = if depth > Self::MAX_DEPTH { Self::MAX_DEPTH } else { depth };
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a text is not JSON, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// The offset of the offending byte.
    pub at: usize,
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// A control character stands unescaped in a string.
    ControlCharacter,
    /// More objects and arrays are open than the limit allows.
    Depth,
    /// The text ends inside a value.
    End,
    /// A backslash is followed by something that is no escape.
    Escape,
    /// Another kind of value was asked for.
    Kind,
    /// A number is malformed, such as `01`, `1.` or `-`.
    Number,
    /// A byte stands where the grammar has no place for it.
    Syntax,
    /// Something follows the value.
    Trailing,
    /// The bytes are no UTF-8.
    Utf8,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            JsonErrorKind::ControlCharacter => "unescaped control character in a string",
            JsonErrorKind::Depth => "nested too deeply",
            JsonErrorKind::End => "the text ends inside a value",
            JsonErrorKind::Escape => "no such escape",
            JsonErrorKind::Kind => "another kind of value than expected",
            JsonErrorKind::Number => "malformed number",
            JsonErrorKind::Syntax => "unexpected character",
            JsonErrorKind::Trailing => "text after the value",
            JsonErrorKind::Utf8 => "not utf-8",
        };
        write!(f, "{what} at byte {}", self.at)
    }
}

impl core::error::Error for JsonError {}
