//! The little HTTP/1.1 that a publisher needs: a signed request, and where its answer ends.

use memchr::{memchr, memmem};

/// What is at the start of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The answer is not whole yet.
    Incomplete,
    /// A whole answer.
    Whole {
        /// Its status.
        status: u16,
        /// Where its body begins.
        body: usize,
        /// Its length, head and body.
        used: usize,
        /// The server will end the connection.
        closes: bool,
    },
    /// Not HTTP.
    Invalid,
}

/// The longest head that is waited for.
const MAX_HEAD: usize = 64 * 1024;

/// Looks at the answer at the start of `buf`.
pub(crate) fn parse_answer(buf: &[u8]) -> Answer {
    let Some(end) = memmem::find(buf, b"\r\n\r\n") else {
        return if buf.len() > MAX_HEAD { Answer::Invalid } else { Answer::Incomplete };
    };
    let head = &buf[..end];
    let Some(status) = status(head) else { return Answer::Invalid };
    let mut closes = header(head, "connection").is_some_and(|v| v.eq_ignore_ascii_case(b"close"));
    let body = end + 4;
    let length = if matches!(status, 101 | 204 | 304) {
        Some(0)
    } else if let Some(length) = header(head, "content-length") {
        let Some(length) = number(length, 10) else { return Answer::Invalid };
        Some(length)
    } else if header(head, "transfer-encoding").is_some() {
        chunked_length(&buf[body..])
    } else {
        closes = true; // the body goes on to the end of the connection
        Some(0)
    };
    match length.and_then(|length| body.checked_add(length)) {
        Some(used) if used <= buf.len() => Answer::Whole { status, body, used, closes },
        _ => Answer::Incomplete,
    }
}

/// A whole `POST` of a JSON body, to be kept alive.
pub(crate) fn push_post(out: &mut Vec<u8>, host: &str, path_and_query: &str, body: &[u8]) {
    out.extend_from_slice(b"POST ");
    out.extend_from_slice(path_and_query.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    out.extend_from_slice(host.as_bytes());
    out.extend_from_slice(b"\r\nContent-Type: application/json\r\nContent-Length: ");
    out.extend_from_slice(body.len().to_string().as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(body);
}

fn status(head: &[u8]) -> Option<u16> {
    let digits = head.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    str::from_utf8(digits).ok()?.parse().ok()
}

fn header<'h>(head: &'h [u8], name: &str) -> Option<&'h [u8]> {
    head.split(|&byte| byte == b'\n').skip(1).find_map(|line| {
        let colon = memchr(b':', line)?;
        line[..colon].eq_ignore_ascii_case(name.as_bytes()).then(|| line[colon + 1..].trim_ascii())
    })
}

fn number(digits: &[u8], radix: u32) -> Option<usize> {
    usize::from_str_radix(str::from_utf8(digits).ok()?.trim(), radix).ok()
}

/// The length of a whole chunked body; chunks that make no sense never become whole.
fn chunked_length(buf: &[u8]) -> Option<usize> {
    let mut at = 0_usize;
    loop {
        let rest = buf.get(at..)?;
        let line = memmem::find(rest, b"\r\n")?;
        let size = number(rest[..line].split(|&byte| byte == b';').next()?, 16)?;
        at = at.checked_add(line + 2)?.checked_add(size)?.checked_add(2)?;
        if at > buf.len() {
            return None;
        }
        if size == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(answer: &[u8]) -> (u16, usize, bool) {
        match parse_answer(answer) {
            Answer::Whole { status, used, closes, .. } => (status, used, closes),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_answer_is_whole_when_its_length_is_there() {
        let full = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP";
        assert_eq!(whole(full), (200, full.len() - 4, false));
        for cut in 0..full.len() - 4 {
            assert_eq!(parse_answer(&full[..cut]), Answer::Incomplete, "cut at {cut}");
        }
    }

    #[test]
    fn an_answer_in_chunks_ends_at_the_empty_one() {
        let full = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        assert_eq!(whole(full), (200, full.len(), false));
        assert_eq!(parse_answer(&full[..full.len() - 1]), Answer::Incomplete);
    }

    #[test]
    fn the_end_of_the_connection_is_announced() {
        let closing = b"HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(whole(closing), (401, closing.len(), true));
        assert_eq!(whole(b"HTTP/1.1 200 OK\r\n\r\n"), (200, 19, true));
    }

    #[test]
    fn anything_else_is_not_http() {
        assert_eq!(parse_answer(b"SSH-2.0-x\r\n\r\n"), Answer::Invalid);
        assert_eq!(parse_answer(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), Answer::Invalid);
        assert_eq!(parse_answer(&[b'a'; MAX_HEAD + 1]), Answer::Invalid);
    }

    #[test]
    fn a_post_is_one_request_with_its_length() {
        let mut out = Vec::new();
        push_post(&mut out, "h:1", "/apps/1/events?a=b", b"{}");
        let expected = "POST /apps/1/events?a=b HTTP/1.1\r\nHost: h:1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
