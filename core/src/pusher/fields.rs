//! Members of an object, as places in a buffer that is then changed in place.

use core::ops::Range;

use crate::json::{JsonError, Kind, Limits, ObjectReader, unescape_in_place};

/// Where a value is. Of a string it is the inside of the literal.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) kind: Kind,
    pub(super) place: Range<usize>,
}

/// Finds the members with these names in the object that `text` holds, of each the last.
///
/// All of `text` is checked to be one JSON object.
pub(super) fn fields<const N: usize>(
    text: &str,
    names: [&str; N],
) -> Result<[Option<Field>; N], JsonError> {
    let mut found = [const { None }; N];
    find(text, &names, &mut found)?;
    Ok(found)
}

/// One body of code for every number of names.
#[inline(never)]
pub(super) fn find(
    text: &str,
    names: &[&str],
    found: &mut [Option<Field>],
) -> Result<(), JsonError> {
    let mut object = ObjectReader::new(text, Limits::new())?;
    while let Some((name, value)) = object.next_member()? {
        let wanted =
            names.iter().zip(found.iter_mut()).find(|(wanted, _)| name.unescaped_eq(wanted));
        let Some((_, slot)) = wanted else { continue };
        let kind = value.kind();
        let end = object.position();
        let start = end.saturating_sub(value.text().len());
        let place = match kind {
            Kind::String => start.saturating_add(1)..end.saturating_sub(1),
            Kind::Array | Kind::Bool | Kind::Null | Kind::Number | Kind::Object => start..end,
        };
        *slot = Some(Field { kind, place });
    }
    Ok(())
}

impl Field {
    /// Makes it the same place in a buffer that starts `base` bytes earlier.
    pub(super) const fn offset(&mut self, base: usize) {
        let Range { start, end } = &mut self.place;
        (*start, *end) = (start.saturating_add(base), end.saturating_add(base));
    }

    /// Unescapes a string where it stands and returns its new place. Of another kind of value there is no string.
    pub(super) fn unescape(self, buffer: &mut [u8]) -> Option<Range<usize>> {
        if self.kind != Kind::String {
            return None;
        }
        // The literal was checked, so its escapes are whole.
        let len = unescape_in_place(buffer.get_mut(self.place.clone())?).ok()?;
        Some(self.place.start..self.place.start.saturating_add(len))
    }
}

/// The text at a place that holds UTF-8.
pub(super) fn text_at(buffer: &[u8], place: Range<usize>) -> &str {
    core::str::from_utf8(buffer.get(place).unwrap_or_default()).unwrap_or_default()
}
