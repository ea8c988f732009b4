//! The validating cursor: one pass, no recursion, bounded depth.

use super::escaped::EscapedJson;
use super::raw::Raw;
use super::scan::plain_len;
use super::{JsonError, JsonErrorKind, Limits};

/// A place in a text. Everything before it has been checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'i> {
    text: &'i str,
    at: usize,
}

impl<'i> Cursor<'i> {
    pub(super) const fn new(text: &'i str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'i [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    const fn skip(&mut self, n: usize) {
        self.at = self.at.saturating_add(n);
    }

    const fn error(&self, kind: JsonErrorKind) -> JsonError {
        JsonError { kind, at: self.at }
    }

    /// The complaint about the byte here, or about its absence.
    fn unexpected(&self) -> JsonError {
        self.error(match self.peek() {
            Some(_) => JsonErrorKind::Syntax,
            None => JsonErrorKind::End,
        })
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.skip(1);
        }
    }

    /// Skips white space and looks at what follows.
    fn peek_token(&mut self) -> Option<u8> {
        self.space();
        self.peek()
    }

    /// Skips white space and then exactly `byte`.
    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek_token() != Some(byte) {
            return Err(self.unexpected());
        }
        self.skip(1);
        Ok(())
    }

    /// Skips white space at the end of the text; nothing else may be there.
    pub(super) fn finish(&mut self) -> Result<(), JsonError> {
        match self.peek_token() {
            None => Ok(()),
            Some(_) => Err(self.error(JsonErrorKind::Trailing)),
        }
    }

    fn since(&self, start: usize) -> &'i str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Reads one value of any kind.
    pub(super) fn value(&mut self, max_depth: u8) -> Result<Raw<'i>, JsonError> {
        self.space();
        let start = self.at;
        self.nested(max_depth.min(Limits::MAX_DEPTH))?;
        Ok(Raw::trusted(self.since(start)))
    }

    /// Checks a value with all that is in it. `objects` has a bit for each open bracket, the innermost lowest.
    fn nested(&mut self, max_depth: u8) -> Result<(), JsonError> {
        let mut objects = 0u64;
        let mut depth = 0u8;
        loop {
            match self.peek_token() {
                Some(open @ (b'{' | b'[')) => {
                    if depth >= max_depth {
                        return Err(self.error(JsonErrorKind::Depth));
                    }
                    self.skip(1);
                    let object = open == b'{';
                    if self.peek_token() == Some(if object { b'}' } else { b']' }) {
                        self.skip(1);
                    } else {
                        depth = depth.saturating_add(1);
                        objects = (objects << 1) | u64::from(object);
                        if object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            // A value has ended: close what ends with it, and go on to its neighbour.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let object = objects & 1 == 1;
                match self.peek_token() {
                    Some(b',') => {
                        self.skip(1);
                        if object {
                            self.key()?;
                        }
                        break;
                    }
                    Some(b'}') if object => self.skip(1),
                    Some(b']') if !object => self.skip(1),
                    _ => return Err(self.unexpected()),
                }
                depth = depth.saturating_sub(1);
                objects >>= 1;
            }
        }
    }

    /// A name and the colon after it.
    fn key(&mut self) -> Result<EscapedJson<'i>, JsonError> {
        if self.peek_token() != Some(b'"') {
            return Err(self.unexpected());
        }
        let name = self.string()?;
        self.expect(b':')?;
        Ok(name)
    }

    fn scalar(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| ()),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.unexpected()),
        }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), JsonError> {
        if !self.rest().starts_with(word) {
            return Err(self.error(JsonErrorKind::Syntax));
        }
        self.skip(word.len());
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let n = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if n == 0 {
            return Err(self.error(JsonErrorKind::Number));
        }
        self.skip(n);
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'-') {
            self.skip(1);
        }
        if self.peek() == Some(b'0') {
            self.skip(1);
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.error(JsonErrorKind::Number));
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.skip(1);
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.skip(1);
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.skip(1);
            }
            self.digits()?;
        }
        Ok(())
    }

    /// A string literal; the cursor stands on its opening quote.
    fn string(&mut self) -> Result<EscapedJson<'i>, JsonError> {
        self.skip(1);
        let start = self.at;
        self.string_body()?;
        let inside = self.since(start);
        self.skip(1);
        Ok(EscapedJson::from_validated(inside))
    }

    /// Goes to the closing quote.
    fn string_body(&mut self) -> Result<(), JsonError> {
        loop {
            self.skip(plain_len(self.rest()));
            match self.peek() {
                Some(b'"') => return Ok(()),
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.error(JsonErrorKind::ControlCharacter)),
                None => return Err(self.error(JsonErrorKind::End)),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        match self.rest() {
            [_, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => self.skip(2),
            [_, b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|h| h.is_ascii_hexdigit()) => {
                self.skip(6);
            }
            rest => {
                // An escape that the text cuts off could still become one.
                let cut = match rest {
                    [_] => true,
                    [_, b'u', hex @ ..] => hex.len() < 4 && hex.iter().all(u8::is_ascii_hexdigit),
                    _ => false,
                };
                return Err(self.error(if cut {
                    JsonErrorKind::End
                } else {
                    JsonErrorKind::Escape
                }));
            }
        }
        Ok(())
    }

    /// Checks that the whole text is the inside of a string literal.
    pub(super) fn whole_string_body(&mut self) -> Result<(), JsonError> {
        match self.string_body() {
            Ok(()) => Err(self.error(JsonErrorKind::Syntax)),
            Err(JsonError { kind: JsonErrorKind::End, at }) if at == self.text.len() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Reads the members of one object, which is the whole text, checking as it goes.
///
/// It saves the first pass that [`Raw::parse`] makes over the text: the text is known to be JSON once
/// [`next_member`](Self::next_member) has returned `Ok(None)`.
///
/// ```
/// use tidings_core::json::{Limits, ObjectReader};
///
/// let mut object = ObjectReader::new(r#"{"a": 1, "b": [true]}"#, Limits::new()).unwrap();
/// let (name, value) = object.next_member().unwrap().unwrap();
/// assert!(name.unescaped_eq("a"));
/// assert_eq!(value.as_u64(), Some(1));
/// assert_eq!(object.next_member().unwrap().unwrap().1.text(), "[true]");
/// assert_eq!(object.next_member(), Ok(None));
/// ```
#[derive(Debug, Clone)]
pub struct ObjectReader<'i> {
    cursor: Cursor<'i>,
    depth: u8,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Behind the opening bracket.
    First,
    /// Behind a member.
    Next,
    /// Behind the closing bracket and all that may follow it.
    End,
}

impl<'i> ObjectReader<'i> {
    /// Opens the object that `text` holds.
    ///
    /// # Errors
    /// [`JsonErrorKind::Kind`] if the text starts with another kind of value.
    pub fn new(text: &'i str, limits: Limits) -> Result<Self, JsonError> {
        let mut cursor = Cursor::new(text);
        match cursor.peek_token() {
            Some(b'{') => {}
            Some(b'[' | b'"' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9') => {
                return Err(cursor.error(JsonErrorKind::Kind));
            }
            _ => return Err(cursor.unexpected()),
        }
        let Some(depth) = limits.max_depth.checked_sub(1) else {
            return Err(cursor.error(JsonErrorKind::Depth));
        };
        cursor.skip(1);
        Ok(Self { cursor, depth, place: Place::First })
    }

    /// The next member's name and value, in the order of the text; `None` behind the last.
    ///
    /// # Errors
    /// [`JsonError`] at the first byte that breaks the grammar; every later call returns `Ok(None)`.
    pub fn next_member(&mut self) -> Result<Option<(EscapedJson<'i>, Raw<'i>)>, JsonError> {
        let member = self.advance();
        if !matches!(member, Ok(Some(_))) {
            self.place = Place::End;
        }
        member
    }

    /// The offset in the text just behind the value that [`next_member`](Self::next_member) gave last.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.cursor.at
    }

    fn advance(&mut self) -> Result<Option<(EscapedJson<'i>, Raw<'i>)>, JsonError> {
        match (self.place, self.cursor.peek_token()) {
            (Place::End, _) => return Ok(None),
            (_, Some(b'}')) => {
                self.cursor.skip(1);
                self.cursor.finish()?;
                return Ok(None);
            }
            (Place::First, _) => self.place = Place::Next,
            (Place::Next, _) => self.cursor.expect(b',')?,
        }
        let name = self.cursor.key()?;
        Ok(Some((name, self.cursor.value(self.depth)?)))
    }
}

/// Reads the elements of one array that is known to be valid.
#[derive(Debug, Clone)]
pub(super) struct ArrayReader<'i> {
    cursor: Cursor<'i>,
    place: Place,
}

impl<'i> ArrayReader<'i> {
    /// Opens the array that `text` holds; of another value, no element is found.
    pub(super) fn new(text: &'i str) -> Self {
        let mut cursor = Cursor::new(text);
        let array = cursor.expect(b'[').is_ok();
        Self { cursor, place: if array { Place::First } else { Place::End } }
    }

    pub(super) fn next_element(&mut self) -> Option<Raw<'i>> {
        let ended = match (self.place, self.cursor.peek_token()) {
            (Place::End, _) | (_, Some(b']')) => true,
            (Place::First, _) => false,
            (Place::Next, _) => self.cursor.expect(b',').is_err(),
        };
        let element = if ended { None } else { self.cursor.value(Limits::MAX_DEPTH).ok() };
        self.place = if element.is_some() { Place::Next } else { Place::End };
        element
    }
}
