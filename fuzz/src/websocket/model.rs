//! What a stream of frames means, read in the plainest way: all bytes are there, nothing is done in place.

use tidings_core::limits::{Limits, Oversize};
use tidings_core::websocket::{MessageKind, PeerError, Role};

/// What is reported of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Message(MessageKind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Skipped(u64),
    Close(Option<u16>, String),
}

/// What was reported in order, and the error that came after it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) seen: Vec<Seen>,
    pub(super) error: Option<PeerError>,
}

/// A message under way.
struct Message {
    kind: MessageKind,
    payload: Vec<u8>,
    size: u64,
    skipped: bool,
}

/// A header, and its length.
struct Head {
    fin: bool,
    opcode: u8,
    key: Option<[u8; 4]>,
    len: u64,
    consumed: usize,
}

/// Reads all frames that arrive at `role`'s end, up to a close frame, an error or the end.
pub(super) fn read(role: Role, limits: Limits, bytes: &[u8]) -> Reading {
    let mut reading = Reading::default();
    reading.error = frames(role, limits, bytes, &mut reading.seen).err();
    reading
}

fn frames(
    role: Role,
    limits: Limits,
    mut bytes: &[u8],
    seen: &mut Vec<Seen>,
) -> Result<(), PeerError> {
    let mut message: Option<Message> = None;
    while let Some(head) = head(bytes)? {
        match (role, head.key) {
            (Role::Server, None) => return Err(PeerError::MaskMissing),
            (Role::Client, Some(_)) => return Err(PeerError::MaskUnexpected),
            _ => {}
        }
        let rest = &bytes[head.consumed..];
        let there = usize::try_from(head.len).unwrap_or(usize::MAX).min(rest.len());
        let complete = there as u64 == head.len;
        let key = head.key.unwrap_or_default();
        let payload: Vec<u8> =
            rest[..there].iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        bytes = &rest[there..];
        if head.opcode >= 8 {
            if !complete {
                break;
            }
            let event = control(head.opcode, payload)?;
            let last = matches!(event, Seen::Close(..));
            seen.push(event);
            if last {
                break;
            }
            continue;
        }
        let under_way = begin(&mut message, &head, limits)?;
        if under_way.skipped {
            under_way.payload.clear();
        } else {
            under_way.payload.extend(payload);
            check(under_way, complete && head.fin)?;
        }
        if complete && head.fin {
            seen.extend(message.take().map(|message| match message {
                Message { skipped: true, size, .. } => Seen::Skipped(size),
                Message { kind, payload, .. } => Seen::Message(kind, payload),
            }));
        }
    }
    Ok(())
}

/// The header at the front, if it is all there; the rules that it can break by itself, as soon as they are broken.
fn head(bytes: &[u8]) -> Result<Option<Head>, PeerError> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let (fin, opcode) = (first & 0x80 != 0, first & 0x0F);
    if first & 0x70 != 0 {
        return Err(PeerError::ReservedBits);
    }
    if !matches!(opcode, 0..=2 | 8..=10) {
        return Err(PeerError::ReservedOpcode);
    }
    if opcode >= 8 && !fin {
        return Err(PeerError::ControlFragmented);
    }
    let Some(&second) = bytes.get(1) else { return Ok(None) };
    let short = second & 0x7F;
    if opcode >= 8 && short > 125 {
        return Err(PeerError::ControlTooLong);
    }
    let extra = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some(long) = bytes.get(2..2 + extra) else { return Ok(None) };
    let long = long.iter().fold(0, |len, byte| len << 8 | u64::from(*byte));
    if extra == 8 && long >> 63 != 0 {
        return Err(PeerError::LengthTopBit);
    }
    if extra == 2 && long < 126 || extra == 8 && long < 0x1_0000 {
        return Err(PeerError::LengthNotMinimal);
    }
    let len = if extra == 0 { u64::from(short) } else { long };
    let mut head = Head { fin, opcode, key: None, len, consumed: 2 + extra };
    if second & 0x80 != 0 {
        let Some(key) = bytes.get(2 + extra..6 + extra) else { return Ok(None) };
        head.key = Some(key.try_into().expect("four bytes"));
        head.consumed += 4;
    }
    Ok(Some(head))
}

fn control(opcode: u8, payload: Vec<u8>) -> Result<Seen, PeerError> {
    if opcode != 8 {
        return Ok(if opcode == 9 { Seen::Ping(payload) } else { Seen::Pong(payload) });
    }
    match payload[..] {
        [] => Ok(Seen::Close(None, String::new())),
        [_] => Err(PeerError::CloseCodeTruncated),
        [high, low, ref reason @ ..] => {
            let code = u16::from_be_bytes([high, low]);
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(PeerError::CloseCodeInvalid);
            }
            let reason = str::from_utf8(reason).map_err(|_| PeerError::CloseReasonUtf8)?;
            Ok(Seen::Close(Some(code), reason.to_owned()))
        }
    }
}

/// The message that a data frame begins or goes on with.
fn begin<'m>(
    message: &'m mut Option<Message>,
    head: &Head,
    limits: Limits,
) -> Result<&'m mut Message, PeerError> {
    match (head.opcode, &message) {
        (0, None) => return Err(PeerError::ContinuationUnexpected),
        (1 | 2, Some(_)) => return Err(PeerError::MessageInterrupted),
        _ => {}
    }
    let kind = if head.opcode == 1 { MessageKind::Text } else { MessageKind::Binary };
    let message =
        message.get_or_insert(Message { kind, payload: Vec::new(), size: 0, skipped: false });
    message.size = message.size.saturating_add(head.len);
    if message.size > u64::from(limits.max_message) {
        match limits.oversize {
            Oversize::Close => return Err(PeerError::MessageTooBig),
            Oversize::Skip => message.skipped = true,
        }
    }
    Ok(message)
}

/// Checks the text that has come so far.
fn check(message: &Message, complete: bool) -> Result<(), PeerError> {
    if message.kind == MessageKind::Binary {
        return Ok(());
    }
    match str::from_utf8(&message.payload) {
        Err(error) if error.error_len().is_some() => Err(PeerError::TextInvalid),
        Err(_) if complete => Err(PeerError::TextTruncated),
        _ => Ok(()),
    }
}
