//! Frames into the output buffer: whole or not at all.

use super::header::Header;
use super::mask::Mask;
use super::opcode::{MessageKind, Opcode};
use crate::error::TxFull;
use crate::io::TxBuf;

#[cfg(test)]
mod tests;

/// Appends a frame of a known payload, masked when there is a key. All of it or nothing.
///
/// # Errors
/// [`TxFull`] with the frame's whole length when it does not fit.
#[inline]
pub fn encode_frame(
    tx: &mut TxBuf<'_>,
    mask: Option<[u8; 4]>,
    opcode: Opcode,
    fin: bool,
    payload: &[u8],
) -> Result<(), TxFull> {
    let header = Header { fin, opcode, mask, len: payload.len() as u64 };
    let spare = tx.spare_mut();
    let room = spare.len();
    let body = header.write(spare).and_then(|rest| rest.split_at_mut_checked(payload.len()));
    let Some((body, rest)) = body else {
        return Err(TxFull { at_least: header.encoded_len().saturating_add(payload.len()) });
    };
    match mask {
        Some(key) => Mask::new(key).copy(payload, body),
        // Equal lengths, said in a way that leaves no panic.
        None => {
            if body.len() == payload.len() {
                body.copy_from_slice(payload);
            }
        }
    }
    let written = room.saturating_sub(rest.len());
    tx.commit(written);
    Ok(())
}

/// Appends a control frame. Out of line, so that only messages are encoded at their caller's place.
#[inline(never)]
pub(crate) fn encode_control(
    tx: &mut TxBuf<'_>,
    mask: Option<[u8; 4]>,
    opcode: Opcode,
    payload: &[u8],
) -> Result<(), TxFull> {
    encode_frame(tx, mask, opcode, true, payload)
}

/// Appends a whole message whose payload `write` makes, so that its length need not be known before.
///
/// `write` gets an empty buffer of its own: the room behind the place of the header. All of the frame is
/// appended or nothing, also when `write` fails.
///
/// ```
/// use tidings_core::io::TxBuf;
/// use tidings_core::websocket::{MessageKind, write_frame};
///
/// let mut memory = [0; 64];
/// let mut tx = TxBuf::new(&mut memory);
/// write_frame(&mut tx, None, MessageKind::Text, |body| {
///     body.put(b"{\"event\":")?;
///     body.put(b"\"pusher:pong\"}")
/// })
/// .unwrap();
/// assert_eq!(tx.written(), b"\x81\x17{\"event\":\"pusher:pong\"}");
/// ```
///
/// # Errors
/// [`TxFull`] when the frame does not fit; `at_least` is the room that is known to be needed, counted
/// from the frame's start. The whole need is known only once `write` comes to its end. While the payload
/// is written, the header takes 4 bytes (8 with a mask), so a payload up to 125 bytes needs 2 bytes of room
/// more than its frame.
pub fn write_frame(
    tx: &mut TxBuf<'_>,
    mask: Option<[u8; 4]>,
    kind: MessageKind,
    write: impl FnOnce(&mut TxBuf<'_>) -> Result<(), TxFull>,
) -> Result<(), TxFull> {
    // Most messages take a header of this length; the others are moved once their length is known.
    const GUESS: Header = Header::text(126);
    let header = Header { mask, ..GUESS };
    let start = header.encoded_len();

    let spare = tx.spare_mut();
    let room = spare.get_mut(start..).ok_or(TxFull { at_least: start })?;
    let mut body = TxBuf::new(room);
    let outcome = write(&mut body);
    let len = body.len();
    if let Err(TxFull { at_least }) = outcome {
        return Err(TxFull { at_least: at_least.saturating_add(len).saturating_add(start) });
    }
    if let Some(key) = mask {
        Mask::new(key).apply(body.written_mut(0));
    }

    let header = Header { fin: true, opcode: kind.opcode(), mask, len: len as u64 };
    let head = header.encoded_len();
    let total = head.saturating_add(len);
    let full = TxFull { at_least: total };
    if head != start {
        move_within(spare, start, head, len).ok_or(full)?;
    }
    let frame = spare.get_mut(..total).ok_or(full)?;
    header.write(frame).ok_or(full)?;
    tx.commit(total);
    Ok(())
}

/// Moves `len` bytes from `from` to `to`; `None`, and nothing is moved, when they aren't within `bytes`.
#[inline]
pub(crate) fn move_within(bytes: &mut [u8], from: usize, to: usize, len: usize) -> Option<()> {
    let from_end = from.checked_add(len)?;
    let to_end = to.checked_add(len)?;
    let within = bytes.get_mut(..from_end.max(to_end))?;
    within.copy_within(from..from_end, to);
    Some(())
}
