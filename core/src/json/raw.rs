//! Spans of text that are known to be one value.

use super::escaped::EscapedJson;
use super::reader::{ArrayReader, Cursor, ObjectReader};
use super::writer::read_decimal;
use super::{JsonError, JsonErrorKind, Limits};

/// A span of text that is exactly one JSON value, without white space around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'i> {
    text: &'i str,
}

/// The kinds of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    // So that no field found is zeros, which are short to write.
    /// `[…]`
    Array = 1,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
    /// A number.
    Number,
    /// `{…}`
    Object,
    /// `"…"`
    String,
}

impl<'i> Raw<'i> {
    /// The value `{}`.
    pub const EMPTY_OBJECT: Self = Self { text: "{}" };

    /// The value `null`.
    pub const NULL: Self = Self { text: "null" };

    /// Checks that `text` is exactly one JSON value, white space around it aside.
    ///
    /// # Errors
    /// [`JsonError`] with the place of the first byte that breaks RFC 8259 or a limit.
    pub fn parse(text: &'i [u8], limits: Limits) -> Result<Self, JsonError> {
        match core::str::from_utf8(text) {
            Ok(text) => Self::parse_str(text, limits),
            Err(error) => Err(JsonError { kind: JsonErrorKind::Utf8, at: error.valid_up_to() }),
        }
    }

    /// As [`parse`](Self::parse), for text that is known to be UTF-8.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_str(text: &'i str, limits: Limits) -> Result<Self, JsonError> {
        let mut cursor = Cursor::new(text);
        let value = cursor.value(limits.max_depth)?;
        cursor.finish()?;
        Ok(value)
    }

    /// `text` has been checked.
    pub(crate) const fn trusted(text: &'i str) -> Self {
        Self { text }
    }

    /// The text as it was received.
    #[must_use]
    pub const fn text(self) -> &'i str {
        self.text
    }

    /// The kind of the value.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.text.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// Whether the value is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// The inside of a string literal, escapes kept.
    #[must_use]
    pub fn as_str_raw(self) -> Option<EscapedJson<'i>> {
        let inside = self.text.strip_prefix('"')?.strip_suffix('"')?;
        Some(EscapedJson::from_validated(inside))
    }

    /// The truth value.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match self.kind() {
            Kind::Bool => Some(self.text == "true"),
            Kind::Array | Kind::Null | Kind::Number | Kind::Object | Kind::String => None,
        }
    }

    /// A number's text.
    #[must_use]
    pub fn as_number_text(self) -> Option<&'i str> {
        (self.kind() == Kind::Number).then_some(self.text)
    }

    /// An integer without sign, fraction and exponent that fits.
    #[must_use]
    pub fn as_u64(self) -> Option<u64> {
        read_decimal(self.text)
    }

    /// An integer without fraction and exponent that fits.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        self.text.parse().ok()
    }

    /// The members of an object in the order of the text; none of any other value.
    #[must_use]
    pub fn members(self) -> Members<'i> {
        Members { reader: ObjectReader::new(self.text, Limits::new()).ok() }
    }

    /// The elements of an array; none of any other value.
    #[must_use]
    pub fn elements(self) -> Elements<'i> {
        Elements { reader: ArrayReader::new(self.text) }
    }

    /// The value of an object's member; of the last one when the name is there more than once.
    #[must_use]
    pub fn member(self, name: &str) -> Option<Self> {
        self.members().filter(|(key, _)| key.unescaped_eq(name)).last().map(|(_, value)| value)
    }
}

/// The members of an object: name and value.
#[derive(Debug, Clone)]
pub struct Members<'i> {
    reader: Option<ObjectReader<'i>>,
}

impl<'i> Iterator for Members<'i> {
    type Item = (EscapedJson<'i>, Raw<'i>);

    fn next(&mut self) -> Option<Self::Item> {
        // The text is valid: an error cannot occur, and would end the iteration.
        self.reader.as_mut()?.next_member().ok().flatten()
    }
}

impl core::iter::FusedIterator for Members<'_> {}

/// The elements of an array.
#[derive(Debug, Clone)]
pub struct Elements<'i> {
    reader: ArrayReader<'i>,
}

impl<'i> Iterator for Elements<'i> {
    type Item = Raw<'i>;

    fn next(&mut self) -> Option<Self::Item> {
        self.reader.next_element()
    }
}

impl core::iter::FusedIterator for Elements<'_> {}
