//! Members of an object, as places in a buffer that is then changed in place.

use core::ops::Range;

use super::message::WHOLE;
use crate::json::{JsonError, JsonErrorKind, Kind, Limits, ObjectReader, unescape_in_place};

/// Where a value is. Of a string it is the inside of the literal.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) kind: Kind,
    pub(super) place: Range<usize>,
}

/// Finds the members with these names in the object that `text` holds, of each the last.
///
/// All of `text` is checked to be one JSON object.
#[cfg(any(feature = "encrypted", feature = "server"))]
pub(super) fn fields<const N: usize>(
    text: &str,
    names: [&str; N],
) -> Result<[Option<Field>; N], JsonError> {
    let mut found = [const { None }; N];
    find_strictly(text, &names, &mut found)?;
    Ok(found)
}

/// As [`fields`] in bytes; a basic client looks for the members alone.
///
/// One body of code for every number of names.
#[inline(never)]
pub(super) fn find(
    text: &[u8],
    names: &[&str],
    found: &mut [Option<Field>],
) -> Result<(), JsonError> {
    if !WHOLE {
        // Where a mistake is nobody asks.
        return find_loosely(text, names, found)
            .ok_or(JsonError { kind: JsonErrorKind::Syntax, at: 0 });
    }
    let text = core::str::from_utf8(text)
        .map_err(|error| JsonError { kind: JsonErrorKind::Utf8, at: error.valid_up_to() })?;
    find_strictly(text, names, found)
}

fn find_strictly(text: &str, names: &[&str], found: &mut [Option<Field>]) -> Result<(), JsonError> {
    let mut object = ObjectReader::new(text, Limits::new())?;
    while let Some((name, value)) = object.next_member()? {
        let wanted =
            names.iter().zip(found.iter_mut()).find(|(wanted, _)| name.unescaped_eq(wanted));
        let Some((_, slot)) = wanted else { continue };
        let kind = value.kind();
        let end = object.position();
        let start = end.saturating_sub(value.text().len());
        *slot = Some(Field::new(kind, start..end));
    }
    Ok(())
}

/// As [`find`] without a look at what is not asked for: brackets are counted and not matched, numbers and words not
/// checked, and names with escapes not known. `None` for what cannot be an object.
fn find_loosely(text: &[u8], names: &[&str], found: &mut [Option<Field>]) -> Option<()> {
    let mut at = spaces(text, 0);
    if text.get(at) != Some(&b'{') {
        return None;
    }
    loop {
        at = spaces(text, at.wrapping_add(1));
        match text.get(at)? {
            b'}' => return Some(()),
            b'"' => {}
            _ => return None,
        }
        let name_end = value_end(text, at)?;
        let name = text.get(at.wrapping_add(1)..name_end.wrapping_sub(1))?;
        at = spaces(text, name_end);
        if text.get(at) != Some(&b':') {
            return None;
        }
        at = spaces(text, at.wrapping_add(1));
        let end = value_end(text, at)?;
        let kind = match text.get(at) {
            Some(b'"') => Kind::String,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            _ => Kind::Object, // or any other: nobody asks which
        };
        for (wanted, slot) in names.iter().zip(found.iter_mut()) {
            if wanted.as_bytes() == name {
                *slot = Some(Field::new(kind, at..end));
            }
        }
        at = spaces(text, end);
        match text.get(at)? {
            b',' => {}
            b'}' => return Some(()),
            _ => return None,
        }
    }
}

/// Where the white space ends that begins at `at`.
#[inline(never)]
fn spaces(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = text.get(at) {
        at = at.wrapping_add(1);
    }
    at
}

/// Where the value ends that begins at `at`, which is not empty.
#[inline(never)]
fn value_end(text: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    let (mut depth, mut inside) = (0_usize, false);
    loop {
        let byte = *text.get(end)?;
        if inside {
            match byte {
                b'\\' => end = end.wrapping_add(1),
                b'"' => inside = false,
                _ => {}
            }
        } else {
            match byte {
                b'"' => inside = true,
                b'{' | b'[' => depth = depth.wrapping_add(1),
                b'}' | b']' if depth > 0 => depth = depth.wrapping_sub(1),
                b'}' | b']' | b',' | b':' | b'\t' | b'\n' | b'\r' | b' ' if depth == 0 => {
                    return (end > at).then_some(end);
                }
                _ => {}
            }
        }
        end = end.wrapping_add(1);
        if depth == 0 && !inside && matches!(byte, b'"' | b'}' | b']') {
            return Some(end);
        }
    }
}

impl Field {
    /// A value of this kind that stands there.
    fn new(kind: Kind, at: Range<usize>) -> Self {
        let place = match kind {
            Kind::String => at.start.saturating_add(1)..at.end.saturating_sub(1),
            Kind::Array | Kind::Bool | Kind::Null | Kind::Number | Kind::Object => at,
        };
        Self { kind, place }
    }

    /// Makes it the same place in a buffer that starts `base` bytes earlier.
    pub(super) const fn offset(&mut self, base: usize) {
        let Range { start, end } = &mut self.place;
        (*start, *end) = (start.saturating_add(base), end.saturating_add(base));
    }

    /// Unescapes a string where it stands and returns its new place. Of another kind of value there is no string.
    #[cfg(any(feature = "encrypted", feature = "server"))]
    pub(super) fn unescape(mut self, buffer: &mut [u8]) -> Option<Range<usize>> {
        self.unescape_in_place(buffer).then_some(self.place)
    }

    /// Unescapes a string where it stands and makes this the place of the outcome; false for another kind of value.
    pub(super) fn unescape_in_place(&mut self, buffer: &mut [u8]) -> bool {
        if self.kind != Kind::String {
            return false;
        }
        let literal = buffer.get_mut(self.place.clone()).unwrap_or_default();
        // The strict reader has checked the literal, so that its escapes are whole.
        let Ok(len) = unescape_in_place(literal) else { return false };
        self.place.end = self.place.start.saturating_add(len);
        true
    }
}

/// The text at a place that holds UTF-8.
pub(super) fn text_at(buffer: &[u8], place: Range<usize>) -> &str {
    core::str::from_utf8(buffer.get(place).unwrap_or_default()).unwrap_or_default()
}
