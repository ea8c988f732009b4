//! The Pusher dialect: hub entries to frames. Each frame is encoded once, however many sockets get it.

use super::hub::mail::Member;
use super::hub::{Entry, Members, Missed};
use bytes::{Bytes, BytesMut};
use tidings_core::error::TxFull;
use tidings_core::io::TxBuf;
use tidings_core::json::EscapedJson;
use tidings_core::pusher;

/// Runs `encode` on a buffer that grows until the frame fits.
pub(super) fn frame(
    first_try: usize,
    encode: impl Fn(&mut TxBuf<'_>) -> Result<(), TxFull>,
) -> Bytes {
    let mut size = first_try;
    loop {
        let mut memory = vec![0; size];
        let mut tx = TxBuf::new(&mut memory);
        match encode(&mut tx) {
            Ok(()) => {
                let len = tx.len();
                memory.truncate(len);
                return Bytes::from(memory);
            }
            Err(full) => size = size.saturating_mul(2).max(size.saturating_add(full.at_least)),
        }
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// An application's or a client's event.
pub(super) fn event(entry: &Entry) -> Bytes {
    let (channel, name) = (text(&entry.channel), text(&entry.event));
    let data = EscapedJson::from_validated(text(&entry.data));
    let user_id = entry.user_id.as_deref();
    let size = channel.len() + name.len() + entry.data.len() + user_id.map_or(0, str::len) + 80;
    frame(size, |tx| pusher::encode_channel_event(tx, channel, name, data, user_id))
}

/// An event that is kept under a serial.
pub(super) fn logged_event(entry: &Entry, serial: &str) -> Bytes {
    let (channel, name) = (text(&entry.channel), text(&entry.event));
    let data = EscapedJson::from_validated(text(&entry.data));
    let size = channel.len() + name.len() + entry.data.len() + serial.len() + 80;
    frame(size, |tx| pusher::encode_logged_event(tx, channel, name, data, serial))
}

/// The answer to who resumes, and the frames that were missed.
pub(super) fn resumed(channel: &[u8], missed: &Missed) -> Bytes {
    let events = u32::try_from(missed.frames.len()).unwrap_or(u32::MAX);
    let (complete, serial) = (missed.complete, &missed.serial);
    let head = frame(200, |tx| pusher::encode_resumed(tx, text(channel), complete, events, serial));
    if missed.frames.is_empty() {
        return head;
    }
    let mut all = BytesMut::from(&head[..]);
    missed.frames.iter().for_each(|frame| all.extend_from_slice(frame));
    all.freeze()
}

/// The JSON text within a frame of the server.
pub(super) fn payload(frame: &Bytes) -> &[u8] {
    let start = match frame.get(1) {
        Some(127) => 10,
        Some(126) => 4,
        _ => 2,
    };
    frame.get(start..).unwrap_or_default()
}

/// The data within a frame of [`event`]: the inside of its string literal, which ends the frame of an entry
/// without a user.
pub(super) fn data_within(frame: &Bytes, entry: &Entry) -> Bytes {
    let data = tail(frame, entry.data.len()).unwrap_or_default();
    debug_assert_eq!(data, entry.data);
    data
}

/// So many bytes of data at the end of a frame of [`event`], if it has as many.
pub(super) fn tail(frame: &Bytes, len: usize) -> Option<Bytes> {
    const END: usize = r#""}"#.len();
    let end = frame.len().checked_sub(END)?;
    Some(frame.slice(end.checked_sub(len)?..end))
}

/// What a cache channel that holds nothing says to a subscriber.
pub(super) fn cache_miss(channel: &[u8]) -> Bytes {
    frame(80 + channel.len(), |tx| pusher::encode_cache_miss(tx, text(channel)))
}

pub(super) fn subscription_count(channel: &[u8], count: u32) -> Bytes {
    let size = 128 + channel.len();
    frame(size, |tx| pusher::encode_subscription_count(tx, text(channel), count.into()))
}

/// Who of the users watched is there and who is not.
pub(super) fn watchlist_events(online: &[Box<str>], offline: &[Box<str>]) -> Bytes {
    let (online, offline) = (online.iter().map(|id| &**id), offline.iter().map(|id| &**id));
    let size = 160 + online.clone().chain(offline.clone()).map(|id| id.len() + 8).sum::<usize>();
    frame(size, |tx| pusher::encode_watchlist_events(tx, online.clone(), offline.clone()))
}

/// The acknowledgement of a presence subscription, with all members.
pub(super) fn presence_succeeded(channel: &[u8], members: &Members) -> Bytes {
    let size = 256 + members.len() * 64;
    frame(size, |tx| pusher::encode_presence_succeeded(tx, text(channel), members.iter()))
}

pub(super) fn member_added(channel: &[u8], member: &Member) -> Bytes {
    let info = member.info.as_deref();
    let size = 128 + channel.len() + member.id.len() + info.map_or(0, str::len) * 2;
    frame(size, |tx| pusher::encode_member_added(tx, text(channel), &member.id, info))
}

pub(super) fn member_removed(channel: &[u8], user_id: &str) -> Bytes {
    let size = 128 + channel.len() + user_id.len();
    frame(size, |tx| pusher::encode_member_removed(tx, text(channel), user_id))
}
