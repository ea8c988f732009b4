//! The head of a response in few instructions: for the feature `small`.
//!
//! The rules are those of the other reader. A mistake is noticed once its line has ended.

use super::fields::Fields;
use super::head::{HeadError, HeadLimits, ResponseHead, Version};
use super::scan::{is_text_only, token_len};
use crate::io::Parse;

/// Reads the head at the front of `input`; `note` gets the name and the value of each field on the way.
pub(super) fn parse_response<'i>(
    input: &'i [u8],
    limits: HeadLimits,
    note: &mut impl FnMut(&'i [u8], &'i [u8]),
) -> Result<Parse<ResponseHead<'i>>, HeadError> {
    let head = input.get(..limits.max_bytes).unwrap_or(input);
    let start = head.strip_prefix(b"\r\n").unwrap_or(head);
    let Some((line, block)) = next_line(start)? else {
        // What is not HTTP, as TLS is not, may never have an end of line.
        let other = start.iter().zip(b"HTTP/").any(|(byte, expected)| byte != expected);
        if other && !matches!(start, [b'\r']) {
            return Err(HeadError::StatusLine);
        }
        return more(input, limits, HeadError::TargetTooLong);
    };
    if line.is_empty() {
        return Err(HeadError::EmptyLine);
    }
    let (version, status, phrase) = status_line(line)?;
    let mut rest = block;
    let mut fields = limits.max_fields;
    loop {
        let Some((line, behind)) = next_line(rest)? else {
            return more(input, limits, HeadError::TooLarge);
        };
        if line.is_empty() {
            let len = block.len().saturating_sub(rest.len());
            let fields = Fields::new(block.get(..len).unwrap_or_default());
            let consumed = head.len().saturating_sub(behind.len());
            return Ok(Parse::Done {
                value: ResponseHead { version, status, phrase, fields },
                consumed,
            });
        }
        let (name, value) = split_field(line)?;
        note(name, value);
        fields = fields.checked_sub(1).ok_or(HeadError::TooManyFields)?;
        rest = behind;
    }
}

/// Asks for the rest of a head, unless it is full: then `error` tells of which part there was too much.
fn more<T>(input: &[u8], limits: HeadLimits, error: HeadError) -> Result<Parse<T>, HeadError> {
    if input.len() >= limits.max_bytes { Err(error) } else { Ok(Parse::NeedMore { at_least: 1 }) }
}

/// A line without its end, and what follows; `None` for one that has not ended.
#[inline(never)]
fn next_line(input: &[u8]) -> Result<Option<(&[u8], &[u8])>, HeadError> {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    match input.split_at_checked(end) {
        Some(([line @ .., b'\r'], [_, behind @ ..])) => Ok(Some((line, behind))),
        _ => Err(HeadError::BareLf),
    }
}

fn status_line(line: &[u8]) -> Result<(Version, u16, &[u8]), HeadError> {
    let Some([major, b'.', minor, rest @ ..]) = line.strip_prefix(b"HTTP/") else {
        return Err(HeadError::StatusLine);
    };
    let version = match (major, minor) {
        (b'1', b'0') => Version::Http10,
        (b'1', b'1'..=b'9') => Version::Http11,
        (b'0'..=b'9', b'0'..=b'9') => return Err(HeadError::VersionNotSupported),
        _ => return Err(HeadError::StatusLine),
    };
    let Some((&[b' ', digits @ ..], phrase)) = rest.split_first_chunk::<4>() else {
        return Err(HeadError::StatusLine);
    };
    let mut status = 0_u16;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(HeadError::StatusLine);
        }
        status = status.wrapping_mul(10).wrapping_add(u16::from(digit.wrapping_sub(b'0')));
    }
    // The space before an empty phrase is often left out.
    if status < 100 || !matches!(phrase, [] | [b' ', ..]) || !is_text_only(phrase) {
        return Err(HeadError::StatusLine);
    }
    Ok((version, status, phrase.get(1..).unwrap_or_default()))
}

/// The name and the value of a field.
fn split_field(line: &[u8]) -> Result<(&[u8], &[u8]), HeadError> {
    match line.split_at_checked(token_len(line)) {
        Some((name @ [_, ..], [b':', value @ ..])) if is_text_only(value) => {
            Ok((name, value.trim_ascii()))
        }
        Some(([_, ..], [b':', ..])) => Err(HeadError::FieldValue),
        Some(([], [b' ' | b'\t', ..])) => Err(HeadError::FieldFolded),
        _ => Err(HeadError::FieldName),
    }
}
