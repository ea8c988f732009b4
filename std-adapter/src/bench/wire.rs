//! WebSocket frames as a load generator sees them: one whole text frame a message.

use tidings_core::io::{Parse, TxBuf};
use tidings_core::websocket::{Header, Opcode, encode_frame};

use super::payload;
use super::stats::Received;

/// A frame that lies whole in a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'b> {
    /// What it is.
    pub(crate) opcode: Opcode,
    /// Its payload.
    pub(crate) payload: &'b [u8],
    /// Its length, header included.
    pub(crate) used: usize,
}

/// The frame at the start of `buf`; `None` when it is not whole yet.
///
/// # Errors
/// What the server did wrong. A message in fragments counts as wrong: servers of this protocol send none, and the
/// generator does not put them together.
#[inline]
pub(crate) fn parse(buf: &[u8]) -> Result<Option<Frame<'_>>, String> {
    let (header, head) = match Header::parse(buf) {
        Ok(Parse::Done { value, consumed }) => (value, consumed),
        Ok(Parse::NeedMore { .. }) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if header.mask.is_some() {
        return Err("a masked frame from a server".to_owned());
    }
    if !header.fin || header.opcode == Opcode::Continuation {
        return Err("a message in fragments, which is not counted here".to_owned());
    }
    let frame =
        usize::try_from(header.len).ok().and_then(|len| buf.get(head..head.checked_add(len)?));
    Ok(frame.map(|payload| Frame { opcode: header.opcode, payload, used: head + payload.len() }))
}

/// Counts the deliveries at the start of `buf`, and stops at the first frame that is anything else or not whole.
///
/// Returns the bytes that they took. `hint` is where a mark was last time; `highest` the connection's
/// highest message number.
///
/// # Errors
/// As [`parse`].
#[inline]
pub(crate) fn count_deliveries(
    buf: &[u8],
    now: u64,
    received: &mut Received,
    hint: &mut usize,
    highest: &mut u32,
) -> Result<usize, String> {
    let mut at = 0;
    while let Some(frame) = parse(&buf[at..])? {
        let mark = match frame.opcode {
            Opcode::Text => payload::find_mark(frame.payload, hint),
            _ => None,
        };
        let Some((due, seq)) = mark else { break };
        received.count(seq, due, now, frame.used, highest);
        at += frame.used;
    }
    Ok(at)
}

/// Appends a frame as a client sends it: masked, with a fresh key.
///
/// # Errors
/// When the system has no entropy.
pub(crate) fn push_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) -> std::io::Result<()> {
    let mut key = [0; 4];
    getrandom::fill(&mut key).map_err(std::io::Error::other)?;
    let start = out.len();
    out.resize(start + Header::MAX_LEN + payload.len(), 0);
    let mut tx = TxBuf::new(&mut out[start..]);
    encode_frame(&mut tx, Some(key), opcode, true, payload).map_err(std::io::Error::other)?;
    let len = tx.len();
    out.truncate(start + len);
    Ok(())
}

/// Code and reason of a close frame, for people.
pub(crate) fn close_text(payload: &[u8]) -> String {
    match payload.split_first_chunk::<2>() {
        None => "close without a code".to_owned(),
        Some((code, [])) => format!("close {}", u16::from_be_bytes(*code)),
        Some((code, reason)) => {
            format!("close {}: {}", u16::from_be_bytes(*code), String::from_utf8_lossy(reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use tidings_core::websocket::Mask;

    use super::super::payload::Template;
    use super::*;

    fn server_frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![0; Header::MAX_LEN + payload.len()];
        let mut tx = TxBuf::new(&mut out);
        encode_frame(&mut tx, None, opcode, true, payload).unwrap();
        let len = tx.len();
        out.truncate(len);
        out
    }

    /// Deliveries 1 and 2, a ping, delivery 3.
    fn stream() -> Vec<u8> {
        let mut template = Template::publish("c", 200);
        let mut out = server_frame(Opcode::Text, template.fill(10, 1));
        out.extend(server_frame(Opcode::Text, template.fill(20, 2)));
        out.extend(server_frame(Opcode::Ping, b"?"));
        out.extend(server_frame(Opcode::Text, template.fill(30, 3)));
        out
    }

    #[test]
    fn deliveries_are_counted_up_to_the_first_other_frame() {
        let stream = stream();
        let (mut received, mut hint, mut highest) = (Received::starting_at(1), 0, 0);
        let used = count_deliveries(&stream, 50, &mut received, &mut hint, &mut highest).unwrap();
        assert_eq!((received.delivered, highest), (2, 2));
        assert_eq!(parse(&stream[used..]).unwrap().unwrap().opcode, Opcode::Ping);
    }

    #[test]
    fn a_cut_stream_gives_the_same_counts_wherever_it_is_cut() {
        let stream = stream();
        for cut in 0..=stream.len() {
            let (mut received, mut hint, mut highest) = (Received::starting_at(1), 0, 0);
            let mut at = 0;
            for end in [cut, stream.len()] {
                loop {
                    let rest = &stream[at..end];
                    at +=
                        count_deliveries(rest, 50, &mut received, &mut hint, &mut highest).unwrap();
                    match parse(&stream[at..end]).unwrap() {
                        Some(frame) if frame.opcode == Opcode::Ping => at += frame.used,
                        _ => break,
                    }
                }
            }
            assert_eq!(
                (received.delivered, received.reordered, at),
                (3, 0, stream.len()),
                "cut at {cut}"
            );
            assert_eq!(received.bytes as usize, stream.len() - 3);
        }
    }

    #[test]
    fn what_a_server_must_not_send_is_an_error() {
        assert!(parse(&[0x81, 0x80, 0, 0, 0, 0]).unwrap_err().contains("masked"));
        assert!(parse(&[0x01, 0x00]).unwrap_err().contains("fragments"));
        assert!(parse(&[0x80, 0x00]).unwrap_err().contains("fragments"));
        assert!(parse(&[0xc1, 0x00]).is_err());
    }

    #[test]
    fn frames_to_the_server_are_masked_and_appended() {
        let mut out = b"before".to_vec();
        push_frame(&mut out, Opcode::Text, b"Hello").unwrap();
        let Ok(Parse::Done { value, consumed }) = Header::parse(&out[6..]) else { panic!() };
        let mut payload = out[6 + consumed..].to_vec();
        Mask::new(value.mask.unwrap()).apply(&mut payload);
        assert_eq!((value.opcode, payload.as_slice()), (Opcode::Text, b"Hello".as_slice()));
    }

    #[test]
    fn a_close_frame_is_shown_with_code_and_reason() {
        assert_eq!(close_text(b""), "close without a code");
        assert_eq!(close_text(&4100_u16.to_be_bytes()), "close 4100");
        assert_eq!(close_text(b"\x10\x04too slow"), "close 4100: too slow");
    }
}
