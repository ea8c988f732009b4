//! The answer to a request.

use core::{fmt, str};

use crate::io::Parse;
use crate::websocket::handshake::{Fields, HeadError, HeadLimits, ResponseHead};

/// Reads the answer to one request, however it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestReader {
    limits: HeadLimits,
}

/// A whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestAnswer<'i> {
    /// The status: 200 when the event was published. 401 is a wrong signature or clock, 413 too much data; both say more
    /// in the body.
    pub status: u16,
    /// After how many seconds to try again, with 429 and 503.
    pub retry_after_s: Option<u32>,
    /// The body: `{}`, or a text that says what is wrong.
    pub body: &'i [u8],
    /// Whether the connection can take another request.
    pub keep_alive: bool,
}

/// An answer that cannot be read; end the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RestError {
    /// The length of the body is not told in a way that HTTP knows.
    BodyLength,
    /// The transport has ended before the whole answer was there. Whether the event was published is not known.
    EndOfStream,
    /// The answer is not HTTP as it should be.
    Head(HeadError),
}

/// How the end of a body is found (RFC 9112 section 6.3).
enum Framing {
    Chunks,
    End,
    Length(usize),
}

impl RestReader {
    /// A reader with the usual bounds on the head.
    #[must_use]
    pub const fn new() -> Self {
        Self { limits: HeadLimits::new() }
    }

    /// Reads the answer at the front of `input`, from its beginning each time. `ended` says that nothing more comes. A
    /// body in chunks is joined where it stands when it is whole.
    ///
    /// Until it is whole, [`Parse::NeedMore`] says how many more bytes it takes at least: with a full buffer the answer is
    /// too large for it. A status of 2xx in a head that is there tells that the event was published all the same.
    ///
    /// # Errors
    /// [`RestError`].
    pub fn read<'i>(
        &self,
        input: &'i mut [u8],
        ended: bool,
    ) -> Result<Parse<RestAnswer<'i>>, RestError> {
        let more = |at_least| {
            if ended { Err(RestError::EndOfStream) } else { Ok(Parse::NeedMore { at_least }) }
        };
        let mut start = 0usize;
        let (status, retry_after_s, keeps, framing) = loop {
            let rest = input.get(start..).unwrap_or_default();
            match ResponseHead::parse(rest, self.limits).map_err(RestError::Head)? {
                Parse::NeedMore { at_least } => return more(at_least),
                Parse::Done { value, consumed } => {
                    start = start.saturating_add(consumed);
                    if !matches!(value.status, 100..=199) {
                        let keeps = !value.fields.has_token("connection", "close");
                        let framing = framing(value.status, &value.fields)?;
                        break (value.status, seconds(&value.fields), keeps, framing);
                    }
                }
            }
        };
        let rest = input.get_mut(start..).unwrap_or_default();
        let (len, used) = match framing {
            Framing::End if ended => (rest.len(), rest.len()),
            Framing::End => return more(1),
            Framing::Length(len) if rest.len() >= len => (len, len),
            Framing::Length(len) => return more(len.saturating_sub(rest.len())),
            Framing::Chunks => match join_chunks(rest)? {
                Some(found) => found,
                None => return more(1),
            },
        };
        let keep_alive = keeps && !matches!(framing, Framing::End);
        let body = rest.get(..len).unwrap_or_default();
        let value = RestAnswer { status, retry_after_s, body, keep_alive };
        Ok(Parse::Done { value, consumed: start.saturating_add(used) })
    }
}

impl Default for RestReader {
    fn default() -> Self {
        Self::new()
    }
}

fn framing(status: u16, fields: &Fields<'_>) -> Result<Framing, RestError> {
    if matches!(status, 204 | 304) {
        return Ok(Framing::Length(0));
    }
    if fields.first("transfer-encoding").is_some() {
        let chunked = fields.has_token("transfer-encoding", "chunked");
        return if chunked { Ok(Framing::Chunks) } else { Err(RestError::BodyLength) };
    }
    let mut lengths = fields.all("content-length");
    let Some(first) = lengths.next() else { return Ok(Framing::End) };
    if lengths.any(|other| other != first) {
        return Err(RestError::BodyLength);
    }
    number(first).map(Framing::Length).ok_or(RestError::BodyLength)
}

fn seconds(fields: &Fields<'_>) -> Option<u32> {
    number(fields.first("retry-after")?)
}

fn number<T: str::FromStr>(digits: &[u8]) -> Option<T> {
    let text = str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    text?.parse().ok()
}

/// Joins the chunks of a whole body at the front of `input`: the length of the body, and of what it came in. `None` while
/// it is not whole; nothing was changed then.
fn join_chunks(input: &mut [u8]) -> Result<Option<(usize, usize)>, RestError> {
    let Some(end) = walk(input)? else { return Ok(None) };
    let mut len = 0usize;
    // The same walk again over what is left of each chunk; data moves to the front, never over what is still to be read.
    let mut at = 0usize;
    while let Some((from, size)) = chunk(input.get(at..).unwrap_or_default())? {
        let from = at.saturating_add(from);
        if size == 0 {
            break;
        }
        let until = from.saturating_add(size);
        if until <= input.len() && len <= from {
            input.copy_within(from..until, len);
        }
        len = len.saturating_add(size);
        at = until.saturating_add(2);
    }
    Ok(Some((len, end)))
}

/// Goes over all chunks and the trailer; the place behind them, once they are whole.
fn walk(input: &[u8]) -> Result<Option<usize>, RestError> {
    let mut at = 0usize;
    loop {
        let rest = input.get(at..).unwrap_or_default();
        let Some((from, size)) = chunk(rest)? else { return Ok(None) };
        let behind = at.saturating_add(from).saturating_add(size);
        if size == 0 {
            return Ok(trailer(input.get(behind..).unwrap_or_default())
                .map(|len| behind.saturating_add(len)));
        }
        match input.get(behind..behind.saturating_add(2)) {
            None => return Ok(None),
            Some(b"\r\n") => at = behind.saturating_add(2),
            Some(_) => return Err(RestError::BodyLength),
        }
    }
}

/// The line before a chunk: where the chunk begins, and its size.
fn chunk(input: &[u8]) -> Result<Option<(usize, usize)>, RestError> {
    let Some(end) = line(input) else {
        // A size of 16 digits and some extension is more than any server sends.
        return if input.len() > 256 { Err(RestError::BodyLength) } else { Ok(None) };
    };
    let text = input.get(..end).unwrap_or_default();
    let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let rest = text.get(digits..).unwrap_or_default();
    let digits = text.get(..digits).and_then(|digits| str::from_utf8(digits).ok());
    let size = digits.and_then(|digits| usize::from_str_radix(digits, 16).ok());
    match (size, rest.first()) {
        (Some(size), None | Some(b';' | b' ' | b'\t')) => Ok(Some((end.saturating_add(2), size))),
        _ => Err(RestError::BodyLength),
    }
}

/// The length of a trailer with the empty line behind it.
fn trailer(input: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    loop {
        let len = line(input.get(at..).unwrap_or_default())?;
        at = at.saturating_add(len).saturating_add(2);
        if len == 0 {
            return Some(at);
        }
    }
}

/// The length of the line at the front, without its end.
fn line(input: &[u8]) -> Option<usize> {
    input.windows(2).position(|pair| pair == b"\r\n")
}

impl fmt::Display for RestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BodyLength => "the server's answer does not tell its length",
            Self::EndOfStream => "the server ended the connection before its answer was whole",
            Self::Head(error) => return error.fmt(f),
        })
    }
}

impl core::error::Error for RestError {}
