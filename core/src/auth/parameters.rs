//! The parameters of a signed request, in the order in which they are signed.

use core::cmp::Ordering;

/// The most parameters that a signed request may have.
pub const MAX_PARAMETERS: usize = 48;

/// A parameter as it stands in the query, percent-encoded.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Parameter<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a str,
}

/// In which form keys are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// In lower case, as documented.
    Lower,
    /// As they are: what the node SDK does.
    AsSent,
}

/// In which form parameters with the same key are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeats {
    /// One after the other.
    Literal,
    /// Once, with the values joined by commas and no brackets in the key.
    Joined,
}

/// Parameters in signing order, without `auth_signature`.
#[derive(Debug, Clone)]
pub(super) struct Parameters<'a> {
    list: [Parameter<'a>; MAX_PARAMETERS],
    len: usize,
}

impl<'a> Parameters<'a> {
    /// `None` when there are too many.
    pub(super) fn parse(query: &'a str, keys: Keys) -> Option<Self> {
        let mut parameters = Self { list: [Parameter::default(); MAX_PARAMETERS], len: 0 };
        for parameter in pairs(query) {
            if !is(parameter.key, "auth_signature") {
                *parameters.list.get_mut(parameters.len)? = parameter;
                parameters.len = parameters.len.saturating_add(1);
            }
        }
        let list = parameters.list.get_mut(..parameters.len).unwrap_or_default();
        insertion_sort(list, |a, b| key_bytes(a.key, keys).cmp(key_bytes(b.key, keys)));
        Some(parameters)
    }

    fn list(&self) -> &[Parameter<'a>] {
        self.list.get(..self.len).unwrap_or_default()
    }

    pub(super) fn has_capitals(&self) -> bool {
        self.list().iter().any(|p| decoded(p.key).any(|b| b.is_ascii_uppercase()))
    }

    pub(super) fn has_repeats(&self) -> bool {
        let keys = |p: &Parameter<'a>| key_bytes(p.key, Keys::Lower);
        let brackets = self.list().iter().any(|p| decoded(p.key).eq_suffix());
        brackets || self.list().windows(2).any(|w| matches!(w, [a, b] if keys(a).eq(keys(b))))
    }

    /// Passes on `k1=v1&k2=v2…`, decoded.
    pub(super) fn write(&self, keys: Keys, repeats: Repeats, out: &mut dyn FnMut(&[u8])) {
        let mut before: Option<&str> = None;
        for parameter in self.list() {
            let same =
                before.is_some_and(|b| key_bytes(b, keys).eq(key_bytes(parameter.key, keys)));
            if same && repeats == Repeats::Joined {
                out(b",");
            } else {
                if before.is_some() {
                    out(b"&");
                }
                write_key(parameter.key, keys, repeats, out);
                out(b"=");
            }
            write_decoded(parameter.value, out);
            before = Some(parameter.key);
        }
    }
}

/// The parameters of a query, in its order. (`str::split` keeps a way to panic when it is optimised for size.)
pub(super) fn pairs(query: &str) -> impl Iterator<Item = Parameter<'_>> {
    let mut rest = query;
    core::iter::from_fn(move || {
        while !rest.is_empty() {
            let (pair, after) = rest.split_once('&').unwrap_or((rest, ""));
            rest = after;
            if !pair.is_empty() {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                return Some(Parameter { key, value });
            }
        }
        None
    })
}

/// Stable, without a call into the allocating sort; the lists are short and nearly sorted by the SDKs.
fn insertion_sort<T: Copy>(list: &mut [T], order: impl Fn(&T, &T) -> Ordering) {
    for end in 1..list.len() {
        let mut at = end;
        while let Some([a, b]) = list.get_mut(at.saturating_sub(1)..=at) {
            if at == 0 || order(a, b) != Ordering::Greater {
                break;
            }
            core::mem::swap(a, b);
            at = at.saturating_sub(1);
            if at == 0 {
                break;
            }
        }
    }
}

/// The bytes that percent-encoded text means. A percent sign that starts no escape means itself.
pub(super) fn decoded(text: &str) -> Decoded<'_> {
    Decoded { rest: text.as_bytes() }
}

#[derive(Debug, Clone)]
pub(super) struct Decoded<'a> {
    rest: &'a [u8],
}

impl Decoded<'_> {
    fn eq_suffix(self) -> bool {
        let mut last = [0, 0];
        for b in self {
            last = [last[1], b];
        }
        last == *b"[]"
    }
}

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if let [b'%', high, low, rest @ ..] = self.rest
            && let (Some(high), Some(low)) = (nibble(*high), nibble(*low))
        {
            self.rest = rest;
            return Some(high << 4 | low);
        }
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit & 15),
        b'a'..=b'f' | b'A'..=b'F' => Some((digit & 7).wrapping_add(9)),
        _ => None,
    }
}

fn key_bytes(key: &str, keys: Keys) -> impl Iterator<Item = u8> {
    decoded(key).map(move |b| if keys == Keys::Lower { b.to_ascii_lowercase() } else { b })
}

/// Whether a key, as it stands in a query, means `name`.
pub(super) fn is(key: &str, name: &str) -> bool {
    key_bytes(key, Keys::Lower).eq(name.bytes())
}

fn write_key(key: &str, keys: Keys, repeats: Repeats, out: &mut dyn FnMut(&[u8])) {
    let brackets = repeats == Repeats::Joined && decoded(key).eq_suffix();
    let len = decoded(key).count().saturating_sub(if brackets { 2 } else { 0 });
    key_bytes(key, keys).take(len).for_each(|b| out(&[b]));
}

/// Passes on decoded text in as few pieces as it has.
pub(super) fn write_decoded(text: &str, out: &mut dyn FnMut(&[u8])) {
    let mut rest = text;
    while let Some((plain, _)) = rest.split_once('%') {
        out(plain.as_bytes());
        let mut escaped = decoded(rest.get(plain.len()..).unwrap_or_default());
        if let Some(b) = escaped.next() {
            out(&[b]);
        }
        let consumed = rest.len().saturating_sub(escaped.rest.len());
        // An escape is ASCII, so what follows it starts a character.
        rest = rest.get(consumed..).unwrap_or_default();
    }
    out(rest.as_bytes());
}
