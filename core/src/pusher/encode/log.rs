//! What a server sends on channels that keep a log of their events: an extension that other clients never see.
//!
//! An event that is kept carries one more member, `serial`. A client that names the last serial it has seen when it
//! subscribes (`resume_from`) is told whether it has missed anything that is not kept any more, and gets the rest.

use super::data::EventData;
use super::sink::text_frame;
use crate::error::TxFull;
use crate::io::TxBuf;

/// Writes an event of a channel with its serial. The data stands last.
///
/// # Errors
/// [`TxFull`] with the exact length of the frame when it does not fit; nothing is written then.
pub fn encode_logged_event<'a>(
    tx: &mut TxBuf<'_>,
    channel: &str,
    event: &str,
    data: impl Into<EventData<'a>>,
    serial: &str,
) -> Result<(), TxFull> {
    let data = data.into();
    text_frame(tx, None, &|out| {
        out.text(r#"{"event":""#);
        out.escaped(event);
        out.text("\"");
        out.channel(channel);
        out.member("serial", serial);
        out.text(r#","data":""#);
        data.write(out);
        out.text(r#""}"#);
    })
}

/// Writes `pusher_internal:resumed`, the answer to a subscription with `resume_from`, which follows the
/// acknowledgement: whether all events since then follow (`complete`) or some are lost (`gap`), how many follow, and
/// the serial to resume from when no event comes.
///
/// # Errors
/// [`TxFull`] when it does not fit; nothing is written then.
pub fn encode_resumed(
    tx: &mut TxBuf<'_>,
    channel: &str,
    complete: bool,
    events: u32,
    serial: &str,
) -> Result<(), TxFull> {
    text_frame(tx, None, &|out| {
        out.open("pusher_internal:resumed");
        out.channel(channel);
        out.text(r#","data":"{\"result\":\""#);
        out.text(if complete { "complete" } else { "gap" });
        out.text(r#"\",\"events\":"#);
        out.number(u64::from(events));
        out.text(r#",\"serial\":\""#);
        out.escaped_twice(serial);
        out.text(r#"\"}"}"#);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(encode: impl Fn(&mut TxBuf<'_>) -> Result<(), TxFull>) -> std::string::String {
        let mut memory = [0; 256];
        let mut tx = TxBuf::new(&mut memory);
        encode(&mut tx).unwrap();
        let start = if tx.written()[1] == 126 { 4 } else { 2 };
        core::str::from_utf8(&tx.written()[start..]).unwrap().into()
    }

    #[test]
    fn a_kept_event_has_a_serial_before_its_data() {
        assert_eq!(
            text(|tx| encode_logged_event(tx, "a", "e", "1", "ab-7")),
            r#"{"event":"e","channel":"a","serial":"ab-7","data":"1"}"#
        );
    }

    #[test]
    fn the_answer_to_a_resume_is_explicit() {
        assert_eq!(
            text(|tx| encode_resumed(tx, "a", true, 2, "ab-7")),
            r#"{"event":"pusher_internal:resumed","channel":"a","data":"{\"result\":\"complete\",\"events\":2,\"serial\":\"ab-7\"}"}"#
        );
        let gap = text(|tx| encode_resumed(tx, "a", false, 0, ""));
        assert!(gap.contains(r#"\"gap\",\"events\":0,\"serial\":\"\""#), "{gap}");
    }
}
