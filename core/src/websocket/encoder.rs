//! Frames into the output buffer: whole or not at all.

use super::header::Header;
use super::mask::Mask;
use super::opcode::{MessageKind, Opcode};
use crate::error::TxFull;
use crate::io::{TxBuf, copy, move_within};

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
    if cfg!(feature = "small") {
        return encode_joined(tx, mask.map(Mask::new), opcode, fin, payload, &[]);
    }
    let header = Header { fin, opcode, mask, len: payload.len() as u64 };
    let body =
        header.write(tx.spare_mut()).and_then(|rest| rest.split_at_mut_checked(payload.len()));
    let Some((body, rest)) = body else {
        return Err(TxFull { at_least: header.encoded_len().saturating_add(payload.len()) });
    };
    match mask {
        Some(key) => Mask::new(key).copy(payload, body),
        None => copy(payload, body),
    }
    let rest = rest.len();
    tx.commit_all_but(rest);
    Ok(())
}

/// Appends a control frame whose payload comes in two parts: at most 125 bytes in all, which the caller has checked.
/// All of it or nothing.
pub(crate) fn encode_control(
    tx: &mut TxBuf<'_>,
    mask: Option<Mask>,
    opcode: Opcode,
    first: &[u8],
    second: &[u8],
) -> Result<(), TxFull> {
    encode_joined(tx, mask, opcode, true, first, second)
}

/// Appends a frame whose payload comes in two parts: the shortest way, not the fastest. All of it or nothing.
fn encode_joined(
    tx: &mut TxBuf<'_>,
    mask: Option<Mask>,
    opcode: Opcode,
    fin: bool,
    first: &[u8],
    second: &[u8],
) -> Result<(), TxFull> {
    let len = first.len().saturating_add(second.len());
    let start = begin_frame(tx, mask, opcode, fin, len)?;
    tx.put_reserved(first);
    if !second.is_empty() {
        tx.put_reserved(second);
    }
    mask_from(tx, mask, start);
    Ok(())
}

/// Appends the header of a frame for whose whole there is room, and tells where its payload starts.
pub(crate) fn begin_frame(
    tx: &mut TxBuf<'_>,
    mask: Option<Mask>,
    opcode: Opcode,
    fin: bool,
    len: usize,
) -> Result<usize, TxFull> {
    let mask = mask.map(Mask::bytes);
    let header = Header { fin, opcode, mask, len: len as u64 };
    let key = mask.as_ref().map_or(&[][..], <[u8; 4]>::as_slice);
    let mut bytes = [0; 8];
    let (start, long) = header.parts(&mut bytes);
    let head = start.len().wrapping_add(long.len()).wrapping_add(key.len());
    tx.reserve(head.saturating_add(len))?;
    tx.put_reserved(&start);
    tx.put_reserved(long);
    tx.put_reserved(key);
    Ok(tx.len())
}

/// Masks a payload that is all written.
pub(crate) fn mask_from(tx: &mut TxBuf<'_>, mask: Option<Mask>, start: usize) {
    if let Some(mut mask) = mask {
        mask.apply(tx.written_mut(start));
    }
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
    let frame = spare.get_mut(..total.max(start.saturating_add(len))).ok_or(full)?;
    move_within(frame, start, head, len);
    header.write(frame).ok_or(full)?;
    tx.commit(total);
    Ok(())
}
