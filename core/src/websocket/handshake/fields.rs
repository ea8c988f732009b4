//! The fields of an HTTP head.

use core::str;

/// The fields of a head, in the order of the wire; looking one up walks over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields<'i> {
    /// Whole lines that the head's parser has checked.
    block: &'i [u8],
}

/// One field of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'i> {
    /// The name as it was written; compare it with [`is`](Self::is).
    pub name: &'i str,
    /// The value without white space round it: any bytes but control characters.
    pub value: &'i [u8],
}

impl Field<'_> {
    /// Whether the field has this name; the case of letters does not matter.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

impl<'i> Fields<'i> {
    pub(super) const fn new(block: &'i [u8]) -> Self {
        Self { block }
    }

    /// The fields one by one.
    #[must_use]
    pub const fn iter(&self) -> FieldIter<'i> {
        FieldIter { rest: self.block }
    }

    /// The value of the first field of this name.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&'i [u8]> {
        self.all(name).next()
    }

    /// The values of all fields of this name.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'i [u8]> + use<'i, 'n> {
        self.iter().filter(|field| field.is(name)).map(|field| field.value)
    }

    /// The elements of the comma-separated lists in all fields of this name, none of them empty.
    ///
    /// A comma inside a quoted string separates too: the lists of the opening handshake hold tokens.
    pub fn tokens<'n>(&self, name: &'n str) -> impl Iterator<Item = &'i [u8]> + use<'i, 'n> {
        self.all(name).flat_map(tokens)
    }

    /// Whether one of these [tokens](Self::tokens) is `token`; the case of letters does not matter.
    #[must_use]
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name).any(|list| has_token(list, token))
    }
}

/// Whether one of the elements of a comma-separated list is `token`; the case of letters does not matter.
#[inline(never)]
pub(super) fn has_token(list: &[u8], token: &str) -> bool {
    tokens(list).any(|t| t.eq_ignore_ascii_case(token.as_bytes()))
}

/// The elements of one comma-separated list.
pub(super) fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

impl<'i> IntoIterator for Fields<'i> {
    type Item = Field<'i>;
    type IntoIter = FieldIter<'i>;

    fn into_iter(self) -> FieldIter<'i> {
        self.iter()
    }
}

/// Walks over the [`Fields`] of a head.
#[derive(Debug, Clone)]
pub struct FieldIter<'i> {
    rest: &'i [u8],
}

impl<'i> Iterator for FieldIter<'i> {
    type Item = Field<'i>;

    fn next(&mut self) -> Option<Field<'i>> {
        let (name, value) = self.next_bytes()?;
        Some(Field { name: str::from_utf8(name).ok()?, value })
    }
}

impl<'i> FieldIter<'i> {
    /// The next field; its name is one of ASCII.
    pub(super) fn next_bytes(&mut self) -> Option<(&'i [u8], &'i [u8])> {
        let colon = self.rest.iter().position(|&b| b == b':')?;
        let (name, rest) = self.rest.split_at_checked(colon)?;
        let end = rest.iter().position(|&b| b == b'\n')?;
        let (value, rest) = rest.split_at_checked(end)?;
        self.rest = rest.get(1..)?;
        Some((name, value.get(1..).unwrap_or_default().trim_ascii()))
    }
}
